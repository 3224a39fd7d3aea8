"""9. A rule by hand, a layer of your own, the ledger

Not every rule is made of terms. `through(layer, x, y, r)` carries relevance by hand: x is the
layer's input, y its output, r the relevance there, and what it returns is the relevance of x. The
first axis of all arrays counts the samples of the batch. What the rule keeps, the ledger books in a
column of its own, `by rule`.

The first gap, at a ReLU: only the k strongest units of each sample hand relevance on. What is left
is an explanation by a few units.

The other two: a layer that lrp_core does not know, a number times the input plus an offset,

    y = g x + c

A layer says how it computes; a function registered for it says how relevance crosses it. The function
returns a list, one array for each input. What does not arrive there it adds to `book`, which becomes
the layer's line of the ledger: `book.bias`, `book.gated`, ..., each with one number for each sample.
Here LRP-0 is

    s = r / y,    R_in = x g s,    absorbed by the bias: Σ s c            (s = 0 where y = 0)

When it works, take the line with book.bias out once: `explain` refuses, and names the layer.

Fill the gaps. Then run: python check.py 9
"""
import dataclasses

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.rules import Rule


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Strongest(Rule):
    """Of each sample, only the k units with the largest output y hand their relevance on."""
    k: int = 2

    def through(self, layer, x, y, r):
        # the k-th largest y of each sample, [n, 1]
        least = np.sort(y, axis=1)[:, -self.k][:, None]
        return ...  # YOUR CODE: r where y is at least that, 0 elsewhere


@dataclasses.dataclass(frozen=True)
class Scale(L.Layer):
    """y = g·x + c."""
    g: float
    c: float

    def forward(self, x):
        return self.g * x + self.c


@lrp_core.flow.register(Scale)
def through_scale(layer, rule, xs, y, r, book):
    """LRP-0 of y = g·x + c. xs: a list with the one input x [n, ...]."""
    (x,) = xs
    s = np.divide(r, y, out=np.zeros_like(y), where=y != 0)
    book.gated += np.where(y == 0, r, 0).reshape(len(r), -1).sum(axis=1)  # nothing to share by
    ...  # YOUR CODE: book what c takes, one number for each sample: book.bias += ...
    return ...  # YOUR CODE: a list with the relevance of x


# Hint: the line that books `gated` shows how to sum over all axes but the first.
