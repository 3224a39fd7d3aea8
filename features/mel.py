"""Mel bands and decibels: how the power of a sound is spread over pitch, as librosa's defaults have it."""
import functools

import numpy as np

from .audio import check_rate, check_samples
from .stft import HOP, WINDOW, power, stft

BANDS = 128
FLOOR_DB = 80.0
SMALLEST_POWER = 1e-10


def hz_to_mel(hertz):
    """Slaney's scale: linear below 1 kHz (3 mel for 200 Hz), logarithmic above (27 mel for a factor of 6.4).
    """
    hertz = np.asarray(hertz, np.float64)
    return np.where(hertz < 1000, hertz * 3 / 200,
                    15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mel):
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27))


def band_edges(sample_rate, bands=BANDS):
    """The bands + 2 corner frequencies in Hz, equally spaced in mel from 0 to half the sample rate.

    Band b is a triangle that rises from edge b, peaks at edge b + 1 and ends at edge b + 2.
    """
    return mel_to_hz(np.linspace(0, hz_to_mel(sample_rate / 2), bands + 2))


@functools.lru_cache(maxsize=8)
def mel_filters(sample_rate, window=WINDOW, bands=BANDS):
    """B [bands, 1 + window // 2]: triangles over the bins' frequencies, each of area 1 (Slaney's
    normalisation).

        B[b, k] = 2 / (f_{b+2} - f_b) · max(0, min(rise, fall))
        rise = (ν_k - f_b) / (f_{b+1} - f_b),    fall = (f_{b+2} - ν_k) / (f_{b+2} - f_{b+1})
    """
    edges = band_edges(sample_rate, bands)[:, None]
    bins = np.arange(1 + window // 2) * (sample_rate / window)
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))
    filters.flags.writeable = False
    return filters


def decibels(mel_power):
    """10·log10(S / max S), not below -80 dB; powers under 1e-10 count as 1e-10."""
    level = 10 * np.log10(np.maximum(mel_power, SMALLEST_POWER))
    level -= level.max()
    return np.maximum(level, -FLOOR_DB)


def mel_db(y, sample_rate):
    """The mel spectrogram of a mono sound in decibels below its maximum: y [n] -> [128, 1 + n // 512]
    float64.

        dB(B |STFT(y)|²),  row b = band b from low to high, column m = the moment m·512 / sample_rate seconds

    The sound is taken as it is, at its own rate, the bands reaching to half of it; `clip_image` resamples to
    44.1 kHz and fits to four seconds first. Silence is 0 dB throughout. Raises AudioError (a ValueError) for
    an empty sound, NaN, infinity, more than one channel, or an impossible rate. Oracle: librosa 0.11.
    """
    y = np.asarray(y, np.float64)
    if y.ndim != 1:
        raise ValueError(f"mel_db takes one channel [n], found shape {y.shape}: mix with `features.to_mono` "
                         "first")
    check_samples(y)
    return decibels(mel_filters(float(check_rate(sample_rate))) @ power(stft(y, WINDOW, HOP)).T)
