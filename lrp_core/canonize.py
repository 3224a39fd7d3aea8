"""Network in, new network out: what has to be rewritten before relevance can flow as it should."""
import dataclasses
import math

import numpy as np

from . import layers as L

PARITY = 1e-4


# What may stand between the last activation and the output: numbers that only change places.
ONLY_MOVED = (L.Dropout, L.Flatten, L.Reshape, L.Permute, L.Cropping2D)


def final_activation(network):
    """(node, moves): the softmax or sigmoid that makes the network's scores probabilities, and the nodes after it.

    (None, ()) for a network that ends in its scores. The nodes after it only move numbers. A softmax counts where
    there is one row of numbers for it to norm.
    """
    nodes, moves = {node.name: node for node in network.nodes}, []
    node = network.nodes[-1]
    while isinstance(node.layer, ONLY_MOVED) and node.inputs[0] in nodes:
        moves.insert(0, node)
        node = nodes[node.inputs[0]]
    shape = network.shapes[node.name]
    one_row = isinstance(node.layer, L.Softmax) and math.prod(shape) == shape[-1]
    return (node, tuple(moves)) if one_row or isinstance(node.layer, L.Sigmoid) else (None, ())


def without_final_activation(network):
    """The network without the softmax or sigmoid at its end, so that its output is the scores z; others as they are.

    Explanations start from z. Starting from σ(z) would divide it by z, and where z < 0 every relevance would change
    its sign.
    """
    last, moves = final_activation(network)
    if last is None:
        return network
    names = [node.name for node in network.nodes]
    if last.inputs[0] not in names:
        raise ValueError(f"node {last.name!r} ({last.layer.type}) reads the input itself: "
                         "there are no scores before it to explain")
    # What the activation reads is the output now; it need not be the node that stands before it.
    nodes = list(network.nodes[:names.index(last.inputs[0]) + 1])
    for node in moves:
        nodes.append(dataclasses.replace(node, inputs=(nodes[-1].name,)))
    return network.replace(nodes=nodes)


def fold_batch_norm(network):
    """The network with every BatchNorm taken into the linear layer before it, or behind it, where that is exact.

        behind W:   a (W x + b) + d  =  (a W) x + (a b + d)
        before W:   W (a x + d) + b  =  (W a) x + (W d + b),  not where W's input is padded with zeros

    Both need that nothing else reads what lies between. A BatchNorm that cannot be folded stays, and is explained
    as the diagonal linear map it is. Raises ValueError where the logits of the two networks differ by more than
    1e-4 on random inputs.
    """
    folded = network
    while (pair := _foldable(folded)) is not None:
        folded = _fold(folded, *pair)
    if folded is not network:
        x = np.random.default_rng(0).standard_normal((2, *network.input_shape)).astype(np.float32)
        before, after = network.logits(x), folded.logits(x)
        error = np.abs(after - before).max() / max(np.abs(before).max(), 1e-30)
        if not error <= PARITY:
            raise ValueError(f"folding batch normalisation changed the logits by {error:.1e} of the largest")
    return folded


def _foldable(network):
    """(BatchNorm node, linear node) that can become one, or None."""
    readers = {}
    for node in network.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    nodes = {node.name: node for node in network.nodes}
    for node in network.nodes:
        if not isinstance(node.layer, L.BatchNorm):
            continue
        before, behind = nodes.get(node.inputs[0]), readers.get(node.name, [])
        if before and len(readers[before.name]) == 1 and isinstance(before.layer, L.Weighted):
            return node, before
        if len(behind) == 1 and _unpadded(behind[0].layer):
            return node, behind[0]
    return None


def _unpadded(layer):
    """Does every output of this layer see real inputs only?"""
    return isinstance(layer, L.Dense) or (isinstance(layer, L.Conv2D) and layer.padding == "valid" and layer.groups == 1)


def _fold(network, norm, linear):
    """The network with `norm` taken into `linear`, which keeps its name."""
    a, d, layer = norm.layer.kernel, norm.layer.bias, linear.layer
    bias = np.zeros((), a.dtype) if layer.bias is None else layer.bias
    if norm.inputs[0] == linear.name:
        kernel, bias, first, last = _scale_outputs(layer, a), a * bias + d, linear, norm
    else:
        inputs = tuple(range(layer.kernel.ndim - 1))
        kernel, bias = layer.kernel * a[:, None], bias + np.sum(layer.kernel * d[:, None], axis=inputs)
        first, last = norm, linear
    merged = dataclasses.replace(linear, layer=dataclasses.replace(layer, kernel=kernel, bias=bias), inputs=first.inputs)
    nodes = [merged if node is last else node for node in network.nodes if node is not first]
    renamed = {last.name: linear.name}
    return network.replace(nodes=[dataclasses.replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
                                  for node in nodes])


def _scale_outputs(layer, a):
    """The layer's kernel with output c multiplied by a_c."""
    if isinstance(layer, L.DepthwiseConv2D):
        return layer.kernel * a.reshape(layer.kernel.shape[2:])
    return layer.kernel * (a[:, None] if isinstance(layer, L.Conv2DTranspose) else a)
