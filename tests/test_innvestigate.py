"""Our relevance against iNNvestigate's for six networks, thirteen methods and two targets.

What iNNvestigate 2.1.2 computed, in float32, lies in data/innvestigate_*.npz; data/make_innvestigate.py made
it.
"""
import functools
import pathlib
import sys

import numpy as np
import pytest

import lrp_core
from lrp_core import AlphaBeta, Flat, WSquare, Zero
from lrp_core.layers import LAYER_TYPES

DATA = pathlib.Path(__file__).parent / "data"
sys.path.insert(0, str(DATA))
import study_net  # noqa: E402

NETS = ("strides", "average", "global", "nobias", "mlp", "study")
RULES = {
    "lrp.z": Zero(),
    "lrp.epsilon": "epsilon",
    "lrp.flat": Flat(),
    "lrp.w_square": WSquare(),
    "lrp.alpha_2_beta_1": AlphaBeta(2, 1, "whole"),
    "lrp.alpha_2_beta_1_IB": AlphaBeta(2, 1, "ignore"),
    "lrp.alpha_1_beta_0": AlphaBeta(1, 0, "whole"),
    "lrp.alpha_1_beta_0_IB": AlphaBeta(1, 0, "ignore"),
    "lrp.sequential_preset_a": "preset_a",
    "lrp.sequential_preset_b": "preset_b",
    "lrp.sequential_preset_a_flat": "preset_a_flat",
    "lrp.sequential_preset_b_flat": "preset_b_flat",
}
TARGETS = {"max": "max", "index": 1}

# Flat up to the second layer; its name differs from network to network.
UNTIL = {"strides": "conv2", "global": "conv2", "study": study_net.LAYERS[2][0]}
CASES = [(name, method) for name in NETS for method in RULES]
CASES += [(name, "lrp.sequential_preset_b_flat_until_idx") for name in UNTIL]

# The inputs are such that float32's rounding, which the reference has, flips no ReLU and no pool's winner.
TOLERANCE = 1e-4


@functools.cache
def case(name):
    """(network, inputs, iNNvestigate's results) of one network."""
    with np.load(DATA / f"innvestigate_{name}.npz") as file:
        reference = dict(file)
    if name != "study":
        return lrp_core.load(DATA / f"innvestigate_{name}_net.npz"), reference["x"], reference
    weights_seed, images_seed = (int(seed) for seed in reference["seeds"])
    arrays = {layer: {"kernel": kernel, "bias": bias} for layer, kernel,
              bias in study_net.study_weights(weights_seed)}
    nodes = [(layer, LAYER_TYPES[kind](**arrays.get(layer, {}), **options)) for layer, kind,
             options in study_net.LAYERS]
    images = study_net.study_images(images_seed, len(reference["logits"]))
    return lrp_core.Network(nodes, study_net.INPUT_SHAPE), images, reference


@functools.cache
def explanations(name, method):
    """{mode: explanation of all samples} by the rules that stand for a method of iNNvestigate."""
    network, x, _ = case(name)
    rules = RULES[method] if method in RULES else lrp_core.preset_b_flat_until(UNTIL[name])
    return {mode: lrp_core.explain(network, x, rules, target) for mode, target in TARGETS.items()}


def relative(found, expected):
    """||found - expected|| / ||expected||, for each sample."""
    found, expected = (array.reshape(len(array), -1).astype(np.float64) for array in (found, expected))
    return np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)


def differences(name, method):
    """The relative difference from iNNvestigate of every sample and target."""
    reference = case(name)[2]
    return np.concatenate([relative(e.relevance, reference[f"{method}/{mode}"])
                           for mode, e in explanations(name, method).items()])


def test_study_is_drawn_as_when_the_reference_was_made():
    """If this fails, NumPy's random stream has changed: make the reference again."""
    network, images, reference = case("study")
    arrays = [array for node in network.nodes
              for array in (getattr(node.layer, a) for a in node.layer.arrays)]
    assert [study_net.checksum(*arrays), study_net.checksum(images)] == list(reference["checksums"])
    assert network.parameters == 1_958_730


@pytest.mark.parametrize("name", NETS)
def test_logits_and_winners_agree(name):
    network, x, reference = case(name)
    logits = network.logits(x)
    assert relative(logits, reference["logits"]).max() <= TOLERANCE
    assert (logits.argmax(axis=1) == reference["winner"]).all()


@pytest.mark.parametrize("name, method", CASES)
def test_every_sample_agrees_with_innvestigate(name, method):
    assert differences(name, method).max() <= TOLERANCE


@pytest.mark.parametrize("name, method", CASES)
def test_books_close(name, method):
    for mode, e in explanations(name, method).items():
        expected = case(name)[2]["winner"] if mode == "max" else TARGETS[mode]
        assert (e.target == expected).all()
        explained = e.logits[np.arange(len(e.target)), e.target]
        assert (e.ledger.residual <= 1e-6 * np.abs(explained)).all()
