"""Normalisations: by what was learned, by what was measured on the data, by what each sample is."""
import keras
import numpy as np

from lrp_core import layers as L

from .base import as_array, axes_of, on_last, parameter, require

K = keras.layers


def batch_norm(layer, shape):
    """y = γ (x - mean) / sqrt(variance + ε) + β as a x + b."""
    mean, variance = as_array(layer.moving_mean, np.float64), as_array(layer.moving_variance, np.float64)
    a = (as_array(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    b = (as_array(layer.beta, np.float64) if layer.center else 0.0) - a * mean
    return on_last(shape, axes_of(layer.axis, len(shape)),
                   L.BatchNorm(a.astype(np.float32), b.astype(np.float32)))


def extent(layer, shape):
    """(the axes that a layer normalises over, how many numbers they hold)."""
    axes = axes_of(layer.axis, len(shape))
    return axes, int(np.prod([shape[a - 1] for a in axes]))


def layer_norm(layer, shape):
    require(layer, rms_scaling=False)
    axes, size = extent(layer, shape)
    gamma = parameter(layer, "gamma", layer.scale, size, 1)
    beta = parameter(layer, "beta", layer.center, size, 0)
    return on_last(shape, axes, L.LayerNorm(gamma, beta, float(layer.epsilon)))


def rms_norm(layer, shape):
    axes, size = extent(layer, shape)
    gamma = parameter(layer, "scale", layer.scale is not None, size, 1)
    return on_last(shape, axes, L.RMSNorm(gamma, np.zeros_like(gamma), float(layer.epsilon)))


def unit_norm(layer, shape):
    """x / |x| = x / (√c · sqrt(mean x²)); Keras bounds |x| from below, we add as little to its square."""
    axes, size = extent(layer, shape)
    gamma = np.full(size, size ** -0.5, np.float32)
    return on_last(shape, axes, L.RMSNorm(gamma, np.zeros_like(gamma), 1e-24))


def group_norm(layer, shape):
    axes, size = extent(layer, shape)
    gamma = parameter(layer, "gamma", layer.scale, size, 1)
    beta = parameter(layer, "beta", layer.center, size, 0)
    groups = size if layer.groups == -1 else int(layer.groups)
    return on_last(shape, axes, L.GroupNorm(gamma, beta, float(layer.epsilon), groups))


def constants(shape, *arrays):
    """Arrays for an Affine: as many axes as the input has at most, without the batch's."""
    arrays = [np.asarray(array, np.float64) for array in arrays]
    arrays = [array.reshape(array.shape[1:]) if array.ndim > len(shape) else array for array in arrays]
    return [np.atleast_1d(array).astype(np.float32) for array in arrays]


def normalization(layer, shape):
    """(x - mean) / max(deviation, ε), or what undoes it."""
    mean = as_array(layer.mean, np.float64)
    deviation = np.maximum(np.sqrt(as_array(layer.variance, np.float64)), keras.backend.epsilon())
    if layer.invert:
        return L.Affine(*constants(shape, deviation, mean))
    return L.Affine(*constants(shape, 1 / deviation, -mean / deviation))


def rescaling(layer, shape):
    scale, offset = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    if scale.ndim == 0 and not offset.any():
        return L.Scale(float(scale))
    return L.Affine(*constants(shape, scale, offset))


CHAINS = {
    K.BatchNormalization: batch_norm,
    K.LayerNormalization: layer_norm,
    K.GroupNormalization: group_norm,
    K.UnitNormalization: unit_norm,
    K.Normalization: normalization,
    K.Rescaling: rescaling,
}
if hasattr(K, "RMSNormalization"):  # from Keras 3.9
    CHAINS[K.RMSNormalization] = rms_norm
