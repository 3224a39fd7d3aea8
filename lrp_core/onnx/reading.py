"""An ONNX file as plain Python: operations, constants, one input, one output. Nothing of protobuf goes
further.

Files come from strangers: every declared size is checked before memory is taken for it, nothing outside the
file is read, and what cannot be used is refused by name.
"""
import dataclasses
import math
import os

import numpy as np

from .. import memory
from ..files import ModelFileError
from ..limits import MAX_AXES, MAX_FILE, MAX_NODES, MAX_PARAMETERS
from ..protobuf import check_fields
from ..recognise import ONNX, OURS, recognise
from ..text import clean, listing, quote

OLDEST_OPSET = 13
MAX_NAME = 200
DOMAINS = ("", "ai.onnx")


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One node of the ONNX graph.

    name: readable and unique, ONNX's own where it has one. kind: the operator. inputs: names of values, ""
    where an optional one is left out. outputs: likewise. attributes: int, float, str, a tuple of numbers, an
    array, or None for a value of another kind (a graph, say).
    """
    name: str
    kind: str
    inputs: tuple
    outputs: tuple
    attributes: dict

    def refused(self, reason):
        """The error for this operation."""
        return ModelFileError(f"node {quote(self.name)} ({clean(self.kind)}): {reason}")


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """What an ONNX file holds, as far as networks here go.

    operations: in the file's order, which ONNX wants topological. constants: arrays by value name. input,
    output: value names. input_shape: ONNX's, without the batch axis. batch: the declared batch size, 1 where
    it is dynamic.
    facts: who made the file, for the network's metadata.
    """
    operations: tuple
    constants: dict
    input: str
    input_shape: tuple
    output: str
    batch: int
    facts: dict


def read(file, onnx, damaged):
    """The Graph in an open file, by the package onnx; raises ValueError that says what is wrong, without the
    path.

    damaged: what the package raises for damaged files.
    """
    _check_kind(file)
    model, data = onnx.ModelProto(), _content(file)
    try:
        check_fields(data, model.DESCRIPTOR)
        model.ParseFromString(data)
    except damaged as error:
        raise ModelFileError(f"not a readable ONNX file ({error}); export it again") from None
    del data
    if not model.HasField("graph") or not model.graph.node:
        raise ModelFileError("not an ONNX model: there is no graph with nodes in it")
    if model.functions:
        raise ModelFileError(f"the model defines functions of its own ({quote(model.functions[0].name)}); "
                             "inline them first: onnx.inliner.inline_local_functions")
    opset = _opset(model)
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelFileError("sparse initializers are not supported; export the weights as dense ones")
    if len(graph.node) > MAX_NODES:
        raise ModelFileError(f"the model has {len(graph.node):,} nodes: too many (at most {MAX_NODES:,})")
    constants = {}
    for tensor in graph.initializer:
        _define(constants, tensor.name, _array(onnx, tensor, f"the initializer {quote(tensor.name)}"))
    operations = _operations(onnx, graph, constants)
    inputs = [value for value in graph.input if value.name not in constants]
    for kind, values in (("input", inputs), ("output", graph.output)):
        if len(values) != 1:
            raise ModelFileError(f"networks here have one {kind}, the model has {len(values)}: "
                                 f"{listing(value.name for value in values) or 'none'}; export it with one "
                                 "(onnx.utils.extract_model cuts a part out)")
    shape, batch = _input_shape(onnx, inputs[0])
    facts = {"format": "ONNX", "opset": opset,
             "producer": f"{model.producer_name} {model.producer_version}".strip()}
    return Graph(tuple(operations), constants, inputs[0].name, shape, graph.output[0].name, batch, facts)


def _check_kind(file):
    """Refuse a file that is known to be something else."""
    what = recognise(file)
    if what not in (None, ONNX):
        raise ModelFileError(f"{what}{': `lrp_core.load` reads it' * (what == OURS)}")


def _content(file):
    """The bytes of an open file."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE:
        raise ModelFileError(f"larger than {MAX_FILE >> 30} GiB, which no ONNX file with its weights inside "
                             "can be")
    # The file itself, its messages, the arrays, and those in the order of axes that layers want.
    memory.check(4 * size, "reading the model", "use a smaller network, or a machine with more memory")
    file.seek(0)
    return file.read()


def package():
    """The onnx package, which is an extra, and what it raises for damaged files."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ImportError(f"reading ONNX files needs the package onnx ({error}): pip install onnx") from error
    return onnx, DecodeError


def _opset(model):
    """The version of ONNX's own operators; refuses those older than what is read here."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if not versions:
        raise ModelFileError("the model does not say which operator set it uses (no opset_import); export it "
                             "again")
    if min(versions) < OLDEST_OPSET:
        raise ModelFileError(f"operator set {min(versions)} is too old, {OLDEST_OPSET} and later are read; "
                             "export with "
                             f"opset_version={OLDEST_OPSET} or later, or use "
                             "onnx.version_converter.convert_version")
    return versions[0]


