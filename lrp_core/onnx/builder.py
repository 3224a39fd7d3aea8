"""Where ONNX's axes lie in our arrays, and the growing list of our nodes.

ONNX puts the channels before the positions, [n, c, h, w], our layers want them last, [h, w, c]. A Tensor
remembers which of ONNX's axes each of ours is, so that a Transpose costs nothing, and an array is rearranged
only where a layer needs another order than the one at hand: before a Flatten, most of all, whose order ONNX
lays down.

ONNX's batch axis is one of extent 1 here, wherever the graph moves it: our arrays have a batch axis of their
own before all others.
"""
import dataclasses
import math

import numpy as np

from .. import layers as L
from ..network import INPUT, Node
from ..sizes import Budget
from .reading import Names


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the ONNX graph, as one of our nodes holds it.

    node: our node's name. shape: ONNX's, the batch axis included. axes: for each axis of our array, the axis
    of `shape` that it is, or None for one of extent 1 that ONNX does not have. Axes of `shape` that are not
    named have extent 1.
    """
    node: str
    shape: tuple
    axes: tuple

    @property
    def ours(self):
        """The shape of our array."""
        return tuple(1 if axis is None else self.shape[axis] for axis in self.axes)

    @property
    def long(self):
        """The axes of more than one entry, in our order."""
        return tuple(axis for axis in self.axes if axis is not None and self.shape[axis] > 1)

    @property
    def rank(self):
        """How many axes ONNX's value has."""
        return len(self.shape)

    def axis(self, number):
        """An axis that may be counted from the end, from 0; raises ValueError where there is none."""
        return axis_of(number, self.rank)

    def place(self, axis):
        """The number, from 1, of ONNX's `axis` in our array, as our layers count; None where it is not there.
        """
        return self.axes.index(axis) + 1 if axis in self.axes else None

    def renamed(self, shape, names):
        """The same array under another ONNX shape: `names` maps old axes to new ones; others have extent 1
        and go.
        """
        return Tensor(self.node, tuple(shape), tuple(names.get(axis) for axis in self.axes))

    def raised(self, rank):
        """The same array with axes of extent 1 put before, up to `rank`, as in broadcasting."""
        more = rank - self.rank
        return self.renamed((1,) * more + self.shape, {axis: axis + more for axis in range(self.rank)})


def axis_of(number, rank):
    """An axis of `rank` that may be counted from the end, from 0; raises ValueError where there is none."""
    if not -rank <= number < rank:
        raise ValueError(f"there is no axis {number} among {rank}")
    return int(number) % rank


def plain(shape):
    """ONNX's axes in its own order, without a batch axis of extent 1 at the front."""
    return tuple(range(1 if len(shape) > 1 and shape[0] == 1 else 0, len(shape))) or (None,)


