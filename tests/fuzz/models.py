"""Model files with something wrong inside: in the description, in an array, in the archive."""
import io
import json
import re
import struct
import warnings
import zipfile

import numpy as np
from forge import npy

from .mutate import NUMBERS, TEXTS, altered, damaged, pick

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
PLAIN = ("ReLU", "Tanh", "GELU", "SiLU", "Softmax", "Sigmoid", "Flatten", "Dropout", "GlobalMaxPool2D",
         "UpSampling2D", "MaxPool2D",
         "AveragePool1D", "ELU")  # layers that need neither arrays nor options
OPTIONS = (1, 2, 3, 4, [1, 1], [1, 2], [2, 3], [3, 1], "same", "valid", [[0, 1], [1, 0]], [[2, 2], [2, 2]],
           [2, 1, 3], [-1], 0, -1, True, 0.5)


def model(rng, data, others):
    """A model file with one to three things changed; most of them leave it readable, or nearly so."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    method = zipfile.ZIP_DEFLATED
    for _ in range(rng.integers(1, 4)):
        what = rng.integers(20)
        if what < 6:
            entries = [(name, _described(rng, entry, json_node)) if name == "network.npy" else (name, entry)
                       for name, entry in entries]
        elif what < 9:
            entries = [(name, _described(rng, entry, json_tree)) if name == "network.npy" else (name, entry)
                       for name, entry in entries]
        elif what < 18:
            entries = _array(rng, entries, others)
        elif what < 19:
            entries = _entries(rng, entries)
        else:
            method = pick(rng, METHODS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that occur twice
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, entry in entries:
                archive.writestr(zipfile.ZipInfo(name), bytes(entry), method)  # without the time of day
    return buffer.getvalue() if rng.random() < 0.9 else damaged(rng, buffer.getvalue(), others)


def _array(rng, entries, others):
    """The entries with one of them changed: its numbers, its header, or any bytes."""
    at = int(rng.integers(len(entries)))
    name, entry = entries[at]
    what = rng.integers(9)
    if what < 6 and name != "network.npy":
        begin = 10 + int.from_bytes(entry[8:10], "little")
        entry = entry[:begin] + altered(rng, entry[begin:], "<f2" if b"'<f2'" in entry[:begin] else "<f4")
    elif what < 8:
        entry = _header(rng, entry)
    else:
        entry = bytes(damaged(rng, entry, others))
    return [*entries[:at], (name, entry), *entries[at + 1:]]


def _described(rng, entry, change):
    """The entry "network" with the JSON in it changed; as it is where it no longer holds any."""
    try:
        begin = 10 + int.from_bytes(entry[8:10], "little")
        text = json.dumps(change(rng, json.loads(entry[begin:].decode("utf-32-le", "replace").rstrip("\0"))))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        return entry
    if rng.random() < 0.02:
        text = re.sub(r"\d+", "9" * int(10 ** rng.uniform(1, 5)), text, count=int(rng.integers(1, 4)))
    return npy(np.array(text))


def json_node(rng, tree):
    """A description with one node changed as a person might write it: options, inputs, order, layers more or
    fewer.
    """
    nodes = tree["nodes"]
    at, what = int(rng.integers(len(nodes))), rng.integers(6)
    names = ["input", *(node["name"] for node in nodes)]
    if what == 0 and nodes[at]["options"]:
        nodes[at]["options"][pick(rng, sorted(nodes[at]["options"]))] = pick(rng, OPTIONS)
    elif what == 1:
        nodes[at]["inputs"] = [pick(rng, names[:at + 2]) for _ in nodes[at]["inputs"]]
    elif what == 2:
        other = int(rng.integers(len(nodes)))
        nodes[at], nodes[other] = nodes[other], nodes[at]
    elif what == 3:
        reads = nodes[at]["inputs"]
        for node in nodes:
            node["inputs"] = [reads[0] if name == nodes[at]["name"] else name for name in node["inputs"]]
        del nodes[at]
    elif what == 4:
        name = f"new {rng.integers(1000)}"
        for node in nodes[at + 1:]:
            node["inputs"] = [name if one == nodes[at]["name"] else one for one in node["inputs"]]
        nodes.insert(at + 1, {"name": name, "type": pick(rng, PLAIN), "inputs": [nodes[at]["name"]],
                              "options": {}, "arrays": {}})
    else:
        tree["input_shape"] = [int(n * pick(rng, (1, 1, 1, 2, 3, 100))) for n in tree["input_shape"]]
        tree["reference"] = pick(rng, (0, tree["reference"]))
    return tree


def json_tree(rng, tree):
    """A JSON value with one value in it changed, wherever it lies."""
    places = []

    def walk(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                walk(value[key])
    if isinstance(tree, (dict, list)):
        walk(tree)
    if not places:
        return pick(rng, (*NUMBERS, *TEXTS))
    container, key = pick(rng, places)
    old, what = container[key], rng.integers(10)
    if what < 4:
        other, other_key = pick(rng, places)
        container[key] = other[other_key] if rng.random() < 0.5 else pick(rng, (*NUMBERS, *TEXTS))
    elif what < 6 and isinstance(old, (int, float)) and not isinstance(old, bool):
        container[key] = (
            old + pick(rng, (-1, 1))
            if rng.random() < 0.5
            else old * pick(rng, (-1, 0, 2, 1000, 65_536, 10**9))
        )
    elif what < 7:
        del container[key]
    elif what < 8 and isinstance(container, list):
        container.insert(key, old)
    elif what < 9 and isinstance(old, list):
        container[key] = old * int(rng.integers(2, 9))
    else:
        container[key] = pick(rng, ([], {}, [[]], [old], {"a": old}, [[[[old]]]]))
    try:
        json.dumps(tree)
    except (ValueError, RecursionError):  # a value that now holds itself
        container[key] = None
    return tree


def _header(rng, entry):
    """An array's entry whose header says something else about what follows."""
    if len(entry) < 10 or not entry.startswith(b"\x93NUMPY"):
        return entry
    length = int.from_bytes(entry[8:10], "little")
    text = entry[10:10 + length].decode("latin-1")
    change = pick(
        rng,
        (
            lambda: re.sub(
                r"\d+",
                lambda found: str(pick(rng, [n for n in NUMBERS if isinstance(n, int)])),
                text,
                count=int(rng.integers(1, 5)),
            ),
            lambda: text.replace(
                "<f4",
                pick(rng, (">f4", "<f8", "|O", "<U7", "|V9", "<c8", "<f2", "|S99999999", "[('a', '<f4')]")),
            ),
            lambda: text.replace("False", "True"),
            lambda: text.replace("(", "(" * int(rng.integers(1, 400))),
            lambda: re.sub(
                r"\(.*\)",
                "(" + pick(rng, ("-", "(", "1,", "[", "{", "~")) * int(2 ** rng.uniform(0, 15)),
                text,
            ),
            lambda: text[: len(text) // 2],
        ),
    )
    header = change().encode("latin-1")[:65_535]
    version = bytes(pick(rng, ((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (0, 0))))
    size = struct.pack("<H", len(header)) if version[0] < 2 else struct.pack("<I", len(header))
    return b"\x93NUMPY" + version + size + header + entry[10 + length:]


def _entries(rng, entries):
    at, other = (int(rng.integers(len(entries))) for _ in range(2))
    name, data = entries[at]
    what = rng.integers(4)
    if what == 0 and len(entries) > 1:
        return entries[:at] + entries[at + 1:]
    if what == 1:
        return [*entries, (pick(rng, (name, "evil.npy", "../evil", f"{name}/x", "\x1b[2J.npy")), data)]
    if what == 2:
        return [*entries[:at], (name, entries[other][1]), *entries[at + 1:]]
    return [*entries[:at], (name.replace("/", "\\"), data), *entries[at + 1:]]
