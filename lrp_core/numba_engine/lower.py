"""From a network and the rules chosen for its layers to a program of kernels; what no kernel fits is left to NumPy."""
import collections
import dataclasses

import numpy as np

from .. import layers as L
from ..checks import check_met
from ..flow import is_forward
from ..network import INPUT
from ..rules import negative, ones, positive, whole
from . import interpreter as P
from . import support
from .ops import Assembler, extent, geometry, map_shape
from .support import Form, kernel4


# Maxima that differ by less, as a part of themselves, are equal but for rounding: in double precision no two numbers of
# windows that differ come as near as that. In single precision they do, and equal windows get equal bits (`ties`).
TIE = {"float64": 1e-11, "float32": 0.0}
KEPT = "chosen channels"  # what a page says of relevance that was dropped by `keep`


@dataclasses.dataclass(eq=False)
class Wire:
    """Relevance on its way between two nodes, and where it lies.

    book: where kernels book its sum, or NONE. same: the wire an
    activation or a reshape made of it, which holds the same numbers: they are measured there.
    """
    number: int
    shape: tuple
    position: int
    book: int = P.NONE
    same: "Wire | None" = None


@dataclasses.dataclass(frozen=True, eq=False)
class Page:
    """One node's entry of the ledger: the relevance that came and went, and the (book, rows) of its groups."""
    name: str
    type: str
    rule: str
    received: Wire
    passed: tuple
    groups: tuple = ()


@dataclasses.dataclass(frozen=True)
class Kernels:
    """A stage: rows begin..end of the program."""
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class Forward:
    """A stage: a node that NumPy computes."""
    node: object


@dataclasses.dataclass(frozen=True)
class Back:
    """A stage: a node that NumPy carries relevance through; it fills this page of the ledger."""
    step: object
    page: Page
    number: int


@dataclasses.dataclass(frozen=True)
class Keep:
    """A stage: only the relevance of channels under a mask goes on, in place."""
    page: Page
    mask: np.ndarray


