"""The layers: shape inference, forward pass and, for linear ones, the adjoint. Nothing here knows about LRP.
"""
from .activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from .base import (
    MISTAKES,
    Activation,
    Layer,
    Linear,
    Merge,
    Move,
    Weighted,
    check_shape,
    forward_alone,
    frozen,
    read_only,
)
from .functions import (
    Abs,
    Atan,
    Ceil,
    Clip,
    Cos,
    Cosh,
    Erf,
    Exp,
    Floor,
    HardSigmoid,
    HardSwish,
    IsInf,
    IsNaN,
    Log,
    Mish,
    Power,
    PReLU,
    Reciprocal,
    Round,
    Selu,
    Sign,
    Sin,
    Sinh,
    Softplus,
    Softsign,
    Sqrt,
    Step,
    Tan,
)
from .linear import Affine, BatchNorm, Conv1D, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, Projection
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
from .norms import GroupNorm, LayerNorm, LocalResponseNorm, Normalization, RMSNorm
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
from .products import Divide, Extreme, MatMul, Maximum, Minimum, Multiply, Product, Where
from .recurrent import GRU, LSTM, RNN, Recurrent
from .reduce import Max, Mean, Sum
from .select import MODES, Gather, Pad, Selection, Slice, Tile

LAYER_TYPES = {cls.__name__: cls for cls in (
    Dense, Conv2D, Conv1D, DepthwiseConv2D, Conv2DTranspose, BatchNorm, LayerNorm,
    MaxPool2D, AveragePool2D, GlobalMaxPool2D, GlobalAveragePool2D,
    MaxPool1D, AveragePool1D, GlobalMaxPool1D, GlobalAveragePool1D,
    Add, Subtract, Concatenate, Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D, UpSampling2D, Dropout,
    ReLU, ReLU6, LeakyReLU, ELU, GELU, SiLU, Tanh, Sigmoid, Scale, Softmax, LogSoftmax,
    Abs, Clip, Cos, Erf, Exp, Floor, HardSigmoid, HardSwish, Log, Mish, Power, PReLU, Reciprocal, Round, Selu,
    Sign, Sin, Softplus, Softsign, Sqrt, Atan, Ceil, Cosh, Sinh, Step, Tan, Where, IsInf, IsNaN,
    Affine, Projection, GroupNorm, RMSNorm, LocalResponseNorm, Divide, MatMul, Maximum, Minimum, Multiply,
    RNN, LSTM, GRU, Max, Mean, Sum, Gather, Pad, Slice, Tile)}


def is_known(layer):
    """Is this exactly one of this package's layers, not a subclass?"""
    return LAYER_TYPES.get(type(layer).__name__) is type(layer)


__all__ = [*LAYER_TYPES, "LAYER_TYPES", "MISTAKES", "MODES", "Activation", "Extreme", "Layer", "Linear",
           "Merge", "Move", "Normalization", "Product", "Recurrent", "Selection", "Weighted",
           "WinnerTakesAll", "check_shape", "forward_alone", "frozen", "is_known", "read_only"]
