"""Every layer against loops over single numbers, every linear one against its own transpose, and what is
refused.
"""
import naive
import nets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lrp_core
from lrp_core import Network
from lrp_core import layers as L

seeded = settings(max_examples=40, derandomize=True, deadline=None, database=None)
sizes, seeds = st.integers(1, 4), st.integers(0, 10**6)


@st.composite
def maps(draw, window=True):
    """(shape of a map, size of a window, strides, padding); 'valid' windows fit, 'same' ones may exceed the
    map.
    """
    height, width, channels = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from(["valid", "same"]))
    size = tuple(draw(st.integers(1, min(extent, 4) if padding == "valid" else 4))
                 for extent in (height, width))
    return (height, width, channels), size, (draw(sizes), draw(sizes)), padding


# Where windows go wrong: as large as the map, 1x1, strides beyond the window, larger than a 'same' map.
EDGES = [
    ((5, 4, 2), (5, 4), (1, 1), "valid"), ((5, 4, 2), (5, 4), (2, 3), "same"),
    ((4, 5, 3), (1, 1), (1, 1), "valid"),
    ((7, 7, 1), (2, 2), (3, 4), "valid"), ((7, 6, 2), (1, 2), (3, 3), "same"),
    ((2, 1, 2), (4, 3), (1, 2), "same"),
    ((1, 1, 1), (1, 1), (2, 2), "same"), ((6, 6, 2), (3, 3), (2, 2), "same"),
    ((6, 7, 2), (4, 2), (1, 1), "same")]


