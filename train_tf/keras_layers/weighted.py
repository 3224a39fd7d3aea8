"""Dense layers and convolutions. A 1-D one that we have no layer for is its 2-D twin on a map of one row."""
import keras
import numpy as np

from lrp_core import layers as L

from .activations import activated
from .base import Refusal, as_array, require, weights

K = keras.layers


def dense(layer, shape):
    return L.Dense(**weights(layer))


def conv2d(layer, shape):
    require(layer, data_format="channels_last")
    return L.Conv2D(**weights(layer), strides=layer.strides, padding=layer.padding,
                    dilation=layer.dilation_rate, groups=layer.groups)


def depthwise2d(layer, shape):
    require(layer, data_format="channels_last")
    return L.DepthwiseConv2D(**weights(layer), strides=layer.strides, padding=layer.padding,
                             dilation=layer.dilation_rate)


def separable2d(layer, shape):
    """A depthwise convolution without a bias, then a 1x1 convolution: two layers, each with its own rule."""
    require(layer, data_format="channels_last")
    first = L.DepthwiseConv2D(as_array(layer.depthwise_kernel), strides=layer.strides, padding=layer.padding,
                              dilation=layer.dilation_rate)
    return [("_depthwise", first), ("", L.Conv2D(**weights(layer, "pointwise_kernel")))]


def transposed2d(layer, shape):
    require(layer, data_format="channels_last", dilation_rate=1, output_padding=None)
    return L.Conv2DTranspose(**weights(layer), strides=layer.strides, padding=layer.padding)


def along(layer, size):
    """What a 1-D window does, for a map of one row: strides, padding and dilation."""
    require(layer, data_format="channels_last")
    stride, dilation = (int(np.ravel(value)[0]) for value in (layer.strides, layer.dilation_rate))
    padding = ((0, 0), (dilation * (size - 1), 0)) if layer.padding == "causal" else layer.padding
    return {"strides": (1, stride), "padding": padding, "dilation": (1, dilation)}


def as_map(shape, *inner):
    """Layers for maps, on a sequence as a map of one row: (suffix, layer) pairs between two reshapes."""
    out = (1, *shape)
    for _, layer in inner:
        out = layer.output_shape(out)
    return [("_map", L.Reshape((1, *shape))), *inner, ("_row", L.Reshape(out[1:]))]


def row(arrays):
    """Arrays of a 1-D layer as those of a 2-D one: the kernel has one row."""
    return {**arrays, "kernel": arrays["kernel"][None]}


def conv1d(layer, shape):
    settings = along(layer, layer.kernel.shape[0])
    if layer.groups != 1:
        return as_map(shape, ("", L.Conv2D(**row(weights(layer)), **settings, groups=layer.groups)))
    return L.Conv1D(**weights(layer), strides=settings["strides"][1], padding=settings["padding"],
                    dilation=settings["dilation"][1])


def depthwise1d(layer, shape):
    arrays = row(weights(layer))
    return as_map(shape, ("", L.DepthwiseConv2D(**arrays, **along(layer, arrays["kernel"].shape[1]))))


def separable1d(layer, shape):
    kernel = as_array(layer.depthwise_kernel)[None]
    return as_map(shape, ("_depthwise", L.DepthwiseConv2D(kernel, **along(layer, kernel.shape[1]))),
                  ("", L.Conv2D(**row(weights(layer, "pointwise_kernel")))))


def transposed1d(layer, shape):
    require(layer, data_format="channels_last", dilation_rate=1, output_padding=None)
    inner = L.Conv2DTranspose(**row(weights(layer)), strides=(1, int(np.ravel(layer.strides)[0])),
                              padding=layer.padding)
    return as_map(shape, ("", inner))


def einsum_labels(layer, rank):
    """The letters of an EinsumDense's input, kernel and output without the batch's, "..." spelled out."""
    terms, out = layer.equation.replace(" ", "").split("->")
    x, kernel = terms.split(",")
    letters = (letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in layer.equation)
    more = "".join(next(letters) for _ in range(rank + 1 - len(x.replace("...", ""))))
    x, out = (term.replace("...", more) if "..." in term else term for term in (x, out))
    if x[0] != out[0] or x[0] in kernel or len(x) != rank + 1 or set(x) & set(kernel) & set(out):
        raise Refusal(f"equation={layer.equation!r} is not supported: write it as a Dense over the last axis")
    return x[1:], kernel, out[1:]


def einsum_dense(layer, shape):
    """A dense layer over the axes that input and kernel share, moved to the end for it."""
    x, kernel, out = einsum_labels(layer, len(shape))
    gone, new = [l for l in x if l in kernel], [l for l in out if l not in x]
    stay = [l for l in x if l not in kernel]
    if set(stay) - set(out) or set(kernel) != {*gone, *new}:
        raise Refusal(f"equation={layer.equation!r} is not supported: write it as a Dense over the last axis")
    array = as_array(layer.kernel).transpose([kernel.index(l) for l in gone + new])
    sizes = array.shape[len(gone):]
    matrix = array.reshape(int(np.prod(array.shape[:len(gone)])), -1)
    extents = dict(zip(x, shape)) | dict(zip(new, sizes))
    kept = [extents[l] for l in stay]
    return [*permuted("_order", x, stay + gone), ("_flat", L.Reshape((*kept, len(matrix)))),
            ("", L.Dense(matrix, einsum_bias(layer, out, new, sizes))),
            ("_shape", L.Reshape((*kept, *sizes))), *permuted("_back", stay + new, list(out))]


def permuted(suffix, letters, order):
    """The Permute that brings axes named by letters into an order; none where they are in it."""
    axes = tuple(letters.index(l) + 1 for l in order)
    return [] if axes == tuple(range(1, len(axes) + 1)) else [(suffix, L.Permute(axes))]


def einsum_bias(layer, out, new, sizes):
    """The bias of an EinsumDense, one number for each of its outputs."""
    if layer.bias is None:
        return None
    bias = as_array(layer.bias)
    bias = bias.reshape((1,) * (len(out) - bias.ndim) + bias.shape)
    if any(n != 1 for n, l in zip(bias.shape, out) if l not in new):
        raise Refusal(f"bias_axes={layer.bias_axes!r} is not supported, only axes of the kernel")
    bias = bias.transpose([out.index(l) for l in (*(l for l in out if l not in new), *new)])
    return np.broadcast_to(bias.reshape(bias.shape[len(out) - len(new):]), sizes).ravel()


CHAINS = {cls: activated(convert) for cls, convert in {
    K.Dense: dense, K.EinsumDense: einsum_dense, K.Conv1D: conv1d, K.Conv2D: conv2d,
    K.DepthwiseConv1D: depthwise1d, K.DepthwiseConv2D: depthwise2d, K.SeparableConv1D: separable1d,
    K.SeparableConv2D: separable2d, K.Conv1DTranspose: transposed1d, K.Conv2DTranspose: transposed2d,
}.items()}
