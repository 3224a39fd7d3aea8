"""ONNX's comparisons of tensors, as numbers 1 and 0, and choices by them.

Relevance goes to what was chosen; what decided the choice takes nothing, as a gate.
"""
import numpy as np

from .. import layers as L
from .builder import Tensor
from .pointwise import affine, as_tensor, extreme, finite, multiply, subtract

Constant = np.ndarray


def compared(strict, swapped):
    """a > b, a < b and their like as 1 or 0: a Step of the difference."""
    def convert(build, name, a, b):
        a, b = (b, a) if swapped else (a, b)
        return build.add(name, L.Step(not strict), subtract(build, f"{name}/difference", a, b))
    return convert


def equal(build, name, a, b):
    """1 where a and b are the same number, else 0."""
    apart = build.add(f"{name}/apart", L.Abs(), subtract(build, f"{name}/difference", a, b))
    return negation(build, name, build.add(f"{name}/differ", L.Step(), apart))


def negation(build, name, x: Tensor):
    """1 - x of a comparison."""
    return affine(build, name, build.add(f"{name}/negative", L.Scale(-1.0), x), 1, 1)


def both(build, name, a, b):
    """The product of two comparisons."""
    return multiply(build, name, *(_numbers(x) for x in (a, b)))


def either(build, name, a, b):
    """The larger of two comparisons."""
    return extreme(L.Maximum, "low")(build, name, *(_numbers(x) for x in (a, b)))


def _numbers(x):
    return x.astype(np.float32) if isinstance(x, Constant) and x.dtype == bool else x


def not_a_number(build, name, x: Tensor):
    return build.add(name, L.IsNaN(), x)


def infinite(build, name, x: Tensor, *, detect_negative=1, detect_positive=1):
    if not (detect_negative and detect_positive):
        raise ValueError("only both infinities together are supported")
    return build.add(name, L.IsInf(), x)


def thresholded_relu(build, name, x: Tensor, *, alpha=1.0):
    """x where it is above alpha, else 0."""
    gate = compared(True, False)(build, f"{name}/gate", x, np.asarray(alpha, np.float32))
    return multiply(build, name, x, gate)


def where(build, name, condition, a, b):
    """A choice by a constant mask, m·a + (1 - m)·b, or by a comparison."""
    if isinstance(condition, Tensor):
        a, b = (as_tensor(build, f"{name}/{side}", finite(x).astype(np.float32) if isinstance(x, Constant)
                          else x, condition) for side, x in (("yes", a), ("no", b)))
        return build.add(name, L.Where(), *build.together(name, condition, a, b))
    mask = condition.astype(np.float32)
    if isinstance(a, Constant) and isinstance(b, Constant):
        raise ValueError("a choice between constants must be worked out before")
    if isinstance(b, Constant):
        return affine(build, name, a, mask, np.where(condition, 0, finite(b)))
    if isinstance(a, Constant):
        return affine(build, name, b, 1 - mask, np.where(condition, finite(a), 0))
    parts = affine(build, f"{name}/mask", a, mask, 0), affine(build, f"{name}/rest", b, 1 - mask, 0)
    return build.add(name, L.Add(), *build.together(name, *parts))


OPERATORS = {
    "Greater": compared(True, False), "GreaterOrEqual": compared(False, False), "Less": compared(True, True),
    "LessOrEqual": compared(False, True), "Equal": equal, "Not": negation, "And": both, "Or": either,
    "IsNaN": not_a_number, "IsInf": infinite, "ThresholdedRelu": thresholded_relu, "Where": where}