def mixed(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def assert_close(found, expected):
    """To 1e-12 of the largest number: float64 sums in another order."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * max(np.abs(expected).max(), 1e-300))


def assert_forward(layer, x):
    """The layer's batch output is the loops' output, sample by sample, and as large as it says."""
    found = layer.forward(x)
    assert found.shape[1:] == tuple(layer.output_shape(x.shape[1:]))
    assert_close(found, np.stack([naive.forward(layer, sample) for sample in x]))


def assert_adjoint(layer, shape, seed):
    """<W x, s> = <x, Wᵀ s> for random x and s, in one sample and in a batch of two."""
    for n in (1, 2):
        x = mixed(seed + 3, n, *shape)
        s = mixed(seed + 4, n, *layer.output_shape(shape))
        back = layer.adjoint(s, layer.kernel, shape)
        assert back.shape == x.shape
        for k in range(n):
            left, right = (layer.linear(x, layer.kernel, None)[k] * s[k]).sum(), (x[k] * back[k]).sum()
            scale = np.abs(s[k]).sum() * np.abs(x[k]).sum()
            assert abs(left - right) <= 1e-12 * scale, (left, right)


# --- forward and adjoint against loops
# -------------------------------------------------------------------------------

@seeded
@given(st.lists(sizes, min_size=0, max_size=2), sizes, sizes, st.booleans(), seeds)
def test_dense(leading, inputs, outputs, bias, seed):
    layer = L.Dense(mixed(seed, inputs, outputs), mixed(seed + 1, outputs) if bias else None)
    assert_forward(layer, mixed(seed + 2, 2, *leading, inputs))
    assert_adjoint(layer, (*leading, inputs), seed)


def conv_layer(size, channels, outputs, strides, padding, bias, seed):
    return L.Conv2D(mixed(seed, *size, channels, outputs), mixed(seed + 1, outputs) if bias else None,
                    strides, padding)


@seeded
@given(maps(), sizes, st.booleans(), seeds)
def test_convolution(where, outputs, bias, seed):
    shape, size, strides, padding = where
    layer = conv_layer(size, shape[2], outputs, strides, padding, bias, seed)
    assert_forward(layer, mixed(seed + 2, 2, *shape))
    assert_adjoint(layer, shape, seed)


@pytest.mark.parametrize("shape, size, strides, padding", EDGES)
@pytest.mark.parametrize("bias", [True, False])
def test_convolution_at_the_edges(shape, size, strides, padding, bias):
    layer = conv_layer(size, shape[2], 3, strides, padding, bias, 5)
    assert_forward(layer, mixed(6, 2, *shape))
    assert_adjoint(layer, shape, 7)


def test_same_padding_puts_the_odd_row_and_column_behind():
    """TensorFlow's choice: a 2x2 sum with stride 1 reads the map from its first pixel on, the padding comes
    last.
    """
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    layer = L.Conv2D(np.ones((2, 2, 1, 1)), None, (1, 1), "same")
    np.testing.assert_array_equal(layer.forward(x)[0, :, :, 0], [[12, 16, 9], [24, 28, 15], [15, 17, 9]])


@seeded
@given(maps(), seeds)
def test_average_pool(where, seed):
    shape, size, strides, padding = where
    layer = L.AveragePool2D(size, strides, padding)
    assert_forward(layer, mixed(seed, 2, *shape))
    assert_adjoint(layer, shape, seed)


@pytest.mark.parametrize("shape, size, strides, padding", EDGES)
def test_pools_at_the_edges(shape, size, strides, padding):
    assert_forward(L.AveragePool2D(size, strides, padding), mixed(3, 2, *shape))
    assert_adjoint(L.AveragePool2D(size, strides, padding), shape, 4)
    assert_forward(L.MaxPool2D(size, strides, padding), mixed(3, 2, *shape))


def test_average_of_a_constant_is_the_constant_up_to_the_border():
    """Padding is not counted: windows that hang over the border average what they see of the map."""
    x = np.full((1, 5, 4, 2), 3.0)
    np.testing.assert_allclose(L.AveragePool2D((3, 3), (2, 2), "same").forward(x), 3.0, rtol=1e-15)


@seeded
@given(st.tuples(sizes, sizes, sizes), seeds)
def test_global_average(shape, seed):
    assert_forward(L.GlobalAveragePool2D(), mixed(seed, 2, *shape))
    assert_adjoint(L.GlobalAveragePool2D(), shape, seed)


@seeded
@given(maps(), seeds)
def test_max_pool_and_its_winners(where, seed):
    """Few different values make many ties: the winner is the first in scan order, and overlapping windows add
    up.
    """
    shape, size, strides, padding = where
    layer, rng = L.MaxPool2D(size, strides, padding), np.random.default_rng(seed)
    # all negative: a zero of the padding must never win
    x = rng.integers(-3, 0, size=(2, *shape)).astype(float)
    assert_forward(layer, x)
    y, winners = layer.forward_keeping(x)
    np.testing.assert_array_equal(y, layer.forward(x))
    r = rng.normal(size=y.shape)
    back = layer.to_winners(r, winners, shape)
    for k in range(2):
        expected = np.zeros(shape)
        for out, at in naive.winners(layer, x[k]).items():
            expected[at] += r[k][out]
        assert_close(back[k], expected)


def test_pool_strides_default_to_the_window():
    x = mixed(0, 1, 6, 6, 2)
    for pool in (L.MaxPool2D, L.AveragePool2D):
        np.testing.assert_array_equal(pool((3, 2)).forward(x), pool((3, 2), (3, 2)).forward(x))


def test_relu_flatten_dropout_softmax():
    x = mixed(1, 3, 2, 4, 3)
    x[0, 0, 0, 0] = 0.0
    for layer in (L.ReLU(), L.Flatten(), L.Dropout(0.7), L.Softmax()):
        assert_forward(layer, x)
    # A softmax does not change when every score grows alike, however large the scores are.
    np.testing.assert_allclose(L.Softmax().forward(x + 1000.0), L.Softmax().forward(x), rtol=1e-9)


@pytest.mark.parametrize("bias", [True, False])
def test_whole_network(bias):
    """Every node of a deep network, in float64; and the float32 logits that the network gives."""
    network = nets.deep(1, bias=bias)
    x = nets.inputs(network, 2)
    outputs = network.astype(np.float64).forward(x.astype(np.float64)).outputs
    for k in range(2):
        for name, expected in naive.trace(network, x[k]).items():
            assert_close(outputs[name][k], expected)
        np.testing.assert_allclose(network.logits(x)[k], naive.trace(network, x[k])["out"], rtol=1e-6)


def test_naive_gradient_is_the_finite_difference():
    """The oracle's own chain rule, which supports \"LRP-0 is input x gradient", against central
    differences.
    """
    network, h = nets.deep(2, bias=False), 1e-6
    x = nets.inputs(network, 1)[0].astype(np.float64)
    slope = naive.gradient(network, x, 1)
    scored = network.astype(np.float64)
    for i in list(np.ndindex(x.shape))[::5]:
        step = np.zeros_like(x)
        step[i] = h
        up, down = (scored.forward((x + sign * step)[None]).outputs["out"][0, 1] for sign in (1, -1))
        assert abs((up - down) / (2 * h) - slope[i]) < 1e-6 * np.abs(slope).max()


def test_lrp_0_is_input_times_finite_difference():
    """The engine's own slope: R_i / x_i under LRP-0 is d logit / d x_i where no bias enters."""
    network, h = nets.deep(3, bias=False), 1e-6
    x = nets.inputs(network, 1)[0]
    relevance = lrp_core.explain(network, x, lrp_core.Zero(), 2).relevance
    scored = network.astype(np.float64)
    for i in list(np.ndindex(x.shape))[::5]:
        step = np.zeros(x.shape)
        step[i] = h
        up, down = (scored.forward((x + sign * step)[None]).outputs["out"][0, 2] for sign in (1, -1))
        assert abs(x[i] * (up - down) / (2 * h) - relevance[i]) < 1e-6 * np.abs(relevance).max()


# --- what is refused ------------------------------------------------------------------------------

def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("nodes, shape, words", [
    ([("odd", L.Dense(ones(4, 2)))], (5,), ["odd", "4", "5"]),
    ([("odd", L.Conv2D(ones(3, 3, 2, 4)))], (8, 8, 3), ["odd", "2", "3"]),
    ([("odd", L.Conv2D(ones(3, 3, 2, 4)))], (8, 2), ["odd", "(8, 2)"]),
    ([("odd", L.Conv2D(ones(3, 9, 2, 4)))], (8, 8, 2), ["odd", "9"]),
    ([("odd", L.MaxPool2D((9, 2)))], (8, 8, 2), ["odd", "9"]),
    ([("odd", L.AveragePool2D((2, 9)))], (8, 8, 2), ["odd", "9"]),
    ([("odd", L.MaxPool2D())], (8,), ["odd", "(8,)"]),
    ([("odd", L.GlobalAveragePool2D())], (8, 8), ["odd", "(8, 8)"]),
    ([("fine", L.Flatten()), ("odd", L.Dense(ones(4, 2)))], (5, 1), ["odd", "4", "5"]),
    ([("same", L.ReLU()), ("same", L.ReLU())], (5,), ["same"]),
    ([("odd", L.ReLU(), ("nowhere",))], (5,), ["odd", "nowhere"]),
    ([("odd", L.ReLU(), ("input", "input"))], (5,), ["odd"]),
], ids=lambda value: str(value) if isinstance(value, tuple) else None)
def test_shapes_that_do_not_fit_are_refused_by_name(nodes, shape, words):
    with pytest.raises(ValueError) as error:
        Network(nodes, shape)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("make, word", [
    (lambda: L.Dense(ones(4)), "Dense"),
    (lambda: L.Dense(ones(4, 2), ones(4)), "Dense"),
    (lambda: L.Dense(np.full((4, 2), np.nan)), "Dense"),
    (lambda: L.Conv2D(ones(3, 3, 2)), "Conv2D"),
    (lambda: L.Conv2D(ones(3, 3, 2, 4), ones(2)), "Conv2D"),
    (lambda: L.Conv2D(ones(3, 3, 2, 4), None, (0, 1)), "strides"),
    (lambda: L.Conv2D(ones(3, 3, 2, 4), None, (1, 1), "full"), "padding"),
    (lambda: L.MaxPool2D((0, 2)), "size"),
    (lambda: L.AveragePool2D((2, 2), (1, -1)), "strides"),
])
def test_parameters_that_do_not_fit_are_refused(make, word):
    with pytest.raises((ValueError, TypeError), match=word):
        make()


@pytest.mark.parametrize("kind, gates", [(L.RNN, 1), (L.LSTM, 4), (L.GRU, 3)])
def test_a_recurrent_layer_without_a_bias_has_one_of_zeros(kind, gates):
    assert not kind(ones(2, gates * 3), ones(3, gates * 3)).bias.any()
