"""LRP's rules. A rule only says what a layer's relevance is shared in proportion to; `flow` does the sharing.

A rule turns a layer's kernel W and bias b into groups of terms. One loop propagates all of them:

    for each group (coefficient c, gate m, terms [(sign σ, part x', W', b'), ...]):
        z    = Σ_terms σ·(W' x' + b')                      what reached each output
        s    = m·R / stabilize(z), and 0 where z = 0       relevance for each unit of it
        R_in += c · Σ_terms σ·x'·(W'ᵀ s)                   what each input put in

Layers without parameters have no choice of rule: activations, dropout and reshapes pass relevance on, a
max-pool gives it to the winner. Average pools are linear and take LRP-0 (see `composites`).

Sources: Bach et al. 2015 (doi 10.1371/journal.pone.0130140); Montavon et al. 2017
(10.1016/j.patcog.2016.11.008), 2019 (10.1007/978-3-030-28954-6_10); Lapuschkin et al. 2017 (ICCV workshops).
"""
import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

from .checks import is_number


def whole(x):
    """x' = x."""
    return x


def positive(x):
    """x' = x⁺ = max(x, 0); for a kernel: its positive part."""
    return np.maximum(x, 0)


def negative(x):
    """x' = x⁻ = min(x, 0); for a kernel: its negative part."""
    return np.minimum(x, 0)


def ones(x):
    """x' = 1: every input counts the same."""
    return np.ones_like(x)


@dataclasses.dataclass(frozen=True)
class Minus:
    """x' = x - bound. bound: a number, or nested tuples that broadcast against one sample."""
    bound: float | tuple

    def __call__(self, x):
        if not self.fits(x.shape[1:]):
            raise ValueError(f"a bound of shape {np.shape(self.bound)} does not fit inputs of shape "
                             f"{x.shape[1:]}")
        return x - np.asarray(self.bound, x.dtype)

    def fits(self, shape):
        """Does the bound broadcast against a sample of this shape?"""
        try:
            return np.broadcast_shapes(np.shape(self.bound), (1, *shape)) == (1, *shape)
        except ValueError:
            return False


@dataclasses.dataclass(frozen=True)
class Term:
    """One signed linear map of one part of the input: σ·(W' x' + b'), with x' = part(x); b' may be None."""
    part: Callable
    kernel: np.ndarray | None
    bias: np.ndarray | None = None
    sign: int = 1


@dataclasses.dataclass(frozen=True)
class Group:
    """Terms that share one denominator, and the coefficient c of what they give.

    gate: None, or which outputs take part, as a function of the layer's own output: m = gate(y).
    """
    terms: tuple
    coefficient: float = 1.0
    gate: Callable | None = None


def seldom(default):
    """A field of a rule that its printed form leaves out at its default."""
    return dataclasses.field(default=default, metadata={"seldom": True})


