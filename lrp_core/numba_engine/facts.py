"""What is known of each node before anything is lowered: signs, zeros, and which nodes kernels may join."""
import collections
import dataclasses
import types
from collections.abc import Mapping

from .. import layers as L
from ..network import INPUT, Node
from ..rules import negative, ones, positive, whole
from ..text import table
from . import support


@dataclasses.dataclass(frozen=True)
class Facts:
    """Facts about the nodes of a network under some rules, by name.

    readers: the nodes that read a node's output, each once. reads: how often it is read. nonnegative: nodes
    whose output cannot be below zero. vanishing: nodes at whose output the relevance that arrives is zero
    wherever the output is.
    carried: linear nodes that kernels carry relevance through. fused: {node: its ReLU}, where the kernel that
    computes the node applies the ReLU to its own output. sparse: {convolution: the node whose zeros show
    which of its units carry none}.
    """
    readers: Mapping[str, tuple]
    reads: Mapping[str, int]
    nonnegative: frozenset
    vanishing: frozenset
    carried: frozenset
    fused: Mapping[str, str]
    sparse: Mapping[str, str]

    def __str__(self):
        rows = [("node", "read", "non-negative", "vanishing", "kernels", "fused with", "sparse by")]
        rows += [(name, self.reads[name], *("yes" if name in found else ""
                                            for found in (self.nonnegative, self.vanishing, self.carried)),
                  self.fused.get(name, ""), self.sparse.get(name, "")) for name in self.readers]
        return table(rows, "<><<<<<")


def find(network, steps, *, dtype, nonnegative, start=None, keep=()):
    """The Facts of a network.

    steps: {node name: Step}. nonnegative: no number of the input is below zero. start: the inner node where
    relevance begins, or None. keep: names of nodes of which only some channels keep their relevance.
    """
    readers = readers_of(network)
    carried = frozenset(node.name for node in network.nodes if isinstance(node.layer, L.Linear)
                        and support.carries(steps[node.name], network.shapes[node.inputs[0]]))
    vanishing = nodes_that_vanish(network, steps, readers)
    fused = {}
    for node in network.nodes:
        after = readers[node.name]
        # The kernel overwrites z by max(z, 0), which rules divide by: right where no relevance arrives if z
        # <= 0.
        if (node.name in carried and node.name not in keep and node.name != start and len(after) == 1
                and support.crossed_by(steps[after[0].name]) is L.ReLU and after[0].name in vanishing):
            fused[node.name] = after[0].name
    sparse = {name: found for name in fused if (found := shown_by(network, steps, readers, name, fused[name],
                                                                  dtype))}
    return Facts(types.MappingProxyType({name: tuple(nodes) for name, nodes in readers.items()}),
                 types.MappingProxyType(collections.Counter(name for node in network.nodes
                                                            for name in node.inputs)),
                 frozenset(nonnegative_nodes(network, nonnegative)), frozenset(vanishing), carried,
                 types.MappingProxyType(fused), types.MappingProxyType(sparse))


def readers_of(network) -> dict[str, list[Node]]:
    """The nodes that read each node's output, by name."""
    readers: dict[str, list[Node]] = {name: [] for name in network.shapes}
    for node in network.nodes:
        for name in dict.fromkeys(node.inputs):
            readers[name].append(node)
    return readers


def nonnegative_nodes(network, of_input):
    """Names of the nodes whose output cannot be negative."""
    found = {INPUT} if of_input else set()
    keeps_sign = (L.WinnerTakesAll, L.Move, L.AveragePool2D, L.AveragePool1D, L.GlobalAveragePool2D, L.Add)
    for node in network.nodes:
        kind = support.made_by(node)
        if kind in (L.ReLU, L.ReLU6, L.Sigmoid) or (issubclass(kind, keeps_sign)
                                                    and found.issuperset(node.inputs)):
            found.add(node.name)
    return found


def nodes_that_vanish(network, steps, readers):
    """Names of the nodes at whose output the relevance that arrives is zero wherever the output is."""
    found = set()
    for name in reversed(network.shapes):
        if all(proportional(steps[reader.name], found) for reader in readers[name]):
            found.add(name)
    return found


def proportional(step, vanishing):
    """Does a step give its node's input no relevance where that is zero? vanishing: which of the nodes after
    it vanish.
    """
    kind = support.crossed_by(step)
    if issubclass(kind, (L.Move, L.WinnerTakesAll, L.ReLU)):
        return step.node.name in vanishing
    if issubclass(kind, L.Linear):
        return all(term.part in (whole, positive, negative) for group in step.groups for term in group.terms)
    return issubclass(kind, (L.Merge, L.Normalization))


def shown_by(network, steps, readers, name, rectifier, dtype):
    """The node whose zeros show which units of a convolution carry no relevance; None where sparse kernels
    would not help.

    Units carry some whose output, after the ReLU, is not zero, and that win a window of a max-pool after it:
    no more than the pool's outputs that are not zero. That depends on the forward pass only, so it is the
    same for all targets.
    """
    node = network[name]
    if not support.is_convolution(node.layer) or not support.form_of(network, node, dtype).suits_sparse \
            or all(term.part is ones for group in steps[name].groups for term in group.terms):
        return None
    after = readers[rectifier]
    pooled = (len(after) == 1 and support.is_max_pool(after[0].layer)
              and support.crossed_by(steps[after[0].name]) is not support.Other)
    return after[0].name if pooled else rectifier
