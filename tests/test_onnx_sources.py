"""What `from_onnx` takes: paths, bytes, files, models; and the names of inputs, outputs and constants."""
import io

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_models import MAP, ROW, draw, ints, make, node, save  # noqa: E402

import lrp_core  # noqa: E402


def small():
    return make([node("Gemm", "x w", name="gemm")], {"w": draw(6, 5)}, ROW)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def model_of(nodes, inputs, outputs, constants=(), opset=17):
    stored = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def run(model, feeds, output):
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output], feeds)[0]


@pytest.mark.parametrize("source", ["path", "text", "bytes", "file", "buffer", "model"])
def test_every_kind_of_source(source, tmp_path):
    path = save(tmp_path, small())
    given = {"path": path, "text": str(path), "bytes": path.read_bytes(), "file": open(path, "rb"),
             "buffer": io.BytesIO(path.read_bytes()), "model": small()}[source]
    network = lrp_core.from_onnx(given)
    x = draw(2, 6)
    np.testing.assert_allclose(network.logits(x), x @ draw(6, 5), rtol=1e-5)


@pytest.mark.parametrize("source", [12, None, ["a"], io.StringIO("text")])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(TypeError, match="path|bytes"):
        lrp_core.from_onnx(source)


@pytest.fixture
def external(tmp_path):
    """A model whose weights lie in weights.bin beside it, as the newer exporter of torch writes it."""
    folder = tmp_path / "models"
    folder.mkdir()
    model = make([node("Gemm", "x w"), ], {"w": draw(6, 5)}, ROW)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, all_tensors_to_one_file=True,
              location="weights.bin", size_threshold=0)
    return folder


def test_weights_in_a_file_beside_the_model(external):
    x, path = draw(2, 6), external / "model.onnx"
    for source in (path, onnx.load(path)):
        np.testing.assert_allclose(lrp_core.from_onnx(source).logits(x), x @ draw(6, 5), rtol=1e-5)


def changed(path, **entries):
    """The model with other entries where its weights are said to be."""
    model = onnx.load(path, load_external_data=False)
    kept = {entry.key: entry.value for entry in model.graph.initializer[0].external_data} | entries
    del model.graph.initializer[0].external_data[:]
    for key, text in kept.items():
        model.graph.initializer[0].external_data.add(key=key, value=text)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("entries, message", [
    ({"location": "../secret.bin"}, "not in the model's folder"),
    ({"location": "/etc/passwd"}, "not in the model's folder"),
    ({"location": "link.bin"}, "not in the model's folder"),
    ({"location": "missing.bin"}, "'missing.bin', which is missing"),
    ({"location": "."}, "not in the model's folder"),
    ({"offset": "100"}, "does not hold them at byte 100"),
    ({"length": "1000000000000"}, "does not hold them"),
    ({"offset": "-4"}, "no place"), ({"length": "9" * 30}, "no place")])
def test_weights_elsewhere_are_refused(external, entries, message):
    (external.parent / "secret.bin").write_bytes(bytes(200))
    (external / "link.bin").symlink_to(external.parent / "secret.bin")
    with pytest.raises(lrp_core.ModelFileError, match=message):
        lrp_core.from_onnx(changed(external / "model.onnx", **entries))


def test_bytes_have_no_folder(external):
    with pytest.raises(lrp_core.ModelFileError, match="beside a path only"):
        lrp_core.from_onnx((external / "model.onnx").read_bytes())


