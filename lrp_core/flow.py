"""How relevance crosses each kind of layer: one function, `flow`, that dispatches on the layer's type.

    [R_in for each input] = flow(layer, rule, xs, y, R, book)

Strangers' layers use the same door as ours:

    @lrp_core.flow.register(MyLayer)
    def through_my_layer(layer, rule, xs, y, r, book):
        book.gated += ...          # what does not arrive at the inputs, for each sample: the ledger adds up
        return [r_in]

`gradients.gradient_flow` is its twin for gradients. The arithmetic of LRP's rules is in `through_linear`.
"""
import dataclasses
import functools
import typing

import numpy as np

from . import layers as L
from .ledger import ABSORBED
from .rules import Rule, whole
from .stabilize import share, stabilize


class Book:
    """What one layer absorbed of each sample's relevance while it was crossed: a float64 array [n] for each
    of `ABSORBED`.

    bias, stabilizer, gated, by_rule, softmax, state: see `ledger.Entry`; add to them in place. kept: what the
    layer's `forward_keeping` kept for its way back, or None.
    """

    bias: np.ndarray
    stabilizer: np.ndarray
    gated: np.ndarray
    by_rule: np.ndarray
    softmax: np.ndarray
    state: np.ndarray

    def __init__(self, samples: int, kept: typing.Any = None):
        self.kept = kept
        for column in ABSORBED:
            setattr(self, column, np.zeros(samples))


@functools.singledispatch
def flow(layer: L.Layer, rule: Rule, xs: list[np.ndarray], y: np.ndarray, r: np.ndarray,
         book: Book) -> list[np.ndarray]:
    """Carry relevance from a layer's output to its inputs: [R_in for each of xs].

    layer: decides, by its type, which of the registered functions runs. rule: the Rule chosen for it. xs: its
    inputs, [n, *shape] each. y: its output. r: the relevance there, in y's shape. book: a Book; what does not
    arrive must be booked there. Raises ValueError for a layer that nothing is registered for.
    """
    raise ValueError(f"{layer.type} cannot be explained: LRP has no rule for it; "
                     f"register a function with @lrp_core.flow.register({layer.type})")


unknown = flow.dispatch(object)  # what runs for a type that nothing is registered for


def can_cross(layer: L.Layer) -> bool:
    """Is a function registered for layers of this type?"""
    return flow.dispatch(type(layer)) is not unknown


# ---- layers that mix their inputs

@flow.register(L.Linear)
def through_linear(layer, rule, xs, y, r, book):
    """R_in of a linear layer: the loop that every rule shares (see `rules`)."""
    (x,) = xs
    r_in = np.zeros_like(x)
    book.gated += total(r)
    for group in rule.groups(layer):
        parts, z = parts_of(group, layer, x, y)
        s = divide(r if group.gate is None else r * group.gate(y), z, rule, group.coefficient, book)
        for term, part in parts:
            # In this order NumPy reuses the adjoint's memory for both products.
            r_in += (group.coefficient * term.sign) * (part * layer.adjoint(s, term.kernel, x.shape[1:]))
            if term.bias is not None:
                book.bias += group.coefficient * term.sign * total(s * term.bias)
        parts = part = z = s = None  # freed before the next group's are made
    return [r_in]


def parts_of(group, layer, x, y):
    """([(term, its part of x) ...], z) of a group of a linear layer's rule."""
    parts = [(term, term.part(x)) for term in group.terms]
    # A part that is zero everywhere (x⁻ after a ReLU) adds nothing and takes nothing.
    parts = [(term, part) for term, part in parts if term.bias is not None or part.any()]
    if is_forward(group, layer):
        return parts, y
    return parts, sum((term.sign * layer.linear(part, term.kernel, term.bias) for term, part in parts),
                      np.zeros_like(y))


@flow.register(L.Merge)
def through_merge(layer, rule, xs, y, r, book):
    """R_in of each input of a sum: in proportion to what it put in, R_i = σ_i x_i · R / stabilize(z)."""
    book.gated += total(r)
    s = divide(r, y, rule, 1.0, book)
    # An input may come in twice: adding to zeros keeps -0 from depending on the order.
    return [np.zeros_like(x) + sign * x * s for sign, x in zip(layer.signs(len(xs)), xs)]


