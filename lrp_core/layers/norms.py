"""Normalisation by what is measured on the sample itself: linear once the deviation is held fixed."""
import dataclasses
from typing import ClassVar

import numpy as np

from ..checks import is_number, is_whole
from ..text import quote
from .base import Activation, Layer, frozen


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Normalization(Layer):
    """y = γ (x - mean x) / σ + β,  σ = sqrt(mean (x - mean x)² + ε),  kernel γ [c], bias β [c].

    A subclass says over what the mean is taken. With σ held fixed this is the linear map
    y = (γ/σ)(x - mean x) + β,  which is what LRP shares relevance by (the LN rule of Ali et al. 2022, arXiv
    2202.07304); the gradient knows that σ depends on x.
    """
    kernel: np.ndarray
    bias: np.ndarray
    epsilon: float = 1e-3
    arrays = ("kernel", "bias")
    options: ClassVar[tuple[str, ...]] = ("epsilon",)
    centred = True  # is the mean taken off?

    def __post_init__(self):
        kernel, bias = np.asarray(self.kernel), np.asarray(self.bias)
        if kernel.ndim != 1 or kernel.shape != bias.shape:
            raise ValueError(f"{self.type}: kernel and bias must be of one shape [c], found {kernel.shape} "
                             f"and {bias.shape}")
        if not (is_number(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"{self.type}: epsilon must be a number above 0, got {quote(self.epsilon)}")
        object.__setattr__(self, "kernel", frozen(kernel, f"{self.type}: the kernel"))
        object.__setattr__(self, "bias", frozen(bias, f"{self.type}: the bias"))

    def output_shape(self, shape):
        if shape[-1:] != self.kernel.shape:
            raise ValueError(f"{self.type} takes {self.kernel.shape[0]} channels, its input is {shape}")
        return shape

    def mean(self, x):
        """The mean that belongs to each number, in a shape that broadcasts against x."""
        return x.mean(axis=-1, keepdims=True)

    def _centre(self, x):
        return x - self.mean(x) if self.centred else x

    def _measure(self, x):
        """(x - mean x, σ)."""
        centred = self._centre(x)
        return centred, np.sqrt(self.mean(np.square(centred)) + x.dtype.type(self.epsilon))

    def forward(self, x):
        centred, sigma = self._measure(x)
        return centred / sigma * self.kernel + self.bias

    def adjoint_at(self, x, s):
        """The transpose, at x, of the linear map with σ held fixed."""
        return self._centre(s * self.kernel / self._measure(x)[1])

    def linear_at(self, x, u):
        """The linear map with σ held fixed at its value for x, without β: <linear_at(x, u), s> =
        <u, adjoint_at(x, s)>.
        """
        return self._centre(u) / self._measure(x)[1] * self.kernel

    def gradient_at(self, x, r):
        """The transpose, at x, of the true derivative."""
        centred, sigma = self._measure(x)
        unit, weighted = centred / sigma, r * self.kernel
        return (self._centre(weighted) - unit * self.mean(weighted * unit)) / sigma


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LayerNorm(Normalization):
    """Layer normalisation: over the last axis (see `Normalization`)."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RMSNorm(Normalization):
    """y = γ x / sqrt(mean x² + ε) + β over the last axis: nothing is taken off first."""
    centred = False


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GroupNorm(Normalization):
    """Over all positions and the channels of a group; with as many groups as channels, instance
    normalisation.

    groups: how many, each of neighbouring channels (the last axis).
    """
    groups: int = 1
    options = ("epsilon", "groups")

    def __post_init__(self):
        super().__post_init__()
        if not is_whole(self.groups) or self.groups < 1 or len(self.kernel) % self.groups:
            raise ValueError(f"GroupNorm: groups must divide the {len(self.kernel)} channels, got "
                             f"{quote(self.groups)}")
        object.__setattr__(self, "groups", int(self.groups))

    def mean(self, x):
        rows = x.reshape(len(x), -1, self.groups, x.shape[-1] // self.groups)
        means = np.repeat(rows.mean(axis=(1, 3)), rows.shape[-1], axis=-1)
        return means.reshape(len(x), *[1] * (x.ndim - 2), -1)


@dataclasses.dataclass(frozen=True)
class LocalResponseNorm(Activation):
    """y_c = x_c / (k + α/n Σ x²)^β, the sum over the n channels around c (AlexNet's).

    The denominator is held fixed when relevance passes: one number in, one number out.
    """
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0
    options = ("size", "alpha", "beta", "k")

    def __post_init__(self):
        if not is_whole(self.size) or not 1 <= self.size < 1 << 16:
            raise ValueError("LocalResponseNorm: size must be a whole number above 0, got "
                             f"{quote(self.size)}")
        if not all(is_number(n) and n >= 0 for n in (self.alpha, self.beta, self.k)) or self.k == 0:
            raise ValueError("LocalResponseNorm: alpha and beta must be numbers from 0, k one above 0, got "
                             f"{quote((self.alpha, self.beta, self.k))}")

    def _around(self, x, before, after):
        """Σ over the channels from `before` below to `after` above each."""
        sums = np.cumsum(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before + 1, after)]), axis=-1)
        return sums[..., before + after + 1:] - sums[..., :x.shape[-1]]

    def _scale(self, x):
        before = (self.size - 1) // 2
        return self.k + self.alpha / self.size * self._around(np.square(x), before, self.size - 1 - before)

    def forward(self, x):
        return (x / self._scale(x) ** self.beta).astype(x.dtype, copy=False)

    def gradient_at(self, x, r):
        """The transpose, at x, of the derivative: the denominators depend on x too."""
        before, scale = (self.size - 1) // 2, self._scale(x)
        by_others = self._around(r * x * scale ** (-self.beta - 1), self.size - 1 - before, before)
        return r * scale ** -self.beta - 2 * self.alpha * self.beta / self.size * x * by_others
