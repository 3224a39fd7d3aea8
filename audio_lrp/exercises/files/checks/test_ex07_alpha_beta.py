"""Checks of exercise 7."""
import numpy as np
from teacher import Exercise, close, random

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex07_alpha_beta")
x, W = np.array([1.0, 2.0, -1.0]), np.array([[1.0], [0.5], [1.0]])


def engine(x, W, R, rule):
    """lrp_core's answer: a second layer hands R to the outputs of the first."""
    net = lrp_core.Network([("dense", L.Dense(W))], (len(W),))
    e = [lrp_core.explain(net, x, rule, j, engine="numpy") for j in range(W.shape[1])]
    return sum(one.relevance * (r / one.ledger.start) for one, r in zip(e, R))


def test_by_hand():
    """Inputs 0 and 1 put 1 each in favour of the output, input 2 speaks against it with -1."""
    R_in = mine.lrp_alpha_beta(x, W, np.array([1.5]), 2, 1)
    close("R_in for α = 2, β = 1, R = 1.5", R_in, [1.5, 1.5, -1.5],
          "in favour are 1 and 1, which share 2 · 1.5; against is -1, which takes -1.5",
          [([1.5, 1.5, 1.5], "the sign of what is against: (x W)⁻ / z⁻ is positive, and β is subtracted"),
           ([3, 3, -1.5], "z⁺ sums over all inputs: 1 + 1")])


def test_inputs_of_both_signs():
    rng = np.random.default_rng(7)
    x, W, R = random(rng, 6), random(rng, 6, 4), random(rng, 4)
    with np.errstate(all="ignore"):
        half = np.maximum(x, 0) * (np.maximum(W, 0) @ (R / (np.maximum(x, 0) @ np.maximum(W, 0))))
    for alpha, beta in ((1, 0), (2, 1)):
        close(f"R_in for α = {alpha}, β = {beta}", mine.lrp_alpha_beta(x, W, R, alpha, beta),
              engine(x, W, R, lrp_core.AlphaBeta(alpha, beta, "ignore")),
              "negative inputs: x⁻ W⁻ is in favour too, and x⁻ W⁺ is against",
              [(half, "two negative factors make a positive product: x⁻ W⁻ is missing, in z⁺ and below")])


def test_nothing_in_favour():
    found = mine.lrp_alpha_beta(np.array([1.0, 1.0]), np.array([[-1.0], [-2.0]]), np.array([3.0]), 1, 0)
    close("R_in for α = 1, β = 0 where nothing is in favour", found, [0, 0],
          "divide(R, z) gives 0 where z is 0; then nothing is passed on, and a ledger would book it as gated")


def test_flat():
    rng = np.random.default_rng(8)
    x, W, R = rng.standard_normal(5), rng.standard_normal((5, 3)), np.array([1.0, 2.0, 4.0])
    close("lrp_flat of 5 inputs for R = [1, 2, 4]", mine.lrp_flat(x, W, R), np.full(5, 1.4),
          "each of the 5 inputs gets a fifth of each output's relevance",
          [(np.full(5, 7.0), "divide by the number of inputs: their sum must be that of R, 7"),
           (np.full(5, 7 / 3), "divide by the number of inputs, not of outputs")])
