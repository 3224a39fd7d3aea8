"""The model file: what is written is read, and files from strangers end in a clear error."""
import json
import pickle
import zipfile

import numpy as np
import pytest
from forge import Forge, header_of, small_network

import lrp_core
from lrp_core import layers as L

RNG = np.random.default_rng(0)


def test_what_is_saved_is_loaded(tmp_path):
    x = RNG.random((2, 8, 9, 3), np.float32)
    network = small_network(class_names=["a", "b", "ć"],
                            metadata={"licence": "none", "training": {"seed": 1}})
    network = network.replace(reference=(x, network.logits(x)))
    network.save(tmp_path / "net.npz")
    same = lrp_core.load(tmp_path / "net.npz")
    assert same.summary() == network.summary()
    assert (same.class_names, same.metadata, same.input_shape) == (network.class_names, network.metadata,
                                                                   network.input_shape)
    for ours, theirs in zip(network.nodes, same.nodes):
        assert (ours.name, ours.inputs, ours.layer.type) == (theirs.name, theirs.inputs, theirs.layer.type)
        for name in (*ours.layer.options, *ours.layer.arrays):
            np.testing.assert_array_equal(getattr(ours.layer, name), getattr(theirs.layer, name))
    np.testing.assert_array_equal(same.logits(x), network.logits(x))
    np.testing.assert_array_equal(same.reference[1], network.reference[1])
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


def test_the_file_is_plain_npz(tmp_path):
    small_network().save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        description = json.loads(str(arrays["network"]))
        assert arrays["conv/kernel"].shape == (3, 2, 3, 4) and arrays["conv/kernel"].dtype == np.float32
    assert description["format"] == "audio-lrp-network" and description["version"] == 1


def test_half_storage_rounds_each_parameter_and_computes_in_float32(tmp_path):
    network = small_network()
    network.save(tmp_path / "net.npz", storage="float16")
    same = lrp_core.load(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert arrays["conv/kernel"].dtype == np.float16
    for ours, theirs in zip(network.nodes, same.nodes):
        for name in theirs.layer.arrays:
            array = getattr(theirs.layer, name)
            if array is not None:
                assert array.dtype == np.float32
                np.testing.assert_array_equal(array, getattr(ours.layer, name).astype(np.float16))
    same.save(tmp_path / "again.npz", storage="float16")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "net.npz").read_bytes()


def test_storage_that_cannot_hold_a_parameter_is_refused(tmp_path):
    network = lrp_core.Network([("far", L.Dense(np.array([[1.0], [70_000.0]], np.float32)))], (2,))
    with pytest.raises(ValueError, match="far/kernel.*float16.*70000"):
        network.save(tmp_path / "net.npz", storage="float16")
    with pytest.raises(ValueError, match="float8"):
        network.save(tmp_path / "net.npz", storage="float8")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.npz"
    small_network().save(path)
    before = path.read_bytes()
    broken = small_network(metadata={"not": {1, 2}})  # a set is no JSON
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.npz"]


@pytest.fixture
def forge(tmp_path):
    return Forge(tmp_path / "net.npz")


def change(entry, **values):
    entry.update(values)


