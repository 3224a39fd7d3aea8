"""What the kernels can do: how a layer looks to them, and which kernel carries each direction of it. The one
table.

    layer                              forward                backward
    3x3, stride 1, channels of         Winograd F(4x4),       sparse adjoint where few units are left, else
      whole vectors                    ties restored          Winograd F(4x4)
    other convolutions                 direct                 sparse adjoint, else product and fold
    depthwise, one output a channel;   depthwise              depthwise adjoint
      batch norm; average-pool without
      padding, or over the whole map
    dense, over one row                product                product
    max-pool                           max pool               max unpool
    ReLU after one of these            part of it             nothing to do
    ReLU6                              clip                   nothing to do
    dropout, reshapes                  nothing to do          nothing to do
    Permute of up to three axes        copy                   copy
    zero padding; cropping             pad; copy              copy; pad
    Add, by a constant stabilizer      sum                    ratio, product
    everything else, also subclasses,  NumPy                  NumPy
      and rules of other parts

    Denominators that are not the forward pass's own: sparse z where few units are left, else as forward.
"""
import dataclasses
import functools
import math

import numpy as np

from .. import layers as L
from ..checks import is_number
from ..flow import is_ours
from ..rules import Minus, above_zero, below_zero, crosses_by_itself, negative, ones, positive, whole
from ..window import Window
from .kernels.elementwise import ABOVE_ZERO, BELOW_ZERO, NO_GATE
from .kernels.simd_llvm import lanes_of
from .kernels.winograd import TILES

ALIASES = (L.Dropout, L.Flatten, L.Reshape)
GLOBAL_MEANS = (L.GlobalAveragePool2D, L.GlobalAveragePool1D)
GATES = {None: NO_GATE, above_zero: ABOVE_ZERO, below_zero: BELOW_ZERO}
# Rows or columns of a window: of a convolution, as wide as the longest Fourier transform; of a pool.
LARGEST, LARGEST_POOL, LARGEST_POOL_APART = 1 << 13, 64, 1 << 11
LARGEST_TRANSFORMED = 1 << 24  # bytes of transformed weights for a map that makes few tiles


