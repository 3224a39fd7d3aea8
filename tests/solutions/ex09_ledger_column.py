"""The gaps of exercise 9, filled."""
import dataclasses

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.rules import Rule


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Strongest(Rule):
    k: int = 2

    def through(self, layer, x, y, r):
        least = np.sort(y, axis=1)[:, -self.k][:, None]
        return np.where(y >= least, r, 0)


@dataclasses.dataclass(frozen=True)
class Scale(L.Layer):
    g: float
    c: float

    def forward(self, x):
        return self.g * x + self.c


@lrp_core.flow.register(Scale)
def through_scale(layer, rule, xs, y, r, book):
    (x,) = xs
    s = np.divide(r, y, out=np.zeros_like(y), where=y != 0)
    book.gated += np.where(y == 0, r, 0).reshape(len(r), -1).sum(axis=1)
    book.bias += (s * layer.c).reshape(len(r), -1).sum(axis=1)
    return [x * layer.g * s]
