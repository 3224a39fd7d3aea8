"""The short-time Fourier transform, from scratch: frames, window, FFT, power; and its inverse."""
import dataclasses
import functools

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.stabilize import share
from lrp_core.transposed import transpose_of

from .base import Axes, Step, check, check_flag, one_of, row_of_samples

# Periodic windows w_n as sums of cosines, Σ_i a_i cos(2πi n / length).
WINDOWS = {"hann": (0.5, -0.5), "hamming": (0.54, -0.46), "blackman": (0.42, -0.5, 0.08), "ones": (1.0,)}
PADS = {"constant": "constant", "reflect": "reflect", "edge": "edge", "replicate": "edge"}
BLOCK = 64  # frames that are transformed at a time: they stay in the processor's cache


@functools.lru_cache(maxsize=16)
def window_of(name, length, size):
    """The window of `length` samples in the middle of `size`."""
    place = 2 * np.pi * np.arange(length) / length
    w = sum(a * np.cos(i * place) for i, a in enumerate(WINDOWS[name])) if length > 1 else np.ones(1)
    left = (size - length) // 2
    w = np.pad(w, (left, size - length - left))
    w.flags.writeable = False
    return w


def parts_of(count):
    """Slices of `count` frames, in their order."""
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def rfft(frames):
    """The FFT of rows of real numbers, in their precision."""
    if frames.dtype == np.float64:
        return np.fft.rfft(frames, axis=-1)
    import scipy.fft  # faster than NumPy in single precision; takes long to import
    return scipy.fft.rfft(frames, axis=-1)


def power(spectrum, out=None):
    """|Y|²."""
    square = np.multiply(spectrum.real, spectrum.real, out=out)
    square += spectrum.imag ** 2
    return square


def irfft(spectrum, size):
    """The inverse of `rfft`."""
    if spectrum.dtype == np.complex128:
        return np.fft.irfft(spectrum, size, axis=-1)
    import scipy.fft
    return scipy.fft.irfft(spectrum, size, axis=-1)


