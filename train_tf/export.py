"""A Keras model becomes our model file: layers, weights, and scores to check the file against."""
import keras
import numpy as np
import tensorflow as tf

import lrp_core
from lrp_core import layers as L

TOLERANCE = 1e-4
ACTIVATIONS = {"relu": L.ReLU, "softmax": L.Softmax}


class ExportError(ValueError):
    """A Keras model that cannot be exported; the message names the layer and what to do."""


def require(layer, **settings):
    """Refuse a layer whose setting is not the one that we support."""
    for name, wanted in settings.items():
        found = getattr(layer, name, wanted)
        if found != wanted and not (isinstance(found, (tuple, list)) and set(found) == {wanted}):
            raise ExportError(f"layer {layer.name!r} ({type(layer).__name__}): {name}={found!r} is not supported, only {wanted!r}")


def weights(layer):
    """{"kernel": ..., "bias": ...} of a Keras layer."""
    arrays = {"kernel": np.asarray(layer.kernel, np.float32)}
    if layer.use_bias:
        arrays["bias"] = np.asarray(layer.bias, np.float32)
    return arrays


def conv2d(layer):
    require(layer, data_format="channels_last", dilation_rate=1, groups=1)
    return [L.Conv2D(**weights(layer), strides=layer.strides, padding=layer.padding)]


def pool(ours):
    def convert(layer):
        require(layer, data_format="channels_last")
        return [ours(tuple(layer.pool_size), tuple(layer.strides), layer.padding)]
    return convert


def global_average(layer):
    require(layer, data_format="channels_last", keepdims=False)
    return [L.GlobalAveragePool2D()]


def relu(layer):
    require(layer, max_value=None, negative_slope=0.0, threshold=0.0)
    return [L.ReLU()]


def softmax(layer):
    require(layer, axis=-1)
    return [L.Softmax()]


def flatten(layer):
    require(layer, data_format="channels_last")
    return [L.Flatten()]


# Each Keras class with what it becomes, before its activation.
CONVERSIONS = {
    keras.layers.Conv2D: conv2d,
    keras.layers.Dense: lambda layer: [L.Dense(**weights(layer))],
    keras.layers.MaxPooling2D: pool(L.MaxPool2D),
    keras.layers.AveragePooling2D: pool(L.AveragePool2D),
    keras.layers.GlobalAveragePooling2D: global_average,
    keras.layers.Flatten: flatten,
    keras.layers.ReLU: relu,
    keras.layers.Softmax: softmax,
    keras.layers.Activation: lambda layer: [],
    keras.layers.Dropout: lambda layer: [L.Dropout(float(layer.rate))],
}


def convert(layer):
    """The (suffix, our layer) pairs of one Keras layer: the layer itself, then its activation if it has one."""
    if type(layer) not in CONVERSIONS:
        known = ", ".join(sorted(cls.__name__ for cls in CONVERSIONS))
        raise ExportError(f"layer {layer.name!r}: {type(layer).__name__} is not supported; supported are {known}")
    made = [("", ours) for ours in CONVERSIONS[type(layer)](layer)]
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if activation != "linear":
        if activation not in ACTIVATIONS:
            raise ExportError(f"layer {layer.name!r}: the activation {activation!r} is not supported, only {', '.join(ACTIVATIONS)}")
        made.append((f"_{activation}" if made else "", ACTIVATIONS[activation]()))
    return made


def chain(model):
    """The model's layers in order, from input to output; refuses anything but a chain."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(f"model {model.name!r}: one input and one output are supported, "
                          f"found {len(model.inputs)} and {len(model.outputs)}")
    found = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    if isinstance(model, keras.Sequential):
        return found
    for before, layer in zip(found, found[1:]):
        if isinstance(layer.input, (list, tuple)) or layer.input._keras_history[0] is not before:
            raise ExportError(f"layer {layer.name!r} does not read layer {before.name!r} alone: only chains are supported")
    return found


def keras_logits(model, x):
    """The model's scores before a softmax at its end, as Keras computes them."""
    *_, last = chain(model)
    if convert(last)[-1][1].type != "Softmax":
        return np.asarray(model(x, training=False))
    below = keras.Model(model.inputs[0], last.input)(x, training=False)
    if isinstance(last, keras.layers.Dense):
        below = tf.matmul(below, last.kernel) + (last.bias if last.use_bias else 0)
    return np.asarray(below)


def to_network(model, *, class_names=None, metadata=None, reference_input=None):
    """A Keras Sequential model (or a Functional chain) as a Network whose logits agree with Keras's.

    reference_input: inputs on which the scores are compared and which travel with the file; by default two drawn
    from [0, 1]. Raises ExportError that names the layer or says by how much the scores differ.
    """
    nodes = []
    for layer in chain(model):
        for suffix, ours in convert(layer):
            nodes.append((layer.name + suffix, ours))
    names = [name for name, _ in nodes]
    if len(set(names)) != len(names):
        raise ExportError(f"two layers share a name: {sorted(n for n in set(names) if names.count(n) > 1)}")
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise ExportError(f"the input's shape {shape} is not fixed: build the model with a size")
    x = np.random.default_rng(0).random((2, *shape), np.float32) if reference_input is None else np.asarray(reference_input, np.float32)
    theirs = keras_logits(model, x)
    network = lrp_core.Network(nodes, shape, class_names=class_names, metadata=metadata, reference=(x, theirs))
    error = np.abs(network.logits(x) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
    if not error <= TOLERANCE:
        raise ExportError(f"the exported network's scores differ from Keras's by {error:.2e} of the largest score "
                          f"(at most {TOLERANCE:g} is accepted)")
    return network


def load_keras(path):
    """Read a .keras or .h5 model without running code from it; raises ExportError that names the file."""
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"{path}: not a Keras model that can be read ({error})") from error
