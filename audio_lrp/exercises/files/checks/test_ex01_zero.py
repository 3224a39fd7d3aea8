"""Checks of exercise 1."""
import numpy as np
from teacher import Exercise, close

mine = Exercise("ex01_zero")
x = np.array([1.0, 2.0, -1.0])
W = np.array([[1.0, -1.0], [0.5, 1.0], [1.0, 2.0]])
b = np.array([0.5, -0.25])
z = np.array([1.5, -1.25])


def test_one_output_by_hand():
    """The inputs put 1, 1 and -1 into output 0, and the bias 0.5: z_0 = 1.5, which is its relevance."""
    R_in = mine.lrp_zero(x, W, b, np.array([1.5, 0.0]))
    close("R_in of the inputs 1, 2, -1 for output 0", R_in, [1, 1, -1],
          "the inputs put 1, 1 and -1 into output 0; as its relevance is all of z_0, they keep just that",
          [([1, 0.5, 1], "the last step: this is W·s, so x_i is still missing"),
           ([6, 6, -6], "s: each output has its own z_j; R_j / z_j is not R_j / Σ_j z_j"),
           ([1.5, 1.5, -1.5], "z: this is R_in without the bias in z; z_j = Σ_i x_i W_ij + b_j"),
           ([1.5, 3, -1.5], "R_in: it seems that W is missing on the way back; sum W_ij s_j over j")])


def test_two_outputs_add_up():
    R = np.array([3.0, 5.0])
    close("R_in for the relevance [3, 5] of two outputs", mine.lrp_zero(x, W, b, R), x * (W @ (R / z)),
          "s: each output has its own z_j, and an input gets something from each output")


def test_without_a_bias_nothing_is_lost():
    rng = np.random.default_rng(1)
    x, W, R = rng.standard_normal(7), rng.standard_normal((7, 4)), rng.standard_normal(4)
    R_in = mine.lrp_zero(x, W, np.zeros(4), R)
    close("the sum of R_in in a layer of 7 inputs without a bias", np.sum(R_in), R.sum(),
          "all of it: without a bias the inputs get exactly what arrived at the outputs")
