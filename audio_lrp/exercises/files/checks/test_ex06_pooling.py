"""Checks of exercise 6."""
import numpy as np
from teacher import Exercise, close

import lrp_core
from lrp_core import layers as L

mine = Exercise("ex06_pooling")


def test_winners_by_hand():
    x = np.array([[1, 2, 3, 0, 0], [0, 0, 0, 0, 9], [0, 7, 0, 0, 0], [0, 0, 0, 0, 5], [4, 0, 8, 0, 0.0]])
    rows, columns = mine.winners(x)
    close("the winners' rows", rows, [[2, 1], [4, 4]],
          "window (i, j) begins at row i · stride of x; add the winner's row inside the window",
          [([[2, 1], [2, 2]], "the row inside the window is right; add i · stride to have the row in x")])
    close("the winners' columns", columns, [[1, 4], [2, 2]],
          "window (i, j) begins at column j · stride of x; add the winner's column inside the window")


def test_a_tie_has_one_winner():
    rows, columns = mine.winners(np.zeros((5, 5)))
    close("the winners' rows in silence", rows, [[0, 0], [2, 2]],
          "of equal pixels the first in reading order wins",
          [([[2, 2], [4, 4]], "this is the last of equals; the first one wins")])
    close("the winners' columns in silence", columns, [[0, 2], [0, 2]],
          "of equal pixels the first in reading order wins")


def test_windows_overlap():
    x = np.zeros((5, 5))
    x[2, 2] = 1  # all four windows see it
    R, expected, once = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((5, 5)), np.zeros((5, 5))
    expected[2, 2], once[2, 2] = 10, 4
    close("R_in where one pixel wins all four windows", mine.lrp_max_pool(x, R), expected,
          "the pixel in the middle gets 1 + 2 + 3 + 4",
          [(once, "the pixel in the middle won four times, but got the relevance of one window: np.add.at")])


def test_it_is_what_the_engine_says():
    x = np.random.default_rng(6).integers(0, 4, (9, 9)).astype(float)  # many ties
    net = lrp_core.Network([("pool", L.MaxPool2D(3, 2)), ("flat", L.Flatten()),
                            ("sum", L.Dense(np.ones((16, 1))))], (9, 9, 1))
    e = lrp_core.explain(net, x[..., None], lrp_core.Zero(), engine="numpy", layers=True)
    close("R_in of a map with many ties", mine.lrp_max_pool(x, e.layers["pool"][..., 0]), e.relevance[..., 0],
          "compare with the checks before this one")
