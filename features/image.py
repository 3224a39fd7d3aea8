"""From a mel-spectrogram in decibels to the 64x64x3 image the network sees, step by step.

The steps are those of the study's pictures (Colussi and Ntalampiras 2021): stretch to [0, 1], turn
low frequencies to the bottom, average over area, colour with the magma map.
"""
import functools
import importlib.resources

import numpy as np

SIZE = 64
LEVEL_SHAPE, IMAGE_SHAPE = (SIZE, SIZE), (SIZE, SIZE, 3)


@functools.cache
def magma():
    """The 256 colours of matplotlib's magma map: [256, 3] float32 in [0, 1], from the table beside this file.
    """
    table = importlib.resources.files(__package__) / "data" / "magma.csv"
    with table.open() as lines:
        colours = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    colours.flags.writeable = False
    return colours


def colour(level):
    """Colour magma indices: level [..., H, W] uint8 -> image [..., H, W, 3] float32 in [0, 1]."""
    level = np.asarray(level)
    if level.dtype != np.uint8:
        raise TypeError(f"colour map indices must be uint8, got {level.dtype}: quantise with `level_image` "
                        "first")
    return magma()[level]


def stretch(decibels):
    """Stretch over the clip's own minimum and maximum to [0, 1]; a constant matrix becomes all zero."""
    low, high = decibels.min(), decibels.max()
    if high == low:
        return np.zeros_like(decibels)
    return (decibels - low) / (high - low)


def area_weights(size, cells):
    """The matrix A [size, cells] that averages `cells` columns over area into `size` equal shares.

    A[i, j] is the part of share i that column j covers; each row of A sums to 1:

        A[i, j] = |[i, i+1)·cells/size  intersected with  [j, j+1)| · size/cells
    """
    edges = np.arange(size + 1) * (cells / size)
    left = np.maximum(edges[:-1, None], np.arange(cells))
    right = np.minimum(edges[1:, None], np.arange(1, cells + 1))
    return np.maximum(right - left, 0) * (size / cells)


def level_image(decibels):
    """Mel decibels [bands, frames] (low bands first) -> magma indices [64, 64] uint8 (low bands at the
    bottom).

        level = A_bands · flip(stretch(dB)) · A_framesᵀ,   index = min(floor(256·level), 255)
    """
    level = stretch(np.asarray(decibels, np.float64))[::-1]
    bands, frames = level.shape
    small = area_weights(SIZE, bands) @ level @ area_weights(SIZE, frames).T
    return np.minimum(small * 256, 255).astype(np.uint8)
