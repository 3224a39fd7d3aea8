"""Files of other programs: told what they are, by content, and which command or function takes them."""
import pickle
import zipfile

import numpy as np
import pytest
from forge import small_network

import lrp_core


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"content")


def torch_legacy(path):
    """As torch.save wrote before 1.6: pickles one after the other."""
    with open(path, "wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, 2)


KERAS, TORCH = (r"Keras model.*`python -m train_tf export model\.(keras|h5) -o net\.npz`",
                r"ONNX \(torch\.onnx\.export\), which `lrp_core\.from_onnx` reads")
OTHERS = {
    "Keras 3": (lambda path: archive(path, "metadata.json", "config.json", "model.weights.h5"), KERAS),
    "Keras 2": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500)), KERAS),
    "torch": (lambda path: archive(path, "net/data.pkl", "net/version", "net/data/0"), TORCH),
    "TorchScript": (lambda path: archive(path, "net/data.pkl", "net/code/__torch__.py"), TORCH),
    "torch before 1.6": (torch_legacy, TORCH),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"weights": [1.0]})), "a pickle.*not read here"),
    "safetensors": (lambda path: path.write_bytes((16).to_bytes(8, "little") + b'{"__metadata__":{'),
                    "safetensors.*weights without the network"),
    "TensorFlow Lite": (lambda path: path.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100)),
                        "TensorFlow Lite"),
    "arrays": (lambda path: np.savez(open(path, "wb"), first=np.ones(2), second=np.ones(3)),
               r"\.npz\) without a network; it holds first\.npy, second\.npy"),
    "an array": (lambda path: np.save(open(path, "wb"), np.ones(2)), "a NumPy array"),
    "a zip": (lambda path: archive(path, "a.txt"), "a zip archive without a network"),
    "an empty zip": (lambda path: archive(path), "holds nothing"),
}


@pytest.mark.parametrize("ending", ["npz", "onnx", "keras", "pt", "bin"])
@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("read", ["load", "from_onnx"])
def test_files_of_other_programs_are_told_what_they_are(tmp_path, case, ending, read):
    if read == "from_onnx":
        pytest.importorskip("onnx")
    make, match = OTHERS[case]
    path = tmp_path / f"net.{ending}"
    make(path)
    with pytest.raises(lrp_core.ModelFileError, match=rf"net\.{ending}: .*{match}"):
        getattr(lrp_core, read)(path)


@pytest.mark.parametrize("ending", ["onnx", "npz"])
def test_an_onnx_model_is_sent_to_the_function_that_reads_it(tmp_path, ending):
    onnx_models = pytest.importorskip("onnx_models")
    model = onnx_models.make([onnx_models.node("Relu", "x")], {}, (4,))
    path = tmp_path / f"net.{ending}"
    for doc in ("", "a long description " * 1000):
        model.doc_string = doc
        path.write_bytes(model.SerializeToString())
        with pytest.raises(lrp_core.ModelFileError,
                           match=r"an ONNX model: `lrp_core\.from_onnx` reads it, and `save`"):
            lrp_core.load(path)
        assert lrp_core.from_onnx(path).input_shape == (4,)


def test_a_model_file_is_sent_to_load(tmp_path):
    pytest.importorskip("onnx")
    small_network().save(tmp_path / "net.onnx")
    with pytest.raises(lrp_core.ModelFileError,
                       match=r"a model file of this program: `lrp_core\.load` reads it"):
        lrp_core.from_onnx(tmp_path / "net.onnx")


def test_the_real_programs_files(tmp_path):
    """Where Keras and torch are at hand: what they write is recognised."""
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for name in ("net.keras", "net.h5"):
        model.save(tmp_path / name)
        with pytest.raises(lrp_core.ModelFileError, match=KERAS):
            lrp_core.load(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + bytes(50), b"\x80", b"\x08", b"\x08\x08",
                                     b"\x3a\x05hello", b"text " * 2000, bytes(5000),
                                     b"\x08" + b"\xff" * 5000])
def test_what_is_nothing_known_is_still_a_clear_error(tmp_path, content):
    (tmp_path / "net.npz").write_bytes(content)
    with pytest.raises(lrp_core.ModelFileError, match=r"net\.npz: not a readable \.npz model file"):
        lrp_core.load(tmp_path / "net.npz")
