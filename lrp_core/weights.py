"""The model file: one .npz that holds a network's layers, parameters and the facts that travel with them.

    network              JSON: {"format": "audio-lrp-network", "version": 1, "input_shape": [64, 64, 3],
                         "nodes": [{"name": "conv1a", "type": "Conv2D", "inputs": ["input"], "options": {...},
                                    "arrays": {"kernel": [3, 3, 3, 32], "bias": [32]}}, ...],
                         "class_names": [...] or null, "metadata": {...}, "reference": number of samples or 0}
    NODE/kernel, ...     float32 arrays in the declared shapes, or float16 ones, which are read as float32
    reference/input, reference/logits    inputs and the scores the exporting framework gave them, if any

Model files come from strangers. Nothing is unpickled; every entry's size is checked against its declared shape
before memory is taken for it; unknown versions, layer types, options and entries are refused by name.
"""
import json
import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from . import layers as L
from .network import Network, Node

FORMAT, VERSION = "audio-lrp-network", 1
STORAGE = ("float32", "float16")
MAX_DESCRIPTION = 1 << 24
MAX_PARAMETERS = 1 << 30

# What zipfile and its decompressors raise for damaged archives, and Python for descriptions of the wrong form.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, NotImplementedError, RuntimeError)
INVALID = (ValueError, TypeError, KeyError, AttributeError, OverflowError, SyntaxError, tokenize.TokenError)


class ModelFileError(ValueError):
    """A model file that cannot be used; the message names the file, what was found and what to do."""