HOSTILE = {
    "no description": (lambda f: change(f.entries, **{"network.npy": b""}), "net.npz"),
    "description is a number": (lambda f: change(f.entries, **{"network.npy": f.npy(np.array(3.0))}),
                                "must be a text"),
    "description is no JSON": (lambda f: change(f.entries, **{"network.npy": f.npy(np.array("{"))}),
                               "not valid"),
    "description is a list": (lambda f: change(f.entries, **{"network.npy": f.npy(np.array("[]"))}),
                              "JSON object"),
    "description is nested too deep": (lambda f: change(f.entries,
                                                        **{"network.npy": f.npy(np.array("[" * 200_000))}),
                                                        "net.npz"),
    "description is huge": (lambda f: change(f.entries, **{"network.npy": header_of((), "<U9000000")
                                                           + bytes(36_000_000)}), "bytes"),
    "a description that promises too much": (lambda f: change(f.entries,
                                                              **{"network.npy": header_of((10**14,), "<U1")}),
                                                              "must be a text"),
    "many large arrays": (lambda f: [node.update(arrays={"kernel": [2**15, 2**15], "bias": [3]})
                                     for node in (f.node("dense"),)], "parameters"),
    "a difference of three": (lambda f: change(f.node("relu"), type="Subtract", inputs=["conv"] * 3),
                              "'relu'.*two inputs"),
    "an axis that is true": (lambda f: change(f.node("relu"), type="Concatenate", inputs=["conv"] * 2,
                                              options={"axis": True}), "'relu'.*axis"),
    "names as a text": (lambda f: (f.node("conv"), change(f.description, class_names="abc")), "class_names"),
    "a pickle": (lambda f: change(f.entries, **{"dense/kernel.npy": f.npy(np.array([[object()]], object))}),
                 "dense/kernel"),
    "a pickled description": (lambda f: change(f.entries,
                                               **{"network.npy": f.npy(np.array({"a": 1}, object))}),
                                               "net.npz"),
    "another format": (lambda f: (f.node("conv"), change(f.description, format="other")), "'other'"),
    "a later version": (lambda f: (f.node("conv"), change(f.description, version=2)), "version 2"),
    "an unknown layer": (lambda f: change(f.node("conv"), type="Lambda"), "'conv'.*'Lambda'"),
    "an unknown option": (lambda f: change(f.node("conv"), options={"code": "x"}), "'conv'.*'code'"),
    "an unknown array": (lambda f: change(f.node("relu"), arrays={"kernel": [1]}), "'relu'.*'kernel'"),
    "strides of 0": (lambda f: change(f.node("conv"), options={"strides": [0, 1], "padding": "same"}),
                     "'conv'.*strides"),
    "strides as text": (lambda f: change(f.node("conv"), options={"strides": "ab", "padding": "same"}),
                        "'conv'.*strides"),
    "unknown padding": (lambda f: change(f.node("conv"), options={"strides": [1, 2], "padding": "full"}),
                        "'conv'.*padding"),
    "a giant pool": (lambda f: change(f.node("max"), options={"pool_size": [10**9, 1]}), "'max'.*size"),
    "a giant declared array": (lambda f: change(f.node("dense"),
                                                arrays={"kernel": [10**6, 10**6], "bias": [3]}), "too large"),
    "a declared shape that is not there": (lambda f: change(f.node("dense"),
                                                            arrays={"kernel": [5, 4], "bias": [3]}),
                                                            "dense/kernel"),
    "a negative shape": (lambda f: change(f.node("dense"), arrays={"kernel": [-5, 3], "bias": [3]}),
                         "whole numbers"),
    "no kernel": (lambda f: (change(f.node("dense"), arrays={}), f.entries.pop("dense/kernel.npy"),
                             f.entries.pop("dense/bias.npy")), "'dense'"),
    "a giant promise": (lambda f: change(f.entries, **{"dense/kernel.npy": header_of((10**6, 10**6))}),
                        "dense/kernel"),
    "a right promise without data": (lambda f: change(f.entries, **{"dense/kernel.npy": header_of((5, 3))}),
                                     "must hold 60 bytes"),
    "columns first": (lambda f: change(f.entries, **{"dense/kernel.npy": header_of((5, 3), fortran=True)
                                                     + bytes(60)}), "row by row"),
    "double precision": (lambda f: change(f.entries, **{"dense/kernel.npy": f.npy(np.zeros((5, 3)))}),
                         "float32"),
    "a NaN": (lambda f: change(f.entries, **{"dense/bias.npy": f.npy(np.full(3, np.nan, np.float32))}),
              "dense/bias.*NaN"),
    "a missing array": (lambda f: f.entries.pop("conv/bias.npy"), "conv/bias.*missing"),
    "an entry too many": (lambda f: change(f.entries, **{"evil.npy": f.npy(np.zeros(3))}), "evil"),
    "a name twice": (lambda f: change(f.node("relu"), name="conv"), "conv"),
    "an input that is not there": (lambda f: change(f.node("relu"), inputs=["later"]), "'relu'.*later"),
    "no inputs": (lambda f: change(f.node("relu"), inputs=[]), "'relu'"),
    "a giant input": (lambda f: (f.node("conv"), change(f.description, input_shape=[10**6, 10**6, 3])),
                      "large"),
    "no nodes": (lambda f: (f.node("conv"), change(f.description, nodes=[])), "net.npz"),
    "nodes are text": (lambda f: (f.node("conv"), change(f.description, nodes="ab")), "net.npz"),
    "too few names": (lambda f: (f.node("conv"), change(f.description, class_names=["a"])), "class_names"),
    "a reference that is not there": (lambda f: (f.node("conv"), change(f.description, reference=2)),
                                      "reference"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_by_name(forge, case):
    forging, message = HOSTILE[case]
    forging(forge)
    with pytest.raises(lrp_core.ModelFileError, match=f"(?s)net.npz.*{message}|{message}"):
        forge.load()


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(lrp_core.ModelFileError, match="not a file"):
        lrp_core.load(tmp_path)


def test_a_network_can_be_pickled():
    network = small_network(class_names=["a", "b", "c"], metadata={"seed": 1})
    same = pickle.loads(pickle.dumps(network))
    x = RNG.random((2, 8, 9, 3), np.float32)
    np.testing.assert_array_equal(same.logits(x), network.logits(x))
    assert (same.class_names, same.metadata) == (network.class_names, network.metadata)


def test_an_entry_twice_is_refused(forge):
    with zipfile.ZipFile(forge.path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("dense/bias.npy", forge.entries["dense/bias.npy"])
    with pytest.raises(lrp_core.ModelFileError, match="twice"):
        lrp_core.load(forge.path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        lrp_core.load(tmp_path / "none.npz")


def test_truncated_files_are_refused(forge):
    data = forge.path.read_bytes()
    for length in range(0, len(data), max(len(data) // 60, 1)):
        forge.path.write_bytes(data[:length])
        with pytest.raises(lrp_core.ModelFileError, match="net.npz"):
            lrp_core.load(forge.path)


def test_damaged_files_are_refused_or_harmless(forge):
    data = forge.path.read_bytes()
    for trial in range(300):
        damaged = bytearray(data)
        for position in RNG.integers(0, len(data), 3):
            damaged[position] = RNG.integers(0, 256)
        forge.path.write_bytes(bytes(damaged))
        try:
            lrp_core.load(forge.path)  # the flipped bytes may lie where nothing is read, as in a date
        except lrp_core.ModelFileError as error:
            assert "net.npz" in str(error), trial
