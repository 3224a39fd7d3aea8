"""The study's front end written out once more, as an oracle: sound to image, with formulas only and one
product of matrices for each step. Arrays are [bands, frames] here, as papers draw them.
"""
import fractions

import numpy as np
import scipy.fft
import scipy.signal

import features
from features import dataset

RATE, SAMPLES, WINDOW, HOP, BANDS, SIZE = 44_100, 176_400, 2048, 512, 128, 64


def stft(y, window=WINDOW, hop=HOP):
    """Y[m, k] of frames that are centred, y continued by zeros on both sides: [frames, bins]."""
    padded = np.pad(np.asarray(y, np.float64), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return scipy.fft.rfft(frames * (1 - np.cos(2 * np.pi * np.arange(window) / window)) / 2, axis=1)


def hz_to_mel(hertz):
    """Slaney's scale."""
    hertz = np.asarray(hertz, np.float64)
    return np.where(hertz < 1000, hertz * 3 / 200,
                    15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mel):
    """Its inverse."""
    mel = np.asarray(mel, np.float64)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27))


def band_edges(rate=RATE, bands=BANDS):
    """The corners of the triangles in Hz: band b rises from edge b, peaks at b + 1, ends at b + 2."""
    return mel_to_hz(np.linspace(0, hz_to_mel(rate / 2), bands + 2))


def mel_filters(rate=RATE, window=WINDOW, bands=BANDS):
    """B [bands, bins]: triangles of area 1."""
    edges, bins = band_edges(rate, bands), np.arange(1 + window // 2) * (rate / window)
    filters = np.zeros((bands, len(bins)))
    for b in range(bands):
        low, peak, high = edges[b:b + 3]
        triangle = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak))
        filters[b] = np.maximum(0, triangle) * (2 / (high - low))
    return filters


def mel_db(y, rate=RATE):
    """Decibels below the maximum, no lower than -80: [bands, frames]."""
    spectrum = stft(y)
    level = 10 * np.log10(np.maximum(mel_filters(rate) @ (spectrum.real ** 2 + spectrum.imag ** 2).T, 1e-10))
    return np.maximum(level - level.max(), -80.0)


def overlap(share, shares, cell, cells):
    """The part of share `share` of `shares` that cell `cell` of `cells` covers, in exact fractions."""
    width = fractions.Fraction(cells, shares)
    covered = min((share + 1) * width, cell + 1) - max(share * width, cell)
    return max(covered, 0) / width


def area(size, cells):
    """The average of cells over area: [size, cells]."""
    edges = np.arange(size + 1) * (cells / size)
    left, right = np.maximum(edges[:-1, None], np.arange(cells)), np.minimum(edges[1:, None],
                                                                             np.arange(1, cells + 1))
    return np.maximum(right - left, 0) * (size / cells)


def stretched(decibels):
    """From the clip's own minimum to its maximum: [0, 1]; a constant becomes zero."""
    low, high = decibels.min(), decibels.max()
    return np.zeros_like(decibels) if high == low else (decibels - low) / (high - low)


def level_of_decibels(decibels):
    """Decibels, low bands first -> indices of magma's colours, uint8 [64, 64], high bands first."""
    level = stretched(decibels)[::-1]
    small = area(SIZE, level.shape[0]) @ level @ area(SIZE, level.shape[1]).T
    return np.minimum(small * 256, 255).astype(np.uint8)


def resampled(y, rate, target=RATE):
    """SciPy's polyphase filter between two rates."""
    ratio = fractions.Fraction(target / rate).limit_denominator(2000)
    if ratio == 1:
        return y
    return scipy.signal.resample_poly(y, ratio.numerator, ratio.denominator, window=("kaiser", 5.0))


def fitted(y, samples=SAMPLES):
    """A shorter sound is played twice and followed by zeros; a longer one is cut."""
    if len(y) < samples:
        y = np.concatenate((y, y))
    return np.concatenate((y[:samples], np.zeros(max(samples - len(y), 0))))


def level(y, rate):
    """The image of samples y [n] as indices of magma's colours: uint8 [64, 64]."""
    y = np.asarray(y, np.float64)[:int(np.ceil(4 * rate))]
    return level_of_decibels(mel_db(fitted(resampled(y, rate))))


def level_of(path_or_array, rate=None):
    """The program's own image of a sound as indices: uint8 [64, 64]; they are the colours of its Clip."""
    found = dataset.level_image(path_or_array, rate)
    np.testing.assert_array_equal(features.colour(found), features.clip_image(path_or_array, rate))
    return found
