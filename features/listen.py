"""Relevance made audible: the cells that a decision rests on, those that speak against it, and the remainder,
as sound.
"""
import dataclasses
import math
import warnings

import numpy as np

FADE = 0.005         # seconds
LOUDEST_GAIN = 40.0  # dB: more would only lift hiss
PEAK = 0.99
SILENT = -70.0       # LUFS: the absolute gate of ITU-R BS.1770, below which there is nothing to hear


@dataclasses.dataclass(frozen=True)
class Parts:
    """A sound taken apart by relevance; each [samples] float64 at the front end's rate, as loud as the
    original where peaks and 40 dB allow it, without clicks.

    relevant: the cells that carry `share` of the positive relevance; against: those that carry `share` of the
    negative;
    remainder: all other cells. masks: the three as booleans [3, frames, bins]; they divide the cells among
    them.
    gains: what each part was multiplied by to be as loud as the original. part / gain, added up, is the
    original again (but for the fades of 5 ms at both ends).
    """
    relevant: np.ndarray
    against: np.ndarray
    remainder: np.ndarray
    masks: np.ndarray
    gains: tuple


def strongest(relevance, share):
    """The fewest cells that carry at least `share` of the positive relevance, as a boolean mask in its shape.

    Of equals the first. Where nothing is positive, no cell.
    """
    values = relevance.ravel()
    positive = values[values > 0]
    mask = np.zeros(values.size, bool)
    if positive.size:
        spare = (1 - share) * positive.sum(dtype=np.float64)  # what the cells left out may carry
        # Cells below its mean carry less than that together: never sort them.
        small = positive < min(spare / positive.size, positive.max())
        ordered = np.sort(positive[~small])
        left_out = positive[small].sum(dtype=np.float64) + np.cumsum(ordered, dtype=np.float64)
        first = min(np.searchsorted(left_out, spare, side="right"), ordered.size - 1)
        least, count = ordered[first], ordered.size - first
        mask = values > least
        equals = np.flatnonzero(values == least)
        mask[equals[:count - np.count_nonzero(mask)]] = True
    return mask.reshape(relevance.shape)


def loudness_of_blocks(y, rate):
    """The loudness of each block of 0.4 s in LUFS (ITU-R BS.1770-4, eq. 4, by pyloudnorm). A shorter sound is
    continued by silence.
    """
    import pyloudnorm  # only who listens needs it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the logarithm of silence
        short = max(math.ceil(0.4 * rate) + 1 - len(y), 0)
        meter = pyloudnorm.Meter(rate)
        meter.integrated_loudness(np.pad(y, (0, short)))
    return np.array(meter.blockwise_loudness)


def gated(blocks):
    """Integrated loudness in LUFS of blocks (BS.1770-4, eq. 5 to 7): the mean power of those above -70 LUFS
    and no more than 10 below the mean of these; -inf for silence.
    """
    power = 10 ** (blocks[blocks >= SILENT] / 10)
    if not power.size:
        return -np.inf
    return float(10 * np.log10(power[power > power.mean() / 10].mean()))


def loudness(y, rate):
    """Integrated loudness of a sound in LUFS; -inf for silence."""
    return gated(loudness_of_blocks(y, rate))


def gain_to(target, y, rate):
    """What to multiply y by so that it is `target` LUFS loud: at most 40 dB, and no sample beyond 0.99.

    Nothing is raised for silence. The standard leaves out moments below -70 LUFS, and those that are much
    softer than the others: which ones they are changes with the gain, so it is gated again at the level that
    will be heard.
    """
    peak = np.abs(y).max(initial=0)
    most = min(10 ** (LOUDEST_GAIN / 20), PEAK / max(peak, np.finfo(np.float64).tiny))
    with np.errstate(divide="ignore"):
        blocks = loudness_of_blocks(y, rate)
    if target < SILENT or gated(blocks + 20 * np.log10(most)) < SILENT:
        return min(most, 1.0)
    gain = most
    for _ in range(4):
        gain = min(gain * 10 ** ((target - gated(blocks + 20 * np.log10(gain))) / 20), most)
    return gain


def fade(y, rate):
    """y with 5 ms faded in and out, so that a part that begins or ends loud does not click."""
    size = min(round(FADE * rate), len(y) // 2)
    slope = (1 - np.cos(np.pi * np.arange(size) / max(size, 1))) / 2
    faded = y.copy()
    faded[:size] *= slope
    faded[len(y) - size:] *= slope[::-1]
    return faded


def divide(cells, *, share=0.5):
    """The masks (relevant, against, remainder) [3, frames, bins] of cell relevance [frames, bins]."""
    if not 0 < share <= 1:
        raise ValueError(f"the share of the relevance to keep must lie in (0, 1], found {share}")
    relevant, against = strongest(cells, share), strongest(-cells, share)
    return np.stack((relevant, against, ~(relevant | against)))


def audible(sound):
    """A sound as a file can hold it: where samples go beyond full scale, all of it softer, with its peak at
    0.99.
    """
    peak = np.abs(sound).max(initial=0)
    return sound * (PEAK / peak) if peak > 1 else sound


def masked(clip, mask):
    """The sound [samples] of some cells of a clip: the inverse of mask · transform, at its own loudness."""
    return clip.cells.inverse(clip.spectrum * mask, len(clip.sound))


def parts(clip, cells, *, share=0.5):
    """Take a clip apart by the relevance of its STFT cells; the original to compare with is
    `audible(clip.sound)`.

    clip: a Clip. cells: relevance of its STFT's cells [frames, bins] (`Clip.cells`). share: how much of the
    positive (and of the negative) relevance the part keeps. Returns Parts. Raises ValueError for a share
    outside (0, 1].
    """
    masks, rate = divide(cells, share=share), clip.front_end.sample_rate
    cut = [fade(masked(clip, mask), rate) for mask in masks]
    target = loudness(audible(clip.sound), rate)
    gains = tuple(gain_to(target, y, rate) for y in cut)
    return Parts(*(gain * y for gain, y in zip(gains, cut)), masks, gains)
