"""How relevance crosses products of tensors, maxima of two, and a softmax inside a network."""
import numpy as np

from . import layers as L
from .flow import divide, exact, flow, total
from .product_rules import Gate


@flow.register(L.Multiply)
@flow.register(L.Divide)
def through_product(layer, rule, xs, y, r, book):
    """To the signal alone (`Gate`), or half to each operand (`Half`): conserved exactly."""
    if isinstance(rule, Gate):
        return [np.zeros_like(x) if number == rule.operand else r for number, x in enumerate(xs)]
    return [0.5 * r, 0.5 * r]


@flow.register(L.MatMul)
def through_matmul(layer, rule, xs, y, r, book):
    """R_A = A ⊙ (s Vᵀ), R_V = V ⊙ (Aᵀ s) with s = R / stabilize(O): one of them (`Gate`), or half of each."""
    if not r.any():  # what a gate was made of, at no cost
        return [np.zeros_like(x) for x in xs]
    (a, v), y, r = exact(layer, xs, y, r)
    book.gated += total(r)
    s = divide(r, y, rule, 1.0, book)
    if isinstance(rule, Gate):
        if rule.operand == 0:
            return [np.zeros_like(a), v * np.matmul(a.swapaxes(-1, -2), s)]
        return [a * np.matmul(s, v.swapaxes(-1, -2)), np.zeros_like(v)]
    to_a, to_v = layer.gradients(a, v, y, s)
    return [0.5 * a * to_a, 0.5 * v * to_v]


@flow.register(L.Extreme)
def through_extreme(layer, rule, xs, y, r, book):
    """All of it to the operand that won."""
    return [np.where(book.kept, r, 0), np.where(book.kept, 0, r)]


@flow.register(L.Where)
def through_where(layer, rule, xs, y, r, book):
    """All of it to the operand that was chosen; the condition takes nothing."""
    chosen = xs[0] != 0
    return [np.zeros_like(xs[0]), np.where(chosen, r, 0), np.where(chosen, 0, r)]


@flow.register(L.Softmax)
def through_softmax(layer, rule, xs, y, r, book):
    """R_i = x_i (R_i - s_i Σ R); what that does not conserve is booked as softmax (see `SoftmaxTaylor`)."""
    if not r.any():
        return [np.zeros_like(xs[0])]
    (x,), y, r = exact(layer, xs, y, r)
    r_in = x * (r - y * r.sum(axis=layer.axis, keepdims=True))
    book.softmax += total(r) - total(r_in)
    return [r_in]


@flow.register(L.LogSoftmax)
def through_log_softmax(layer, rule, xs, y, r, book):
    """y = x - lse(x), lse held fixed: R_in = x · R / stabilize(y); lse's share is booked as softmax."""
    (x,), y, r = exact(layer, xs, y, r)
    book.gated += total(r)
    s = divide(r, y, rule, 1.0, book)
    book.softmax += total(s * (y - x))
    return [x * s]
