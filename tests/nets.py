"""Small networks and inputs for the tests: seeded, float32 numbers, so that every implementation reads the
same.
"""
import numpy as np
import pytest

from lrp_core import Network
from lrp_core import layers as L

CLASSES = ("bark", "drill", "siren")


def numbers(rng, *shape):
    """Mixed-sign numbers that are exact in float32."""
    return rng.normal(size=shape).astype(np.float32)


def dense(rng, inputs, outputs, *, bias=True):
    """A Dense layer with random weights."""
    return L.Dense(numbers(rng, inputs, outputs), numbers(rng, outputs) if bias else None)


def conv(rng, size, inputs, outputs, strides=(1, 1), padding="same", *, bias=True):
    """A Conv2D layer with random weights."""
    return L.Conv2D(numbers(rng, *size, inputs, outputs), numbers(rng, outputs) if bias else None, strides,
                    padding)


def one_dense(seed, *, bias=True, inputs=6):
    """A single Dense layer to three classes."""
    return Network([("out", dense(np.random.default_rng(seed), inputs, 3, bias=bias))], (inputs,),
                   class_names=CLASSES)


def two_dense(seed, *, bias=True, inputs=6, hidden=5):
    """Dense, ReLU, Dense."""
    rng = np.random.default_rng(seed)
    return Network([("hidden", dense(rng, inputs, hidden, bias=bias)), ("relu", L.ReLU()),
                    ("out", dense(rng, hidden, 3, bias=bias))], (inputs,), class_names=CLASSES)


def one_conv(seed, *, bias=True):
    """A strided 'same' convolution whose flattened map is read by one Dense layer; nothing in between."""
    rng = np.random.default_rng(seed)
    return Network([("conv", conv(rng, (3, 3), 2, 3, (2, 2), bias=bias)), ("flatten", L.Flatten()),
                    ("out", dense(rng, 27, 3, bias=bias))], (6, 5, 2), class_names=CLASSES)


def deep(seed, *, bias=True):
    """Every kind of layer once or twice: strides, even kernels, overlapping max-pools, an average pool,
    dropout.
    """
    rng = np.random.default_rng(seed)
    return Network([
        ("conv1", conv(rng, (3, 3), 2, 4, bias=bias)), ("relu1", L.ReLU()),
        ("pool1", L.MaxPool2D((3, 3), (2, 2), "same")),
        ("conv2", conv(rng, (2, 2), 4, 5, (1, 1), "valid", bias=bias)), ("relu2", L.ReLU()),
        ("pool2", L.AveragePool2D((2, 2), (2, 2), "same")), ("dropout", L.Dropout(0.3)),
        ("flatten", L.Flatten()),
        ("hidden", dense(rng, 20, 8, bias=bias)), ("relu3", L.ReLU()),
        ("out", dense(rng, 8, 3, bias=bias))], (9, 7, 2), class_names=CLASSES)


def wide():
    """Layers wide enough that a product library would choose other ways for other batch sizes."""
    rng = np.random.default_rng(50)
    return Network([
        ("conv1", conv(rng, (3, 3), 3, 24)), ("relu1", L.ReLU()),
        ("pool", L.MaxPool2D((3, 3), (2, 2), "same")),
        ("conv2", conv(rng, (3, 3), 24, 40, padding="valid")), ("relu2", L.ReLU()), ("flatten", L.Flatten()),
        ("hidden", dense(rng, 1000, 130)), ("relu3", L.ReLU()), ("out", dense(rng, 130, 3))],
        (14, 13, 3), class_names=CLASSES)


def inputs(network, count, seed=0):
    """A batch of mixed-sign samples for a network."""
    return numbers(np.random.default_rng(1000 + seed), count, *network.input_shape)


# Both engines in both precisions, as keyword arguments of `explain`.
WAYS = [{"engine": engine, "dtype": dtype} for engine in ("numpy", "numba")
        for dtype in ("float64", "float32")]
every_engine = pytest.mark.parametrize("how", WAYS, ids=lambda how: "-".join(how.values()))
