"""Relevance back down the front end: from the image's pixels to mel bands, STFT cells and samples of the
sound.

Every step is linear or elementwise and shares relevance as LRP-0 does: what stands above is handed to the
parts that make it up, in proportion to what each contributed. For a linear step z = A·x that is

    R_x = x ⊙ Aᵀ (R_z / z)

so Σ R_x = Σ R_z wherever z is not zero. Where z is zero (digital silence) no input can be handed relevance;
it is dropped, and the step's book says how much. Colour map, stretch and decibels are monotone and act on
each cell alone: relevance passes through them unchanged. (Power and STFT together as DFT-LRP, Vielhaben et
al. 2024, Pattern Recognition 150; the way through mel bands is this project's.)
"""
import dataclasses

import numpy as np
import scipy.fft

from .audio import SAMPLE_RATE, fit_back, rate_ratio, resampling_filter
from .image import SIZE, area_weights, stretch
from .mel import mel_filters
from .stft import HOP, WINDOW, hann, overlap_add, power, stft


@dataclasses.dataclass(frozen=True)
class Step:
    """The ledger's line of one step: received Σ R above, passed Σ R below, dropped: what no input could take.
    Sums in float64.
    """
    name: str
    received: float
    passed: float
    dropped: float
    turnover: float

    @property
    def residual(self):
        """What rounding leaves: received - passed - dropped."""
        return self.received - self.passed - self.dropped


@dataclasses.dataclass(frozen=True)
class SoundRelevance:
    """The relevance of one explanation at every stage of the front end; all arrays float64, positive for the
    class, negative against it.

    pixels: [64, 64], row 0 the highest band. mel: [128, 345], band 0 the lowest. cells: [345, 1025], one for
    each frame and bin of the STFT. samples: [176400], the four seconds at 44.1 kHz that are analysed.
    original: [n], the samples of
    the file itself, mono and at its own rate: where it was played twice, both times add up.
    steps: the ledger's lines, image first.
    """
    pixels: np.ndarray
    mel: np.ndarray
    cells: np.ndarray
    samples: np.ndarray
    original: np.ndarray
    steps: tuple


def share(relevance, total):
    """R / z where z is not zero, else 0."""
    return np.divide(relevance, total, out=np.zeros_like(relevance), where=total != 0)


def area_to_mel(pixels, level):
    """R_mel = level ⊙ A_bandsᵀ (R / (A_bands·level·A_framesᵀ)) A_frames: pixels [64, 64] -> [bands, frames],
    high bands first.

    level: the stretched decibels [bands, frames] whose averages over area are the pixels.
    """
    bands, frames = (area_weights(SIZE, cells) for cells in level.shape)
    return level * (bands.T @ share(pixels, bands @ level @ frames.T) @ frames)


def mel_to_cells(mel, filters, cell_power):
    """c = Bᵀ (R_mel / (B P)) [bins, frames]; the relevance of a cell is P ⊙ c.

    mel: [bands, frames]. filters: B [bands, bins]. cell_power: P [bins, frames]. The next step needs c = R /
    P itself, so nothing is divided by the power of a silent cell.
    """
    return filters.T @ share(mel, filters @ cell_power)


def cells_to_samples(weight, spectrum, y, window=WINDOW, hop=HOP):
    """R_n = y_n · Σ_m w_{n-mH} Σ_k c_{m,k} Re[Y_{m,k} e^{iθ_{k,n-mH}}]: cells [frames, bins] -> samples [n],
    and its weight.

    weight: c = R / |Y|² for each cell; spectrum: Y = STFT(y). P_k = Re(Y_k Y_k*) is linear in y once Y_k* is
    held: P_k = Σ_n y_n w_n Re[Y_k e^{iθ_{k,n}}], θ_{k,n} = 2πkn/N. The inner sum is an inverse real FFT of
    c·Y with the inner bins halved, since it counts each of them twice, times N. Returns (R [n], R / y [n]):
    the ratio, which later steps need, exists where y is zero too.
    """
    halved = weight * spectrum
    halved[:, 1:(window + 1) // 2] /= 2
    frames = scipy.fft.irfft(halved, window, axis=1) * (window * hann(window))
    ratio = overlap_add(frames, len(y), hop)  # less the padding, which is zero and has no part in any cell
    return y * ratio, ratio


def resample_back(ratio, sample_rate, length):
    """The transpose of `audio.resample`: ratios [target samples] -> [length] at `sample_rate`.

    With the filter h, y'_m = Σ_n h[m·down - n·up + middle] y_n, so (Hᵀ g)_n = Σ_m h[m·down - n·up + middle]
    g_m: a convolution with the reversed filter that goes up by `down` and down by `up`.
    """
    up, down = rate_ratio(sample_rate)
    if up == down:
        return ratio
    taps = up * resampling_filter(up, down)
    middle = len(taps) // 2
    # Sample n lies at n·up + last - middle of the full convolution: zeros in front make that a multiple of
    # `up`.
    lead = -(len(taps) - 1 - middle) % up
    first = (len(taps) - 1 - middle + lead) // up
    import scipy.signal  # see `audio.resampling_filter`
    back = scipy.signal.upfirdn(np.concatenate((np.zeros(lead), taps[::-1])), ratio, down,
                                up)[first:first + length]
    return np.pad(back, (0, length - len(back)))


def book(name, above, below, dropped=0.0):
    """The Step from relevance `above` to relevance `below`."""
    return Step(name, float(above.sum()), float(below.sum()), float(dropped),
                float(np.abs(above).sum() + np.abs(below).sum()))


def relevance_to_sound(clip, relevance):
    """Carry the relevance of an image down to the sound it was made of, conserving it at each step.

    clip: the `Clip` whose image was explained. relevance: [64, 64] or [64, 64, channels], of its pixels.
    Returns a SoundRelevance. Raises ValueError for another shape, NaN or infinity.
    """
    relevance = np.asarray(relevance, np.float64)
    if relevance.shape[:2] != (SIZE, SIZE) or relevance.ndim not in (2, 3):
        raise ValueError(f"{clip.name}: relevance must have the shape [{SIZE}, {SIZE}] or [{SIZE}, {SIZE}, "
                         "channels] of the "
                         f"clip's image, found {relevance.shape}")
    if not np.isfinite(relevance).all():
        raise ValueError(f"{clip.name}: the relevance holds NaN or infinity")
    pixels = relevance.sum(axis=2) if relevance.ndim == 3 else relevance
    level = stretch(clip.decibels)[::-1]
    small = area_weights(SIZE, level.shape[0]) @ level @ area_weights(SIZE, level.shape[1]).T
    mel = area_to_mel(pixels, level)[::-1]
    spectrum, filters = stft(clip.sound), mel_filters(float(SAMPLE_RATE))
    cell_power = power(spectrum).T
    weight = mel_to_cells(mel, filters, cell_power).T
    cells = weight * cell_power.T
    samples, ratio = cells_to_samples(weight, spectrum, clip.sound)
    resampled = -(-len(clip.original) * rate_ratio(clip.sample_rate)[0] // rate_ratio(clip.sample_rate)[1])
    looped = fit_back(ratio, resampled)
    original = clip.original * resample_back(looped, clip.sample_rate, len(clip.original))
    steps = (book("colours", relevance, pixels),
             book("area average", pixels, mel, pixels[small == 0].sum()),
             book("mel bands", mel, cells, mel[filters @ cell_power == 0].sum()),
             book("STFT", cells, samples),
             book("loop and resampling", samples, original))
    return SoundRelevance(pixels, mel, cells, samples, original, steps)
