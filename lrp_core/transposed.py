"""From a unit upward: how much of the relevance of each unit above arrives at it.

For a given forward pass relevance crosses a layer by a linear map, R_in = F R (see `flow`). With v = 1 at the
inputs that are asked about and 0 elsewhere,

    Σ_i v_i (F R)_i  =  Σ_j w_j R_j,        w = Fᵀ v

so that of the relevance R_j of a unit j above, w_j R_j arrives there. `transposed` computes Fᵀ v in one pass
for the layers of this package, and for others whose transpose is registered (`transpose_of`). For any other
layer or rule it asks `flow` itself, with relevance at a few units at a time; whole parts of the output that
do not reach the inputs are found together. Either way the equation above is checked with the relevance that
was really there.
"""
import functools

import numpy as np

from . import through_products as P
from .crossing import Crossing, inverse_of
from .flow import (
    flow,
    is_ours,
    through_activation,
    through_linear,
    through_max_pool,
    through_merge,
    through_move,
    through_normalization,
    through_padding,
)
from .network import Trace
from .product_rules import Gate
from .rules import crosses_by_itself
from .text import quote

TOLERANCE = 1e-7  # of the turnover: what rounding may leave between the two sides of the equation
PARTS = 16  # in how many parts a part of the output is divided that reaches the inputs
NUMBERS, MOST = 1 << 23, 256  # numbers in the arrays of one pass, and samples in it, at most


def transposed(step, trace, r, vs, *, wanted=None):
    """w = Fᵀ v at a node's output, [1, *shape].

    step: the node with its rule (`steps.Step`). trace: the forward pass of one sample, in double precision.
    r: the relevance at the output. vs: v for each of the node's inputs. wanted: None, or where w matters;
    elsewhere it may be 0. Raises ValueError where the rule is not linear in the relevance.
    """
    moved, _ = step.back(trace, r)
    arrived = sum(float((v * m).sum()) for v, m in zip(vs, moved))
    scale = sum(float(np.abs(v * m).sum()) for v, m in zip(vs, moved))

    def is_right(w):
        return abs(float((w * r).sum()) - arrived) <= TOLERANCE * (scale + float(np.abs(w * r).sum()))
    w = at_once(step, trace, vs)
    if w is None or not is_right(w):
        w = probed(step, trace, vs, wanted)
        if not is_right(w):
            raise ValueError(f"layer {quote(step.node.name)}: {step.rule_name} is not linear in the "
                             "relevance: what each unit above gave cannot be told apart")
    return w


def at_once(step, trace, vs):
    """w by the transpose that is known for the function that crosses this layer; None where none is."""
    node, layer = step.node, step.node.layer
    function = TRANSPOSES.get(flow.dispatch(type(layer)))
    if function is None or crosses_by_itself(step.rule):
        return None
    xs, y = [trace.outputs[name] for name in node.inputs], trace.outputs[node.name]
    try:
        w = function(layer, step.sharing, xs, y, vs, trace.kept.get(node.name))
    except NotImplementedError:  # a layer from outside that lacks the twin of a method
        return None
    return w if w.shape == y.shape else None


# ---- any layer, by what `flow` does with relevance at a few units

