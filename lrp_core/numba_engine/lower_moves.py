"""Layers that move numbers, forward and back, as ops: axes in another order, zero padding, cropping."""
import numpy as np

from .. import layers as L


def move(ops, layer, x, source, y):
    """Add the op that makes a layer's output y from its input x of shape `source` (see `support.is_move`)."""
    if type(layer) is L.Permute:
        ops.permute(x, source, [axis - 1 for axis in layer.axes], y)
    elif type(layer) is L.ZeroPadding2D:
        ops.pad(x, source, layer.margin, y)
    else:
        ops.crop(x, source, layer.margin, y, layer.output_shape(source))


def move_back(ops, layer, r, source, r_in):
    """Add the op that carries the relevance r at a layer's output back to its input of shape `source`."""
    made = layer.output_shape(source)
    if type(layer) is L.Permute:
        ops.permute(r, made, np.argsort(layer.axes), r_in)
    elif type(layer) is L.ZeroPadding2D:
        ops.crop(r, made, layer.margin, r_in, source)
    else:
        ops.pad(r, made, layer.margin, r_in)
