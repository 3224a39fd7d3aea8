"""A fresh process from import to explanation, asked like a peer: `python -m benchmarks.first_explanation
study.npz`.
"""
import time

BEGUN = time.perf_counter()
import types  # noqa: E402

import numpy as np  # noqa: E402

import lrp_core  # noqa: E402
from audio_lrp import EMBEDDED_MODEL  # noqa: E402

IMPORTED = time.perf_counter()

from benchmarks.peers import protocol  # noqa: E402


class Tool:
    """The embedded network; methods are presets, without other options: in double precision, compiled."""

    def __init__(self, study):
        self.network = lrp_core.load(EMBEDDED_MODEL)

    def prepare(self, method, x):
        return lambda: lrp_core.explain(self.network, x, method)

    def to_numpy(self, explanation):
        return explanation.relevance


def images(path):
    """The images of a study's file; the network comes from the project."""
    with np.load(path) as arrays:
        return types.SimpleNamespace(x=arrays["x"])


if __name__ == "__main__":
    protocol.serve(Tool, ("numba",), IMPORTED - BEGUN, images)
