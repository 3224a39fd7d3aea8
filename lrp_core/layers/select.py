"""Layers that choose numbers along axes: slices, gathers, repeats and padding, for any number of axes.

Axes count from 1, as in Keras; axis 0 is the batch. -1 is the last.
"""
import dataclasses
import math

import numpy as np

from ..checks import is_number, is_whole
from ..limits import MAX_SAMPLE
from ..text import quote
from .base import Layer, Move, sequence

FILL = -1  # in an index: not a number of the input but the constant that pads it


class Selection(Layer):
    """Each number of the output is a copy of one of the input, chosen axis by axis, or a constant:

        y[i, j, ...] = x[I₁(i), I₂(j), ...]

    A subclass tells the indices. Relevance goes back the way the numbers came; copies of one number add up.
    """
    fill = 0.0

    def indices(self, shape):
        """{axis of `shape`, from 0: the index along it [extent of the output]}; FILL stands for padding."""
        raise NotImplementedError

    def output_shape(self, shape):
        found = self.indices(shape)
        return tuple(len(found[axis]) if axis in found else n for axis, n in enumerate(shape))

    def forward(self, x):
        for axis, index in self.indices(x.shape[1:]).items():
            run = as_slice(index)
            before = (slice(None),) * (axis + 1)
            x = x[before + (run,)] if run is not None else x.take(index, axis + 1)
            if run is None and (index == FILL).any():
                x[before + (index == FILL,)] = self.fill
        return x

    def back(self, r, *shapes):
        """Relevance on padding goes nowhere."""
        for axis, index in self.indices(shapes[0]).items():
            given = index != FILL
            r_in = np.zeros((*r.shape[:axis + 1], shapes[0][axis], *r.shape[axis + 2:]), r.dtype)
            before = (slice(None),) * (axis + 1)
            if np.bincount(index[given], minlength=1).max() <= 1:  # each number at most once
                r_in[before + (index[given],)] = r[before + (given,)]
            else:
                np.add.at(r_in, before + (index[given],), r[before + (given,)])
            r = r_in
        return (r,)


def as_slice(index):
    """The slice that an index without padding and with even steps upwards is, so that nothing is copied; or
    None.
    """
    steps = np.diff(index)
    if index[0] == FILL or (len(steps) and not (steps[0] > 0 and (steps == steps[0]).all())):
        return None
    return slice(int(index[0]), int(index[-1]) + 1, int(steps[0]) if len(steps) else 1)


def axis_of(layer, axis, shape):
    """An axis counted from 1, or from the end, as one of `shape` counted from 0."""
    found = axis - 1 if axis > 0 else len(shape) + axis
    if not 0 <= found < len(shape):
        raise ValueError(f"{layer.type}: there is no axis {axis} in {shape}")
    return found


def check_axis(layer, axis):
    """A whole number other than 0, the batch's."""
    if not is_whole(axis) or axis == 0:
        raise ValueError(f"{layer.type}'s axis must be a whole number other than 0, the batch's, got "
                         f"{quote(axis)}")


@dataclasses.dataclass(frozen=True)
class Slice(Selection, Move):
    """x[start:stop:step] along one axis, as Python slices: None is an end, negative numbers count from it."""
    start: int | None = None
    stop: int | None = None
    step: int = 1
    axis: int = -1
    options = ("start", "stop", "step", "axis")

    def __post_init__(self):
        check_axis(self, self.axis)
        if not is_whole(self.step) or self.step == 0 or not all(n is None or is_whole(n)
                                                                for n in (self.start, self.stop)):
            raise ValueError("Slice takes whole numbers and a step other than 0, got "
                             f"{quote((self.start, self.stop, self.step))}")

    def indices(self, shape):
        axis = axis_of(self, self.axis, shape)
        index = np.arange(shape[axis])[self.start:self.stop:self.step]
        if not len(index):
            raise ValueError(f"Slice {(self.start, self.stop, self.step)} leaves nothing of axis {self.axis} "
                             f"of {shape}")
        return {axis: index}


