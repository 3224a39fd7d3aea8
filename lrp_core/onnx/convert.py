"""A Graph of ONNX operations as a Network: each operator is a function that adds our layers."""
import collections
import inspect
import math

import numpy as np

from ..files import INVALID, ModelFileError
from ..limits import MAX_AXES, MAX_SAMPLE
from ..network import INPUT, Network
from ..text import clean, listing, quote
from . import (
    comparisons,
    contractions,
    moves,
    norms,
    pointwise,
    pools,
    recurrent,
    select,
    transforms,
    weighted,
)
from .builder import Builder, Tensor, plain
from .constants import Folder
from .loops import LOOPS
from .older import modern
from .reading import Graph
from .rewrites import rewrite

# By operator: a function of (builder, name, the inputs ...) with the attributes it knows as keywords. Its
# signature says what is supported; anything else in a file is refused.
FAMILIES = (weighted, pointwise, comparisons, pools, moves, select, contractions, norms, recurrent,
            transforms)
OPERATORS = {kind: function for family in FAMILIES for kind, function in family.OPERATORS.items()}
OLD = ("Upsample",)
UNKNOWN = object()  # stands for what an operation that is refused would have made
MOST = 10  # refused operations that an error names
MOST_STEPS = 100_000  # operations, each as often as a loop takes it


def network_of(graph, source, output, constants, onnx, opset, facts, class_names):
    """The Network of a Graph from `source`, (name, ONNX shape, declared batch), to the value `output`.

    constants: arrays by the name of the other inputs. Raises ModelFileError that names all nodes that are not
    supported.
    """
    name, shape, batch = source
    build = Builder([operation.name for operation in _all(graph)], opset, batch)
    conversion = Conversion(build, onnx, opset, graph)
    values = collections.ChainMap({**graph.constants, **constants, name: Tensor(INPUT, shape, plain(shape))})
    conversion.run(graph.operations, [output], values)
    found = values.get(output)
    if found is UNKNOWN:
        error = conversion.error()
        raise error if batch == 1 else ModelFileError(f"{error} (the model is fixed to batches of {batch}: "
                                                      "export it for batches of 1, or of any size)")
    if not isinstance(found, Tensor) or not build.nodes:
        raise ModelFileError(f"the output {quote(output)} does not depend on the input {quote(name)} through "
                             "any layer")
    if batch > 1 and found.shape[:1] != (1,):
        raise ModelFileError(f"the input {quote(name)} is fixed to batches of {batch}, and so is what the "
                             "model computes; export it for batches of 1, or of any size")
    found = build.in_order(found.node, found)
    nodes = rewrite(build.nodes, found.node)
    if not nodes:
        raise ModelFileError(f"the output {quote(output)} does not depend on the input {quote(name)} through "
                             "any layer")
    return Network(nodes, values[name].ours, class_names=class_names, metadata={"source": facts})


def _all(graph):
    """The operations of a graph and of those within it."""
    for operation in graph.operations:
        yield operation
        for value in operation.attributes.values():
            if isinstance(value, Graph):
                yield from _all(value)


def alive(operations, outputs):
    """The operations, in order, that some of `outputs` depend on."""
    wanted, found = set(outputs), []
    for operation in reversed(operations):
        if wanted.intersection(filter(None, operation.outputs)):
            wanted |= operation.reads
            found.append(operation)
    return found[::-1]


