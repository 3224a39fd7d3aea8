"""A clip on its way from sound to image, every stage kept: what plots and reports show beside the relevance.
"""
import dataclasses
import os

import numpy as np

from .audio import SAMPLE_RATE, SECONDS, check_rate, fit, read, resample, to_mono
from .image import colour, level_image
from .mel import mel_db


@dataclasses.dataclass(frozen=True)
class Clip:
    """A sound and what the network sees of it.

    name: the file's path, or "array". sample_rate, channels, duration: as found, in Hz and seconds.
    original: [n] float64, the first four seconds as found: mono, at their own rate.
    sound: [176400] float64, what is analysed: mono, 44.1 kHz, four seconds.
    decibels: [128, 345], the mel spectrogram, low bands first. level: [64, 64] uint8. image: [64, 64, 3]
    float32.
    """
    name: str
    sample_rate: float
    channels: int
    duration: float
    original: np.ndarray
    sound: np.ndarray
    decibels: np.ndarray
    level: np.ndarray
    image: np.ndarray

    @property
    def heard(self):
        """How many seconds of the file the network hears: all of a short one, the first four of a longer one.
        """
        return min(len(self.original) / self.sample_rate, SECONDS)

    @property
    def cut(self):
        """What is not heard, in words; empty where all of the file is heard, to a hundredth of a second."""
        if round(self.duration - self.heard, 2) <= 0:
            return ""
        return f"the first {self.heard:.2f} of {self.duration:.2f} s were heard"

    @property
    def silent(self):
        """Is there nothing to see, as for silence or a constant?"""
        return not self.level.any()


def open_clip(path_or_array, sample_rate=None):
    """Make a Clip of a sound file, or of samples [n] or [n, channels] with their `sample_rate` in Hz.

    Raises FileNotFoundError, or AudioError (a ValueError) that names the file and what is wrong with it.
    """
    if isinstance(path_or_array, (str, os.PathLike)):
        if sample_rate is not None:
            raise TypeError("a file brings its own sample rate: leave `sample_rate` out")
        name = os.fspath(path_or_array)
        y, sample_rate, channels, duration = read(path_or_array)
    else:
        if sample_rate is None:
            raise TypeError("samples need their `sample_rate` in Hz")
        name = "array"
        check_rate(sample_rate)
        y = np.asarray(path_or_array)
        duration, channels = len(np.atleast_1d(y)) / sample_rate, 1 if y.ndim < 2 else y.shape[1]
        y = to_mono(y[:int(np.ceil(SECONDS * sample_rate))] if y.ndim else y)
    sound = fit(resample(y, sample_rate), round(SECONDS * SAMPLE_RATE))
    decibels = mel_db(sound, SAMPLE_RATE)
    level = level_image(decibels)
    return Clip(name, sample_rate, channels, duration, y, sound, decibels, level, colour(level))


def clip_image(path_or_array, sample_rate=None):
    """The image the network sees of a sound: (64, 64, 3) float32 in [0, 1].

    path_or_array: a sound file (any format, rate and number of channels libsndfile reads), or samples [n] or
        [n, channels] with their `sample_rate` in Hz. Shorter than 4 s: played twice, then silence; longer:
        cut.

    Row 0 holds the highest frequencies, column 0 the first moment. Raises as `open_clip`.
    """
    return open_clip(path_or_array, sample_rate).image
