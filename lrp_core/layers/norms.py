"""Layer normalisation: linear once the deviation it measured is held fixed."""
import dataclasses

import numpy as np

from ..checks import is_number
from ..text import quote
from .base import Layer, frozen


@dataclasses.dataclass(frozen=True, eq=False)
class LayerNorm(Layer):
    """y = γ (x - mean x) / sqrt(var x + ε) + β over the last axis; kernel γ [c], bias β [c].

    With σ = sqrt(var x + ε) held fixed this is the linear map  y = (γ/σ)(x - mean x) + β,  which is what LRP
    shares relevance by (the LN rule of Ali et al. 2022, arXiv 2202.07304); the gradient knows that σ depends
    on x.
    """
    kernel: np.ndarray
    bias: np.ndarray
    epsilon: float = 1e-3
    arrays = ("kernel", "bias")
    options = ("epsilon",)

    def __post_init__(self):
        kernel, bias = np.asarray(self.kernel), np.asarray(self.bias)
        if kernel.ndim != 1 or kernel.shape != bias.shape:
            raise ValueError(f"LayerNorm: kernel and bias must be of one shape [c], found {kernel.shape} and "
                             f"{bias.shape}")
        if not (is_number(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"LayerNorm: epsilon must be a number above 0, got {quote(self.epsilon)}")
        object.__setattr__(self, "kernel", frozen(kernel, "LayerNorm: the kernel"))
        object.__setattr__(self, "bias", frozen(bias, "LayerNorm: the bias"))

    def output_shape(self, shape):
        if shape[-1:] != self.kernel.shape:
            raise ValueError(f"LayerNorm takes {self.kernel.shape[0]} channels, its input is {shape}")
        return shape

    def _measure(self, x):
        """(x - mean x, σ)."""
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred, np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + x.dtype.type(self.epsilon))

    def forward(self, x):
        centred, sigma = self._measure(x)
        return centred / sigma * self.kernel + self.bias

    def adjoint_at(self, x, s):
        """The transpose, at x, of the linear map with σ held fixed."""
        weighted = s * self.kernel / self._measure(x)[1]
        return weighted - weighted.mean(axis=-1, keepdims=True)

    def gradient_at(self, x, r):
        """The transpose, at x, of the true derivative."""
        centred, sigma = self._measure(x)
        unit, weighted = centred / sigma, r * self.kernel
        return (
            weighted
            - weighted.mean(axis=-1, keepdims=True)
            - unit * (weighted * unit).mean(axis=-1, keepdims=True)
        ) / sigma
