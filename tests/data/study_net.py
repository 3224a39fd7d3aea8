"""The study's CNN with seeded weights and seeded images for it, so that neither has to be stored (NumPy
only).

Whoever makes the reference outputs and whoever tests against them draw the same numbers from the same seed.
They
are bitwise the same on any machine: uniform draws, then only operations that IEEE 754 rounds exactly (+ - * /
and square root), no libm. A checksum of them is stored with the reference, in case NumPy's stream ever
changes.
"""
import math

import numpy as np

INPUT_SHAPE = (64, 64, 3)

# Kernel shapes as Keras has them, in the order in which the weights are drawn; together with the biases
# 1,958,730 parameters (Colussi and Ntalampiras 2021).
KERNELS = {
    "conv1a": (3, 3, 3, 32), "conv1b": (3, 3, 32, 64),
    "conv2a": (3, 3, 64, 64), "conv2b": (3, 3, 64, 64),
    "conv3a": (3, 3, 64, 128), "conv3b": (3, 3, 128, 128),
    "dense1": (3200, 512), "dense2": (512, 10),
}


def _layers():
    for block in "123":
        for part in "ab":
            yield f"conv{block}{part}", "Conv2D", {"strides": (1, 1), "padding": "valid"}
            yield f"relu{block}{part}", "ReLU", {}
        yield f"pool{block}", "MaxPool2D", {"pool_size": (3, 3), "strides": (2, 2), "padding": "same"}
    yield "flatten", "Flatten", {}
    yield "dense1", "Dense", {}
    yield "relu4", "ReLU", {}
    yield "dense2", "Dense", {}


# (name, type, options) of every layer in order, in the words of the model file.
LAYERS = tuple(_layers())


def study_weights(seed):
    """[(name, kernel, bias), ...] in the order of KERNELS: for each layer first its kernel, then its bias.

    Kernels are He-uniform, within ±sqrt(6 / fan_in); biases lie within ±0.3. float32.
    """
    rng = np.random.default_rng(seed)
    weights = []
    for name, shape in KERNELS.items():
        limit = np.sqrt(np.float32(6 / math.prod(shape[:-1])))
        weights.append((name, limit * _both_signs(rng, shape),
                        np.float32(0.3) * _both_signs(rng, shape[-1:])))
    return weights


def _both_signs(rng, shape):
    """Uniform float32 in [-1, 1)."""
    return 2 * rng.random(shape, dtype=np.float32) - 1


def study_images(seed, count):
    """Images [count, 64, 64, 3] float32 in [0, 1] with the structure of coloured mel-spectrograms.

    A noise floor that rises towards low frequencies, bands that swell and fade, textured patches and, as
    digital
    silence makes, regions that are constant to the last bit: empty top bands and an end with nothing in it,
    up to two thirds of the image, as in a short clip. There the best in a pool's window are exactly equal.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_colour(_level(rng)) for _ in range(count)])


def _level(rng):
    """One spectrogram as whole numbers 0..255: [64, 64]."""
    rows, columns = np.arange(64.0)[:, None], np.arange(64.0)[None]
    level = 0.1 + 0.3 * rows / 63 + 0.1 * rng.random((64, 64))
    for _ in range(8):
        centre, width, middle, length = rng.random(4) * (64, 5, 64, 40) + (0, 2, 0, 12)
        level += (0.2 + 0.5 * rng.random()) * _bump((rows - centre) / width) * _bump((columns - middle) / length)
    for _ in range(3):
        top, left = rng.integers(0, 48, 2)
        level[top:top + 16, left:left + 16] += 0.3 * rng.random((16, 16))
    level[:rng.integers(4, 12)] = 0
    level[:, rng.integers(20, 56):] = 0
    return np.minimum(level * 255, 255).astype(np.uint8)


def _bump(distance):
    """1 at 0, falling smoothly to 0 at ±1 and beyond."""
    inside = np.maximum(1 - distance * distance, 0)
    return inside * inside


def _colour(level):
    """Three channels that rise with the level at different rates; silence is not black in all of them, as in
    magma.
    """
    x = level.astype(np.float32) / np.float32(255)
    return np.stack([x, x * x, (np.float32(0.015) + x) / np.float32(1.015)], axis=-1)


def checksum(*arrays):
    """The exact sum of all numbers, rounded once to float64: the same whatever the order of the additions."""
    return math.fsum(number for array in arrays for number in np.ravel(array).tolist())