@dataclasses.dataclass(frozen=True)
class Gather(Selection, Move):
    """The numbers at `places` along one axis, in that order; a place may come several times, as in frames
    that overlap.
    """
    places: tuple
    axis: int = -1
    options = ("places", "axis")

    def __post_init__(self):
        check_axis(self, self.axis)
        places = sequence(self.places)
        if not places or len(places) > MAX_SAMPLE or not all(map(is_whole, places)) or min(places) < 0:
            raise ValueError("Gather's places must be whole numbers from 0, got "
                             f"{quote(self.places)}")
        object.__setattr__(self, "places", tuple(map(int, places)))

    def indices(self, shape):
        axis = axis_of(self, self.axis, shape)
        if max(self.places) >= shape[axis]:
            raise ValueError(f"Gather: there is no place {max(self.places)} along axis {self.axis} of "
                             f"{shape}")
        return {axis: np.array(self.places)}


@dataclasses.dataclass(frozen=True)
class Tile(Selection, Move):
    """The whole input repeated along each axis: `repeats` holds a number for each, the batch's left out."""
    repeats: tuple
    options = ("repeats",)

    def __post_init__(self):
        repeats = sequence(self.repeats)
        if not repeats or not all(is_whole(n) and n > 0 for n in repeats) or math.prod(repeats) > MAX_SAMPLE:
            raise ValueError(f"Tile's repeats must be whole numbers above 0, got {quote(self.repeats)}")
        object.__setattr__(self, "repeats", tuple(map(int, repeats)))

    def output_shape(self, shape):
        if len(shape) != len(self.repeats):
            raise ValueError(f"Tile{self.repeats} does not fit its input {shape}")
        return tuple(n * times for n, times in zip(shape, self.repeats))

    def forward(self, x):
        return np.tile(x, (1, *self.repeats))

    def back(self, r, *shapes):
        pairs = [n for pair in zip(self.repeats, shapes[0]) for n in pair]
        return (r.reshape(len(r), *pairs).sum(axis=tuple(range(1, len(pairs) + 1, 2))),)


MODES = ("constant", "reflect", "edge", "wrap")


@dataclasses.dataclass(frozen=True)
class Pad(Selection):
    """Numbers before and after along any axes: a constant, the mirrored input, or its edge.

    margin: (before, after) for each axis but the batch's. mode: "constant", "reflect", "edge" or "wrap".
    value: the constant. Relevance on a constant goes nowhere, and is booked as gated; a mirrored number's
    copies add up.
    """
    margin: tuple
    mode: str = "constant"
    value: float = 0.0
    options = ("margin", "mode", "value")

    def __post_init__(self):
        try:
            margin = tuple((before, after) for before, after in self.margin)
        except (TypeError, ValueError):
            margin = ()
        if not margin or not all(is_whole(n) and 0 <= n <= MAX_SAMPLE for pair in margin for n in pair):
            raise ValueError("Pad's margin must be a (before, after) for each axis, whole numbers in "
                             f"0..{MAX_SAMPLE}, got {quote(self.margin)}")
        if self.mode not in MODES or not is_number(self.value):
            raise ValueError(f"Pad's mode must be one of {', '.join(MODES)} and its value a number, got "
                             f"{quote(self.mode)} and {quote(self.value)}")
        object.__setattr__(self, "margin", tuple((int(a), int(b)) for a, b in margin))

    @property
    def fill(self):
        """The constant."""
        return self.value

    def indices(self, shape):
        if len(shape) != len(self.margin):
            raise ValueError(f"Pad{self.margin} does not fit its input {shape}")
        found = {}
        for axis, (n, (before, after)) in enumerate(zip(shape, self.margin)):
            if not before and not after:
                continue
            if self.mode == "reflect" and max(before, after) >= n:
                raise ValueError(f"Pad: {max(before, after)} numbers cannot be mirrored from {n}")
            if self.mode == "constant":
                found[axis] = np.pad(np.arange(n), (before, after), constant_values=FILL)
            else:
                found[axis] = np.pad(np.arange(n), (before, after), mode=self.mode)
        return found
