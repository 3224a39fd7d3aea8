"""From what a caller hands over to a parsed ONNX model: a path, bytes, an open file or a ModelProto.

Files come from strangers: sizes are checked before memory is taken, and weights in files beside the model are
read from its own folder only.
"""
import contextlib
import io
import math
import os
import pathlib

from .. import memory
from ..files import ModelFileError, opened
from ..limits import MAX_FILE, MAX_NODES
from ..protobuf import check_fields
from ..recognise import ONNX, OURS, recognise
from ..text import quote


def package():
    """The onnx package, which is an extra."""
    try:
        import onnx
        import onnx.inliner
        import onnx.reference
    except ImportError as error:
        raise ImportError(f"reading ONNX files needs the package onnx ({error}): pip install onnx") from error
    return onnx


@contextlib.contextmanager
def parsed(source, onnx):
    """(ModelProto, what to call it in errors) of a source; TypeError for what is none."""
    if isinstance(source, onnx.ModelProto):
        yield source, "the model"
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield _parse(io.BytesIO(source), onnx), "the model"
    elif hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes):
            raise TypeError("a file opened for reading bytes is wanted: open(path, 'rb')")
        yield _parse(io.BytesIO(data), onnx), str(getattr(source, "name", "the model"))
    else:
        with opened(source) as file:
            try:
                model = _parse(file, onnx)
                _load_external(model, onnx, pathlib.Path(source).parent)
            except ValueError as error:
                raise ModelFileError(f"{os.fspath(source)}: {error}") from None
            yield model, os.fspath(source)


def _parse(file, onnx):
    """The ModelProto in an open file."""
    from google.protobuf.message import DecodeError
    what = recognise(file)
    if what not in (None, ONNX):
        raise ModelFileError(f"{what}{': `lrp_core.load` reads it' * (what == OURS)}")
    size = file.seek(0, io.SEEK_END)
    if size > MAX_FILE:
        raise ModelFileError(f"larger than {MAX_FILE >> 30} GiB, which no ONNX file with its weights inside "
                             "can be")
    # The file itself, its messages, the arrays, and those in the order of axes that layers want.
    memory.check(4 * size, "reading the model", "use a smaller network, or a machine with more memory")
    file.seek(0)
    model, data = onnx.ModelProto(), file.read()
    try:
        check_fields(data, model.DESCRIPTOR)
        model.ParseFromString(data)
    except DecodeError as error:
        raise ModelFileError(f"not a readable ONNX file ({error}); export it again") from None
    return model


def _load_external(model, onnx, folder):
    """Put the weights that lie in files beside the model into it."""
    outside = [tensor for tensor in _tensors(model.graph) if is_external(tensor, onnx)]
    places, total = [], 0
    for tensor in outside:
        what = f"the initializer {quote(tensor.name)}"
        found = {entry.key: entry.value for entry in tensor.external_data}
        path = _beside(folder, found.get("location", ""), what)
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        size = math.prod(tensor.dims) * itemsize
        offset = _number(found.get("offset", "0"), what)
        length = _number(found.get("length", str(size)), what)
        if length != size or offset + length > path.stat().st_size:
            raise ModelFileError(f"{what} is declared as {tuple(tensor.dims)}, {size:,} bytes: "
                                 f"{quote(path.name)} does not hold them at byte {offset:,}; export the "
                                 "model again")
        places.append((path, offset, length))
        total += length
    memory.check(4 * total, "reading the weights", "use a smaller network, or a machine with more memory")
    for tensor, (path, offset, length) in zip(outside, places):
        with open(path, "rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT


def _beside(folder, location, what):
    """The path of a file in the model's folder, or in one within it; nothing else is opened."""
    root = folder.resolve()
    path = (root / location).resolve() if location and "\0" not in location else root
    if root not in path.parents:
        raise ModelFileError(f"{what} lies in {quote(location)}, which is not in the model's folder")
    if not path.is_file():
        raise ModelFileError(f"{what} lies in another file, {quote(location)}, which is missing: it belongs "
                             "beside the model")
    return path


def _number(text, what):
    if not text.isdigit() or len(text) > 18:
        raise ModelFileError(f"{what} lies at {quote(text)} of another file, which is no place")
    return int(text)


def _tensors(graph):
    """All tensors of a graph that may lie outside: initializers, and constants in nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)


def is_external(tensor, onnx):
    """Are a tensor's numbers in another file?"""
    return tensor.data_location == onnx.TensorProto.EXTERNAL or bool(tensor.external_data)


def inlined(model, onnx):
    """The model with its own functions put where they are called."""
    if not model.functions:
        return model
    sizes = {(f.domain, f.name): None for f in model.functions}
    bodies = {(f.domain, f.name): f.node for f in model.functions}

    def count(nodes, above):
        total = 0
        for node in nodes:
            key = node.domain, node.op_type
            if key in above:
                raise ModelFileError(f"the function {quote(node.op_type)} calls itself")
            if key in sizes:
                if sizes[key] is None:
                    sizes[key] = count(bodies[key], {*above, key})
                total += sizes[key]
            total += 1
        return total

    if len(bodies) > MAX_NODES or (found := count(model.graph.node, set())) > MAX_NODES:
        found = len(bodies) if len(bodies) > MAX_NODES else found
        raise ModelFileError(f"the model has {found:,} nodes with its functions: too many (at most "
                             f"{MAX_NODES:,})")
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # onnx raises RuntimeError and its own kinds
        raise ModelFileError(f"the model's functions cannot be inlined ({error}); export it again") from None