class Conversion:
    """Goes through operations in order; keeps what is refused, to name all of it at once."""

    def __init__(self, build, onnx, opset, graph):
        self._build, self._opset, self._steps = build, opset, 0
        self._folder, self._refused, self._makers = Folder(onnx, opset, graph.constants), [], {}

    def error(self):
        """The error that names what was refused."""
        if len(self._refused) == 1:
            return self._refused[0]
        more = f"; ... ({len(self._refused)} in all)" if len(self._refused) > MOST else ""
        each = 1600 // min(len(self._refused), MOST)
        return ModelFileError(f"{len(self._refused)} operations are not supported: "
                             + "; ".join(clean(error, each) for error in self._refused[:MOST]) + more)

    def run(self, operations, outputs, values):
        """Put what the operations make into `values`, by name: Tensors, constants or UNKNOWN."""
        used = alive(operations, outputs)
        self._steps += len(used) + 1
        if self._steps > MOST_STEPS:
            raise ModelFileError(f"the model takes more than {MOST_STEPS:,} operations once its loops are "
                                 "unrolled: too many")
        read = set(outputs).union(*(operation.reads for operation in used))
        for operation in used:
            try:
                results = self._results(operation, values, read)
            except ModelFileError as error:
                self._refused.append(error)
                results = [UNKNOWN] * len(operation.outputs)
            self._makers.update(dict.fromkeys(operation.outputs, operation))
            for name, result in zip(operation.outputs, results):
                if name and result is not None:
                    values[name] = result

    def _results(self, operation, values, read):
        """What an operation makes, for each of its outputs; of an If, for those that are read."""
        given = [self._value(operation, values, name) for name in operation.inputs]
        if operation.kind == "If":
            return self._branch(operation, given, values, read)
        if operation.kind in LOOPS and isinstance(operation.attributes.get("body"), Graph):
            return self._loop(operation, given, values)
        if any(value is UNKNOWN for value in given):
            if not _known(operation.kind):
                raise _unsupported(operation)
            return [UNKNOWN] * len(operation.outputs)
        tensors = [value for value in given if isinstance(value, Tensor)]
        if tensors and operation.kind in ("Shape", "Size") and len(given) == 1:
            return [_shape(operation, tensors[0])]
        if not tensors:
            results = self._folder.fold(operation, given)
            if results is not None:
                return results
        operation, given = modern(operation, given, self._opset)
        found = self._apply(operation, given)
        return found if isinstance(found, tuple) else [found]

    def _value(self, operation, values, name):
        """The Tensor or constant of a name; None for an input left out."""
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self._makers:
            other = self._makers[name]
            raise operation.refused(f"reads {quote(name)}, which node {quote(other.name)} "
                                    f"({clean(other.kind)}) gives besides its result; this output is not "
                                    "supported")
        raise operation.refused(f"reads {quote(name)}, which nothing before it makes, and no constant is "
                                "given for")

    def _branch(self, operation, given, values, read):
        """The results of an If, whose condition must be a constant."""
        if len(given) != 1 or not isinstance(given[0], np.ndarray) or given[0].size != 1:
            if given[:1] == [UNKNOWN]:
                return [UNKNOWN] * len(operation.outputs)
            raise operation.refused("its condition depends on the network's input")
        branch = operation.attributes.get("then_branch" if given[0].reshape(()) else "else_branch")
        if not isinstance(branch, Graph) or len(branch.outputs) != len(operation.outputs):
            raise operation.refused("it has no such branch")
        inner = values.new_child(dict(branch.constants))
        wanted = [name if outer in read else None for name, outer in zip(branch.outputs, operation.outputs)]
        self.run(branch.operations, [name for name in wanted if name], inner)
        return [name and self._value(operation, inner, name) for name in wanted]

    def _loop(self, operation, given, values):
        """The results of a loop that is unrolled."""
        if any(value is UNKNOWN for value in given):
            return [UNKNOWN] * len(operation.outputs)

        def run(body, inputs):
            inner = values.new_child({**body.constants, **dict(zip(body.inputs, inputs))})
            self.run(body.operations, body.outputs, inner)
            found = [self._value(operation, inner, name) for name in body.outputs]
            if any(value is UNKNOWN for value in found):
                raise operation.refused("something inside it is not supported")
            return found
        try:
            return LOOPS[operation.kind](self._build, operation, given, run)
        except INVALID as error:
            if isinstance(error, ModelFileError):
                raise
            raise operation.refused(error) from None

    def _apply(self, operation, given):
        """The Tensors of an operation, with its nodes added to the builder."""
        if operation.kind not in OPERATORS:
            raise _unsupported(operation)
        function = OPERATORS[operation.kind]
        parameters = list(inspect.signature(function).parameters.values())[2:]
        _check_inputs(operation, given, [p for p in parameters if p.kind is not p.KEYWORD_ONLY])
        keywords = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
        attributes = dict(operation.attributes)
        if operation.kind == "Split":
            attributes["outputs"] = len(operation.outputs)
        _check_attributes(operation, attributes, keywords)
        try:
            return function(self._build, operation.name, *given, **attributes)
        except INVALID as error:
            raise operation.refused(error) from None


