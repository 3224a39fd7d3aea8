"""What layers have in common, and the few kinds of them that the engine tells apart.

A layer holds parameters, never activations. Shapes are written without the batch axis, NHWC (NHC in 1-D);
kernels are HWIO as Keras has them. The kinds, by what a backward pass has to know:

    Linear      z = W x + b; takes its weights as an argument, so that a rule can use others
    Weighted    a Linear with a learned kernel: what LRP's rules are chosen for
    Merge       z = Σ ±x_i over several inputs
    Move        each output is a copy of one input, or zero: reshapes, padding, concatenation
    Activation  one number in, one number out, with a derivative
"""
import dataclasses
import math
from typing import ClassVar

import numpy as np

from ..limits import MAX_AXES, MAX_ELEMENTS, MAX_EXTENT
from ..text import QUOTED, clean, listing


class Layer:
    """What every layer offers. `arrays` names its parameter arrays, `options` its settings, as a model file
    has them. `prepares`: does it only prepare the input, as a front end does? The network's first layer is
    then one that comes after it.
    """
    arrays: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[int | None] = 1
    prepares: ClassVar[bool] = False

    @property
    def type(self):
        """The layer's type as tables and model files name it."""
        return type(self).__name__

    @property
    def parameters(self):
        """How many numbers the layer learned."""
        return sum(getattr(self, name).size for name in self.arrays if getattr(self, name) is not None)

    @property
    def _size(self):
        """How large the first of the arrays is, in words: 3x3, 32 -> 64."""
        return "x".join(map(str, np.shape(getattr(self, self.arrays[0], None)))) if self.arrays else ""

    def __repr__(self):
        """One line: the size in place of the arrays, and the options that are not the defaults."""
        chosen = [f"{name}={getattr(self, name, None)!r}" for name in self.options
                  if getattr(self, name, None) != getattr(type(self), name, None)]
        return clean(f"{self.type}({', '.join(filter(None, [self._size, *chosen]))})", QUOTED)

    def output_shape(self, shape):
        """The shape this layer makes of `shape`; raises ValueError where it does not fit."""
        return shape

    def forward(self, x):
        """The layer's output for a batch x [n, *shape]."""
        raise NotImplementedError(f"{self.type} defines no forward(x)")

    def forward_keeping(self, *xs):
        """(output, what the layer wants back when relevance crosses it, or None): winners, gates, states."""
        return self.forward(*xs), None

    def astype(self, dtype):
        """The same layer with its parameter arrays in another floating type."""
        arrays = {name: getattr(self, name).astype(dtype, copy=False) for name in self.arrays
                  if getattr(self, name) is not None}
        if not arrays:
            return self
        if not dataclasses.is_dataclass(self):
            raise TypeError(f"{self.type} must be a dataclass with a field for each of its arrays "
                            f"{', '.join(self.arrays)}")
        for array in arrays.values():
            array.flags.writeable = False  # ours alone: the new layer need not copy it
        return dataclasses.replace(self, **arrays)


class Linear(Layer):
    """A layer that is a linear map plus, at most, a bias:  <W x, s> = <x, Wᵀ s>  ties its two methods
    together.
    """
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None

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

    def _check_parameters(self, rank, outputs=None):
        """Refuse parameters of a wrong shape or type, NaN and infinity; then freeze them."""
        kernel, bias = np.asarray(self.kernel), self.bias if self.bias is None else np.asarray(self.bias)
        if kernel.ndim != rank:
            raise ValueError(f"{self.type}: the kernel must have {rank} axes, found shape {kernel.shape}")
        wanted = kernel.shape[-1:] if outputs is None else (outputs(kernel.shape),)
        if bias is not None and bias.shape != wanted:
            raise ValueError(f"{self.type}: the bias must have shape {wanted}, found {bias.shape}")
        for name, array in (("kernel", kernel), ("bias", bias)):
            if array is not None:
                object.__setattr__(self, name, frozen(array, f"{self.type}: the {name}"))


class Merge(Layer):
    """A sum of inputs of one shape, each with a sign: z = Σ_i σ_i x_i."""
    inputs = None  # two or more

    def signs(self, count):
        """σ_i for `count` inputs."""
        raise NotImplementedError

    def output_shape(self, *shapes):
        if len(set(shapes)) != 1:
            raise ValueError(f"{self.type} takes inputs of one shape, found {listing(shapes)}")
        return shapes[0]

    def forward(self, *xs):
        return sum(x if sign > 0 else -x for sign, x in zip(self.signs(len(xs)), xs))


class Move(Layer):
    """A layer that only moves, copies or drops numbers: relevance goes back the way the numbers came."""

    def back(self, r, *shapes):
        """The transposed map of r: one array for each input, in its shape. Relevance on padding is dropped.
        """
        return (r.reshape(len(r), *shapes[0]),)


class Activation(Layer):
    """One number in, one number out."""

    def derivative(self, x):
        """dy/dx at x."""
        raise NotImplementedError(f"{self.type} defines no derivative(x)")


# What a layer or a function from outside may raise where it is wrong; the engine adds the node's name.
MISTAKES = (ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
# Methods that say how a layer's output depends on its input, beside `forward`.
TWINS = ("adjoint", "back", "derivative", "gradient_at", "gradients", "signs", "to_winners")


def read_only(array):
    """A view of the same numbers that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def forward_alone(layer, registered):
    """Does a subclass change `forward`, but neither what describes its derivative nor how it is crossed?

    registered: the class that the function which would cross it was registered for. Such a function would
    answer for the parent's `forward`.
    """
    order = type(layer).__mro__
    changed = next(place for place, cls in enumerate(order) if "forward" in vars(cls))
    return changed < order.index(registered) and not any(name in vars(cls) for cls in order[:changed + 1]
                                                         for name in TWINS)


def sequence(value):
    """A tuple of what a sequence holds; () for texts and for what is none, which callers refuse by name."""
    try:
        return () if isinstance(value, str) else tuple(value)
    except TypeError:
        return ()


def frozen(array, what):
    """A read-only floating-point array, a copy if anyone could still write to it; refuses NaN and infinity by
    name.
    """
    if array.dtype.kind != "f":
        raise ValueError(f"{what} must be floating point, found {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds NaN or infinity")
    array = array if array.flags.owndata and not array.flags.writeable else array.copy()
    array.flags.writeable = False
    return array


def map_shape(layer, shape):
    """(height, width) of an input that must be a map [h, w, c]."""
    if len(shape) != 3:
        raise ValueError(f"{layer.type} takes maps of shape (height, width, channels), its input is {shape}")
    return shape[:2]


def row_shape(layer, shape):
    """The length of an input that must be a sequence [t, c]."""
    if len(shape) != 2:
        raise ValueError(f"{layer.type} takes sequences of shape (length, channels), its input is {shape}")
    return shape[0]


def check_shape(shape):
    """Refuse a shape that no real network has, before anything of that size is allocated, or even multiplied
    out.
    """
    if len(shape) > MAX_AXES:
        raise ValueError(f"a shape of {len(shape):,} axes: too many (at most {MAX_AXES})")
    if any(n < 1 or n > MAX_EXTENT * 1024 for n in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ValueError(f"the shape {shape} is empty or too large (at most {MAX_ELEMENTS} numbers a sample)")
    return shape
