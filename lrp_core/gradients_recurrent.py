"""Gradients through time: the transposed true derivatives of LSTM, GRU and the plain recurrent layer."""
import numpy as np

from . import layers as L
from .gradients import gradient_flow
from .layers import maps


@gradient_flow.register(L.Recurrent)
def through_recurrent(layer, method, xs, y, r, book):
    """dscore/dx [n, t, c] of a sequence, step by step from the last to the first."""
    (x,), step = xs, STEPS[type(layer)]
    r_in = np.zeros_like(x)
    later = {name: np.zeros((len(x), layer.units), x.dtype) for name in ("state", "cell")}
    for t in reversed(layer.steps(x.shape[1])):
        at = {name: array[:, t] for name, array in book.kept.items()}
        dz, later = step(layer, at, r[:, t] + later["state"], later["cell"])
        r_in[:, t] = maps.dense_adjoint(dz, layer.kernel)
    return [r_in]


def sigmoid_back(gate, r):
    """r times the derivative of a sigmoid that gave `gate`."""
    return r * gate * (1 - gate)


def step_rnn(layer, at, r, cell):
    """h = tanh(z) or max(z, 0)."""
    dz = r * ((1 - at["h"] ** 2) if layer.activation == "tanh" else (at["h"] > 0))
    return dz, {"state": maps.dense_adjoint(dz, layer.recurrent), "cell": cell}


def step_lstm(layer, at, r, cell):
    """h = o·tanh(c),  c = f·c' + i·g."""
    tanh_c = np.tanh(at["c"])
    dc = cell + r * at["o"] * (1 - tanh_c ** 2)
    dz = np.concatenate([sigmoid_back(at["i"], dc * at["g"]), sigmoid_back(at["f"], dc * at["c_before"]),
                         dc * at["i"] * (1 - at["g"] ** 2), sigmoid_back(at["o"], r * tanh_c)], axis=-1)
    return dz, {"state": maps.dense_adjoint(dz, layer.recurrent), "cell": dc * at["f"]}


def step_gru(layer, at, r, cell):
    """h = (1 - u)·n + u·h'."""
    dn = r * (1 - at["u"]) * (1 - at["n"] ** 2)
    du, before = sigmoid_back(at["u"], r * (at["before"] - at["n"])), r * at["u"]
    inner = layer.part(layer.recurrent, 2)
    if layer.reset_after:
        more = 0.0 if layer.recurrent_bias is None else layer.part(layer.recurrent_bias, 2)
        dr = sigmoid_back(at["r"], dn * (maps.dense(at["before"], inner, None) + more))
        before = before + maps.dense_adjoint(dn * at["r"], inner)
    else:
        product = maps.dense_adjoint(dn, inner)
        dr = sigmoid_back(at["r"], product * at["before"])
        before = before + product * at["r"]
    gates = np.concatenate([du, dr], axis=-1)
    before = before + maps.dense_adjoint(gates, layer.recurrent[:, :2 * layer.units])
    return np.concatenate([gates, dn], axis=-1), {"state": before, "cell": cell}


STEPS = {L.RNN: step_rnn, L.LSTM: step_lstm, L.GRU: step_gru}
