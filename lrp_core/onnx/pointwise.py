"""ONNX's functions of single numbers, sums and products of tensors, and arithmetic with constants."""
import math

import numpy as np

from .. import layers as L
from ..text import quote
from .builder import Tensor, plain

Constant = np.ndarray
LOWEST = -1e30  # stands for -infinity in masks: far below any score, and finite


def _activation(layer):
    def convert(build, name, x: Tensor):
        return build.add(name, layer(), x)
    return convert


def leaky_relu(build, name, x: Tensor, *, alpha=0.01):
    return build.add(name, L.LeakyReLU(float(alpha)), x)


def prelu(build, name, x: Tensor, slope: Constant):
    if slope.size == 1:
        return build.add(name, L.LeakyReLU(float(slope.reshape(()))), x)
    x = build.spread(name, x, np.broadcast_shapes(x.shape, slope.shape), x.axes)
    return build.add(name, L.PReLU(arranged(slope, x)), x)


def elu(build, name, x: Tensor, *, alpha=1.0):
    return build.add(name, L.ELU(float(alpha)), x)


def celu(build, name, x: Tensor, *, alpha=1.0):
    """max(x, 0) + min(0, α (e^{x/α} - 1)) = α ELU(x / α)."""
    if alpha == 1:
        return build.add(name, L.ELU(), x)
    inner = build.add(f"{name}/divided", L.Scale(1 / alpha), x)
    return build.add(f"{name}/times", L.Scale(float(alpha)), build.add(name, L.ELU(), inner))


def selu(build, name, x: Tensor, *, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875):
    return build.add(name, L.Selu(float(alpha), float(gamma)), x)


