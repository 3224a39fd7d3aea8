"""Operations of keras.ops that calculate: with tensors, constants, over axes; by their class's name."""
import keras
import numpy as np

from lrp_core import layers as L

from . import activations, norms
from .base import Refusal, axes_of
from .builder import Tensor
from .merges import matmul


def constant(value, rank):
    """A number or an array that comes with the model, for tensors of `rank` axes without the batch's."""
    array = np.asarray(keras.ops.convert_to_numpy(value), np.float64)
    if array.ndim > rank:
        if array.ndim > rank + 1 or array.shape[0] != 1:
            raise Refusal(f"a constant of the shape {array.shape} does not fit its other operand")
        array = array[0]
    return np.atleast_1d(array)


def affine(build, name, x, a, b=None):
    """a·x + b with constants."""
    arrays = [a] if b is None else [a, b]
    x = build.spread(name, x, np.broadcast_shapes(x.shape, *(array.shape for array in arrays)))
    if b is None and a.size == 1:
        return build.add(name, L.Scale(float(a.ravel()[0])), x)
    return build.add(name, L.Affine(*(array.astype(np.float32) for array in arrays)), x)


def binary(of_tensors, first_constant, second_constant):
    """An operation on two operands: both tensors, or one of them a constant."""
    def convert_binary(build, operation, a, b):
        name = operation.name
        if not isinstance(a, Tensor):
            return first_constant(build, name, constant(a, b.rank), b)
        if not isinstance(b, Tensor):
            return second_constant(build, name, a, constant(b, a.rank))
        if a.rank != b.rank:
            raise Refusal(f"operands of the shapes {a.shape} and {b.shape} do not fit: the batch axis of one "
                          "would meet another axis; reshape it to as many axes")
        return build.add(name, of_tensors, *build.alike(name, (a, b)))
    return convert_binary


def unit(number=1.0):
    """A constant."""
    return np.full(1, number)


def quotient(build, name, c, x):
    """c / x."""
    return affine(build, name, build.add(f"{name}_inverse", L.Reciprocal(), x), c)


def one_number(array, what):
    """A constant that must be a single number."""
    if array.size != 1:
        raise Refusal(f"{what} must be a single number, or a tensor")
    return float(array.ravel()[0])


def clip(side):
    """A maximum or minimum with a number."""
    def bounded(build, name, x, c):
        return build.add(name, L.Clip(**{side: one_number(c, "a bound")}), x)
    return bounded, lambda build, name, c, x: bounded(build, name, x, c)


def power(build, operation, a, b):
    if isinstance(a, Tensor) and not isinstance(b, Tensor):
        return build.add(operation.name, L.Power(one_number(constant(b, a.rank), "an exponent")), a)
    raise Refusal("an exponent that is a tensor is not supported, only a number")


def product(build, operation, a, b):
    """A matrix product; one with a constant is a linear map that nothing learned."""
    name = operation.name
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return matmul(build, name, a, b)
    x, array = (a, constant(b, a.rank)) if isinstance(a, Tensor) else (b, constant(a, b.rank))
    if array.ndim != 2 or (x is b and x.rank < 2):
        raise Refusal(f"a product with a constant of the shape {array.shape} is not supported, only with a "
                      "matrix")
    if x is a:
        return build.add(name, L.Projection(array.astype(np.float32)), x)
    turned = (*range(1, x.rank - 1), x.rank, x.rank - 1)
    x = build.add(f"{name}_turned", L.Permute(turned), x)
    x = build.add(name, L.Projection(np.ascontiguousarray(array.T, np.float32)), x)
    return build.add(f"{name}_back", L.Permute(turned), x)


def kept(x, axes):
    """The shape of x with 1 in the place of axes that go."""
    return tuple(1 if axis in axes else n for axis, n in enumerate(x.shape, 1))


def over_axes(reduce):
    """An operation over axes, which go, or stay with an extent of 1."""
    def convert_reduction(build, operation, x):
        axes = axes_of(operation.axis, x.rank)
        y = reduce(build, operation.name, x, axes)
        return build.reshape(operation.name, y, kept(x, axes) if operation.keepdims else y.shape)
    return convert_reduction


def single(kind):
    return over_axes(lambda build, name, x, axes: build.add(name, kind(axes), x))


def least(build, name, x, axes):
    """min x = -max -x."""
    y = build.add(f"{name}_max", L.Max(axes), build.add(f"{name}_negative", L.Scale(-1.0), x))
    return build.add(name, L.Scale(-1.0), y)


def variance(build, name, x, axes):
    """mean (x - mean x)²."""
    mean = build.reshape(f"{name}_mean", build.add(f"{name}_mean", L.Mean(axes), x), kept(x, axes))
    centred = build.add(f"{name}_centred", L.Subtract(), x, build.spread(f"{name}_mean", mean, x.shape))
    return build.add(name, L.Mean(axes), build.add(f"{name}_square", L.Power(2.0), centred))


def deviation(build, name, x, axes):
    return build.add(f"{name}_sqrt", L.Sqrt(), variance(build, name, x, axes))


def normalize(build, operation, x):
    if operation.order != 2:
        raise Refusal(f"order={operation.order} is not supported, only 2")
    return build.chain(operation.name, norms.unit_norm(operation, x.shape), x)


def unary(made):
    def convert_unary(build, operation, x):
        return build.chain(operation.name, made(operation, x.shape) if callable(made) else made, x)
    return convert_unary


def bounds(operation, shape):
    """The bounds of a clip, single numbers."""
    found = (one_number(constant(n, len(shape)), "a bound") for n in (operation.x_min, operation.x_max))
    return L.Clip(*found)


above, above_first = clip("low")
below, below_first = clip("high")
DIVIDE = binary(L.Divide(), quotient, lambda build, name, x, c: affine(build, name, x, 1 / c))
OPERATIONS = {
    **{name: unary(made) for name, made in activations.OPERATIONS.items()},
    "Add": binary(L.Add(), lambda build, name, c, x: affine(build, name, x, unit(), c),
                  lambda build, name, x, c: affine(build, name, x, unit(), c)),
    "Subtract": binary(L.Subtract(), lambda build, name, c, x: affine(build, name, x, unit(-1), c),
                       lambda build, name, x, c: affine(build, name, x, unit(), -c)),
    "Multiply": binary(L.Multiply(), lambda build, name, c, x: affine(build, name, x, c), affine),
    "Divide": DIVIDE,
    "TrueDivide": DIVIDE,
    "Maximum": binary(L.Maximum(), above_first, above),
    "Minimum": binary(L.Minimum(), below_first, below),
    "Power": power,
    "Matmul": product,
    "Mean": single(L.Mean),
    "Sum": single(L.Sum),
    "Max": single(L.Max),
    "Amax": single(L.Max),
    "Min": over_axes(least),
    "Amin": over_axes(least),
    "Var": over_axes(variance),
    "Std": over_axes(deviation),
    "Normalize": normalize,
    "Clip": unary(bounds),
}
