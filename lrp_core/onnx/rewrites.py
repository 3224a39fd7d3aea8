"""What exporters spell out in several operations and is one layer here; and what is never read."""
import dataclasses
import math


def rewrite(operations, constants, output):
    """The operations, in order, without those that `output` does not depend on, and with patterns joined into
    one:

        Mul(x, Sigmoid(x))                        Swish(x)
        x · 1/2 · (1 + Erf(x / sqrt(2)))          Gelu(x), its factors in any order
        Add(MatMul(x, W), b)                      MatMul(x, W, b)
    """
    graph = Pattern(_alive(operations, output), constants, output)
    for operation in tuple(graph.operations.values()):
        if operation.kind in JOINED:
            JOINED[operation.kind](graph, operation)
    return tuple(graph.operations.values())


def _alive(operations, output):
    wanted, alive = {output}, []
    for operation in reversed(operations):
        if wanted.intersection(filter(None, operation.outputs)):
            wanted.update(operation.inputs)
            alive.append(operation)
    return alive[::-1]


class Pattern:
    """The operations by their first output, with who makes and who reads a value."""

    def __init__(self, operations, constants, output):
        self.operations = {operation.outputs[0]: operation for operation in operations}
        self._constants = constants
        self._readers = {output: [None]}
        for operation in operations:
            for value in operation.inputs:
                self._readers.setdefault(value, []).append(operation)

    def reader(self, operation):
        """The only one that reads an operation's output, once; None where there are others."""
        readers = self._readers.get(operation.outputs[0], [])
        return readers[0] if len(readers) == 1 else None

    def array(self, value):
        """The constant of that name, or None."""
        return self._constants.get(value)

    def number(self, value):
        """The only number in a constant, or None."""
        array = self.array(value)
        return float(array.reshape(())) if array is not None and array.size == 1 else None

    def scaled(self, operation):
        """(value, factor) of an operation that multiplies a value by a constant number, or (None, 1)."""
        if operation is not None and operation.kind in ("Mul", "Div") and len(operation.inputs) == 2:
            a, b = operation.inputs
            if operation.kind == "Mul" and self.number(a) is not None:
                a, b = b, a
            factor = self.number(b)
            if factor and a not in self._constants:
                return a, factor if operation.kind == "Mul" else 1 / factor
        return None, 1.0

    def join(self, parts, **changes):
        """Put the last of the parts, changed, in place of all of them."""
        joined = dataclasses.replace(parts[-1], **changes)
        for part in parts:
            for value in part.inputs:
                self._readers[value].remove(part)
            if part is not parts[-1]:
                del self.operations[part.outputs[0]]
        self.operations[joined.outputs[0]] = joined  # in the place of the last part
        for value in joined.inputs:
            self._readers.setdefault(value, []).append(joined)


def _swish(graph, sigmoid):
    product = graph.reader(sigmoid)
    if product is not None and product.kind == "Mul" and sorted(product.inputs) == sorted((*sigmoid.inputs,
                                                                                           sigmoid.outputs[0])):
        graph.join((sigmoid, product), kind="Swish", inputs=sigmoid.inputs)


def _gelu(graph, erf):
    inner = graph.operations.get(erf.inputs[0]) if erf.inputs else None
    x, factor = graph.scaled(inner)
    plus = graph.reader(erf)
    if x is None or graph.reader(inner) is not erf or not math.isclose(factor, math.sqrt(0.5), rel_tol=1e-5):
        return
    if plus is None or plus.kind != "Add" or 1.0 not in map(graph.number, plus.inputs):
        return
    parts, factor, met = [inner, erf, plus], 1.0, False
    while not (met and math.isclose(factor, 0.5, rel_tol=1e-5)):
        last, before = graph.reader(parts[-1]), parts[-1].outputs[0]
        if last is None or last.kind not in ("Mul", "Div"):
            return
        source, times = graph.scaled(last)
        if source is None:
            others = [value for value in last.inputs if value != before]
            if last.kind != "Mul" or met or len(others) != 1:
                return
            half = graph.operations.get(others[0])
            source, times = graph.scaled(half)
            if others[0] != x and (source != x or graph.reader(half) is not last):
                return
            times = 1.0 if others[0] == x else times
            parts[:0] = [] if others[0] == x else [half]
            met = True
        parts.append(last)
        factor *= times
    graph.join(parts, kind="Gelu", inputs=(x,), attributes={})


def _bias(graph, matmul):
    plus = graph.reader(matmul)
    kernel = graph.array(matmul.inputs[1]) if len(matmul.inputs) == 2 else None
    if plus is None or plus.kind != "Add" or kernel is None or kernel.ndim != 2:
        return
    bias = next((value for value in plus.inputs if value != matmul.outputs[0]), "")
    array = graph.array(bias)
    if array is None or not array.ndim or array.ndim > 2:
        return
    if array.shape[-1] == array.size == kernel.shape[1]:
        graph.join((matmul, plus), kind="MatMul", name=matmul.name, inputs=(*matmul.inputs, bias))


JOINED = {"Sigmoid": _swish, "Erf": _gelu, "MatMul": _bias}
