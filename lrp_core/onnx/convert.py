"""A Graph of ONNX operations as a Network: each operator is a function that adds our layers."""
import inspect
import math

import numpy as np

from .. import layers as L
from ..files import INVALID, ModelFileError
from ..limits import MAX_SAMPLE
from ..network import INPUT, Network
from ..text import clean, listing, quote
from . import moves, pointwise, pools, weighted
from .builder import Builder, Tensor
from .constants import Folder
from .rewrites import rewrite

# By operator: a function of (builder, name, the inputs ...) with the attributes it knows as keywords. Its
# signature says what is supported; anything else in a file is refused.
OPERATORS = {**weighted.OPERATORS, **pointwise.OPERATORS, **pools.OPERATORS, **moves.OPERATORS}


def network_of(graph, class_names):
    """The Network of a Graph; raises ModelFileError that names the node."""
    folder = Folder(graph.constants)
    operations, constants = _fold_constants(graph, folder)
    operations = rewrite(operations, constants, graph.output)
    source = _input(graph, operations)
    build, values = (
        Builder([operation.name for operation in operations], graph.batch),
        {**constants, graph.input: source},
    )
    for operation in operations:
        given = [_value(operation, values, name, operations) for name in operation.inputs]
        values[operation.outputs[0]] = _apply(operation, given, build, folder)
    _finish(graph, values.get(graph.output), build)
    return Network(build.nodes, source.ours, class_names=class_names, metadata={"source": graph.facts})


def _fold_constants(graph, folder):
    """(operations that are left, constants by name) when what depends on constants alone is worked out."""
    operations, constants = [], dict(graph.constants)
    for operation in graph.operations:
        known = bool(operation.inputs) and all(not name or name in constants for name in operation.inputs)
        result = folder.fold(operation, [constants.get(name) for name in operation.inputs]) if known else None
        if result is None:
            operations.append(operation)
        else:
            constants[operation.outputs[0]] = result
    return operations, constants


def _input(graph, operations):
    """The network's input: channels last, unless the file has them so already or does not read it by
    channels.
    """
    shape = graph.input_shape
    if math.prod(shape) > MAX_SAMPLE:
        raise ModelFileError(f"the input {quote(graph.input)} is declared as {shape}: too large (at most "
                             f"{MAX_SAMPLE} numbers)")
    plain = tuple(range(len(shape)))
    first = _first_reader(graph.input, operations)
    if len(shape) == 1 or first is None:
        return Tensor(INPUT, shape, plain)
    turned_by_file = first.kind == "Transpose" and first.attributes.get("perm") == (0, len(shape),
                                                                                    *range(1, len(shape)))
    by_channels = (len(shape) == 3 or "Conv" in first.kind or "Pool" in first.kind
                   or first.kind == "BatchNormalization")
    stays = turned_by_file or first.kind == "MatMul" or not by_channels
    return Tensor(INPUT, shape, plain if stays else (*plain[1:], 0))


def _first_reader(name, operations):
    """The first operation that reads the input and cares about its axes."""
    alike = {name}
    for operation in operations:
        if alike.intersection(operation.inputs) and operation.kind != "Shape":
            if operation.kind not in {*pointwise.OPERATORS, "Identity", "Cast", "Dropout", "Pad"}:
                return operation
            alike.add(operation.outputs[0])
    return None


def _value(operation, values, name, operations):
    """The Tensor or constant of a name; None for an input left out."""
    if not name:
        return None
    if name in values:
        return values[name]
    for other in operations:
        if name in other.outputs[1:]:
            raise operation.refused(f"reads {quote(name)}, which node {quote(other.name)} "
                                    f"({clean(other.kind)}) gives besides its result; "
                                    "only first outputs are supported")
    raise operation.refused(f"reads {quote(name)}, which nothing before it makes")


def _apply(operation, given, build, folder):
    """What an operation makes: a constant where it can be known, else a Tensor, with its nodes added to
    `build`.
    """
    if operation.kind == "Shape" and len(given) == 1 and isinstance(given[0], Tensor):
        shape = np.array((build.batch, *given[0].shape), np.int64)
        return shape[operation.attributes.get("start", 0):operation.attributes.get("end")]
    if given and not any(isinstance(value, Tensor) for value in given):
        result = folder.fold(operation, given)
        if result is not None:
            return result
    if operation.kind not in OPERATORS:
        raise operation.refused("this operator is not supported; before the export, put others in its place. "
                                "Supported are "
                                + ", ".join(sorted([*OPERATORS, "Constant", "Shape"])))
    function = OPERATORS[operation.kind]
    parameters = list(inspect.signature(function).parameters.values())[2:]
    _check_inputs(operation, given, [p for p in parameters if p.kind is not p.KEYWORD_ONLY])
    _check_attributes(operation, {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY})
    try:
        return function(build, operation.name, *given, **operation.attributes)
    except INVALID as error:
        raise operation.refused(error) from None


def _check_inputs(operation, given, parameters):
    """Refuse inputs too many or too few, and constants where tensors must be or the other way round."""
    endless = bool(parameters) and parameters[-1].kind is parameters[-1].VAR_POSITIONAL
    least = sum(p.default is p.empty for p in parameters)
    if len(given) < least or (len(given) > len(parameters) and not endless):
        more = " or more" if endless or least < len(parameters) else ""
        raise operation.refused(f"takes {least} inputs{more}, found {len(given)}")
    for number, value in enumerate(given):
        parameter = parameters[min(number, len(parameters) - 1)]
        if value is None and parameter.default is not None:
            raise operation.refused(f"its input {number + 1} is left out")
        if parameter.annotation is np.ndarray and isinstance(value, Tensor):
            raise operation.refused(f"its input {number + 1} ({parameter.name}) must be a constant in the "
                                    "file, it is made from "
                                    "the network's input: products of two tensors, as in attention, are not "
                                    "supported")
        if parameter.annotation is Tensor and not isinstance(value, Tensor):
            raise operation.refused(f"its input {number + 1} is a constant, it must depend on the network's "
                                    "input")


def _check_attributes(operation, parameters):
    """Refuse attributes that are unknown, missing or of another kind."""
    for name, value in operation.attributes.items():
        if name not in parameters:
            raise operation.refused(f"the attribute {quote(name)} is not supported; known are "
                                    f"{listing(parameters) or 'none'}")
        parameter = parameters[name]
        kind = parameter.annotation if parameter.default is parameter.empty else type(parameter.default)
        if not isinstance(value, kind) or (kind is tuple and not all(isinstance(n, int) for n in value)):
            raise operation.refused(f"the attribute {quote(name)} must be {kind.__name__}, found "
                                    f"{quote(value)}")
    missing = [name for name, p in parameters.items() if p.default is p.empty
               and name not in operation.attributes]
    if missing:
        raise operation.refused(f"the attribute {quote(missing[0])} is missing")


def _finish(graph, output, build):
    """Refuse a network whose output is no row of scores, or that has a softmax in its middle."""
    if not isinstance(output, Tensor) or not build.nodes:
        raise ModelFileError(f"the output {quote(graph.output)} does not depend on the input "
                             f"{quote(graph.input)} through any layer")
    if build.row(output.node, output) is None:
        raise ModelFileError(f"the output {quote(graph.output)} has the shape {output.shape} after the "
                             "batch axis; it must be one row "
                             "of scores: export it up to where it has one, or with a pool and a flatten at "
                             "its end")
    for node in build.nodes[:-1]:
        if isinstance(node.layer, L.Softmax):
            raise ModelFileError(f"node {quote(node.name)} (Softmax): in the middle of a network, as in "
                                 "attention, it has no rule")
