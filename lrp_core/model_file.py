"""The model file: one .npz that holds a network's layers, parameters and the facts that travel with them.

    network              JSON: {"format": "audio-lrp-network", "version": 1, "input_shape": [64, 64, 3],
                         "nodes": [{"name": "conv1a", "type": "Conv2D", "inputs": ["input"], "options": {...},
                                    "arrays": {"kernel": [3, 3, 3, 32], "bias": [32]}}, ...],
                         "class_names": [...] or null, "metadata": {...}, "reference": number of samples or 0}
    NODE/kernel, ...     float32 arrays in the declared shapes, or float16 ones, which are read as float32
    reference/input, reference/logits    inputs and the scores the exporting framework gave them, if any

Model files come from strangers. Nothing is unpickled; what an entry declares is checked against its place in
the file, the network as a whole against `limits` and the machine's free memory, before memory is taken for
it; unknown versions, layer types, options and entries are refused by name.
"""
import json
import math
import os
import zipfile

import numpy as np

from . import layers as L
from . import memory
from .archive import STORAGE, Entries
from .checks import is_whole
from .files import INVALID, UNREADABLE, ModelFileError, opened, replacing
from .limits import MAX_AXES, MAX_DIGITS, MAX_ELEMENTS, MAX_NODES, MAX_PARAMETERS
from .network import Network, Node
from .recognise import ONNX, OURS, recognise
from .sizes import Budget
from .text import listing, quote

FORMAT, VERSION = "audio-lrp-network", 1


def save(network: Network, path: str | os.PathLike, *, storage: str = "float32") -> None:
    """Write `network` to `path` (.npz), whole or not at all: to a temporary file first, which is then
    renamed.

    storage: "float32", or "float16" for half the size: each parameter is then rounded to 11 bits. Raises
    ValueError where one is too large for that, and for layers that are not this package's own.
    """
    if storage not in STORAGE:
        raise ValueError(f"storage must be one of {', '.join(STORAGE)}, found {quote(storage)}")
    arrays, nodes = {}, []
    for node in network.nodes:
        if type(node.layer) is not L.LAYER_TYPES.get(node.layer.type):
            raise ValueError(f"node {quote(node.name)}: a model file cannot hold the layer "
                             f"{type(node.layer).__qualname__}, "
                             f"which is none of {', '.join(L.LAYER_TYPES)}")
        shapes = {}
        for name in node.layer.arrays:
            array = getattr(node.layer, name)
            if array is not None:
                shapes[name] = list(array.shape)
                arrays[f"{node.name}/{name}"] = rounded(array, storage, f"{node.name}/{name}")
        nodes.append({"name": node.name, "type": node.layer.type, "inputs": list(node.inputs),
                      "arrays": shapes,
                      "options": {name: plain(getattr(node.layer, name)) for name in node.layer.options}})
    if network.reference is not None:
        arrays["reference/input"], arrays["reference/logits"] = (np.asarray(a, np.float32)
                                                                 for a in network.reference)
    description = {"format": FORMAT, "version": VERSION, "input_shape": network.input_shape, "nodes": nodes,
                   "class_names": network.class_names, "metadata": dict(network.metadata or {}),
                   "reference": 0 if network.reference is None else len(network.reference[0])}
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, network=np.array(json.dumps(description)), **arrays)


