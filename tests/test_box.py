"""The box rule, z^B: its formula number by number, and bounds that do not fit; on both engines."""
import math

import numpy as np
import pytest

import lrp_core
from lrp_core import layers as L


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("low", [(0.0, 0.1), np.zeros((2, 4, 4, 3)), np.zeros((1, 5, 4, 3))],
                         ids=["channels", "one for each sample", "rows"])
def test_a_box_that_does_not_fit_the_input_is_refused_by_the_layers_name(engine, low):
    """Also where it would broadcast against the batch, or make the input larger."""
    kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 2)).astype(np.float32)
    network = lrp_core.Network([("first", L.Conv2D(kernel)), ("flat", L.Flatten())], (4, 4, 3))
    x = np.random.default_rng(1).random((2, 4, 4, 3)).astype(np.float32)
    with pytest.raises(ValueError, match=r"'first'.*does not fit inputs of shape \(4, 4, 3\)"):
        lrp_core.explain(network, x, lrp_core.ZBox(low, 1.0), engine=engine)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(), (3,), (4, 4, 1), (4, 4, 3)])
def test_a_box_by_its_formula_in_single_loops(engine, shape):
    """R_i = Σ_j (x_i W_ij - l_i W_ij⁺ - h_i W_ij⁻) / Σ_i' (...) · R_j, as Montavon 2017 writes it."""
    rng = np.random.default_rng(len(shape))
    low, high = -rng.random(shape), 1 + rng.random(shape)
    kernel = rng.standard_normal((4 * 4 * 3, 2)).astype(np.float32)
    layers = [("first", L.Conv2D(kernel.reshape(4, 4, 3, 2))), ("flat", L.Flatten())]
    network = lrp_core.Network(layers, (4, 4, 3))
    x = rng.random((1, 4, 4, 3)).astype(np.float32)
    e = lrp_core.explain(network, x, lrp_core.ZBox(low, high), 1, engine=engine)
    xs, lows, highs = (np.broadcast_to(one, (4, 4, 3)).ravel().tolist() for one in (x[0], low, high))
    shares = [a * w - b * max(w, 0) - c * min(w, 0)
              for a, b, c, w in zip(xs, lows, highs, kernel[:, 1].astype(float).tolist())]
    score = sum(a * w for a, w in zip(xs, kernel[:, 1].astype(float).tolist()))
    expected = np.array(shares) / math.fsum(shares) * score
    np.testing.assert_allclose(e.relevance.ravel(), expected, rtol=1e-12, atol=1e-14)