@flow.register(L.Normalization)
def through_normalization(layer, rule, xs, y, r, book):
    """R_in of a normalisation: LRP-0 of the linear map it is with its deviation held fixed."""
    (x,), y, r = exact(layer, xs, y, r)
    book.gated += total(r)
    s = divide(r, y, rule, 1.0, book)
    book.bias += total(s * layer.bias)
    return [np.zeros_like(x) + x * layer.adjoint_at(x, s)]


# ---- layers that relevance passes: whatever the rule

@flow.register(L.Activation)
def through_activation(layer, rule, xs, y, r, book):
    """One in, one out: R_in = R."""
    return [r]


@flow.register(L.Move)
def through_move(layer, rule, xs, y, r, book):
    """Relevance goes back the way the numbers came."""
    return list(layer.back(r, *(x.shape[1:] for x in xs)))


@flow.register(L.ZeroPadding2D)
@flow.register(L.Pad)
def through_padding(layer, rule, xs, y, r, book):
    """As `through_move`; relevance that a rule put on the padding goes nowhere, and is gated."""
    (r_in,) = through_move(layer, rule, xs, y, r, book)
    book.gated += total(r) - total(r_in)
    return [r_in]


@flow.register(L.WinnerTakesAll)
def through_max_pool(layer, rule, xs, y, r, book):
    """All of it to the winner of each window (`book.kept`)."""
    return [layer.to_winners(r, book.kept, xs[0].shape[1:])]


# Of ours: those that relevance only passes, whatever the rule, and those where a rule decides.
PASSES = (through_activation, through_move, through_padding, through_max_pool)
MIXES = (through_linear, through_merge, through_normalization)


# ---- what these functions share

def total(array: np.ndarray) -> np.ndarray:
    """Σ over all but the batch axis, in float64: [n]."""
    return array.reshape(len(array), -1).sum(axis=1, dtype=np.float64)


def divide(r, z, rule, coefficient, book):
    """s = r / stabilize(z), where z is not zero; books what the stabilizer takes, and takes the rest off
    `gated`.
    """
    stable = stabilize(z, checked_epsilon(rule, z))
    s, shared = share(r, stable)
    book.stabilizer += coefficient * total(s * (stable - z))
    book.gated -= coefficient * total(r * shared)
    return s


def checked_epsilon(rule, z):
    """The rule's ε for denominators z; raises ValueError for a shape it must not have."""
    epsilon = np.asarray(rule.stabilizer(z))
    if epsilon.ndim not in (0, z.ndim) or any(n not in (1, m) for n, m in zip(epsilon.shape, z.shape)):
        raise ValueError(f"{rule!r}: stabilizer(z) must return a number, or an array of shape "
                         f"({', '.join(['n', *['1'] * (z.ndim - 1)])}) with one for each sample; got shape "
                         f"{epsilon.shape} for z of shape {z.shape}")
    return epsilon


def exact(layer, xs, y, r):
    """(xs, y, r) in double precision, with y computed anew where it was rounded.

    Where terms cancel, a rounded y is not what its rounded inputs sum to.
    """
    if all(array.dtype == np.float64 for array in (*xs, y)):
        return xs, y, r
    xs = [x.astype(np.float64) for x in xs]
    return xs, layer.forward(*xs), r.astype(np.float64)


def is_forward(group, layer):
    """Is the group's z the layer's own output, which the forward pass has already computed?"""
    term = group.terms[0]
    return (len(group.terms) == 1 and term.part is whole and term.sign == 1
            and term.kernel is layer.kernel and term.bias is layer.bias
            and type(layer).forward is L.Linear.forward)  # a subclass may have put something on top of it


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Prepared(Rule):
    """A rule with the groups it has for one layer: made once, not for every chunk of a batch."""
    rule: Rule
    layer: L.Layer
    made: typing.Any

    def __repr__(self):
        return repr(self.rule)

    def groups(self, layer):
        return self.made if layer is self.layer else self.rule.groups(layer)

    def stabilizer(self, z):
        return self.rule.stabilizer(z)


def is_ours(layer: L.Layer) -> bool:
    """Is this exactly one of this package's layers, crossed by this package's function for it?

    False for a subclass, which may compute something else, and where a function was registered over ours.
    """
    found = flow.dispatch(type(layer)).__module__
    return L.is_known(layer) and found.startswith(f"{__package__}.")
