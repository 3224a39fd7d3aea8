"""The auditor: `lrp_core.check` and `audio-lrp check`."""
import dataclasses
import json
import pathlib

import numpy as np
import pytest
from click.testing import CliRunner

import lrp_core
from audio_lrp.cli import main
from lrp_core import auditor
from lrp_core import layers as L

FOLDER = pathlib.Path(__file__).parent / "data" / "architectures"


def draw(*shape):
    return np.random.default_rng([2, *shape]).standard_normal(shape).astype(np.float32)


def run(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


@pytest.fixture
def network():
    return lrp_core.Network([("conv", L.Conv2D(draw(3, 3, 1, 8), draw(8))), ("relu", L.ReLU()),
                             ("flat", L.Flatten()), ("out", L.Dense(draw(288, 3), draw(3)))], (8, 8, 1))


def test_shares_of_the_score_add_up(network):
    found = lrp_core.check(network)
    assert [one.rules for one in found.presets] == list(lrp_core.PRESETS)
    for one in found.presets:
        whole = one.arrived + one.bias + one.stabilizer + one.gated + one.softmax + one.state + one.by_rule
        assert abs(whole - 1) < 1e-9
    e = lrp_core.explain(network, auditor.example(network)[0], "epsilon")
    assert found.presets[0].score == pytest.approx(e.ledger.start)
    assert found.presets[0].arrived == pytest.approx(e.relevance.sum() / e.ledger.start)


def test_every_node_has_its_layer_rule_and_engine(network):
    found = lrp_core.check(network, rules=["preset_a_flat"])
    assert [(node.name, node.type, node.shape) for node in found.nodes] == [
        ("conv", "Conv2D", (6, 6, 8)), ("relu", "ReLU", (6, 6, 8)), ("flat", "Flatten", (288,)),
        ("out", "Dense", (3,))]
    assert found.nodes[0].rule == "Flat()" and not found.nodes[0].forward
    assert [node.engine for node in found.nodes] == ["numba"] * 4
    gelu = network.replace(nodes=[network.nodes[0], ("gelu", L.GELU()), ("flat", L.Flatten()),
                                  ("out", network.nodes[3].layer)])
    assert lrp_core.check(gelu, rules=["epsilon"]).nodes[1].engine == "numpy, numba"
    assert "no kernel for GELU" in lrp_core.check(gelu, rules=["epsilon"]).nodes[1].forward
    assert "2 of 2 convolutions" in str(found)


def test_a_bias_that_keeps_the_score_is_named():
    network = lrp_core.Network([("small", L.Dense(np.full((4, 2), 0.01, np.float32))),
                                ("large", L.Dense(np.ones((2, 1), np.float32), np.array([5.0], np.float32)))],
                               (4,))
    found = lrp_core.check(network, np.ones(4), rules=["epsilon"])
    assert any("biases keep 98%" in one and "'large'" in one for one in found.findings)


@pytest.mark.parametrize("biases, most, words", [
    ((3, -4, 3.1), 2, "biases keep 17% (most in 'layer2', 26%)"),
    ((-3, 4, -3.1), 2, "biases add 27% (most in 'layer2', 39%)"),
    ((3.1, -4, 3), 0, "biases keep 17% (most in 'layer0', 26%)"),
    ((0, 3, 0), 1, "biases keep 23% (most in 'layer1'); the")])
def test_the_layer_with_the_largest_share_is_named(biases, most, words):
    """One unit a layer, all weights 1: LRP-0 gives each bias itself of the score 10 + Σ b. A larger bias that
    works against the others has no share of what they keep.
    """
    score = 10 + sum(biases)
    layers = [(f"layer{k}", L.Dense(np.ones((1, 1)), np.array([float(b)]))) for k, b in enumerate(biases)]
    found = lrp_core.check(lrp_core.Network(layers, (1,)), [[10.0]], rules=[lrp_core.Zero()], target=0)
    (one,) = found.presets
    assert one.most == (f"layer{most}", pytest.approx(biases[most] / score))
    assert one.bias == pytest.approx(sum(biases) / score)
    assert any(words in finding for finding in found.findings), found.findings


def test_relevance_that_explodes_is_named():
    kernel = np.array([[1.0, -0.999]], np.float32)
    out = L.Dense(np.ones((2, 1), np.float32))
    network = lrp_core.Network([("wide", L.Dense(kernel * 1000)), ("out", out)], (1,))
    found = lrp_core.check(network, np.ones(1), rules=["epsilon"])
    assert any("explodes" in one and "'out'" in one for one in found.findings)


def test_a_sigmoid_inside_is_warned_of_and_a_gate_is_not():
    dense, gate = ("a", L.Dense(draw(6, 6))), ("s", L.Sigmoid())
    out = L.Dense(draw(6, 1))
    inside = lrp_core.Network([dense, gate, ("out", out)], (6,))
    findings = lrp_core.check(inside, rules=["epsilon"]).findings
    assert any("'s' (Sigmoid) is positive" in one for one in findings)
    as_gate = lrp_core.Network([dense, gate, ("m", L.Multiply(), ("a", "s")), ("out", out)], (6,))
    assert not any("(Sigmoid)" in one for one in lrp_core.check(as_gate, rules=["epsilon"]).findings)


def test_ties_are_named():
    network = lrp_core.Network([("max", L.GlobalMaxPool1D()), ("out", L.Dense(draw(2, 1)))], (6, 2))
    repeated = np.tile(draw(3, 2), (2, 1))
    assert any("'max'" in one and "tied" in one for one in lrp_core.check(network, repeated,
                                                                          rules=["epsilon"]).findings)
    assert not any("tied" in one for one in lrp_core.check(network, draw(6, 2), rules=["epsilon"]).findings)


def test_a_preset_that_fails_is_said(network, monkeypatch):
    monkeypatch.setattr(auditor, "explain", lambda *a: (_ for _ in ()).throw(ValueError("it overflows")))
    found = lrp_core.check(network, rules=["epsilon"])
    assert "epsilon gives no explanation: it overflows" in found.findings and "it overflows" in str(found)


def test_an_onnx_model_beside_onnxruntime():
    pytest.importorskip("onnxruntime")
    found = lrp_core.check(FOLDER / "crnn_gru.script.onnx", rules=["epsilon"])
    assert found.beside == "onnxruntime" and found.difference < 1e-6 and found.agrees
    inner = lrp_core.check(FOLDER / "se_resnet.script.onnx", output="/ReduceMean_output_0", rules=["epsilon"])
    assert inner.difference < 1e-6


def test_a_model_file_beside_its_reference(network, tmp_path):
    x = draw(2, 8, 8, 1)
    network.replace(reference=(x, network.logits(x))).save(tmp_path / "good.npz")
    network.replace(reference=(x, network.logits(x) + 1)).save(tmp_path / "bad.npz")
    assert run(tmp_path / "good.npz", "--rules", "epsilon").exit_code == 0
    bad = run(tmp_path / "bad.npz", "--rules", "epsilon")
    assert bad.exit_code == 1 and "DISAGREE" in bad.output


def test_scores_that_disagree_end_with_1(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("lrp_core.onnx.beside.onnxruntime_scores", lambda *a, **o: np.ones((1, 4)))
    result = run(FOLDER / "tcn.script.onnx", "--rules", "epsilon")
    assert result.exit_code == 1 and "DISAGREE with onnxruntime" in result.output


def test_the_command_prints_json(tmp_path):
    pytest.importorskip("onnx")
    np.save(tmp_path / "x.npy", draw(3, 20))
    result = run(FOLDER / "tcn.script.onnx", "--rules", "epsilon", "--rules", "preset_b", "--json", "--data",
                 tmp_path / "x.npy", "--target", "2")
    found = json.loads(result.stdout)
    assert found["agrees"] and [one["rules"] for one in found["presets"]] == ["epsilon", "preset_b"]
    assert {field.name for field in dataclasses.fields(lrp_core.Check)} <= set(found)


@pytest.mark.parametrize("arguments, message", [
    (["missing.onnx"], "missing.onnx"), ([FOLDER / "tcn.script.onnx", "--shape", "3,x"], "whole numbers"),
    ([FOLDER / "tcn.script.onnx", "--const", "h0"], "NAME=VALUE"),
    ([FOLDER / "tcn.script.onnx", "--const", "h0=zero"], "a number or a .npy"),
    ([FOLDER / "tcn.script.onnx", "--const", "h0=0"], "no input 'h0'"),
    ([FOLDER / "tcn.script.onnx", "--input", "q"], "no input 'q'"),
    ([FOLDER / "tcn.script.onnx", "--shape", "4,20"], "does not fit"),
    ([FOLDER / "tcn.npz"], "without a network")])
def test_what_cannot_be_checked_is_refused_in_words(arguments, message):
    pytest.importorskip("onnx")
    result = run(*arguments, "--rules", "epsilon")
    assert result.exit_code != 0 and message in result.output and isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("length, stride, channels", [(65, 3, 16), (512, 4, 1), (2048, 512, 1)])
def test_wide_windows_run_on_kernels(length, stride, channels, dtype):
    """As the Fourier transforms that networks begin with."""
    layers = [("stft", L.Conv1D(draw(length, channels, 24) / length ** 0.5, draw(24), stride)),
              ("relu", L.ReLU()), ("mean", L.GlobalAveragePool1D()), ("out", L.Dense(draw(24, 3)))]
    network = lrp_core.Network(layers, (3 * length, channels))
    found = lrp_core.check(network, rules=["epsilon"])
    assert not found.nodes[0].forward and not found.nodes[0].backward
    x = draw(2, 3 * length, channels)
    for rules in ("epsilon", "preset_b"):
        expected = lrp_core.explain(network, x, rules, engine="numpy").relevance
        compiled = lrp_core.explain(network, x, rules, engine="numba", dtype=dtype).relevance
        scale = np.abs(expected).max()
        assert np.abs(compiled - expected).max() <= (1e-9 if dtype == "float64" else 1e-3) * scale


def test_half_precision_may_cost_more(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["a"]), onnx.helper.make_node("Relu", ["a"], ["y"])]
    half = onnx.TensorProto.FLOAT16
    graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("x", half, ["n", 64])],
                                   [onnx.helper.make_tensor_value_info("y", half, None)],
                                   [onnx.numpy_helper.from_array(draw(64, 5).astype(np.float16), "w")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    found = lrp_core.check(model, rules=["epsilon"])
    assert found.agrees and found.tolerance == auditor.AGREES_HALF


def test_inputs_that_nothing_reads_are_given_to_onnxruntime():
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"]), onnx.helper.make_node("Add", ["h", "h"], ["z"])]
    inputs = [onnx.helper.make_tensor_value_info(*one) for one in (
        ("x", 1, ["n", 4]), ("h", 1, ["n", 2]), ("rate", onnx.TensorProto.INT64, []))]
    outputs = [onnx.helper.make_tensor_value_info(name, 1, None) for name in ("y", "z")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", inputs, outputs),
                                   opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    for constants in ({}, {"rate": 16000, "h": 1}):
        found = lrp_core.check(model, output="y", constants=constants, rules=["epsilon"])
        assert found.beside == "onnxruntime" and found.difference == 0


def test_a_keras_model_is_looked_over_as_others_are(tmp_path):
    pytest.importorskip("tensorflow", reason="Keras models are read by TensorFlow: pip install tensorflow")
    import keras
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
                              keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(tmp_path / "small.keras")
    found = run(tmp_path / "small.keras", "--rules", "epsilon")
    assert found.exit_code == 0 and "Conv2D" in found.output and "epsilon" in found.output


def test_a_target_that_is_not_there_is_refused_once(network, tmp_path):
    network.save(tmp_path / "net.npz")
    found = run(tmp_path / "net.npz", "--target", "7")
    assert found.exit_code == 1 and found.output.count("0..2, got 7") == 1
