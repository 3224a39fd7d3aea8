"""ONNX's operators with weights. ONNX keeps kernels as [out, in, h, w], we as [h, w, in, out]."""
import math

import numpy as np

from .. import layers as L
from .builder import Tensor
from .frame import frame

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


def conv(build, name, x: Tensor, kernel: Constant, bias: Constant = None, *, auto_pad="NOTSET", dilations=(),
         group=1,
         kernel_shape=(), pads=(), strides=()):
    hwio, bias = kernel_of(kernel, kernel_shape), weights(bias)
    where = frame(x, kernel.shape[2:], strides, pads, dilations, auto_pad)
    channels, inner, outputs = x.shape[0], *hwio.shape[2:]
    if group < 1 or inner * group != channels or outputs % group:
        raise ValueError(f"the kernel {kernel.shape} in {group} groups does not fit {channels} channels")
    if where.one_row and group == 1:
        layer = L.Conv1D(hwio[0], bias, where.strides[1], where.padding, where.dilation[1])
        return build.add(name, layer, build.arrange(name, x, where.sequence))
    if inner == 1 and group > 1:
        by_channel = hwio.reshape(*hwio.shape[:2], channels, outputs // channels)
        layer = L.DepthwiseConv2D(by_channel, bias, where.strides, where.padding, where.dilation)
    else:
        layer = L.Conv2D(hwio, bias, where.strides, where.padding, where.dilation, group)
    return build.add(name, layer, build.arrange(name, x, where.map))


def conv_transpose(build, name, x: Tensor, kernel: Constant, bias: Constant = None, *, auto_pad="NOTSET",
                   dilations=(),
                   group=1, kernel_shape=(), output_padding=(), output_shape=(), pads=(), strides=()):
    """Ours covers every window in full; what ONNX's padding takes off the result is cropped."""
    hwio = kernel_of(kernel, kernel_shape)
    if group != 1 or any(d != 1 for d in dilations) or output_shape or auto_pad not in ("NOTSET", "VALID"):
        raise ValueError("groups, dilations, output_shape and auto_pad are not supported in transposed "
                         "convolutions; "
                         "export with explicit pads")
    where = frame(x, kernel.shape[2:], strides, pads, (), auto_pad)
    x = build.arrange(name, x, where.map)
    y = build.add(name, L.Conv2DTranspose(hwio, weights(bias), where.strides), x)
    extra = (*(0,) * where.one_row, *(output_padding or (0,) * len(kernel.shape[2:])))
    crop = []
    for extent, full, size, stride, (front, back), more in zip(
            where.extents(x), where.extents(y), where.size, where.strides, where.margins(x), extra,
            strict=True):
        wanted = stride * (extent - 1) + size + more - front - back
        if more < 0 or wanted < 1 or full - front - wanted < 0:
            raise ValueError(f"pads {pads} and output_padding {output_padding} leave an output that the "
                             "layer cannot give")
        crop.append((front, full - front - wanted))
    return build.add(f"{name}/crop", L.Cropping2D(tuple(crop)), y) if any(map(any, crop)) else y


def gemm(build, name, x: Tensor, kernel: Constant, bias: Constant = None, *, alpha=1.0, beta=1.0,
         transA=0, transB=0):
    if transA:
        raise ValueError("transA=1, which mixes the samples of a batch, is not supported")
    if kernel.ndim != 2 or len(x.shape) != 1:
        raise ValueError(f"takes rows and a matrix, found {x.shape} and {kernel.shape}")
    kernel = weights(kernel.T if transB else kernel)
    if bias is not None:
        if math.prod(bias.shape[:-1]) != 1 or bias.shape[-1:] not in ((), (1,), kernel.shape[1:]):
            raise ValueError(f"the bias {bias.shape} does not fit {kernel.shape[1]} outputs")
        bias = weights(np.broadcast_to(bias.reshape(-1), kernel.shape[1:])) * np.float32(beta)
    layer = L.Dense(kernel if alpha == 1 else kernel * np.float32(alpha), bias)
    return build.add(name, layer, build.arrange(name, x, (0,)))


def matmul(build, name, x: Tensor, kernel: Constant, bias: Constant = None):
    """Rows of x, along its last axis, by a matrix; `bias` where an Add was joined."""
    if kernel.ndim != 2 or not x.shape or x.shape[-1] != kernel.shape[0]:
        raise ValueError(f"takes [..., k] and a constant matrix [k, m], found {x.shape} and {kernel.shape}")
    layer = L.Dense(weights(kernel), None if bias is None else weights(bias.reshape(-1)))
    return build.add(name, layer, build.with_last(name, x, len(x.shape) - 1))


def batch_norm(build, name, x: Tensor, scale: Constant, shift: Constant, mean: Constant, variance: Constant,
               *,
               epsilon=1e-5, momentum=0.9, training_mode=0):
    if training_mode:
        raise ValueError("it is in training mode; export the model in evaluation mode (model.eval())")
    if not x.shape or any(a.shape != x.shape[:1] for a in (scale, shift, mean, variance)):
        raise ValueError(f"scale {scale.shape}, bias {shift.shape}, mean {mean.shape} and variance "
                         f"{variance.shape} must "
                         f"have one number for each channel of {x.shape}")
    with np.errstate(all="ignore"):
        kernel = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        bias = shift - kernel * mean
    return build.add(name, L.BatchNorm(weights(kernel), weights(bias)), build.with_last(name, x, 0))


OPERATORS = {"Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "MatMul": matmul,
             "BatchNormalization": batch_norm}
