"""Activations: as layers of their own and as settings of others."""
import contextlib

import keras
import numpy as np

from lrp_core import layers as L

from .base import Refusal, as_array, axes_of, on_last, require

K = keras.layers

# What an activation given by name becomes. Keras's `gelu` is the exact one unless asked otherwise.
ACTIVATIONS = {
    "relu": L.ReLU(), "relu6": L.ReLU6(), "leaky_relu": L.LeakyReLU(0.2), "elu": L.ELU(), "celu": L.ELU(),
    "selu": L.Selu(), "gelu": L.GELU(), "silu": L.SiLU(), "mish": L.Mish(), "tanh": L.Tanh(),
    "sigmoid": L.Sigmoid(), "hard_sigmoid": L.HardSigmoid(), "hard_silu": L.HardSwish(),
    "hard_tanh": L.Clip(-1.0, 1.0), "softplus": L.Softplus(), "softsign": L.Softsign(),
    "exponential": L.Exp(), "softmax": L.Softmax(), "log_softmax": L.LogSoftmax(),
    "log_sigmoid": [("_negative", L.Scale(-1.0)), ("_softplus", L.Softplus()), ("", L.Scale(-1.0))],
}


def activated(convert):
    """The conversion of a layer that has an activation among its settings: the layer, then the activation."""
    def convert_both(layer, shape):
        made = convert(layer, shape)
        made = made if isinstance(made, list) else [("", made)]
        return made + activation(layer.activation, shape, bool(made))
    return convert_both


def activation(function, shape, named=True):
    """(suffix, layer) pairs of an activation setting: a function of Keras's, or a layer."""
    if isinstance(function, keras.Layer):
        if type(function) not in CHAINS:
            raise Refusal(f"activation={type(function).__name__} is not supported, only "
                          f"{', '.join(ACTIVATIONS)}")
        name, made = function.name, CHAINS[type(function)](function, shape)
    else:
        name = getattr(function, "__name__", str(function))
        if name == "linear":
            return []
        if name not in ACTIVATIONS:
            raise Refusal(f"the activation {name!r} is not supported, only {', '.join(ACTIVATIONS)}")
        made = ACTIVATIONS[name]
    made = made if isinstance(made, list) else [("", made)]
    return [(f"_{name}{suffix}" if named else suffix, layer) for suffix, layer in made]


@contextlib.contextmanager
def unactivated(layer):
    """While it lasts, a layer, or the one that a TimeDistributed holds, has no activation."""
    while isinstance(layer, K.TimeDistributed):
        layer = layer.layer
    kept = layer.activation
    # past Keras's own way of setting it, which refuses layers
    object.__setattr__(layer, "activation", keras.activations.linear)
    try:
        yield
    finally:
        object.__setattr__(layer, "activation", kept)


def relu(layer, shape):
    require(layer, threshold=0.0)
    slope, top = float(layer.negative_slope), layer.max_value
    if top is None:
        return L.LeakyReLU(slope) if slope else L.ReLU()
    if slope:
        raise Refusal(f"max_value={top} with negative_slope={slope} is not supported, only one of them")
    return L.ReLU6() if float(top) == 6 else L.Clip(0.0, float(top))


def leaky_relu(layer, shape):
    return L.LeakyReLU(float(layer.negative_slope))


def prelu(layer, shape):
    return L.PReLU(as_array(layer.alpha))


def over_axis(ours):
    """A softmax over any axis, counted from the end; several are moved there as one, and back."""
    def convert_softmax(layer, shape):
        axes = axes_of(layer.axis, len(shape))
        return ours(axes[0] - len(shape) - 1) if len(axes) == 1 else on_last(shape, axes, ours())
    return convert_softmax


CHAINS = {
    K.Activation: activated(lambda layer, shape: []),
    K.ReLU: relu,
    K.LeakyReLU: leaky_relu,
    K.ELU: lambda layer, shape: L.ELU(float(layer.alpha)),
    K.PReLU: prelu,
    K.Softmax: over_axis(L.Softmax),
}


def celu(layer, shape):
    """max(x, 0) + min(alpha·(e^(x/alpha) - 1), 0) = alpha·elu(x / alpha)."""
    alpha = float(layer.alpha)
    return [("_in", L.Scale(1 / alpha)), ("_elu", L.ELU()), ("", L.Scale(alpha))]


def plus(number):
    """x + number."""
    return L.Affine(np.ones(1, np.float32), np.full(1, number, np.float32))


# Operations of keras.ops on one tensor, number by number or along an axis, by the name of their class.
OPERATIONS = {
    "Relu": L.ReLU(), "Relu6": L.ReLU6(), "Sigmoid": L.Sigmoid(), "Softplus": L.Softplus(),
    "Softsign": L.Softsign(), "Silu": L.SiLU(), "HardSigmoid": L.HardSigmoid(), "HardSilu": L.HardSwish(),
    "Selu": L.Selu(), "HardTanh": L.Clip(-1.0, 1.0), "Tanh": L.Tanh(), "Exp": L.Exp(), "Log": L.Log(),
    "Sqrt": L.Sqrt(), "Square": L.Power(2.0), "Rsqrt": L.Power(-0.5), "Reciprocal": L.Reciprocal(),
    "Absolute": L.Abs(), "Negative": L.Scale(-1.0), "Sin": L.Sin(), "Cos": L.Cos(), "Erf": L.Erf(),
    "Sign": L.Sign(), "Floor": L.Floor(), "Round": L.Round(), "LogSigmoid": ACTIVATIONS["log_sigmoid"],
    "Log1p": [("_plus", plus(1.0)), ("", L.Log())], "Expm1": [("_exp", L.Exp()), ("", plus(-1.0))],
    "Log10": [("_ln", L.Log()), ("", L.Scale(1 / np.log(10)))],
    "Log2": [("_ln", L.Log()), ("", L.Scale(1 / np.log(2)))],
    "LeakyRelu": leaky_relu, "Elu": CHAINS[K.ELU], "Celu": celu,
    "Gelu": lambda layer, shape: L.GELU(bool(layer.approximate)),
    "Softmax": over_axis(L.Softmax), "LogSoftmax": over_axis(L.LogSoftmax),
}
