"""ONNX's pools and the means and maxima over axes that act as pools."""
import numpy as np

from .. import layers as L
from .builder import Tensor
from .frame import frame

Constant = np.ndarray


def max_pool(build, name, x: Tensor, *, auto_pad="NOTSET", ceil_mode=0, dilations=(), kernel_shape: tuple,
             pads=(),
             storage_order=0, strides=()):
    where = _frame(x, kernel_shape, strides, pads, dilations, auto_pad)
    return _pool(build, name, x, L.MaxPool1D, L.MaxPool2D, where, ceil_mode)


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
    if where.one_row:
        return build.add(name, in_1d(where.size[1], where.strides[1], padding),
                         build.arrange(name, x, where.sequence))
    return build.add(name, in_2d(where.size, where.strides, padding), build.arrange(name, x, where.map))


def global_average_pool(build, name, x: Tensor):
    return _over(build, name, x, range(1, len(x.shape)), True, MEANS)


def global_max_pool(build, name, x: Tensor):
    return _over(build, name, x, range(1, len(x.shape)), True, MAXIMA)


def reduce_mean(build, name, x: Tensor, given: Constant = None, *, axes=(), keepdims=1,
                noop_with_empty_axes=0):
    return _reduce(build, name, x, given, axes, keepdims, noop_with_empty_axes, MEANS)


def reduce_max(build, name, x: Tensor, given: Constant = None, *, axes=(), keepdims=1,
               noop_with_empty_axes=0):
    return _reduce(build, name, x, given, axes, keepdims, noop_with_empty_axes, MAXIMA)


MEANS = (L.GlobalAveragePool1D, L.GlobalAveragePool2D, L.AveragePool2D)
MAXIMA = (L.GlobalMaxPool1D, L.GlobalMaxPool2D, L.MaxPool2D)


def _reduce(build, name, x, given, axes, keepdims, noop, layers):
    axes = tuple(axes) if given is None else tuple(given.reshape(-1).tolist())
    if not axes:
        if noop:
            return x
        raise ValueError("no axes are named, and over all of them the batch would be mixed; name the spatial "
                         "axes")
    rank = len(x.shape) + 1
    if any(not -rank <= a < rank or a % rank == 0 for a in axes):
        raise ValueError(f"axes {axes} must lie after the batch axis of {x.shape}")
    return _over(build, name, x, sorted({a % rank - 1 for a in axes}), keepdims, layers)


def _over(build, name, x, axes, keepdims, layers):
    """The mean or maximum of x over `axes` (of its shape): a global pool, or a pool that leaves one axis of
    the map.
    """
    in_1d, in_2d, window = layers
    gone = [axis for axis in x.long if axis in axes]
    kept = [axis for axis in x.long if axis not in axes]
    if len(gone) in (1, 2) and len(kept) < 2:
        last = kept[0] if kept else next((axis for axis in range(len(x.shape)) if axis not in axes), None)
        x = build.arrange(name, x, (*gone, last))
        x = build.add(name, in_1d() if len(gone) == 1 else in_2d(), x, axes=(last,))
    elif len(gone) == 1 and len(kept) == 2:
        x = build.arrange(name, x, (kept[0], gone[0], kept[1]))
        x = build.add(name, window((1, x.shape[gone[0]])), x)
    elif gone:
        raise ValueError(f"over the axes {[a + 1 for a in axes]} of {x.shape} (after the batch axis) it is "
                         "no pool: "
                         "one or two axes can go, of three")
    if keepdims:
        return x
    stay = [axis for axis in range(len(x.shape)) if axis not in axes]
    return x.renamed([x.shape[axis] for axis in stay], {axis: new for new, axis in enumerate(stay)})


OPERATORS = {"MaxPool": max_pool, "AveragePool": average_pool, "GlobalAveragePool": global_average_pool,
             "GlobalMaxPool": global_max_pool, "ReduceMean": reduce_mean, "ReduceMax": reduce_max}
