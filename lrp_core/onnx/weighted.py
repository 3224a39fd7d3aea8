"""ONNX's operators with weights. ONNX keeps kernels as [out, in, h, w], we as [h, w, in, out]."""
import math

import numpy as np

from .. import layers as L
from ..limits import MAX_SAMPLE
from ..text import quote
from .builder import Tensor
from .frame import each_map, frame
from .pointwise import add as pointwise_add

Constant = np.ndarray


def weights(array):
    """A constant as parameters: contiguous, in float32; None stays None. What is not finite, the layers
    refuse.
    """
    if array is None:
        return None
    if array.dtype.kind != "f":
        raise ValueError(f"the weights must be floating point, found {array.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, np.float32)


def kernel_of(array, given):
    """ONNX's kernel [out, in, (h,) w] as [h, w, in, out], one row for a 1-D one."""
    if array.ndim not in (3, 4):
        raise ValueError(f"only 1-D and 2-D convolutions are supported, the kernel has the shape "
                         f"{array.shape}")
    if given and given != array.shape[2:]:
        raise ValueError(f"kernel_shape says {given}, the kernel has the shape {array.shape}")
    return weights((array if array.ndim == 4 else array[:, :, None]).transpose(2, 3, 1, 0))


@each_map
def conv(build, name, x: Tensor, kernel: Constant, bias: Constant = None, *, auto_pad="NOTSET", dilations=(),
         group=1, kernel_shape=(), pads=(), strides=()):
    hwio, bias = kernel_of(kernel, kernel_shape), weights(bias)
    where = frame(x, kernel.shape[2:], strides, pads, dilations, auto_pad)
    channels, inner, outputs = x.shape[1], *hwio.shape[2:]
    if group < 1 or inner * group != channels or outputs % group:
        raise ValueError(f"the kernel {kernel.shape} in {group} groups does not fit {channels} channels")
    if where.one_row and group == 1 and not where.many:
        layer = L.Conv1D(hwio[0], bias, where.strides[1], where.padding, where.dilation[1])
        return build.add(name, layer, build.arrange(name, x, where.sequence))
    if inner == 1 and group > 1:
        by_channel = hwio.reshape(*hwio.shape[:2], channels, outputs // channels)
        layer = L.DepthwiseConv2D(by_channel, bias, where.strides, where.padding, where.dilation)
    else:
        layer = L.Conv2D(hwio, bias, where.strides, where.padding, where.dilation, group)
    return build.add(name, layer, build.arrange(name, x, where.map))


@each_map
def conv_transpose(build, name, x: Tensor, kernel: Constant, bias: Constant = None, *, auto_pad="NOTSET",
                   dilations=(), group=1, kernel_shape=(), output_padding=(), output_shape=(), pads=(),
                   strides=()):
    """Ours covers every window in full; what ONNX's padding takes off the result is cropped. Groups become a
    kernel of zeros but for its blocks, and gaps between a dilated window's numbers zeros.
    """
    hwio = _without_gaps(_without_groups(kernel_of(kernel, kernel_shape), group), dilations)
    if auto_pad not in ("NOTSET", "VALID"):
        raise ValueError(f"auto_pad={quote(auto_pad)} is not supported in transposed convolutions; export "
                         "with explicit pads")
    where = frame(x, hwio.shape[2 - (kernel.ndim - 2):2], strides, pads, (), "NOTSET")
    x = build.arrange(name, x, where.map)
    y = build.add(name, L.Conv2DTranspose(hwio, weights(bias), where.strides), x)
    rows = (0,) * where.one_row
    extra = (*rows, *(output_padding or (0,) * (kernel.ndim - 2)))
    crop, sizes = [], (*rows, *output_shape) if output_shape else (None, None)
    for number, (extent, full, size, stride, (front, back), more, stated) in enumerate(zip(
            where.extents(x), where.extents(y), where.size, where.strides, where.margins(x), extra, sizes,
            strict=True)):
        wanted = stride * (extent - 1) + size + more - front - back
        if stated and stated != wanted:
            # ONNX then shares the padding itself: the odd one before, unless auto_pad says otherwise.
            total = stride * (extent - 1) + more + size - stated
            front, wanted = total - total // 2, stated
        if number == 0 and where.one_row:
            front, wanted = 0, full
        if more < 0 or wanted < 1 or full - front - wanted < 0 or front < 0:
            raise ValueError(f"pads {pads}, output_padding {output_padding} and output_shape {output_shape} "
                             "leave an output that the layer cannot give")
        crop.append((front, full - front - wanted))
    return build.add(f"{name}/crop", L.Cropping2D(tuple(crop)), y) if any(map(any, crop)) else y


def _without_groups(hwio, group):
    """A transposed convolution's kernel [h, w, m / groups, c] as one of [h, w, m, c]: blocks among zeros."""
    if group == 1:
        return hwio
    height, width, made, channels = hwio.shape
    if group < 1 or channels % group:
        raise ValueError(f"{group} groups do not fit {channels} channels")
    whole = np.zeros((height, width, made * group, channels), hwio.dtype)
    share = channels // group
    for g in range(group):
        whole[:, :, g * made:(g + 1) * made, g * share:(g + 1) * share] = hwio[..., g * share:(g + 1) * share]
    return whole


def _without_gaps(hwio, dilations):
    """A dilated kernel written out, with zeros in its gaps."""
    down, across = (1,) * (2 - len(dilations)) + tuple(dilations) if dilations else (1, 1)
    if (down, across) == (1, 1):
        return hwio
    height, width = hwio.shape[:2]
    shape = ((height - 1) * down + 1, (width - 1) * across + 1, *hwio.shape[2:])
    if math.prod(shape) > MAX_SAMPLE:
        raise ValueError(f"dilations {dilations} are too large")
    whole = np.zeros(shape, hwio.dtype)
    whole[::down, ::across] = hwio
    return whole


def gemm(build, name, a, b, bias=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    """alpha·A B + beta·C, A and B matrices, one of them a constant at most."""
    a, b = (_turned(m) if turn else m for m, turn in ((a, transA), (b, transB)))
    if any(len(m.shape) != 2 for m in (a, b)):
        raise ValueError(f"takes rows and a matrix, found {a.shape} and {b.shape}")
    if isinstance(a, Constant) and isinstance(b, Constant):
        return pointwise_add(build, name, _times(build, name, bias, beta), np.float32(alpha) * (a @ b))
    if isinstance(bias, Tensor) or isinstance(a, Constant) or isinstance(b, Tensor):
        y = _scaled(build, name, product(build, name, a, b), alpha)
        return y if bias is None else pointwise_add(build, f"{name}/sum", y, _times(build, name, bias, beta))
    kernel = weights(b)
    if bias is not None:
        if math.prod(bias.shape[:-1]) != 1 or bias.shape[-1:] not in ((), (1,), kernel.shape[1:]):
            raise ValueError(f"the bias {bias.shape} does not fit {kernel.shape[1]} outputs")
        bias = weights(np.broadcast_to(bias.reshape(-1), kernel.shape[1:])) * np.float32(beta)
    return dense(build, name, a, kernel if alpha == 1 else kernel * np.float32(alpha), bias)


def _turned(m):
    """A matrix with its axes exchanged."""
    return _exchanged(m) if isinstance(m, Tensor) and m.rank == 2 else m.T if isinstance(m, Constant) else m


def _scaled(build, name, x, factor):
    return x if factor == 1 else build.add(f"{name}/scale", L.Scale(float(factor)), x)


def _times(build, name, value, factor):
    if isinstance(value, Tensor):
        return _scaled(build, f"{name}/bias", value, factor)
    return value * np.float32(factor)


def dense(build, name, x, kernel, bias=None):
    """A Dense over the last axis of x."""
    if not x.rank or x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"takes [..., k] and a constant matrix [k, m], found {x.shape} and {kernel.shape}")
    return build.add(name, L.Dense(kernel, bias), build.with_last(name, x, x.rank - 1))


def product(build, name, a, b):
    """The matrix product over the last two axes: of a tensor with a constant, or of two tensors."""
    if isinstance(b, Constant):
        kernel = _matrix(b, a.shape)
        if b.ndim == 1:
            y = dense(build, name, a, kernel)
            return build.without(y, (y.rank - 1,))
        return dense(build, name, a, kernel)
    if isinstance(a, Constant):
        if b.rank < 2 or a.ndim < 2:
            raise ValueError(f"a constant {a.shape} times {b.shape} is not supported")
        return _exchanged(dense(build, name, _exchanged(b), _matrix(a.swapaxes(-1, -2), b.shape)))
    if min(a.rank, b.rank) < 2:
        raise ValueError(f"the product of {a.shape} and {b.shape} is not supported")
    rank = max(a.rank, b.rank)
    a, b = a.raised(rank), b.raised(rank)
    before = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    axes = (*(axis for axis, n in enumerate(before) if n > 1), rank - 2, rank - 1)
    a = build.spread(f"{name}/a", a, (*before, *a.shape[-2:]), axes)
    b = build.spread(f"{name}/b", b, (*before, *b.shape[-2:]), axes)
    return build.add(name, L.MatMul(), a, b, axes=axes, rank=rank)


def _exchanged(x):
    """A tensor with its last two axes exchanged."""
    last = x.rank - 1
    return x.renamed((*x.shape[:-2], x.shape[-1], x.shape[-2]),
                     {**{axis: axis for axis in range(last - 1)}, last: last - 1, last - 1: last})


def _matrix(array, shape):
    """A constant as a matrix [k, m]; refuses a stack of different ones."""
    array = array[:, None] if array.ndim == 1 else array
    if math.prod(array.shape[:-2]) != 1:
        raise ValueError(f"takes [..., k] and a constant matrix [k, m], found {shape} and {array.shape}: a "
                         "stack of matrices is not supported")
    return weights(array.reshape(array.shape[-2:]))


def batch_norm(build, name, x: Tensor, scale: Constant, shift: Constant, mean: Constant, variance: Constant,
               *, epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1):
    if training_mode:
        raise ValueError("it is in training mode; export the model in evaluation mode (model.eval())")
    if x.rank < 2 or any(a.shape != x.shape[1:2] for a in (scale, shift, mean, variance)) or not spatial:
        raise ValueError(f"scale {scale.shape}, bias {shift.shape}, mean {mean.shape} and variance "
                         f"{variance.shape} must have one number for each channel of {x.shape}")
    with np.errstate(all="ignore"):
        kernel = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        bias = shift - kernel * mean
    return build.add(name, L.BatchNorm(weights(kernel), weights(bias)), build.with_last(name, x, 1))


OPERATORS = {"Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "BatchNormalization": batch_norm}
