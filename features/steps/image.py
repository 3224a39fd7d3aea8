"""Steps from a spectrogram to the array a network takes: resize, colours, the order of the axes."""
import dataclasses
import functools
import importlib.resources

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.transposed import transpose_of

from .base import Axes, Step, centres_between, check, time_and_frequency


@functools.lru_cache(maxsize=32)
def area_weights(size, cells):
    """The matrix A [size, cells] that averages `cells` columns over area into `size` equal shares.

    A[i, j] is the part of share i that column j covers; each row of A sums to 1:

        A[i, j] = |[i, i+1)·cells/size  intersected with  [j, j+1)| · size/cells
    """
    edges = np.arange(size + 1) * (cells / size)
    left = np.maximum(edges[:-1, None], np.arange(cells))
    right = np.minimum(edges[1:, None], np.arange(1, cells + 1))
    weights = np.maximum(right - left, 0) * (size / cells)
    weights.flags.writeable = False
    return weights


@dataclasses.dataclass(frozen=True)
class AreaResize(L.Linear, Step):
    """Average over area: [frames, bands] -> [frames', bands'], z = A_frames x A_bandsᵀ."""
    stage = "resize"
    frames: int = 64
    bands: int = 64

    def __post_init__(self):
        check("AreaResize: frames", self.frames, low=1, high=1 << 16, whole=True)
        check("AreaResize: bands", self.bands, low=1, high=1 << 16, whole=True)

    def output_shape(self, shape):
        time_and_frequency(self, shape)
        return self.frames, self.bands

    def matrices(self, shape, dtype):
        """(A_frames, A_bands)."""
        return (area_weights(self.frames, shape[0]).astype(dtype, copy=False),
                area_weights(self.bands, shape[1]).astype(dtype, copy=False))

    def linear(self, x, kernel, bias):
        frames, bands = self.matrices(x.shape[1:], x.dtype)
        return frames @ (x @ bands.T)

    def adjoint(self, s, kernel, shape):
        frames, bands = self.matrices(shape, s.dtype)
        return (frames.T @ s) @ bands

    def axes(self, axes, shape):
        return Axes(*(np.interp(centres_between(cells, size), np.arange(cells), places)
                      for cells, size, places in ((shape[0], self.frames, axes.seconds),
                                                  (shape[1], self.bands, axes.hertz))))


@functools.cache
def magma():
    """The 256 colours of matplotlib's magma map: [256, 3] float32 in [0, 1], from the table beside this file.
    """
    table = importlib.resources.files("features") / "data" / "magma.csv"
    with table.open() as lines:
        colours = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    colours.flags.writeable = False
    return colours


def colour(level):
    """Colour magma indices: level [..., H, W] uint8 -> image [..., H, W, 3] float32 in [0, 1]."""
    level = np.asarray(level)
    if level.dtype != np.uint8:
        raise TypeError(f"colour map indices must be uint8, got {level.dtype}: use `quantise` first")
    return magma()[level]


def quantise(x):
    """Magma indices min(floor(256·x), 255) of numbers in [0, 1]: uint8."""
    return np.minimum(x * 256, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Colours(Step):
    """The magma colour of each number in [0, 1], in 256 steps: [frames, bands] -> [frames, bands, 3]."""
    stage = "colours"

    def output_shape(self, shape):
        return (*time_and_frequency(self, shape), 3)

    def forward(self, x):
        return colour(quantise(x)).astype(x.dtype, copy=False)


@lrp_core.flow.register(Colours)
def through_colours(layer, rule, xs, y, r, book):
    """A cell takes what its three colours received."""
    return [r.sum(axis=-1)]


@transpose_of(through_colours)
def of_colours(layer, rule, xs, y, vs, kept):
    """v of the cell, for each of its three colours."""
    return np.broadcast_to(vs[0][..., None], y.shape)


@dataclasses.dataclass(frozen=True)
class Arrange(Step):
    """Put the axes into the order a network takes them in.

    order: letters for the output's axes: t (time), f (frequency, "-f": the highest band first), c (channels).
    A sound has t alone. channels: how many equal channels to make where the input has none.
    """
    stage = "arrange"
    order: str = "tf"
    channels: int = 1

    def __post_init__(self):
        text = self.order if isinstance(self.order, str) else ""
        letters = text.replace("-f", "f", 1)
        if "".join(sorted(letters)) not in ("t", "ct", "ft", "cft"):
            raise ValueError(f"order must be made of t, f (or -f) and c, as in 'ft', '-ftc', 'ct'; found "
                             f"{self.order!r}")
        check("Arrange: channels", self.channels, low=1, high=64, whole=True)

    def _given(self, shape):
        """The letters of the input's axes."""
        given = {1: "t", 2: "tf", 3: "tfc"}.get(len(shape))
        letters = self.order.replace("-", "")
        if given is None or set(given) - set(letters) or set(letters) - set(given + "c"):
            raise ValueError(f"Arrange {self.order!r} cannot arrange an input of shape {shape}")
        return given

    def output_shape(self, shape):
        sizes = dict(zip(self._given(shape), shape))
        return tuple(sizes.get(letter, self.channels) for letter in self.order.replace("-", ""))

    def forward(self, x):
        given, letters = self._given(x.shape[1:]), self.order.replace("-", "")
        if "c" in letters and "c" not in given:
            x, given = np.broadcast_to(x[..., None], (*x.shape, self.channels)), given + "c"
        y = x.transpose(0, *(1 + given.index(letter) for letter in letters))
        return np.ascontiguousarray(np.flip(y, 1 + letters.index("f")) if "-" in self.order else y)

    def back(self, r, shape):
        """Relevance in the input's order; channels that were made equal are added up."""
        given, letters = self._given(shape), self.order.replace("-", "")
        if "-" in self.order:
            r = np.flip(r, 1 + letters.index("f"))
        if "c" in letters and "c" not in given:
            r, letters = r.sum(axis=1 + letters.index("c")), letters.replace("c", "")
        return r.transpose(0, *(1 + letters.index(letter) for letter in given))


@lrp_core.flow.register(Arrange)
def through_arrange(layer, rule, xs, y, r, book):
    """Relevance goes back the way the numbers came."""
    return [layer.back(r, xs[0].shape[1:])]


@transpose_of(through_arrange)
def of_arrange(layer, rule, xs, y, vs, kept):
    """v goes the way the numbers go."""
    return layer.forward(vs[0])
