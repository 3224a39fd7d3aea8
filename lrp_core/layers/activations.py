"""Activations: one number in, one number out; relevance passes through them. Softmax is the exception."""
import dataclasses
import math

import numpy as np

from ..checks import is_number, is_whole
from ..text import quote
from . import special
from .base import Activation, Layer


@dataclasses.dataclass(frozen=True)
class ReLU(Activation):
    """max(x, 0)."""

    def forward(self, x):
        return np.maximum(x, 0)

    def derivative(self, x):
        return (x > 0).astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    def forward(self, x):
        return np.clip(x, 0, 6)

    def derivative(self, x):
        return ((x > 0) & (x < 6)).astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class LeakyReLU(Activation):
    """x where x > 0, slope·x elsewhere."""
    slope: float = 0.3
    options = ("slope",)

    def __post_init__(self):
        check_number(self, "slope", self.slope)

    def forward(self, x):
        scaled = x.dtype.type(self.slope) * x
        return np.maximum(x, scaled) if 0 <= self.slope <= 1 else np.where(x > 0, x, scaled)

    def derivative(self, x):
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))


@dataclasses.dataclass(frozen=True)
class ELU(Activation):
    """x where x > 0, alpha·(e^x - 1) elsewhere."""
    alpha: float = 1.0
    options = ("alpha",)

    def __post_init__(self):
        check_number(self, "alpha", self.alpha)

    def forward(self, x):
        return np.where(x > 0, x, x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0)))

    def derivative(self, x):
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(self.alpha) * np.exp(np.minimum(x, 0)))


@dataclasses.dataclass(frozen=True)
class GELU(Activation):
    """x·Φ(x), Φ the normal distribution; with `approximate` its tanh form."""
    approximate: bool = False
    options = ("approximate",)

    def __post_init__(self):
        if not isinstance(self.approximate, bool):
            raise ValueError(f"GELU: approximate must be true or false, got {quote(self.approximate)}")

    def _inner(self, x):
        return math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)

    def forward(self, x):
        if self.approximate:
            return 0.5 * x * (1 + np.tanh(self._inner(x)))
        return x * special.ndtr(x)

    def derivative(self, x):
        if self.approximate:
            t = np.tanh(self._inner(x))
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return special.ndtr(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@dataclasses.dataclass(frozen=True)
class SiLU(Activation):
    """x·σ(x), also called swish."""

    def forward(self, x):
        return x * special.expit(x)

    def derivative(self, x):
        gate = special.expit(x)
        return gate + x * gate * (1 - gate)


@dataclasses.dataclass(frozen=True)
class Tanh(Activation):
    """tanh(x)."""

    def forward(self, x):
        return np.tanh(x)

    def derivative(self, x):
        return 1 - np.tanh(x) ** 2


@dataclasses.dataclass(frozen=True)
class Sigmoid(Activation):
    """σ(x) = 1 / (1 + e^-x)."""

    def forward(self, x):
        return special.expit(x)

    def derivative(self, x):
        gate = special.expit(x)
        return gate * (1 - gate)


@dataclasses.dataclass(frozen=True)
class Scale(Activation):
    """factor·x: multiplication by a constant."""
    factor: float = 1.0
    options = ("factor",)

    def __post_init__(self):
        check_number(self, "factor", self.factor)

    def forward(self, x):
        return x * x.dtype.type(self.factor)

    def derivative(self, x):
        return np.full_like(x, self.factor)


@dataclasses.dataclass(frozen=True)
class OverAxis(Layer):
    """A layer that compares the numbers along one axis: counted from 1, as the batch's is 0; -1 is the last.
    Several axes are one row.
    """
    axis: int | tuple = -1
    options = ("axis",)

    @property
    def _axes(self):
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def __post_init__(self):
        if not self._axes or not all(is_whole(axis) and axis != 0 for axis in self._axes):
            raise ValueError(f"{self.type}: axis must be a whole number other than 0, the batch's, or "
                             f"several, got {quote(self.axis)}")

    def output_shape(self, shape):
        if not all(-len(shape) <= axis <= len(shape) for axis in self._axes):
            raise ValueError(f"{self.type}: there is no axis {self.axis} in {shape}")
        return shape


@dataclasses.dataclass(frozen=True)
class Softmax(OverAxis):
    """exp(x_i) / Σ_j exp(x_j) over one axis. At a network's end, explanations start from the logits before
    it.
    """

    def forward(self, x):
        exponentials = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return exponentials / exponentials.sum(axis=self.axis, keepdims=True)


@dataclasses.dataclass(frozen=True)
class LogSoftmax(OverAxis):
    """x_i - ln Σ_j exp(x_j) over one axis, as of `Softmax`."""

    def forward(self, x):
        return special.log_softmax(x, axis=self.axis)


def check_number(layer, name, value):
    """Refuse an option that is not a finite number."""
    if not is_number(value):
        raise ValueError(f"{layer.type}: {name} must be a number, got {quote(value)}")
