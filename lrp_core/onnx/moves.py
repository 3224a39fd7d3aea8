"""ONNX's operators that only move numbers. Most of them cost no node: a Tensor's axes get other names."""
import math

import numpy as np

from .. import layers as L
from ..limits import MAX_AXES
from ..text import quote
from .builder import Tensor, axis_of, plain
from .pointwise import LOWEST, affine

Constant = np.ndarray
BOOL, FLOATS = 9, (1, 10, 11)  # ONNX's numbers of types


def same(build, name, x: Tensor):
    """Identity."""
    return x


def dropout(build, name, x: Tensor, ratio: Constant = None, training: Constant = None, *, seed=0):
    if training is not None and training.any():
        raise ValueError("it is in training mode; export the model in evaluation mode (model.eval())")
    return x


def cast(build, name, x: Tensor, *, to: int, saturate=1, round_mode="up"):
    if to == BOOL:  # 0 or 1 here: is it another number than 0?
        return build.add(name, L.Step(), build.add(f"{name}/size", L.Abs(), x))
    if to not in FLOATS:
        raise ValueError("only conversions between floating-point types are supported")
    return x


def cast_like(build, name, x: Tensor, like, *, saturate=1, round_mode="up"):
    if isinstance(like, Constant) and like.dtype.kind != "f":
        raise ValueError("only conversions between floating-point types are supported")
    return x


