"""Batch normalisation next to layers of every kind: folded where that is exact, left alone elsewhere, the
scores as before.
"""
import numpy as np
import pytest

from lrp_core import Network, fold_batch_norm
from lrp_core import layers as L


def draw(*shape):
    """Weights that are seeded by their shape."""
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def norm(channels):
    """A batch norm that scales and shifts every channel differently."""
    return L.BatchNorm(1 + np.abs(draw(channels)), draw(channels, 1)[:, 0])


# name: (layer that takes maps of 4 channels, does a batch norm before it fold, how many channels it makes)
NEIGHBOURS = {
    "convolution": (L.Conv2D(draw(2, 3, 4, 6), draw(6)), True, 6),
    "padded convolution": (L.Conv2D(draw(3, 3, 4, 6), draw(6), padding="same"), False, 6),
    "explicitly padded convolution": (L.Conv2D(draw(3, 3, 4, 6), draw(6), padding=((0, 0), (1, 0))), False,
                                      6),
    "grouped convolution": (L.Conv2D(draw(2, 3, 2, 6), draw(6), groups=2), False, 6),
    "depthwise convolution": (L.DepthwiseConv2D(draw(2, 2, 4, 2), draw(8)), False, 8),
    "transposed convolution": (L.Conv2DTranspose(draw(2, 2, 3, 4), draw(3)), False, 3),
    "dense layer": (L.Dense(draw(4, 5), draw(5)), True, 5),
    "dense layer without a bias": (L.Dense(draw(4, 5)), True, 5),
}


def network_of(*layers):
    """The layers one after the other, and scores."""
    shape = (5, 6, 4)
    for layer in layers:
        shape = layer.output_shape(shape)
    return Network([*((f"layer{number}", layer) for number, layer in enumerate(layers)),
                    ("flat", L.Flatten()),
                    ("out", L.Dense(draw(int(np.prod(shape)), 3)))], (5, 6, 4))


def assert_folds(network, folds):
    """The scores stay, and the batch norm is there or not."""
    folded, x = fold_batch_norm(network), np.random.default_rng(4).standard_normal((3, 5, 6,
                                                                                    4)).astype(np.float32)
    assert any(isinstance(node.layer, L.BatchNorm) for node in folded.nodes) != folds
    before = network.logits(x)
    np.testing.assert_allclose(folded.logits(x), before, atol=1e-5 * np.abs(before).max())


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_batch_norm_before_a_layer(name):
    """W (a x + d) + b is a linear layer of the same kind where each output sees all channels and no padding.
    """
    layer, folds, _ = NEIGHBOURS[name]
    assert_folds(network_of(norm(4), layer), folds)


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_batch_norm_behind_a_layer(name):
    """a (W x + b) + d always is, with the outputs' weights multiplied."""
    layer, _, channels = NEIGHBOURS[name]
    assert_folds(network_of(layer, norm(channels)), True)


def test_two_batch_norms_around_a_grouped_convolution():
    """The one after folds into it, the one before stays."""
    folded = fold_batch_norm(network_of(norm(4), NEIGHBOURS["grouped convolution"][0], norm(6)))
    assert [node.layer.type for node in folded.nodes] == ["BatchNorm", "Conv2D", "Flatten", "Dense"]
