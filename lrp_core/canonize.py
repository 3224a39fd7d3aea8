"""Network in, new network out: what has to be rewritten before relevance can flow as it should."""
import collections
import dataclasses
import heapq
import math
import typing

import numpy as np

from . import layers as L
from .sizes import products
from .text import quote

if typing.TYPE_CHECKING:
    from .network import Network

PARITY = 1e-4
# multiplications of a network that is run to compare it with its folded form: a second or two
MAX_CHECKED = 1 << 34


# What may stand between the last activation and the output: numbers that only change places.
ONLY_MOVED = (L.Dropout, L.Flatten, L.Reshape, L.Permute, L.Cropping2D)


def final_activation(network):
    """(node, moves): the softmax or sigmoid that makes the network's scores probabilities, and the nodes
    after it.

    (None, ()) for a network that ends in its scores. The nodes after it only move numbers. A softmax before
    such nodes counts where they only change the order of axes, or where there is one row of numbers for it to
    norm.
    """
    nodes, moves = {node.name: node for node in network.nodes}, []
    node = network.nodes[-1]
    while isinstance(node.layer, ONLY_MOVED) and node.inputs[0] in nodes:
        moves.insert(0, node)
        node = nodes[node.inputs[0]]
    if isinstance(node.layer, (L.Softmax, L.LogSoftmax)):
        shape, axis = network.shapes[node.name], node.layer.axis
        turned = all(isinstance(move.layer, (L.Permute, L.Dropout)) for move in moves)
        norms = turned or (isinstance(axis, int) and math.prod(shape) == shape[axis - (axis > 0)])
        return (node, tuple(moves)) if norms else (None, ())
    return (node, tuple(moves)) if isinstance(node.layer, L.Sigmoid) else (None, ())


def scores_to_probabilities(network: "Network") -> L.Layer:
    """The layer that makes probabilities of the scores, in the output's shape: the network's own Softmax or
    Sigmoid at its end; Softmax if it has none.
    """
    last, moves = final_activation(network)
    if last is None or not isinstance(last.layer, (L.Softmax, L.LogSoftmax)):
        return L.Softmax() if last is None else last.layer
    if not all(isinstance(move.layer, (L.Permute, L.Dropout)) for move in moves):  # one row, reshaped
        return L.Softmax(tuple(range(-len(network.output_shape), 0)))
    rank = len(network.output_shape)
    axes = [axis if axis > 0 else rank + 1 + axis for axis in np.atleast_1d(last.layer.axis).tolist()]
    for move in moves:
        if isinstance(move.layer, L.Permute):
            axes = [move.layer.axes.index(axis) + 1 for axis in axes]
    # counted from the end: right with a batch axis and without
    found = tuple(axis - rank - 1 for axis in axes)
    return L.Softmax(found if len(found) > 1 else found[0])


def without_final_activation(network: "Network") -> "Network":
    """The network without the softmax or sigmoid at its end, so that its output is the scores z; others as
    they are.

    Explanations start from z. Starting from σ(z) would divide it by z, and where z < 0 every relevance would
    change its sign.
    """
    last, moves = final_activation(network)
    if last is None:
        return network
    names = [node.name for node in network.nodes]
    if last.inputs[0] not in names:
        raise ValueError(f"node {quote(last.name)} ({last.layer.type}) reads the input itself: "
                         "there are no scores before it to explain")
    # What the activation reads is the output now; it need not be the node that stands before it.
    nodes = list(network.nodes[:names.index(last.inputs[0]) + 1])
    for node in moves:
        nodes.append(dataclasses.replace(node, inputs=(nodes[-1].name,)))
    return network.replace(nodes=nodes)


def scoring(network: "Network") -> "Network":
    """The network up to its scores (`without_final_activation`), in one row, so that each has a number."""
    network = without_final_activation(network)
    if len(network.shapes[network.nodes[-1].name]) == 1:
        return network
    name = "scores"
    while name in network.shapes:
        name += "_"
    return network.replace(nodes=[*network.nodes, (name, L.Flatten())], class_names=None, reference=None)


