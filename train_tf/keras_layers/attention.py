"""Attention, spelled out: dense layers, products, a softmax between them."""
import keras
import numpy as np

from lrp_core import layers as L

from .base import Refusal, as_array, require

K = keras.layers
MASKED = -1e9  # a score that a softmax makes 0 of


def softmax_of(build, name, scores, causal):
    """The attention of scores [..., queries, keys]; with `causal` no query sees a later key."""
    if causal:
        seen = np.tril(np.ones(scores.shape[-2:], np.float32))
        scores = build.add(f"{name}_causal", L.Affine(seen, MASKED * (1 - seen)), scores)
    return build.add(f"{name}_attention", L.Softmax(), scores)


def projected(build, name, dense, x, heads):
    """x [t, c] through one of the dense layers, its heads first: [heads, t, size]."""
    kernel = as_array(dense.kernel)
    bias = None if dense.bias is None else as_array(dense.bias).ravel()
    x = build.add(name, L.Dense(kernel.reshape(kernel.shape[0], -1), bias), x)
    x = build.reshape(name, x, (x.shape[0], heads, kernel.shape[2]))
    return build.add(f"{name}_heads", L.Permute((2, 1, 3)), x)


def shared(build, name, x, heads):
    """Heads of keys or values, each used by several heads of the query, which are neighbours."""
    if x.shape[0] == heads:
        return x
    places = tuple(np.repeat(np.arange(x.shape[0]), heads // x.shape[0]).tolist())
    return build.add(f"{name}_shared", L.Gather(places, 1), x)


def attend(build, layer, tensors, heads, kept, size, options):
    """Heads of attention: queries, values, keys [t, c]; `kept` heads of keys and values."""
    causal, scores_too = options
    query, value, key = tensors
    if {x.rank for x in tensors} != {2}:
        raise Refusal("attention over several axes is not supported: reshape them to one before it")
    name = layer.name
    query = projected(build, f"{name}_query", layer._query_dense, query, heads)
    parts = ("key", layer._key_dense, key), ("value", layer._value_dense, value)
    key, value = (shared(build, f"{name}_{part}", projected(build, f"{name}_{part}", dense, x, kept), heads)
                  for part, dense, x in parts)
    key = build.add(f"{name}_keys", L.Permute((1, 3, 2)), key)
    scores = build.add(f"{name}_scores", L.MatMul(), query, key)
    scores = build.add(f"{name}_scale", L.Scale(float(size) ** -0.5), scores)
    scores = softmax_of(build, name, scores, causal)
    y = build.add(f"{name}_values", L.MatMul(), scores, value)
    y = build.add(f"{name}_together", L.Permute((2, 1, 3)), y)
    kernel, bias = as_array(layer._output_dense.kernel), layer._output_dense.bias
    y = build.reshape(name, y, (y.shape[0], y.shape[1] * y.shape[2]))
    matrix = kernel.reshape(y.shape[1], -1)
    y = build.add(name, L.Dense(matrix, None if bias is None else as_array(bias).ravel()), y)
    y = build.reshape(name, y, (y.shape[0], *kernel.shape[2:]))
    return (y, scores) if scores_too else y


def multi_head(build, layer, query, value, key=None, *, return_attention_scores=False,
               use_causal_mask=False):
    require(layer, _sliding_window=None, _use_gate=False)
    return attend(build, layer, (query, value, value if key is None else key), layer.num_heads,
                  layer.num_heads, layer.key_dim, (use_causal_mask, return_attention_scores))


def grouped(build, layer, query, value, key=None, *, return_attention_scores=False, use_causal_mask=False):
    require(layer, sliding_window=None, use_gate=False)
    return attend(build, layer, (query, value, value if key is None else key), layer.num_query_heads,
                  layer.num_key_value_heads, layer.head_dim, (use_causal_mask, return_attention_scores))


def dot_scores(build, layer, query, key):
    """Scores of the layer Attention: q · k, times a number that is learned."""
    require(layer, score_mode="dot")
    key = build.add(f"{layer.name}_keys", L.Permute((2, 1)), key)
    scores = build.add(f"{layer.name}_scores", L.MatMul(), query, key)
    if layer.scale is None:
        return scores
    return build.add(f"{layer.name}_scale", L.Scale(float(as_array(layer.scale))), scores)


def added_scores(build, layer, query, key):
    """Scores of the layer AdditiveAttention: Σ scale · tanh(q + k)."""
    (queries, size), keys, name = query.shape, key.shape[0], layer.name
    pairs = [build.spread(name, build.reshape(name, x, shape), (queries, keys, size))
             for x, shape in ((query, (queries, 1, size)), (key, (1, keys, size)))]
    y = build.add(f"{name}_tanh", L.Tanh(), build.add(f"{name}_pairs", L.Add(), *pairs))
    scale = np.ones(size, np.float32) if layer.scale is None else as_array(layer.scale)
    return build.reshape(name, build.add(f"{name}_scores", L.Dense(scale[:, None]), y), (queries, keys))


def plain(scores_of):
    """The layers Attention and AdditiveAttention: [query, value] or [query, value, key]."""
    def convert_attention(build, layer, tensors, *, return_attention_scores=False, use_causal_mask=False):
        query, value, key = tensors if len(tensors) == 3 else (*tensors, tensors[1])
        if {x.rank for x in (query, value, key)} != {2}:
            raise Refusal("attention over several axes is not supported: reshape them to one before it")
        scores = softmax_of(build, layer.name, scores_of(build, layer, query, key), use_causal_mask)
        y = build.add(layer.name, L.MatMul(), scores, value)
        return (y, scores) if return_attention_scores else y
    return convert_attention


CALLS = {
    K.MultiHeadAttention: multi_head,
    K.Attention: plain(dot_scores),
    K.AdditiveAttention: plain(added_scores),
}
if hasattr(K, "GroupQueryAttention"):
    CALLS[K.GroupQueryAttention] = grouped
