"""Checks of exercise 5."""
import numpy as np
from teacher import Exercise, close, random

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex05_convolution")
rng = np.random.default_rng(5)
x, W, b = random(rng, 5, 6, 2), random(rng, 3, 3, 2, 3), random(rng, 3)
s = random(rng, 3, 4, 3)


def matrix():
    """M by its definition, place by place."""
    M = np.zeros((5, 6, 2, 3, 4, 3))
    for y, column, i, j in np.ndindex(3, 4, 3, 3):
        M[y + i, column + j, :, y, column] = W[i, j]
    return M.reshape(60, 36)


def test_the_matrix():
    close("as_matrix(W, shape)", mine.as_matrix(W, (5, 6, 2)), matrix(),
          "give x the input's shape, convolve it with W, and ravel() the result")


def test_the_way_back():
    M = matrix()
    assigned = np.zeros((5, 6, 2))
    for i, j in np.ndindex(3, 3):
        assigned[i:i + 3, j:j + 4] = s @ W[i, j].T
    close("transposed(s, W, shape)", mine.transposed(s, W, (5, 6, 2)), (M @ s.ravel()).reshape(5, 6, 2),
          "the slices: the pixels that W[i, j] reads in `convolve` are those that it gives to here",
          [(assigned, "windows overlap: a pixel gets something from several outputs, so use +=")])


def test_the_relevance():
    R = random(rng, 3, 4, 3)
    z = sum(x[i:i + 3, j:j + 4] @ W[i, j] for i in range(3) for j in range(3)) + b
    dense = (x.ravel() * (matrix() @ (R / (z + 1e-7 * np.sign(z))).ravel())).reshape(x.shape)
    close("lrp_convolution", mine.lrp_convolution(x, W, b, R), dense,
          "as in exercise 1: what each pixel put in, times what comes back",
          [(dense / x, "multiply by x: each pixel put x · W in")])


def test_it_is_what_the_engine_says():
    net = lrp_core.Network([("conv", L.Conv2D(W, b))], x.shape)
    e = lrp_core.explain(net, x, lrp_core.Epsilon(1e-7), target=(1, 2, 0), engine="numpy")
    R = np.zeros((3, 4, 3))
    R[1, 2, 0] = e.ledger.start
    close("lrp_convolution for one output", mine.lrp_convolution(x, W, b, R), e.relevance,
          "compare with the check before this one")
