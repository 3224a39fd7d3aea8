"""What the kernels can do: how a layer looks to them, and which kernel carries each direction of it. The one table.

    layer                              forward                backward
    3x3, stride 1, channels of         Winograd F(4x4),       sparse adjoint where few units are left, else
      whole vectors                    ties restored          Winograd F(4x4)
    other convolutions                 direct                 sparse adjoint, else product and fold
    dense                              product                product
    max-pool                           max pool               max unpool
    ReLU behind a convolution or       part of it             nothing to do
      dense layer; dropout, reshapes
    everything else, also subclasses,  NumPy                  NumPy
      and rules of other parts

    Denominators that are not the forward pass's own: sparse z where few units are left, else as forward.
"""
import dataclasses

import numpy as np

from .. import layers as L
from ..rules import above_zero, below_zero, negative, ones, positive, whole
from ..window import Window
from .passes import ABOVE_ZERO, BELOW_ZERO, NO_GATE
from .vector import LANES

ALIASES = (L.Dropout, L.Flatten, L.Reshape)
GATES = {None: NO_GATE, above_zero: ABOVE_ZERO, below_zero: BELOW_ZERO}
# What a window may look like; a larger one has too few places to be worth a kernel.
LARGEST = 64


@dataclasses.dataclass(frozen=True)
class Form:
    """A convolution or pool as the kernels see it: a window over a map, and what it makes of it (shapes [h, w, c])."""
    window: Window
    source: tuple
    made: tuple

    @classmethod
    def of(cls, layer, source, made):
        """The form of a layer between shapes `source` and `made`; a sequence is a map of one row."""
        return cls(layer.window, source if len(source) == 3 else (1, *source), made if len(made) == 3 else (1, *made))

    @property
    def pads(self):
        """((top, bottom), (left, right)) of padding around the source."""
        return self.window.pads(*self.source[:2])

    @property
    def padded(self):
        """(height, width) of the padded source."""
        return tuple(n + sum(pair) for n, pair in zip(self.source, self.pads))

    @property
    def suits_winograd(self):
        """3x3, stride 1, channels that fill whole vectors on both sides."""
        return (self.window.size == (3, 3) and self.window.strides == (1, 1) and self.window.dilation == (1, 1)
                and self.source[2] % LANES == 0 and self.made[2] % LANES == 0)

    @property
    def sparse_limit(self):
        """Below how many nonzeros a sparse kernel is faster than the dense one, which needs a quarter of the sums by Winograd."""
        return (0.25 if self.suits_winograd else 0.4) * float(np.prod(self.made))

    @property
    def suits_sparse(self):
        """Rows of windows that fill vectors, long enough to be taken one by one."""
        return self.source[2] >= LANES

    def flops(self):
        """Of the direct algorithm: 2·(places)·(window)·(channels)·(filters)."""
        return 2 * int(np.prod(self.made)) * int(np.prod(self.window.size)) * self.source[2]


def kernel4(kernel):
    """A convolution's kernel as [kh, kw, c, m]."""
    return kernel if kernel.ndim == 4 else kernel[None]


def is_convolution(layer):
    """A convolution that the kernels can do: ungrouped, not dilated to the right."""
    if type(layer) is L.Conv1D:
        return layer.dilation == 1 and max(layer.window.size) <= LARGEST
    return (type(layer) is L.Conv2D and layer.groups == 1 and layer.dilation[1] == 1
            and max(layer.window.size) <= LARGEST)


def is_dense(layer, source):
    """A dense layer over one row of numbers."""
    return type(layer) is L.Dense and len(source) == 1


def is_max_pool(layer):
    """A windowed max-pool."""
    return type(layer) in (L.MaxPool2D, L.MaxPool1D) and max(layer.window.size) <= LARGEST


def carries(step, source):
    """Can the kernels carry relevance back through this linear layer by this rule?"""
    if not (is_convolution(step.node.layer) or is_dense(step.node.layer, source)) or getattr(step.rule, "relative", False):
        return False
    return all(group.gate in GATES and all(term.part in (whole, positive, negative, ones) for term in group.terms)
               and len({term.part is ones for term in group.terms}) == 1 for group in step.groups)
