"""Where ONNX's axes lie in our arrays, and the growing list of our nodes.

ONNX puts the channels before the positions, [c, h, w], we put them last, [h, w, c]. A Tensor remembers which
of ONNX's axes each of ours is, so that a Transpose costs nothing, and an array is rearranged only where a
layer needs
another order than the one at hand: before a Flatten, most of all, whose order ONNX lays down.
"""
import dataclasses
import math

from .. import layers as L
from ..files import ModelFileError
from ..network import INPUT, Node
from ..sizes import Budget
from .reading import Names


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the ONNX graph, as one of our nodes holds it.

    node: our node's name. shape: ONNX's, without the batch axis. axes: for each axis of our array, the axis
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

    def renamed(self, shape, names):
        """The same array under another ONNX shape: `names` maps old axes to new ones; others have extent 1
        and go.
        """
        return Tensor(self.node, tuple(shape), tuple(names.get(axis) for axis in self.axes))


class Builder:
    """The nodes made so far. `name` is always the ONNX node's; what is made besides its layer gets a suffix.
    """

    def __init__(self, taken, batch):
        """taken: the ONNX nodes' names, each kept for the first layer made under it. batch: the declared
        batch size.
        """
        self.nodes, self.batch, self._budget = [], batch, Budget()
        self._names, self._reserved = Names({INPUT, *taken}), set(taken)

    def add(self, name, layer, *tensors, axes=None, rank=None):
        """A node of `layer` that reads `tensors`; returns its output as a Tensor.

        axes: of the output, those of the first input by default; rank: how many axes ONNX's output has,
        likewise.
        """
        axes = tensors[0].axes if axes is None else axes
        made = layer.output_shape(*(tensor.ours for tensor in tensors))
        self._budget.add(layer, [tensor.ours for tensor in tensors], made)
        shape = [1] * (len(tensors[0].shape) if rank is None else rank)
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
        """`tensor` with its axes in the order `axes`, through a Permute, a Reshape or a Flatten where needed.
        """
        axes, rank = tuple(axes), len(tensor.shape)
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

    def with_last(self, name, tensor, axis):
        """`tensor` with ONNX's `axis` as our last, the others as they are."""
        if tensor.axes and tensor.axes[-1] == axis:
            return tensor
        return self.arrange(name, tensor, (*(a for a in tensor.axes if a is not None and a != axis), axis))

    def row(self, name, tensor):
        """`tensor`, of which at most one axis is longer than 1, as an array of one axis; None where it is no
        such.
        """
        if len(tensor.long) > 1:
            return None
        rank = len(tensor.shape)
        return self.arrange(name, tensor, tensor.long or ((0,) if rank else (None,)))

    def reshaped(self, name, tensor, shape):
        """`tensor` under another ONNX shape of as many numbers, in ONNX's order."""
        L.check_shape(shape)
        if math.prod(shape) != math.prod(tensor.shape):
            raise ModelFileError(f"{tensor.shape} cannot be reshaped to {tuple(shape)}")
        before, after = (tuple(axis for axis, n in enumerate(s) if n > 1) for s in (tensor.shape, shape))
        if [tensor.shape[axis] for axis in before] == [shape[axis] for axis in after]:
            return tensor.renamed(shape, dict(zip(before, after)))
        if tensor.long != before:
            tensor = self.arrange(name, tensor, before)
        if len(after) == 1:
            return self.add(name, L.Flatten(), tensor, axes=after, rank=len(shape))
        return self.add(name, L.Reshape(shape), tensor, axes=range(len(shape)), rank=len(shape))


_TAKEN = object()


def _order(axis):
    return -1 if axis is None else axis
