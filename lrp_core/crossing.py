"""The linear map by which relevance crosses a linear layer, for one forward pass: made once, for many units.

With the groups and terms of a rule (see `rules`), for any relevance R at the layer's output,

    R_in = Σ_groups Σ_terms  c σ · x' · W'ᵀ (R · m / stabilize(z))

Only R differs from unit to unit: the parts x' of the input and the denominators z do not.
"""
import dataclasses
import typing

import numpy as np

from .flow import Book, divide, parts_of


class Share(typing.NamedTuple):
    """One term of the sum. factor: c σ. part: x' [1, *x's shape]. inverse: m / stabilize(z) [1, *y's shape].
    kernel: W'; None for a layer without weights.
    """
    factor: float
    part: np.ndarray
    inverse: np.ndarray
    kernel: np.ndarray | None


@dataclasses.dataclass(frozen=True, eq=False)
class Crossing:
    """A linear layer, and the shares of its rule on one sample: x [1, *its shape], y the layer's output."""
    layer: typing.Any
    x: np.ndarray
    y: np.ndarray
    shares: tuple[Share, ...]

    @classmethod
    def of(cls, layer, rule, x, y):
        """The Crossing of a layer by a rule."""
        shares = []
        for group in rule.groups(layer):
            parts, z = parts_of(group, layer, x, y)
            inverse = inverse_of(z, rule, None if group.gate is None else group.gate(y))
            shares += [Share(group.coefficient * term.sign, part, inverse, term.kernel)
                       for term, part in parts]
        return cls(layer, x, y, tuple(shares))

    def down(self, r):
        """R_in [n, *x's shape] of relevances r [n, *y's shape]."""
        r_in = np.zeros((len(r), *self.x.shape[1:]))
        for factor, part, inverse, kernel in self.shares:
            r_in += factor * part * self.layer.adjoint(r * inverse, kernel, self.x.shape[1:])
        return r_in

    def up(self, v):
        """w at the layer's output from v at its input: the transpose of `down`."""
        w = np.zeros((len(v), *self.y.shape[1:]))
        for factor, part, inverse, kernel in self.shares:
            w += factor * inverse * self.layer.linear(part * v, kernel, None)
        return w


def inverse_of(z, rule, gate=None):
    """1 / stabilize(z) where z is not zero; 0 where a gate is shut."""
    return divide(np.ones_like(z) if gate is None else gate * np.ones_like(z), z, rule, 1.0, Book(len(z)))
