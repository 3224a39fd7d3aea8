"""ONNX's sums of products in general: einsum, and products with stacks of constant matrices."""
import math

import numpy as np

from .. import layers as L
from ..text import quote
from .moves import cut, transpose
from .pools import SUMS, reduced
from .weighted import product, weights

Constant = np.ndarray
MOST = 64  # matrices in a stack: each becomes a dense layer of its own


def matmul(build, name, a, b):
    """A product over the last two axes; a stack of constant matrices is taken apart."""
    if isinstance(b, Constant) and math.prod(b.shape[:-2]) > 1:
        return _stack(build, name, a, b)
    if isinstance(a, Constant) and math.prod(a.shape[:-2]) > 1:
        turned = _exchanged(build, name, b)
        return _exchanged(build, name, _stack(build, name, turned, a.swapaxes(-1, -2)))
    return product(build, name, a, b)


def _exchanged(build, name, x):
    return transpose(build, name, x, perm=(*range(x.rank - 2), x.rank - 1, x.rank - 2))


def _stack(build, name, x, matrices):
    """x [..., h, i, k] times matrices [..., h, k, m]: one axis of the stack, the others of extent 1."""
    rank = max(x.rank, matrices.ndim)
    x, matrices = x.raised(rank), matrices.reshape((1,) * (rank - matrices.ndim) + matrices.shape)
    several = [axis for axis in range(rank - 2) if matrices.shape[axis] > 1]
    if len(several) != 1 or matrices.shape[several[0]] > MOST:
        raise ValueError(f"a stack of {matrices.shape[:-2]} matrices is not supported: at most {MOST}, along "
                         "one axis")
    (along,) = several
    if x.shape[along] == 1:
        x = build.spread(name, x, tuple(matrices.shape[along] if axis == along else n
                                        for axis, n in enumerate(x.shape)))
    axes = (along, *(axis for axis in range(rank - 1) if axis != along and x.shape[axis] > 1), rank - 1)
    parts = []
    for number in range(matrices.shape[along]):
        part = build.arrange(name, cut(build, f"{name}/part", x, along, number, number + 1, 1), axes)
        kernel = weights(matrices.take(number, along).reshape(matrices.shape[-2:]))
        parts.append(build.add(f"{name}/{number}" if number else name, L.Dense(kernel), part))
    return build.add(f"{name}/joined", L.Concatenate(1), *parts)


def einsum(build, name, *xs, equation: str):
    """Transpositions, sums and one matrix product."""
    left, _, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if "->" not in equation:
        out = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    twice = any(len(set(term)) < len(term) for term in (*terms, out))
    if len(terms) != len(xs) or len(xs) > 2 or "." in equation or twice:
        raise ValueError(f"the equation {quote(equation)} is not supported: one or two terms, without an "
                         "ellipsis, and no index twice in a term")
    for term, x in zip(terms, xs):
        if len(x.shape) != len(term):
            raise ValueError(f"{quote(term)} does not fit {x.shape}")
    others = [*out, *(terms[1] if len(terms) > 1 else "")], [*out, *terms[0]]
    pairs = [_summed(build, f"{name}/sum{number or ''}", x, term, wanted)
             for number, (term, x, wanted) in enumerate(zip(terms, xs, others))]
    if len(pairs) == 1:
        ((x, term),) = pairs
        return transpose(build, name, x, perm=tuple(term.index(c) for c in out))
    (a, left), (b, right) = pairs
    batch = [c for c in left if c in right and c in out]
    inner = [c for c in left if c in right and c not in out]
    rows, columns = ([c for c in term if c not in batch and c not in inner] for term in (left, right))
    size = dict(zip(left + right, (*a.shape, *b.shape)))
    for term, x in ((left, a), (right, b)):
        if any(size[c] != n for c, n in zip(term, x.shape)):
            raise ValueError(f"the shapes {a.shape} and {b.shape} do not fit {quote(equation)}")
    a = _as(build, f"{name}/a", a, left, [batch, rows, inner], size)
    b = _as(build, f"{name}/b", b, right, [batch, inner, columns], size)
    y = matmul(build, name, a, b)
    made = [*batch, *rows, *columns]
    y = build.reshaped(f"{name}/axes", y, tuple(size[c] for c in made))
    return transpose(build, name, y, perm=tuple(made.index(c) for c in out))


def _summed(build, name, x, term, wanted):
    """(x, its indices) with those summed that nothing else has."""
    gone = {axis for axis, c in enumerate(term) if c not in wanted}
    if not gone:
        return x, term
    left = "".join(c for axis, c in enumerate(term) if axis not in gone)
    if isinstance(x, Constant):
        return x.sum(axis=tuple(gone)), left
    return reduced(build, name, x, gone, False, SUMS), left


def _as(build, name, x, term, groups, size):
    """x with its indices in three groups, each one axis."""
    perm = tuple(term.index(c) for group in groups for c in group)
    shape = tuple(math.prod(size[c] for c in group) for group in groups)
    if isinstance(x, Constant):
        return x.transpose(perm).reshape(shape)
    return build.reshaped(name, transpose(build, name, x, perm=perm), shape)


OPERATORS = {"MatMul": matmul, "Einsum": einsum}