class Planner:
    """Plans one program for a network and the engine's steps (`steps.plan`); see `engine.Program` for what comes out.

    dtype: "float64" or "float32", in which the kernels compute. nonnegative: no number of the input is below zero. The
    other arguments are those of `explain`, checked by it.
    """

    def __init__(self, network, steps, *, dtype, nonnegative, start, stop, keep, layers):
        self.network, self.steps = network, {step.node.name: step for step in steps}
        self.dtype, self.start, self.stop, self.keep, self.layers = dtype, start, stop, keep, layers
        self.asm, self.stages, self.pages, self.wires = Assembler(dtype), [], [], []
        self.readers = readers_of(network)
        # How often a node's output is read: a sum may take it twice.
        self.reads = collections.Counter(name for node in network.nodes for name in node.inputs)
        self.signless = nonnegative_nodes(network, nonnegative)
        self.vanishing = self.nodes_that_vanish()
        self.outputs, self.winners, self.relevance, self.written = {}, {}, {}, 0

    def plan(self):
        """Write the whole program: forward, then backward from where relevance starts."""
        self.outputs[INPUT] = self.room(self.network.input_shape)
        for node in self.network.nodes:
            self.asm.node = node.name
            self.forward(node)
        self.close()
        self.forward_stages, self.stages = self.stages, []
        self.asm.backward = True
        self.backward()
        self.close()
        return self

    def release(self):
        """Let go of what only planning needs: the constants in pieces, the rules' own copies of the weights."""
        self.asm, self.steps = None, {}

    # ---- small parts

    def room(self, shape):
        """A buffer for an array of a shape."""
        return self.asm.buffers.take(int(np.prod(shape)))

    def close(self, *stages):
        """End the running stage of kernels, and put others behind it."""
        if len(self.asm.rows) > self.written:
            self.stages.append(Kernels(self.written, len(self.asm.rows)))
            self.written = len(self.asm.rows)
        self.stages.extend(stages)

    def shape(self, name):
        """The output shape of a node."""
        return self.network.shapes[name]

    def form(self, node):
        """A convolution or pool as the kernels see it."""
        return Form.of(node.layer, self.shape(node.inputs[0]), self.shape(node.name), self.dtype)

    # ---- forward

    def forward(self, node):
        """The rows, or the stage, that compute a node's output."""
        layer, source = node.layer, self.outputs[node.inputs[0]]
        kind = support.made_by(node)
        if kind in support.ALIASES:
            self.outputs[node.name] = source
            return
        if kind is L.ReLU and self.rectifier(self.maker(node)) is node:
            self.outputs[node.name] = source
            return
        out = self.outputs[node.name] = self.room(self.shape(node.name))
        rectify = self.rectifier(node) is not None
        if support.is_convolution(layer):
            self.asm.convolve(self.form(node), kernel4(layer.kernel), layer.bias, source, out, rectify=rectify,
                              ties=self.dtype == "float32")
        elif support.is_dense(layer, self.shape(node.inputs[0])):
            self.asm.dense(layer.kernel, layer.bias, source, out, rectify=rectify)
        elif support.is_max_pool(layer) and self.crossed(node) is not support.Other:  # others may want `kept`
            self.winners[node.name] = self.room(self.shape(node.name))
            self.asm.emit(P.MAX_POOL, x=source, y=out, winner=self.winners[node.name], epsilon=TIE[self.dtype],
                          **geometry(self.form(node)))
        elif kind is L.ReLU:
            self.asm.emit(P.RELU, x=source, y=out, **extent(self.shape(node.name)))
        else:
            self.close(Forward(node))

    def maker(self, node):
        """The node that a node with one input reads, or None for the network's input."""
        return None if node.inputs[0] == INPUT else self.network[node.inputs[0]]

    def rectifier(self, node):
        """The ReLU that a node's kernel applies to its own output, or None.

        The kernel then overwrites z by max(z, 0), which the rules below divide by: right where the relevance that
        arrives is zero wherever the output is, as it is when the layers above share it in proportion to their input.
        """
        if node is None or not self.carried(node) or node.name in self.keep or node.name == self.start:
            return None
        behind = self.readers[node.name]
        alone = len(behind) == 1 and self.crossed(behind[0]) is L.ReLU
        return behind[0] if alone and behind[0].name in self.vanishing else None

    def crossed(self, node):
        """The type of a node's layer where it is known how relevance crosses it (see `support.crossed_by`)."""
        return support.crossed_by(self.steps[node.name])

    def carried(self, node):
        """Do kernels carry relevance back through this node?"""
        return isinstance(node.layer, L.Linear) and support.carries(self.steps[node.name], self.shape(node.inputs[0]))

    def nodes_that_vanish(self):
        """Names of the nodes at whose output the relevance that arrives is zero wherever the output is."""
        found = set()
        for name in reversed(self.network.shapes):
            if all(self.proportional(reader, found) for reader in self.readers[name]):
                found.add(name)
        return found

    def proportional(self, node, vanishing):
        """Does a node give its input no relevance where the input is zero? `vanishing`: which of those after it vanish."""
        kind = self.crossed(node)
        if issubclass(kind, (L.Move, L.WinnerTakesAll, L.ReLU)):
            return node.name in vanishing
        if issubclass(kind, L.Linear):
            return all(term.part in (whole, positive, negative) for group in self.steps[node.name].groups for term in group.terms)
        return issubclass(kind, (L.Merge, L.LayerNorm))

    # ---- backward

    def backward(self):
        """From the start down: a node's relevance is complete when all its readers have given theirs."""
        begin = self.start or self.network.nodes[-1].name
        self.beginning = self.relevance[begin] = self.wire(self.shape(begin))
        if self.start is None:
            self.asm.node = begin
            self.asm.emit(P.START, x=self.outputs[begin], y=self.beginning.position, **extent(self.shape(begin)))
        unmet = set(self.keep)
        for node in reversed(self.network.nodes):
            self.asm.node = node.name
            if node.name in self.relevance and node.name in self.keep:
                unmet.discard(node.name)
                self.keep_channels(node)
            if node.name in self.relevance and node.name != self.stop:
                self.through(node, self.relevance[node.name])
        check_met(unmet, begin)
        self.ends = {end: self.relevance[end] for end in (INPUT, self.stop) if end in self.relevance}
        for wire in self.ends.values():
            self.measure(wire)

    def through(self, node, received):
        """Carry the relevance at a node's output to its inputs, and write the page."""
        if self.carried(node):
            given, groups = self.through_linear(node, received)
            self.finish(node, received, [given], groups)
        elif issubclass(self.crossed(node), (*support.ALIASES, L.Activation)):
            given = self.wire(self.shape(node.inputs[0]), received.position)
            received.same = given
            self.finish(node, received, [given], keep=True)
        elif support.is_max_pool(node.layer) and self.crossed(node) is not support.Other:
            given = self.wire(self.shape(node.inputs[0]))
            self.measure(received)
            self.asm.emit(P.MAX_UNPOOL, x=received.position, y=given.position, winner=self.winners[node.name], **geometry(self.form(node)))
            self.finish(node, received, [given])
        else:
            given = [self.wire(self.shape(source)) for source in node.inputs]
            page = Page(node.name, node.layer.type, self.steps[node.name].rule_name, received, tuple(given))
            self.close(Back(self.steps[node.name], page, len(self.pages)))
            self.finish(node, received, given, page=page)

    def finish(self, node, received, given, groups=(), *, page=None, keep=False):
        """Write the page, hand what was given to the inputs, and free what nobody needs any more."""
        self.pages.append(page or Page(node.name, node.layer.type, self.steps[node.name].rule_name, received, tuple(given), groups))
        for source, wire in zip(node.inputs, given):
            self.hand_on(source, wire, shared=keep)
        if not keep and not self.layers:
            self.asm.buffers.free(received.position)

    def hand_on(self, source, wire, *, shared):
        """Make a wire the relevance of a node, or add it to what other readers of the node gave."""
        if self.reads[source] == 1:
            self.relevance[source] = wire
            return
        self.measure(wire)
        whole = self.wire(wire.shape, self.relevance[source].position if source in self.relevance else None)
        self.asm.combine(wire.position, whole.position, map_shape(wire.shape), accumulate=source in self.relevance)
        self.relevance[source] = whole
        if not shared and not self.layers:
            self.asm.buffers.free(wire.position)

    def wire(self, shape, position=None):
        """A new wire, in a buffer of its own or at a position."""
        self.wires.append(Wire(len(self.wires), shape, self.room(shape) if position is None else position))
        return self.wires[-1]

    def measure(self, wire):
        """Book the sum of a wire, unless that is done."""
        if wire.book == P.NONE:
            wire.book = self.asm.measure(wire.position, wire.shape)

    def keep_channels(self, node):
        """Drop the relevance of channels that were not chosen."""
        received = self.relevance[node.name]
        after = self.relevance[node.name] = self.wire(received.shape, None if self.layers else received.position)
        if self.layers:  # nodes above may share the array, and theirs is wanted as it was
            self.asm.combine(received.position, after.position, map_shape(received.shape))
        page = Page(f"{node.name} (kept)", "", KEPT, received, (after,))
        self.pages.append(page)
        self.close(Keep(page, self.keep[node.name]))

    def through_linear(self, node, received):
        """The loop of `flow.through_linear`, as rows: (wire of R_in, (book, rows) of each group)."""
        step, shape, x = self.steps[node.name], self.shape(node.name), self.outputs[node.inputs[0]]
        given, groups, accumulate = self.wire(self.shape(node.inputs[0])), [], False
        # Relevance that nobody reads again makes room for what a unit of z is worth.
        in_place = len(step.groups) == 1 and not self.layers
        s = received.position if in_place else self.room(shape)
        flag = self.sparse(node)
        before = None  # the last group's only term, and where its z lies
        for group in step.groups:
            terms = self.parts(node, group, x)
            z, shared, owned = self.denominator(node, group, terms, received.position, flag, before)
            rows = extent(shape)["rows"]
            book = self.asm.book(rows)
            if received.book == P.NONE:
                received.book = book
            groups.append((book, rows))
            bias = total_bias(group)
            self.asm.emit(P.RATIO, x=received.position, z=z, y=s, shared=int(shared), epsilon=support.constant_stabilizer(step.rule),
                          coefficient=float(group.coefficient), gate=support.GATES[group.gate], gate_y=self.outputs[node.name],
                          bias=P.NONE if bias is None else self.asm.bias(bias, shape[-1]), book=book, **extent(shape))
            if before:
                self.asm.buffers.free(before[1])
            before = (terms[0], z) if owned and len(terms) == 1 else None
            if owned and not before:
                self.asm.buffers.free(z)
            for term, part in terms:
                self.give(node, term, part, s, given.position, accumulate, flag)
                accumulate = True
            for _, part in terms:
                if part not in (P.NONE, x):
                    self.asm.buffers.free(part)
        if before:
            self.asm.buffers.free(before[1])
        if not in_place:
            self.asm.buffers.free(s)
        return given, tuple(groups)

    def sparse(self, node):
        """Where it is flagged, for each sample, that few units of a convolution can carry relevance; NONE where it would not help.

        They are those whose output, behind a ReLU, is not zero, and that win a window of the max-pool behind it: no more
        than the pool's outputs that are not zero. Seen from the forward pass, it is the same for all targets.
        """
        rectifier = self.rectifier(node)
        if rectifier is None or not support.is_convolution(node.layer) or not self.form(node).suits_sparse \
                or all(term.part is ones for group in self.steps[node.name].groups for term in group.terms):
            return P.NONE
        behind = self.readers[rectifier.name]
        pooled = len(behind) == 1 and support.is_max_pool(behind[0].layer) and self.crossed(behind[0]) is not support.Other
        name = behind[0].name if pooled else rectifier.name
        return self.asm.flag(self.outputs[name], self.shape(name), self.form(node).sparse_limit)

    def parts(self, node, group, x):
        """[(term, position of its part of x, NONE for ones)]; a part that is zero everywhere is left out."""
        found, signless, shape = [], node.inputs[0] in self.signless, self.shape(node.inputs[0])
        for term in group.terms:
            if term.part is ones:
                found.append((term, P.NONE))
            elif term.part is whole or (signless and term.part is positive):
                found.append((term, x))
            elif not signless:
                part = self.room(shape)
                self.asm.part(x, 1 if term.part is positive else -1, part, map_shape(shape))
                found.append((term, part))
        return found

    def denominator(self, node, group, terms, r, flag, before):
        """(position of z, whether it is a constant, whether it is a buffer to free)."""
        if is_forward(group, node.layer):
            return self.outputs[node.name], False, False
        if all(part == P.NONE for _, part in terms):
            inputs = np.ones((1, *self.shape(node.inputs[0])))
            z = sum(term.sign * node.layer.linear(inputs, term.kernel, term.bias) for term, _ in terms)
            return self.asm.weights.add(z[0]), True, False
        z = self.room(self.shape(node.name))
        # What is computed for nonzeros only is one sum; a second term, of negative inputs, needs the whole map.
        flag = flag if len(terms) == 1 and support.is_convolution(node.layer) else P.NONE
        for number, (term, part) in enumerate(terms):
            kernel, bias = (array if array is None or term.sign > 0 else -array for array in (term.kernel, term.bias))
            if not support.is_convolution(node.layer):
                self.asm.dense(kernel, bias, part, z, accumulate=number > 0)
                continue
            form, kernel = self.form(node), kernel4(kernel)
            if flag != P.NONE:
                self.asm.dots(form, kernel, bias, part, z, r, flag, **self.complement(node, term, part, before))
            self.asm.convolve(form, kernel, bias, part, z, accumulate=number > 0, sharp=len(terms) == 1, flag=flag)
        return z, False, True

    def complement(self, node, term, part, before):
        """What `Assembler.dots` needs to take z from the group before, where both kernels make up the layer's."""
        if before is None or before[0][1] != part or not np.array_equal(before[0][0].kernel + term.kernel, node.layer.kernel):
            return {}
        biases = [np.zeros(self.shape(node.name)[-1]) if one is None else one for one in (before[0][0].bias, term.bias, node.layer.bias)]
        return {"y": self.outputs[node.name], "other": before[1], "rest": biases[0] + biases[1] - biases[2]}

    def give(self, node, term, part, s, r, accumulate, flag):
        """r = [r +] σ · part · W'ᵀ s."""
        kernel = term.kernel * term.sign
        if part == P.NONE and support.is_convolution(node.layer) and (kernel == kernel.flat[0]).all():
            self.asm.spread(self.form(node), s, r, kernel.flat[0], accumulate=accumulate)
        elif support.is_convolution(node.layer):
            self.asm.convolve_back(self.form(node), kernel4(kernel), s, r, times=part, accumulate=accumulate, flag=flag)
        else:
            self.asm.dense_back(kernel, s, r, times=part, accumulate=accumulate)


def readers_of(network):
    """The nodes that read each node's output, by name."""
    readers = {name: [] for name in network.shapes}
    for node in network.nodes:
        for name in dict.fromkeys(node.inputs):
            readers[name].append(node)
    return readers


def total_bias(group):
    """Σ σ·b' of a group's terms, or None."""
    biases = [term.sign * term.bias for term in group.terms if term.bias is not None]
    return sum(biases) if biases else None


def nonnegative_nodes(network, of_input):
    """Names of the nodes whose output cannot be negative."""
    found = {INPUT} if of_input else set()
    keeps_sign = (L.WinnerTakesAll, L.Move, L.AveragePool2D, L.AveragePool1D, L.GlobalAveragePool2D, L.Add)
    for node in network.nodes:
        kind = support.made_by(node)
        if kind in (L.ReLU, L.ReLU6, L.Sigmoid) or (issubclass(kind, keeps_sign) and found.issuperset(node.inputs)):
            found.add(node.name)
    return found
