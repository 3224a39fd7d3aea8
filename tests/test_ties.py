"""Digital silence makes windows that are equal to the last bit; so must be what is computed from them."""
import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import layers as L


@pytest.mark.parametrize("size", range(3, 16))
@pytest.mark.parametrize(("channels", "filters"), [(3, 32), (64, 128), (128, 128), (5, 7)])
def test_equal_windows_give_equal_numbers(size, channels, filters):
    rng = np.random.default_rng(size)
    layer = L.Conv2D(rng.standard_normal((3, 3, channels, filters)), rng.standard_normal(filters))
    pixel = rng.standard_normal(channels)
    z = layer.forward(np.broadcast_to(pixel, (2, size, size, channels)).copy())
    assert (z == z[:1, :1, :1]).all()


@nets.every_engine
def test_a_pool_over_silence_has_its_first_pixel_win(how):
    rng = np.random.default_rng(0)
    network = lrp_core.Network([
        ("conv", L.Conv2D(rng.standard_normal((3, 3, 16, 64)).astype(np.float32),
                          np.full(64, 30, np.float32))),
        ("pool", L.MaxPool2D(3, 2, "same")), ("flat", L.Flatten()),
        ("dense", L.Dense(np.abs(rng.standard_normal((5 * 5 * 64, 2))).astype(np.float32)))], (11, 11, 16))
    silent = np.broadcast_to(rng.random(16, np.float32), (11, 11, 16)).copy()
    r = lrp_core.explain(network, silent, "epsilon", layers=True, **how).layers["conv"]
    # Windows of 3 at a stride of 2 over 9 pixels, one of padding before: they begin at -1, 1, 3, 5, 7.
    winners = np.zeros((9, 9), bool)
    winners[np.ix_([0, 1, 3, 5, 7], [0, 1, 3, 5, 7])] = True
    np.testing.assert_array_equal((r != 0).any(axis=-1), winners)