class Builder:
    """The nodes made so far. `name` is always the ONNX node's; what is made besides its layer gets a suffix.
    """

    def __init__(self, taken, opset, batch):
        """taken: the ONNX nodes' names, each kept for the first layer made under it. opset: of the file.
        batch: how many samples the file declares, where it fixes it: 1 here, other numbers in its reshapes.
        """
        self.nodes, self.opset, self.batch, self._budget = [], opset, batch, Budget()
        self._names, self._reserved, self._arranged = Names({INPUT, *taken}), set(taken), {}

    def add(self, name, layer, *tensors, axes=None, rank=None):
        """A node of `layer` that reads `tensors`; returns its output as a Tensor.

        axes: of the output, those of the first input by default; rank: how many axes ONNX's output has,
        likewise.
        """
        axes = tensors[0].axes if axes is None else axes
        made = layer.output_shape(*(tensor.ours for tensor in tensors))
        self._budget.add(layer, [tensor.ours for tensor in tensors], made)
        shape = [1] * (tensors[0].rank if rank is None else rank)
        for axis, extent in zip(axes, made, strict=True):
            if axis is not None:
                shape[axis] = extent
        if name in self._reserved:
            self._reserved.remove(name)
        else:
            name = self._names.unique(name)
        self.nodes.append(Node(name, layer, tuple(tensor.node for tensor in tensors)))
        return Tensor(name, tuple(shape), tuple(axes))

    def arrange(self, name, tensor, axes):
        """`tensor` with its axes in the order `axes`, through a Permute, a Reshape or a Flatten where needed:
        one for all that want that order.
        """
        key = tensor, tuple(axes)
        if key not in self._arranged:
            self._arranged[key] = self._arrange(name, *key)
        return self._arranged[key]

    def _arrange(self, name, tensor, axes):
        rank = tensor.rank
        goal = Tensor(tensor.node, tensor.shape, axes)
        if goal.ours == tensor.ours and goal.long == tensor.long:
            return goal
        if goal.long == tensor.long:
            layer = L.Flatten() if len(axes) == 1 else L.Reshape(goal.ours)
            return self.add(f"{name}/{layer.type.lower()}", layer, tensor, axes=axes, rank=rank)
        if sorted(axes, key=_order) != sorted(tensor.axes, key=_order):
            tensor = self.arrange(name, tensor,
                                  (*tensor.long, *(axis for axis in axes if axis not in tensor.long)))
        left, order = list(tensor.axes), []
        for axis in axes:
            order.append(left.index(axis) + 1)
            left[order[-1] - 1] = _TAKEN
        return self.add(f"{name}/permute", L.Permute(tuple(order)), tensor, axes=axes, rank=rank)

    def in_order(self, name, tensor, *wanted):
        """`tensor` in ONNX's order of axes; those `wanted` are among them even where their extent is 1."""
        axes = plain(tensor.shape)
        return self.arrange(name, tensor, (*sorted({*wanted} - {*axes}), *axes))

    def with_last(self, name, tensor, *last):
        """`tensor` with ONNX's axes `last` as our last, the others as they are."""
        if tensor.axes[-len(last):] == last:
            return tensor
        return self.arrange(name, tensor, (*(a for a in tensor.axes if a is not None and a not in last),
                                           *last))

    def reshaped(self, name, tensor, shape):
        """`tensor` under another ONNX shape of as many numbers, in ONNX's order."""
        L.check_shape(shape)
        if math.prod(shape) != math.prod(tensor.shape):
            raise ValueError(f"{tensor.shape} cannot be reshaped to {tuple(shape)}")
        before, after = (tuple(axis for axis, n in enumerate(s) if n > 1) for s in (tensor.shape, shape))
        if [tensor.shape[axis] for axis in before] == [shape[axis] for axis in after]:
            return tensor.renamed(shape, dict(zip(before, after)))
        if tensor.long != before:
            tensor = self.arrange(name, tensor, before)
        if len(after) < 2:
            return self.add(name, L.Flatten(), tensor, axes=after or (None,), rank=len(shape))
        axes = plain(shape)
        return self.add(name, L.Reshape(tuple(shape[axis] for axis in axes)), tensor, axes=axes,
                        rank=len(shape))

    def without(self, tensor, axes):
        """`tensor` without some of ONNX's axes, all of extent 1."""
        stay = [axis for axis in range(tensor.rank) if axis not in axes]
        return tensor.renamed([tensor.shape[axis] for axis in stay],
                              {axis: new for new, axis in enumerate(stay)})

    def spread(self, name, tensor, shape, axes=None):
        """`tensor` repeated along axes of extent 1, up to `shape`, its axes in the order `axes`."""
        tensor = tensor.raised(len(shape))
        wanted = plain(shape) if axes is None else axes
        tensor = self.arrange(name, tensor, wanted)
        goal = Tensor(tensor.node, tuple(shape), wanted)
        if goal.ours == tensor.ours:
            return tensor
        repeats = tuple(n // m for n, m in zip(goal.ours, tensor.ours))
        return self.add(f"{name}/tile", L.Tile(repeats), tensor)

    def together(self, name, *tensors):
        """Tensors repeated to their common shape, with one order of axes."""
        shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
        L.check_shape(shape)
        first = next((t for t in tensors if t.shape == shape), None)
        axes = plain(shape) if first is None else first.axes
        return [self.spread(name, tensor, shape, axes) for tensor in tensors]


_TAKEN = object()


def _order(axis):
    return -1 if axis is None else axis
