"""Pools: maxima, which relevance follows to the winner, and means, which are linear. 1-D pools see a map of
one row.
"""
import dataclasses
import math

import numpy as np

from ..window import Window, one_row
from . import maps
from .base import Layer, Linear, map_shape, row_shape


class WinnerTakesAll(Layer):
    """A pool whose output is one of its inputs; `forward_keeping` tells which."""

    def forward(self, x):
        return self.forward_keeping(x)[0]

    def forward_keeping(self, x):
        """(y, number of each window's winner in scan order); on ties the first."""
        raise NotImplementedError

    def to_winners(self, r, winners, shape):
        """r at the winners' places, in the input's `shape`; windows that overlap add up."""
        raise NotImplementedError

    def at_winners(self, v, winners):
        """The numbers of v, in the input's shape, at the winners' places: the transpose of `to_winners`."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Pool2D(Layer):
    """What the windowed pools share; strides default to the window's size, as in Keras."""
    pool_size: tuple = (2, 2)
    strides: tuple | None = None
    padding: str = "valid"
    options = ("pool_size", "strides", "padding")

    def __post_init__(self):
        window = Window(self.pool_size, self.pool_size if self.strides is None else self.strides,
                        self.padding)
        object.__setattr__(self, "pool_size", window.size)
        object.__setattr__(self, "strides", window.strides)
        object.__setattr__(self, "padding", window.padding)

    @property
    def window(self):
        """Where the pool looks."""
        return Window(self.pool_size, self.strides, self.padding)

    def output_shape(self, shape):
        return (*self.window.meeting(*map_shape(self, shape)), shape[2])


@dataclasses.dataclass(frozen=True)
class MaxPool2D(Pool2D, WinnerTakesAll):
    """The maximum of each window; padding never wins, ties go to the first in scan order."""

    def forward_keeping(self, x):
        return maps.max_pool(x, self.window)

    def to_winners(self, r, winners, shape):
        return maps.max_unpool(r, winners, self.window, *shape[:2])

    def at_winners(self, v, winners):
        return maps.at_winners(v, winners, self.window)


@dataclasses.dataclass(frozen=True)
class AveragePool2D(Pool2D, Linear):
    """The mean of each window over the positions inside the map: a linear map without parameters."""

    def linear(self, x, kernel, bias):
        return maps.average_pool(x, self.window)

    def adjoint(self, s, kernel, shape):
        return maps.average_pool_adjoint(s, self.window, *shape[:2])


@dataclasses.dataclass(frozen=True)
class Pool1D(Layer):
    """What the 1-D windowed pools share."""
    pool_size: int = 2
    strides: int | None = None
    padding: str = "valid"
    options = ("pool_size", "strides", "padding")

    def __post_init__(self):
        object.__setattr__(self, "strides", self.pool_size if self.strides is None else self.strides)
        window = one_row(self.window)
        for name, value in (("pool_size", window.size[1]), ("strides", window.strides[1]),
                            ("padding", window.padding)):
            object.__setattr__(self, name, value)

    @property
    def window(self):
        """Where the pool looks, in a map of one row."""
        return Window((1, self.pool_size), (1, self.strides), self.padding)

    def output_shape(self, shape):
        return (self.window.meeting(1, row_shape(self, shape))[1], shape[1])


@dataclasses.dataclass(frozen=True)
class MaxPool1D(Pool1D, WinnerTakesAll):
    """The maximum of each window of a sequence."""

    def forward_keeping(self, x):
        y, winners = maps.max_pool(x[:, None], self.window)
        return y[:, 0], winners

    def to_winners(self, r, winners, shape):
        return maps.max_unpool(r[:, None], winners, self.window, 1, shape[0])[:, 0]

    def at_winners(self, v, winners):
        return maps.at_winners(v[:, None], winners, self.window)[:, 0]


@dataclasses.dataclass(frozen=True)
class AveragePool1D(Pool1D, Linear):
    """The mean of each window of a sequence over the positions inside it."""

    def linear(self, x, kernel, bias):
        return maps.average_pool(x[:, None], self.window)[:, 0]

    def adjoint(self, s, kernel, shape):
        return maps.average_pool_adjoint(s[:, None], self.window, 1, shape[0])[:, 0]


class GlobalPool(Layer):
    """A pool over all positions, for each channel; the 1-D and 2-D forms differ in the shapes they take."""
    takes = staticmethod(map_shape)

    def output_shape(self, shape):
        self.takes(self, shape)
        return shape[-1:]


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool2D(GlobalPool, Linear):
    """The mean over the whole map, for each channel."""

    def linear(self, x, kernel, bias):
        rows = x.reshape(len(x), -1, x.shape[-1])
        return rows.sum(axis=1) / rows.shape[1]

    def adjoint(self, s, kernel, shape):
        share = s / math.prod(shape[:-1])
        return np.broadcast_to(share.reshape(len(s), *[1] * (len(shape) - 1), -1), (len(s), *shape)).copy()


@dataclasses.dataclass(frozen=True)
class GlobalAveragePool1D(GlobalAveragePool2D):
    """The mean over the whole sequence, for each channel."""
    takes = staticmethod(row_shape)


@dataclasses.dataclass(frozen=True)
class GlobalMaxPool2D(GlobalPool, WinnerTakesAll):
    """The maximum over the whole map, for each channel; ties go to the first in scan order."""

    def forward_keeping(self, x):
        rows = x.reshape(len(x), -1, x.shape[-1])
        return rows.max(axis=1), rows.argmax(axis=1)

    def to_winners(self, r, winners, shape):
        out = np.zeros((len(r), math.prod(shape[:-1]), shape[-1]), r.dtype)
        np.put_along_axis(out, winners[:, None], r[:, None], axis=1)
        return out.reshape(len(r), *shape)

    def at_winners(self, v, winners):
        return np.take_along_axis(v.reshape(len(v), -1, v.shape[-1]), winners[:, None], axis=1)[:, 0]


@dataclasses.dataclass(frozen=True)
class GlobalMaxPool1D(GlobalMaxPool2D):
    """The maximum over the whole sequence, for each channel."""
    takes = staticmethod(row_shape)
