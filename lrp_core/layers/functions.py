"""Functions of one number: relevance passes through them (one in, one out), whatever they compute.

Where a function is not defined (log of a negative number, say), the output is not finite and is refused.
"""
import dataclasses
import math

import numpy as np

from ..checks import is_number
from ..text import quote
from . import special
from .activations import check_number
from .base import Activation, frozen


def function(name, formula, forward, derivative):
    """A layer class without options from y = forward(x) and dy/dx = derivative(x)."""
    def quietly(self, x):
        with np.errstate(all="ignore"):  # what is not finite is refused later, by the node's name
            return forward(x)
    methods = {"__doc__": formula, "__module__": __name__,
               "forward": quietly, "derivative": lambda self, x: derivative(x)}
    return dataclasses.dataclass(frozen=True)(type(name, (Activation,), methods))


def _inside(low, high):
    return lambda x: ((x > low) & (x < high)).astype(x.dtype)


Exp = function("Exp", "e^x.", np.exp, np.exp)
Log = function("Log", "ln x.", np.log, lambda x: 1 / x)
Sqrt = function("Sqrt", "√x.", np.sqrt, lambda x: 0.5 / np.sqrt(x))
Abs = function("Abs", "|x|.", np.abs, np.sign)
Reciprocal = function("Reciprocal", "1 / x.", lambda x: 1 / x, lambda x: -1 / np.square(x))
Softplus = function("Softplus", "ln(1 + e^x).", lambda x: np.logaddexp(x, 0), special.expit)
Softsign = function("Softsign", "x / (1 + |x|).", lambda x: x / (1 + np.abs(x)),
                    lambda x: 1 / np.square(1 + np.abs(x)))
HardSwish = function("HardSwish", "x · min(max(x + 3, 0), 6) / 6.", lambda x: x * np.clip(x + 3, 0, 6) / 6,
                     lambda x: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6)).astype(x.dtype))
Sin = function("Sin", "sin x.", np.sin, np.cos)
Cos = function("Cos", "cos x.", np.cos, lambda x: -np.sin(x))
Erf = function("Erf", "erf x.", special.erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-np.square(x)))
Tan = function("Tan", "tan x.", np.tan, lambda x: 1 / np.square(np.cos(x)))
Atan = function("Atan", "arctan x.", np.arctan, lambda x: 1 / (1 + np.square(x)))
Sinh = function("Sinh", "sinh x.", np.sinh, np.cosh)
Cosh = function("Cosh", "cosh x.", np.cosh, np.sinh)
Ceil = function("Ceil", "The next whole number above.", np.ceil, np.zeros_like)
IsNaN = function("IsNaN", "1 where x is not a number, else 0.", lambda x: np.isnan(x).astype(x.dtype),
                 np.zeros_like)
IsInf = function("IsInf", "1 where x is infinite, else 0.", lambda x: np.isinf(x).astype(x.dtype),
                 np.zeros_like)
Sign = function("Sign", "-1, 0 or 1.", np.sign, np.zeros_like)
Floor = function("Floor", "The next whole number below.", np.floor, np.zeros_like)
Round = function("Round", "The nearest whole number, the even one of two.", np.round, np.zeros_like)


def _mish_derivative(x):
    t, gate = np.tanh(np.logaddexp(x, 0)), special.expit(x)
    return t + x * (1 - t * t) * gate


Mish = function("Mish", "x · tanh(ln(1 + e^x)).", lambda x: x * np.tanh(np.logaddexp(x, 0)),
                _mish_derivative)


@dataclasses.dataclass(frozen=True)
class HardSigmoid(Activation):
    """min(max(alpha·x + beta, 0), 1)."""
    alpha: float = 1 / 6
    beta: float = 0.5
    options = ("alpha", "beta")

    def __post_init__(self):
        for name in self.options:
            check_number(self, name, getattr(self, name))

    def forward(self, x):
        return np.clip(x.dtype.type(self.alpha) * x + x.dtype.type(self.beta), 0, 1)

    def derivative(self, x):
        return _inside(0, 1)(self.alpha * x + self.beta) * x.dtype.type(self.alpha)


@dataclasses.dataclass(frozen=True)
class Step(Activation):
    """1 where x > 0, else 0: a comparison. With `closed`, 1 where x is 0 too."""
    closed: bool = False
    options = ("closed",)

    def __post_init__(self):
        if not isinstance(self.closed, bool):
            raise ValueError(f"Step: closed must be true or false, got {quote(self.closed)}")

    def forward(self, x):
        return (x >= 0 if self.closed else x > 0).astype(x.dtype)

    def derivative(self, x):
        return np.zeros_like(x)


@dataclasses.dataclass(frozen=True)
class Power(Activation):
    """x^exponent."""
    exponent: float = 2.0
    options = ("exponent",)

    def __post_init__(self):
        check_number(self, "exponent", self.exponent)

    def forward(self, x):
        return np.square(x) if self.exponent == 2 else x ** x.dtype.type(self.exponent)

    def derivative(self, x):
        return x.dtype.type(self.exponent) * x ** x.dtype.type(self.exponent - 1)


@dataclasses.dataclass(frozen=True)
class Clip(Activation):
    """min(max(x, low), high); None is no bound."""
    low: float | None = None
    high: float | None = None
    options = ("low", "high")

    def __post_init__(self):
        if not all(n is None or is_number(n) for n in (self.low, self.high)):
            raise ValueError(f"Clip's bounds must be numbers or None, got {quote((self.low, self.high))}")

    def _bounds(self):
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def forward(self, x):
        return np.clip(x, *map(x.dtype.type, self._bounds()))

    def derivative(self, x):
        return _inside(*self._bounds())(x)


@dataclasses.dataclass(frozen=True)
class Selu(Activation):
    """gamma·x where x > 0, gamma·alpha·(e^x - 1) elsewhere."""
    alpha: float = 1.6732632423543772
    gamma: float = 1.0507009873554805
    options = ("alpha", "gamma")

    def __post_init__(self):
        for name in self.options:
            check_number(self, name, getattr(self, name))

    def forward(self, x):
        return x.dtype.type(self.gamma) * np.where(x > 0, x, x.dtype.type(self.alpha)
                                                   * np.expm1(np.minimum(x, 0)))

    def derivative(self, x):
        return x.dtype.type(self.gamma) * np.where(x > 0, x.dtype.type(1), x.dtype.type(self.alpha)
                                                   * np.exp(np.minimum(x, 0)))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PReLU(Activation):
    """x where x > 0, kernel·x elsewhere; kernel: the slopes, in a shape that broadcasts against a sample."""
    kernel: np.ndarray
    arrays = ("kernel",)

    def __post_init__(self):
        object.__setattr__(self, "kernel", frozen(np.asarray(self.kernel), "PReLU: the slopes"))

    def output_shape(self, shape):
        if np.broadcast_shapes(self.kernel.shape, shape) != tuple(shape):
            raise ValueError(f"PReLU's slopes {self.kernel.shape} do not fit its input {shape}")
        return shape

    def forward(self, x):
        return np.where(x > 0, x, self.kernel * x).astype(x.dtype, copy=False)

    def derivative(self, x):
        return np.where(x > 0, 1, np.broadcast_to(self.kernel, x.shape)).astype(x.dtype)
