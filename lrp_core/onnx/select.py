"""ONNX's operators that choose numbers along axes by constants."""
import math

import numpy as np

from .. import layers as L
from ..limits import MAX_SAMPLE
from ..text import quote
from .builder import Tensor, axis_of
from .moves import cut
from .pointwise import affine

Constant = np.ndarray


def slices(build, name, x: Tensor, starts: Constant, ends: Constant, axes: Constant = None,
           steps: Constant = None):
    starts, ends = (_whole(array) for array in (starts, ends))
    axes = list(range(len(starts))) if axes is None else _whole(axes)
    steps = [1] * len(starts) if steps is None else _whole(steps)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} must be of one length")
    for axis, start, end, step in zip(axes, starts, ends, steps):
        axis = x.axis(axis)
        extent = x.shape[axis]
        if step == 0:
            raise ValueError("a step of 0")
        # Going down, an end before the first element means all of it; Python would count it from the end.
        end = None if step < 0 and end < -extent else max(min(end, extent), -extent - 1)
        start = max(min(start, extent), -extent)
        x = cut(build, name, x, axis, start, end, step)
    return x


def _whole(array):
    return [int(n) for n in np.reshape(array, -1)]


def split(build, name, x: Tensor, sizes: Constant = None, *, axis=0, num_outputs=0, outputs=1):
    """Slices side by side; outputs: how many the operation names."""
    axis = x.axis(axis)
    count, extent = num_outputs or outputs, x.shape[axis]
    if sizes is None:
        size = -(-extent // count)
        sizes = [size] * (count - 1) + [extent - size * (count - 1)]
    sizes = _whole(sizes)
    if sum(sizes) != extent or min(sizes) < 1 or len(sizes) != outputs:
        raise ValueError(f"sizes {sizes} do not share out axis {axis} of {x.shape} among {outputs} outputs")
    ends = np.cumsum(sizes).tolist()
    return tuple(cut(build, f"{name}/{number}" if number else name, x, axis, end - size, end, 1)
                 for number, (size, end) in enumerate(zip(sizes, ends)))


def gather(build, name, x: Tensor, places: Constant, *, axis=0):
    """x[..., places, ...]: the axis makes way for the places' own axes."""
    axis = x.axis(axis)
    extent = x.shape[axis]
    places = np.asarray(places, np.int64)
    if places.size == 0 or places.min() < -extent or places.max() >= extent:
        raise ValueError(f"the places must lie in axis {axis} of {x.shape}")
    places = places % extent
    if places.size == 1:
        y = cut(build, name, x, axis, int(places.reshape(())), int(places.reshape(())) + 1, 1)
    else:
        y = x if axis in x.axes else build.in_order(name, x, axis)
        y = build.add(name, L.Gather(tuple(places.reshape(-1).tolist()), y.place(axis)), y)
    return y if places.ndim == 1 else build.reshaped(f"{name}/axes", y, (*x.shape[:axis], *places.shape,
                                                                         *x.shape[axis + 1:]))


def picked(build, name, x, places):
    """The numbers of x at flat `places`, in ONNX's order and in their shape; zeros where they are -1."""
    count = math.prod(x.shape)
    y = build.reshaped(f"{name}/flat", x, (count,))
    y = build.arrange(name, y, (0,))
    if (places < 0).any():
        y = build.add(f"{name}/zero", L.Pad(((0, 1),)), y)
        places = np.where(places < 0, count, places)
    if places.size > MAX_SAMPLE:
        raise ValueError(f"{places.size} places are too many")
    y = build.add(name, L.Gather(tuple(places.reshape(-1).tolist()), 1), y)
    return build.reshaped(f"{name}/shape", y, places.shape)


def numbered(shape):
    """The flat place of each number of an array."""
    return np.arange(math.prod(shape)).reshape(shape)


def gather_elements(build, name, x: Tensor, places: Constant, *, axis=0):
    axis = x.axis(axis)
    places = np.asarray(places, np.int64) % x.shape[axis]
    around = tuple(slice(0, n) for a, n in enumerate(places.shape) if a != axis)
    source = numbered(x.shape)[around[:axis] + (slice(None),) + around[axis:]]
    return picked(build, name, x, np.take_along_axis(source, places, axis))


def gather_nd(build, name, x: Tensor, places: Constant, *, batch_dims=0):
    if batch_dims:
        raise ValueError("only batch_dims=0 is supported")
    places = np.asarray(places, np.int64)
    return picked(build, name, x, numbered(x.shape)[tuple(np.moveaxis(places, -1, 0))])


def scatter_nd(build, name, x, places: Constant, new, *, reduction="none"):
    """x with other numbers at constant places."""
    places = np.asarray(places, np.int64)
    at = numbered(x.shape)[tuple(np.moveaxis(places, -1, 0))]
    return _replaced(build, name, x, at, new, reduction)


def scatter_elements(build, name, x, places: Constant, new, *, axis=0, reduction="none"):
    axis = axis_of(axis, len(x.shape))
    places = np.asarray(places, np.int64) % x.shape[axis]
    around = tuple(slice(0, n) for a, n in enumerate(places.shape) if a != axis)
    source = numbered(x.shape)[around[:axis] + (slice(None),) + around[axis:]]
    return _replaced(build, name, x, np.take_along_axis(source, places, axis), new, reduction)


def _replaced(build, name, x, at, new, reduction):
    """x with the numbers at flat places `at` replaced by those of `new`, or these added."""
    if reduction not in ("none", "add") or len(np.unique(at)) != at.size:
        raise ValueError(f"reduction={quote(reduction)} is not supported, or a place comes twice among "
                         f"{at.size}")
    shape, flat = tuple(x.shape), np.full(math.prod(x.shape), -1)
    flat[at.reshape(-1)] = np.arange(at.size)
    stay = np.float32(flat.reshape(shape) < 0) if reduction == "none" else np.ones(shape, np.float32)
    put = flat.reshape(shape)
    if isinstance(new, Constant):
        values = np.append(new.reshape(-1), 0)[put].astype(np.float32)
        return affine(build, name, x, stay, values)
    made = picked(build, f"{name}/new", new, put)
    if isinstance(x, Constant):
        return affine(build, name, made, 1, x * stay)
    return build.add(name, L.Add(), *build.together(name, affine(build, f"{name}/old", x, stay, 0), made))


def reverse_sequence(build, name, x: Tensor, lengths: Constant, *, batch_axis=1, time_axis=0):
    """The first numbers along an axis in reverse, as many as the lengths tell."""
    time, batch = x.axis(time_axis), x.axis(batch_axis)
    lengths = np.broadcast_to(np.asarray(lengths, np.int64).reshape(-1), (x.shape[batch],))
    places = np.moveaxis(numbered(x.shape).copy(), (batch, time), (0, 1))
    for row, length in zip(places, lengths):
        row[:length] = row[:length][::-1].copy()
    return picked(build, name, x, np.moveaxis(places, (0, 1), (batch, time)))


OPERATORS = {"Slice": slices, "Split": split, "Gather": gather, "GatherElements": gather_elements,
             "GatherND": gather_nd, "ScatterND": scatter_nd, "ScatterElements": scatter_elements,
             "ReverseSequence": reverse_sequence}
