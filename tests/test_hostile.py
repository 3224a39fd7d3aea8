"""Model files made to fill the memory, to take forever, or to write on a terminal: refused at once, in clean
words.
"""
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from forge import Forge, header_of, npy

import lrp_core
from lrp_core import memory, text
from lrp_core.limits import MAX_PARAMETERS, MAX_SAMPLE

ESCAPE = "\x1b[2J" + "n" * 60_000


@pytest.fixture
def forge(tmp_path):
    return Forge(tmp_path / "net.npz")


def described(**facts):
    """The JSON of a network with a single ReLU, or with other facts."""
    node = {"name": "relu", "type": "ReLU", "inputs": ["input"], "options": {}, "arrays": {}}
    return {"format": "audio-lrp-network", "version": 1, "input_shape": [4], "nodes": [node],
            "class_names": None, "metadata": {},
            "reference": 0} | facts


def layer(kind, *, arrays=None, **options):
    """The JSON of a node."""
    return {"name": kind.lower(), "type": kind, "inputs": ["input"], "options": options, "arrays": arrays
            or {}}


def refused(work, match, *, seconds=2.0, megabytes=100):
    """The message of the ModelFileError that `work` raises, soon, with little memory, and in clean words."""
    tracemalloc.start()
    try:
        start = os.times().user
        with pytest.raises(lrp_core.ModelFileError, match=match) as raised:
            work()
        assert os.times().user - start < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1e6
    finally:
        tracemalloc.stop()
    message = str(raised.value)
    assert message.isprintable() and len(message) < 2500
    return message


