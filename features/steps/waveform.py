"""Steps from a recording to the samples that are analysed: resample, and fit to a length."""
import dataclasses
import fractions
import functools

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.transposed import transpose_of

from .base import Step, check, one_of, row_of_samples

SHORT = ("twice", "loop", "zeros")
RATES = (1_000, 768_000)
BLOCK = 32  # samples that a block of the resampler's matrix makes at least


def rate_ratio(source, target):
    """(up, down): the ratio target / source in whole numbers of at most 2,000.

    Exact for every common rate and off by less than 1e-4 otherwise; an odd rate would need a filter of
    millions of taps.
    """
    ratio = fractions.Fraction(target / source).limit_denominator(2000)
    return ratio.numerator, ratio.denominator


def low_pass(up, down):
    """h [20·max(up, down) + 1]: a sinc in a Kaiser window (β = 5) whose taps sum to `up`."""
    longest = max(up, down)
    place = np.arange(-10 * longest, 10 * longest + 1) / longest
    h = np.sinc(place) * np.kaiser(len(place), 5.0)
    return h * (up / h.sum())


@functools.lru_cache(maxsize=8)
def resampling_matrix(up, down):
    """(H [inputs, outputs], step, lead): `outputs` samples from `inputs` samples, of which the first comes
    `lead` before the block; the next block begins `step` samples later.

        y'_m = Σ_n h[m·down - n·up + middle] y_n
    """
    h = low_pass(up, down)
    middle, times = len(h) // 2, -(-BLOCK // up)
    outputs, step, lead = up * times, down * times, middle // up
    inputs = ((outputs - 1) * down + middle) // up + lead + 1
    tap = np.arange(outputs) * down - (np.arange(inputs)[:, None] - lead) * up + middle
    matrix = np.where((tap >= 0) & (tap < len(h)), h[np.clip(tap, 0, len(h) - 1)], 0)
    matrix.flags.writeable = False
    return matrix, step, lead


@dataclasses.dataclass(frozen=True)
class Resample(L.Linear, Step):
    """From one sample rate to another: y' = H y, a polyphase low-pass filter. [n] -> [ceil(n·target /
    source)].

    H is block-Toeplitz: the same small matrix makes each block of output from the samples around it, so that
    filtering is one matrix product, and so is its transpose.
    """
    stage = "resample"
    source: float
    target: float

    def __post_init__(self):
        for what in ("source", "target"):
            check(f"Resample: {what}", getattr(self, what), low=RATES[0], high=RATES[1])

    @property
    def ratio(self):
        """(up, down)."""
        return rate_ratio(self.source, self.target)

    def output_shape(self, shape):
        up, down = self.ratio
        return (-(-row_of_samples(self, shape) * up // down),)

    def linear(self, x, kernel, bias):
        up, down = self.ratio
        if up == down:
            return x.copy()
        matrix, step, lead = resampling_matrix(up, down)
        (length,) = self.output_shape(x.shape[1:])
        inputs, outputs = matrix.shape
        blocks = -(-length // outputs)
        padded = np.zeros((len(x), (blocks - 1) * step + inputs), x.dtype)
        take = min(x.shape[1], padded.shape[1] - lead)
        padded[:, lead:lead + take] = x[:, :take]
        windows = np.lib.stride_tricks.sliding_window_view(padded, inputs, axis=1)[:, ::step]
        return (windows @ matrix.astype(x.dtype, copy=False)).reshape(len(x), -1)[:, :length]

    def adjoint(self, s, kernel, shape):
        up, down = self.ratio
        if up == down:
            return s.copy()
        matrix, step, lead = resampling_matrix(up, down)
        inputs, outputs = matrix.shape
        blocks, parts = -(-s.shape[1] // outputs), -(-inputs // step)
        padded = np.zeros((len(s), blocks * outputs), s.dtype)
        padded[:, :s.shape[1]] = s
        wide = np.zeros((outputs, parts * step), s.dtype)
        wide[:, :inputs] = matrix.T
        shares = (padded.reshape(len(s), blocks, outputs) @ wide).reshape(len(s), blocks, parts, step)
        back = np.zeros((len(s), blocks + parts - 1, step), s.dtype)
        for part in range(parts):
            back[:, part:part + blocks] += shares[:, :, part]
        back = back.reshape(len(s), -1)[:, lead:lead + shape[0]]
        return np.pad(back, ((0, 0), (0, shape[0] - back.shape[1])))


@dataclasses.dataclass(frozen=True)
class Fit(L.Move, Step):
    """Exactly `samples` of a sound: a longer one is cut; a shorter one is played `twice`, then followed by
    digital silence, played in a `loop`, or followed by `zeros` at once.
    """
    stage = "fit"
    samples: int
    short: str = "twice"

    def __post_init__(self):
        check("Fit: samples", self.samples, low=1, whole=True)
        one_of("Fit: short", self.short, SHORT)

    def plays(self, length):
        """How often a sound of this length is begun."""
        return {"twice": 2, "zeros": 1, "loop": -(-self.samples // length)}[self.short]

    def output_shape(self, shape):
        row_of_samples(self, shape)
        return (self.samples,)

    def forward(self, x):
        y, length = np.zeros((len(x), self.samples), x.dtype), x.shape[1]
        for start in range(0, min(self.plays(length) * length, self.samples), length):
            part = y[:, start:start + length]
            part[...] = x[:, :part.shape[1]]
        return y

    def back(self, r, shape):
        length = shape[0]
        r_in = np.zeros((len(r), length), r.dtype)
        for start in range(0, min(self.plays(length) * length, self.samples), length):
            part = r[:, start:start + length]
            r_in[:, :part.shape[1]] += part
        return (r_in,)


@lrp_core.flow.register(Fit)
def through_fit(layer, rule, xs, y, r, book):
    """Relevance goes back to the sample that was played; what lies on the silence after it is gated."""
    (r_in,) = layer.back(r, xs[0].shape[1:])
    book.gated += r.sum(axis=1) - r_in.sum(axis=1)
    return [r_in]


@transpose_of(through_fit)
def of_fit(layer, rule, xs, y, vs, kept):
    """v of the sample that was played."""
    return layer.forward(vs[0])
