"""Runs programs: workspaces, chunks of a batch on several threads, or one sample on a team of them."""
import dataclasses
import functools
import math
import os
import threading

import numba
import numpy as np

from ..flow import total
from ..memory import crossing_back, crossing_forward
from ..network import INPUT, Trace, run
from ..steps import is_split
from ..target import WINNER, one_hot
from . import facts, interpreter
from .check import check, most
from .constants import ALIGNMENT, rounded
from .crew import Crew
from .kernels.bounds import Sizes
from .kernels.jit import prepare
from .kernels.op import KINDS, RARE, TIES, Memory
from .kernels.simd_llvm import lanes_of
from .ledger_sums import LedgerSums
from .lower import lower
from .memory import aligned, lay_out, place, return_freed_memory
from .ops import CAPACITY
from .stages import Forward, Keep, Kernels, joined

# Samples at work on a thread. Larger chunks amortise weight loads, smaller ones stay in cache. Where vectors
# are wide, arithmetic waits for memory, and one at a time is faster.
CHUNK = {dtype: 1 if lanes_of("float32") >= 16 else 4 for dtype in ("float64", "float32")}


class Workspace:
    """The arrays of one worker, or of one team: `capacity` samples, and each member's scratch."""

    def __init__(self, code, capacity, team):
        self.capacity, self.team = capacity, team
        self.data = aligned(code.data * capacity + code.scratch * team + ALIGNMENT, code.dtype)
        self.sums = aligned(code.sums * capacity, np.float64)
        self.places = np.zeros(code.places * team, np.int64)
        self.favoured, self.other = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
        # What NumPy's stages leave: what layers kept, sums of wires by number, what lines of the ledger
        # absorbed.
        self.kept, self.measured, self.absorbed = {}, {}, {}

    def at(self, position, shape, samples):
        """The array of some samples that begins at a position."""
        size = math.prod(shape)
        return self.data[position * self.capacity:][:samples * size].reshape(samples, *shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Code:
    """Ops with their places, checked: what the interpreter runs.

    ops: records (`interpreter.OP`). labels: (node, backward, flops) of each. weights, offsets: constants.
    data, sums: numbers for one sample. scratch, places: numbers for one worker.
    """
    ops: np.ndarray
    labels: tuple
    dtype: str
    weights: np.ndarray
    offsets: np.ndarray
    data: int
    sums: int
    scratch: int
    places: int

    @classmethod
    def of(cls, ops, positions, *, dtype, weights, offsets, data, sums):
        """Place ops in buffers at these positions, and prove that none leaves its arrays."""
        records, at = place(ops, positions, interpreter.OP), Sizes(dtype, CAPACITY, offsets)
        code = cls(records, tuple((op.node, op.backward, op.flops) for op in ops), dtype, weights, offsets,
                   data, sums,
                   rounded(most(records, "scratch", at)), rounded(most(records, "places", at)))
        code.check()
        return code

    def check(self, **others):
        """Raise ProgramError where an op leaves its arrays (`check.check`); others: sizes to check instead.
        """
        sizes = {name: getattr(self, name) for name in ("dtype", "data", "sums", "scratch", "places",
                                                        "weights", "offsets")}
        check(others.pop("ops", self.ops), capacity=CAPACITY, **{**sizes, **others})

    @functools.cached_property
    def groups(self):
        """(rare, ties) for `interpreter.run`: True or None each; ties always in single precision."""
        used = {KINDS[number].group for number in np.unique(self.ops["kind"])}
        return True if RARE in used else None, True if TIES in used or self.dtype == "float32" else None

    def memory(self, workspace, samples, targets, member=0, team=1):
        """The Memory of one member of a team in a workspace."""
        return Memory(workspace.data, self.weights, self.offsets, workspace.sums, workspace.places,
                      workspace.favoured,
                      workspace.other, samples, targets, workspace.capacity,
                      self.data * workspace.capacity + member * self.scratch, member * self.places, team)

    def run(self, workspace, begin, end, samples, targets=1, team=1, crew=None):
        """Run ops begin..end for the samples of a workspace, alone or on a team of threads of a `crew`."""
        counters = np.zeros((end - begin) * (team + 1), np.int64)
        ops = self.ops.view(np.recarray) if numba.config.DISABLE_JIT else self.ops
        for member in range(1, team):
            crew.submit(interpreter.run, ops, begin, end,
                        self.memory(workspace, samples, targets, member, team), counters, member,
                        *self.groups)
        interpreter.run(ops, begin, end, self.memory(workspace, samples, targets, 0, team), counters, 0,
                        *self.groups)

    def prepare(self, workspace):
        """Compile what the ops need, or load it from disk."""
        prepare(interpreter.run, (self.ops, 0, 0, self.memory(workspace, 1, 1), np.zeros(0, np.int64), 0,
                                  *self.groups))


class Program:
    """A network and the rules for its layers, planned once. Any number of threads may use it at a time."""

    def __init__(self, network, steps, *, dtype, nonnegative, start=None, stop=None, keep=None, layers=False):
        by_name = {step.node.name: step for step in steps}
        known = facts.find(network, by_name, dtype=dtype, nonnegative=nonnegative, start=start,
                           keep=tuple(keep or ()))
        lowered = lower(network, by_name, known, dtype=dtype, start=start, stop=stop, keep=keep,
                        layers=layers)
        layout = lay_out(lowered)
        self.network, self.dtype, self.start, self.output = network, dtype, start, network.nodes[-1].name
        self.code = Code.of(lowered.ops, layout.positions, dtype=dtype, weights=lowered.weights.build(),
                            offsets=lowered.offsets.build(), data=layout.size, sums=lowered.sums)
        self.positions, self.outputs, self.beginning = layout.positions, lowered.outputs, lowered.beginning
        self.ends, self.results = lowered.ends, lowered.relevance if layers else lowered.ends
        self.forward, self.backward, self.joined = (lowered.forward, lowered.backward,
                                                    joined([*lowered.forward, *lowered.backward]))
        self.ledger_sums = LedgerSums(lowered)
        self.pages = tuple((line.name, line.type, line.rule) for line in lowered.lines)
        stages = [stage for stage in (*self.forward, *self.backward) if not isinstance(stage, Kernels)]
        self.by_numpy, self._beside = bool(stages), max((beside(network, stage) for stage in stages),
                                                        default=0)
        self._idle, self._crew, self._prepared, self._lock = [], None, False, threading.Lock()
        del lowered
        return_freed_memory()

    @property
    def sample_bytes(self):
        """What one more sample in a workspace takes, and what NumPy takes for it beside the workspace."""
        return np.dtype(self.dtype).itemsize * self.code.data + 8 * self.code.sums + self._beside

    # ---- workers

    def workspace(self, capacity, team):
        """An idle workspace of this size, or a new one."""
        with self._lock:
            for place, idle in enumerate(self._idle):
                if idle.capacity == capacity and idle.team >= team:
                    return self._idle.pop(place)
        return Workspace(self.code, capacity, team)

    def give_back(self, workspace):
        """A workspace for the next caller."""
        with self._lock:
            self._idle.append(workspace)

    def crew(self, threads):
        """Threads that wait for work; new ones after a fork, which the old do not survive, or when more are
        wanted.
        """
        with self._lock:
            if self._crew is None or self._crew.pid != os.getpid() or self._crew.threads < threads:
                self._crew = Crew(threads)
            return self._crew

    def run(self, workspace, stages, samples, targets=1, team=1):
        """Run stages for the samples of a workspace; with a team, all members at once."""
        if not self._prepared:
            self.code.prepare(workspace)
            self._prepared = True
        crew = None
        if team > 1:
            crew = self.crew(team)
            crew.elsewhere()
        for stage in stages:
            if isinstance(stage, Kernels):
                self.code.run(workspace, stage.begin, stage.end, samples, targets, team, crew)
            elif isinstance(stage, Forward):
                self._forward(workspace, stage.node, samples)
            elif isinstance(stage, Keep):
                self._keep(workspace, stage, samples)
            else:
                self._back(workspace, stage, samples)

    # ---- what no kernel does, by the layers and rules themselves, in double precision

    def _at(self, workspace, wire, samples):
        return workspace.at(self.positions[wire.buffer], wire.shape, samples)

    def _output(self, workspace, name, samples):
        return workspace.at(self.positions[self.outputs[name]], self.network.shapes[name], samples)

    def _forward(self, workspace, node, samples):
        xs = [self._output(workspace, name, samples).astype(np.float64) for name in node.inputs]
        y, workspace.kept[node.name] = run(node, xs, self.network.shapes[node.name])
        self._output(workspace, node.name, samples)[...] = y

    def _back(self, workspace, stage, samples):
        node, line = stage.step.node, stage.line
        outputs = {name: self._output(workspace, name, samples).astype(np.float64)
                   for name in (*node.inputs, node.name)}
        r = self._at(workspace, line.received, samples).astype(np.float64)
        shares, workspace.absorbed[stage.number] = stage.step.back(Trace(outputs, workspace.kept), r)
        del outputs  # freed before sums are taken, which needs an array of |r|
        self._measure(workspace, line.received, r)
        for wire, share in zip(line.passed, shares):
            self._at(workspace, wire, samples)[...] = share
            self._measure(workspace, wire, share)

    def _keep(self, workspace, stage, samples):
        received, passed = stage.line.received, stage.line.passed[0]
        r = self._at(workspace, received, samples)
        self._measure(workspace, received, r)
        kept = r * stage.mask.astype(r.dtype)
        self._at(workspace, passed, samples)[...] = kept
        self._measure(workspace, passed, kept)

    @staticmethod
    def _measure(workspace, wire, r):
        workspace.measured[wire.number] = total(r), total(np.abs(r))

    # ---- one chunk

    def explain(self, workspace, x, favoured, other, *, forward=True, targets=1, mask=None,
                reference=None, team=1):
        """(scores, relevance by node, ledger numbers [lines + 1, columns, samples·targets]) of samples x.

        favoured, other: the explained classes, [samples·targets]. forward: run the network first; else a call
        for the same samples has done so. mask: over the output of the node where relevance starts;
        None: the explained classes. reference: what the output there is counted from.
        """
        samples, count = len(x), len(x) * targets
        workspace.favoured[:count], workspace.other[:count] = favoured, other
        workspace.absorbed.clear()
        workspace.measured.clear()
        stages = self.backward
        if forward:
            self._output(workspace, INPUT, samples)[...] = x
            if self.start is None and targets == 1:
                stages = self.joined
            else:
                self.run(workspace, self.forward, samples, team=team)
        if self.start is not None:
            y = self._output(workspace, self.start, samples)
            if mask is None:
                favoured, other = (np.where(numbers == WINNER, y.argmax(axis=1), numbers)
                                   for numbers in (favoured, other))
                mask = one_hot(favoured, y.shape[1]) - one_hot(other, y.shape[1])
            self._at(workspace, self.beginning, samples)[...] = mask * (y - (reference or 0.0))
        self.run(workspace, stages, samples, targets, team)
        relevance = {name: self._at(workspace, wire, count).copy() for name, wire in self.results.items()}
        return (
            self._output(workspace, self.output, samples),
            relevance,
            self.ledger_sums.numbers(workspace, count),
        )


def beside(network, stage):
    """Bytes that NumPy takes for one sample at a stage of its own, in double precision."""
    if isinstance(stage, Keep):
        return 8 * math.prod(stage.line.received.shape)
    node = stage.node if isinstance(stage, Forward) else stage.step.node
    shapes, made = [network.shapes[name] for name in node.inputs], network.shapes[node.name]
    numbers = sum(map(math.prod, shapes)) + math.prod(made)
    if isinstance(stage, Forward):
        return int(8 * (numbers + crossing_forward(node.layer, shapes, made)))
    return int(8 * (2 * numbers + crossing_back(node.layer, shapes, made, is_split(stage.step))))