def fold_batch_norm(network: "Network") -> "Network":
    """The network with every BatchNorm taken into the linear layer before it, or after it, where that is
    exact.

        after W:   a (W x + b) + d  =  (a W) x + (a b + d)
        before W:   W (a x + d) + b  =  (W a) x + (W d + b),  not where W's input is padded with zeros

    Both need that nothing else reads what lies between. A BatchNorm that cannot be folded stays, and is
    explained as the diagonal linear map it is. Raises ValueError where the logits of the two networks differ
    by more than 1e-4 on random inputs (networks of more than 2^34 multiplications are not run for that).
    """
    folding = _Folding(network)
    if not folding.fold():
        return network
    folded = network.replace(nodes=folding.nodes())
    if sum(products(node.layer, [network.shapes[name] for name in node.inputs], network.shapes[node.name])
           for node in network.nodes) > MAX_CHECKED:
        return folded
    x = np.random.default_rng(0).standard_normal((2, *network.input_shape)).astype(np.float32)
    before, after = network.logits(x), folded.logits(x)
    error = np.abs(after - before).max() / max(np.abs(before).max(), 1e-30)
    if not error <= PARITY:
        raise ValueError(f"folding batch normalisation changed the logits by {error:.1e} of the largest")
    return folded


class _Folding:
    """The nodes of a network while pairs of them become one. Only the neighbours of a pair are looked at
    again.
    """

    def __init__(self, network):
        self._nodes = {node.name: node for node in network.nodes}
        self._place = {node.name: number for number, node in enumerate(network.nodes)}
        self._now = {}  # the name of the node that a node was taken into, by its own
        self._readers = {name: collections.Counter() for name in network.shapes}
        for node in network.nodes:
            for name in node.inputs:
                self._readers[name][node.name] += 1

    def fold(self):
        """Fold what can be, the first first; returns whether anything was."""
        waiting = [(place, name) for name, place in self._place.items()]
        changed = False
        while waiting:
            norm = self._nodes.get(heapq.heappop(waiting)[1])
            linear = None if norm is None else self._partner(norm)
            if linear is not None:
                changed = True
                for name in self._join(norm, linear):
                    heapq.heappush(waiting, (self._place[name], name))
        return changed

    def nodes(self):
        """What is left, in order."""
        return [dataclasses.replace(node, inputs=tuple(map(self._current, node.inputs)))
                for node in sorted(self._nodes.values(), key=lambda node: self._place[node.name])]

    def _current(self, name):
        while name in self._now:
            name = self._now[name]
        return name

    def _partner(self, norm):
        """The linear node that a BatchNorm can be taken into, or None."""
        if not isinstance(norm.layer, L.BatchNorm):
            return None
        before, after = self._nodes.get(self._current(norm.inputs[0])), self._readers[norm.name]
        if before and self._readers[before.name].total() == 1 and isinstance(before.layer, L.Weighted):
            return before
        reader = self._nodes[next(iter(after))] if after.total() == 1 else None
        return reader if reader and _unpadded(reader.layer) else None

    def _join(self, norm, linear):
        """Take `norm` into `linear`, which keeps its name; returns the names of nodes to look at again."""
        first, last = (linear, norm) if self._current(norm.inputs[0]) == linear.name else (norm, linear)
        layer = _merged(norm.layer, linear.layer, before=first is norm)
        del self._nodes[norm.name]
        self._nodes[linear.name] = dataclasses.replace(linear, layer=layer, inputs=first.inputs)
        self._place[linear.name], self._now[norm.name] = self._place[last.name], linear.name
        sources = {self._current(name) for name in first.inputs}
        for source in sources:
            self._readers[source][linear.name] = self._readers[source].pop(first.name)
        after = self._readers[linear.name] = self._readers[last.name]
        return [name for name in (linear.name, *sources, *after) if name in self._nodes]


def _unpadded(layer):
    """Does every output of this layer see real inputs only?"""
    return isinstance(layer, L.Dense) or (isinstance(layer, L.Conv2D) and layer.padding == "valid"
                                          and layer.groups == 1)


def _merged(norm, layer, *, before):
    """The linear layer that does what `norm` and `layer` do, `norm` before it or after it."""
    a, d = norm.kernel, norm.bias
    bias = np.zeros((), a.dtype) if layer.bias is None else layer.bias
    if not before:
        return dataclasses.replace(layer, kernel=_scale_outputs(layer, a), bias=a * bias + d)
    shift = np.sum(layer.kernel * d[:, None], axis=tuple(range(layer.kernel.ndim - 1)))
    return dataclasses.replace(layer, kernel=layer.kernel * a[:, None], bias=bias + shift)


def _scale_outputs(layer, a):
    """The layer's kernel with output c multiplied by a_c."""
    if isinstance(layer, L.DepthwiseConv2D):
        return layer.kernel * a.reshape(layer.kernel.shape[2:])
    return layer.kernel * (a[:, None] if isinstance(layer, L.Conv2DTranspose) else a)
