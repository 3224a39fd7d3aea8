"""Layers that move, copy or drop numbers, and sums of several inputs."""
import dataclasses
import math

import numpy as np

from ..checks import is_number, is_whole
from ..text import listing, quote
from ..window import margins, pair
from .base import Merge, Move, check_shape, map_shape, sequence


@dataclasses.dataclass(frozen=True)
class Dropout(Move):
    """Does nothing when the network predicts; `rate` is kept for the record."""
    rate: float = 0.5
    options = ("rate",)

    def __post_init__(self):
        if not (is_number(self.rate) and 0 <= self.rate < 1):
            raise ValueError(f"Dropout's rate must be a number in [0, 1), got {quote(self.rate)}")

    def forward(self, x):
        return x


@dataclasses.dataclass(frozen=True)
class Flatten(Move):
    """All features in one row, last axis fastest."""

    def output_shape(self, shape):
        return (math.prod(shape),)

    def forward(self, x):
        return x.reshape(len(x), -1)


@dataclasses.dataclass(frozen=True)
class Reshape(Move):
    """The same numbers in another shape, last axis fastest."""
    shape: tuple
    options = ("shape",)

    def __post_init__(self):
        shape = sequence(self.shape)
        if not shape or not all(is_whole(n) and n > 0 for n in shape):
            raise ValueError(f"Reshape's shape must be whole numbers above 0, got {quote(self.shape)}")
        object.__setattr__(self, "shape", check_shape(tuple(map(int, shape))))

    def output_shape(self, shape):
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"Reshape to {self.shape} does not fit the {math.prod(shape)} numbers of its "
                             f"input {shape}")
        return self.shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


@dataclasses.dataclass(frozen=True)
class Permute(Move):
    """The axes in another order; `axes` counts from 1 as Keras does, the batch axis stays first."""
    axes: tuple
    options = ("axes",)

    def __post_init__(self):
        axes = sequence(self.axes)
        if not axes or not all(map(is_whole, axes)) or sorted(axes) != list(range(1, len(axes) + 1)):
            raise ValueError(f"Permute's axes must be 1..{len(axes)} in some order, got {quote(self.axes)}")
        object.__setattr__(self, "axes", tuple(map(int, axes)))

    def output_shape(self, shape):
        if len(shape) != len(self.axes):
            raise ValueError(f"Permute{quote(self.axes)} does not fit its input {shape}")
        return tuple(shape[a - 1] for a in self.axes)

    def forward(self, x):
        return np.ascontiguousarray(x.transpose(0, *self.axes))

    def back(self, r, *shapes):
        return (np.ascontiguousarray(r.transpose(0, *(np.argsort(self.axes) + 1))),)


@dataclasses.dataclass(frozen=True)
class Margin2D(Move):
    """What padding and cropping of a map share: `margin` is ((top, bottom), (left, right))."""
    margin: tuple
    options = ("margin",)

    def __post_init__(self):
        object.__setattr__(self, "margin", margins(self.margin, f"{self.type}'s margin"))

    def _pad(self, x):
        return np.pad(x, ((0, 0), *self.margin, (0, 0)))

    def _cut(self, x, height, width):
        (top, _), (left, _) = self.margin
        return x[:, top:top + height, left:left + width]


@dataclasses.dataclass(frozen=True)
class ZeroPadding2D(Margin2D):
    """Zeros around a map. Relevance that a rule put on them is dropped, and booked as gated."""

    def output_shape(self, shape):
        return (*(n + sum(side) for n, side in zip(map_shape(self, shape), self.margin)), shape[2])

    def forward(self, x):
        return self._pad(x)

    def back(self, r, *shapes):
        return (self._cut(r, *shapes[0][:2]),)


@dataclasses.dataclass(frozen=True)
class Cropping2D(Margin2D):
    """A map without its margin."""

    def output_shape(self, shape):
        out = tuple(n - sum(side) for n, side in zip(map_shape(self, shape), self.margin))
        if min(out) < 1:
            raise ValueError(f"Cropping2D{self.margin} leaves nothing of its input {shape}")
        return (*out, shape[2])

    def forward(self, x):
        return self._cut(x, *self.output_shape(x.shape[1:])[:2])

    def back(self, r, *shapes):
        return (self._pad(r),)


@dataclasses.dataclass(frozen=True)
class UpSampling2D(Move):
    """Each pixel repeated `size` times down and across (nearest neighbour); its copies' relevance adds up."""
    size: tuple = (2, 2)
    options = ("size",)

    def __post_init__(self):
        object.__setattr__(self, "size", pair(self.size, "UpSampling2D's size"))

    def output_shape(self, shape):
        return (*(n * times for n, times in zip(map_shape(self, shape), self.size)), shape[2])

    def forward(self, x):
        return x.repeat(self.size[0], axis=1).repeat(self.size[1], axis=2)

    def back(self, r, *shapes):
        height, width, channels = shapes[0]
        return (r.reshape(len(r), height, self.size[0], width, self.size[1], channels).sum(axis=(2, 4)),)


@dataclasses.dataclass(frozen=True)
class Concatenate(Move):
    """Inputs side by side along `axis` (counted from 1; -1 is the last)."""
    axis: int = -1
    options = ("axis",)
    inputs = None

    def __post_init__(self):
        if not is_whole(self.axis) or self.axis == 0:
            raise ValueError(f"Concatenate's axis must be a whole number other than 0, the batch's, got "
                             f"{quote(self.axis)}")

    def _axis(self, shape):
        axis = self.axis if self.axis > 0 else len(shape) + 1 + self.axis
        if not 1 <= axis <= len(shape):
            raise ValueError(f"Concatenate: there is no axis {self.axis} in {shape}")
        return axis

    def output_shape(self, *shapes):
        at = self._axis(shapes[0]) - 1
        if len({shape[:at] + shape[at + 1:] for shape in shapes}) != 1:
            raise ValueError(f"Concatenate takes inputs alike but for axis {self.axis}, found "
                             f"{listing(shapes)}")
        return (*shapes[0][:at], sum(shape[at] for shape in shapes), *shapes[0][at + 1:])

    def forward(self, *xs):
        return np.concatenate(xs, axis=self._axis(xs[0].shape[1:]))

    def back(self, r, *shapes):
        axis = self._axis(shapes[0])
        return tuple(np.split(r, np.cumsum([shape[axis - 1] for shape in shapes])[:-1], axis=axis))


@dataclasses.dataclass(frozen=True)
class Add(Merge):
    """z = Σ_i x_i."""

    def signs(self, count):
        return (1,) * count


@dataclasses.dataclass(frozen=True)
class Subtract(Merge):
    """z = x_1 - x_2."""

    def signs(self, count):
        return 1, -1

    def output_shape(self, *shapes):
        if len(shapes) != 2:
            raise ValueError(f"Subtract takes two inputs, got {len(shapes)}")
        return super().output_shape(*shapes)
