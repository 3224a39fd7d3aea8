"""What is done with a damaged file, and which exceptions a caller has been promised."""
import math
import warnings

import numpy as np

import features
import lrp_core
from lrp_core.sizes import products

SMALL = (1 << 18, 1 << 24)  # numbers and multiplications of a network that is explained besides
PRESETS = ("epsilon", "preset_a_flat", "preset_b", "epsilon_plus_flat", "epsilon_gamma_box", "gradient")


def model(path, number):
    """Read a model file and, where it is small, explain an input."""
    return explained(lrp_core.load(path), number)


def onnx(path, number):
    """Read an ONNX file and, where it is small, explain an input."""
    return explained(lrp_core.from_onnx(path), number)


def sound(path, number):
    """What the network would see of a sound."""
    clip = features.open_clip(path)
    if clip.image.shape != (64, 64, 3) or not np.isfinite(clip.image).all():
        raise AssertionError("an image that is none")
    return "loaded"


def explained(network, number):
    """ "explained", or "loaded" for a network that is too large to be explained thousands of times."""
    network.summary()
    count = sum(products(node.layer, [network.shapes[name] for name in node.inputs],
                         network.shapes[node.name]) for node in network.nodes)
    if network.need.backward > SMALL[0] or count > SMALL[1] or math.prod(network.input_shape) > SMALL[0]:
        return "loaded"
    way = number // len(PRESETS)
    x = np.random.default_rng(number).standard_normal((1, *network.input_shape)).astype(np.float32)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            lrp_core.explain(network, x, PRESETS[number % len(PRESETS)], threads=1,
                             engine=("numpy", "numba")[way % 2],
                             dtype=("float64", "float32")[way // 2 % 2])
        except ValueError as error:  # documented: scores that overflow, layers without a rule
            return f"loaded, not explained ({type(error).__name__})"
    return "explained"


# For each kind: what is done, what may be raised, how a file is called.
TARGETS = {"models": (model, (lrp_core.ModelFileError,), "npz"),
           "onnx": (onnx, (lrp_core.ModelFileError,), "onnx"),
           "sounds": (sound, (features.AudioError,), "wav")}
