"""ONNX's activations, sums of tensors, and arithmetic with constants."""
import math

import numpy as np

from .. import layers as L
from ..text import quote
from .builder import Tensor

Constant = np.ndarray


def _activation(layer):
    def convert(build, name, x: Tensor):
        return build.add(name, layer(), x)
    return convert


def leaky_relu(build, name, x: Tensor, *, alpha=0.01):
    return build.add(name, L.LeakyReLU(float(alpha)), x)


def prelu(build, name, x: Tensor, slope: Constant):
    if slope.size != 1:
        raise ValueError(f"only one slope for all channels is supported, found {slope.shape}")
    return build.add(name, L.LeakyReLU(float(slope.reshape(()))), x)


def elu(build, name, x: Tensor, *, alpha=1.0):
    return build.add(name, L.ELU(float(alpha)), x)


def gelu(build, name, x: Tensor, *, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={quote(approximate)} is not supported")
    return build.add(name, L.GELU(approximate == "tanh"), x)


def swish(build, name, x: Tensor, *, alpha=1.0):
    if alpha != 1:
        raise ValueError(f"only alpha=1 is supported, found {alpha}")
    return build.add(name, L.SiLU(), x)


def clip(build, name, x: Tensor, low: Constant = None, high: Constant = None):
    low, high = (-math.inf if low is None else float(low.reshape(()))), (math.inf if high is None
                                                                         else float(high.reshape(())))
    if low != 0 or high not in (6, math.inf):
        raise ValueError(f"only the limits 0 and 6 (ReLU6), or 0 alone, are supported, found {low} and "
                         f"{high}")
    return build.add(name, L.ReLU6() if high == 6 else L.ReLU(), x)


def softmax(build, name, x: Tensor, *, axis=-1):
    """Softmax over the classes. LogSoftmax becomes one too: the logits below, which are explained, are the
    same.
    """
    rank = len(x.shape) + 1
    row = build.row(name, x)
    if row is None or not -rank <= axis < rank or axis % rank == 0 or any(a != axis % rank - 1
                                                                          for a in row.long):
        raise ValueError(f"it is supported at the end, over one row of scores; its input is {x.shape} after "
                         "the batch axis "
                         f"and its axis {axis}")
    return build.add(name, L.Softmax(), row)


def add(build, name, a, b):
    if isinstance(a, Constant) or isinstance(b, Constant):
        x, shift = _tensor_first(a, b)
        return _diagonal(build, name, x, 1, shift)
    return _merge(build, name, L.Add(), a, b)


def subtract(build, name, a, b):
    if isinstance(a, Constant):
        return _diagonal(build, name, build.add(f"{name}/negative", L.Scale(-1.0), b), 1, a)
    return _diagonal(build, name, a, 1, -b) if isinstance(b, Constant) else _merge(build, name, L.Subtract(),
                                                                                   a, b)


def multiply(build, name, a, b):
    if not (isinstance(a, Constant) or isinstance(b, Constant)):
        raise ValueError("the product of two tensors is not linear and has no rule here (only x·sigmoid(x) "
                         "is known); "
                         "gates and attention cannot be explained yet")
    x, factor = _tensor_first(a, b)
    if factor.size == 1 and factor.ndim <= len(x.shape) + 1:
        return build.add(name, L.Scale(float(factor.reshape(()))), x)
    return _diagonal(build, name, x, factor, 0)


def divide(build, name, a: Tensor, b: Constant):
    with np.errstate(divide="ignore", over="ignore"):
        return multiply(build, name, a, np.asarray(1 / b.astype(np.float64)))


def negate(build, name, x: Tensor):
    return build.add(name, L.Scale(-1.0), x)


def total(build, name, *xs: Tensor):
    return _merge(build, name, L.Add(), *xs) if len(xs) > 1 else xs[0]


def _tensor_first(a, b):
    return (b, a) if isinstance(a, Constant) else (a, b)


def _merge(build, name, layer, *xs):
    """A sum of tensors of one shape, in the first one's order of axes."""
    if len({x.shape for x in xs}) != 1:
        raise ValueError(f"tensors of different shapes, {', '.join(str(x.shape) for x in xs)} after the "
                         "batch axis: a sum that "
                         "repeats one of them is not supported")
    return build.add(name, layer, *(build.arrange(name, x, xs[0].axes) for x in xs))


def _diagonal(build, name, x, factor, shift):
    """factor·x + shift as a BatchNorm, which `fold_batch_norm` may take into a neighbour; constants vary
    along one axis.
    """
    rank = len(x.shape) + 1
    with np.errstate(over="ignore"):  # what is not finite, the layer refuses
        factor, shift = np.asarray(factor, np.float32), np.asarray(shift, np.float32)
    shape = np.broadcast_shapes(factor.shape, shift.shape)
    full = (1,) * (rank - len(shape)) + shape
    varies = [axis for axis, n in enumerate(full) if n > 1]
    if len(full) != rank or len(varies) > 1 or any(full[axis] != (1, *x.shape)[axis] for axis in varies):
        raise ValueError(f"a constant of shape {shape} with a tensor of shape {x.shape} after the batch "
                         "axis: only constants "
                         "that vary along one axis are supported")
    if varies:
        x = build.with_last(name, x, varies[0] - 1)
    return build.add(name, L.BatchNorm(*(np.broadcast_to(c.reshape(-1), x.ours[-1:]).copy()
                                         for c in (factor, shift))), x)


OPERATORS = {"Relu": _activation(L.ReLU), "Sigmoid": _activation(L.Sigmoid), "Tanh": _activation(L.Tanh),
             "LeakyRelu": leaky_relu,
             "PRelu": prelu, "Elu": elu, "Gelu": gelu, "Swish": swish, "Clip": clip, "Softmax": softmax,
             "LogSoftmax": softmax,
             "Add": add, "Sub": subtract, "Mul": multiply, "Div": divide, "Neg": negate, "Sum": total}
