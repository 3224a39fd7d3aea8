"""Networks for the fast path: small enough to explain often, with every kernel in them."""
import nets
import numpy as np

from lrp_core import Network
from lrp_core import layers as L


def scaled(rng, size, inputs, outputs, *, strides=(1, 1), padding="same"):
    """A Conv2D whose outputs are about as large as its inputs."""
    kernel = rng.normal(size=(*size, inputs, outputs)) * np.sqrt(2 / (size[0] * size[1] * inputs))
    return L.Conv2D(kernel.astype(np.float32), nets.numbers(rng, outputs) * np.float32(0.1), strides, padding)


def fully(rng, inputs, outputs):
    """A Dense layer whose outputs are about as large as its inputs."""
    return L.Dense((rng.normal(size=(inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32),
                   nets.numbers(rng, outputs) * np.float32(0.1))


def vgg(seed=0, size=(12, 11), channels=(16, 32)):
    """Twice: two 3x3 convolutions with ReLUs and a max-pool; then two dense layers. Winograd wherever vectors
    are full.
    """
    rng, nodes, inputs = np.random.default_rng(seed), [], 3
    for block, outputs in enumerate(channels, 1):
        for letter in "ab":
            nodes += [(f"conv{block}{letter}", scaled(rng, (3, 3), inputs, outputs)),
                      (f"relu{block}{letter}", L.ReLU())]
            inputs = outputs
        nodes.append((f"pool{block}", L.MaxPool2D(2, 2, "same")))
    places = -(-(-(-size[0] // 2)) // 2) * -(-(-(-size[1] // 2)) // 2)
    nodes += [("flatten", L.Flatten()), ("hidden", fully(rng, places * inputs, 20)), ("relu3", L.ReLU()),
              ("out", fully(rng, 20, 3))]
    return Network(nodes, (*size, 3), class_names=nets.CLASSES)


def branching(seed=0):
    """A residual block, a concatenation of convolutions of three kinds, a tensor with three readers, two
    inputs to a sum.
    """
    rng = np.random.default_rng(seed)
    return Network([
        ("stem", scaled(rng, (3, 3), 3, 16)), ("stem relu", L.ReLU()),
        ("left", scaled(rng, (3, 3), 16, 16), ("stem relu",)), ("left relu", L.ReLU()),
        ("left 2", scaled(rng, (3, 3), 16, 16)),
        ("sum", L.Add(), ("left 2", "stem relu")), ("sum relu", L.ReLU()),
        ("one", scaled(rng, (1, 1), 16, 8), ("sum relu",)),
        ("five", scaled(rng, (5, 5), 16, 5, strides=(1, 1)), ("sum relu",)),
        ("pooled", L.MaxPool2D(3, 1, "same"), ("sum relu",)),
        ("joined", L.Concatenate(), ("one", "five", "pooled")),
        ("joined relu", L.ReLU()), ("down", scaled(rng, (3, 3), 29, 16, strides=(2, 2))),
        ("down relu", L.ReLU()),
        ("mean", L.GlobalAveragePool2D()), ("out", fully(rng, 16, 3))], (9, 10, 3), class_names=nets.CLASSES)


def mobile(seed=0):
    """As networks for phones: 1x1, depthwise with a stride or a dilation, ReLU6, 1x1; and a pool larger than
    pools that overlap may be, averages, a dense layer over a map of one place.
    """
    rng = np.random.default_rng(seed)

    def depthwise(channels, strides=(1, 1), dilation=(1, 1)):
        return L.DepthwiseConv2D(nets.numbers(rng, 3, 3, channels, 1) * np.float32(0.4),
                                 nets.numbers(rng, channels) * np.float32(0.1), strides, "same", dilation)
    norm = L.BatchNorm(1 + nets.numbers(rng, 12) * np.float32(0.1), nets.numbers(rng, 12) * np.float32(0.1))
    return Network([
        ("channels last", L.Permute((2, 3, 1))), ("margin", L.ZeroPadding2D(((1, 2), (0, 1)))),
        ("stem", scaled(rng, (3, 3), 3, 12, strides=(1, 2))), ("stem relu", L.ReLU6()), ("norm", norm),
        ("wide", scaled(rng, (1, 1), 12, 40)), ("wide relu", L.ReLU6()),
        ("deep", depthwise(40, dilation=(1, 2))), ("deep relu", L.ReLU6()),
        ("narrow", scaled(rng, (1, 1), 40, 12)), ("down", depthwise(12, (2, 1))), ("down relu", L.ReLU()),
        ("pool", L.MaxPool2D((70, 2), (70, 2))), ("means", L.AveragePool2D((1, 2), (1, 1))),
        ("dense", fully(rng, 12, 8)), ("dense relu", L.ReLU()), ("flatten", L.Flatten()),
        ("out", fully(rng, 8, 3))],
        (3, 140, 8), class_names=nets.CLASSES)


def tiny():
    """Direct, Winograd (16 channels: whole vectors of 1, 4, 8 and 16), a pool, a dense layer; for slow
    machines.
    """
    rng = np.random.default_rng(7)
    return Network([
        ("conv1", scaled(rng, (2, 3), 2, 16)), ("relu1", L.ReLU()), ("conv2", scaled(rng, (3, 3), 16, 16)),
        ("relu2", L.ReLU()),
        ("pool", L.MaxPool2D(2, 2)), ("flatten", L.Flatten()), ("out", fully(rng, 96, 3))], (5, 7, 2),
        class_names=nets.CLASSES)