@pytest.fixture
def several():
    """Two inputs that count, one that nothing reads; two outputs."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "h"], ["b"]),
             helper.make_node("Tanh", ["b"], ["y"]), helper.make_node("Relu", ["x"], ["z"])]
    return model_of(nodes, [value("x", ["n", 6]), value("h", [1, 5]), value("idle", [3])],
                    [value("y", None), value("z", None)], {"w": draw(6, 5)})


def test_inputs_outputs_and_constants_are_named(several):
    x, h = draw(3, 6), draw(1, 5, seed=4)
    network = lrp_core.from_onnx(several, output="y", constants={"h": h})  # x is the only one left
    np.testing.assert_allclose(network.logits(x), np.tanh(x @ draw(6, 5) + h), rtol=1e-5)
    network = lrp_core.from_onnx(several, input="x", output="y", constants={"h": 0.5, "idle": 1})
    np.testing.assert_allclose(network.logits(x), np.tanh(x @ draw(6, 5) + 0.5), rtol=1e-5)
    assert lrp_core.from_onnx(several, output="z").input_shape == (6,)
    inner = lrp_core.from_onnx(several, output="a")  # any value inside
    np.testing.assert_allclose(inner.logits(x), x @ draw(6, 5), rtol=1e-5)


def test_the_other_input_is_explained(several):
    x, h = draw(1, 6), draw(4, 5, seed=4)
    network = lrp_core.from_onnx(several, input="h", output="y", constants={"x": x})
    np.testing.assert_allclose(network.logits(h), np.tanh(x @ draw(6, 5) + h), rtol=1e-5)


@pytest.mark.parametrize("options, message", [
    ({}, "2 outputs, y, z"), ({"output": "nothing"}, "no value 'nothing'"),
    ({"output": "y"}, "2 inputs, x .*h .*input="), ({"output": "y", "input": "q"}, "no input 'q'"),
    ({"output": "y", "input": "x"}, "other inputs h .*need values"),
    ({"output": "y", "input": "x", "constants": {"x": 1, "h": 0}}, "explained, and bound"),
    ({"output": "z", "input": "h"}, "does not depend on the input 'h'"),
    ({"output": "y", "constants": {"h": np.zeros(4)}}, "'h' must fit"),
    ({"output": "y", "constants": {"h": "zero"}}, "'h' must fit"),
    ({"output": "y", "constants": {"state": 0}}, "no input 'state'"),
    ({"output": "y", "constants": {"h": 0}, "shape": (7,)}, "does not fit"),
    ({"output": "y", "constants": {"h": 0}, "shape": (6, 0)}, "above 0"),
    ({"output": "y", "constants": {"h": 0}, "shape": "6"}, "above 0")])
def test_names_that_do_not_fit_are_refused(several, options, message):
    with pytest.raises(lrp_core.ModelFileError, match=message):
        lrp_core.from_onnx(several, **options)


def test_open_axes_are_filled():
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("GlobalMaxPool", ["a"], ["b"]),
             helper.make_node("Flatten", ["b"], ["y"])]
    model = model_of(nodes, [value("x", ["n", 2, "time"])], [value("y", None)], {"w": draw(3, 2, 4)})
    x = draw(2, 2, 30)
    network = lrp_core.from_onnx(model, shape=(2, 30))
    np.testing.assert_allclose(network.logits(x), run(model, {"x": x}, "y"), rtol=1e-5)
    with pytest.raises(lrp_core.ModelFileError, match="leaves axis 2 open .'time'.*shape="):
        lrp_core.from_onnx(model)


def test_an_input_without_a_batch_axis():
    """Its whole shape is given; a batch of them comes first all the same."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]),
             helper.make_node("ReduceMean", ["a"], ["y"], axes=[0], keepdims=0)]
    model = model_of(nodes, [value("x", ["time", 6])], [value("y", None)], {"w": draw(6, 5)})
    x = draw(3, 8, 6)
    network = lrp_core.from_onnx(model, shape=(8, 6))
    expected = np.stack([run(model, {"x": one}, "y") for one in x])
    np.testing.assert_allclose(network.logits(x), expected, rtol=1e-5)
    assert lrp_core.explain(network, x).relevance.shape == x.shape


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_branch_that_a_constant_chooses(rate):
    """Nested If, with names of the outer graph inside, and an output that nothing reads."""
    def branch(name, factor, inner=None):
        nodes = [helper.make_node("Mul", ["x", f"{name}_f"], [f"{name}_y"])]
        if inner is not None:
            nodes.append(helper.make_node("If", ["yes"], [f"{name}_z"], then_branch=inner, else_branch=inner))
        last = f"{name}_z" if inner is not None else f"{name}_y"
        nodes.append(helper.make_node("NonZero", ["x"], [f"{name}_unread"]))  # not supported, not needed
        return helper.make_graph(nodes, name, [], [value(last, None), value(f"{name}_unread", None)],
                                 [numpy_helper.from_array(np.float32(factor), f"{name}_f")])
    deep = helper.make_graph([helper.make_node("Add", ["then_y", "then_y"], ["deep_y"])], "deep", [],
                             [value("deep_y", None)])
    nodes = [helper.make_node("Equal", ["sr", "wanted"], ["c"]),
             helper.make_node("If", ["c"], ["a", "unread"], then_branch=branch("then", 2.0, deep),
                              else_branch=branch("else", 3.0)),
             helper.make_node("Relu", ["a"], ["y"])]
    model = model_of(nodes, [value("x", ["n", 6]), value("sr", [], TensorProto.INT64)], [value("y", None)],
                     {"wanted": np.array(16000), "yes": np.array(True)})
    x = draw(2, 6)
    network = lrp_core.from_onnx(model, constants={"sr": rate})
    np.testing.assert_allclose(network.logits(x), np.maximum(x, 0) * (4 if rate == 16000 else 3), rtol=1e-6)


