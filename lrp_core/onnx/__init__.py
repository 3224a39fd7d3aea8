"""ONNX files as networks: what torch and others export, explained without them.

    network = lrp_core.from_onnx("resnet18.onnx")
    lrp_core.explain(network, picture)              # [height, width, channels]

ONNX puts channels before positions, networks here put them last: a model for [n, 3, 224, 224] takes (224,
224, 3).

What is read: Conv and ConvTranspose (1-D, 2-D), Gemm, MatMul by a constant, BatchNormalization; MaxPool,
AveragePool, their global forms, ReduceMean and ReduceMax over positions; Relu, Clip to [0, 6], LeakyRelu,
PRelu with one slope, Elu, Gelu, Swish, Sigmoid, Tanh (and x·sigmoid(x), Gelu through Erf); Add, Sub, Sum,
Neg; Mul, Div, Add and Sub with constants along one axis; Concat, Flatten, Reshape, Squeeze, Unsqueeze,
Transpose, Pad with zeros, Resize to nearest by whole factors; Identity, Dropout, Cast; Softmax or LogSoftmax
at the end; Constant, and shapes worked out with Shape, Gather, Slice and arithmetic. Products of two tensors
(gates, attention), recurrent layers and layer normalisation are refused by name, as is whatever else a file
holds.
"""
from ..canonize import fold_batch_norm
from ..files import INVALID, ModelFileError, opened
from .convert import network_of
from .reading import package, read

__all__ = ["from_onnx"]


def from_onnx(path, *, class_names=None, fold=True):
    """The Network in an ONNX file with one input, one output and operator set 13 or later.

    path: of the .onnx file, with its weights inside. class_names: names of the outputs, or None. fold: take
    batch normalisation into the convolutions and dense layers beside it (`fold_batch_norm`), as explanations
    want it.

    The network's input has ONNX's axes in another order: [c, h, w] becomes (h, w, c), [c, l] becomes (l, c),
    as all layers here have their channels last. An input whose channels the file itself turns from last to
    first stays as it is, and so does a matrix that is not read by channels. Nodes keep their ONNX names;
    dropout, identities and transpositions need none. A constant that a tensor is added to or multiplied with
    becomes a BatchNorm (or a Scale).
    LogSoftmax at the end becomes Softmax: what is explained are the logits below either.

    Raises ModelFileError (a ValueError) that names the file, the node, its operator and what to do;
    FileNotFoundError; TypeError where `path` is no path; ImportError where the package onnx is missing.
    """
    onnx, damaged = package()
    with opened(path) as file:
        try:
            network = network_of(read(file, onnx, damaged), class_names)
            return fold_batch_norm(network) if fold else network
        except ValueError as error:  # names the node already
            raise ModelFileError(f"{path}: {error}") from None
        except INVALID as error:
            raise ModelFileError(f"{path}: the model is not valid: {error}") from None
