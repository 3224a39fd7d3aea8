"""Checks of exercise 8."""
import numpy as np
from teacher import Exercise, close, fail, problem, random

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex08_own_rule")


def explain(net, x, rule):
    """The engine's answer, or its complaint about the rule."""
    try:
        return lrp_core.explain(net, x, rule, 0, engine="numpy")
    except Exception as error:
        return fail(f"the engine cannot use your rule: {problem(error)}\n"
                    "  look at   groups: it returns a tuple of Group, and a Group has a tuple of Term")


def test_two_inputs_by_hand():
    net = lrp_core.Network([("dense", L.Dense(np.array([[1.0], [3.0], [-2.0]])))], (3,))
    e = explain(net, np.array([1.0, 1.0, 1.0]), mine.Sharp(2))
    close("R_in of the weights 1, 3, -2 for p = 2 and R = 2", e.relevance, [0.2, 1.8, 0],
          "1² and 3² share R as 1 to 9; the negative weight gets nothing",
          [([0.5, 1.5, 0], "the power p is not used: 1 and 3 were shared as they are"),
           (np.array([2, 18, 8]) / 14, "the negative weight: take W⁺ before the power; (-2)² is positive")])


def test_inputs_count_too():
    net = lrp_core.Network([("dense", L.Dense(np.array([[1.0], [1.0], [1.0]])))], (3,))
    e = explain(net, np.array([1.0, 3.0, -2.0]), mine.Sharp(2))
    close("R_in of the inputs 1, 3, -2 and equal weights", e.relevance, [0.5, 1.5, 0],
          "x' is the positive part of x, not to any power",
          [(np.full(3, 2 / 3), "x' = 1 here: use `positive` in place of `ones`"),
           ([1, 3, -2], "x' = x here: use `positive` in place of `whole`")])


def test_p_1_is_zplus():
    rng = np.random.default_rng(8)
    net = lrp_core.Network([("conv", L.Conv2D(random(rng, 3, 3, 2, 4))), ("relu", L.ReLU()),
                            ("flat", L.Flatten()), ("out", L.Dense(random(rng, 64, 3)))], (6, 6, 2))
    x = np.abs(random(rng, 6, 6, 2))
    expected = explain(net, x, lrp_core.ZPlus()).relevance
    close("Sharp(1) in a small CNN", explain(net, x, mine.Sharp(1)).relevance, expected,
          "with p = 1 it is the ZPlus of the text")


def test_rules_are_told_apart():
    if mine.Sharp(1) == mine.Sharp(2) or mine.Sharp(2) != mine.Sharp(2.0):
        fail("Sharp(1) and Sharp(2) must differ, and Sharp(2) must equal Sharp(2.0): the engine keeps its "
             "plans by them\n  look at   the line @dataclasses.dataclass(...) and the field p: both must "
             "stay as they were")
