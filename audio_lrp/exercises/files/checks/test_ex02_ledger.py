"""Checks of exercise 2."""
import numpy as np
from teacher import Exercise, close, fail

mine = Exercise("ex02_ledger")
x = np.array([1.0, 2.0, -1.0])
W = np.array([[1.0, -1.0], [0.5, 1.0], [1.0, 2.0]])
b = np.array([0.5, -0.25])
LOOK = {"received": "sum the relevance at the outputs, R",
        "passed": "sum the relevance of the inputs, R_in",
        "bias": "the bias put b_j into z_j, and a unit of z_j is worth s_j: Σ_j s_j b_j",
        "residual": "received - passed - bias"}


def compare(what, found, expected):
    if not isinstance(found, dict):
        fail(f"{what}: a dict with four numbers was expected, found {found!r}")
    for name, number in expected.items():
        close(f"`{name}` of {what}", found.get(name), number, LOOK[name])


def test_the_layer_of_exercise_1():
    line = mine.ledger_line(x, W, b, np.array([1.5, 0.0]), np.array([1.0, 1.0, -1.0]))
    compare("the layer of exercise 1", line,
            {"received": 1.5, "passed": 1.0, "bias": 0.5, "residual": 0.0})


def test_a_bias_can_add_relevance():
    """Output 1 is -1.25, of which the bias put in -0.25. Of negative relevance it takes a negative part."""
    R = np.array([0.0, -1.0])
    R_in = x * (W @ (R / np.array([1.5, -1.25])))
    compare("a layer whose output speaks against", mine.ledger_line(x, W, b, R, R_in),
            {"received": -1.0, "passed": -0.8, "bias": -0.2, "residual": 0.0})


def test_it_finds_a_theft():
    """Half of the first input's relevance is gone. The bias did not take it."""
    line = mine.ledger_line(x, W, b, np.array([1.5, 0.0]), np.array([0.5, 1.0, -1.0]))
    if isinstance(line, dict) and np.isclose(line.get("bias") or 0, 1.0):
        fail("R_in was falsified: input 0 got 0.5 in place of 1. Your ledger says that the bias took it.\n"
             "  look at   `bias`: compute it from s and b, not as what is left over")
    compare("an R_in that lacks 0.5", line, {"received": 1.5, "passed": 0.5, "bias": 0.5, "residual": 0.5})
