"""ONNX's operators that only move numbers. Most of them cost no node: a Tensor's axes get other names."""
import math

import numpy as np

from .. import layers as L
from ..limits import MAX_AXES
from ..text import quote
from .builder import Tensor

Constant = np.ndarray


def same(build, name, x: Tensor):
    """Identity."""
    return x


def dropout(build, name, x: Tensor, ratio: Constant = None, training: Constant = None, *, seed=0):
    if training is not None and training.any():
        raise ValueError("it is in training mode; export the model in evaluation mode (model.eval())")
    return x


def cast(build, name, x: Tensor, *, to: int, saturate=1, round_mode="up"):
    if to not in (1, 10, 11):
        raise ValueError("only conversions between floating-point types are supported")
    return x


def flatten(build, name, x: Tensor, *, axis=1):
    if axis % (len(x.shape) + 1) != 1:
        raise ValueError(f"axis={axis} mixes samples or leaves several axes; only axis=1 is supported")
    return build.reshaped(name, x, (math.prod(x.shape),))


def reshape(build, name, x: Tensor, shape: Constant, *, allowzero=0):
    if shape.size > MAX_AXES + 1:
        raise ValueError(f"a shape of {shape.size:,} axes: too many (at most {MAX_AXES + 1})")
    batch, target = build.batch, [int(n) for n in shape.reshape(-1)]
    if allowzero and 0 in target:
        raise ValueError("allowzero=1 with a size of 0 is not supported")
    before = (batch, *x.shape)
    beyond = any(n == 0 and axis >= len(before) for axis, n in enumerate(target))
    if target.count(-1) > 1 or min(target, default=-2) < -1 or beyond:
        raise ValueError(f"cannot reshape {x.shape} (after the batch axis) to {target}")
    target = [before[axis] if n == 0 else n for axis, n in enumerate(target)]
    if -1 in target:
        target[target.index(-1)] = math.prod(before) // max(-math.prod(target), 1)
    if not target or target[0] != batch or math.prod(target) != math.prod(before):
        raise ValueError(f"cannot reshape {x.shape} to {target[1:]}: the batch axis must stay as it is")
    return build.reshaped(name, x, tuple(target[1:]))


def squeeze(build, name, x: Tensor, axes: Constant = None):
    if axes is None:
        axes = [axis for axis, n in enumerate(x.shape, 1) if n == 1]
    axes = _behind_batch(axes, len(x.shape) + 1)
    if any(x.shape[axis - 1] != 1 for axis in axes):
        raise ValueError(f"axes {sorted(axes)} of {x.shape} (after the batch axis) are not all of size 1")
    return build.reshaped(name, x, tuple(n for axis, n in enumerate(x.shape, 1) if axis not in axes))


def unsqueeze(build, name, x: Tensor, axes: Constant):
    rank = len(x.shape) + 1 + axes.size
    axes, old = _behind_batch(axes, rank), iter(x.shape)
    return build.reshaped(name, x, tuple(1 if axis in axes else next(old) for axis in range(1, rank)))


def _behind_batch(axes, rank):
    axes = [int(a) for a in np.reshape(axes, -1)]
    found = {a % rank for a in axes}
    if any(not -rank <= a < rank for a in axes) or 0 in found or len(found) != len(axes):
        raise ValueError(f"axes {axes} must be different ones after the batch axis")
    return found


def transpose(build, name, x: Tensor, *, perm=()):
    perm = perm or tuple(range(len(x.shape), -1, -1))
    if sorted(perm) != list(range(len(x.shape) + 1)) or perm[0] != 0:
        raise ValueError(f"perm={perm} must keep the batch axis first and fit {x.shape} after it")
    return x.renamed([x.shape[axis - 1] for axis in perm[1:]],
                     {axis - 1: new for new, axis in enumerate(perm[1:])})


def concat(build, name, *xs: Tensor, axis: int):
    rank = len(xs[0].shape) + 1
    if any(len(x.shape) + 1 != rank for x in xs) or not -rank <= axis < rank or axis % rank == 0:
        raise ValueError(f"cannot join {', '.join(str(x.shape) for x in xs)} (after the batch axis) along "
                         f"axis {axis}")
    if len(xs) == 1:
        return xs[0]
    along, axes = axis % rank - 1, xs[0].axes
    if along not in axes or any(x.axes != axes for x in xs):
        complete = [x.axes for x in xs if len(x.axes) == rank - 1 and None not in x.axes]
        axes = complete[0] if complete else (*range(1, rank - 1), 0)
    xs = [build.arrange(name, x, axes) for x in xs]
    return build.add(name, L.Concatenate(axes.index(along) + 1), *xs)


