"""How relevance goes back through time: LSTM, GRU and the plain recurrent layer.

At every step the sums are shared out by LRP-ε, and gates take nothing (Arras et al. 2017, arXiv 1706.07206;
2019). Relevance that reaches the state before the first step is booked as `state`.
"""
import numpy as np

from . import layers as L
from .flow import divide, flow, total
from .layers import maps


@flow.register(L.Recurrent)
def through_recurrent(layer, rule, xs, y, r, book):
    """R_in [n, t, c] of a sequence, step by step from the last to the first."""
    (x,), kept = xs, book.kept
    layer = layer.astype(np.float64)
    if x.dtype != np.float64:  # what was kept belongs to x before it was rounded
        x = x.astype(np.float64)
        _, kept = layer.forward_keeping(x)
    step, r_in = STEPS[type(layer)], np.zeros_like(x)
    later = {name: np.zeros((len(x), layer.units)) for name in ("state", "cell")}
    for t in reversed(layer.steps(x.shape[1])):
        at = {name: array[:, t] for name, array in kept.items()}
        r_in[:, t] = step(layer, rule, x[:, t], at, later, r[:, t] + later["state"], book)
    book.state += total(later["state"]) + total(later["cell"])
    return [r_in]


def ratio(z, r, rule, book):
    """s = R / stabilize(z); relevance that has nowhere to go, as z is zero, is booked as gated."""
    book.gated += total(r)
    return divide(r, z, rule, 1.0, book)


def from_gate(layer, gate, x, h, s, biases, book, *, scale=1.0):
    """(R of x, R of h_{t-1}) for a gate's  z = W x + scale·(U h_{t-1}) + biases:
    x ⊙ Wᵀ s  and  h ⊙ Uᵀ (scale·s).
    """
    book.bias += total(s * biases)
    return (x * maps.dense_adjoint(s, layer.part(layer.kernel, gate)),
            h * maps.dense_adjoint(scale * s, layer.part(layer.recurrent, gate)))


def step_rnn(layer, rule, x, at, later, r, book):
    """h = f(z),  z = W x + U h' + b."""
    s = ratio(at["z"], r, rule, book)
    to_x, later["state"] = from_gate(layer, 0, x, at["before"], s, layer.bias, book)
    return to_x


def step_lstm(layer, rule, x, at, later, r, book):
    """R_c = R_h + R_c from the next step;  c = f·c' + i·g shared out;  then g's linear map."""
    s = ratio(at["c"], r + later["cell"], rule, book)
    later["cell"] = at["f"] * at["c_before"] * s
    s = ratio(at["z"], at["i"] * at["g"] * s, rule, book)
    to_x, later["state"] = from_gate(layer, 2, x, at["before"], s, layer.part(layer.bias, 2), book)
    return to_x


def step_gru(layer, rule, x, at, later, r, book):
    """h = (1 - u)·n + u·h' shared out;  then n's linear map, r a gate in it."""
    s = ratio(at["h"], r, rule, book)
    kept = at["u"] * at["before"] * s
    s = ratio(at["z"], (1 - at["u"]) * at["n"] * s, rule, book)
    bias, more = layer.part(layer.bias, 2), 0.0
    if layer.recurrent_bias is not None:
        more = layer.part(layer.recurrent_bias, 2)
    if layer.reset_after:
        biases, h, scale = bias + at["r"] * more, at["before"], at["r"]
    else:
        biases, h, scale = bias + more, at["r"] * at["before"], 1.0
    to_x, to_h = from_gate(layer, 2, x, h, s, biases, book, scale=scale)
    later["state"] = kept + to_h
    return to_x


STEPS = {L.RNN: step_rnn, L.LSTM: step_lstm, L.GRU: step_gru}
