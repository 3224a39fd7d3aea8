"""Operations of keras.ops that move, choose or copy numbers; by the name of their class."""
import math

import keras
import numpy as np

from lrp_core import layers as L

from .base import Refusal, axes_of, axis_of
from .builder import Tensor


def reshape(build, operation, x):
    """The shape that Keras says; the batch axis must stay what it is."""
    shape = build.expected[0]
    if None in shape or math.prod(shape) != math.prod(x.shape):
        raise Refusal(f"numbers of the shape {x.shape} as {shape}: the batch axis must stay the first one, "
                      "and the other sizes be fixed")
    return build.reshape(operation.name, x, shape)


def order_of(move, x):
    """The order that a NumPy function brings the axes into, counted from 1."""
    order = move(np.broadcast_to(0, range(x.rank + 1))).shape
    if order[0] != 0:
        raise Refusal("the batch axis must stay the first one")
    return order[1:]


def transpose(build, operation, x):
    return build.permute(operation.name, x, order_of(lambda a: a.transpose(operation.axes), x))


def moveaxis(build, operation, x):
    def move(a):
        return np.moveaxis(a, operation.source, operation.destination)
    return build.permute(operation.name, x, order_of(move, x))


def swapaxes(build, operation, x):
    def move(a):
        return np.swapaxes(a, operation.axis1, operation.axis2)
    return build.permute(operation.name, x, order_of(move, x))


def concatenate(build, operation, tensors):
    if not all(isinstance(x, Tensor) for x in tensors):
        raise Refusal("a constant among the inputs is not supported: pad with zeros and add it")
    return build.add(operation.name, L.Concatenate(axis_of(operation.axis, tensors[0].rank)), *tensors)


def stack(build, operation, tensors):
    """Side by side along a new axis."""
    axis = axis_of(operation.axis, tensors[0].rank + 1)
    rows = [build.reshape(operation.name, x, (*x.shape[:axis - 1], 1, *x.shape[axis - 1:])) for x in tensors]
    return build.add(operation.name, L.Concatenate(axis), *rows)


def cut(build, name, x, axis, start, stop):
    """The numbers from start to stop along an axis; no node where these are all."""
    return x if (start, stop) == (0, x.shape[axis - 1]) else build.add(name, L.Slice(start, stop, 1, axis), x)


def split(build, operation, x):
    axis = axis_of(operation.axis, x.rank)
    extent, cuts = x.shape[axis - 1], operation.indices_or_sections
    inner = range(extent // cuts, extent, extent // cuts) if isinstance(cuts, int) else cuts
    ends = [0, *map(int, inner), extent]
    return [cut(build, operation.name, x, axis, start, stop) for start, stop in zip(ends, ends[1:])]


def unstack(build, operation, x):
    axis = axis_of(operation.axis, x.rank)
    rest = (*x.shape[:axis - 1], *x.shape[axis:])
    return [build.reshape(operation.name, cut(build, operation.name, x, axis, at, at + 1), rest)
            for at in range(x.shape[axis - 1])]


def flip(build, operation, x):
    for axis in axes_of(operation.axis, x.rank):
        x = build.add(operation.name, L.Slice(None, None, -1, axis), x)
    return x


def tile(build, operation, x):
    repeats = tuple(np.atleast_1d(operation.repeats).tolist())
    repeats = (1,) * (x.rank + 1 - len(repeats)) + repeats
    if len(repeats) != x.rank + 1 or repeats[0] != 1:
        raise Refusal(f"repeats={operation.repeats} is not supported: one for each axis, 1 for the batch's")
    return build.add(operation.name, L.Tile(repeats[1:]), x)


def repeat(build, operation, x):
    axis = axis_of(operation.axis, x.rank) if operation.axis is not None else axes_of(None, x.rank)
    places = np.repeat(np.arange(x.shape[axis - 1]), np.asarray(operation.repeats))
    return build.add(operation.name, L.Gather(tuple(places.tolist()), axis), x)


def take(build, operation, x, indices):
    """The numbers at constant places along an axis."""
    if isinstance(indices, Tensor) or operation.axis is None:
        raise Refusal("indices that are computed, or axis=None, are not supported")
    places, axis = np.asarray(keras.ops.convert_to_numpy(indices)), axis_of(operation.axis, x.rank)
    extent = x.shape[axis - 1]
    y = build.add(operation.name, L.Gather(tuple((places.ravel() % extent).tolist()), axis), x)
    return build.reshape(operation.name, y, (*x.shape[:axis - 1], *places.shape, *x.shape[axis:]))


def broadcast_to(build, operation, x):
    return build.spread(operation.name, x, tuple(operation.shape[1:]))


def pad(build, operation, x, constant_values=None):
    widths = tuple(map(tuple, operation.pad_width))
    if len(widths) != x.rank + 1 or any(widths[0]) or operation.mode not in L.MODES:
        raise Refusal(f"pad_width={operation.pad_width} with mode={operation.mode!r} is not supported: a "
                      f"pair for each axis, (0, 0) for the batch's, and one of {', '.join(L.MODES)}")
    return build.add(operation.name, L.Pad(widths[1:], operation.mode, float(constant_values or 0)), x)


def getitem(build, operation, x, key):
    """x[:, 3, ..., None]: slices, numbers, new axes."""
    key = tuple(key) if isinstance(key, (list, tuple)) else (key,)
    count = sum(item is not None and item is not Ellipsis for item in key)
    at = next((number for number, item in enumerate(key) if item is Ellipsis), len(key))
    key = (*key[:at], *[slice(None)] * (x.rank + 1 - count), *key[at + 1:])
    if key[0] != slice(None) or not all(item is None or isinstance(item, (int, np.integer, slice))
                                        for item in key):
        raise Refusal(f"x[{key}] is not supported: the whole batch, then slices, whole numbers, None")
    axis, shape, name = 0, [], operation.name
    for item in key[1:]:
        axis += item is not None
        if isinstance(item, slice) and item != slice(None):
            x = build.add(name, L.Slice(item.start, item.stop, item.step or 1, axis), x)
        elif isinstance(item, (int, np.integer)):
            start = int(item) % x.shape[axis - 1]
            x = cut(build, name, x, axis, start, start + 1)
        if item is None or isinstance(item, slice):
            shape.append(1 if item is None else x.shape[axis - 1])
    return build.reshape(name, x, shape or (1,))


def cast(build, operation, x):
    if "float" not in str(operation.dtype):
        raise Refusal(f"dtype={operation.dtype} is not supported, only floating point")
    return x


def nothing(build, operation, x):
    return x


OPERATIONS = {
    "Reshape": reshape, "ExpandDims": reshape, "Squeeze": reshape,
    "Transpose": transpose, "Moveaxis": moveaxis, "Swapaxes": swapaxes,
    "Concatenate": concatenate, "Stack": stack, "Split": split, "Unstack": unstack,
    "Flip": flip, "Tile": tile, "Repeat": repeat, "Take": take, "BroadcastTo": broadcast_to, "Pad": pad,
    "GetItem": getitem, "Cast": cast, "Copy": nothing, "StopGradient": nothing, "ConvertToTensor": nothing,
}
