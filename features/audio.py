"""Sound in: read any file libsndfile knows, or a part of it, and mix it to mono."""
import contextlib
import dataclasses
import math
import os

import numpy as np
import soundfile

from .steps.waveform import RATES

BLOCK = 1 << 18
LOUDEST = 1e30  # full scale is 1; beyond this only broken files go, and powers would overflow


class AudioError(ValueError):
    """A sound that cannot be used; the message names it, what was found and what to do."""


def check_rate(sample_rate, name="the sound"):
    """Refuse a sample rate that no recording has."""
    number = isinstance(sample_rate, (int, float, np.integer, np.floating)) and not isinstance(
        sample_rate, bool
    )
    if not number or not RATES[0] <= sample_rate <= RATES[1]:
        raise AudioError(f"{name}: the sample rate must lie in {RATES[0]}..{RATES[1]} Hz, found "
                         f"{sample_rate!r}")
    return sample_rate


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Samples of a sound as they were read.

    name: the file's path, or "array". sample_rate, channels, duration: of the whole of it, in Hz and seconds.
    start: where the samples begin in it, in seconds. samples: [n] float64, mono, at its own rate.
    """
    name: str
    sample_rate: float
    channels: int
    duration: float
    start: float
    samples: np.ndarray


def part_of(rate, frames, seconds, start, end, name):
    """(first, count) of the samples from `start` to `end`, at most `seconds`; None: no bound.

    Raises AudioError where that is no part of a sound of `frames` samples.
    """
    for what, value in (("start", start), ("end", end)):
        if value is not None and not 0 <= value < math.inf:
            raise AudioError(f"{name}: {what} must be seconds from the beginning, found {value!r}")
    if end is not None and end <= start:
        raise AudioError(f"{name}: the part from {start:g} to {end:g} s is empty")
    first = round(start * rate)
    if first and first >= frames:
        raise AudioError(f"{name}: ends at {frames / rate:.2f} s, before the start at {start:g} s")
    length = min(math.inf if end is None else end - start, math.inf if seconds is None else seconds)
    left = frames - first
    return first, left if length == math.inf else min(math.ceil(length * rate - 1e-6), left)


def read(path, seconds=None, *, start=0.0, end=None):
    """Read a sound file, or the part from `start` to `end` seconds, at most `seconds` long, and mix its
    channels to one: a Recording.

    Raises FileNotFoundError, or AudioError for what is not a sound, is empty, or holds NaN or infinity.
    """
    path = os.fspath(path)
    with opened(path) as file:
        rate, channels, frames = check_rate(file.samplerate, path), file.channels, max(file.frames, 0)
        first, count = part_of(rate, frames, seconds, start, end, path)
        if first:
            file.seek(first)
        # Block by block: a file's header may promise any length and a thousand channels.
        y = mixed(file, count)
    return Recording(path, rate, channels, frames / rate, first / rate, check_samples(y, path))


@contextlib.contextmanager
def opened(path):
    """A sound file, open for reading; raises FileNotFoundError, or AudioError that names it."""
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: there is no such file")
    if not os.path.isfile(path):
        raise AudioError(f"{path}: not a file")
    try:
        # As bytes: a file name need not be text in UTF-8, which soundfile would insist on.
        with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path) as file:
            yield file
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise AudioError(f"{path}: not a sound file that can be read (WAV, FLAC, OGG and MP3 can be): "
                         f"{getattr(error, 'error_string', error)}") from None


def mixed(file, count):
    """The next `count` samples of an open file, at most, its channels mixed to one: [n] float64."""
    with np.errstate(invalid="ignore"):  # infinity in both channels, which is refused later
        blocks = [block[:, 0] if block.shape[1] == 1 else block.mean(axis=1) for block in
                  file.blocks(max(BLOCK // file.channels, 1), frames=count, dtype="float64", always_2d=True)]
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0), *blocks])


def from_array(y, sample_rate, seconds=None, *, start=0.0, end=None):
    """A Recording of samples [n] or [n, channels]; arguments and errors as of `read`."""
    check_rate(sample_rate)
    y = np.asarray(y)
    frames = y.shape[0] if y.ndim else 1
    first, count = part_of(sample_rate, frames, seconds, start, end, "the sound")
    return Recording("array", sample_rate, 1 if y.ndim < 2 else y.shape[1], frames / sample_rate,
                     first / sample_rate, to_mono(y[first:first + count] if y.ndim else y))


def check_samples(y, name="the sound"):
    """Refuse an empty sound, NaN, infinity and absurdly large samples."""
    if not y.size:
        raise AudioError(f"{name}: holds no samples")
    if not (y.min() > -LOUDEST and y.max() < LOUDEST):  # NaN too: no comparison with it holds
        usable = np.abs(y) < LOUDEST
        raise AudioError(f"{name}: holds NaN, infinity or samples beyond {LOUDEST:g} "
                         f"({np.count_nonzero(~usable)} of "
                         f"{y.size}); repair the recording")
    return y


def to_mono(y, name="the sound"):
    """Mix an array [n] or [n, channels] to [n] float64; whole-number samples are scaled to [-1, 1] by their
    type.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "fiu":
        raise AudioError(f"{name}: samples must be numbers, found {y.dtype}")
    if y.dtype.kind in "iu" and y.dtype.itemsize > 4:
        raise AudioError(f"{name}: {y.dtype} samples do not tell their full scale; pass int16, int32 or "
                         "floats in [-1, 1]")
    if y.ndim not in (1, 2):
        raise AudioError(f"{name}: samples must have shape [n] or [n, channels], found {y.shape}")
    if y.ndim == 2 and y.shape[1] > 64:
        raise AudioError(f"{name}: {y.shape[1]} channels; for an array [channels, n] pass its transpose")
    kind, limits = y.dtype.kind, np.iinfo(y.dtype) if y.dtype.kind in "iu" else None
    y = y.astype(np.float64)
    if kind == "u":  # unsigned samples, as 8-bit WAV has them, are centred on the middle of their range
        half = (float(limits.max) + 1) / 2
        y = (y - half) / half
    elif kind == "i":
        y = y / -float(limits.min)
    return check_samples(y if y.ndim == 1 else y.mean(axis=1), name)
