"""ONNX's LSTM, GRU and RNN. ONNX keeps weights as [directions, gates·h, c], we as [c, gates·h]."""
import numpy as np

from .. import layers as L
from .builder import Tensor
from .frame import MAPS
from .moves import concat, cut
from .weighted import weights

Constant = np.ndarray
# ONNX's order of the gates i, o, f, c as ours i, f, g, o.
ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def _recurrent(kind):
    def convert(build, name, x: Tensor, kernel: Constant, recurrent: Constant, bias: Constant = None,
                lengths: Constant = None, state: Constant = None, cell: Constant = None,
                peepholes: Constant = None, *, hidden_size=0, direction="forward", layout=0, activations=(),
                linear_before_reset=0, input_forget=0, clip=0.0, activation_alpha=(), activation_beta=(),
                output_sequence=1):
        count = 2 if direction == "bidirectional" else 1
        _check(kind, activations, count, input_forget, clip, peepholes)
        relu = tuple(activations[:1]) == ("Relu",)
        time, batch = (1, 0) if layout else (0, 1)
        if x.rank == 3 and 1 < x.shape[batch] <= MAPS:
            return _each(build, name, x, batch, layout, lambda name, one, number: convert(
                build, name, one, kernel, recurrent, bias, lengths, *(
                    _one(array, layout, number) for array in (state, cell)), peepholes,
                direction=direction, layout=layout, activations=activations,
                linear_before_reset=linear_before_reset))
        if x.rank != 3 or x.shape[batch] != 1 or len(kernel) != count:
            raise ValueError(f"takes one sequence at a time, {'[1, t, c]' if layout else '[t, 1, c]'}, with "
                             f"weights for {count} directions, found {x.shape} and {kernel.shape}")
        length = x.shape[time]
        if lengths is not None and (np.asarray(lengths) != length).any():
            raise ValueError(f"sequence lengths {np.asarray(lengths).tolist()} other than the input's "
                             f"{length} are not supported")
        x = build.arrange(name, x, (time, 2))
        made, last = [], []
        for number in range(count):
            reverse = direction == "reverse" or number == 1
            first = [None if array is None else _state(array, layout, number) for array in (state, cell)]
            layer = _layer(kind, kernel[number], recurrent[number],
                           None if bias is None else bias[number], first, reverse, linear_before_reset, relu)
            y = build.add(name if not number else f"{name}/reverse", layer, x, axes=(time, 2), rank=3)
            end = 0 if reverse else length - 1
            made.append(y)
            last.append(cut(build, f"{name}/last", y, time, end, end + 1, 1))
        return _sequence(build, name, made, layout), _last(build, name, last, layout), None
    return convert


def _each(build, name, x, batch, layout, convert):
    """Several sequences, one after the other: Y and Y_h of all of them, side by side."""
    made = [convert(f"{name}/{n}" if n else name,
                    cut(build, f"{name}/sequence", x, batch, n, n + 1, 1), n) for n in range(x.shape[batch])]
    return (concat(build, f"{name}/sequences", *(y for y, _, _ in made), axis=0 if layout else 2),
            concat(build, f"{name}/states", *(h for _, h, _ in made), axis=0 if layout else 1), None)


def _one(array, layout, number):
    """One sequence's initial state, where each has its own."""
    if array is None:
        return None
    axis = 0 if layout else 1
    array = np.asarray(array)
    return array if array.ndim != 3 or array.shape[axis] == 1 else array.take([number], axis)


def _check(kind, activations, count, input_forget, clip, peepholes):
    """Refuse variants that are not what the layer computes."""
    if kind == "RNN" and tuple(activations) == ("Relu",) * count:
        return
    if activations and tuple(activations) != ACTIVATIONS[kind] * count:
        raise ValueError(f"the activations {', '.join(activations)} are not supported, only "
                         f"{', '.join(ACTIVATIONS[kind])}")
    if input_forget or clip or (peepholes is not None and peepholes.any()):
        raise ValueError("input_forget, clip and peepholes are not supported")


def _state(array, layout, number):
    """A direction's initial state [h] of ONNX's [directions, 1, h], or [1, directions, h]."""
    array = np.asarray(array)
    array = array.swapaxes(0, 1) if layout else array
    if array.ndim == 3 and (array == array[:, :1]).all():  # zeros for a batch of another size
        array = array[:, :1]
    if array.ndim != 3 or array.shape[1] != 1:
        raise ValueError(f"an initial state must be [directions, 1, h], found {array.shape}")
    return weights(array[number, 0])


def _layer(kind, kernel, recurrent, bias, first, reverse, linear_before_reset, relu):
    gates, h = len(ORDER[kind]), recurrent.shape[-1]

    def ours(array):
        """The gates in our order, the numbers of each on the last axis."""
        parts = array.reshape(gates, h, -1)[list(ORDER[kind])]
        return weights(parts.reshape(gates * h, -1).T)
    kernel, recurrent = ours(kernel), ours(recurrent)
    bias = np.zeros(2 * gates * h, np.float32) if bias is None else bias
    by_input, by_state = (ours(part)[0] for part in np.split(np.asarray(bias, np.float32), 2))
    if kind == "GRU":
        return L.GRU(kernel, recurrent, by_input, first[0], reverse, by_state, bool(linear_before_reset))
    if kind == "LSTM":
        return L.LSTM(kernel, recurrent, by_input + by_state, first[0], reverse, first[1])
    return L.RNN(kernel, recurrent, by_input + by_state, first[0], reverse, "relu" if relu else "tanh")


def _sequence(build, name, made, layout):
    """Y: [t, directions, 1, h], or [1, t, directions, h]."""
    y = made[0]
    if len(made) == 1:
        shape = (1, y.shape[1], 1, y.shape[2]) if layout else (y.shape[0], 1, 1, y.shape[2])
        return y.renamed(shape, {1: 1, 2: 3} if layout else {0: 0, 2: 3})
    time = 1 if layout else 0
    both = build.add(f"{name}/both", L.Concatenate(-1), *made)
    length, h = both.shape[time], both.shape[2] // 2
    if layout:
        return build.reshaped(f"{name}/directions", both, (1, length, 2, h))
    return build.reshaped(f"{name}/directions", both, (length, 2, 1, h))


def _last(build, name, last, layout):
    """Y_h: [directions, 1, h], or [1, directions, h]."""
    h = last[0].shape[2]
    shape = (1, len(last), h) if layout else (len(last), 1, h)
    rows = [build.reshaped(f"{name}/state", y, (1, h)) for y in last]
    if len(rows) == 1:
        return build.reshaped(f"{name}/state", rows[0], shape)
    rows = [build.arrange(f"{name}/state", row, (1,)) for row in rows]
    return build.reshaped(f"{name}/state", build.add(f"{name}/states", L.Concatenate(-1), *rows), shape)


OPERATORS = {kind: _recurrent(kind) for kind in ("LSTM", "GRU", "RNN")}
