"""Layers with learned weights: dense, convolutions in their variants, and batch normalisation as a diagonal
map.
"""
import dataclasses

import numpy as np

from ..checks import is_whole
from ..text import listing, quote
from ..window import Window, one_row
from . import maps
from .base import Linear, Weighted, frozen, map_shape, row_shape


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dense(Weighted):
    """z_m = Σ_k x_k W_km + b_m over the last axis; kernel [k, m], bias [m] or None."""
    kernel: np.ndarray
    bias: np.ndarray | None = None

    def __post_init__(self):
        self._check_parameters(2)

    @property
    def _size(self):
        return "{} -> {}".format(*self.kernel.shape)

    def output_shape(self, shape):
        if not shape or shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"Dense takes {self.kernel.shape[0]} features on the last axis, its input is "
                             f"{shape}")
        return (*shape[:-1], self.kernel.shape[1])

    def linear(self, x, kernel, bias):
        return maps.dense(x, kernel, bias)

    def adjoint(self, s, kernel, shape):
        return maps.dense_adjoint(s, kernel)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Conv2D(Weighted):
    """z[i, j, m] = Σ x[i·stride + u·dilation, j·stride + v·dilation, c] W[u, v, c, m] + b[m].

    kernel [kh, kw, c / groups, m], bias [m] or None. With groups, the g-th share of the outputs sees the g-th
    share of the inputs only.
    """
    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: tuple = (1, 1)
    padding: str = "valid"
    dilation: tuple = (1, 1)
    groups: int = 1
    options = ("strides", "padding", "dilation", "groups")

    def __post_init__(self):
        self._check_parameters(4)
        for name in ("strides", "padding", "dilation"):
            object.__setattr__(self, name, getattr(self.window, name))
        if not is_whole(self.groups) or self.groups < 1 or self.kernel.shape[3] % self.groups:
            raise ValueError(f"Conv2D: groups must divide the {self.kernel.shape[3]} filters, got "
                             f"{quote(self.groups)}")
        object.__setattr__(self, "groups", int(self.groups))

    @property
    def _size(self):
        kh, kw, channels, filters = self.kernel.shape
        return f"{kh}x{kw}, {channels * self.groups} -> {filters}"

    @property
    def window(self):
        """Where the kernel goes."""
        return Window(self.kernel.shape[:2], self.strides, self.padding, self.dilation)

    def output_shape(self, shape):
        height, width = map_shape(self, shape)
        if shape[2] != self.kernel.shape[2] * self.groups:
            raise ValueError(f"Conv2D's kernel takes {self.kernel.shape[2] * self.groups} channels, its "
                             f"input is {shape}")
        return (*self.window.output(height, width), self.kernel.shape[3])

    def _shares(self, kernel):
        """The kernel of each group, with the slices of input and output channels it joins."""
        size_in, size_out = kernel.shape[2], kernel.shape[3] // self.groups
        for g in range(self.groups):
            yield (slice(g * size_in, (g + 1) * size_in), slice(g * size_out, (g + 1) * size_out),
                   kernel[..., g * size_out:(g + 1) * size_out])

    def linear(self, x, kernel, bias):
        if self.groups == 1:
            return maps.conv2d(x, kernel, bias, self.window)
        z = np.concatenate([maps.conv2d(x[..., seen], part, None, self.window)
                            for seen, _, part in self._shares(kernel)], axis=-1)
        return z if bias is None else z + bias

    def adjoint(self, s, kernel, shape):
        if self.groups == 1:
            return maps.conv2d_adjoint(s, kernel, self.window, *shape[:2])
        return np.concatenate([maps.conv2d_adjoint(s[..., made], part, self.window, *shape[:2])
                               for _, made, part in self._shares(kernel)], axis=-1)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Conv1D(Weighted):
    """z[i, m] = Σ x[i·stride + u·dilation, c] W[u, c, m] + b[m]; kernel [k, c, m]: a Conv2D over one row."""
    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: int = 1
    padding: str = "valid"
    dilation: int = 1
    options = ("strides", "padding", "dilation")

    def __post_init__(self):
        self._check_parameters(3)
        window = one_row(self.window)
        for name, value in (("strides", window.strides[1]), ("padding", window.padding),
                            ("dilation", window.dilation[1])):
            object.__setattr__(self, name, value)

    @property
    def _size(self):
        return "{}, {} -> {}".format(*self.kernel.shape)

    @property
    def window(self):
        """Where the kernel goes, in a map of one row."""
        return Window((1, self.kernel.shape[0]), (1, self.strides), self.padding, (1, self.dilation))

    def output_shape(self, shape):
        length = row_shape(self, shape)
        if shape[1] != self.kernel.shape[1]:
            raise ValueError(f"Conv1D's kernel takes {self.kernel.shape[1]} channels, its input is {shape}")
        return (self.window.output(1, length)[1], self.kernel.shape[2])

    def linear(self, x, kernel, bias):
        return maps.conv2d(x[:, None], kernel[None], bias, self.window)[:, 0]

    def adjoint(self, s, kernel, shape):
        return maps.conv2d_adjoint(s[:, None], kernel[None], self.window, 1, shape[0])[:, 0]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DepthwiseConv2D(Weighted):
    """z[i, j, c·q + d] = Σ x[i·stride + u, j·stride + v, c] W[u, v, c, d] + b[c·q + d]: each channel by
    itself.

    kernel [kh, kw, c, q], q outputs for each input channel; bias [c·q] or None.
    """
    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: tuple = (1, 1)
    padding: str = "valid"
    dilation: tuple = (1, 1)
    options = ("strides", "padding", "dilation")

    def __post_init__(self):
        self._check_parameters(4, outputs=lambda shape: shape[2] * shape[3])
        for name in ("strides", "padding", "dilation"):
            object.__setattr__(self, name, getattr(self.window, name))

    @property
    def _size(self):
        kh, kw, channels, multiplier = self.kernel.shape
        return f"{kh}x{kw}, {channels} -> {channels * multiplier}"

    @property
    def window(self):
        """Where the kernel goes."""
        return Window(self.kernel.shape[:2], self.strides, self.padding, self.dilation)

    def output_shape(self, shape):
        height, width = map_shape(self, shape)
        if shape[2] != self.kernel.shape[2]:
            raise ValueError(f"DepthwiseConv2D's kernel takes {self.kernel.shape[2]} channels, its input is "
                             f"{shape}")
        return (*self.window.output(height, width), self.kernel.shape[2] * self.kernel.shape[3])

    def linear(self, x, kernel, bias):
        return maps.depthwise(x, kernel, bias, self.window)

    def adjoint(self, s, kernel, shape):
        return maps.depthwise_adjoint(s, kernel, self.window, *shape[:2])


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Conv2DTranspose(Weighted):
    """The adjoint of a convolution used as a layer; kernel [kh, kw, m, c] as Keras has it (m outputs), bias
    [m].

    Output: in·stride for 'same', in·stride + max(k - stride, 0) for 'valid', as Keras.
    """
    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: tuple = (1, 1)
    padding: str = "valid"
    options = ("strides", "padding")

    def __post_init__(self):
        self._check_parameters(4, outputs=lambda shape: shape[2])
        object.__setattr__(self, "strides", self.window.strides)
        if self.padding not in ("valid", "same"):
            raise ValueError(f"Conv2DTranspose: padding must be 'valid' or 'same', got {quote(self.padding)}")

    @property
    def _size(self):
        kh, kw, filters, channels = self.kernel.shape
        return f"{kh}x{kw}, {channels} -> {filters}"

    @property
    def window(self):
        """Where the kernel goes, over the output."""
        return Window(self.kernel.shape[:2], self.strides, self.padding)

    def output_shape(self, shape):
        size = map_shape(self, shape)
        if shape[2] != self.kernel.shape[3]:
            raise ValueError(f"Conv2DTranspose's kernel takes {self.kernel.shape[3]} channels, its input is "
                             f"{shape}")
        more = [max(k - s, 0) if self.padding == "valid" else 0 for k,
                s in zip(self.kernel.shape, self.strides)]
        return (*(n * s + m for n, s, m in zip(size, self.strides, more)), self.kernel.shape[2])

    def linear(self, x, kernel, bias):
        z = maps.conv2d_adjoint(x, kernel, self.window, *self.output_shape(x.shape[1:])[:2])
        return z if bias is None else z + bias

    def adjoint(self, s, kernel, shape):
        return maps.conv2d(s, kernel, None, self.window)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Affine(Linear):
    """y = a·x + b with constants that may differ at every place: positions added, masks, normalised inputs.

    kernel a, bias b (or None): each in a shape that broadcasts against a sample's. A place where a = 0 is
    replaced by b, as by `where`.
    """
    kernel: np.ndarray
    bias: np.ndarray | None = None
    arrays = ("kernel", "bias")

    def __post_init__(self):
        if self.kernel is None:
            raise ValueError("Affine: the kernel must be an array, found None")
        for name in self.arrays:
            if getattr(self, name) is not None:
                array = np.asarray(getattr(self, name))
                object.__setattr__(self, name, frozen(array, f"{self.type}: the {name}"))

    def output_shape(self, shape):
        shapes = [array.shape for array in (self.kernel, self.bias) if array is not None]
        try:
            fits = np.broadcast_shapes(*shapes, shape) == tuple(shape)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"Affine's constants {listing(shapes)} do not fit its input {shape}")
        return shape

    def linear(self, x, kernel, bias):
        return x * kernel if bias is None else x * kernel + bias

    def adjoint(self, s, kernel, shape):
        return s * kernel


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Projection(Linear):
    """y = x W over the last axis with a matrix that nothing learned: a Fourier transform, an interpolation.

    kernel W [k, m]. Rules are chosen for layers that learned; this one takes LRP-0.
    """
    kernel: np.ndarray
    arrays = ("kernel",)

    def __post_init__(self):
        kernel = np.asarray(self.kernel)
        if kernel.ndim != 2:
            raise ValueError(f"Projection: the kernel must have 2 axes, found shape {kernel.shape}")
        object.__setattr__(self, "kernel", frozen(kernel, "Projection: the kernel"))

    @property
    def _size(self):
        return "{} -> {}".format(*self.kernel.shape)

    def output_shape(self, shape):
        if not shape or shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"Projection takes {self.kernel.shape[0]} numbers on the last axis, its input "
                             f"is {shape}")
        return (*shape[:-1], self.kernel.shape[1])

    def linear(self, x, kernel, bias):
        return maps.dense(x, kernel, bias)

    def adjoint(self, s, kernel, shape):
        return maps.dense_adjoint(s, kernel)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BatchNorm(Weighted):
    """z_c = a_c x_c + b_c over the last axis: batch normalisation as it is when a network predicts.

    kernel a = γ / sqrt(variance + ε) [c], bias b = β - a·mean [c]. `canonize.fold_batch_norm` removes it
    where that is exact; where it stays it is explained as the diagonal linear map it is.
    """
    kernel: np.ndarray
    bias: np.ndarray

    def __post_init__(self):
        self._check_parameters(1)

    def output_shape(self, shape):
        if shape[-1:] != self.kernel.shape:
            raise ValueError(f"BatchNorm takes {self.kernel.shape[0]} channels, its input is {shape}")
        return shape

    def linear(self, x, kernel, bias):
        return x * kernel if bias is None else x * kernel + bias

    def adjoint(self, s, kernel, shape):
        return s * kernel
