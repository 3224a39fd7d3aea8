"""From a network and the rules for its layers to ops on virtual buffers; what no kernel does is left to
NumPy.

    lower(network, steps, facts, ...) -> Lowered

The forward pass first, then relevance from where it starts down to the input. Which buffers lie where, and
for how long, is decided afterwards (`memory.place`): nothing is freed here.
"""
import dataclasses

import numpy as np

from .. import layers as L
from ..checks import check_met
from ..network import INPUT
from . import support
from .constants import Constants
from .facts import Facts
from .kernels.elementwise import clip, relu
from .kernels.elementwise import start as start_op
from .kernels.op import NONE
from .kernels.pools import max_pool, max_unpool
from .lower_linear import through_add, through_linear
from .lower_moves import move, move_back
from .ops import Op, OpList, extent, geometry
from .stages import KEPT, Back, Forward, Keep, Kernels, Line, Wire
from .support import kernel4, map_shape

# Maxima that differ by less, as a part of themselves, are equal but for rounding: in double precision no two
# numbers of windows that differ come as near as that. In single precision they do, and equal windows get
# equal bits (`repair`).
TIE = {"float64": 1e-11, "float32": 0.0}


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What to do, before arrays have places.

    ops: in order. sizes: numbers for one sample in each buffer. touched: the buffers that each moment
    touches; an op is a moment, and so is what NumPy does. turn: the moment at which the forward pass has
    ended. held: buffers that are read after the last moment. forward, backward: the stages. weights, offsets:
    the constants. sums: how many for one sample.
    lines: those of the ledger. wires: all relevance. outputs: the buffer of each node's output. ends: wires
    whose relevance is the answer; relevance: the wire at each node. beginning: the wire where relevance
    starts; start: that node.
    """
    dtype: str
    ops: tuple[Op, ...]
    sizes: tuple[int, ...]
    touched: tuple[frozenset, ...]
    turn: int
    held: frozenset
    forward: tuple
    backward: tuple
    weights: Constants
    offsets: Constants
    sums: int
    lines: tuple[Line, ...]
    wires: tuple[Wire, ...]
    outputs: dict
    ends: dict
    relevance: dict
    beginning: Wire
    start: str | None

    def __str__(self):
        buffers = "\n".join(f"#{number}: {size:,} numbers" for number, size in enumerate(self.sizes))
        return "\n".join([*map(str, self.ops), buffers])


def lower(network, steps, facts, *, dtype, start=None, stop=None, keep=None, layers=False):
    """The Lowered of a network in float64 or float32.

    steps: {node name: Step}. facts: of `facts.find` for the same. start: the node where relevance begins,
    None for the scores. stop: the node where it stays. keep: {node name: mask over its channels}. layers:
    whether the relevance at every node is wanted.
    """
    return Lowering(network, steps, facts, dtype, start, stop, keep or {}, layers).run()


class Lowering:
    """A Lowered under construction."""

    def __init__(self, network, steps, facts: Facts, dtype, start, stop, keep, layers):
        self.network, self.steps, self.facts, self.dtype = network, steps, facts, dtype
        self.start, self.stop, self.keep, self.layers = start, stop, keep, layers
        self.ops, self.written = OpList(dtype), 0
        self.stages: list = []
        self.lines: list[Line] = []
        self.wires: list[Wire] = []
        self.touched: list[frozenset] = []
        self.outputs: dict[str, int] = {}
        self.winners: dict[str, int] = {}
        self.relevance: dict[str, Wire] = {}

    def run(self):
        """Lower the whole network."""
        self.outputs[INPUT] = self.buffer_for(self.network.input_shape)
        for node in self.network.nodes:
            self.ops.node = node.name
            self.forward(node)
        self.close()
        forward, self.stages, turn = tuple(self.stages), [], len(self.touched)
        self.ops.backward = True
        ends = self.backward()
        self.close()
        wanted = self.relevance if self.layers else ends
        held = {wire.buffer for wire in wanted.values()} | {self.outputs[self.network.nodes[-1].name]}
        return Lowered(self.dtype, tuple(self.ops.ops), tuple(self.ops.sizes), tuple(self.touched), turn,
                       frozenset(held), forward,
                       tuple(self.stages), self.ops.weights, self.ops.offsets, self.ops.sums,
                       tuple(self.lines), tuple(self.wires),
                       self.outputs, ends, self.relevance, self.beginning, self.start)

    # ---- small parts

    def buffer_for(self, shape):
        """A buffer for an array of a shape."""
        return self.ops.buffer(np.prod(shape))

    def close(self, stage=None, *buffers):
        """End the running stage of kernels; then comes another stage, which touches some buffers."""
        new = self.ops.ops[self.written:]
        if new:
            self.stages.append(Kernels(self.written, self.written + len(new)))
            self.touched += [frozenset(op.buffers.values()) for op in new]
            self.written += len(new)
        if stage is not None:
            self.stages.append(stage)
            self.touched.append(frozenset(buffers))

    def shape(self, name):
        """The output shape of a node."""
        return self.network.shapes[name]

    def form(self, node):
        """A convolution or pool as the kernels see it."""
        return support.form_of(self.network, node, self.dtype)

    def crossed(self, node):
        """The type of a node's layer where it is known how relevance crosses it (see `support.crossed_by`).
        """
        return support.crossed_by(self.steps[node.name])

    def pooled(self, node):
        """Is this a max-pool that kernels do in both directions?"""
        return support.is_max_pool(node.layer) and self.crossed(node) is not support.Other

    def added(self, node):
        """Is this a sum that kernels carry relevance through?"""
        return (self.crossed(node) is L.Add
                and support.constant_stabilizer(self.steps[node.name].rule) is not None)

    # ---- forward

    def forward(self, node):
        """The ops, or the stage, that compute a node's output."""
        layer, kind, source = node.layer, support.made_by(node), self.outputs[node.inputs[0]]
        if kind in support.ALIASES or self.facts.fused.get(node.inputs[0]) == node.name:
            self.outputs[node.name] = source
            return
        out = self.outputs[node.name] = self.buffer_for(self.shape(node.name))
        rectify = node.name in self.facts.fused
        if support.is_convolution(layer):
            self.ops.convolve(self.form(node), kernel4(layer.kernel), layer.bias, source, out,
                              rectify=rectify,
                              ties=self.dtype == "float32")
        elif support.is_depthwise(layer, self.shape(node.inputs[0])):
            kernel = support.depthwise_kernel(layer, layer.kernel, self.shape(node.inputs[0]))
            self.ops.depthwise(self.form(node), kernel, layer.bias, source, out, rectify=rectify)
        elif support.is_dense(layer, self.shape(node.inputs[0])):
            self.ops.dense(layer.kernel, layer.bias, source, out, rectify=rectify)
        elif self.pooled(node):
            self.winners[node.name] = self.buffer_for(self.shape(node.name))
            self.ops.emit(max_pool, x=source, y=out, winner=self.winners[node.name], tie=TIE[self.dtype],
                          **geometry(self.form(node)))
        elif kind is L.ReLU:
            self.ops.emit(relu, x=source, y=out, **extent(self.shape(node.name)))
        elif kind is L.ReLU6:
            self.ops.emit(clip, x=source, y=out, highest=6.0, **extent(self.shape(node.name)))
        elif kind is L.Add:
            for number, name in enumerate(node.inputs):
                self.ops.combine(self.outputs[name], out, map_shape(self.shape(name)), accumulate=number > 0)
        elif support.is_move(layer):
            move(self.ops, layer, source, self.shape(node.inputs[0]), out)
        else:
            self.close(Forward(node), out, *(self.outputs[name] for name in node.inputs))

    # ---- backward

    def backward(self):
        """From the start down: a node's relevance is complete when all its readers have given theirs. Returns
        the ends.
        """
        begin = self.start or self.network.nodes[-1].name
        self.beginning = self.relevance[begin] = self.wire(self.shape(begin))
        self.close()
        # an inner start is written from outside
        self.touched.append(frozenset((self.beginning.buffer, self.outputs[begin])))
        if self.start is None:
            self.ops.node = begin
            self.ops.emit(start_op, x=self.outputs[begin], y=self.beginning.buffer,
                          **extent(self.shape(begin)))
        unmet = set(self.keep)
        for node in reversed(self.network.nodes):
            self.ops.node = node.name
            if node.name in self.relevance and node.name in self.keep:
                unmet.discard(node.name)
                self.keep_channels(node)
            if node.name in self.relevance and node.name != self.stop:
                self.through(node, self.relevance[node.name])
        check_met(unmet, begin)
        ends = {end: self.relevance[end] for end in (INPUT, self.stop) if end in self.relevance}
        for wire in ends.values():
            self.measure(wire)
        return ends

    def through(self, node, received):
        """Carry the relevance at a node's output to its inputs, and write the line of the ledger."""
        if node.name in self.facts.carried:
            given, groups = through_linear(self, node, received)
            self.finish(node, received, [given], groups)
        elif issubclass(self.crossed(node), (*support.ALIASES, L.Activation)):
            given = self.wire(self.shape(node.inputs[0]), received.buffer)
            received.same = given
            self.finish(node, received, [given])
        elif self.pooled(node):
            given = self.wire(self.shape(node.inputs[0]))
            self.measure(received)
            self.ops.emit(max_unpool, x=received.buffer, y=given.buffer, winner=self.winners[node.name],
                          **geometry(self.form(node)))
            self.finish(node, received, [given])
        elif self.added(node):
            given, groups = through_add(self, node, received)
            self.finish(node, received, given, groups)
        elif support.is_move(node.layer) and self.crossed(node) is not support.Other:
            given = self.wire(self.shape(node.inputs[0]))
            self.measure(received)
            move_back(self.ops, node.layer, received.buffer, self.shape(node.inputs[0]), given.buffer)
            self.finish(node, received, [given])
        else:
            given = [self.wire(self.shape(source)) for source in node.inputs]
            line = self.line(node, received, given)
            self.close(Back(self.steps[node.name], line, len(self.lines)), received.buffer,
                       self.outputs[node.name],
                       *(wire.buffer for wire in given), *(self.outputs[name] for name in node.inputs))
            self.finish(node, received, given, line=line)

    def line(self, node, received, given, groups=()):
        """A node's line of the ledger."""
        return Line(node.name, node.layer.type, self.steps[node.name].rule_name, received, tuple(given),
                    groups, gates=type(node.layer) is L.ZeroPadding2D)

    def finish(self, node, received, given, groups=(), *, line=None):
        """Write the line, and hand what was given to the inputs."""
        self.lines.append(line or self.line(node, received, given, groups))
        for source, wire in zip(node.inputs, given):
            self.hand_on(source, wire)

    def hand_on(self, source, wire):
        """Make a wire the relevance of a node, or add it to what other readers of the node gave."""
        if self.facts.reads[source] == 1:
            self.relevance[source] = wire
            return
        self.measure(wire)
        whole = self.wire(wire.shape, self.relevance[source].buffer if source in self.relevance else None)
        self.ops.combine(wire.buffer, whole.buffer, map_shape(wire.shape),
                         accumulate=source in self.relevance)
        self.relevance[source] = whole

    def wire(self, shape, buffer=None):
        """A new wire, in a new buffer or in one that is there."""
        self.wires.append(Wire(len(self.wires), shape, self.buffer_for(shape) if buffer is None else buffer))
        return self.wires[-1]

    def measure(self, wire):
        """Have the sum of a wire written, unless that is done."""
        if wire.sums == NONE:
            wire.sums = self.ops.measure(wire.buffer, wire.shape)

    def keep_channels(self, node):
        """Drop the relevance of channels that were not chosen."""
        received = self.relevance[node.name]
        after = self.relevance[node.name] = self.wire(received.shape, None if self.layers
                                                      else received.buffer)
        if self.layers:  # nodes above may share the array, and theirs is wanted as it was
            self.ops.combine(received.buffer, after.buffer, map_shape(received.shape))
        line = Line(f"{node.name} (kept)", "", KEPT, received, (after,), gates=True)
        self.lines.append(line)
        self.close(Keep(line, self.keep[node.name]), received.buffer, after.buffer)
