"""Steps from FFT bins to bands: mel filters, or a range of bins."""
import dataclasses
import functools

import numpy as np

from lrp_core import layers as L

from .base import Axes, Step, check, check_flag, one_of, time_and_frequency

NORMS = ("slaney", None)
LARGEST_FILTERS = 1 << 26  # bands times n_fft


def hz_to_mel(hertz, htk=False):
    """Slaney's scale: linear below 1 kHz (3 mel for 200 Hz), logarithmic above (27 mel for a factor of 6.4);
    HTK's: 2595 log10(1 + f / 700).
    """
    hertz = np.asarray(hertz, np.float64)
    if htk:
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < 1000, hertz * 3 / 200,
                    15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mel, htk=False):
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    if htk:
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27))


@dataclasses.dataclass(frozen=True)
class Mel(L.Linear, Step):
    """Mel bands, with librosa's names and defaults: [frames, bins] -> [frames, n_mels], z = x Bᵀ.

    B[b, k] = norm_b · max(0, min(rise, fall)), triangles between n_mels + 2 corner frequencies f, equally
    spaced in mel from fmin to fmax:

        rise = (ν_k - f_b) / (f_{b+1} - f_b),    fall = (f_{b+2} - ν_k) / (f_{b+2} - f_{b+1})

    norm_b is 2 / (f_{b+2} - f_b) for "slaney", which gives every triangle the area 1, and 1 for None.
    """
    stage = "mel"
    sample_rate: float = 22_050
    n_fft: int = 2048
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    htk: bool = False
    norm: str | None = "slaney"

    def __post_init__(self):
        check("sample_rate", self.sample_rate, low=1)
        check("n_fft", self.n_fft, low=2, high=1 << 20, whole=True)
        check("n_mels", self.n_mels, low=1, high=4096, whole=True)
        check_flag("htk", self.htk)
        if self.n_mels * self.n_fft > LARGEST_FILTERS:
            raise ValueError(f"{self.n_mels} mel bands of n_fft={self.n_fft} take filters of "
                             f"{self.n_mels * self.n_fft // 2:,} numbers: too many")
        check("fmin", self.fmin, low=0, high=self.sample_rate / 2)
        check("fmax", self.fmax, low=0, also=(None,))
        if self.highest <= self.fmin:
            raise ValueError(f"fmax must lie above fmin, found {self.highest} and {self.fmin}")
        one_of("norm", self.norm, NORMS)

    @property
    def highest(self):
        """Where the last band ends, in Hz."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def edges(self):
        """The n_mels + 2 corner frequencies in Hz: band b rises from edge b, peaks at b + 1, ends at b + 2.
        """
        low, high = hz_to_mel([self.fmin, self.highest], self.htk)
        return mel_to_hz(np.linspace(low, high, self.n_mels + 2), self.htk)

    @property
    def kernel(self):
        return filters_of(self)

    def output_shape(self, shape):
        frames, bins = time_and_frequency(self, shape)
        if bins != self.n_fft // 2 + 1:
            raise ValueError(f"Mel bands of n_fft={self.n_fft} take {self.n_fft // 2 + 1} bins, found {bins}")
        return frames, self.n_mels

    def linear(self, x, kernel, bias):
        if kernel is not filters_of(self):
            return x @ kernel.astype(x.dtype, copy=False)
        y, groups = np.empty((*x.shape[:-1], self.n_mels), x.dtype), groups_of(self, x.dtype)
        for bands, bins, weights in groups:
            np.matmul(x[..., bins], weights, out=y[..., bands])
        return y

    def adjoint(self, s, kernel, shape):
        if kernel is not filters_of(self):
            return s @ kernel.T.astype(s.dtype, copy=False)
        r = np.zeros((*s.shape[:-1], shape[-1]), s.dtype)
        for bands, bins, weights in groups_of(self, s.dtype):
            r[..., bins] += s[..., bands] @ weights.T
        return r

    def axes(self, axes, shape):
        return Axes(axes.seconds, self.edges[1:-1])


@functools.lru_cache(maxsize=8)
def filters_of(mel):
    """The filters Bᵀ [bins, n_mels]."""
    f = mel.edges
    nu = np.arange(mel.n_fft // 2 + 1)[:, None] * (mel.sample_rate / mel.n_fft)
    rise, fall = (nu - f[:-2]) / (f[1:-1] - f[:-2]), (f[2:] - nu) / (f[2:] - f[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall))
    if mel.norm == "slaney":
        filters *= 2 / (f[2:] - f[:-2])
    filters.flags.writeable = False
    return filters


@functools.lru_cache(maxsize=16)
def groups_of(mel, dtype, together=16):
    """[(bands, bins, Bᵀ of these)]: groups of bands with the bins that they reach.

    A band sees few bins: sixteen bands at a time, an eighth of the products is left.
    """
    filters, groups = filters_of(mel), []
    for start in range(0, mel.n_mels, together):
        bands = slice(start, min(start + together, mel.n_mels))
        reached = np.flatnonzero(filters[:, bands].any(axis=1))
        bins = slice(reached[0], reached[-1] + 1) if len(reached) else slice(0, 1)
        groups.append((bands, bins, filters[bins, bands].astype(dtype, copy=False)))
    return tuple(groups)


@dataclasses.dataclass(frozen=True)
class Bins(L.Move, Step):
    """The bins from `first` up to, but not including, `last`: [frames, bins] -> [frames, last - first]."""
    stage = "bins"
    first: int = 0
    last: int | None = None

    def __post_init__(self):
        check("Bins: first", self.first, low=0, whole=True)
        check("Bins: last", self.last, low=self.first + 1, whole=True, also=(None,))

    def output_shape(self, shape):
        frames, bins = time_and_frequency(self, shape)
        last = bins if self.last is None else self.last
        if not self.first < last <= bins:
            raise ValueError(f"Bins {self.first}..{last} of {bins}: there are not so many")
        return frames, last - self.first

    def forward(self, x):
        return x[..., self.first:self.last]

    def back(self, r, shape):
        r_in = np.zeros((len(r), *shape), r.dtype)
        r_in[..., self.first:self.last] = r
        return (r_in,)

    def axes(self, axes, shape):
        return Axes(axes.seconds, axes.hertz[self.first:self.last])
