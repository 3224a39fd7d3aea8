"""LSTM, GRU and the plain recurrent layer, in one direction or both. Their gates have our order."""
import keras
import numpy as np

from lrp_core import layers as L

from .base import Refusal, as_array, require

K = keras.layers


def arrays(layer):
    """(kernel, recurrent kernel, bias) of a recurrent layer's cell."""
    kernel, recurrent = as_array(layer.cell.kernel), as_array(layer.cell.recurrent_kernel)
    return kernel, recurrent, as_array(layer.cell.bias) if layer.use_bias else np.zeros(kernel.shape[1], "f")


def check(layer):
    """Refuse variants that are not what our layer computes."""
    require(layer, stateful=False, return_state=False)
    for name, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        found = getattr(layer, name, None)
        if found is not None and getattr(found, "__name__", str(found)) != wanted:
            raise Refusal(f"{name}={getattr(found, '__name__', found)!r} is not supported, only {wanted!r}: "
                          "train the layer with that one")


def lstm(layer):
    kernel, recurrent, bias = arrays(layer)
    return L.LSTM(kernel, recurrent, bias, reverse=bool(layer.go_backwards))


def gru(layer):
    kernel, recurrent, bias = arrays(layer)
    by_input, by_state = bias if bias.ndim == 2 else (bias, None)
    return L.GRU(kernel, recurrent, by_input, reverse=bool(layer.go_backwards), recurrent_bias=by_state,
                 reset_after=bool(layer.reset_after))


def simple(layer):
    kernel, recurrent, bias = arrays(layer)
    return L.RNN(kernel, recurrent, bias, reverse=bool(layer.go_backwards))


LAYERS = {K.LSTM: lstm, K.GRU: gru, K.SimpleRNN: simple}


def flip(build, name, x):
    """The sequence from its last step to its first."""
    return build.add(f"{name}_flip", L.Slice(None, None, -1, 1), x)


def run(build, name, layer, x, turn=False):
    """A recurrent layer over x: its last output, or its sequence as Keras orders it, the steps as they are
    taken.

    turn: the sequence the other way round.
    """
    check(layer)
    y = build.add(name, LAYERS[type(layer)](layer), x)
    backwards = bool(layer.go_backwards)
    if layer.return_sequences:
        return flip(build, name, y) if backwards != turn else y
    last = 0 if backwards else y.shape[0] - 1
    y = build.add(f"{name}_last", L.Slice(last, last + 1, 1, 1), y)
    return build.reshape(name, y, y.shape[1:])


def recurrent(build, layer, x):
    return run(build, layer.name, layer, x)


def bidirectional(build, layer, x):
    """Both directions; Keras turns the second one's sequence, so that the steps lie side by side."""
    require(layer, return_state=False, stateful=False)
    for inner in (layer.forward_layer, layer.backward_layer):
        if type(inner) not in LAYERS:
            raise Refusal(f"{type(inner).__name__} in both directions is not supported, only "
                          f"{', '.join(cls.__name__ for cls in LAYERS)}")
    y = run(build, f"{layer.name}_forward", layer.forward_layer, x)
    reverse = run(build, f"{layer.name}_backward", layer.backward_layer, x, turn=layer.return_sequences)
    if layer.merge_mode is None:
        return y, reverse
    if layer.merge_mode == "concat":
        return build.add(layer.name, L.Concatenate(-1), y, reverse)
    if layer.merge_mode == "mul":
        return build.add(layer.name, L.Multiply(), y, reverse)
    total = build.add(layer.name, L.Add(), y, reverse)
    return total if layer.merge_mode == "sum" else build.add(f"{layer.name}_half", L.Scale(0.5), total)


CALLS = {**dict.fromkeys(LAYERS, recurrent), K.Bidirectional: bidirectional}
