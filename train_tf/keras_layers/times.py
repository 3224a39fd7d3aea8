"""TimeDistributed: what a layer does to each of several samples, as layers that do it to all of them at once.
"""
import math

from lrp_core import layers as L
from lrp_core.network import INPUT

from .base import Refusal
from .builder import Builder, Tensor

LOWEST = -1e30  # pads what a maximum is taken of
# What treats axes counted from the end, and so never notices another one in front.
SAME = (L.Activation, L.Dense, L.Projection, L.Affine, L.BatchNorm, L.LayerNorm, L.RMSNorm, L.Softmax,
        L.LogSoftmax, L.Dropout, L.Merge, L.Product, L.Extreme)


def distributed(convert):
    """The conversion of a TimeDistributed, by the function that converts what it holds."""
    def convert_wrapper(build, layer, x):
        inner = Builder()
        outputs = convert(inner, layer.layer, (Tensor(INPUT, x.shape[1:]),), {})
        if inner.refused:
            raise Refusal("; ".join(inner.refused))
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        if len(outputs) != 1:
            raise Refusal("several outputs are not supported")
        known = {INPUT: x}
        for name, ours, inputs in inner.nodes:
            known[name] = build.chain(name, lifted(ours, x.shape[0], *(known[n].shape[1:] for n in inputs)),
                                      *(known[n] for n in inputs))
        return known[outputs[0].name]
    return convert_wrapper


def lifted(layer, times, *shapes):
    """A layer of ours for `times` samples of the shapes it takes, on a new first axis: (suffix, layer) pairs.
    """
    if isinstance(layer, SAME):
        return [("", layer)]
    for kind, lift in LIFTS.items():
        if isinstance(layer, kind):
            made = lift(layer, times, *shapes)
            return made if isinstance(made, list) else [("", made)]
    raise Refusal(f"{layer.type} for each of several samples is not supported: use a layer that takes them "
                  "all, or pool the samples before it")


def further(layer, times, shape):
    """An axis counted from 1 is one further back."""
    return type(layer)(**{**options(layer), "axis": layer.axis + (layer.axis > 0)})


def options(layer):
    """The settings of a layer by name."""
    return {name: getattr(layer, name) for name in layer.options}


def reduced(layer, times, shape):
    axes = tuple(axis + 1 for axis in layer.gone(shape))
    return stays(type(layer)(axes), layer, times, shape)


def stays(ours, layer, times, shape):
    """`ours`, and a reshape where its output is not that of `layer` for each sample."""
    wanted = (times, *layer.output_shape(shape))
    return [("", ours), *([("_shape", L.Reshape(wanted))] if ours.output_shape((times, *shape)) != wanted
                          else [])]


def over_all(kind):
    def lift(layer, times, shape):
        return kind(tuple(range(2, len(shape) + 1)))
    return lift


def convolved_row(layer, times, shape):
    """Sequences as the rows of a map; the kernel has one row."""
    return L.Conv2D(layer.kernel[None], layer.bias, **row(layer), dilation=(1, layer.dilation))


def row(layer):
    """Strides and padding of a 1-D layer, for a map whose rows are sequences."""
    return {"strides": (1, layer.strides), "padding": layer.padding}


def pooled_row(kind):
    def lift(layer, times, shape):
        return kind((1, layer.pool_size), **row(layer))
    return lift


def in_a_column(remake, fill=0.0):
    """Maps above each other as one, with rows between them so that the windows of a map meet no other's.

    Windows that do are computed too, and dropped. remake: the layer with another padding. fill: what the rows
    hold; None where there may be none that a window of the map would meet.
    """
    def lift(layer, times, shape):
        height, width, channels = shape
        (top, bottom), sides = layer.window.pads(height, width)
        out, step, reach = layer.output_shape(shape), layer.window.strides[0], layer.window.reach[0]
        if fill is None and (top or bottom):
            raise Refusal(f"{layer.type} with padding={layer.padding!r} for each of several maps is not "
                          "supported, only 'valid'")
        tall = -(-(top + height + bottom) // step) * step
        pad = L.Pad(((0, 0), (top, tall - height - top), (0, 0), (0, 0)), value=fill or 0.0)
        return [*([("_pad", pad)] if tall > height else []),
                ("_column", L.Reshape((times * tall, width, channels))),
                ("", remake(layer, ((0, max(reach - step, 0)), sides))),
                ("_maps", L.Reshape((times, tall // step, *out[1:]))),
                *([("_cut", L.Slice(0, out[0], 1, 2))] if out[0] < tall // step else [])]
    return lift


def repadded(layer, padding):
    """The same layer with another padding."""
    arrays = {name: getattr(layer, name) for name in layer.arrays}
    return type(layer)(**arrays, **{**options(layer), "padding": padding})


def upsampled(layer, times, shape):
    height, width, channels = shape
    return [("_column", L.Reshape((times * height, width, channels))), ("", layer),
            ("_maps", L.Reshape((times, *layer.output_shape(shape))))]


def cropped(layer, times, shape):
    (top, bottom), (left, right) = layer.margin
    return [("_rows", L.Slice(top, shape[0] - bottom, 1, 2)), ("", L.Slice(left, shape[1] - right, 1, 3))]


# Each layer of ours with what it becomes for several samples: f(layer, how many, the shape of one).
LIFTS = {
    L.Flatten: lambda layer, times, shape: L.Reshape((times, math.prod(shape))),
    L.Reshape: lambda layer, times, shape: L.Reshape((times, *layer.shape)),
    L.Permute: lambda layer, times, shape: L.Permute((1, *(axis + 1 for axis in layer.axes))),
    L.Slice: further,
    L.Gather: further,
    L.Tile: lambda layer, times, shape: L.Tile((1, *layer.repeats)),
    L.Pad: lambda layer, times, shape: L.Pad(((0, 0), *layer.margin), layer.mode, layer.value),
    L.Concatenate: lambda layer, times, *shapes: further(layer, times, shapes[0]),
    (L.Sum, L.Max): reduced,
    (L.GlobalAveragePool2D, L.GlobalAveragePool1D): over_all(L.Mean),
    (L.GlobalMaxPool2D, L.GlobalMaxPool1D): over_all(L.Max),
    L.Conv1D: convolved_row,
    L.MaxPool1D: pooled_row(L.MaxPool2D),
    L.AveragePool1D: pooled_row(L.AveragePool2D),
    (L.Conv2D, L.DepthwiseConv2D): in_a_column(repadded),
    L.MaxPool2D: in_a_column(repadded, LOWEST),
    L.AveragePool2D: in_a_column(repadded, None),
    L.UpSampling2D: upsampled,
    L.ZeroPadding2D: lambda layer, times, shape: L.Pad(((0, 0), *layer.margin, (0, 0))),
    L.Cropping2D: cropped,
}
