"""Sums and differences of branches, and what reads them: both engines against the loops over single numbers.
"""
import naive
import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import AlphaBeta, Epsilon, Flat, Gamma, Network, Zero, ZPlus
from lrp_core import layers as L

BARS = {"float64": 2e-7, "float32": 1e-4}    # of the largest relevance of each node
RULES = [*(AlphaBeta(2, 1, bias) for bias in ("whole", "split", "ignore")), AlphaBeta(1, 0, "whole"), ZPlus(),
         Gamma(0.5), Epsilon(0.1), Flat()]


def assert_explained(network, x, how, formulas):
    """Relevance at every node and each page of the ledger are those of the formulas, sample by sample."""
    found = lrp_core.explain(network, x, list(formulas.items()), 1, **how, layers=True)
    bar = BARS[how["dtype"]]
    for k, sample in enumerate(x):
        relevance, books, _ = naive.explain(network, sample, formulas, 1)
        for name, expected in relevance.items():
            np.testing.assert_allclose(found.layers[name][k], expected, rtol=0,
                                       atol=bar * np.abs(expected).max(), err_msg=name)
        for name, book in books.items():
            entry = found.ledger.sample(k)[name]
            for part in ("received", "passed", "bias", "stabilizer", "gated"):
                assert abs(getattr(entry, part) - getattr(book, part)) <= bar * entry.turnover, (name, part)


def samples(network):
    """Mixed signs, and one sample without anything below zero, which the compiled path plans apart."""
    x = nets.inputs(network, 3, 90)
    x[1] = np.abs(x[1])
    return x


def joined(merge, kernel):
    """Two branches that end in ReLUs, joined by `merge`, and read by a convolution or by a dense layer."""
    rng = np.random.default_rng(91)
    read = [("next", nets.conv(rng, (2, 3), 4, 5)), ("relu", L.ReLU()),
            ("flatten", L.Flatten())] if kernel == "Conv2D" else \
        [("flatten", L.Flatten()), ("next", nets.dense(rng, 48, 60)), ("relu", L.ReLU())]
    return Network([
        ("left", nets.conv(rng, (3, 3), 2, 4), ("input",)), ("left relu", L.ReLU()),
        ("right", nets.conv(rng, (1, 1), 2, 4), ("input",)), ("right relu", L.ReLU()),
        ("joined", merge, ("left relu", "right relu")), *read, ("out", nets.dense(rng, 60, 3))], (4, 3, 2))


@nets.every_engine
@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("kernel", ["Conv2D", "Dense"])
@pytest.mark.parametrize("merge", [L.Subtract(), L.Add()], ids=lambda layer: layer.type)
def test_what_reads_a_sum_of_rectified_branches(merge, kernel, rule, how):
    """A sum of what cannot be negative cannot be negative either; a difference can, and has negative
    contributions.
    """
    network = joined(merge, kernel)
    formulas = {"left": Epsilon(0.1), "right": Epsilon(0.1), "next": rule, "out": Epsilon(0.1)}
    assert_explained(network, samples(network), how, formulas)


@nets.every_engine
@pytest.mark.parametrize("merge, inputs", [
    (L.Add(), ("relu", "relu")), (L.Add(), ("relu", "relu", "relu")), (L.Add(), ("relu", "hidden", "relu")),
    (L.Add(), ("input", "input", "relu")),
    (L.Subtract(), ("relu", "relu"))], ids=str)
def test_a_sum_that_reads_one_tensor_twice(merge, inputs, how):
    """Its relevance adds up from all the times that it was read; x - x is nothing, and what arrives there is
    gated.
    """
    rng = np.random.default_rng(92)
    network = Network([("hidden", nets.dense(rng, 6, 6)), ("relu", L.ReLU()), ("sum", merge, inputs),
                       ("out", nets.dense(rng, 6, 3))], (6,))
    # flat: also what is zero receives something
    formulas = {"hidden": AlphaBeta(2, 1, "split"), "out": Flat()}
    assert_explained(network, samples(network), how, formulas)


@nets.every_engine
def test_twice_a_number_is_read_by_hand(how):
    """y = 3·(x + x): each of the two shares is half of it, together all; x + x + x by thirds."""
    for times in (2, 3):
        network = Network([("double", L.Add(), ("input",) * times), ("out", L.Dense(np.float32([[3]])))],
                          (1,))
        found = lrp_core.explain(network, np.float32([5]), Zero(), 0, **how, layers=True)
        assert found.relevance[0] == pytest.approx(15 * times, rel=1e-6) and found.ledger[
            "double"
        ].passed == pytest.approx(15 * times, rel=1e-6)