def probed(step, trace, vs, wanted):
    """w by passes with relevance at parts of the output. A part whose relevance does not meet v is done with;
    any other is divided, down to single units.
    """
    shape = trace.outputs[step.node.name].shape[1:]
    w = np.zeros(int(np.prod(shape)))
    parts = [np.arange(w.size) if wanted is None else np.flatnonzero(wanted)]
    rng = np.random.default_rng(0)
    repeat = functools.lru_cache(maxsize=2)(functools.partial(repeated, step, trace))
    numbers = w.size + sum(v.size for v in vs)
    at_a_time = int(min(max(NUMBERS // numbers, 1), MOST))
    while parts:
        now, parts = parts[:at_a_time], parts[at_a_time:]
        r = np.zeros((len(now), w.size))
        for row, part in zip(r, now):
            row[part] = 1 if len(part) == 1 else rng.uniform(0.5, 1.5, len(part))
        moved, _ = step.back(repeat(len(now)), r.reshape(-1, *shape))
        met = [v * m for v, m in zip(vs, moved)]
        for number, part in enumerate(now):
            if len(part) == 1:
                w[part] = sum(one[number].sum() for one in met)
            elif any(one[number].any() for one in met):
                parts += [some for some in np.array_split(part, PARTS) if len(some)]
    return w.reshape(1, *shape)


def repeated(step, trace, n):
    """A Trace of n equal samples around one node, with what the layer keeps for them."""
    node = step.node
    outputs = {name: np.broadcast_to(trace.outputs[name], (n, *trace.outputs[name].shape[1:]))
               for name in (*node.inputs, node.name)}
    kept = trace.kept.get(node.name)
    if isinstance(kept, np.ndarray) and is_ours(node.layer):
        kept = np.broadcast_to(kept, (n, *kept.shape[1:]))
    elif kept is not None:
        _, kept = node.layer.forward_keeping(*(outputs[name] for name in node.inputs))
    return Trace(outputs, {} if kept is None else {node.name: kept})


# ---- the transposes: as the functions in `flow` and `through_products`, from v [1, *x's shape] to w

def of_linear(layer, rule, xs, y, vs, kept):
    """w_j = Σ_groups c m_j / stabilize(z_j) · Σ_terms σ (W' (x' v))_j."""
    return Crossing.of(layer, rule, xs[0], y).up(vs[0])


def of_merge(layer, rule, xs, y, vs, kept):
    """w = Σ_i σ_i x_i v_i / stabilize(z)."""
    return inverse_of(y, rule) * sum(sign * x * v for sign, x, v in zip(layer.signs(len(xs)), xs, vs))


def of_normalization(layer, rule, xs, y, vs, kept):
    """w = L (x v) / stabilize(y), with L the linear map that the layer is with its deviation held fixed."""
    return inverse_of(y, rule) * layer.linear_at(xs[0], xs[0] * vs[0])


def of_activation(layer, rule, xs, y, vs, kept):
    """w = v."""
    return vs[0]


def of_move(layer, rule, xs, y, vs, kept):
    """v goes the way the numbers go; a constant that pads them is no number of v."""
    return layer.forward(*vs) - layer.forward(*map(np.zeros_like, vs))


def of_max_pool(layer, rule, xs, y, vs, kept):
    """v at the winner of each window."""
    return layer.at_winners(vs[0], kept)


def of_product(layer, rule, xs, y, vs, kept):
    """v of the signal, or half of both."""
    return vs[1 - rule.operand] if isinstance(rule, Gate) else 0.5 * (vs[0] + vs[1])


def of_matmul(layer, rule, xs, y, vs, kept):
    """w = ((a v_a) V + A (v v_v)) / stabilize(O), of the signal or half of both."""
    (a, b), (to_a, to_b) = xs, vs
    by_a, by_b = np.matmul(a * to_a, b), np.matmul(a, b * to_b)
    if isinstance(rule, Gate):
        return inverse_of(y, rule) * (by_b if rule.operand == 0 else by_a)
    return 0.5 * inverse_of(y, rule) * (by_a + by_b)


def of_extreme(layer, rule, xs, y, vs, kept):
    """v of the operand that won."""
    return np.where(kept, *vs)


def of_where(layer, rule, xs, y, vs, kept):
    """v of the operand that was chosen."""
    return np.where(xs[0] != 0, *vs[1:])


def of_softmax(layer, rule, xs, y, vs, kept):
    """w_j = x_j v_j - Σ_i s_i x_i v_i."""
    met = xs[0] * vs[0]
    return met - (y * met).sum(axis=layer.axis, keepdims=True)


def of_log_softmax(layer, rule, xs, y, vs, kept):
    """w = x v / stabilize(y)."""
    return inverse_of(y, rule) * xs[0] * vs[0]


# By the function that carries relevance down; `transpose_of` adds those from outside.
TRANSPOSES = {
    through_linear: of_linear, through_merge: of_merge, through_normalization: of_normalization,
    through_activation: of_activation, through_move: of_move, through_padding: of_move,
    through_max_pool: of_max_pool, P.through_product: of_product, P.through_matmul: of_matmul,
    P.through_extreme: of_extreme, P.through_where: of_where, P.through_softmax: of_softmax,
    P.through_log_softmax: of_log_softmax}


def transpose_of(down):
    """Register the transpose of a function that is registered with `flow`:

        @transpose_of(through_my_layer)
        def of_my_layer(layer, rule, xs, y, vs, kept):
            return w                       # like y, from vs, which are like xs; kept: of `forward_keeping`

    A layer without one is looked at by passes of `down` alone.
    """
    def register(function):
        TRANSPOSES[down] = function
        return function
    return register
