"""Layers that multiply or divide tensors: gates, attention, normalisation spelled out."""
import dataclasses

import numpy as np

from ..text import listing
from .base import Layer


class Product(Layer):
    """What layers of two tensors share whose output is not a sum: LRP needs to know which of the two carries
    the signal (see `composites`).
    """
    inputs = 2

    def output_shape(self, *shapes):
        if len(set(shapes)) != 1:
            raise ValueError(f"{self.type} takes inputs of one shape, found {listing(shapes)}")
        return shapes[0]

    def gradients(self, a, b, y, r):
        """(r · dy/da, r · dy/db)."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Multiply(Product):
    """y = a · b, number by number."""

    def forward(self, a, b):
        return a * b

    def gradients(self, a, b, y, r):
        return r * b, r * a


@dataclasses.dataclass(frozen=True)
class Divide(Product):
    """y = a / b, number by number."""

    def forward(self, a, b):
        return a / b

    def gradients(self, a, b, y, r):
        return r / b, -r * y / b


@dataclasses.dataclass(frozen=True)
class MatMul(Product):
    """y = A V over the last two axes: A [..., i, k], V [..., k, j]; the axes before them must be the same."""

    def output_shape(self, *shapes):
        a, b = shapes
        if len(a) < 2 or len(b) != len(a) or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise ValueError(f"MatMul takes [..., i, k] and [..., k, j], found {a} and {b}")
        return (*a[:-1], b[-1])

    def forward(self, a, b):
        return np.matmul(a, b)

    def gradients(self, a, b, y, r):
        return np.matmul(r, b.swapaxes(-1, -2)), np.matmul(a.swapaxes(-1, -2), r)


class Extreme(Layer):
    """Number by number the largest (smallest) of two tensors: `forward_keeping` tells where the first won."""
    inputs = 2
    output_shape = Product.output_shape

    def forward(self, a, b):
        return self.forward_keeping(a, b)[0]


@dataclasses.dataclass(frozen=True)
class Maximum(Extreme):
    """y = max(a, b), number by number; a tie goes to a."""

    def forward_keeping(self, a, b):
        return np.maximum(a, b), a >= b


@dataclasses.dataclass(frozen=True)
class Minimum(Extreme):
    """y = min(a, b), number by number; a tie goes to a."""

    def forward_keeping(self, a, b):
        return np.minimum(a, b), a <= b


@dataclasses.dataclass(frozen=True)
class Where(Layer):
    """y = a where the condition is not 0, else b, number by number: the inputs are condition, a, b."""
    inputs = 3
    output_shape = Product.output_shape

    def forward(self, condition, a, b):
        return np.where(condition != 0, a, b)