def _define(known, name, value):
    """Give a value its name; every name is given once."""
    if not name or name in known:
        raise ModelFileError(f"the value {quote(name)} is defined twice" if name else "a value has no name")
    known[name] = value


def _operations(onnx, graph, constants):
    """The graph's nodes as Operations; Constant nodes become constants."""
    operations, counts, names, made = [], {}, Names({"input"}), {}
    for node in graph.node:
        counts[node.op_type] = number = counts.get(node.op_type, 0) + 1
        name = names.unique(readable(node.name) or f"{readable(node.op_type).lower()}{number}")
        what = f"node {quote(name)} ({clean(node.op_type)})"
        if node.domain not in DOMAINS:
            raise ModelFileError(f"{what}: operators of the domain {quote(node.domain)} are not supported; "
                                 "export the model "
                                 "with ONNX's own operators")
        attributes = {a.name: _attribute(onnx, a, f"{what}: attribute {quote(a.name)}")
                      for a in node.attribute}
        operation = Operation(name, node.op_type, tuple(node.input), tuple(node.output), attributes)
        if not any(operation.outputs):
            raise operation.refused("it has no output")
        for output in filter(None, operation.outputs):
            if output in constants:
                raise ModelFileError(f"the value {quote(output)} is defined twice")
            _define(made, output, operation)
        if node.op_type == "Constant":
            constants[operation.outputs[0]] = _constant(operation)
        else:
            operations.append(operation)
    return operations


def readable(name):
    """A name that can be printed and found again: no control characters, no slash at its ends, not too long.
    """
    return "".join(c if c.isprintable() else "_" for c in name[:MAX_NAME]).strip("/ ")


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


def _attribute(onnx, attribute, what):
    kinds = onnx.AttributeProto
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
    return _array(onnx, attribute.t, what) if attribute.type == kinds.TENSOR else None


def _constant(operation):
    """The array of a Constant node."""
    for name, dtype in (("value", None), ("value_float", np.float32), ("value_floats", np.float32),
                        ("value_int", np.int64), ("value_ints", np.int64)):
        if operation.attributes.get(name) is not None:
            return np.asarray(operation.attributes[name], dtype)
    raise operation.refused(f"a constant of this kind is not supported "
                            f"({listing(operation.attributes) or 'no value'})")


def _array(onnx, tensor, what):
    """The array of a TensorProto, whose declared shape must agree with the data it holds."""
    kinds = onnx.TensorProto
    if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
        raise ModelFileError(f"{what} lies in another file (external data), which is not read; bring it "
                             "inside: "
                             "torch.onnx.export(..., external_data=False), or onnx.save(onnx.load(path), "
                             "new_path)")
    if tensor.data_type not in (kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.INT64, kinds.INT32,
                                kinds.BOOL):
        known = tensor.data_type in kinds.DataType.values()
        raise ModelFileError(f"{what} holds "
                             f"{kinds.DataType.Name(tensor.data_type) if known else tensor.data_type} "
                             "numbers, which are not supported; export the model in float32")
    shape = tuple(tensor.dims)
    if len(shape) > MAX_AXES + 1 or any(n < 0 for n in shape) or math.prod(shape) > MAX_PARAMETERS:
        raise ModelFileError(f"{what} is declared as {quote(shape)}: negative or too large (at most "
                             f"{MAX_PARAMETERS} numbers "
                             f"along {MAX_AXES + 1} axes)")
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelFileError(f"{what} is declared as {shape}, its data does not fit ({error}); export it "
                             "again") from None
    if array.shape != shape:
        raise ModelFileError(f"{what} is declared as {shape}, its data has the shape {array.shape}; export "
                             "it again")
    return array


def _input_shape(onnx, value):
    """(shape without the batch axis, batch size) as declared; refuses dynamic axes but the first."""
    what = f"the input {quote(value.name)}"
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise ModelFileError(f"{what} is no tensor of declared shape; export the model with an example input")
    kinds, declared = onnx.TensorProto, value.type.tensor_type
    if declared.elem_type not in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE):
        raise ModelFileError(f"{what} must be floating point; convert whole numbers before the network")
    batch, *shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param
                     for dim in declared.shape.dim] or [None]
    if not shape:
        raise ModelFileError(f"{what} needs a batch axis and at least one more, it is declared with "
                             f"{len(declared.shape.dim)}")
    if len(shape) > MAX_AXES:
        raise ModelFileError(f"{what} is declared with {len(shape):,} axes: too many (at most {MAX_AXES} "
                             "besides the batch)")
    for axis, extent in enumerate(shape, 1):
        if not isinstance(extent, int) or extent < 1:
            raise ModelFileError(f"{what} leaves axis {axis} open ({quote(extent or 'unnamed')}); only the "
                                 "batch axis may be. "
                                 "Export with fixed sizes, or fix it: onnx.tools.update_model_dims")
    return tuple(shape), batch if isinstance(batch, int) and batch > 0 else 1