def plain(value):
    """An option as JSON has it: NumPy's numbers as Python's, at every depth of a tuple."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.item() if isinstance(value, np.generic) else value


def rounded(array, storage, name):
    """The array in the type it is stored in; what that type cannot hold is refused."""
    with np.errstate(over="ignore"):
        stored = np.asarray(array, storage, order="C")
    if not np.isfinite(stored).all():
        raise ValueError(f"the array {quote(name)} holds values that {storage} cannot (the largest is "
                         f"{np.abs(array).max():g})")
    return stored


def load(path: str | os.PathLike) -> Network:
    """Read a Network from a model file; raises ModelFileError (or FileNotFoundError) that says what is wrong.

    TypeError where `path` is no path.
    """
    with opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(Entries(archive, os.fstat(file.fileno()).st_size))
        except (*UNREADABLE, _NotOurs) as error:
            what = recognise(file)
            if what not in (None, OURS):
                more = ": `lrp_core.from_onnx` reads it, and `save` makes a model file of it" * (what == ONNX)
                raise ModelFileError(f"{path}: {what}{more}") from None
            raise ModelFileError(f"{path}: not a readable .npz model file ({error}); export it "
                                 "again") from None
        except (ModelFileError, memory.TooLarge) as error:
            raise ModelFileError(f"{path}: {error}") from None
        except INVALID as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ModelFileError(f"{path}: the description of the network is not valid: {what}") from None


class _NotOurs(ModelFileError):
    """There is no network in the archive."""


def _read(entries):
    if "network" not in entries:
        raise _NotOurs("there is no entry 'network'")
    description = _description(entries)
    if description.get("format") != FORMAT:
        found = quote(description.get("format"))
        raise ModelFileError(f"not a model file of this program: format {found}, not {FORMAT!r}")
    if description.get("version") != VERSION:
        raise ModelFileError(f"version {quote(description.get('version'))} is unknown, this program reads "
                             "version "
                             f"{VERSION}; update the program or export the model again")
    if (count := len(description["nodes"])) > MAX_NODES:
        raise ModelFileError(f"the description has {count:,} nodes: too many (at most {MAX_NODES:,})")
    input_shape, shapes = L.check_shape(_shape(description["input_shape"])), _shapes(description)
    count = _count(description)
    arrays = {f"{node['name']}/{name}" for node in description["nodes"] for name in node["arrays"]}
    unknown = entries.unknown({"network", *arrays,
                               *(["reference/input", "reference/logits"] if count else [])})
    if unknown:
        raise ModelFileError(f"entries that the description does not name: {listing(unknown, 5)}")
    numbers = sum(map(math.prod, shapes)) + count * math.prod(input_shape)
    if numbers > MAX_PARAMETERS:
        raise ModelFileError(f"the description declares {numbers:,} parameters and reference numbers: too "
                             "large "
                             f"(at most {MAX_PARAMETERS:,})")
    # An array is there twice for a moment: as it is stored and as the layer keeps it. float16 becomes
    # float32.
    memory.check(2 * entries.expanded, "reading its arrays",
                 "use a smaller network, or a machine with more memory")
    network = Network([_node(entries, entry) for entry in description["nodes"]], input_shape,
                      class_names=description.get("class_names"), metadata=description.get("metadata"))
    check_budget(network)
    if not count:
        return network
    classes = network.shapes[network.nodes[-1].name]
    return network.replace(reference=(entries.array("reference/input", (count, *input_shape)),
                                      entries.array("reference/logits", (count, *classes))))


def check_budget(network):
    """Refuse a network from a file that is too large to be meant (see `sizes.Budget`); names the node."""
    budget = Budget()
    for node in network.nodes:
        try:
            budget.add(node.layer, [network.shapes[name] for name in node.inputs], network.shapes[node.name])
        except ValueError as error:
            raise ModelFileError(f"node {quote(node.name)}: {error}") from None


def _description(entries):
    """The JSON under `network`."""
    description = json.loads(entries.text("network"), parse_int=_whole)
    if not isinstance(description, dict):
        raise ModelFileError("the entry 'network' must hold a JSON object")
    return description


def _whole(digits):
    """A whole number of the description."""
    if len(digits) > MAX_DIGITS:
        raise ModelFileError(f"the description holds a number of {len(digits):,} digits ({digits[:5]}...)")
    return int(digits)


def _shapes(description):
    """The declared shapes of all parameters."""
    return [_shape(shape) for node in description["nodes"] for shape in node["arrays"].values()]


def _shape(value):
    if not isinstance(value, list) or not all(is_whole(n) and n > 0 for n in value):
        raise ModelFileError(f"a shape must be a list of whole numbers above 0, found {quote(value)}")
    if len(value) > MAX_AXES + 1 or max(value, default=1) > MAX_ELEMENTS:
        raise ModelFileError(f"the shape {quote(value)} is too large (at most {MAX_ELEMENTS:,} on each of "
                             f"{MAX_AXES + 1} axes)")
    return tuple(value)


def _count(description):
    """How many reference inputs there are."""
    count = description.get("reference") or 0
    if not is_whole(count) or count < 0:
        raise ModelFileError(f"'reference' must be the number of reference inputs, found {quote(count)}")
    return count


def as_tuples(value):
    """JSON's lists as tuples, at every depth."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def _node(entries, entry):
    """One Node from its JSON object and its arrays."""
    name, kind = entry["name"], entry["type"]
    if not isinstance(name, str) or not name or not isinstance(kind, str):
        raise ModelFileError(f"a node needs a name and a type, found {quote(name)} and {quote(kind)}")
    if kind not in L.LAYER_TYPES:
        raise ModelFileError(f"node {quote(name)}: the layer type {quote(kind)} is unknown; known are "
                             f"{', '.join(L.LAYER_TYPES)}")
    cls = L.LAYER_TYPES[kind]
    unknown = [key for key in entry["options"] if key not in cls.options]
    unknown += [key for key in entry["arrays"] if key not in cls.arrays]
    if unknown:
        raise ModelFileError(f"node {quote(name)}: {kind} has no {quote(unknown[0])}")
    options = {key: as_tuples(value) for key, value in entry["options"].items()}
    arrays = {key: entries.array(f"{name}/{key}", _shape(shape)) for key, shape in entry["arrays"].items()}
    try:
        return Node(name, cls(**arrays, **options), tuple(entry["inputs"]))
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"node {quote(name)}: {error}") from None
