"""Parts of an explanation: all classes, contrasts, inner starts and stops, kept channels, averaged gradients.
"""
import nets
import numpy as np
import pytest
from test_graph import draw, residual

import lrp_core
from lrp_core import Contrast, Epsilon, Zero, explain, explain_each


def test_all_classes_in_one_call_are_each_what_they_are_alone():
    network, x = residual(), draw(3, 6, 5, 2)
    for number, e in enumerate(explain_each(network, x, "preset_b")):
        alone = explain(network, x, "preset_b", number)
        assert e.relevance.tobytes() == alone.relevance.tobytes() and (e.target == number).all()


def test_a_contrast_is_the_difference_under_linear_rules():
    network, x = residual(), draw(6, 5, 2)
    first, other = explain_each(network, x, Epsilon(1e-3), [0, 2])
    contrast = explain(network, x, Epsilon(1e-3), Contrast(0, 2))
    np.testing.assert_allclose(contrast.relevance, first.relevance - other.relevance, atol=1e-5)
    assert contrast.ledger.start == pytest.approx(float(first.logits[0] - first.logits[2]), rel=1e-6)


def test_explaining_can_start_and_stop_inside():
    network, x = residual(), draw(6, 5, 2)
    whole = explain(network, x, "epsilon", 1, layers=True)
    stopped = explain(network, x, "epsilon", 1, stop="add")
    np.testing.assert_array_equal(stopped.relevance, whole.layers["add"])
    # Relevance that went around the node and down to the input is not lost from the ledger.
    assert abs(stopped.ledger.total.residual) < 1e-12
    inner = explain(network, x, Zero(), start=("conv2", 3), layers=True)
    activation = network.astype(np.float64).forward(x[None].astype(np.float64)).outputs["conv2"][0]
    np.testing.assert_allclose(inner.layers["conv2"][..., 3], activation[..., 3], rtol=1e-6)
    assert not inner.layers["conv2"][..., :3].any() and "dense" not in inner.layers
    one = explain(network, x, Zero(), start=("conv2", (2, 1, 3)))
    assert one.ledger.start == pytest.approx(activation[2, 1, 3], rel=1e-6)
    assert not one.relevance[5].any(), "a 3x3 window twice over reaches two rows down"
    parts = sum(explain(network, x, Zero(), start=("conv2", (i, j, 3))).relevance for i in range(6)
                for j in range(5))
    np.testing.assert_allclose(parts, inner.relevance, rtol=1e-3, atol=1e-4)


def test_kept_channels_add_up_to_the_whole():
    network, x = residual(), draw(6, 5, 2)
    whole = explain(network, x, "epsilon", layers=True)
    parts = [explain(network, x, "epsilon", keep={"conv1": [channel]}) for channel in range(4)]
    np.testing.assert_allclose(sum(part.relevance for part in parts), whole.relevance, atol=1e-4)
    dropped = parts[0].ledger["conv1 (kept)"]
    assert dropped.gated == pytest.approx(dropped.received - dropped.passed)
    channels, relevance = lrp_core.rank_channels(whole, "conv1")
    assert (np.diff(relevance) <= 0).all() and sorted(channels) == [0, 1, 2, 3]
    assert relevance[0] == pytest.approx(whole.layers["conv1"][..., channels[0]].sum(dtype=float), rel=1e-6)


def test_gradients_are_differences():
    network, x = residual().astype(np.float64), draw(6, 5, 2)
    gradient = explain(network, x, "gradient", 2).relevance
    times_input = explain(network, x, "input_x_gradient", 2).relevance
    for place in [(0, 0, 0), (2, 3, 1), (5, 4, 0)]:
        step = np.zeros((1, 6, 5, 2))
        step[(0, *place)] = 1e-6
        up, down = (network.forward(x[None] + sign * step).outputs["dense"][0, 2] for sign in (1, -1))
        assert gradient[place] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(times_input, x * gradient, rtol=1e-6)


def test_integrated_gradients_are_complete():
    network, x = residual(), draw(2, 6, 5, 2)
    r = lrp_core.integrated_gradients(network, x, [0, "max"], baseline=0.25, steps=400)
    logits, base = network.logits(x), network.logits(np.full((6, 5, 2), 0.25, np.float32))
    for sample, number in ((0, 0), (1, int(logits[1].argmax()))):
        assert r[sample].sum(dtype=float) == pytest.approx(logits[sample, number] - base[number], rel=0.01,
                                                           abs=0.01)
    np.testing.assert_array_equal(lrp_core.integrated_gradients(network, x[1], "max", baseline=0.25,
                                                                steps=400), r[1])


def test_smooth_grad_is_a_mean_of_gradients():
    network, x = residual(), draw(6, 5, 2)
    np.testing.assert_allclose(lrp_core.smooth_grad(network, x, 1, noise=0, samples=3),
                               explain(network, x, "gradient", 1).relevance, rtol=1e-6)
    noisy = [lrp_core.smooth_grad(network, x, 1, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.array_equal(noisy[0], noisy[2])


def test_memory_bounds_change_nothing_but_memory():
    network, x = residual(), draw(7, 6, 5, 2)
    free = explain(network, x, "epsilon")
    for memory in (60_000, 120_000, 10**9):
        assert explain(network, x, "epsilon", memory=memory).relevance.tobytes() == free.relevance.tobytes()
    with pytest.raises(ValueError, match="memory"):
        explain(network, x, "epsilon", memory=100)


def test_smooth_grads_noise_is_a_part_of_the_samples_range():
    """σ = noise · (max x - min x), of each sample by itself; drawn from the seed, whatever the batch."""
    network = nets.two_dense(4)
    x = np.float32([[-3, 1, 0.5, 0, -1, 0.25], [2, 2.5, 2, 2, 2, 2]])
    found = lrp_core.smooth_grad(network, x, 1, noise=0.2, samples=5, seed=7)
    drawn = np.random.default_rng(7).standard_normal((5, 6))
    for sample, one, spread in zip(x, found, (0.8, 0.1)):
        inputs = sample + (spread * drawn).astype(np.float32)
        mean = lrp_core.explain(network, inputs, "gradient", 1).relevance.mean(axis=0)
        np.testing.assert_allclose(one, mean, rtol=1e-6, atol=1e-9)
