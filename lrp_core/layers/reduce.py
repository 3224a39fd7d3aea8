"""Sums, means and maxima over any axes."""
import dataclasses
import math

import numpy as np

from ..checks import is_whole
from ..text import quote
from .base import Layer, Linear, sequence
from .pools import WinnerTakesAll
from .select import axis_of


@dataclasses.dataclass(frozen=True)
class Reduction(Layer):
    """The shared part: the `axes`, counted from 1 (-1 is the last), that go; of all of them one number stays.
    """
    axes: tuple
    options = ("axes",)

    def __post_init__(self):
        axes = (self.axes,) if is_whole(self.axes) else sequence(self.axes)
        if not axes or not all(is_whole(a) and a != 0 for a in axes):
            raise ValueError(f"{self.type}'s axes must be whole numbers other than 0, the batch's, got "
                             f"{quote(self.axes)}")
        object.__setattr__(self, "axes", tuple(map(int, axes)))

    def gone(self, shape):
        """The axes of [n, *shape] that go, in order."""
        found = sorted({axis_of(self, axis, shape) + 1 for axis in self.axes})
        if len(found) != len(self.axes):
            raise ValueError(f"{self.type}: the axes {self.axes} of {shape} must be different ones")
        return tuple(found)

    def output_shape(self, shape):
        gone = self.gone(shape)
        return tuple(n for axis, n in enumerate(shape, 1) if axis not in gone) or (1,)

    def count(self, shape):
        """How many numbers become one."""
        return math.prod(shape[axis - 1] for axis in self.gone(shape))

    def over(self, x, function):
        """function(x, axis=...), one row for each number that is left."""
        y = function(x, axis=self.gone(x.shape[1:]))
        return y.reshape(len(x), *self.output_shape(x.shape[1:]))

    def spread(self, s, shape):
        """s [n, *output] again in the input's axes, of extent 1 where they went."""
        gone = self.gone(shape)
        return s.reshape(len(s), *(1 if axis in gone else n for axis, n in enumerate(shape, 1)))


@dataclasses.dataclass(frozen=True)
class Sum(Reduction, Linear):
    """y = Σ x over `axes`: a linear map without parameters."""

    def linear(self, x, kernel, bias):
        return self.over(x, np.sum)

    def adjoint(self, s, kernel, shape):
        return np.broadcast_to(self.spread(s, shape), (len(s), *shape)).copy()


@dataclasses.dataclass(frozen=True)
class Mean(Sum):
    """y = mean of x over `axes`."""

    def linear(self, x, kernel, bias):
        return super().linear(x, kernel, bias) / self.count(x.shape[1:])

    def adjoint(self, s, kernel, shape):
        return super().adjoint(s / self.count(shape), kernel, shape)


@dataclasses.dataclass(frozen=True)
class Max(Reduction, WinnerTakesAll):
    """The maximum over `axes`; ties go to the first in scan order."""

    def _rows(self, x):
        gone = self.gone(x.shape[1:])
        last = np.moveaxis(x, gone, range(x.ndim - len(gone), x.ndim))
        return last.reshape(len(x), *self.output_shape(x.shape[1:]), -1)

    def forward_keeping(self, x):
        rows = self._rows(x)
        winners = rows.argmax(axis=-1)
        return np.take_along_axis(rows, winners[..., None], axis=-1)[..., 0], winners

    def at_winners(self, v, winners):
        return np.take_along_axis(self._rows(v), winners[..., None], axis=-1)[..., 0]

    def to_winners(self, r, winners, shape):
        gone = self.gone(shape)
        rows = np.zeros((*r.shape, self.count(shape)), r.dtype)
        np.put_along_axis(rows, winners[..., None], r[..., None], axis=-1)
        stay = [n for axis, n in enumerate(shape, 1) if axis not in gone]
        last = rows.reshape(len(r), *stay, *(shape[axis - 1] for axis in gone))
        return np.ascontiguousarray(np.moveaxis(last, range(last.ndim - len(gone), last.ndim), gone))