def test_functions_of_the_model_are_put_where_they_are_called():
    inner = helper.make_function("own", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                 [helper.make_opsetid("", 17)])
    graph = helper.make_graph([helper.make_node("twice", ["x"], ["m"], domain="own"),
                               helper.make_node("Relu", ["m"], ["y"])], "g", [value("x", ["n", 6])],
                              [value("y", None)])
    model = helper.make_model(graph, functions=[inner], opset_imports=[helper.make_opsetid("", 17),
                                                                       helper.make_opsetid("own", 1)])
    x = draw(2, 6)
    np.testing.assert_allclose(lrp_core.from_onnx(model).logits(x), np.maximum(2 * x, 0), rtol=1e-6)


def test_a_map_comes_out_in_its_own_order():
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    model = model_of(nodes, [value("x", ["n", *MAP])], [value("y", None)], {"w": draw(3, 4, 3, 3)})
    x = draw(2, *MAP)
    network = lrp_core.from_onnx(model)
    assert network.output_shape == (3, 9, 7)
    np.testing.assert_allclose(network.logits(x), run(model, {"x": x}, "y"), rtol=1e-4, atol=1e-5)
    one = lrp_core.explain(network, x, "epsilon", (2, 4, 5))
    np.testing.assert_allclose(one.ledger.start, network.logits(x)[:, 2, 4, 5], rtol=1e-5)
    seen = one.relevance.any(axis=(0, 1))  # a 3x3 window around (4, 5)
    assert seen[3:6, 4:7].all() and seen.sum() == 9
    whole = lrp_core.explain(network, x, "epsilon", "sum")
    np.testing.assert_allclose(whole.ledger.start, network.logits(x).sum(axis=(1, 2, 3)), rtol=1e-5)


def test_facts_of_the_file_travel_with_the_network():
    assert lrp_core.from_onnx(small()).metadata["source"] == {"format": "ONNX", "opset": 17,
                                                              "producer": "test 1"}


@pytest.mark.parametrize("scopes, module", [
    ("['', 'encoder', 'encoder.lstm', 'lstm_op']", "encoder.lstm"), ("[]", ""), ("", "block.2")])
def test_the_module_that_an_operator_comes_from_is_named(scopes, module, tmp_path):
    model = make([node("Det", "x", name="" if scopes else "/block/2/Det")], {}, (4, 4))
    if scopes:
        model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    with pytest.raises(lrp_core.ModelFileError, match=rf"Det, in {module}\)" if module else r"\(Det\)"):
        lrp_core.from_onnx(save(tmp_path, model))


def test_a_constant_of_whole_numbers_is_bound():
    nodes = [helper.make_node("Gather", ["x", "i"], ["y"], axis=1)]
    model = model_of(nodes, [value("x", ["n", 6]), value("i", [2], TensorProto.INT64)], [value("y", None)])
    network = lrp_core.from_onnx(model, constants={"i": ints(4, 1)})
    np.testing.assert_array_equal(network.logits(draw(2, 6)), draw(2, 6)[:, [4, 1]])
