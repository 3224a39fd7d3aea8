"""ONNX files that must be refused by name: what is not supported, what is damaged, what is hostile."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper
from onnx_models import MAP, ROW, W2, circular, draw, ints, make, node, save

import lrp_core

ROOT = pathlib.Path(__file__).parents[1]


def one(kind, inputs="x", constants=None, shape=MAP, **attributes):
    """A model of one operator and a flatten."""
    options = {key: attributes.pop(key) for key in ("opset", "batch") if key in attributes}
    return make([node(kind, inputs, "m", name="culprit", **attributes), node("Flatten", "m")], constants
                or {}, shape, **options)


REFUSED = {
    "an unknown operator": (lambda: one("Det"), "'culprit' .Det.*not supported.*Conv"),
    "a foreign domain": (lambda: one("Relu", domain="com.microsoft"), "'culprit' .Relu.*com.microsoft"),
    "an old operator set": (lambda: one("Relu", opset=6), "operator set 6 is too old.*version_converter"),
    "an open height": (lambda: one("Relu", shape=(3, "height", 7)), "'x' leaves axis 2 open .'height'.*fix"),
    "an unnamed open axis": (lambda: one("Relu", shape=(3, None, 7)), "'x' leaves axis 2 open .'unnamed'"),
    "no declared shape": (lambda: one("Relu", shape=None), "'x'.*declared shape"),
    "no axis but the batch": (lambda: one("Relu", shape=()), "'x' needs a batch axis"),
    "an empty axis": (lambda: one("Relu", shape=(3, 0, 7)), "'x' leaves axis 2 open"),
    "a giant input": (lambda: one("Relu", shape=(3, 10**6, 10**6)), "'x'.*too large"),
    "whole numbers": (lambda: make([node("Relu", "x")], {}, MAP, kind=TensorProto.INT64),
                      "'x' must be floating point"),
    "two inputs": (lambda: make([node("Add", "a b")], {}, MAP, inputs=("a", "b")),
                   "2 inputs, a .*, b .*input=.*constants="),
    "no path from the input": (lambda: make([node("Relu", "c")], {"c": draw(4)}, MAP), "constant"),
    "nothing but an identity": (lambda: make([node("Identity", "x")], {}, ROW), "does not depend"),
    "division by zero": (lambda: one("Div", "x c", {"c": np.float32(0)}), "'culprit' .Div.*inf"),
    "same with gaps": (lambda: one("Conv", "x w", {"w": draw(6, 4, 1, 1)}, auto_pad="SAME_UPPER",
                                   strides=[3, 1]),
                       "'culprit' .Conv.*SAME_UPPER.*explicit"),
    "negative pads": (lambda: one("Conv", "x w", {"w": W2}, pads=[-1, 0, 0, 0]), "'culprit' .Conv.*negative"),
    "too few pads": (lambda: one("Conv", "x w", {"w": W2}, pads=[1, 1]), "'culprit' .Conv.*pads"),
    "strides of 0": (lambda: one("Conv", "x w", {"w": W2}, strides=[0, 1]), "'culprit' .Conv.*strides"),
    "giant strides": (lambda: one("Conv", "x w", {"w": W2}, strides=[2**60, 1]), "'culprit' .Conv.*strides"),
    "giant pads": (lambda: one("Conv", "x w", {"w": W2}, pads=[2**16] * 4), "'culprit' .Conv.*too large"),
    "a wrong kernel_shape": (lambda: one("Conv", "x w", {"w": W2}, kernel_shape=[5, 5]),
                             "'culprit' .Conv.*kernel_shape"),
    "a kernel that does not fit": (lambda: one("Conv", "x w", {"w": draw(6, 3, 3, 3)}),
                                   "'culprit' .Conv.*4 channels"),
    "giant windows": (lambda: one("Conv", "x w", {"w": draw(2, 1, 600, 600)}, (1, 1200, 1200)),
                      "'culprit' .Conv.*too large.*windows"),
    "layers without end": (lambda: make([node("Relu", f"v{k}" if k else "x", f"v{k + 1}") for k in range(9)]
                                        + [node("Flatten", "v9")], {},
                                        (1, 8000, 8000)), "relu9.*too large"),
    "a kernel too large": (lambda: one("Conv", "x w", {"w": draw(6, 4, 10, 3)}),
                           "'culprit' .Conv.*does not fit"),
    "a 3-D convolution": (lambda: one("Conv", "x w", {"w": draw(6, 4, 3, 3, 3)}),
                          "'culprit' .Conv.*1-D and 2-D"),
    "no groups": (lambda: one("Conv", "x w", {"w": W2}, group=0), "'culprit' .Conv.*groups"),
    "a kernel that is computed": (lambda: one("Conv", "x x"),
                                  "'culprit' .Conv.*input 2 .kernel. must be a constant"),
    "a kernel of whole numbers": (lambda: one("Conv", "x w", {"w": np.ones((6, 4, 3, 3), np.int64)}),
                                  "'culprit' .Conv.*floating"),
    "a NaN": (lambda: one("Conv", "x w", {"w": np.full((6, 4, 3, 3), np.nan, np.float32)}),
              "'culprit' .Conv.*NaN"),
    "an infinite bias": (lambda: one("Conv", "x w b", {"w": W2, "b": np.full(6, np.inf, np.float32)}),
                         "'culprit' .Conv.*infinity"),
    "a bias too long": (lambda: one("Conv", "x w b", {"w": W2, "b": draw(7)}), "'culprit' .Conv.*bias"),
    "a negative variance": (lambda: one("BatchNormalization", "x a a a b",
                                        {"a": draw(4), "b": np.full(4, -1, np.float32)}),
                            "'culprit' .BatchNormalization.*NaN"),
    "batch norm in training": (lambda: one("BatchNormalization", "x a a a a", {"a": draw(4)},
                                           training_mode=1), "'culprit'.*training"),
    "transA": (lambda: one("Gemm", "x w", {"w": draw(6, 5)}, ROW, transA=1), "'culprit' .Gemm.*6, 1"),
    "a Gemm of maps": (lambda: one("Gemm", "x w", {"w": draw(7, 5)}), "'culprit' .Gemm.*rows"),
    "too few inputs": (lambda: one("Conv", "x"), "'culprit' .Conv.*found 1"),
    "too many inputs": (lambda: one("Relu", "x x"), "'culprit' .Relu.*found 2"),
    "an unknown attribute": (lambda: one("Relu", slope=1.0), "'culprit' .Relu.*'slope'"),
    "an attribute of another kind": (lambda: one("Elu", alpha="much"), "'culprit' .Elu.*'alpha'.*float"),
    "strides as fractions": (lambda: one("Conv", "x w", {"w": W2}, strides=[1.5, 1.0]),
                             "'culprit' .Conv.*'strides'"),
    "a missing attribute": (lambda: one("MaxPool"), "'culprit' .MaxPool.*'kernel_shape'"),
    "a dilated pool": (lambda: one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
                       "'culprit' .MaxPool.*dilations"),
    "a pool all in the padding": (lambda: one("AveragePool", kernel_shape=[2, 2], pads=[2, 0, 0, 0]),
                                  "'culprit' .AveragePool.*pads"),
    "the winners of a pool": (lambda: make([helper.make_node("MaxPool", ["x"], ["m", "i"],
                                                             kernel_shape=[2, 2], name="pool"),
                                            node("Relu", "i", "r"), node("Flatten", "r")], {}, MAP),
                                            "'pool' .MaxPool.*not supported"),
    "a reshape that does not fit": (lambda: one("Reshape", "x s", {"s": ints(1, 5, 5)}),
                                    "'culprit' .Reshape"),
    "a shape with two open sizes": (lambda: one("Reshape", "x s", {"s": ints(-1, -1)}), "'culprit' .Reshape"),
    "a squeeze that does not fit": (lambda: one("Squeeze", "x a", {"a": ints(2)}),
                                    "'culprit' .Squeeze.*size 1"),
    "dropout in training": (lambda: one("Dropout", "x r t", {"r": np.float32(0.5), "t": np.array(True)}),
                            "'culprit' .Dropout.*training"),
    "a value that is not there": (lambda: one("Relu", "nothing"), "'culprit' .Relu.*'nothing'"),
    "a value that comes later": (lambda: make([node("Relu", "b", "a", name="culprit"), node("Relu", "x", "b"),
                                               node("Add", "a b")], {}, ROW),
                                 "'culprit' .Relu.*'b'"),
    "a circle": (lambda: make([node("Relu", "b", "a", name="culprit"), node("Add", "a x", "b"),
                               node("Flatten", "b")], {}, ROW), "'culprit'.*'b'"),
    "a value made twice": (lambda: make([node("Relu", "x", "a"), node("Tanh", "x", "a"),
                                         node("Flatten", "a")], {}, ROW), "'a'.*twice"),
    "too many names": (lambda: make([node("Relu", "x")], {}, ROW), "class_names"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_by_name(case, tmp_path):
    build, message = REFUSED[case]
    path = save(tmp_path, build())
    with pytest.raises(lrp_core.ModelFileError, match=f"(?s)model.onnx: .*{message}"):
        lrp_core.from_onnx(path, class_names=["a", "b"] if case == "too many names" else None)


def hostile(change, **options):
    """A plain model with something wrong in its protobuf."""
    model = make([node("Gemm", "x w", name="culprit")], {"w": draw(6, 5)}, ROW, **options)
    change(model)
    return model


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def doubled(model):
    """Constants that double in size sixty times."""
    del model.graph.node[:]
    model.graph.node.extend(node("Concat", f"v{k} v{k}" if k else "w w", f"v{k + 1}", axis=1)
                            for k in range(60))
    model.graph.node.append(node("MatMul", "x v60"))


def outer(model):
    """A constant that broadcasts to 10^12 numbers."""
    model.graph.initializer.append(numpy_helper.from_array(np.ones((10**6, 1), np.float32), "column"))
    del model.graph.node[:]
    model.graph.node.extend([node("Transpose", "column", "r"), node("Mul", "column r", "huge"),
                             node("MatMul", "x huge")])


def doubling(model):
    """Functions that each call the next one twice: 2^60 nodes once they are written out."""
    for k in range(60):
        function = model.functions.add(name=f"f{k}", domain="own", input=["a"], output=["c"])
        kind = {"domain": "own"} if k < 59 else {}
        name = f"f{k + 1}" if k < 59 else "Relu"
        function.node.extend([helper.make_node(name, ["a"], ["b"], **kind),
                              helper.make_node(name, ["b"], ["c"], **kind)])
    model.graph.node.append(helper.make_node("f0", ["y"], ["z"], domain="own"))


HOSTILE = {
    "nothing": (b"", "no graph"),
    "text": (b"this is not a model " * 50, "not a"),
    "a zip file": (b"PK\x03\x04" + bytes(200), "not a"),
    "external data": (lambda m: external(m), "'w' lies in .*passwd.*not in the model's folder"),
    "a giant promise": (
        lambda m: m.graph.initializer[0].dims.__setitem__(0, 10**12),
        "'w' is declared.*too large",
    ),
    "a promise that is not kept": (
        lambda m: m.graph.initializer[0].dims.__setitem__(0, 7),
        "'w' is declared.*does not fit",
    ),
    "a negative size": (
        lambda m: m.graph.initializer[0].dims.__setitem__(0, -6),
        "'w' is declared.*negative",
    ),
    "text as weights": (
        lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING),
        "'w' holds STRING",
    ),
    "an unknown type": (lambda m: setattr(m.graph.initializer[0], "data_type", 999), "'w' holds 999"),
    "eight-bit weights": (
        lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.INT8),
        "'w' holds INT8.*float32",
    ),
    "weights twice": (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "'w' is defined twice"),
    "sparse weights": (lambda m: m.graph.sparse_initializer.add(), "sparse"),
    "no operator set": (lambda m: m.ClearField("opset_import"), "opset_import"),
    "a function that calls itself": (lambda m: circular(m, "block"), "'block' calls itself"),
    "functions that double": (lambda m: doubling(m), "nodes with its functions: too many"),
    "no output": (lambda m: m.graph.ClearField("output"), "output=|outputs, none"),
    "two outputs": (lambda m: m.graph.output.append(m.graph.output[0]), "output=|outputs, none"),
    "no input": (lambda m: m.graph.ClearField("input"), "reads 'x', which nothing makes"),
    "a node without output": (lambda m: m.graph.node[0].ClearField("output"), "'culprit'.*no output"),
    "a graph as an attribute": (
        lambda m: m.graph.node[0].attribute.append(helper.make_attribute("alpha", m.graph)),
        "'culprit'.*'alpha'",
    ),
    "constants that double": (doubled, "Concat.*too large"),
    "a constant that broadcasts": (outer, "Mul.*too large"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(case, tmp_path):
    change, message = HOSTILE[case]
    path = save(tmp_path, change if isinstance(change, bytes) else hostile(change))
    with pytest.raises(lrp_core.ModelFileError, match=f"(?s)model.onnx: .*{message}"):
        lrp_core.from_onnx(path)


def plain_model():
    nodes = [node("Conv", "x w b", "a", name="conv", pads=[1, 1, 1, 1]), node("Relu", "a", "r"),
             node("Flatten", "r", "f"), node("Gemm", "f k")]
    return make(nodes, {"w": draw(2, 1, 3, 3), "b": draw(2), "k": draw(24, 3)}, (1, 4, 3)).SerializeToString()


def test_truncated_files_are_refused(tmp_path):
    data = plain_model()
    for length in range(0, len(data), 7):
        with pytest.raises(lrp_core.ModelFileError, match="model.onnx"):
            lrp_core.from_onnx(save(tmp_path, data[:length]))


def test_damaged_files_are_refused_or_harmless(tmp_path):
    data, rng, loaded = plain_model(), np.random.default_rng(0), 0
    for _ in range(600):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 2):
            damaged[position] = rng.integers(0, 256)
        try:
            lrp_core.from_onnx(save(tmp_path, bytes(damaged)))
            loaded += 1
        except lrp_core.ModelFileError as error:
            assert "model.onnx" in str(error)
    assert loaded > 50  # most bytes are weights


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        lrp_core.from_onnx(tmp_path / "none.onnx")


def test_onnx_is_only_needed_for_onnx_files(tmp_path):
    """Importing lrp_core and all its modules loads no onnx; without the package, the error says how to get
    it.
    """
    script = """
import sys
sys.modules["onnx"] = None
import lrp_core, lrp_core.onnx
try:
    lrp_core.from_onnx("any.onnx")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          cwd=ROOT)
    assert "pip install onnx" in done.stdout
    script = "import sys, lrp_core.onnx; print('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                          cwd=ROOT).stdout.strip() == "False"
