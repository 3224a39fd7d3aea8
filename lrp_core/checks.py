"""What counts as a number, and refusals that several modules share."""
import math
import numbers

import numpy as np

from .text import listing, quote


def is_number(value):
    """Is this a finite real number, of Python or of NumPy?"""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value):
    """Is this a whole number, of Python or of NumPy?"""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_met(unmet, start):
    """Raise ValueError where `keep` names nodes that no relevance from `start` has met."""
    if unmet:
        raise ValueError(f"keep: no relevance reaches {listing(map(quote, sorted(unmet)))} from "
                         f"{quote(start)}")


def check_scores(network, trace):
    """Refuse scores that overflow; name the first node whose output does."""
    if np.abs(trace.outputs[network.nodes[-1].name]).max() < np.finfo(np.float32).max:
        return
    for node in network.nodes:
        if not np.abs(trace.outputs[node.name]).max() < np.finfo(np.float32).max:
            why = ("is not a number: a logarithm or a root of a negative number, or 0 divided by 0"
                   if np.isnan(trace.outputs[node.name]).any()
                   else "overflows: its weights or the input are too large")
            raise ValueError(f"the output of node {quote(node.name)} {why}")