def flatten(build, name, x: Tensor, *, axis=1):
    axis = x.rank if axis == x.rank else x.axis(axis)
    return build.reshaped(name, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def reshape(build, name, x: Tensor, shape: Constant, *, allowzero=0):
    if shape.size > MAX_AXES + 1:
        raise ValueError(f"a shape of {shape.size:,} axes: too many (at most {MAX_AXES + 1})")
    target = [int(n) for n in shape.reshape(-1)]
    if allowzero and 0 in target:
        raise ValueError("allowzero=1 with a size of 0 is not supported")
    beyond = any(n == 0 and axis >= x.rank for axis, n in enumerate(target))
    if target.count(-1) > 1 or min(target, default=1) < -1 or beyond:
        raise ValueError(f"cannot reshape {x.shape} to {target}")
    target = [x.shape[axis] if n == 0 else n for axis, n in enumerate(target)]
    if target[:1] == [build.batch] and x.shape[:1] == (1,):
        target[0] = 1
    if -1 in target:
        target[target.index(-1)] = math.prod(x.shape) // max(-math.prod(target), 1)
    return build.reshaped(name, x, tuple(target))


def squeeze(build, name, x: Tensor, axes: Constant = None):
    gone = {axis for axis, n in enumerate(x.shape) if n == 1} if axes is None else _axes(axes, x.rank)
    if any(x.shape[axis] != 1 for axis in gone):
        raise ValueError(f"axes {sorted(gone)} of {x.shape} are not all of size 1")
    return build.without(x, gone)


def unsqueeze(build, name, x: Tensor, axes: Constant):
    rank = x.rank + axes.size
    if rank > MAX_AXES + 1:
        raise ValueError(f"a shape of {rank:,} axes: too many (at most {MAX_AXES + 1})")
    axes = _axes(axes, rank)
    old = [axis for axis in range(rank) if axis not in axes]
    sizes = dict(zip(old, x.shape))
    return x.renamed([sizes.get(axis, 1) for axis in range(rank)], dict(enumerate(old)))


def _axes(axes, rank):
    axes = [int(a) for a in np.reshape(axes, -1)]
    found = {axis_of(a, rank) for a in axes}
    if len(found) != len(axes):
        raise ValueError(f"axes {axes} must be different ones")
    return found


def transpose(build, name, x: Tensor, *, perm=()):
    perm = perm or tuple(range(x.rank - 1, -1, -1))
    if sorted(perm) != list(range(x.rank)):
        raise ValueError(f"perm={perm} must fit {x.shape}")
    return x.renamed([x.shape[axis] for axis in perm], {axis: new for new, axis in enumerate(perm)})


def concat(build, name, *xs, axis: int):
    rank = len(xs[0].shape)
    if any(len(x.shape) != rank for x in xs):
        raise ValueError(f"cannot join {', '.join(str(x.shape) for x in xs)} along axis {axis}")
    along = axis_of(axis, rank)
    if len(xs) == 1:
        return xs[0]
    tensors = [x for x in xs if isinstance(x, Tensor)]
    axes = tensors[0].axes
    if along not in axes or any(x.axes != axes for x in tensors):
        complete = [x.axes for x in tensors if along in x.axes and None not in x.axes
                    and {*x.axes} >= {axis for other in tensors for axis in other.long}]
        if complete:
            axes = complete[0]
        else:
            whole = [max(x.shape[a] for x in tensors) if a != along else 2 for a in range(rank)]
            axes = plain(whole) if along else tuple(range(rank))
    place = axes.index(along)
    parts = _padded(build, name, xs, along, axes)
    y = build.add(name, L.Concatenate(place + 1), *parts) if len(parts) > 1 else parts[0]
    if len(tensors) == len(xs):
        return y
    whole = [np.zeros(x.shape, np.float32) if isinstance(x, Tensor) else x for x in xs]
    return affine(build, f"{name}/constants", y, 1, np.concatenate(whole, along))


def _padded(build, name, xs, along, axes):
    """The tensors among xs, with zeros around them where constants stand, which are added afterwards."""
    parts, before = [], 0
    for x in xs:
        if isinstance(x, Tensor):
            parts.append([build.arrange(name, x, axes), before, 0])
            before = 0
        elif parts:
            parts[-1][2] += x.shape[along]
        else:
            before += x.shape[along]
    return [build.add(f"{name}/pad",
                      L.Pad(tuple((front, back) if axis == along else (0, 0) for axis in axes)), x)
            if front or back else x for x, front, back in parts]


def cut(build, name, x, axis, start, stop, step):
    """x[start:stop:step] along one of ONNX's axes."""
    if range(x.shape[axis])[start:stop:step] == range(x.shape[axis]):
        return x
    if axis not in x.axes:
        x = build.in_order(name, x, axis)
    return build.add(name, L.Slice(start, stop, step, x.place(axis)), x)


def pad(build, name, x: Tensor, pads: Constant, value: Constant = None, over: Constant = None, *,
        mode="constant"):
    axes = range(x.rank) if over is None else [x.axis(int(a)) for a in over.reshape(-1)]
    pads = [int(n) for n in pads.reshape(-1)]
    if len(pads) != 2 * len(axes):
        raise ValueError(f"pads {pads} must be two for each of {len(axes)} axes")
    sides = {axis: (begin, end) for axis, begin, end in zip(axes, pads, pads[len(axes):]) if begin or end}
    for axis, (begin, end) in sides.items():
        if begin < 0 or end < 0:
            x = cut(build, f"{name}/cut", x, axis, max(-begin, 0), x.shape[axis] - max(-end, 0), 1)
    sides = {axis: (max(begin, 0), max(end, 0)) for axis, (begin, end) in sides.items()
             if max(begin, end) > 0}
    if not sides:
        return x
    if mode not in L.MODES:
        raise ValueError(f"mode={quote(mode)} is not supported; known are {', '.join(L.MODES)}")
    fill = 0.0 if value is None else max(float(value.reshape(())), LOWEST)
    if not {*sides} <= {*x.axes}:
        x = build.in_order(name, x, *sides)
    margin = tuple(sides.get(axis, (0, 0)) for axis in x.axes)
    if mode == "constant" and fill == 0 and x.rank in (3, 4) and {*sides} <= {*range(2, x.rank)}:
        wanted = (2, 3, 1) if x.rank == 4 else (None, 2, 1)  # zeros around a map run compiled
        if x.shape[0] == 1 and (x.axes[-1:] == (1,) or x.shape[1] == 1):
            x = build.arrange(name, x, wanted)
            return build.add(name, L.ZeroPadding2D(tuple(sides.get(axis, (0, 0)) for axis in wanted[:2])), x)
    return build.add(name, L.Pad(margin, mode, fill), x)


def expand(build, name, x: Tensor, shape: Constant):
    target = np.broadcast_shapes(x.shape, tuple(int(n) for n in shape.reshape(-1)))
    return x if target == x.shape else build.spread(name, x, L.check_shape(target))


def tile(build, name, x: Tensor, repeats: Constant):
    repeats = [int(n) for n in repeats.reshape(-1)]
    if len(repeats) != x.rank or min(repeats, default=1) < 1:
        raise ValueError(f"repeats {repeats} must be numbers above 0, one for each axis of {x.shape}")
    wanted = [axis for axis, n in enumerate(repeats) if n > 1]
    if not wanted:
        return x
    x = build.in_order(name, x, *wanted)
    return build.add(name, L.Tile(tuple(1 if axis is None else repeats[axis] for axis in x.axes)), x)


def depth_to_space(build, name, x: Tensor, *, blocksize: int, mode="DCR"):
    n, c, h, w = _map_of(x, blocksize)
    b = blocksize
    split = (n, b, b, c // b ** 2, h, w) if mode == "DCR" else (n, c // b ** 2, b, b, h, w)
    perm = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
    y = transpose(build, name, build.reshaped(f"{name}/split", x, split), perm=perm)
    return build.reshaped(name, y, (n, c // b ** 2, h * b, w * b))


def space_to_depth(build, name, x: Tensor, *, blocksize: int):
    n, c, h, w = _map_of(x, blocksize)
    b = blocksize
    y = build.reshaped(f"{name}/split", x, (n, c, h // b, b, w // b, b))
    y = transpose(build, name, y, perm=(0, 3, 5, 1, 2, 4))
    return build.reshaped(name, y, (n, c * b ** 2, h // b, w // b))


def _map_of(x, blocksize):
    if x.rank != 4 or blocksize < 1:
        raise ValueError(f"takes maps [batch, channels, height, width] and a size above 0, found {x.shape} "
                         f"and {blocksize}")
    return x.shape


OPERATORS = {"Identity": same, "Dropout": dropout, "Cast": cast, "CastLike": cast_like, "Flatten": flatten,
             "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
             "Concat": concat, "Pad": pad, "Expand": expand, "Tile": tile, "DepthToSpace": depth_to_space,
             "SpaceToDepth": space_to_depth}