def save(network, path, *, storage="float32"):
    """Write `network` to `path` (.npz), whole or not at all: to a temporary file first, which is then renamed.

    storage: "float32", or "float16" for half the size: each parameter is then rounded to 11 bits. Raises ValueError
    where one is too large for that.
    """
    if storage not in STORAGE:
        raise ValueError(f"storage must be one of {', '.join(STORAGE)}, found {storage!r}")
    path, arrays, nodes = os.fspath(path), {}, []
    for node in network.nodes:
        shapes = {}
        for name in node.layer.arrays:
            array = getattr(node.layer, name)
            if array is not None:
                shapes[name] = list(array.shape)
                arrays[f"{node.name}/{name}"] = rounded(array, storage, f"{node.name}/{name}")
        nodes.append({"name": node.name, "type": node.layer.type, "inputs": list(node.inputs), "arrays": shapes,
                      "options": {name: getattr(node.layer, name) for name in node.layer.options}})
    if network.reference is not None:
        arrays["reference/input"], arrays["reference/logits"] = (np.asarray(a, np.float32) for a in network.reference)
    description = {"format": FORMAT, "version": VERSION, "input_shape": network.input_shape, "nodes": nodes,
                   "class_names": network.class_names, "metadata": dict(network.metadata),
                   "reference": 0 if network.reference is None else len(network.reference[0])}
    partial = f"{path}.part"
    try:
        with open(partial, "wb") as file:
            np.savez_compressed(file, network=np.array(json.dumps(description)), **arrays)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def rounded(array, storage, name):
    """The array in the type it is stored in; what that type cannot hold is refused."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(array, storage)
    if not np.isfinite(stored).all():
        raise ValueError(f"the array {name!r} holds values that {storage} cannot (the largest is {np.abs(array).max():g})")
    return stored


def load(path):
    """Read a Network from a model file; raises ModelFileError (or FileNotFoundError) that says what is wrong."""
    path = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ModelFileError(f"{path}: not a file")
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive)
        except UNREADABLE as error:
            raise ModelFileError(f"{path}: not a readable .npz model file ({error}); export it again") from None
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
        except INVALID as error:
            raise ModelFileError(f"{path}: the description of the network is not valid: {error}") from None


def _read(archive):
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ModelFileError("an entry occurs twice")
    description = _description(archive)
    if description.get("format") != FORMAT:
        raise ModelFileError(f"not a model file of this program: format {description.get('format')!r}, not {FORMAT!r}")
    if description.get("version") != VERSION:
        raise ModelFileError(f"version {description.get('version')!r} is unknown, this program reads version {VERSION}; "
                             "update the program or export the model again")
    input_shape = L.check_shape(_shape(description["input_shape"]))
    declared = sum(math.prod(_shape(shape)) for entry in description["nodes"] for shape in entry["arrays"].values())
    if declared > MAX_PARAMETERS:
        raise ModelFileError(f"the description declares {declared:,} parameters: too large (at most {MAX_PARAMETERS:,})")
    nodes = [_node(archive, entry) for entry in description["nodes"]]
    expected = {"network.npy"} | {f"{entry['name']}/{name}.npy" for entry in description["nodes"] for name in entry["arrays"]}
    reference = None
    if description.get("reference"):
        expected |= {"reference/input.npy", "reference/logits.npy"}
        count = int(description["reference"])
        classes = Network(nodes, input_shape).shapes[nodes[-1].name]
        reference = (_array(archive, "reference/input", (count, *input_shape)),
                     _array(archive, "reference/logits", (count, *classes)))
    unknown = sorted(set(names) - expected)
    if unknown:
        raise ModelFileError(f"entries that the description does not name: {', '.join(unknown[:5])}")
    return Network(nodes, input_shape, class_names=description.get("class_names"),
                   metadata=description.get("metadata"), reference=reference)


def _description(archive):
    """The JSON under `network`, a 0-d text array."""
    try:
        info = archive.getinfo("network.npy")
    except KeyError:
        raise ModelFileError("there is no entry 'network'; not a model file of this program") from None
    if info.file_size > MAX_DESCRIPTION:
        raise ModelFileError(f"the entry 'network' is {info.file_size} bytes, more than any description needs")
    with archive.open(info) as stream:
        shape, _, dtype = _header(stream, "network")
        if shape != () or dtype.kind != "U" or dtype.itemsize > MAX_DESCRIPTION:
            raise ModelFileError(f"the entry 'network' must be a text, found {dtype} of shape {shape}")
        text = np.frombuffer(stream.read(dtype.itemsize), dtype)
    description = json.loads(str(text[0]))
    if not isinstance(description, dict):
        raise ModelFileError("the entry 'network' must hold a JSON object")
    return description


def _shape(value):
    if not isinstance(value, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value):
        raise ModelFileError(f"a shape must be a list of whole numbers above 0, found {value!r}")
    return tuple(value)


def as_tuples(value):
    """JSON's lists as tuples, at every depth."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def _node(archive, entry):
    """One Node from its JSON object and its arrays."""
    name, kind = entry["name"], entry["type"]
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        raise ModelFileError(f"a node needs a name and a type, found {name!r} and {kind!r}")
    if kind not in L.LAYER_TYPES:
        raise ModelFileError(f"node {name!r}: the layer type {kind!r} is unknown; known are {', '.join(L.LAYER_TYPES)}")
    cls = L.LAYER_TYPES[kind]
    unknown = [key for key in entry["options"] if key not in cls.options]
    unknown += [key for key in entry["arrays"] if key not in cls.arrays]
    if unknown:
        raise ModelFileError(f"node {name!r}: {kind} has no {unknown[0]!r}")
    options = {key: as_tuples(value) for key, value in entry["options"].items()}
    arrays = {key: _array(archive, f"{name}/{key}", _shape(shape)) for key, shape in entry["arrays"].items()}
    try:
        return Node(name, cls(**arrays, **options), tuple(entry["inputs"]))
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"node {name!r}: {error}") from None


def _header(stream, name):
    """(shape, is it stored by columns, dtype) from the head of a .npy entry."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ModelFileError(f"the array {name!r} has the unknown .npy version {version}")
    return (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(stream)


def _array(archive, name, shape):
    """The array of an entry as float32, whose header and size must agree with `shape` before anything is allocated."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ModelFileError(f"the array {name!r} is missing") from None
    with archive.open(info) as stream:
        found, fortran, dtype = _header(stream, name)
        if found != shape or dtype not in map(np.dtype, STORAGE) or fortran:
            raise ModelFileError(f"the array {name!r} must be {' or '.join(STORAGE)} of shape {shape}, row by row; "
                                 f"found {dtype} of {found}")
        size = math.prod(shape) * dtype.itemsize
        if info.file_size - stream.tell() != size:
            raise ModelFileError(f"the array {name!r} must hold {size} bytes, found {info.file_size - stream.tell()}")
        data = stream.read(size)
    if len(data) != size:
        raise ModelFileError(f"the array {name!r} ends after {len(data)} of {size} bytes")
    array = np.frombuffer(data, dtype).astype(np.float32, copy=False).reshape(shape)
    if not np.isfinite(array).all():
        raise ModelFileError(f"the array {name!r} holds NaN or infinity")
    return array
