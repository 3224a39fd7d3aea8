"""Checks of exercise 3."""
import numpy as np
from teacher import Exercise, close, fail

mine = Exercise("ex03_epsilon")


def test_stabilize():
    found = mine.stabilize(np.array([2.0, -2.0, 0.1, -0.1]), 0.5)
    close("stabilize([2, -2, 0.1, -0.1], 0.5)", found, [2.5, -2.5, 0.6, -0.6],
          "z moves away from zero: up where it is positive, down where it is negative",
          [([2.5, -1.5, 0.6, 0.4], "the sign: z + ε moves a negative z towards zero, or beyond it")])


def test_stabilize_at_zero():
    close("stabilize([0, 0], 0.5)", mine.stabilize(np.zeros(2), 0.5), [0.5, 0.5],
          "zero counts as positive: z >= 0", [([0, 0], "np.sign(0) is 0, and would leave z where it is"),
                                              ([-0.5, -0.5], "zero counts as positive: z >= 0, not z > 0")])


def test_one_output_by_hand():
    x, W, b = np.array([1.0, 2.0, -1.0]), np.array([[1.0], [0.5], [1.0]]), np.array([0.5])
    R_in, bias, stabilizer = three(mine.lrp_epsilon(x, W, b, np.array([1.5]), 0.5))
    close("R_in with ε = 0.5 where z = 1.5", R_in, [0.75, 0.75, -0.75],
          "the denominator is 1.5 + 0.5 = 2", [([1, 1, -1], "s: the denominator is stabilize(z, ε), not z")])
    close("what the bias absorbs", bias, 0.375, "s: it must be the one with ε in its denominator")
    close("what the stabilizer absorbs", stabilizer, 0.375,
          "s_j times what the stabilizer put into the denominator, summed over j")


def test_the_line_adds_up():
    """1000 random layers, one with outputs that are exactly zero."""
    rng = np.random.default_rng(3)
    for turn in range(1000):
        x, W, b, R = (rng.standard_normal(shape) for shape in (5, (5, 4), 4, 4))
        if turn == 0:
            x, b = np.zeros(5), np.array([0, 0, 1.0, -1.0])
        R_in, bias, stabilizer = three(mine.lrp_epsilon(x, W, b, R, 0.3))
        close("received - passed - bias - stabilizer", R.sum() - np.sum(R_in) - bias - stabilizer, 0,
              "`stabilizer`: to a negative z -ε was added, to a z that is positive or 0, ε")


def three(found):
    if not (isinstance(found, tuple) and len(found) == 3):
        fail(f"lrp_epsilon must return three things: R_in, bias, stabilizer; found {found!r}")
    return found