@dataclasses.dataclass(frozen=True)
class Frames:
    """How a sound is cut into frames: librosa's names and defaults.

    n_fft: samples of a frame. hop_length: from one to the next; None: a quarter of win_length. win_length:
    samples of the window, in the middle of the frame; None: n_fft. window: hann, hamming, blackman, ones.
    center: frame m has its middle at sample m·hop_length; the sound is continued on both sides by pad_mode
    (constant: zeros; reflect; edge). Else frame m begins there.
    """
    n_fft: int = 2048
    hop_length: int | None = 512
    win_length: int | None = None
    window: str = "hann"
    center: bool = True
    pad_mode: str = "constant"

    def __post_init__(self):
        check("n_fft", self.n_fft, low=2, high=1 << 20, whole=True)
        check("win_length", self.win_length, low=1, high=self.n_fft, whole=True, also=(None,))
        check("hop_length", self.hop_length, low=1, high=1 << 20, whole=True, also=(None,))
        one_of("window", self.window, tuple(WINDOWS))
        one_of("pad_mode", self.pad_mode, tuple(PADS))
        check_flag("center", self.center)

    @property
    def hop(self):
        """Samples from one frame to the next."""
        return self.hop_length or max((self.win_length or self.n_fft) // 4, 1)

    @property
    def pad(self):
        """Samples by which the sound is continued on each side."""
        return self.n_fft // 2 if self.center else 0

    @property
    def bins(self):
        """Frequencies of a frame, from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    @property
    def w(self):
        """The window [n_fft]."""
        return window_of(self.window, self.win_length or self.n_fft, self.n_fft)

    def count(self, samples):
        """The number of frames of a sound."""
        if samples + 2 * self.pad < self.n_fft:
            raise ValueError(f"{samples} samples are too few for a frame of {self.n_fft}")
        if self.pad >= samples and self.center and self.pad_mode == "reflect":
            raise ValueError(f"{samples} samples are too few to be reflected over {self.pad}")
        return 1 + (samples + 2 * self.pad - self.n_fft) // self.hop

    def blocks(self, y):
        """(slice of frames, their spectra [frames, bins]) of a sound y [n], a few frames at a time."""
        padded = np.pad(y, self.pad, mode=PADS[self.pad_mode]) if self.pad else y
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[::self.hop]
        w, windowed = self.w.astype(y.dtype, copy=False), np.empty((BLOCK, self.n_fft), y.dtype)
        for part in parts_of(self.count(len(y))):
            yield part, rfft(np.multiply(frames[part], w, out=windowed[:part.stop - part.start]))

    def transform(self, y):
        """Y[m, k] = Σ_n w_n · y[m·hop + n - pad] · e^{-2πi kn / n_fft}: y [n] -> [frames, bins] complex."""
        spectrum = np.empty((self.count(len(y)), self.bins),
                            np.complex64 if y.dtype == np.float32 else np.complex128)
        for part, found in self.blocks(y):
            spectrum[part] = found
        return spectrum

    def overlap_add(self, blocks, padded):
        """Add frames, each `hop` samples later than the last: -> [padded].

        blocks: frames [.., n_fft] in their order, some at a time.
        """
        hop, parts = self.hop, -(-self.n_fft // self.hop)
        y, start = np.zeros(0), 0
        for frames in blocks:
            needed = max(padded, (start + len(frames) + parts) * hop)
            if len(y) < needed:  # the first time; or a frame reaches beyond `padded`
                y = np.concatenate((y.astype(frames.dtype), np.zeros(needed - len(y), frames.dtype)))
            for part in range(parts):
                piece = frames[:, part * hop:(part + 1) * hop]
                rows = y[(start + part) * hop:(start + part + len(frames)) * hop].reshape(len(frames), hop)
                rows[:, :piece.shape[1]] += piece
            start += len(frames)
        return y[:padded]

    def unpad(self, padded):
        """The transpose of the padding: what was copied to the sides is added to where it came from."""
        pad = self.pad
        if not pad:
            return padded
        y, left, right = padded[pad:-pad].copy(), padded[:pad], padded[-pad:]
        if self.pad_mode == "reflect":
            y[1:pad + 1] += left[::-1]
            y[-pad - 1:-1] += right[::-1]
        elif PADS[self.pad_mode] == "edge":
            y[0] += left.sum()
            y[-1] += right.sum()
        return y

    def adjoint(self, blocks, samples):
        """g_n = Σ_m w_{n-mH} Σ_k Re[weight_{m,k} e^{iθ_{k,n-mH}}], θ_{k,n} = 2πkn / n_fft: -> [samples].

        blocks: the weights [.., bins] of all frames in their order, some frames at a time; overwritten.

        The transpose of `transform`, for real sounds. The inner sum is an inverse real FFT, times n_fft. That
        counts each bin twice but the first and, of an even n_fft, the last: half of it with those doubled.
        """
        w, last = self.n_fft / 2 * self.w, self.n_fft // 2
        once = [0, last] if self.n_fft == 2 * last else [0]

        def frames():
            for weight in blocks:
                weight[:, once] *= 2
                found = irfft(weight, self.n_fft)
                found *= w.astype(found.dtype, copy=False)
                yield found
        return self.unpad(self.overlap_add(frames(), samples + 2 * self.pad))

    def inverse(self, spectrum, samples):
        """The sound [samples] whose transform comes nearest to `spectrum` in the sense of least squares.

            y_n = Σ_m w_{n-mH} · irfft(Y_m)_{n-mH} / Σ_m w²_{n-mH}        (Griffin and Lim 1984, eq. 6)

        For a spectrum that `transform` made it is the sound itself, wherever a window reaches.
        """
        padded = samples + 2 * self.pad
        y = self.overlap_add((irfft(spectrum[part], self.n_fft) * self.w for part in parts_of(len(spectrum))),
                             padded)
        y /= np.maximum(self.coverage(len(spectrum), padded), np.finfo(np.float64).tiny)
        return y[self.pad:self.pad + samples]

    def coverage(self, count, padded):
        """Σ_m w²_{n-mH} [padded]; beyond the reach of all windows, where it is rounding, infinity."""
        weight = self.overlap_add([np.broadcast_to(self.w ** 2, (count, self.n_fft))], padded)
        return np.where(weight > 1e-12 * (self.w ** 2).max(), weight, np.inf)

    def seconds(self, count, rate):
        """The middles of the frames in seconds."""
        return (np.arange(count) * self.hop + self.n_fft // 2 - self.pad) / rate


@dataclasses.dataclass(frozen=True)
class Spectrogram(Step, Frames):
    """|STFT(y)|^power: a sound [n] -> [frames, bins]; power 2 or 1, as librosa's.

    sample_rate: for the axes of pictures only. The other settings are those of `Frames`.
    """
    stage = "spectrogram"
    power: float = 2.0
    sample_rate: float = 22_050

    def __post_init__(self):
        Frames.__post_init__(self)
        check("power", self.power, low=0.1, high=10)
        check("sample_rate", self.sample_rate, low=1)

    def output_shape(self, shape):
        return self.count(row_of_samples(self, shape)), self.bins

    def forward(self, x):
        y = np.empty((len(x), self.count(x.shape[1]), self.bins), x.dtype)
        for sound, cells in zip(x, y):
            for part, found in self.blocks(sound):
                self.magnitude(found, out=cells[part])
        return y

    def forward_keeping(self, x):
        spectra = np.stack([self.transform(sound) for sound in x])
        return self.magnitude(spectra), spectra

    def magnitude(self, spectrum, out=None):
        """|Y|^power; written to `out` if there is one."""
        square = power(spectrum, out)
        return square if self.power == 2 else np.power(square, self.power / 2, out=square)

    def axes(self, axes, shape):
        return Axes(self.seconds(self.count(shape[0]), self.sample_rate),
                    np.arange(self.bins) * (self.sample_rate / self.n_fft))


@lrp_core.flow.register(Spectrogram)
def through_spectrogram(layer, rule, xs, y, r, book):
    """R_n = y_n Σ_m w_{n-mH} Σ_k c_{m,k} Re[Y_{m,k} e^{iθ}], c = R / |Y|²: LRP-0 of the power, linear in y
    once one of Y·Y* is held (Vielhaben et al. 2024, DFT-LRP). Relevance of silent cells is gated.
    """
    (x,), r_in = xs, np.empty_like(xs[0])
    book.gated += r.reshape(len(r), -1).sum(axis=1)

    def weights(n, spectrum):
        for part in parts_of(len(spectrum)):
            c, shared = share(r[n, part], power(spectrum[part]))
            book.gated[n] -= r[n, part].sum(where=shared)
            yield c * spectrum[part]
    for n, (sound, spectrum) in enumerate(zip(x, book.kept)):
        r_in[n] = sound * layer.adjoint(weights(n, spectrum), x.shape[1])
    return [r_in]


@transpose_of(through_spectrogram)
def of_spectrogram(layer, rule, xs, y, vs, kept):
    """w_{m,k} = Re[Y_{m,k} V*_{m,k}] / |Y_{m,k}|², with V the transform of y v."""
    met = np.stack([layer.transform(sound * v) for sound, v in zip(xs[0], vs[0])])
    return share((kept * met.conj()).real, power(kept))[0]


@dataclasses.dataclass(frozen=True)
class InverseSTFT(L.Linear, Step, Frames):
    """A sound [samples] from its spectra [frames, bins, 2] (real and imaginary part), linear in them.

    It stands before a network that takes samples, to carry relevance from them to time and frequency: the
    sound is written as the inverse of its own transform (Vielhaben et al. 2024).
    """
    stage = "cells"
    samples: int = 1

    def output_shape(self, shape):
        wanted = (self.count(self.samples), self.bins, 2)
        if shape != wanted:
            raise ValueError(f"InverseSTFT of {self.samples} samples takes spectra {wanted}, found {shape}")
        return (self.samples,)

    def linear(self, x, kernel, bias):
        return np.stack([self.inverse(cells[..., 0] + 1j * cells[..., 1], self.samples) for cells in x])

    def adjoint(self, s, kernel, shape):
        # y = diag(1 / coverage) Σ w irfft(Y): the transpose is rfft(w · s / coverage), each inner bin twice.
        padded = self.samples + 2 * self.pad
        weight = np.maximum(self.coverage(shape[0], padded), np.finfo(np.float64).tiny)
        twice = np.full(self.bins, 2 / self.n_fft)
        twice[0] = twice[0] / 2
        if self.n_fft % 2 == 0:
            twice[-1] = twice[-1] / 2
        found = np.empty((len(s), *shape), s.dtype)
        for one, r in zip(found, s):
            ratio = np.zeros(padded)
            ratio[self.pad:self.pad + self.samples] = r
            frames = np.lib.stride_tricks.sliding_window_view(ratio / weight, self.n_fft)[::self.hop]
            spectrum = rfft(frames[:shape[0]] * self.w) * twice
            one[..., 0], one[..., 1] = spectrum.real, spectrum.imag
        return found
