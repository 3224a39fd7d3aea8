"""An ONNX model as plain Python: operations, constants, declared inputs and outputs.

Files come from strangers: every declared size is checked before memory is taken for it, and what cannot be
used is refused by name.
"""
import dataclasses
import math
import re
import typing

import numpy as np

from ..files import ModelFileError
from ..limits import MAX_AXES, MAX_NODES, MAX_PARAMETERS
from ..text import clean, listing, quote
from .source import is_external

OLDEST_OPSET = 7
MAX_NAME = 200
MAX_DEPTH = 20  # of graphs within graphs
DOMAINS = ("", "ai.onnx")


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One node of the ONNX graph.

    name: readable and unique, ONNX's own where it has one. kind: the operator. inputs: names of values, ""
    where an optional one is left out. outputs: likewise. attributes: int, float, str, a tuple of numbers or
    texts, an array, a Graph, or None for a value of another kind. proto: the node itself, for onnx's own
    evaluator. module: where it stood in the framework's model, where its name tells.
    """
    name: str
    kind: str
    inputs: tuple
    outputs: tuple
    attributes: dict
    proto: typing.Any
    module: str = ""

    def refused(self, reason):
        """The error for this operation."""
        where = f", in {clean(self.module)}" if self.module else ""
        return ModelFileError(f"node {quote(self.name)} ({clean(self.kind)}{where}): {reason}")

    @property
    def reads(self):
        """The names of all values it reads, those that its inner graphs read included."""
        inner = [value.free for value in self.attributes.values() if isinstance(value, Graph)]
        return {*filter(None, self.inputs)}.union(*inner)


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """The operations in the file's order, which ONNX wants topological; constants by value name; the names of
    the inputs and outputs.
    """
    operations: tuple
    constants: dict
    inputs: tuple
    outputs: tuple

    @property
    def free(self):
        """The names that are read and not made inside."""
        made, read = {*self.constants, *self.inputs}, set(self.outputs)
        for operation in self.operations:
            read |= operation.reads
            made.update(operation.outputs)
        return read - made


@dataclasses.dataclass(frozen=True)
class Declared:
    """An input as the file declares it: its element type (ONNX's number) and shape; None or a name stands for
    an open axis; shape None: not declared.
    """
    name: str
    kind: int
    shape: tuple | None


class Reader:
    """Turns a ModelProto into a Graph; `opset` and `declared` inputs are there afterwards."""

    def __init__(self, onnx, model):
        if not model.HasField("graph") or not model.graph.node:
            raise ModelFileError("not an ONNX model: there is no graph with nodes in it")
        self._onnx, self._nodes, self._names, self._counts = onnx, 0, Names({"input"}), {}
        self.opset = _opset(model)
        self.graph = self._graph(model.graph, 0)
        self.declared = [self._input(value) for value in model.graph.input
                         if value.name not in self.graph.constants]
        half = onnx.TensorProto.FLOAT16
        self.facts = {"format": "ONNX", "opset": self.opset,
                      **({"precision": "float16"} if any(one.kind == half for one in self.declared)
                         or any(a.dtype == np.float16 for a in self.graph.constants.values()) else {}),
                      "producer": f"{model.producer_name} {model.producer_version}".strip()}

    def _graph(self, graph, depth):
        if graph.sparse_initializer:
            raise ModelFileError("sparse initializers are not supported; export the weights as dense ones")
        self._nodes += len(graph.node)
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ModelFileError(f"the model has {self._nodes:,} nodes: too many (at most {MAX_NODES:,}), or "
                                 f"graphs more than {MAX_DEPTH} deep")
        constants, made, operations = {}, {}, []
        for tensor in graph.initializer:
            _define(constants, tensor.name, self._array(tensor, f"the initializer {quote(tensor.name)}"))
        for node in graph.node:
            operation = self._operation(node, depth)
            for output in filter(None, operation.outputs):
                if output in constants:
                    raise ModelFileError(f"the value {quote(output)} is defined twice")
                _define(made, output, operation)
            if node.op_type == "Constant":
                constants[operation.outputs[0]] = _constant(operation)
            else:
                operations.append(operation)
        return Graph(tuple(operations), constants, tuple(value.name for value in graph.input),
                     tuple(value.name for value in graph.output))

    def _operation(self, node, depth):
        self._counts[node.op_type] = number = self._counts.get(node.op_type, 0) + 1
        name = self._names.unique(readable(node.name) or f"{readable(node.op_type).lower()}{number}")
        what = f"node {quote(name)} ({clean(node.op_type)})"
        if node.domain not in DOMAINS:
            raise ModelFileError(f"{what}: operators of the domain {quote(node.domain)} are not supported; "
                                 "export the model with ONNX's own operators, or, where a program has "
                                 "optimised the file, take the original")
        attributes = {a.name: self._attribute(a, f"{what}: attribute {quote(a.name)}", depth)
                      for a in node.attribute}
        operation = Operation(name, node.op_type, tuple(node.input), tuple(node.output), attributes, node,
                              module_of(node))
        if not any(operation.outputs):
            raise operation.refused("it has no output")
        return operation

    def _attribute(self, attribute, what, depth):
        kinds = self._onnx.AttributeProto
        if attribute.type == kinds.INT:
            return attribute.i
        if attribute.type == kinds.FLOAT:
            return attribute.f
        if attribute.type == kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type == kinds.INTS:
            return tuple(attribute.ints)
        if attribute.type == kinds.FLOATS:
            return tuple(attribute.floats)
        if attribute.type == kinds.STRINGS:
            return tuple(text.decode("utf-8", "replace") for text in attribute.strings)
        if attribute.type == kinds.GRAPH:
            return self._graph(attribute.g, depth + 1)
        return self._array(attribute.t, what) if attribute.type == kinds.TENSOR else None

    def _array(self, tensor, what):
        """The array of a TensorProto, whose declared shape must agree with the data it holds."""
        kinds = self._onnx.TensorProto
        if is_external(tensor, self._onnx):
            raise ModelFileError(f"{what} lies in another file (external data), which is found beside a path "
                                 "only: give the model's path, or onnx.load(path)")
        if tensor.data_type not in (kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.INT64, kinds.INT32,
                                    kinds.BOOL):
            known = tensor.data_type in kinds.DataType.values()
            raise ModelFileError(f"{what} holds "
                                 f"{kinds.DataType.Name(tensor.data_type) if known else tensor.data_type} "
                                 "numbers, which are not supported; export the model in float32, not "
                                 "quantized")
        shape = tuple(tensor.dims)
        if len(shape) > MAX_AXES + 1 or any(n < 0 for n in shape) or math.prod(shape) > MAX_PARAMETERS:
            raise ModelFileError(f"{what} is declared as {quote(shape)}: negative or too large (at most "
                                 f"{MAX_PARAMETERS} numbers along {MAX_AXES + 1} axes)")
        try:
            array = self._onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelFileError(f"{what} is declared as {shape}, its data does not fit ({error}); export it "
                                 "again") from None
        if array.shape != shape:
            raise ModelFileError(f"{what} is declared as {shape}, its data has the shape {array.shape}; "
                                 "export it again")
        return array

    def _input(self, value):
        """An input as it is declared."""
        if not value.type.HasField("tensor_type"):
            return Declared(value.name, 0, None)
        kind, declared = value.type.tensor_type.elem_type, value.type.tensor_type
        if not declared.HasField("shape"):
            return Declared(value.name, kind, None)
        if len(declared.shape.dim) > MAX_AXES + 1:
            raise ModelFileError(f"the input {quote(value.name)} is declared with {len(declared.shape.dim):,}"
                                 f" axes: too many (at most {MAX_AXES} besides the batch)")
        return Declared(value.name, kind, tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or None
            for dim in declared.shape.dim))


def _opset(model):
    """The version of ONNX's own operators; refuses those older than what is read here."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if not versions:
        raise ModelFileError("the model does not say which operator set it uses (no opset_import); export it "
                             "again")
    if min(versions) < OLDEST_OPSET:
        raise ModelFileError(f"operator set {min(versions)} is too old, {OLDEST_OPSET} and later are read; "
                             "export with a later one, or use onnx.version_converter.convert_version")
    return versions[0]


def _define(known, name, value):
    """Give a value its name; every name is given once."""
    if not name or name in known:
        raise ModelFileError(f"the value {quote(name)} is defined twice" if name else "a value has no name")
    known[name] = value


def readable(name):
    """A name that can be printed and found again: no control characters, no slash at its ends, not too long.
    """
    return "".join(c if c.isprintable() else "_" for c in name[:MAX_NAME]).strip("/ ")


def module_of(node):
    """The module of the framework's model that a node was exported from, where its name or notes tell."""
    notes = getattr(node, "metadata_props", ())  # onnx 1.15 has none
    scopes = next((note.value for note in notes if note.key == "pkg.torch.onnx.name_scopes"), "")
    found = [scope for scope in re.findall(r"'([^']*)'", scopes[:10 * MAX_NAME]) if scope]
    if len(found) > 1:
        return found[-2]
    return ".".join(readable(node.name).split("/")[:-1]) if not scopes else ""


class Names:
    """Names that are given once each."""

    def __init__(self, taken):
        # by name that is taken: the number to try when it is wanted again
        self._next = dict.fromkeys(taken, 2)

    def unique(self, name):
        """`name`, or it with a number where it is taken; takes it."""
        free = name
        while free in self._next:
            free = f"{name}_{self._next[name]}"
            self._next[name] += 1
        self._next[free] = 2
        return free


def _constant(operation):
    """The array of a Constant node."""
    for name, dtype in (("value", None), ("value_float", np.float32), ("value_floats", np.float32),
                        ("value_int", np.int64), ("value_ints", np.int64)):
        if operation.attributes.get(name) is not None:
            return np.asarray(operation.attributes[name], dtype)
    raise operation.refused(f"a constant of this kind is not supported "
                            f"({listing(operation.attributes) or 'no value'})")
