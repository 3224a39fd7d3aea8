"""ONNX's operators that choose numbers along axes by constants."""
import numpy as np

from .. import layers as L
from .builder import Tensor
from .moves import cut

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


OPERATORS = {"Slice": slices, "Split": split, "Gather": gather}
