"""Runs programs: workspaces, chunks of a batch on several threads, or one sample on a team of them."""
import concurrent.futures
import math
import os
import threading

import numba
import numpy as np

from ..flow import total
from ..memory import crossing_back, crossing_forward
from ..network import INPUT, Trace
from ..steps import is_split
from . import interpreter as P
from .memory import ALIGNMENT, aligned, return_freed_memory, rounded
from .ops import CAPACITY
from .ledger_sums import Books
from .check import check
from .kernels.jit import prepare
from .lower import Forward, Keep, Kernels, Planner
from .kernels.simd_llvm import lanes_of

# Samples at work on a thread: more share what is read of the weights, fewer stay nearer to the processor. Where vectors
# are wide, arithmetic waits for memory, and one at a time is faster.
CHUNK = {dtype: 1 if lanes_of("float32") >= 16 else 4 for dtype in ("float64", "float32")}


class Workspace:
    """The arrays of one worker, or of one team: room for `capacity` samples and each member's scratch."""

    def __init__(self, program, capacity, team):
        self.capacity, self.team = capacity, team
        self.data = aligned(program.data * capacity + program.scratch * team + ALIGNMENT, program.dtype)
        self.sums = aligned(program.sums * capacity, np.float64)
        self.places = np.zeros(program.places * team, np.int64)
        self.favoured, self.other = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
        # What NumPy's stages leave: what layers kept, sums of wires by number, books by page.
        self.kept, self.measured, self.booked = {}, {}, {}

    def at(self, position, shape, samples):
        """The array of some samples that begins at a position."""
        size = math.prod(shape)
        return self.data[position * self.capacity:][:samples * size].reshape(samples, *shape)