def pad(build, name, x: Tensor, pads: Constant, value: Constant = None, over: Constant = None, *,
        mode="constant"):
    rank = len(x.shape) + 1
    axes = range(rank) if over is None else [int(a) % rank for a in over.reshape(-1)]
    pads = [int(n) for n in pads.reshape(-1)]
    if len(pads) != 2 * len(axes):
        raise ValueError(f"pads {pads} must be two for each of {len(axes)} axes")
    sides = {axis - 1: (begin, end) for axis, begin, end in zip(axes, pads, pads[len(axes):]) if begin or end}
    if not sides:
        return x
    if mode != "constant" or (value is not None and value.any()):
        raise ValueError(f"only padding with zeros is supported, found mode={quote(mode)} and the value "
                         f"{value}")
    axes = range(len(x.shape))
    if min(map(min, sides.values())) < 0 or len(axes) not in (2, 3) or not set(sides) <= set(axes):
        raise ValueError(f"pads {pads} must add to the positions of a map or sequence, {x.shape} after the "
                         "batch axis")
    if None in x.axes or len(x.axes) != 3 or x.axes[2] in sides:
        x = build.arrange(name, x, (1, 2, 0) if len(x.shape) == 3 else (None, 1, 0))
    if x.axes[2] in sides:
        raise ValueError(f"pads {pads} add channels, which is not supported")
    return build.add(name, L.ZeroPadding2D(tuple(sides.get(axis, (0, 0)) for axis in x.axes[:2])), x)


# For whole factors these take each pixel so many times; other pairs shift the picture.
REPEATING = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"),
             ("half_pixel", "round_prefer_ceil"),
             ("pytorch_half_pixel", "round_prefer_floor"), ("pytorch_half_pixel", "round_prefer_ceil")}


def resize(build, name, x: Tensor, region: Constant = None, scales: Constant = None, sizes: Constant = None,
           *,
           antialias=0, axes=(), coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.75,
           exclude_outside=0,
           extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest",
           nearest_mode="round_prefer_floor"):
    if mode != "nearest" or (coordinate_transformation_mode, nearest_mode) not in REPEATING:
        raise ValueError(f"only nearest neighbours by whole factors are supported, found mode={quote(mode)}, "
                         f"{quote(coordinate_transformation_mode)}, {quote(nearest_mode)}")
    before = (build.batch, *x.shape)
    axes = [axis % len(before) for axis in axes] or list(range(len(before)))
    if scales is None or not scales.size:
        if sizes is None or sizes.size != len(axes) or keep_aspect_ratio_policy != "stretch":
            raise ValueError("it needs constant scales or sizes for every axis")
        scales = sizes.reshape(-1) / np.array([before[axis] for axis in axes])
    if scales.size != len(axes) or not all(s >= 1 and float(s).is_integer() for s in scales.reshape(-1)):
        raise ValueError(f"the scales must be whole numbers, found {scales.tolist()}")
    factors = {axis: int(s) for axis, s in zip(axes, scales.reshape(-1)) if s != 1}
    if not factors:
        return x
    if not 2 <= len(x.shape) <= 3 or not {*factors} <= {*range(2, len(before))}:
        raise ValueError(f"the scales must enlarge the positions of a map or sequence, found "
                         f"{scales.tolist()}")
    x = build.arrange(name, x, (1, 2, 0) if len(x.shape) == 3 else (None, 1, 0))
    size = tuple(1 if axis is None else factors.get(axis + 1, 1) for axis in x.axes[:2])
    return build.add(name, L.UpSampling2D(size), x)


OPERATORS = {"Identity": same, "Dropout": dropout, "Cast": cast, "Flatten": flatten, "Reshape": reshape,
             "Squeeze": squeeze,
             "Unsqueeze": unsqueeze, "Transpose": transpose, "Concat": concat, "Pad": pad, "Resize": resize}
