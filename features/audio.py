"""Sound in: read any file libsndfile knows, mix to mono, resample, and fit to the four seconds the network
hears.
"""
import fractions
import math
import os

import numpy as np
import soundfile

SAMPLE_RATE = 44_100
SECONDS = 4.0
RATES = (1_000, 768_000)
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


def read(path, seconds=SECONDS):
    """Read the first `seconds` of a sound file and mix its channels to one.

    Returns (y [n] float64 in [-1, 1], sample rate in Hz, channels, duration of the whole file in seconds).
    Raises FileNotFoundError, or AudioError for what is not a sound, is empty, or holds NaN or infinity.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: there is no such file")
    if not os.path.isfile(path):
        raise AudioError(f"{path}: not a file")
    try:
        # As bytes: a file name need not be text in UTF-8, which soundfile would insist on.
        with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path) as file:
            rate, channels = check_rate(file.samplerate, path), file.channels
            wanted = math.ceil(seconds * rate)
            # Block by block: a file's header may promise any length and a thousand channels.
            with np.errstate(invalid="ignore"):  # infinity in both channels, which is refused below
                blocks = [block.mean(axis=1) for block in
                          file.blocks(max(BLOCK // channels, 1), frames=wanted, dtype="float64",
                                      always_2d=True)]
            duration = max(file.frames, 0) / rate
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise AudioError(f"{path}: not a sound file that can be read (WAV, FLAC, OGG and MP3 can be): "
                         f"{getattr(error, 'error_string', error)}") from None
    y = np.concatenate(blocks) if blocks else np.zeros(0)
    return check_samples(y, path), rate, channels, duration


def check_samples(y, name="the sound"):
    """Refuse an empty sound, NaN, infinity and absurdly large samples."""
    if not y.size:
        raise AudioError(f"{name}: holds no samples")
    usable = np.abs(y) < LOUDEST  # False for NaN too
    if not usable.all():
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


def rate_ratio(sample_rate, target=SAMPLE_RATE):
    """(up, down): the ratio target / sample_rate in whole numbers of at most 2,000.

    Exact for every common rate and off by less than 1e-4 otherwise; an odd rate would need a filter of
    millions of taps.
    """
    ratio = fractions.Fraction(target / sample_rate).limit_denominator(2000)
    return ratio.numerator, ratio.denominator


def resampling_filter(up, down):
    """The low-pass filter between two rates: 20·max(up, down) + 1 taps of sum 1, a Kaiser window (β = 5)
    around a sinc.
    """
    # takes longer to import than a clip to explain, and a sound at 44.1 kHz does not need it
    import scipy.signal
    longest = max(up, down)
    return scipy.signal.firwin(20 * longest + 1, 1 / longest, window=("kaiser", 5.0))


def resample(y, sample_rate, target=SAMPLE_RATE):
    """Resample y [n] from `sample_rate` to `target` Hz with SciPy's polyphase filter: ceil(n·up / down)
    samples.
    """
    up, down = rate_ratio(sample_rate, target)
    if up == down:
        return y
    import scipy.signal
    return scipy.signal.resample_poly(y, up, down, window=resampling_filter(up, down))


def fit(y, samples):
    """Exactly `samples` of y: a shorter sound is played twice, then followed by digital silence; a longer one
    is cut.
    """
    if len(y) < samples:
        y = np.concatenate((y, y))
    return np.concatenate((y[:samples], np.zeros(max(samples - len(y), 0))))


def fit_back(ratio, length):
    """The transpose of `fit`: [samples] -> [length], the two times a sound was played added up, what was cut
    left at zero.
    """
    back = np.zeros(length)
    for start in (0, length) if length < len(ratio) else (0,):
        part = ratio[start:start + length]
        back[:len(part)] += part
    return back
