"""The engine: a trace of the forward pass, a rule for each layer and a start make relevance and its ledger."""
import dataclasses

import numpy as np

from . import layers as L
from .ledger import Entry, Ledger
from .network import INPUT, Node
from .rules import Rule, whole
from .stabilize import share, stabilize
from .text import listing, quote


# A residual beyond this part of a layer's turnover is no rounding; `explain` refuses to return it.
ROUNDING = {"float64": 1e-9, "float32": 1e-3}
# Nor is one below this, however small the turnover: the numbers of a million units underflow there, or lose their digits.
UNDERFLOW = {"float64": 1e-300, "float32": 1e-30}


@dataclasses.dataclass
class Booked:
    """What a layer absorbed of each sample's relevance: float64 [n] each."""
    bias: np.ndarray
    stabilizer: np.ndarray
    gated: np.ndarray

    @classmethod
    def nothing(cls, samples):
        """A new page."""
        return cls(np.zeros(samples), np.zeros(samples), np.zeros(samples))


@dataclasses.dataclass(frozen=True)
class Step:
    """One node with the rule chosen for it and, for a linear layer, the rule's groups of terms."""
    node: Node
    rule: Rule
    groups: tuple

    @property
    def rule_name(self):
        """The rule as the ledger prints it."""
        return "winner takes all" if isinstance(self.node.layer, L.WinnerTakesAll) else repr(self.rule)

    def back(self, trace, r):
        """([R_in for each input], Booked) from the relevance r at the node's output."""
        layer, booked = self.node.layer, Booked.nothing(len(r))
        xs, y = [trace.outputs[name] for name in self.node.inputs], trace.outputs[self.node.name]
        if isinstance(layer, L.Linear):
            return [through_linear(self, *xs, y, r, booked)], booked
        if isinstance(layer, L.Merge):
            return through_merge(self, xs, y, r, booked), booked
        if isinstance(layer, L.LayerNorm):
            return [through_layer_norm(self, *xs, y, r, booked)], booked
        moved = move_back(layer, xs, trace.winners.get(self.node.name), r)
        if isinstance(layer, L.ZeroPadding2D):  # relevance that a rule put on the padding goes nowhere
            booked.gated += total(r) - sum(map(total, moved))
        return moved, booked


def plan(network, rules):
    """A Step for every node in topological order, with the rule chosen for it: its weights are made once, before any data."""
    return tuple(Step(node, rule, rule.groups(node.layer) if isinstance(node.layer, L.Linear) else ())
                 for node, rule in zip(network.nodes, rules))


def total(array):
    """Σ over all but the batch axis, in float64: [n]."""
    return array.reshape(len(array), -1).sum(axis=1, dtype=np.float64)


def through_linear(step, x, y, r, booked):
    """R_in of a linear layer: the loop that every rule shares (see `rules`)."""
    layer, r_in = step.node.layer, np.zeros_like(x)
    booked.gated += total(r)
    for group in step.groups:
        parts = [(term, term.part(x)) for term in group.terms]
        # A part that is zero everywhere (x⁻ behind a ReLU) adds nothing and takes nothing.
        parts = [(term, part) for term, part in parts if term.bias is not None or part.any()]
        if is_forward(group, layer):
            z = y
        else:
            z = sum((term.sign * layer.linear(part, term.kernel, term.bias) for term, part in parts), np.zeros_like(y))
        s = divide(r if group.gate is None else r * group.gate(y), z, step.rule, group.coefficient, booked)
        for term, part in parts:
            r_in += (group.coefficient * term.sign) * part * layer.adjoint(s, term.kernel, x.shape[1:])
            if term.bias is not None:
                booked.bias += group.coefficient * term.sign * total(s * term.bias)
    return r_in


def divide(r, z, rule, coefficient, booked):
    """s = r / stabilize(z), where z is not zero; books what the stabilizer takes, and takes the rest off `gated`."""
    stable = stabilize(z, rule.stabilizer(z))
    s, shared = share(r, stable)
    booked.stabilizer += coefficient * total(s * (stable - z))
    booked.gated -= coefficient * total(r * shared)
    return s


def through_merge(step, xs, y, r, booked):
    """R_in of each input of a sum: in proportion to what it put in, R_i = σ_i x_i · R / z."""
    booked.gated += total(r)
    s = divide(r, y, step.rule, 1.0, booked)
    # An input may come in twice: adding to zeros keeps -0 from depending on the order.
    return [np.zeros_like(x) + sign * x * s for sign, x in zip(step.node.layer.signs(len(xs)), xs)]


