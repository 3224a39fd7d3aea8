"""Checks of exercise 4."""
import numpy as np
from teacher import Exercise, close, fail, random

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex04_network")


def network(seed, sizes=(6, 5, 4, 3), bias=1.0):
    rng = np.random.default_rng(seed)
    return ([(random(rng, m, n), bias * random(rng, n)) for m, n in zip(sizes, sizes[1:])],
            random(rng, sizes[0]))


def engine(layers, x, target, epsilon):
    """lrp_core's answer."""
    nodes = []
    for n, (W, b) in enumerate(layers):
        nodes += [(f"dense{n}", L.Dense(W, b)), (f"relu{n}", L.ReLU())]
    net = lrp_core.Network(nodes[:-1], x.shape)
    return lrp_core.explain(net, x, lrp_core.Epsilon(epsilon), target, engine="numpy")


def test_the_forward_pass():
    layers, x = network(0)
    (W1, b1), (W2, b2), (W3, b3) = layers
    x1 = np.maximum(x @ W1 + b1, 0)
    x2 = np.maximum(x1 @ W2 + b2, 0)
    found = mine.forward(layers, x)
    for number, expected in enumerate((x, x1, x2, x2 @ W3 + b3)):
        close(f"forward(layers, x)[{number}]", found[number], expected,
              "a ReLU is max(z, 0), number by number: np.maximum")


def test_where_it_starts():
    layers, x = network(1)
    scores, found = mine.forward(layers, x)[-1], mine.explain(layers, x, 2)[-1]
    close("the relevance at the scores, for class 2", found, [0, 0, scores[2]],
          "the class that is explained has its score as relevance; the others have 0",
          [(scores, "only class 2 is explained: the other scores must not start with relevance"),
           ([0, 0, 1.0], "start with the score itself, not with 1"),
           ([0, 0, 0], "R is still all zeros: R[target] = ...")])


def test_it_is_what_the_engine_says():
    for seed, target, epsilon in ((2, 0, 1e-7), (3, 1, 0.25)):
        layers, x = network(seed)
        found = mine.explain(layers, x, target, epsilon)
        if len(found) != len(layers) + 1:
            fail(f"explain: {len(layers) + 1} arrays were expected (one for each layer's input, and the "
                 f"scores), found {len(found)}")
        expected = engine(layers, x, target, epsilon).relevance
        close(f"the relevance of the input, ε = {epsilon}", found[0], expected,
              "the loop: R / stable, then back through W, times this layer's input x")


def test_without_biases_all_of_the_score_arrives():
    layers, x = network(4, bias=0.0)
    found = mine.explain(layers, x, 1, 1e-12)
    for number, R in enumerate(found):
        close(f"the sum of the relevance at layer {number}", np.sum(R), np.sum(found[-1]),
              "without biases each layer hands on all it received")
