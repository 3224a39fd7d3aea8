"""A network in the making: nodes are added one by one, each with a name of its own."""
import contextlib
import dataclasses

import numpy as np

from lrp_core import layers as L
from lrp_core.network import INPUT

from .base import Refusal


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What a node gives: the node's name, and the shape without the batch axis."""
    name: str
    shape: tuple

    @property
    def rank(self):
        """How many axes, without the batch's."""
        return len(self.shape)


class Builder:
    """The (name, layer, inputs) of our nodes so far.

    owners: the number of the Keras call that made each node, by the node's name.
    refused: a sentence for each Keras layer that could not be converted.
    unknown: was one of them of a type that we do not know at all?
    call, expected: the number of the present call, and the shapes that Keras has for what it gives.
    """

    def __init__(self):
        self.nodes, self.owners, self.refused = [], {}, []
        self.call, self.expected, self.unknown = 0, (), False
        self._models, self._prefix = [], ""  # (name, names of the layers) of the models being gone through

    @contextlib.contextmanager
    def inside(self, name, names):
        """While a model inside another is gone through: its name, the names of its layers."""
        self._models.append((name, set(names)))
        yield
        self._models.pop()

    def begin(self, name, shapes):
        """A call of a layer of that name begins; `shapes` is what Keras says will come out.

        Its nodes get the models' names before theirs where the layer's name is another's as well.
        """
        self.call, self.expected, outer = self.call + 1, shapes, self._models[:-1]
        taken = outer and (name in self.owners or any(name in names for _, names in outer))
        self._prefix = "".join(f"{model}/" for model, _ in self._models[1:]) if taken else ""

    def add(self, name, layer, *inputs):
        """A new node; returns its Tensor."""
        shape = layer.output_shape(*(tensor.shape for tensor in inputs))
        name = self._free(name)
        self.owners[name] = self.call
        self.nodes.append((name, layer, tuple(tensor.name for tensor in inputs)))
        return Tensor(name, tuple(shape))

    def _free(self, name):
        """The name, with what stands before it, and a number after it where it is taken."""
        name = wanted = f"{self._prefix}{name}"
        number = 2
        while name in self.owners or name == INPUT:  # a layer that is used twice
            name, number = f"{wanted}_{number}", number + 1
        return name

    def chain(self, name, made, *inputs):
        """The nodes of (suffix, layer) pairs that follow each other, or of one layer."""
        for suffix, layer in made if isinstance(made, list) else [("", made)]:
            inputs = (self.add(f"{name}{suffix}", layer, *inputs),)
        return inputs[0]

    def reshape(self, name, x, shape):
        """x in another shape; no node where it has it."""
        shape = tuple(int(n) for n in shape)
        return x if x.shape == shape else self.add(f"{name}_shape", L.Reshape(shape), x)

    def permute(self, name, x, axes):
        """x with its axes in another order, counted from 1; no node where that is the order they are in."""
        return x if tuple(axes) == tuple(range(1, x.rank + 1)) else self.add(name, L.Permute(tuple(axes)), x)

    def spread(self, name, x, shape):
        """x repeated to a shape, as NumPy broadcasts."""
        x = self.reshape(name, x, (*[1] * (len(shape) - x.rank), *x.shape))
        repeats = tuple(wanted if n == 1 else 1 for n, wanted in zip(x.shape, shape))
        return x if set(repeats) == {1} else self.add(f"{name}_spread", L.Tile(repeats), x)

    def alike(self, name, tensors):
        """The tensors in one shape, each repeated along the axes in which it is smaller."""
        try:
            shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
        except ValueError:
            raise Refusal(f"inputs of the shapes {[tensor.shape for tensor in tensors]} do not fit") from None
        return [self.spread(name, tensor, shape) for tensor in tensors]

    def needed(self, output):
        """The nodes that `output` depends on, in order."""
        wanted, found = {output.name}, []
        for node in reversed(self.nodes):
            if node[0] in wanted:
                wanted.update(node[2])
                found.append(node)
        return found[::-1]
