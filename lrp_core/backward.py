"""The engine: a trace of the forward pass, a rule for each layer and a target make relevance and its ledger."""
import dataclasses

import numpy as np

from . import layers as L
from .canonize import without_softmax
from .chunks import for_chunks
from .explanation import Explanation
from .ledger import Entry, Ledger
from .network import INPUT, Node
from .presets import composite
from .rules import Pass, Rule, whole
from .stabilize import share, stabilize
from .target import resolve

# A residual beyond this part of a layer's turnover is no rounding; `explain` refuses to return it.
ROUNDING = {"float64": 1e-9, "float32": 1e-3}


@dataclasses.dataclass(frozen=True)
class Step:
    """One node with the rule chosen for it and, for a linear layer, the rule's groups of terms."""
    node: Node
    rule: Rule | None
    groups: tuple

    @property
    def rule_name(self):
        """The rule as the ledger prints it."""
        return "winner takes all" if self.rule is None else repr(self.rule)


def plan(network, rules):
    """A Step for every node in topological order: rules are looked up and their weights made once, before any data."""
    steps = []
    for node in network.nodes:
        rule = rules.rule_for(network, node)
        linear = isinstance(node.layer, L.Linear)
        if linear and isinstance(rule, Pass):
            raise ValueError(f"layer {node.name!r} ({node.layer.type}) mixes its inputs: the rule Pass cannot cross it")
        steps.append(Step(node, rule, rule.groups(node.layer) if linear else ()))
    return tuple(steps)


def total(array):
    """Σ over all but the batch axis, in float64: [n]."""
    return array.reshape(len(array), -1).sum(axis=1, dtype=np.float64)


def through_linear(step, x, y, r):
    """(R_in, bias, stabilizer, gated) of a linear layer: the loop that every rule shares (see `rules`)."""
    layer = step.node.layer
    r_in = np.zeros_like(x)
    bias, stabilizer, gated = np.zeros(len(x)), np.zeros(len(x)), total(r)
    for group in step.groups:
        parts = [(term, term.part(x)) for term in group.terms]
        # A part that is zero everywhere (x⁻ behind a ReLU) adds nothing and takes nothing.
        parts = [(term, part) for term, part in parts if term.bias is not None or part.any()]
        if is_forward(group, layer):
            z = y
        else:
            z = sum((term.sign * layer.linear(part, term.kernel, term.bias) for term, part in parts), np.zeros_like(y))
        stable = stabilize(z, step.rule.stabilizer)
        s, gate = share(r, stable)
        for term, part in parts:
            r_in += (group.coefficient * term.sign) * part * layer.adjoint(s, term.kernel, x.shape[1:])
            if term.bias is not None:
                bias += group.coefficient * term.sign * total(s * term.bias)
        if step.rule.stabilizer:
            stabilizer += group.coefficient * total(s * (stable - z))
        gated -= group.coefficient * total(r * gate)
    return r_in, bias, stabilizer, gated


def is_forward(group, layer):
    """Is the group's z the layer's own output, which the trace already holds?"""
    term = group.terms[0]
    return len(group.terms) == 1 and term.part is whole and term.kernel is layer.kernel and term.bias is layer.bias


def through(step, trace, r):
    """(R_in, bias, stabilizer, gated) of any node."""
    node, zero = step.node, np.zeros(len(r))
    x, y = trace.outputs[node.inputs[0]], trace.outputs[node.name]
    if step.groups:
        return through_linear(step, x, y, r)
    if isinstance(node.layer, L.MaxPool2D):
        return node.layer.to_winners(r, trace.winners[node.name], x.shape[1:]), zero, zero, zero
    return r.reshape(x.shape), zero, zero, zero


def propagate(steps, trace, start):
    """Carry `start` [n, classes] from the output down; returns (relevance at every node by name, Ledger)."""
    relevance = {steps[-1].node.name: start}
    entries = []
    for step in reversed(steps):
        node = step.node
        r = relevance[node.name]
        r_in, bias, stabilizer, gated = through(step, trace, r)
        source = node.inputs[0]
        relevance[source] = relevance[source] + r_in if source in relevance else r_in
        entries.append(Entry(node.name, node.layer.type, step.rule_name, total(r), total(r_in), bias, stabilizer, gated,
                             total(np.abs(r)) + total(np.abs(r_in))))
    return relevance, Ledger(tuple(entries), total(start), total(relevance[INPUT]))


def explain(network, x, rules="epsilon", target="max", *, layers=False, dtype="float64", threads=None, progress=None):
    """Which part of the input made the network say what it says: the relevance of every number in x.

    network: a Network. A softmax at its end is dropped: logits are explained.
    x: one sample [*input_shape] or a batch [n, *input_shape].
    rules: a preset's name (see `presets`), a rule for every layer with weights, or an ordered list of
        (condition, rule).
    target: "max" for the winning class, a class's name or index, or one of these for each sample.
    layers: keep the relevance at every node (`Explanation.layers`).
    dtype: "float64" computes and closes the books to about 1e-15; "float32" is faster.
    threads: how many samples are explained at a time; all processors by default. Results do not depend on it.
    progress: called with the number of samples done since the last call.

    Returns an Explanation. Raises ValueError or TypeError that names what is wrong, and ConservationError where
    the relevance does not add up to rounding, which would be an error of this program.
    """
    if dtype not in ROUNDING:
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    x, single = network.check_input(x)
    scored = without_softmax(network).astype(dtype)
    steps = plan(scored, composite(rules))
    wanted = resolve(target, len(x), network)

    def work(part):
        trace = scored.forward(x[part].astype(dtype))
        logits = trace.outputs[scored.nodes[-1].name]
        chosen = np.where(wanted[part] < 0, logits.argmax(axis=1), wanted[part])
        start = np.where(np.arange(logits.shape[1]) == chosen[:, None], logits, 0)
        relevance, ledger = propagate(steps, trace, start)
        ledger.check(ROUNDING[dtype])
        kept = relevance if layers else {INPUT: relevance[INPUT]}
        return logits, chosen, {name: r.astype(np.float32) for name, r in kept.items()}, ledger

    return Explanation.join(for_chunks(work, len(x), threads=threads, progress=progress), network, single, layers)