class Program:
    """A network and the rules for its layers, planned once. Any number of threads may use it at a time."""

    def __init__(self, network, steps, *, dtype, **options):
        self.network, self.dtype, self.plan = network, dtype, Planner(network, steps, dtype=dtype, **options).plan()
        asm = self.plan.asm
        self.rows, self.labels = np.array(asm.rows, P.STEP), asm.labels
        self.rows.flags.writeable = False
        if numba.config.DISABLE_JIT:
            self.rows = self.rows.view(np.recarray)
        self.weights, self.offsets = asm.weights.build(), asm.offsets.build()
        self.data, self.sums, self.scratch, self.places = asm.buffers.size, asm.sums, rounded(asm.scratch), rounded(asm.places_needed)
        self.plan.release()
        return_freed_memory()
        check(self.rows, dtype=dtype, data=self.data, sums=self.sums, scratch=self.scratch, places=self.places, weights=self.weights,
              offsets=self.offsets, capacity=CAPACITY)
        self.pages = tuple((page.name, page.type, page.rule) for page in self.plan.pages)
        self.books, self.output = Books(self.plan), network.nodes[-1].name
        self.joined = joined([*self.plan.forward_stages, *self.plan.stages])
        stages = [stage for stage in (*self.plan.forward_stages, *self.plan.stages) if not isinstance(stage, Kernels)]
        self.by_numpy = bool(stages)
        self._beside = max((beside(network, stage) for stage in stages), default=0)
        self._idle, self._crew = [], None
        self._rare, self._prepared = True if np.isin(self.rows["kind"], P.RARE).any() else None, False
        self._lock = threading.Lock()

    @property
    def sample_bytes(self):
        """What one more sample in a workspace takes, and what NumPy takes for it beside the workspace."""
        return np.dtype(self.dtype).itemsize * self.data + 8 * self.sums + self._beside

    # ---- workers

    def workspace(self, capacity, team):
        """An idle workspace of this size, or a new one."""
        with self._lock:
            for place, idle in enumerate(self._idle):
                if idle.capacity == capacity and idle.team >= team:
                    return self._idle.pop(place)
        return Workspace(self, capacity, team)

    def give_back(self, workspace):
        """A workspace for the next caller."""
        with self._lock:
            self._idle.append(workspace)

    def crew(self, threads):
        """Threads that wait for work; new ones after a fork, which leaves the old behind, or when more are wanted."""
        with self._lock:
            if self._crew is None or self._crew[0] != os.getpid() or self._crew[1] < threads:
                self._crew = os.getpid(), threads, concurrent.futures.ThreadPoolExecutor(threads, "lrp")
            return self._crew[2]

    def run(self, workspace, stages, samples, fan=1, team=1):
        """Run stages for the samples of a workspace; with a team, all members at once."""
        for stage in stages:
            if isinstance(stage, Kernels):
                self._kernels(workspace, stage, samples, fan, team)
            elif isinstance(stage, Forward):
                self._forward(workspace, stage.node, samples)
            elif isinstance(stage, Keep):
                self._keep(workspace, stage, samples)
            else:
                self._back(workspace, stage, samples)

    def _kernels(self, workspace, stage, samples, fan, team):
        """Rows begin..end, alone or on a team."""
        def arguments(number):
            scratch = self.data * workspace.capacity + number * self.scratch
            return (self.rows, stage.begin, stage.end, samples, fan, workspace.capacity, workspace.data, self.weights, self.offsets,
                    workspace.sums, workspace.places, workspace.favoured, workspace.other, scratch, number * self.places)
        counters = np.zeros(2 * (stage.end - stage.begin), np.int64)
        if not self._prepared:
            prepare(P.run, (*arguments(0), team, counters, self._rare))
            self._prepared = True
        for number in range(1, team):
            self.crew(team).submit(P.run, *arguments(number), team, counters, self._rare)
        P.run(*arguments(0), team, counters, self._rare)

    # ---- what no kernel does, by the layers and rules themselves, in double precision

    def _output(self, workspace, name, samples):
        return workspace.at(self.plan.outputs[name], self.network.shapes[name], samples)

    def _forward(self, workspace, node, samples):
        xs = [self._output(workspace, name, samples).astype(np.float64) for name in node.inputs]
        self._output(workspace, node.name, samples)[...], workspace.kept[node.name] = node.layer.forward_keeping(*xs)

    def _back(self, workspace, stage, samples):
        node, page = stage.step.node, stage.page
        outputs = {name: self._output(workspace, name, samples).astype(np.float64) for name in (*node.inputs, node.name)}
        r = workspace.at(page.received.position, page.received.shape, samples).astype(np.float64)
        moved, workspace.booked[stage.number] = stage.step.back(Trace(outputs, workspace.kept), r)
        self._measure(workspace, page.received, r)
        for wire, r_in in zip(page.passed, moved):
            workspace.at(wire.position, wire.shape, samples)[...] = r_in
            self._measure(workspace, wire, r_in)

    def _keep(self, workspace, stage, samples):
        received, passed = stage.page.received, stage.page.passed[0]
        r = workspace.at(received.position, received.shape, samples)
        self._measure(workspace, received, r)
        kept = r * stage.mask.astype(r.dtype)
        workspace.at(passed.position, passed.shape, samples)[...] = kept
        self._measure(workspace, passed, kept)

    @staticmethod
    def _measure(workspace, wire, r):
        workspace.measured[wire.number] = total(r), total(np.abs(r))

    # ---- one chunk

    def explain(self, workspace, x, favoured, other, *, forward=True, fan=1, mask=None, team=1):
        """(scores, relevance by node, book [pages, 6, samples·fan]) of samples x for targets [samples·fan].

        forward: run the network first; else a call for the same samples has done so.
        """
        samples, count = len(x), len(x) * fan
        workspace.favoured[:count], workspace.other[:count] = favoured, other
        workspace.booked.clear()
        workspace.measured.clear()
        stages = self.plan.stages
        if forward:
            self._output(workspace, INPUT, samples)[...] = x
            if mask is None and fan == 1:
                stages = self.joined
            else:
                self.run(workspace, self.plan.forward_stages, samples, team=team)
        if mask is not None:
            begin = self.plan.beginning
            workspace.at(begin.position, begin.shape, samples)[...] = mask * self._output(workspace, self.plan.start, samples)
        self.run(workspace, stages, samples, fan, team)
        wires = self.plan.relevance if self.plan.layers else self.plan.ends
        relevance = {name: workspace.at(wire.position, wire.shape, count).copy() for name, wire in wires.items()}
        return self._output(workspace, self.output, samples), relevance, self.books.numbers(workspace, count)


def beside(network, stage):
    """Bytes that NumPy takes for one sample at a stage of its own, in double precision."""
    if isinstance(stage, Keep):
        return 8 * math.prod(stage.page.received.shape)
    node = stage.node if isinstance(stage, Forward) else stage.step.node
    shapes, made = [network.shapes[name] for name in node.inputs], network.shapes[node.name]
    numbers = sum(map(math.prod, shapes)) + math.prod(made)
    if isinstance(stage, Forward):
        return int(8 * (numbers + crossing_forward(node.layer, shapes, made)))
    return int(8 * (2 * numbers + crossing_back(node.layer, shapes, made, is_split(stage.step))))


def joined(stages):
    """The stages with runs of kernels that follow each other made one: a team is called together once."""
    out = []
    for stage in stages:
        if out and isinstance(stage, Kernels) and isinstance(out[-1], Kernels) and out[-1].end == stage.begin:
            out[-1] = Kernels(out[-1].begin, stage.end)
        else:
            out.append(stage)
    return out
