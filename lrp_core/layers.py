"""The layers: shape inference, forward pass and, for linear ones, the adjoint. Nothing here knows about LRP.

A layer holds parameters, never activations. Shapes are written without the batch axis, NHWC; kernels are HWIO
as Keras has them. Linear layers take their weights as an argument, so that a rule can send other weights
through the same map:

    linear(x, W, b)          z = W x + b
    adjoint(s, W, shape)     c = Wᵀ s,   so that  <W x, s> = <x, Wᵀ s>
"""
import dataclasses
import math

import numpy as np

from .kernels import twin
from .window import MAX_ELEMENTS, MAX_EXTENT, Window


class Layer:
    """What every layer offers. `arrays` names its parameter arrays, `options` its settings, as a model file has them."""
    arrays = ()
    options = ()

    @property
    def type(self):
        """The layer's type as tables and model files name it."""
        return type(self).__name__

    @property
    def parameters(self):
        """How many numbers the layer learned."""
        return sum(getattr(self, name).size for name in self.arrays if getattr(self, name) is not None)

    def output_shape(self, shape):
        """The shape this layer makes of `shape`; raises ValueError where it does not fit."""
        return shape

    def forward(self, x):
        """The layer's output for a batch x [n, *shape]."""
        raise NotImplementedError

    def astype(self, dtype):
        """The same layer with its parameter arrays in another floating type."""
        arrays = {name: getattr(self, name) for name in self.arrays}
        return dataclasses.replace(self, **{name: a.astype(dtype) for name, a in arrays.items() if a is not None})


class Linear(Layer):
    """A layer that is a linear map plus, at most, a bias."""
    kernel = None
    bias = None

    def forward(self, x):
        return self.linear(x, self.kernel, self.bias)

    def linear(self, x, kernel, bias):
        """z = W x + b; `bias` may be None."""
        raise NotImplementedError

    def adjoint(self, s, kernel, shape):
        """c = Wᵀ s in the input's `shape`."""
        raise NotImplementedError


class Weighted(Linear):
    """A linear layer with a learned kernel and, perhaps, a bias: what LRP's rules are chosen for."""
    arrays = ("kernel", "bias")

    def _check_parameters(self, rank):
        kernel, bias = np.asarray(self.kernel), self.bias if self.bias is None else np.asarray(self.bias)
        if kernel.ndim != rank:
            raise ValueError(f"{self.type}: the kernel must have {rank} axes, found shape {kernel.shape}")
        if bias is not None and bias.shape != kernel.shape[-1:]:
            raise ValueError(f"{self.type}: the bias must have shape {kernel.shape[-1:]}, found {bias.shape}")
        for name, array in (("kernel", kernel), ("bias", bias)):
            if array is None:
                continue
            if array.dtype.kind != "f":
                raise ValueError(f"{self.type}: the {name} must be floating point, found {array.dtype}")
            if not np.isfinite(array).all():
                raise ValueError(f"{self.type}: the {name} holds NaN or infinity")
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Weighted):
    """z_m = Σ_k x_k W_km + b_m over the last axis; kernel [k, m], bias [m] or None."""
    kernel: np.ndarray
    bias: np.ndarray | None = None

    def __post_init__(self):
        self._check_parameters(2)

    def output_shape(self, shape):
        if not shape or shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"Dense takes {self.kernel.shape[0]} features on the last axis, its input is {shape}")
        return (*shape[:-1], self.kernel.shape[1])

    def linear(self, x, kernel, bias):
        return twin.dense(x, kernel, bias)

    def adjoint(self, s, kernel, shape):
        return twin.dense_adjoint(s, kernel)


@dataclasses.dataclass(frozen=True, eq=False)
class Conv2D(Weighted):
    """z[i, j, m] = Σ x[i·stride + u, j·stride + v, c] W[u, v, c, m] + b[m]; kernel [kh, kw, c, m], bias [m] or None."""
    kernel: np.ndarray
    bias: np.ndarray | None = None
    strides: tuple = (1, 1)
    padding: str = "valid"
    options = ("strides", "padding")

    def __post_init__(self):
        self._check_parameters(4)
        object.__setattr__(self, "strides", self.window.strides)

    @property
    def window(self):
        """Where the kernel goes."""
        return Window(self.kernel.shape[:2], self.strides, self.padding)

    def output_shape(self, shape):
        height, width = map_shape(self, shape)
        if shape[2] != self.kernel.shape[2]:
            raise ValueError(f"Conv2D's kernel takes {self.kernel.shape[2]} channels, its input is {shape}")
        return (*self.window.output(height, width), self.kernel.shape[3])

    def linear(self, x, kernel, bias):
        return twin.conv2d(x, kernel, bias, self.window)

    def adjoint(self, s, kernel, shape):
        return twin.conv2d_adjoint(s, kernel, self.window, *shape[:2])


