"""ONNX's pools, and sums, means and maxima over axes."""
import numpy as np

from .. import layers as L
from .builder import Tensor
from .frame import each_map, frame

Constant = np.ndarray


@each_map
def max_pool(build, name, x: Tensor, *, auto_pad="NOTSET", ceil_mode=0, dilations=(), kernel_shape: tuple,
             pads=(),
             storage_order=0, strides=()):
    where = _frame(x, kernel_shape, strides, pads, dilations, auto_pad)
    return _pool(build, name, x, L.MaxPool1D, L.MaxPool2D, where, ceil_mode)


@each_map
def average_pool(build, name, x: Tensor, *, auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, dilations=(),
                 kernel_shape: tuple, pads=(), strides=()):
    """Ours takes the mean over positions inside the map; where ONNX counts the padding, the map gets a margin
    of zeros.
    """
    where = _frame(x, kernel_shape, strides, pads, dilations, auto_pad)
    if not count_include_pad or not any(map(any, where.margins(x))):
        return _pool(build, name, x, L.AveragePool1D, L.AveragePool2D, where, ceil_mode)
    more = where.rounded_up(x) if ceil_mode and where.padding != "same" else (0, 0)
    padded = build.add(f"{name}/pad", L.ZeroPadding2D(where.margins(x)), build.arrange(name, x, where.map))
    layer = L.AveragePool2D(where.size, where.strides, tuple((0, n) for n in more) if any(more) else "valid")
    return build.add(name, layer, padded)


def _frame(x, size, strides, pads, dilations, auto_pad):
    where = frame(x, size, strides, pads, dilations, auto_pad)
    if where.dilation != (1, 1):
        raise ValueError(f"dilations {dilations} are not supported in pools")
    if any(front >= n or back >= n for n, (front, back) in zip(where.size, where.margins(x)) if front
           or back):
        raise ValueError(f"pads {pads} leave windows of {tuple(size)} that see no part of the map")
    return where


def _pool(build, name, x, in_1d, in_2d, where, ceil_mode):
    padding = where.padding
    if ceil_mode and padding != "same":
        padding = tuple((front, back + more) for (front, back),
                        more in zip(where.margins(x), where.rounded_up(x)))
        padding = padding if any(map(any, padding)) else "valid"
    if where.one_row and not where.many:
        return build.add(name, in_1d(where.size[1], where.strides[1], padding),
                         build.arrange(name, x, where.sequence))
    return build.add(name, in_2d(where.size, where.strides, padding), build.arrange(name, x, where.map))


def global_average_pool(build, name, x: Tensor):
    return reduced(build, name, x, range(2, x.rank), True, MEANS)


def global_max_pool(build, name, x: Tensor):
    return reduced(build, name, x, range(2, x.rank), True, MAXIMA)


MEANS = (L.Mean, L.GlobalAveragePool1D, L.GlobalAveragePool2D, L.AveragePool2D)
MAXIMA = (L.Max, L.GlobalMaxPool1D, L.GlobalMaxPool2D, L.MaxPool2D)
SUMS = (L.Sum,)


def _reduction(layers, before=(), after=()):
    """A reduction over axes: functions of single numbers before it and after it, as in sqrt(Σ x²)."""
    def convert(build, name, x: Tensor, given: Constant = None, *, axes=(), keepdims=1,
                noop_with_empty_axes=0):
        axes = tuple(axes) if given is None else tuple(given.reshape(-1).tolist())
        if not axes and noop_with_empty_axes:
            return x
        axes = {x.axis(axis) for axis in axes} or set(range(x.rank))
        for number, layer in enumerate(before):
            x = build.add(f"{name}/before{number or ''}", layer, x)
        y = reduced(build, name, x, axes, keepdims, layers)
        for number, layer in enumerate(after):
            y = build.add(f"{name}/after{number or ''}", layer, y)
        return y
    return convert


def reduced(build, name, x, axes, keepdims, layers):
    """x with `axes` made one number each: by a global pool, or a pool that leaves one axis of the map, which
    run compiled, where there is one for it; else by a reduction over any axes.
    """
    general, *pools = layers
    gone = [axis for axis in x.long if axis in axes]
    kept = [axis for axis in x.long if axis not in axes]
    if gone and pools and len(gone) < 3 and len(kept) < 2:
        last = kept[0] if kept else next((axis for axis in range(x.rank) if axis not in axes), None)
        x = build.arrange(name, x, (*gone, last))
        x = build.add(name, pools[len(gone) - 1](), x, axes=(last,))
    elif pools and len(gone) == 1 and len(kept) == 2:
        x = build.arrange(name, x, (kept[0], gone[0], kept[1]))
        x = build.add(name, pools[2]((1, x.shape[gone[0]])), x)
    elif gone:
        layer = general(tuple(x.place(axis) for axis in gone))
        left = tuple(axis for axis in x.axes if axis not in gone) or (None,)
        x = build.add(name, layer, x, axes=left)
    return x if keepdims else build.without(x, axes)


def log_sum_exp(build, name, x: Tensor, given: Constant = None, *, axes=(), keepdims=1,
                noop_with_empty_axes=0):
    """max + ln Σ e^(x - max), which does not overflow."""
    axes = tuple(axes) if given is None else tuple(given.reshape(-1).tolist())
    if not axes and noop_with_empty_axes:
        return x
    axes = {x.axis(axis) for axis in axes} or set(range(x.rank))
    largest = reduced(build, f"{name}/max", x, axes, True, MAXIMA)
    below = build.add(f"{name}/below", L.Subtract(), *build.together(f"{name}/below", x, largest))
    total = reduced(build, f"{name}/sum", build.add(f"{name}/exp", L.Exp(), below), axes, True, SUMS)
    y = build.add(name, L.Add(), *build.together(name, build.add(f"{name}/log", L.Log(), total), largest))
    return y if keepdims else build.without(y, axes)


def lp_norm(build, name, x: Tensor, *, axis=-1, p=2):
    """x / sqrt(Σ x²) along an axis."""
    if p != 2:
        raise ValueError("only p=2 is supported")
    square = build.add(f"{name}/square", L.Power(2.0), x)
    total = reduced(build, f"{name}/sum", square, {x.axis(axis)}, True, SUMS)
    return build.add(name, L.Divide(), *build.together(name, x, build.add(f"{name}/root", L.Sqrt(), total)))


NEGATIVE = (L.Scale(-1.0),)
OPERATORS = {"MaxPool": max_pool, "AveragePool": average_pool, "GlobalAveragePool": global_average_pool,
             "GlobalMaxPool": global_max_pool, "ReduceMean": _reduction(MEANS),
             "ReduceMax": _reduction(MAXIMA), "ReduceMin": _reduction(MAXIMA, NEGATIVE, NEGATIVE),
             "ReduceSum": _reduction(SUMS), "ReduceSumSquare": _reduction(SUMS, (L.Power(2.0),)),
             "ReduceL1": _reduction(SUMS, (L.Abs(),)),
             "ReduceL2": _reduction(SUMS, (L.Power(2.0),), (L.Sqrt(),)),
             "ReduceLogSum": _reduction(SUMS, (), (L.Log(),)),
             "ReduceLogSumExp": log_sum_exp, "LpNormalization": lp_norm}
