"""Relevance made audible: the cells that a decision rests on, those that speak against it, and the remainder,
as sound.
"""
import dataclasses
import warnings

import numpy as np

from .audio import SAMPLE_RATE
from .stft import istft, stft

FADE = round(0.005 * SAMPLE_RATE)
LOUDEST_GAIN = 40.0  # dB: more would only lift hiss
PEAK = 0.99
SILENT = -70.0       # LUFS: the absolute gate of ITU-R BS.1770, below which there is nothing to hear


@dataclasses.dataclass(frozen=True)
class Parts:
    """A sound taken apart by relevance; each [176400] float64 at 44.1 kHz, as loud as the original
    where peaks and 40 dB allow it, without clicks.

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

    Where nothing is positive, no cell.
    """
    order = np.argsort(-relevance, axis=None, kind="stable")
    carried = np.cumsum(np.maximum(relevance.ravel()[order], 0))
    mask = np.zeros(relevance.size, bool)
    if carried[-1] > 0:
        # One cell less than the first place at which the share is reached may not do: searchsorted finds that
        # place.
        mask[order[:np.searchsorted(carried, share * carried[-1]) + 1]] = True
    return mask.reshape(relevance.shape)


def loudness(y):
    """Integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm); -inf for silence."""
    import pyloudnorm  # only who listens needs it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the logarithm of silence
        return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(y))


def gain_to(target, y):
    """What to multiply y by so that it is `target` LUFS loud: at most 40 dB, and no sample beyond 0.99.

    Nothing is raised for silence. The standard leaves out moments below -70 LUFS, and those that are much
    softer than the
    others: which ones they are changes with the gain, so it is measured again at the level that will be
    heard.
    """
    peak = np.abs(y).max(initial=0)
    most = min(10 ** (LOUDEST_GAIN / 20), PEAK / max(peak, np.finfo(np.float64).tiny))
    if target < SILENT or loudness(most * y) < SILENT:
        return min(most, 1.0)
    gain = most
    for _ in range(4):
        gain = min(gain * 10 ** ((target - loudness(gain * y)) / 20), most)
    return gain


def fade(y):
    """y with 5 ms faded in and out, so that a part that begins or ends loud does not click."""
    slope = (1 - np.cos(np.pi * np.arange(FADE) / FADE)) / 2
    faded = y.copy()
    faded[:FADE] *= slope
    faded[-FADE:] *= slope[::-1]
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
    """The sound [176400] of some cells of a clip: istft(mask · stft(sound)), at its own loudness."""
    return istft(stft(clip.sound) * mask, len(clip.sound))


def parts(clip, sound, *, share=0.5):
    """Take a clip apart by the relevance of its STFT cells; the original to compare with is
    `audible(clip.sound)`.

    clip: a Clip. sound: the SoundRelevance carried down to it. share: how much of the positive (and of the
    negative) relevance the part keeps. Returns Parts. Raises ValueError for a share outside (0, 1].
    """
    masks = divide(sound.cells, share=share)
    cut = [fade(masked(clip, mask)) for mask in masks]
    target = loudness(audible(clip.sound))
    gains = tuple(gain_to(target, y) for y in cut)
    return Parts(*(gain * y for gain, y in zip(gains, cut)), masks, gains)