def write(path, description, method=zipfile.ZIP_DEFLATED, **entries):
    """A model file of a description (JSON, or the text of it) and raw entries."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("network.npy", npy(np.array(description if isinstance(description, str)
                                                     else json.dumps(description))))
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/") + ".npy", data)
    return path


NUMBERS = {
    "an input of two million digits": (
        json.dumps(described()).replace("[4]", f"[{'9' * 2_000_000}]"),
        "2,000,000 digits",
    ),
    "a shape of thousands of digits": (
        json.dumps(described(nodes=[layer("Dense", arrays={"kernel": ["K"]})])).replace(
            '"K"', ", ".join(["9" * 4000] * 1000)
        ),
        "4,000 digits",
    ),
    "a shape of many axes": (
        described(nodes=[layer("Dense", arrays={"kernel": [2**31] * 100_000})]),
        "too large",
    ),
    "an input of many axes": (described(input_shape=[2**31] * 100_000), "too large"),
    "a reshape of many axes": (described(nodes=[layer("Reshape", shape=[10**18] * 100_000)]), "100,000 axes"),
    "an option of many digits": (
        json.dumps(described(nodes=[layer("Scale", factor=7)])).replace("7", "7" * 100_000),
        "digits",
    ),
    "very many nodes": (described(nodes=[layer("ReLU")] * 2 + ["x"] * 200_000), "200,002 nodes"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_absurd_numbers_are_refused_at_once(tmp_path, case):
    description, match = NUMBERS[case]
    path = write(tmp_path / "net.npz", description)
    refused(lambda: lrp_core.load(path), match)


LARGE = {
    "pixels repeated": ([64, 64, 3], layer("UpSampling2D", size=[400, 400]), "'upsampling2d'.*too large"),
    "a wide margin": ([8, 8, 3], layer("ZeroPadding2D", margin=[[65536, 0], [65536, 0]]),
                      "'zeropadding2d'.*too large"),
    "a pool with more padding than map": ([1, 1, 1],
                                          layer("AveragePool2D", pool_size=[60_000, 16_000], padding="same"),
                                          "'averagepool2d'.*padding around"),
    "a pool of a million positions": ([1, 1, 1], layer("MaxPool2D", pool_size=[1024, 1024], padding="same"),
                                      "'maxpool2d'.*positions"),
}


@pytest.mark.parametrize("case", LARGE)
def test_small_files_that_mean_large_arrays_are_refused(tmp_path, case):
    shape, node, match = LARGE[case]
    flat = layer("GlobalAveragePool2D") | {"inputs": [node["name"]]}
    path = write(tmp_path / "net.npz", described(input_shape=shape, nodes=[node, flat]))
    assert path.stat().st_size < 1000
    refused(lambda: lrp_core.load(path), match)


def test_padding_counts_and_not_only_what_comes_out(tmp_path):
    """690 bytes: one output, and 384 GiB of zeros around the input on the way to it."""
    node = layer("Conv2D", arrays={"kernel": [1, 1, 3, 2]}, padding=[[65536, 65536], [65536, 65536]],
                 strides=[65536, 65536])
    path = write(tmp_path / "net.npz", described(input_shape=[8, 8, 3], nodes=[node, layer("GlobalMaxPool2D")
                                                                               | {"inputs": ["conv2d"]}]),
                 conv2d__kernel=npy(np.ones((1, 1, 3, 2), np.float32)))
    refused(lambda: lrp_core.load(path), f"'conv2d'.*padding around it.*{MAX_SAMPLE}")


def test_the_bounds_are_those_of_onnx_files(tmp_path):
    """2^26 numbers are read from either kind of file, one row more from neither."""
    onnx_models = pytest.importorskip("onnx_models")
    for rows, readable in ((8192, True), (8193, False)):
        nodes = [layer("ReLU"), layer("GlobalMaxPool2D") | {"inputs": ["relu"]}]
        ours = write(tmp_path / "net.npz", described(input_shape=[rows, 8192, 1], nodes=nodes))
        model = onnx_models.make([onnx_models.node("Relu", "x", "r"),
                                  onnx_models.node("GlobalMaxPool", "r", "p"),
                                  onnx_models.node("Flatten", "p")], {}, (1, rows, 8192))
        theirs = onnx_models.save(tmp_path, model)
        for read, path, shape in ((lrp_core.load, ours, (rows, 8192, 1)),
                                  (lrp_core.from_onnx, theirs, (1, rows, 8192))):
            if readable:
                assert read(path).input_shape == shape
            else:
                refused(lambda: read(path), "too large")


def test_entries_cannot_declare_more_than_their_bytes_hold(tmp_path):
    """A reference of a billion samples, in a file of a few hundred bytes."""
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("network.npy", npy(np.array(json.dumps(described(reference=10**8)))))
        for name in ("input", "logits"):
            archive.writestr(f"reference/{name}.npy", header_of((10**8, 4)))
        for info in archive.infolist()[1:]:
            info.file_size = 128 + 16 * 10**8  # as the directory at the end of the file says
    refused(lambda: lrp_core.load(path), "'reference/input.npy' declares 1,600,000,128 bytes")


def test_entries_cannot_be_larger_than_the_file(tmp_path):
    """Not the compressed ones either: what each may expand to is worked out from them."""
    path = write(tmp_path / "net.npz", described(), evil=b"")
    with zipfile.ZipFile(path, "a") as archive:
        archive.infolist()[1].compress_size, archive.infolist()[1].file_size = 10**7, 10**9
        archive.writestr("last.npy", b"")  # the directory is written anew
    refused(lambda: lrp_core.load(path), "larger than the file")


def test_reference_arrays_count_as_parameters_do(tmp_path):
    count = MAX_PARAMETERS // 4
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", described(reference=count + 1))),
            "reference numbers: too large")
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", described(reference=count))),
            "'reference/input' is missing")


@pytest.mark.parametrize("reference", [-1, 1.5, True, "2", [2]])
def test_the_number_of_reference_inputs_is_a_number(tmp_path, reference):
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", described(reference=reference))),
            "'reference' must be")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_numpy_writes_is_decompressed(tmp_path, method):
    """bz2 makes gigabytes of zeros a few kilobytes; DEFLATE is bounded at 1032 to 1, and zeros are legal
    weights.
    """
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", described(), method)),
            "'network.npy' is compressed by")
    zeros = described(nodes=[layer("Dense", arrays={"kernel": [4, 2**20]})])
    path = write(tmp_path / "zeros.npz", zeros, dense__kernel=header_of((4, 2**20)) + bytes(2**24))
    assert path.stat().st_size < 20_000 and not lrp_core.load(path)["dense"].layer.kernel.any()


def test_a_file_that_would_fill_the_memory_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 100_000_000)
    zeros = described(nodes=[layer("Dense", arrays={"kernel": [4, 2**23]})])
    path = write(tmp_path / "net.npz", zeros, dense__kernel=header_of((4, 2**23)) + bytes(2**27))
    refused(lambda: lrp_core.load(path), "0.3 GB, 0.1 GB are free")
    onnx_models = pytest.importorskip("onnx_models")
    model = onnx_models.make([onnx_models.node("MatMul", "x w")], {"w": np.zeros((4, 2**23), np.float32)},
                             (4,))
    path = onnx_models.save(tmp_path, model)
    del model
    refused(lambda: lrp_core.from_onnx(path), "0.5 GB, 0.1 GB are free")


# ---- exceptions that escaped

@pytest.mark.parametrize("order", "<>")
def test_code_points_that_are_no_characters(forge, order):
    forge.entries["network.npy"] = header_of((), f"{order}U3") + np.array([0x7B, 0x110000, 0x7D],
                                                                          f"{order}u4").tobytes()
    refused(forge.load, "'network' is not a text")


@pytest.mark.parametrize("order", "<>")
def test_descriptions_are_read_in_either_order_of_bytes(forge, order):
    described_here = npy(np.array(json.dumps(forge.description),
                                  f"{order}U{len(json.dumps(forge.description)) + 5}"))
    forge.entries["network.npy"] = described_here
    assert forge.load().nodes[0].name == "conv"


HEADERS = {"minus signs": "-" * 9000 + "1,", "brackets": "(" * 3000, "few brackets": "(" * 150,
           "nested": "(" * 90 + ")" * 90, "a number": "9" * 9000,
           "nothing": "", "a name": "x,", "a call": "f(),"}


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00"])
@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_overwhelm_the_parser(forge, case, version):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({HEADERS[case]}), }}".encode()
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    forge.entries["dense/kernel.npy"] = b"\x93NUMPY" + version + size + header
    refused(forge.load, "'dense/kernel'")


def test_a_header_that_says_it_is_gigabytes_long(forge):
    forge.entries["dense/kernel.npy"] = b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little") + bytes(1000)
    refused(forge.load, "'dense/kernel' has a header of 4,294,967,295 bytes")


# ---- text

NAMES = {
    "a node": described(nodes=[layer("ReLU") | {"name": ESCAPE, "inputs": ["nowhere"]}]),
    "a node twice": described(nodes=[layer("ReLU") | {"name": ESCAPE}] * 2),
    "a type": described(nodes=[layer("ReLU") | {"type": ESCAPE}]),
    "an option": described(nodes=[layer("ReLU", **{ESCAPE: 1})]),
    "a value": described(nodes=[layer("LeakyReLU", slope=ESCAPE)]),
    "a padding": described(input_shape=[4, 4, 1], nodes=[layer("MaxPool2D", padding=ESCAPE)]),
    "a large size": described(input_shape=[4, 4, 1], nodes=[layer("MaxPool2D", pool_size=[1] * 60_000)]),
    "an input": described(nodes=[layer("ReLU") | {"inputs": [ESCAPE] * 10}]),
    "an array": described(nodes=[layer("ReLU") | {"name": "relu", "arrays": {ESCAPE: [1]}}]),
    "a missing array": described(nodes=[layer("Dense", arrays={"kernel": [4, 4]}) | {"name": ESCAPE}]),
    "class names": described(class_names=[ESCAPE] * 4),
    "class names as one": described(class_names=ESCAPE),
    "a format": described(format=ESCAPE),
    "a version": described(version=ESCAPE),
    "a reference": described(reference=ESCAPE),
    "a shape": described(input_shape=[ESCAPE]),
    "another key": {ESCAPE: 1},
}


@pytest.mark.parametrize("case", NAMES)
def test_text_from_files_is_shortened_and_cleaned_in_messages(tmp_path, case):
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", NAMES[case])), "net.npz")


def test_names_of_entries_are_shortened_and_cleaned(tmp_path):
    refused(lambda: lrp_core.load(write(tmp_path / "net.npz", described(), **{ESCAPE: b""})),
            r"does not name: \\x1b\[2Jnn.*\.\.\.n")


def test_names_of_nodes_and_classes_are_clean_in_tables_and_errors():
    """Of networks that can be read: what is printed of them, and what is said of wrong arguments."""
    network = lrp_core.Network([(ESCAPE, lrp_core.layers.ReLU()), ("\x1b]0;", lrp_core.layers.Softmax())],
                               (2,), class_names=[ESCAPE, "\x07"])
    x = np.float32([1, 2])
    for said in (network.summary(), str(lrp_core.explain(network, x).ledger),
                 lrp_core.PRESETS["epsilon"].table(network)):
        assert all(line.isprintable() and len(line) < 200 for line in said.split("\n"))
    for options in ({"stop": ESCAPE + "x"}, {"keep": {ESCAPE + "x": 0}}, {"start": (ESCAPE, 7)},
                    {"target": ESCAPE + "x"}, {"rules": ESCAPE},
                    {"rules": [(ESCAPE + "x", lrp_core.Epsilon())]},
                    {"rules": [(lrp_core.up_to(ESCAPE + "x"), lrp_core.Epsilon())]}):
        with pytest.raises((ValueError, TypeError)) as raised:
            lrp_core.explain(lrp_core.Network([*network.nodes[:1],
                                               ("dense", lrp_core.layers.Dense(np.ones((2, 2), np.float32)))],
                                               (2,),
                                              class_names=[ESCAPE, "\x07"]), x, **options)
        assert str(raised.value).isprintable() and len(str(raised.value)) < 1000
    with pytest.raises(KeyError) as raised:
        network["nowhere"]
    assert len(str(raised.value)) < 1000


def test_quoting_and_listing():
    assert (text.quote("conv1") == "'conv1'" and text.quote("a\n\x1b\ud800") == r"'a\n\x1b\ud800'"
            and text.quote(3) == "3")
    assert len(text.quote("x" * 10**6)) < 210 and text.quote("x" * 10**6).count("...") == 1
    assert len(text.quote(["x" * 10**6])) < 210
    assert text.listing(["a", "b\x07"]) == r"a, b\x07" and text.listing([]) == ""
    assert text.listing(map(str, range(1000)), 3) == "0, 1, 2, ... (1,000 in all)"


def test_whatever_an_error_quotes_is_clean(tmp_path):
    """The name of the file, too; and errors outlive a pickle, as they go from a process to another."""
    with pytest.raises(lrp_core.ModelFileError) as raised:
        lrp_core.load(write(tmp_path / "\x1b[2Jn\u202eet.npz", {}))
    assert r"\x1b[2Jn\u202eet.npz: not a model file" in str(raised.value) and str(raised.value).isprintable()
    error = lrp_core.ModelFileError(f"a\n{ESCAPE}")
    assert str(error).isprintable() and len(str(error)) < 2100
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_networks_made_in_python_quote_names_alike():
    relu = lrp_core.layers.ReLU()
    for nodes in ([(ESCAPE, relu), (ESCAPE, relu)], [("a", relu, [ESCAPE] * 1000)],
                  [(ESCAPE, relu, ("input",) * 2)], [(ESCAPE, lrp_core.layers.MaxPool2D())]):
        with pytest.raises(ValueError) as raised:
            lrp_core.Network(nodes, (2,))
        assert str(raised.value).isprintable() and len(str(raised.value)) < 600


# ---- what is no regular file, or no path

@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_pipes_and_devices_are_not_waited_for(tmp_path, any_reader):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        refused(lambda: any_reader(path), "not a file but a pipe, socket or device")
    refused(lambda: any_reader(tmp_path), "not a file but a folder")


@pytest.mark.parametrize("content", [b"\x08\x08" * 10**6, bytearray(10**6), memoryview(bytes(10**6)), 12,
                                     None, ["net.npz"]])
def test_what_is_no_path_is_refused_and_not_shown(any_reader, content):
    if any_reader is lrp_core.from_onnx and not isinstance(content, (int, list, type(None))):
        pytest.skip("from_onnx takes bytes as the file itself")
    with pytest.raises(TypeError, match="the path of a file is wanted") as raised:
        any_reader(content)
    assert len(str(raised.value)) < 150
    assert isinstance(content, (int, list, type(None))) or "000,000 bytes" in str(raised.value)


@pytest.mark.parametrize("path", ["x" * 10**6, "a\0b"])
def test_paths_that_no_system_has(any_reader, path):
    refused(lambda: any_reader(path), "is not the path of a file")


@pytest.fixture(params=["load", "from_onnx"])
def any_reader(request):
    if request.param == "from_onnx":
        pytest.importorskip("onnx")
    return getattr(lrp_core, request.param)
