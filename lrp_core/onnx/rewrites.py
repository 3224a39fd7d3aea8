"""What exporters spell out in several operations and is one layer here; and what is never read."""
import dataclasses
import math

import numpy as np

from .. import layers as L


def rewrite(nodes, output):
    """The nodes, in order, that `output` depends on, with patterns joined into one:

        x · Sigmoid(x)                            SiLU(x)
        x · Tanh(Softplus(x))                     Mish(x)
        x · 1/2 · (1 + Erf(x / sqrt(2)))          GELU(x), its factors in any order
        x W, then + b                             Dense(x)
    """
    graph = Pattern(_alive(nodes, output), output)
    for node in tuple(graph.nodes.values()):
        join = JOINED.get(type(node.layer))
        if join is not None and node.name in graph.nodes:
            join(graph, graph.nodes[node.name])
    return graph.result()


def _alive(nodes, output):
    wanted, alive = {output}, []
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
            alive.append(node)
    return alive[::-1]


class Pattern:
    """Nodes by name, with who reads them."""

    def __init__(self, nodes, output):
        self.nodes = {node.name: node for node in nodes}
        self._renamed = {}
        self._readers = {output: [None]}
        for node in nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node.name)

    def reader(self, node):
        """The only one that reads a node's output, once; None where there are others."""
        readers = self._readers.get(node.name, [])
        return self.nodes[readers[0]] if len(readers) == 1 and readers[0] is not None else None

    def join(self, parts, layer, inputs, name=None):
        """Put one node in place of the parts, where the last of them stood; name: what it is called in the
        end, the last one's name by default.
        """
        last = parts[-1]
        for part in parts:
            for read in part.inputs:
                self._readers[read].remove(part.name)
            if part is not last:
                del self.nodes[part.name]
        self.nodes[last.name] = dataclasses.replace(last, layer=layer, inputs=inputs)
        if name is not None:
            self._renamed[last.name] = name
        for read in inputs:
            self._readers.setdefault(read, []).append(last.name)

    def result(self):
        """The nodes that are left, in order, under their final names."""
        def called(name):
            return self._renamed.get(name, name)
        return tuple(dataclasses.replace(node, name=called(node.name), inputs=tuple(map(called, node.inputs)))
                     for node in self.nodes.values())


def factor_of(node):
    """c of a node that computes c·x, or None."""
    return float(node.layer.factor) if node is not None and isinstance(node.layer, L.Scale) else None


def _swish(graph, gate):
    product = graph.reader(gate)
    if product is not None and isinstance(product.layer, L.Multiply) and {*product.inputs} == {*gate.inputs,
                                                                                              gate.name}:
        graph.join((gate, product), L.SiLU(), gate.inputs)


def _mish(graph, softplus):
    gate = graph.reader(softplus)
    product = graph.reader(gate) if gate is not None and isinstance(gate.layer, L.Tanh) else None
    if product is not None and isinstance(product.layer, L.Multiply) and {*product.inputs} == {
            *softplus.inputs, gate.name}:
        graph.join((softplus, gate, product), L.Mish(), softplus.inputs)


def _gelu(graph, erf):
    inner, plus = graph.nodes.get(erf.inputs[0]), graph.reader(erf)
    factor = factor_of(inner)
    if factor is None or graph.reader(inner) != erf or not math.isclose(factor, math.sqrt(0.5), rel_tol=1e-5):
        return
    if plus is None or not _is_plus_one(plus.layer):
        return
    (x,), parts, factor, met = inner.inputs, [inner, erf, plus], 1.0, False
    while not (met and math.isclose(factor, 0.5, rel_tol=1e-5)):
        last = graph.reader(parts[-1])
        if last is None:
            return
        if factor_of(last) is not None:
            factor *= factor_of(last)
        elif isinstance(last.layer, L.Multiply) and not met:
            met = True
            (other,) = [name for name in last.inputs if name != parts[-1].name] or [None]
            half = graph.nodes.get(other)
            if other != x:
                if factor_of(half) is None or half.inputs != (x,) or graph.reader(half) != last:
                    return
                factor *= factor_of(half)
                parts.insert(0, half)
        else:
            return
        parts.append(last)
    graph.join(parts, L.GELU(), (x,))


def _is_plus_one(layer):
    return isinstance(layer, L.BatchNorm) and (layer.kernel == 1).all() and (layer.bias == 1).all()


def _bias(graph, dense):
    plus = graph.reader(dense)
    if (dense.layer.bias is None and plus is not None and isinstance(plus.layer, L.BatchNorm)
            and np.all(plus.layer.kernel == 1)):
        layer = dataclasses.replace(dense.layer, bias=plus.layer.bias)
        graph.join((dense, plus), layer, dense.inputs, name=dense.name)


JOINED = {L.Sigmoid: _swish, L.Softplus: _mish, L.Erf: _gelu, L.Dense: _bias}