def as_forward(layer):
    """The groups of LRP-0: the layer as it is, so that z is the output that the forward pass computed."""
    return (Group((Term(whole, layer.kernel, layer.bias),)),)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Rule:
    """What all rules share: `groups(layer)`, and a stabilizer that is 0 unless the rule has one.

    Two rules are equal if they are of one type and their declared fields are. A rule whose class is no frozen
    dataclass of its own is equal to itself only, since nothing tells what its answers depend on.
    """

    def __repr__(self):
        shown = [field for field in dataclasses.fields(self)
                 if not ("seldom" in field.metadata and getattr(self, field.name) == field.default)]
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in shown)
        return f"{type(self).__name__}({', '.join(values)})"

    def __eq__(self, other):
        return self is other or (type(self) is type(other) and is_declared(self)
                                 and _fields(self) == _fields(other))

    def __hash__(self):
        return hash((type(self), _fields(self))) if is_declared(self) else object.__hash__(self)

    def stabilizer(self, z: np.ndarray) -> float | np.ndarray:
        """The ε that the rule adds to the denominators z [n, *shape]: a number, or one for each sample,
        [n, 1, ...].
        """
        return 0.0

    def groups(self, layer) -> tuple[Group, ...]:
        """The groups of terms by which relevance is shared in `layer` (a linear layer)."""
        raise NotImplementedError(f"{type(self).__name__} must define groups(layer), or through(layer, x, y, "
                                  "r)")

    def through(self, layer, x, y, r):
        """For rules that terms cannot express: R_in, in x's shape, from the relevance r at the layer's output
        y.

        A rule that defines this crosses layers of any kind by it, and its `groups` are not asked for. For a
        layer with several inputs x is a list, and a list is returned. What it does not pass on is booked as
        `by_rule`.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Zero(Rule):
    """LRP-0: each input gets what it contributed.

        R_i = Σ_j  x_i W_ij / z_j · R_j,    z_j = Σ_i x_i W_ij + b_j

    Conserves up to what the bias takes. Bach 2015, eq. 56; Montavon 2019, LRP-0.
    """

    def groups(self, layer):
        return as_forward(layer)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Epsilon(Rule):
    """LRP-ε: LRP-0 with denominators kept away from zero; a large ε also absorbs weak contributions.

        R_i = Σ_j  x_i W_ij / (z_j + ε·sign(z_j)) · R_j,    sign(0) = +1

    relative: ε is `epsilon` times the mean of |z| over the layer's outputs, for each sample by itself.

    Conserves up to what the bias and the stabilizer take. Bach 2015, eq. 58.
    """
    epsilon: float = 1e-7
    relative: bool = seldom(False)

    def __post_init__(self):
        if not (is_number(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a number above 0, got {self.epsilon!r}; for none use Zero()")

    def stabilizer(self, z):
        if not self.relative:
            return self.epsilon
        return self.epsilon * np.abs(z).reshape(len(z), -1).mean(axis=1).reshape(-1, *[1] * (z.ndim - 1))

    def groups(self, layer):
        return as_forward(layer)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class AlphaBeta(Rule):
    """LRP-αβ: contributions for and against are shared out apart, α of one and -β of the other.

        R_i = Σ_j ( α (x_i W_ij)⁺ / z⁺_j  -  β (x_i W_ij)⁻ / z⁻_j ) R_j,     α - β = 1
        (x W)⁺ = x⁺W⁺ + x⁻W⁻,     (x W)⁻ = x⁺W⁻ + x⁻W⁺

    How the bias enters the denominators z⁺ and z⁻, on which the field disagrees:
        "whole"   b in both (iNNvestigate's alpha_beta)
        "split"   b⁺ in z⁺ and b⁻ in z⁻ (Bach 2015; zennit)
        "ignore"  in neither (iNNvestigate's "ignore bias" variants)

    Conserves, where both parts exist, up to what the bias takes. Bach 2015, eq. 60.
    """
    alpha: float = 2.0
    beta: float = 1.0
    bias: str = "whole"

    def __post_init__(self):
        if not (is_number(self.alpha) and is_number(self.beta)):
            raise ValueError(f"alpha and beta must be numbers, got alpha={self.alpha!r}, beta={self.beta!r}")
        if not (self.alpha >= 1 and self.beta >= 0 and math.isclose(self.alpha - self.beta, 1)):
            raise ValueError(f"alpha - beta must be 1 with alpha >= 1 and beta >= 0, got alpha={self.alpha}, "
                             f"beta={self.beta}")
        check_bias(self.bias)

    def groups(self, layer):
        to_positive, to_negative = bias_parts(layer.bias, self.bias)
        up, down = positive(layer.kernel), negative(layer.kernel)
        groups = [Group((Term(positive, up, to_positive), Term(negative, down)), self.alpha)]
        if self.beta:
            groups.append(Group((Term(positive, down, to_negative), Term(negative, up)), -self.beta))
        return tuple(groups)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class ZPlus(Rule):
    """z⁺: LRP-α1β0, by default without the bias: only contributions in favour count.

        R_i = Σ_j  (x_i W_ij)⁺ / z⁺_j · R_j

    Conserves wherever something speaks in favour. Montavon 2017, z⁺ rule; `bias` as in AlphaBeta.
    """
    bias: str = "ignore"

    def __post_init__(self):
        check_bias(self.bias)

    def groups(self, layer):
        return AlphaBeta(1.0, 0.0, self.bias).groups(layer)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class WSquare(Rule):
    """w²: relevance follows the squared weights, whatever the input was.

        R_i = Σ_j  W_ij² / Σ_i' W_i'j² · R_j

    bias: "ignore" (the paper; iNNvestigate), or "whole", which adds b_j² to the denominator (zennit).

    Conserves, without the bias. Montavon 2017, w² rule.
    """
    bias: str = seldom("ignore")

    def __post_init__(self):
        if self.bias not in ("whole", "ignore"):
            raise ValueError(f"bias must be 'whole' or 'ignore', got {self.bias!r}")

    def groups(self, layer):
        b = None if layer.bias is None or self.bias == "ignore" else np.square(layer.bias)
        return (Group((Term(ones, np.square(layer.kernel), b),)),)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Flat(Rule):
    """Flat: relevance is spread evenly over all inputs that an output can see.

        R_i = Σ_j  1 / Σ_i' 1 · R_j

    Conserves. Lapuschkin et al. 2017.
    """

    def groups(self, layer):
        return (Group((Term(ones, np.ones_like(layer.kernel)),)),)


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Gamma(Rule):
    """LRP-γ: contributions in favour are favoured, by a factor of 1 + γ.

        R_i = Σ_j  ( x_i⁺ (W_ij + γ W_ij⁺) + x_i⁻ (W_ij + γ W_ij⁻) ) / z_j · R_j      where y_j > 0
        R_i = Σ_j  ( x_i⁺ (W_ij + γ W_ij⁻) + x_i⁻ (W_ij + γ W_ij⁺) ) / z_j · R_j      where y_j < 0

    The generalised form, for inputs and outputs of both signs; after a ReLU x⁻ = 0 and the first line is
    Montavon's rule. z_j holds the bias as b + γb⁺ (b + γb⁻ below zero). Montavon 2019; Andéol 2021.
    """
    gamma: float = 0.25

    def __post_init__(self):
        if not (is_number(self.gamma) and self.gamma >= 0):
            raise ValueError(f"gamma must be a number from 0, got {self.gamma!r}")

    def groups(self, layer):
        def favour(array, part):
            return None if array is None else array + array.dtype.type(self.gamma) * part(array)
        up, down = favour(layer.kernel, positive), favour(layer.kernel, negative)
        return (Group((Term(positive, up, favour(layer.bias, positive)), Term(negative, down)),
                      gate=above_zero),
                Group((Term(positive, down, favour(layer.bias, negative)), Term(negative, up)),
                      gate=below_zero))


def above_zero(y):
    """m = 1 where the layer's output is above zero."""
    return y > 0


def below_zero(y):
    """m = 1 where the layer's output is below zero."""
    return y < 0


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class ZBox(Rule):
    """z^B: for a first layer whose inputs lie in a box, low <= x <= high.

        R_i = Σ_j  (x_i W_ij - l_i W_ij⁺ - h_i W_ij⁻) / Σ_i' (x_i' W_i'j - l_i' W_i'j⁺ - h_i' W_i'j⁻) · R_j

    computed as (x - l) W⁺ + (x - h) W⁻: of inputs in the box both are at least 0, and nothing cancels.
    low, high: numbers, or arrays that broadcast against the input (one value a channel, say). No bias.
    Conserves. Montavon 2017, z^B rule.
    """
    low: float | tuple = 0.0
    high: float | tuple = 1.0

    def __post_init__(self):
        # Nested tuples compare, hash and print; arrays do not.
        for name in ("low", "high"):
            object.__setattr__(self, name, _plain(np.asarray(getattr(self, name), np.float64).tolist()))
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all()
                and (np.asarray(self.low) <= self.high).all()):
            raise ValueError(f"ZBox needs finite low <= high, got low={self.low}, high={self.high}")

    def groups(self, layer):
        return (Group((Term(Minus(self.low), positive(layer.kernel)),
                       Term(Minus(self.high), negative(layer.kernel)))),)

    def __repr__(self):
        low, high = (bound if isinstance(bound, float) else f"array{np.shape(bound)}"
                     for bound in (self.low, self.high))
        return f"ZBox(low={low}, high={high})"


def _plain(value):
    return tuple(map(_plain, value)) if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Pass(Rule):
    """Relevance passes unchanged: what activations, dropout and reshapes do. Not for layers that mix inputs.
    """

    def groups(self, layer):
        raise ValueError("Pass leaves relevance as it is and cannot cross a layer that mixes its inputs; "
                         "choose another rule for it")


def crosses_by_itself(rule):
    """Does the rule carry relevance across a layer itself, by `through`?"""
    return type(rule).through is not Rule.through


def is_declared(rule):
    """Do the fields that the rule's class declares, as a frozen dataclass, say all that its answers depend
    on?
    """
    parameters = vars(type(rule)).get("__dataclass_params__")
    return parameters is not None and parameters.frozen


@functools.cache
def _field_names(kind):
    return tuple(field.name for field in dataclasses.fields(kind))


def _fields(rule):
    return tuple([getattr(rule, name) for name in _field_names(type(rule))])


def check_bias(bias):
    """Refuse an unknown treatment of the bias."""
    if bias not in ("whole", "split", "ignore"):
        raise ValueError(f"bias must be 'whole', 'split' or 'ignore', got {bias!r}")


def bias_parts(b, treatment):
    """(bias in z⁺, bias in z⁻) for a treatment; None where there is none."""
    if b is None or treatment == "ignore":
        return None, None
    return (b, b) if treatment == "whole" else (positive(b), negative(b))
