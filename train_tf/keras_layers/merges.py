"""Layers of several inputs, each repeated along the axes in which it is smaller."""
import functools

import keras

from lrp_core import layers as L

from .base import Refusal, axis_of

K = keras.layers


def all_at_once(ours):
    def convert_merge(build, layer, tensors):
        return build.add(layer.name, ours, *build.alike(layer.name, tensors))
    return convert_merge


def two_by_two(ours):
    """f(f(a, b), c): what we have for two inputs only."""
    def convert_merge(build, layer, tensors):
        return functools.reduce(lambda a, b: build.add(layer.name, ours, a, b),
                                build.alike(layer.name, tensors))
    return convert_merge


def average(build, layer, tensors):
    total = build.add(f"{layer.name}_sum", L.Add(), *build.alike(layer.name, tensors))
    return build.add(layer.name, L.Scale(1 / len(tensors)), total)


def concatenate(build, layer, tensors):
    axis = axis_of(int(layer.axis), tensors[0].rank)
    return build.add(layer.name, L.Concatenate(axis), *tensors)


def matmul(build, name, a, b):
    """A B over the last two axes, the others repeated to fit."""
    rank = max(a.rank, b.rank)
    if min(a.rank, b.rank) < 2 or a.rank != b.rank:
        raise Refusal(f"a matrix product of the shapes {a.shape} and {b.shape} is not supported, only of "
                      "tensors with as many axes each, at least two besides the batch's: reshape them")
    before = [1] * (rank - 2)
    for axis in range(rank - 2):
        before[axis] = max(a.shape[axis], b.shape[axis])
    a, b = (build.spread(name, x, (*before, *x.shape[-2:])) for x in (a, b))
    return build.add(name, L.MatMul(), a, b)


def dot(build, layer, tensors):
    """Σ over one axis of each: both as matrices, multiplied, in Keras's shape."""
    if layer.normalize:
        raise Refusal("normalize=True is not supported: put a UnitNormalization before it")
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    a, b = tensors
    along_a, along_b = (axis_of(int(axis), x.rank) for axis, x in zip(axes, tensors))
    rest_a, rest_b = ([axis for axis in range(1, x.rank + 1) if axis != along]
                      for x, along in ((a, along_a), (b, along_b)))
    shape = [x.shape[axis - 1] for x, rest in ((a, rest_a), (b, rest_b)) for axis in rest] or [1]
    size = a.shape[along_a - 1]
    a = build.permute(f"{layer.name}_order", a, (*rest_a, along_a))
    b = build.permute(f"{layer.name}_order", b, (along_b, *rest_b))
    a, b = build.reshape(layer.name, a, rows(a, size)), build.reshape(layer.name, b, rows(b, size)[::-1])
    return build.reshape(layer.name, build.add(layer.name, L.MatMul(), a, b), shape)


def rows(x, size):
    """The shape of x in rows of `size` numbers."""
    count = 1
    for n in x.shape:
        count *= n
    return count // size, size


CALLS = {
    K.Add: all_at_once(L.Add()),
    K.Subtract: all_at_once(L.Subtract()),
    K.Multiply: two_by_two(L.Multiply()),
    K.Maximum: two_by_two(L.Maximum()),
    K.Minimum: two_by_two(L.Minimum()),
    K.Average: average,
    K.Concatenate: concatenate,
    K.Dot: dot,
}
