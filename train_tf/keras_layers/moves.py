"""Layers that move, copy or drop numbers, and those that do nothing when a network predicts."""
import keras
import numpy as np

from lrp_core import layers as L

from .base import as_array, made_shape, require
from .weighted import as_map

K = keras.layers


def nothing(layer, shape):
    """What only acts in training, or not at all."""
    return []


def dropout(layer, shape):
    return L.Dropout(float(layer.rate))


def flatten(layer, shape):
    require(layer, data_format="channels_last")
    return L.Flatten()


def ends(margin):
    """(before, after) of a sequence as the margin of a map of one row."""
    return (0, 0), tuple(np.broadcast_to(margin, 2).tolist())


def row_padding(layer, shape):
    require(layer, data_format="channels_last")
    return as_map(shape, ("", L.ZeroPadding2D(ends(layer.padding))))


def row_cropping(layer, shape):
    return as_map(shape, ("", L.Cropping2D(ends(layer.cropping))))


def row_upsampling(layer, shape):
    return as_map(shape, ("", L.UpSampling2D((1, int(layer.size)))))


def padding(layer, shape):
    require(layer, data_format="channels_last")
    return L.ZeroPadding2D(layer.padding)


def cropping(layer, shape):
    require(layer, data_format="channels_last")
    return L.Cropping2D(layer.cropping)


def upsampling(layer, shape):
    """Nearest neighbours are copied; other interpolations are a matrix along each of the two axes."""
    require(layer, data_format="channels_last")
    if layer.interpolation == "nearest":
        return L.UpSampling2D(tuple(layer.size))
    rows, columns = (interpolation(extent, times, layer.interpolation)
                     for extent, times in zip(shape, layer.size))
    return [("_rows_last", L.Permute((3, 2, 1))), ("_rows", L.Projection(rows)),
            ("_columns_last", L.Permute((3, 1, 2))), ("_columns", L.Projection(columns)),
            ("", L.Permute((1, 3, 2)))]


def interpolation(extent, times, method):
    """The matrix that makes `times` as many numbers of `extent`, read off Keras's own answer."""
    lines = np.eye(extent, dtype=np.float32)[:, None, :, None]
    found = keras.ops.image.resize(lines, (1, extent * times), interpolation=method,
                                   data_format="channels_last")
    return keras.ops.convert_to_numpy(found)[:, 0, :, 0]


def repeat_vector(layer, shape):
    return [("_row", L.Reshape((1, *shape))), ("", L.Tile((int(layer.n), 1)))]


# What keras.applications.ConvNeXt has layers of its own for, by the name of their class.
OF_CONVNEXT = {"LayerScale": lambda layer, shape: L.Affine(as_array(layer.gamma)), "StochasticDepth": nothing}
CHAINS = {
    K.Flatten: flatten,
    K.Reshape: lambda layer, shape: L.Reshape(made_shape(layer, shape)),
    K.Permute: lambda layer, shape: L.Permute(tuple(layer.dims)),
    K.RepeatVector: repeat_vector,
    K.ZeroPadding1D: row_padding,
    K.ZeroPadding2D: padding,
    K.Cropping1D: row_cropping,
    K.Cropping2D: cropping,
    K.UpSampling1D: row_upsampling,
    K.UpSampling2D: upsampling,
    K.Dropout: dropout,
    K.SpatialDropout1D: dropout,
    K.SpatialDropout2D: dropout,
    K.GaussianNoise: nothing,
    K.GaussianDropout: nothing,
    K.ActivityRegularization: nothing,
    K.Identity: nothing,
}
if hasattr(K, "AlphaDropout"):
    CHAINS[K.AlphaDropout] = nothing