def _shape(operation, tensor):
    """Shape and Size of a Tensor: with a batch of one sample."""
    if operation.kind == "Size":
        return np.array(math.prod(tensor.shape), np.int64)
    shape = np.array(tensor.shape, np.int64)
    return shape[operation.attributes.get("start", 0):operation.attributes.get("end")]


def _known(kind):
    return kind in OPERATORS or kind in OLD or kind in ("Shape", "Size", "If", *LOOPS) or Folder.knows(kind)


CHOOSING = {"ArgMax", "ArgMin", "NonZero", "TopK", "Hardmax"}


def _unsupported(operation):
    """The error for an operator that is not supported, with what to do."""
    if operation.kind in CHOOSING:
        return operation.refused("relevance cannot pass a choice of places that depends on the input; name "
                                 "an output before it")
    if operation.kind.startswith(("QLinear", "Quantize", "DynamicQuantize")) or "Integer" in operation.kind:
        return operation.refused("quantized networks are not supported; export the model in float32")
    known = sorted([*OPERATORS, *LOOPS, "Constant", "If", "Shape", "Size"])
    return operation.refused("this operator is not supported; before the export, put others in its place, or "
                             f"name an output before it. Supported are {', '.join(known)}")


def _check_inputs(operation, given, parameters):
    """Refuse inputs too many or too few, and constants where tensors must be or the other way round."""
    endless = bool(parameters) and parameters[-1].kind is parameters[-1].VAR_POSITIONAL
    least = sum(p.default is p.empty and p.kind is not p.VAR_POSITIONAL for p in parameters)
    least = max(least, 1) if endless else least
    if len(given) < least or (len(given) > len(parameters) and not endless):
        more = " or more" if endless or least < len(parameters) else ""
        raise operation.refused(f"takes {least} inputs{more}, found {len(given)}")
    for number, value in enumerate(given):
        parameter = parameters[min(number, len(parameters) - 1)]
        if value is None and parameter.default is not None:
            raise operation.refused(f"its input {number + 1} is left out")
        if parameter.annotation is np.ndarray and isinstance(value, Tensor):
            raise operation.refused(f"its input {number + 1} ({parameter.name}) must be a constant in the "
                                    "file, it is made from the network's input")
        if parameter.annotation is Tensor and not isinstance(value, Tensor):
            raise operation.refused(f"its input {number + 1} is a constant, it must depend on the network's "
                                    "input")
    if not any(isinstance(value, Tensor) for value in given):
        raise operation.refused("its inputs are constants, and it is not worked out from constants here")


def _check_attributes(operation, attributes, parameters):
    """Refuse attributes that are unknown, missing or of another kind."""
    for name, value in attributes.items():
        if name not in parameters:
            raise operation.refused(f"the attribute {quote(name)} is not supported; known are "
                                    f"{listing(parameters) or 'none'}")
        parameter = parameters[name]
        kind = parameter.annotation if parameter.default is parameter.empty else type(parameter.default)
        kind = int if kind is type(None) else kind
        inside = (int, float, str) if name.startswith("activation") else int
        if not isinstance(value, kind) or (kind is tuple and not all(isinstance(n, inside) for n in value)):
            raise operation.refused(f"the attribute {quote(name)} must be {kind.__name__}, found "
                                    f"{quote(value)}")
    missing = [name for name, p in parameters.items() if p.default is p.empty and name not in attributes]
    if missing:
        raise operation.refused(f"the attribute {quote(missing[0])} is missing")


def check_shape(what, shape):
    """Refuse the shape of an input that no network takes."""
    if not shape or math.prod(shape) > MAX_SAMPLE or len(shape) > MAX_AXES + 1 or min(shape) < 1:
        raise ModelFileError(f"{what} has the shape {shape}: empty or too large (at most {MAX_SAMPLE} "
                             "numbers)")
