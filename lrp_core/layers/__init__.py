"""The layers: shape inference, forward pass and, for linear ones, the adjoint. Nothing here knows about LRP.
"""
from .activations import ELU, GELU, LeakyReLU, ReLU, ReLU6, Scale, Sigmoid, SiLU, Softmax, Tanh
from .base import Activation, Layer, Linear, Merge, Move, Weighted, check_shape, frozen
from .linear import BatchNorm, Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D
from .moves import (
    Add,
    Concatenate,
    Cropping2D,
    Dropout,
    Flatten,
    Permute,
    Reshape,
    Subtract,
    UpSampling2D,
    ZeroPadding2D,
)
from .norms import LayerNorm
from .pools import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
    WinnerTakesAll,
)

LAYER_TYPES = {cls.__name__: cls for cls in (
    Dense, Conv2D, Conv1D, DepthwiseConv2D, Conv2DTranspose, BatchNorm, LayerNorm,
    MaxPool2D, AveragePool2D, GlobalMaxPool2D, GlobalAveragePool2D,
    MaxPool1D, AveragePool1D, GlobalMaxPool1D, GlobalAveragePool1D,
    Add, Subtract, Concatenate, Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D, UpSampling2D, Dropout,
    ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Tanh, Sigmoid, Scale, Softmax)}

__all__ = [*LAYER_TYPES, "LAYER_TYPES", "Activation", "Layer", "Linear", "Merge", "Move", "Weighted",
           "WinnerTakesAll",
           "check_shape", "frozen"]