@dataclasses.dataclass(frozen=True)
class Form:
    """A convolution or pool as the kernels see it: a window over a map, and what it makes of it (shapes [h,
    w, c]).
    """
    window: Window
    source: tuple
    made: tuple
    dtype: str = "float32"

    @classmethod
    def of(cls, layer, source, made, dtype):
        """The form of a layer between shapes `source` and `made`; a sequence is a map of one row."""
        source = map_shape(source)
        return cls(window_of(layer, source), source, map_shape(made), dtype)

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
        """3x3, stride 1, channels that fill whole vectors on both sides; and not so many weights for so small
        a map that reading the four times as many transformed ones would take longer than it saves.
        """
        tiles = -(-self.made[0] // 4) * -(-self.made[1] // 4)
        weights = 36 * self.source[2] * self.made[2] * np.dtype(self.dtype).itemsize
        if tiles < TILES and weights > LARGEST_TRANSFORMED:
            return False
        return (self.window.size == (3, 3) and self.window.strides == (1, 1)
                and self.window.dilation == (1, 1)
                and self.source[2] % lanes_of(self.dtype) == 0 and self.made[2] % lanes_of(self.dtype) == 0)

    @property
    def sparse_limit(self):
        """Below how many nonzeros a sparse kernel is faster than the dense one, which needs a quarter of the
        sums by Winograd.
        """
        return (0.25 if self.suits_winograd else 0.4) * float(np.prod(self.made))

    @property
    def suits_sparse(self):
        """Rows of windows that fill vectors, long enough to be taken one by one."""
        return self.source[2] >= lanes_of(self.dtype)

    def flops(self):
        """Of the direct algorithm: 2·(places)·(window)·(channels)·(filters)."""
        return 2 * int(np.prod(self.made)) * int(np.prod(self.window.size)) * self.source[2]


def map_shape(shape):
    """Any shape as that of a map [h, w, c]."""
    return (
        (int(np.prod(shape[:-2])), *shape[-2:])
        if len(shape) > 2
        else (1, *shape)
        if len(shape) == 2
        else (1, 1, *shape)
    )


def window_of(layer, source):
    """The window with which the kernels see a layer over a map [h, w, c]."""
    if type(layer) is L.BatchNorm:
        return Window((1, 1))
    return Window(source[:2]) if type(layer) in GLOBAL_MEANS else layer.window


def form_of(network, node, dtype):
    """The Form of a node with a convolution or a pool."""
    return Form.of(node.layer, network.shapes[node.inputs[0]], network.shapes[node.name], dtype)


def kernel4(kernel):
    """A convolution's kernel as [kh, kw, c, m]."""
    return kernel if kernel.ndim == 4 else kernel[None]


def is_convolution(layer):
    """A convolution that the kernels can do: ungrouped, not dilated to the right."""
    if type(layer) is L.Conv1D:
        return layer.dilation == 1 and max(layer.window.size) <= LARGEST
    return (type(layer) is L.Conv2D and layer.groups == 1 and layer.dilation[1] == 1
            and max(layer.window.size) <= LARGEST)


def is_depthwise(layer, source):
    """A map of each channel by itself, with the same weights at each place: a depthwise convolution with one
    output for each channel, a batch norm, or means over windows that lie inside the map (shape `source`).
    """
    if type(layer) in (L.AveragePool2D, L.AveragePool1D):
        return not np.any(layer.window.pads(*map_shape(source)[:2]))
    if type(layer) is L.DepthwiseConv2D:
        return layer.kernel.shape[3] == 1
    return type(layer) in (L.BatchNorm, *GLOBAL_MEANS)


def depthwise_kernel(layer, kernel, source):
    """The weights of a term of such a layer, as `OpList.depthwise` takes them."""
    source = map_shape(source)
    size = window_of(layer, source).size
    if kernel is None:
        return np.full((1, 1, source[2], 1), 1 / math.prod(size))
    return kernel.reshape(*size, source[2], 1)


def is_dense(layer, source):
    """A dense layer over one row of numbers."""
    return type(layer) is L.Dense and math.prod(source[:-1]) == 1


def is_move(layer):
    """A move of numbers that kernels do."""
    return (type(layer) in (L.ZeroPadding2D, L.Cropping2D)
            or (type(layer) is L.Permute and len(layer.axes) <= 3))


def is_max_pool(layer):
    """A windowed max-pool; windows that overlap are small, or giving relevance back would take long."""
    if type(layer) not in (L.MaxPool2D, L.MaxPool1D):
        return False
    size, strides = layer.window.size, layer.window.strides
    apart = all(stride >= extent for stride, extent in zip(strides, size))
    return max(size) <= (LARGEST_POOL_APART if apart else LARGEST_POOL)


class Unread:
    """Stands for z where a stabilizer is asked whether it reads z: whatever is done with it raises TypeError.
    """

    def _refuse(self, *_):
        raise TypeError("the stabilizer reads z")

    __array__ = __bool__ = __eq__ = __getattr__ = __len__ = __iter__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def constant_stabilizer(rule):
    """The ε of a rule as a number, or None where it depends on z or is more than one number."""
    try:
        epsilon = rule.stabilizer(Unread())
    except Exception:  # a stranger's code may fail in any way when it is given something that is no array
        return None
    return float(epsilon) if is_number(epsilon) else None


class Other:
    """Stands for the type of a layer that is not known here."""


def made_by(node):
    """The type of a node's layer where it is exactly one of this package's, so that it is known what it
    computes; else Other.
    """
    return type(node.layer) if type(node.layer) in L.LAYER_TYPES.values() else Other


def crossed_by(step):
    """The type of a step's layer where it is known how relevance crosses it; else Other."""
    return type(step.node.layer) if is_ours(step.node.layer) and not crosses_by_itself(step.rule) else Other


def why_other(step):
    """Why it is not known how relevance crosses a step's layer; None where it is."""
    layer = step.node.layer
    if crosses_by_itself(step.rule):
        return f"{type(step.rule).__name__} carries relevance itself"
    return None if is_ours(layer) else f"{layer.type} is a layer, or crossed by a function, of your own"


def refusal(step, source):
    """Why the kernels cannot carry relevance back through this linear layer by this rule; None where they
    can.
    """
    layer = step.node.layer
    if (why := why_other(step)) is not None:
        return why
    if not (is_convolution(layer) or is_depthwise(layer, source) or is_dense(layer, source)):
        return f"no kernel for {layer.type}"
    if constant_stabilizer(step.rule) is None:
        return "its stabilizer depends on z"
    if any(type(term.part) is Minus and not term.part.fits(source)
           for group in step.groups for term in group.terms):
        return "a bound that does not fit the input"  # NumPy's error names the layer
    return next((why for why in map(functools.partial(group_refusal, layer), step.groups) if why), None)


def group_refusal(layer, group):
    """Why the kernels cannot share relevance out by this group of terms of a layer; None where they can."""
    parts = [term.part for term in group.terms]
    shape = np.shape(layer.kernel)
    outputs = shape[2:3] if type(layer) is L.DepthwiseConv2D else shape[-1:]
    if not any(group.gate is gate for gate in GATES):
        return "a gate that no kernel has"
    known = (whole, positive, negative, ones)
    if not all(any(part is one for one in known) or type(part) is Minus for part in parts):
        return "a part of the input that no kernel takes"
    if any(part is ones for part in parts) and not all(part is ones for part in parts):
        return "terms that count inputs beside terms that weigh them"
    if all(part is negative for part in parts) or any(t.part is negative and t.bias is not None
                                                      for t in group.terms):
        # not computed where no input is negative
        return "negative inputs alone, or a bias that goes with them"
    if not is_number(group.coefficient) or any(term.sign not in (1, -1) for term in group.terms):
        return "a coefficient that is no number, or a sign that is not 1 or -1"
    if any(np.shape(term.kernel) != shape or (term.kernel is None) != (layer.kernel is None)
           or (term.bias is not None and np.shape(term.bias) != outputs)
           for term in group.terms):
        return "a kernel or bias of another shape than the layer's"
    return None


def carries(step, source):
    """Can the kernels carry relevance back through this linear layer by this rule?"""
    return refusal(step, source) is None
