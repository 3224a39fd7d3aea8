"""Relevance of our choice carried down a front end: what tests look at."""
import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.ledger import Entry


def explanation_of(relevance):
    """An Explanation whose relevance is this array, as if one layer had handed all of the score to it."""
    relevance = np.asarray(relevance, np.float64)
    score, size = float(relevance.sum()), float(np.abs(relevance).sum())
    line = Entry("made up", "", "", score, score, turnover=abs(score) + size)
    return lrp_core.Explanation(relevance, np.zeros(1, np.float32), 0, None, None,
                                lrp_core.Ledger.of([line], score, score), L.Softmax())


def down(clip, relevance, trace=None):
    """The relevance of a clip's input carried down to its samples: an Explanation, stages in `layers`."""
    return lrp_core.extend(explanation_of(relevance), clip.below, clip.original,
                           trace=clip.trace if trace is None else trace)


def cross(layer, x, r):
    """(R_in, Book) of a layer that takes x [*shape], for the relevance r of its output, by its own way."""
    x, r = np.asarray(x, np.float64)[None], np.asarray(r, np.float64)[None]
    y, kept = layer.forward_keeping(x)
    book = lrp_core.Book(1, kept)
    (r_in,) = lrp_core.flow(layer, lrp_core.Zero(), [x], y, r, book)
    return r_in[0], book
