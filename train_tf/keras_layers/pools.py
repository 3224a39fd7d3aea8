"""Pools: over windows, and over all positions."""
import keras
import numpy as np

from lrp_core import layers as L

from .base import require

K = keras.layers


def pool2d(ours):
    def convert_pool(layer, shape):
        require(layer, data_format="channels_last")
        return ours(tuple(layer.pool_size), tuple(layer.strides), layer.padding)
    return convert_pool


def pool1d(ours):
    def convert_pool(layer, shape):
        require(layer, data_format="channels_last")
        return ours(*(int(np.ravel(value)[0]) for value in (layer.pool_size, layer.strides)), layer.padding)
    return convert_pool


def over_all(ours):
    def convert_pool(layer, shape):
        require(layer, data_format="channels_last")
        kept = [("_shape", L.Reshape((*[1] * (len(shape) - 1), shape[-1])))] if layer.keepdims else []
        return [("", ours()), *kept]
    return convert_pool


CHAINS = {
    K.MaxPooling2D: pool2d(L.MaxPool2D),
    K.AveragePooling2D: pool2d(L.AveragePool2D),
    K.MaxPooling1D: pool1d(L.MaxPool1D),
    K.AveragePooling1D: pool1d(L.AveragePool1D),
    K.GlobalMaxPooling2D: over_all(L.GlobalMaxPool2D),
    K.GlobalAveragePooling2D: over_all(L.GlobalAveragePool2D),
    K.GlobalMaxPooling1D: over_all(L.GlobalMaxPool1D),
    K.GlobalAveragePooling1D: over_all(L.GlobalAveragePool1D),
}