def gelu(build, name, x: Tensor, *, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={quote(approximate)} is not supported")
    return build.add(name, L.GELU(approximate == "tanh"), x)


def swish(build, name, x: Tensor, *, alpha=1.0):
    if alpha == 1:
        return build.add(name, L.SiLU(), x)
    inner = build.add(f"{name}/times", L.Scale(float(alpha)), x)
    return build.add(f"{name}/divided", L.Scale(1 / alpha), build.add(name, L.SiLU(), inner))


def hard_sigmoid(build, name, x: Tensor, *, alpha=0.2, beta=0.5):
    return build.add(name, L.HardSigmoid(float(alpha), float(beta)), x)


def clip(build, name, x: Tensor, low=None, high=None):
    if any(isinstance(bound, Tensor) or (bound is not None and bound.size != 1) for bound in (low, high)):
        y = x if low is None else extreme(L.Maximum, "low")(build, name, x, low)
        return y if high is None else extreme(L.Minimum, "high")(build, f"{name}/high", y, high)
    low, high = (-math.inf if low is None else float(low.reshape(()))), (math.inf if high is None
                                                                         else float(high.reshape(())))
    if low == 0 and high in (6, math.inf):
        return build.add(name, L.ReLU6() if high == 6 else L.ReLU(), x)
    bounds = (None if math.isinf(bound) or abs(bound) > 3e38 else bound for bound in (low, high))
    return build.add(name, L.Clip(*bounds), x)


def power(build, name, x, exponent):
    """x^c, or c^x = e^(x ln c) for a constant c."""
    if isinstance(x, Constant):
        if x.size != 1 or x.reshape(()) <= 0:
            raise ValueError(f"only one number above 0 can be the base, found {quote(x.tolist())}")
        inner = build.add(f"{name}/times", L.Scale(math.log(float(x.reshape(())))), exponent)
        return build.add(name, L.Exp(), inner)
    if isinstance(exponent, Tensor):
        raise ValueError("the power of two tensors is not supported")
    exponents = set(np.asarray(exponent, np.float64).reshape(-1).tolist())
    if len(exponents) != 1:
        raise ValueError("only one exponent for all numbers is supported")
    exponent = exponents.pop()
    if exponent == 1:
        return x
    layer = {0.5: L.Sqrt, -1.0: L.Reciprocal}.get(exponent)
    return build.add(name, layer() if layer else L.Power(exponent), x)


def add(build, name, a, b):
    if isinstance(a, Constant) or isinstance(b, Constant):
        x, shift = _tensor_first(a, b)
        return affine(build, name, x, 1, shift)
    return build.add(name, L.Add(), *build.together(name, a, b))


def subtract(build, name, a, b):
    if isinstance(a, Constant):
        return affine(build, name, build.add(f"{name}/negative", L.Scale(-1.0), b), 1, a)
    if isinstance(b, Constant):
        return affine(build, name, a, 1, -b)
    return build.add(name, L.Subtract(), *build.together(name, a, b))


def multiply(build, name, a, b):
    if not (isinstance(a, Constant) or isinstance(b, Constant)):
        if a == b:
            return build.add(name, L.Power(2.0), a)
        return build.add(name, L.Multiply(), *build.together(name, a, b))
    x, factor = _tensor_first(a, b)
    if factor.size == 1 and factor.ndim <= x.rank:
        return build.add(name, L.Scale(float(factor.reshape(()))), x)
    return affine(build, name, x, factor, 0)


def divide(build, name, a, b):
    if isinstance(b, Constant):
        with np.errstate(divide="ignore", over="ignore"):
            return multiply(build, name, a, np.asarray(1 / b.astype(np.float64)))
    if isinstance(a, Constant):
        y = build.add(name, L.Reciprocal(), b)
        return y if a.size == 1 and a.reshape(()) == 1 else multiply(build, f"{name}/times", y, a)
    return build.add(name, L.Divide(), *build.together(name, a, b))


def negate(build, name, x: Tensor):
    return build.add(name, L.Scale(-1.0), x)


def total(build, name, *xs):
    tensors = [x for x in xs if isinstance(x, Tensor)]
    y = tensors[0]
    if len(tensors) > 1:
        y = build.add(name, L.Add(), *build.together(name, *tensors))
    for number, constant in enumerate(x for x in xs if not isinstance(x, Tensor)):
        y = add(build, name if y is tensors[0] else f"{name}/plus{number}", y, constant)
    return y


def mean(build, name, *xs):
    y = total(build, name, *xs)
    return y if len(xs) == 1 else build.add(f"{name}/mean", L.Scale(1 / len(xs)), y)


def extreme(layer, scalar):
    def convert(build, name, *xs):
        y = None
        for x in sorted(xs, key=lambda x: isinstance(x, Constant)):  # the tensors first
            if y is None:
                y = x
            elif isinstance(x, Constant) and x.size == 1:
                y = clip(build, name, y, **{scalar: x})
            else:
                x = as_tensor(build, name, x, y)
                y = build.add(name, layer(), *build.together(name, y, x))
        return y
    return convert


def as_tensor(build, name, value, like):
    """A constant as a Tensor that gets no relevance: 0·x + c, x any tensor; a Tensor as it is."""
    if isinstance(value, Tensor):
        return value
    shape = np.broadcast_shapes(value.shape, like.shape)
    x = build.spread(name, like, shape)
    return affine(build, f"{name}/constant", x, 0, np.broadcast_to(value, shape))


def triangle(build, name, x: Tensor, k: Constant = None, *, upper=1):
    """The upper or lower triangle of matrices, zeros elsewhere."""
    ones, diagonal = np.ones(x.shape[-2:], np.float32), 0 if k is None else int(k.reshape(()))
    return affine(build, name, x, np.triu(ones, diagonal) if upper else np.tril(ones, diagonal), 0)


def _tensor_first(a, b):
    return (b, a) if isinstance(a, Constant) else (a, b)


def finite(array):
    """-infinity, which masks are made of, as a number that is low enough."""
    return np.where(np.isneginf(np.asarray(array, np.float64)), LOWEST, np.asarray(array, np.float64))


def arranged(array, x):
    """A constant that broadcasts against x's ONNX shape, in the order of x's axes."""
    full = array.reshape((1,) * (x.rank - array.ndim) + array.shape)
    named = [axis for axis in x.axes if axis is not None]
    others = [axis for axis in range(x.rank) if axis not in named]
    moved = full.transpose(*named, *others)
    shape = [1 if axis is None else full.shape[axis] for axis in x.axes]
    return np.ascontiguousarray(moved.reshape(shape), np.float32)


def affine(build, name, x, factor, shift):
    """factor·x + shift by constants: a BatchNorm where they vary along one axis at most, which
    `fold_batch_norm` may take into a neighbour; an Affine elsewhere.
    """
    factor, shift = np.asarray(factor, np.float64), finite(shift)
    L.check_shape(np.broadcast_shapes(x.shape, factor.shape, shift.shape))
    shape = np.broadcast_shapes(x.shape, factor.shape, shift.shape)
    if shape != x.shape:
        x = build.spread(name, x, shape, x.axes if len(shape) == x.rank and set(x.axes) >= set(plain(shape))
                         else None)
    with np.errstate(over="ignore"):  # what is not finite, the layer refuses
        factor, shift = (np.asarray(c, np.float32).reshape((1,) * (x.rank - c.ndim) + c.shape)
                         for c in (factor, shift))
    varies = [axis for axis in range(x.rank) if factor.shape[axis] > 1 or shift.shape[axis] > 1]
    if len(varies) > 1:
        return build.add(name, L.Affine(arranged(factor, x), arranged(shift, x)), x)
    if varies:
        x = build.with_last(name, x, varies[0])
    return build.add(name, L.BatchNorm(*(np.broadcast_to(c.reshape(-1), x.ours[-1:]).copy()
                                         for c in (factor, shift))), x)


OPERATORS = {
    **{kind: _activation(layer) for kind, layer in {
        "Relu": L.ReLU, "Sigmoid": L.Sigmoid, "Tanh": L.Tanh, "HardSwish": L.HardSwish, "Mish": L.Mish,
        "Softplus": L.Softplus, "Softsign": L.Softsign, "Exp": L.Exp, "Log": L.Log, "Sqrt": L.Sqrt,
        "Abs": L.Abs, "Reciprocal": L.Reciprocal, "Erf": L.Erf, "Sin": L.Sin, "Cos": L.Cos, "Sign": L.Sign,
        "Floor": L.Floor, "Round": L.Round, "Ceil": L.Ceil, "Tan": L.Tan, "Atan": L.Atan, "Sinh": L.Sinh,
        "Cosh": L.Cosh}.items()},
    "LeakyRelu": leaky_relu, "PRelu": prelu, "Elu": elu, "Celu": celu, "Selu": selu, "Gelu": gelu,
    "Swish": swish, "HardSigmoid": hard_sigmoid, "Clip": clip, "Pow": power, "Add": add, "Sub": subtract,
    "Mul": multiply, "Div": divide, "Neg": negate, "Sum": total, "Mean": mean,
    "Trilu": triangle,
    "Max": extreme(L.Maximum, "low"), "Min": extreme(L.Minimum, "high")}
