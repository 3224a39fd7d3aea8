"""What is explained where a network ends in a softmax or a sigmoid: the score before it."""
import json

import nets
import numpy as np
import pytest
from click.testing import CliRunner

import lrp_core
from audio_lrp import EMBEDDED_CLIP, EMBEDDED_MODEL
from audio_lrp.cli import main
from lrp_core import Network, explain
from lrp_core import layers as L


def ending(*nodes, seed=3):
    """A small convolutional network to three scores, and the same with nodes after its scores."""
    *before, out = nets.deep(seed).nodes
    # scores near enough to 0 for probabilities between 0 and 1
    small = L.Dense(out.layer.kernel / 64, out.layer.bias / 64)
    scores = Network([*before, ("out", small)], (9, 7, 2), class_names=nets.CLASSES)
    return scores, Network([*scores.nodes, *nodes], scores.input_shape, class_names=nets.CLASSES)


ENDS = {
    "sigmoid": [("end", L.Sigmoid())],
    "softmax": [("end", L.Softmax())],
    "sigmoid, then moved": [("end", L.Sigmoid()), ("drop", L.Dropout(0.1)), ("turn", L.Reshape((3, 1))),
                            ("flat", L.Flatten())],
    "softmax of one row, then moved": [("row", L.Reshape((1, 3))), ("end", L.Softmax()),
                                       ("flat", L.Flatten())],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("rules", ["epsilon", "preset_b", "gradient"])
@nets.every_engine
def test_the_explanation_is_that_of_the_score_before_the_end(end, rules, how):
    """Scores of both signs: from σ(z) on, relevance would change its sign wherever z < 0."""
    scores, network = ending(*ENDS[end])
    x = nets.inputs(scores, 6)
    z = scores.logits(x)
    assert (z < 0).any(axis=1).all()
    for target in range(3):
        found, wanted = explain(network, x, rules, target, **how), explain(scores, x, rules, target, **how)
        np.testing.assert_array_equal(found.relevance, wanted.relevance)
        np.testing.assert_array_equal(found.logits, z if how["dtype"] == "float64" else wanted.logits)


@pytest.mark.parametrize("end, independent", [("sigmoid", True), ("softmax", False),
                                              ("sigmoid, then moved", True)])
def test_probabilities_are_those_of_the_networks_own_last_layer(end, independent):
    scores, network = ending(*ENDS[end])
    x = nets.inputs(scores, 5)
    z = scores.logits(x).astype(np.float64)
    wanted = 1 / (1 + np.exp(-z)) if independent else np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    e = explain(network, x)
    for found in (network.probabilities(x), e.probabilities,
                  explain(network, x, engine="numba", dtype="float32").probabilities):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(e[2].probabilities, wanted[2], rtol=1e-6)
    assert e.independent is e[2].independent is independent
    np.testing.assert_allclose(network.forward(x.astype(np.float64)).outputs[network.nodes[-1].name], wanted,
                               rtol=1e-6)


def test_a_sigmoid_in_the_middle_stays():
    """Relevance passes a sigmoid that other layers read; and one that has moved numbers of more than the
    scores above it.
    """
    rng = np.random.default_rng(0)
    network = Network([("a", nets.dense(rng, 4, 5)), ("gate", L.Sigmoid()), ("b", nets.dense(rng, 5, 3))],
                      (4,))
    assert lrp_core.without_final_activation(network) is network
    padded = Network([("a", nets.dense(rng, 4, 4)), ("map", L.Reshape((2, 2, 1))), ("gate", L.Sigmoid()),
                      ("pad", L.ZeroPadding2D(((1, 1), (1, 1)))), ("flat", L.Flatten())], (4,))
    assert lrp_core.without_final_activation(padded) is padded  # σ(0) is not the padding's 0


def test_the_command_line_names_every_class_that_a_sigmoid_lets_through(tmp_path):
    """The embedded network with its softmax exchanged, and biases that lift two classes above one half."""
    network = lrp_core.load(EMBEDDED_MODEL)
    *before, dense, _ = network.nodes
    z = network.logits(np.load(explained(tmp_path / "first", EMBEDDED_MODEL))["input"])
    first, second = np.argsort(-z)[:2].tolist()
    wanted = np.full(10, -2.0, np.float32)
    wanted[[first, second]] = 2.0, 1.0
    lifted = L.Dense(dense.layer.kernel, dense.layer.bias + wanted - z)
    multi = network.replace(nodes=[*before, ("dense2", lifted, dense.inputs), ("end", L.Sigmoid())],
                            reference=None)
    multi.save(tmp_path / "multi.npz")
    arrays = np.load(explained(tmp_path / "second", tmp_path / "multi.npz"))
    np.testing.assert_allclose(arrays["probabilities"], 1 / (1 + np.exp(-wanted)), rtol=1e-4)
    facts = json.loads((tmp_path / "second" / "siren.json").read_text())
    names = network.class_names
    assert facts["all_heard"] == [names[first], names[second]] and facts["independent_probabilities"]
    page = tmp_path / "page.html"
    run("report", str(EMBEDDED_CLIP), "--model", str(tmp_path / "multi.npz"), "-o", str(page))
    text = page.read_text()
    assert f"<strong>{names[first]}</strong>, 88.1%; <strong>{names[second]}</strong>, 73.1%" in text
    assert "several may be heard" in text


def run(*arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def explained(folder, model):
    """The arrays that `audio-lrp explain` writes for the embedded clip."""
    run("explain", "--model", str(model), "-o", str(folder))
    return folder / "siren.npz"
