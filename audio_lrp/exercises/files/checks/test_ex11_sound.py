"""Checks of exercise 11."""
import numpy as np
from teacher import Exercise, close

import features
import lrp_core
from audio_lrp import EMBEDDED_CLIP, EMBEDDED_MODEL

mine = Exercise("ex11_sound")


def test_bands_to_cells_by_hand():
    P, M = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    R = np.array([[4.0, 3.0], [0.0, 0.0]])
    close("the relevance of the cells", mine.to_cells(P, M, R), [[2, 5, 0], [0, 0, 0]],
          "cells 0 and 1 each put 1 into band 0 and share its 4; only cell 1 put something into band 1",
          [([[2, 2.5, 3], [0, 0, 0]], "multiply by P: what the cell put in"),
           ([[2, 4, 1.5], [0, 0, 0]], "this seems to lack a transpose: s @ M.T")])


def test_the_strongest_cells():
    R = np.array([[1.0, 5.0], [-9.0, 4.0]])
    close("the cells that carry half of 1 + 5 + 4", mine.strongest(R, 0.5), [[0, 1], [0, 0]],
          "5 is half of the positive relevance: one cell is enough",
          [([[0, 0], [0, 0]], "one cell too few: np.searchsorted counts from 0"),
           ([[0, 1], [0, 1]], "one cell too many, or the negative relevance was left in the whole")])
    close("the cells that carry 0.6 of 1 + 5 + 4", mine.strongest(R, 0.6), [[0, 1], [0, 1]],
          "5 is less than 6, so the next largest is needed too",
          [([[0, 1], [0, 0]], "the share is one of the positive relevance, 10; R.sum() is 1")])
    close("the cells that carry all of it", mine.strongest(R, 1.0), [[1, 1], [0, 1]],
          "all that are positive, but not the negative one")


def test_the_siren():
    front_end = features.FrontEnd.study()
    network = front_end.before(lrp_core.load(EMBEDDED_MODEL))
    clip = front_end.open(EMBEDDED_CLIP)
    e = lrp_core.explain(network, clip.sound, "preset_a_flat", layers=True, engine="numpy")
    M = next(node.layer.kernel for node in network.nodes if node.name == "sound/mel")
    found = mine.to_cells(np.abs(clip.spectrum) ** 2, M, e.layers["sound/mel"])
    close("the relevance of the siren's cells", found, e.layers["sound/spectrogram"],
          "compare with the check by hand")
