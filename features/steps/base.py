"""What the steps of a front end have in common: each is a layer of `lrp_core` that a JSON file can describe.

Time runs along the axis before the last, frequency along the last: a spectrogram is [frames, bands], the
first moment and the lowest band first. A batch axis comes before.
"""
import dataclasses
import functools
from typing import ClassVar

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.text import quote
from lrp_core.transposed import transpose_of

LARGEST = 1e30  # no setting is larger; infinity and whole numbers of a thousand digits are


@dataclasses.dataclass(frozen=True)
class Axes:
    """Where the cells of a [frames, bands] array lie: their centres in seconds and hertz; None: no such axis.
    """
    seconds: np.ndarray | None = None
    hertz: np.ndarray | None = None


class Step(L.Layer):
    """A layer with settings that JSON holds: numbers, texts, None, and tuples of numbers.

    stage: what its output is called, in ledgers and pictures.
    """
    stage: ClassVar[str]
    prepares = True

    def as_dict(self):
        """The step as plain JSON values: its name, and the settings that are not the defaults."""
        found = {"step": self.type}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = list(map(plain, value)) if isinstance(value, tuple) else plain(value)
        return found

    def axes(self, axes, shape):
        """The Axes of the output, from those of the input and its shape."""
        return axes


def plain(value):
    """A NumPy number as one of Python's, which JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


class Level(Step):
    """A step that gives each cell another number by a monotone function: relevance stays where it is.

    What a clip as a whole decides (its maximum, its mean) is held fixed.
    """


@lrp_core.flow.register(Level)
def through_level(layer, rule, xs, y, r, book):
    """R_in = R."""
    return [r.reshape(xs[0].shape)]


@transpose_of(through_level)
def of_level(layer, rule, xs, y, vs, kept):
    """w = v."""
    return vs[0].reshape(y.shape)


def check(what, value, *, low=None, high=None, whole=False, also=()):
    """Refuse a setting that is no number between `low` and `high`; `also`: other values that are allowed."""
    if any(value is other or (isinstance(value, str) and value == other) for other in also):
        return
    kinds = (int, np.integer) if whole else (int, float, np.number)
    number = isinstance(value, kinds) and not isinstance(value, (bool, complex)) and abs(value) < LARGEST
    if not number or (low is not None and value < low) or (high is not None and value > high):
        kind = "a whole number" if whole else "a number"
        allowed = "".join(f" or {quote(one) if isinstance(one, str) else one}" for one in also)
        low, high = ("" if bound is None else f"{bound:g}" for bound in (low, high))
        span = f" in {low}..{high}" if low or high else ""
        raise ValueError(f"{what} must be {kind}{span}{allowed}, found {quote(value)}")


def check_flag(what, value):
    """Refuse a setting that is neither true nor false."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} must be true or false, found {quote(value)}")


def one_of(what, value, known):
    """Refuse a setting that is none of the known ones."""
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(map(quote, known))}, found {quote(value)}")


def row_of_samples(layer, shape):
    """The length of an input that must be a sound [n]."""
    if len(shape) != 1:
        raise ValueError(f"{layer.type} takes a sound [n], its input is {shape}")
    return shape[0]


def time_and_frequency(layer, shape):
    """(frames, bands) of an input that must be a spectrogram."""
    if len(shape) != 2:
        raise ValueError(f"{layer.type} takes a spectrogram [frames, bands], its input is {shape}")
    return shape


@functools.lru_cache(maxsize=64)
def centres_between(cells, size):
    """Where the centres of `size` equal shares of `cells` cells lie, counted in cells from the first centre.
    """
    return (np.arange(size) + 0.5) * (cells / size) - 0.5
