"""Checks of exercise 9."""
import numpy as np
from teacher import Exercise, close, fail, problem, random

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex09_ledger_column")
rng = np.random.default_rng(9)
W1, W2, x = random(rng, 6, 5), random(rng, 5, 3), random(rng, 4, 6)


def explain(net, rules):
    """The engine's answer, or what it has against your code."""
    try:
        return lrp_core.explain(net, x, rules, 1, engine="numpy", layers=True)
    except lrp_core.ConservationError as error:
        return fail(f"the ledger does not add up: {error}\n"
                    "  look at   book.bias: add s · c to it, summed over all axes but the first")
    except Exception as error:
        return fail(f"the engine stopped: {problem(error)}")


def test_the_strongest_units():
    r = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    y = np.array([[0.0, 9.0, 1.0, 3.0], [2.0, 1.0, 4.0, 3.0]])
    found = mine.Strongest(2).through(L.ReLU(), y, y, r)
    close("what Strongest(2) hands on", found, [[0, 2, 0, 4], [0, 0, 7, 8]],
          "r where y >= least, 0 elsewhere: np.where",
          [([[0, 2, 0, 0], [0, 0, 7, 0]], "the k-th largest itself belongs to the strongest: >=, not >"),
           (np.where([[0, 1, 0, 1], [0, 0, 1, 1]], y, 0), "hand on r, not y")])


def test_the_column():
    net = lrp_core.Network([("hidden", L.Dense(W1)), ("relu", L.ReLU()), ("out", L.Dense(W2))], (6,))
    e = explain(net, [("relu", mine.Strongest(2)), ("*", lrp_core.Epsilon())])
    line = e.ledger["relu"]
    close("the column `by rule` of the ReLU", line.by_rule, line.received - line.passed,
          "the rule must return the relevance in the shape of x")
    close("how many units hand relevance on, in each of 4 samples",
          (e.layers["hidden"] != 0).sum(axis=1), np.minimum(2, (x @ W1 > 0).sum(axis=1)),
          "exactly the k strongest units")


def test_the_layer():
    mine.through_scale  # its gaps, before the engine asks
    net = lrp_core.Network([("hidden", L.Dense(W1)), ("scale", mine.Scale(2.0, 0.5)),
                            ("out", L.Dense(W2))], (6,))
    e = explain(net, lrp_core.Zero())
    z = x @ W1
    r = e.layers["scale"]
    close("the relevance before the layer", e.layers["hidden"], r * 2 * z / (2 * z + 0.5),
          "R_in = x g s, in a list: [x * layer.g * s]")
    close("what the ledger says the bias of the layer took", e.ledger["scale"].bias,
          (r * 0.5 / (2 * z + 0.5)).sum(axis=1), "Σ s c for each sample by itself")