def through_layer_norm(step, x, y, r, booked):
    """R_in of a layer normalisation: LRP-0 of the linear map it is with its deviation held fixed."""
    booked.gated += total(r)
    s = divide(r, y, step.rule, 1.0, booked)
    booked.bias += total(s * step.node.layer.bias)
    return np.zeros_like(x) + x * step.node.layer.adjoint_at(x, s)


def move_back(layer, xs, winners, r):
    """[R_in] where relevance goes back the way the numbers came: moves, maxima, activations."""
    if isinstance(layer, L.WinnerTakesAll):
        return [layer.to_winners(r, winners, xs[0].shape[1:])]
    if isinstance(layer, L.Move):
        return list(layer.back(r, *(x.shape[1:] for x in xs)))
    return [r]


def is_split(step):
    """Does a step look at parts of weights or inputs, so that it needs denominators of its own?"""
    return any(not is_forward(group, step.node.layer) for group in getattr(step, "groups", ()))


def is_forward(group, layer):
    """Is the group's z the layer's own output, which the trace already holds?"""
    term = group.terms[0]
    return (len(group.terms) == 1 and term.part is whole and term.sign == 1
            and term.kernel is layer.kernel and term.bias is layer.bias)


def propagate(steps, trace, start, *, keep, stop=None, layers=False):
    """Carry relevance from where it starts down to the input; returns ({node name: relevance where it ended}, Ledger).

    start: (node name, R [n, *its shape]). keep: {node name: mask over its channels}: relevance of other channels is
    dropped there (and booked as gated). stop: a node below which nothing is carried. layers: return the relevance at
    every node it met, not only where it ended.
    """
    name, r = start
    relevance, entries, unmet = {name: r}, [], set(keep)
    for step in reversed(steps):
        node = step.node
        r = relevance.get(node.name)
        if r is None:
            continue
        if node.name in keep:
            unmet.discard(node.name)
            kept = r * keep[node.name]
            zero = np.zeros(len(r))
            entries.append(Entry(f"{node.name} (kept)", "", "chosen channels", total(r), total(kept), zero, zero,
                                 total(r) - total(kept), total(np.abs(r)) + total(np.abs(kept))))
            r = relevance[node.name] = kept
        if node.name == stop:
            continue
        if not layers:
            del relevance[node.name]
        moved, booked = step.back(trace, r)
        for source, r_in in zip(node.inputs, moved):
            relevance[source] = relevance[source] + r_in if source in relevance else r_in
        entries.append(Entry(node.name, node.layer.type, step.rule_name, total(r), sum(map(total, moved)), booked.bias,
                             booked.stabilizer, booked.gated, total(np.abs(r)) + sum(total(np.abs(m)) for m in moved)))
    refuse_unmet(unmet, name)
    ends = [total(relevance[end]) for end in (INPUT, stop) if end in relevance]
    return relevance, Ledger.of(tuple(entries), total(start[1]), sum(ends, np.zeros(len(start[1]))))


def refuse_unmet(unmet, start):
    """Raise ValueError where `keep` names nodes that no relevance from `start` has met."""
    if unmet:
        raise ValueError(f"keep: no relevance reaches {listing(map(quote, sorted(unmet)))} from {quote(start)}")


def check_finite(network, trace):
    """Refuse scores that overflow; name the first node whose output does."""
    if np.abs(trace.outputs[network.nodes[-1].name]).max() < np.finfo(np.float32).max:
        return
    for node in network.nodes:
        if not np.abs(trace.outputs[node.name]).max() < np.finfo(np.float32).max:
            raise ValueError(f"the output of node {quote(node.name)} overflows: its weights or the input are too large")


def check_relevance(ledger, dtype):
    """Refuse relevance that overflows the numbers it is computed in; name the first layer where it does."""
    finite = np.isfinite(ledger.numbers).reshape(len(ledger.pages), -1).all(axis=1)
    if not finite.all():
        more = "; use dtype='float64'" if dtype == "float32" else ""
        raise ValueError(f"the relevance at layer {quote(ledger.pages[int(finite.argmin())][0])} overflows {dtype}: its weights or "
                         f"the input are too large{more}")