@dataclasses.dataclass(frozen=True)
class Pool(Layer):
    """What the windowed pools share; strides default to the window's size, as in Keras."""
    pool_size: tuple = (2, 2)
    strides: tuple | None = None
    padding: str = "valid"
    options = ("pool_size", "strides", "padding")

    def __post_init__(self):
        window = Window(self.pool_size, self.pool_size if self.strides is None else self.strides, self.padding)
        object.__setattr__(self, "pool_size", window.size)
        object.__setattr__(self, "strides", window.strides)

    @property
    def window(self):
        """Where the pool looks."""
        return Window(self.pool_size, self.strides, self.padding)

    def output_shape(self, shape):
        return (*self.window.output(*map_shape(self, shape)), shape[2])


@dataclasses.dataclass(frozen=True)
class MaxPool2D(Pool):
    """The maximum of each window; padding never wins, ties go to the first in scan order."""

    def forward(self, x):
        return self.forward_with_winners(x)[0]

    def forward_with_winners(self, x):
        """(y, number of each window's winner in scan order)."""
        return twin.max_pool(x, self.window)

    def to_winners(self, r, winners, shape):
        """r at the winners' places, in the input's `shape`."""
        return twin.max_unpool(r, winners, self.window, *shape[:2])


@dataclasses.dataclass(frozen=True)
class AveragePool2D(Pool, Linear):
    """The mean of each window over the positions inside the map: a linear map without parameters."""

    def linear(self, x, kernel, bias):
        return twin.average_pool(x, self.window)

    def adjoint(self, s, kernel, shape):
        return twin.average_pool_adjoint(s, self.window, *shape[:2])


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool2D(Linear):
    """The mean over the whole map, for each channel."""

    def output_shape(self, shape):
        map_shape(self, shape)
        return shape[2:]

    def linear(self, x, kernel, bias):
        # Rows first: the sum over a middle axis runs in one order for any batch.
        return x.reshape(len(x), -1, x.shape[-1]).sum(axis=1) / (x.shape[1] * x.shape[2])

    def adjoint(self, s, kernel, shape):
        height, width, channels = shape
        return np.broadcast_to((s / (height * width))[:, None, None, :], (len(s), height, width, channels)).copy()


class Passing(Layer):
    """A layer through which relevance passes unchanged, element by element."""


@dataclasses.dataclass(frozen=True)
class ReLU(Passing):
    """max(x, 0)."""

    def forward(self, x):
        return np.maximum(x, 0)


@dataclasses.dataclass(frozen=True)
class Dropout(Passing):
    """Does nothing when the network predicts; `rate` is kept for the record."""
    rate: float = 0.5
    options = ("rate",)

    def __post_init__(self):
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 0 <= self.rate < 1:
            raise ValueError(f"Dropout's rate must be a number in [0, 1), got {self.rate!r}")

    def forward(self, x):
        return x


@dataclasses.dataclass(frozen=True)
class Flatten(Passing):
    """All features in one row, last axis fastest."""

    def output_shape(self, shape):
        return (math.prod(shape),)

    def forward(self, x):
        return x.reshape(len(x), -1)


@dataclasses.dataclass(frozen=True)
class Softmax(Layer):
    """exp(x_i) / Σ_j exp(x_j) over the last axis. Explanations start from the logits below it."""

    def forward(self, x):
        exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


LAYER_TYPES = {cls.__name__: cls for cls in (Dense, Conv2D, MaxPool2D, AveragePool2D, GlobalAveragePool2D,
                                             ReLU, Dropout, Flatten, Softmax)}


def map_shape(layer, shape):
    """(height, width) of an input that must be a map [h, w, c]."""
    if len(shape) != 3:
        raise ValueError(f"{layer.type} takes maps of shape (height, width, channels), its input is {shape}")
    return shape[:2]


def check_shape(shape):
    """Refuse a shape that no real network has, before anything of that size is allocated."""
    if any(n < 1 or n > MAX_EXTENT * 1024 for n in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"the shape {shape} is empty or too large (at most {MAX_ELEMENTS} numbers a sample)")
    return shape
