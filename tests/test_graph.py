"""Networks that branch: sums, concatenation, several readers, batch normalisation, and every further layer.
"""
import numpy as np
import pytest

import lrp_core
from lrp_core import AlphaBeta, Contrast, Epsilon, Flat, Network, Zero, explain, fold_batch_norm
from lrp_core import layers as L

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def drawn_anew():
    """Every test draws the same numbers, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def draw(*shape, scale=0.5):
    return (scale * RNG.standard_normal(shape)).astype(np.float32)


def norm(channels):
    return L.BatchNorm(1 + draw(channels, scale=0.3), draw(channels))


def residual(bias=True):
    """A residual net with a shared tensor of three readers, an overlapping max-pool, and a sum, a difference,
    a join.
    """
    b = (lambda n: draw(n)) if bias else (lambda n: None)
    return Network([
        ("conv1", L.Conv2D(draw(3, 3, 2, 4), b(4), padding="same")), ("relu1", L.ReLU()),
        ("conv2", L.Conv2D(draw(3, 3, 4, 4), b(4), padding="same")),
        ("add", L.Add(), ("conv2", "relu1")), ("relu2", L.ReLU()),
        ("conv3", L.Conv2D(draw(1, 1, 4, 4), b(4)), ("relu2",)),
        ("difference", L.Subtract(), ("conv3", "relu1")),
        ("join", L.Concatenate(), ("difference", "relu2")), ("pool", L.MaxPool2D(3, 1)),
        ("average", L.GlobalAveragePool2D()), ("dense", L.Dense(draw(8, 3), b(3)))], (6, 5, 2))


LRP_PRESETS = list(lrp_core.PRESETS)


@pytest.mark.parametrize("rules", [*LRP_PRESETS, Zero(), Flat(), lrp_core.WSquare(), lrp_core.Gamma(0.5),
                                   lrp_core.ZPlus()])
def test_every_node_of_a_branching_net_closes_its_book(rules):
    network, x = residual(), draw(5, 6, 5, 2)
    e = explain(network, x, rules, layers=True)
    logits = e.logits[np.arange(5), e.target]
    for entry in (*e.ledger, e.ledger.total):
        assert (np.abs(entry.residual) <= 1e-12 * entry.turnover).all(), entry.name
    np.testing.assert_allclose(e.ledger.start, logits, rtol=1e-6)
    np.testing.assert_allclose(e.ledger.total.passed, e.relevance.sum(axis=(1, 2, 3), dtype=float), rtol=1e-4,
                               atol=1e-4)


def test_without_biases_a_branching_net_conserves():
    e = explain(residual(bias=False), draw(5, 6, 5, 2), Zero())
    np.testing.assert_allclose(e.ledger.arrived, e.ledger.start, rtol=1e-10)


def test_relevance_from_all_readers_adds_up():
    """LRP-0 without biases is input x gradient, however the net branches; the gradient by finite differences.
    """
    network, x = residual(bias=False).astype(np.float64), draw(1, 6, 5, 2).astype(np.float64)
    e = explain(network, x, Zero(), target=1)

    def score(shifted):
        return network.forward(shifted).outputs["dense"][0, 1]

    for place in [(0, 0, 0), (2, 3, 1), (5, 4, 0), (3, 1, 1)]:
        step = np.zeros_like(x)
        step[(0, *place)] = 1e-6
        gradient = (score(x + step) - score(x - step)) / 2e-6
        assert e.relevance[(0, *place)] == pytest.approx(x[(0, *place)] * gradient, rel=1e-4, abs=1e-6)


def test_a_sum_shares_by_contribution():
    network = Network([("left", L.Dense(np.float32([[1, 0]]))),
                       ("right", L.Dense(np.float32([[2, 0]])), ("input",)),
                       ("sum", L.Add(), ("left", "right")), ("difference", L.Subtract(), ("sum", "right"))],
                       (1,))
    e = explain(network, np.float32([3]), Zero(), target=0, layers=True)
    # difference = sum - right = 9 - 6 = 3; R(sum) = 9/3·3, R(right) = -6/3·3 + 6/9·9
    assert e.layers["sum"][0] == pytest.approx(9) and e.layers["left"][0] == pytest.approx(3)
    assert e.layers["right"][0] == pytest.approx(0) and e.relevance[0] == pytest.approx(3)


FURTHER_LAYERS = {
    "dilated": ((9, 8, 2), L.Conv2D(draw(3, 2, 2, 3), draw(3), dilation=(2, 3), padding="same")),
    "grouped": ((5, 6, 4), L.Conv2D(draw(2, 3, 2, 6), draw(6), strides=2, groups=2)),
    "explicit padding": ((5, 6, 2), L.Conv2D(draw(3, 3, 2, 3), draw(3), strides=2, padding=((1, 2), (0, 1)))),
    "depthwise": ((6, 5, 3), L.DepthwiseConv2D(draw(3, 2, 3, 2), draw(6), strides=(2, 1), padding="same")),
    "transposed same": ((4, 3, 2), L.Conv2DTranspose(draw(3, 3, 5, 2), draw(5), strides=2, padding="same")),
    "transposed valid": ((4, 3, 2), L.Conv2DTranspose(draw(2, 3, 5, 2), draw(5), strides=(3, 1))),
    "1-D": ((11, 3), L.Conv1D(draw(3, 3, 4), draw(4), strides=2, padding="same")),
    "1-D dilated": ((11, 3), L.Conv1D(draw(3, 3, 4), draw(4), dilation=2)),
    "batch norm": ((4, 5, 3), norm(3)),
    "average 1-D": ((9, 2), L.AveragePool1D(3, 2, "same")),
    "global average 1-D": ((9, 2), L.GlobalAveragePool1D()),
}


@pytest.mark.parametrize("name", FURTHER_LAYERS)
def test_adjoints_are_transposes(name):
    shape, layer = FURTHER_LAYERS[name]
    layer = layer.astype(np.float64)
    x, s = RNG.standard_normal((3, *shape)), RNG.standard_normal((3, *layer.output_shape(shape)))
    left = np.vdot(layer.linear(x, layer.kernel, None), s)
    assert np.vdot(x, layer.adjoint(s, layer.kernel, shape)) == pytest.approx(left, rel=1e-12)


@pytest.mark.parametrize("layer, shape", [
    (L.Reshape((3, 8)), (4, 6)), (L.Permute((3, 1, 2)), (2, 3, 4)),
    (L.ZeroPadding2D(((1, 2), (0, 3))), (3, 4, 2)),
    (L.Cropping2D(((1, 0), (2, 1))), (4, 5, 2)), (L.UpSampling2D((2, 3)), (3, 2, 2)), (L.Flatten(), (2, 3))],
    ids=repr)
def test_moves_go_back_the_way_they_came(layer, shape):
    x = RNG.standard_normal((2, *shape))
    y = layer.forward(x)
    assert y.shape == (2, *layer.output_shape(shape))
    r = RNG.standard_normal(y.shape)
    (back,) = layer.back(r, shape)
    assert np.vdot(x, back) == pytest.approx(np.vdot(y, r), rel=1e-12)


def test_relevance_on_padding_is_booked_as_gated():
    network = Network([("pad", L.ZeroPadding2D(((1, 1), (1, 1)))), ("conv", L.Conv2D(draw(3, 3, 1, 2))),
                       ("flat", L.Flatten()), ("dense", L.Dense(draw(18, 2)))], (3, 3, 1))
    e = explain(network, draw(3, 3, 1), Flat())
    # On a 5x5 map seen by nine 3x3 windows each pixel gets R/9 for each window over it.
    per_window = explain(network, draw(3, 3, 1), Flat(), stop="conv").relevance  # only its shape is used
    assert per_window.shape == (3, 3, 2)
    assert abs(e.ledger["pad"].gated) > 1e-3 and abs(e.ledger["pad"].residual) < 1e-12
    assert e.ledger["pad"].received - e.ledger["pad"].passed == pytest.approx(e.ledger["pad"].gated)


@pytest.mark.parametrize("layer", [L.ReLU(), L.ReLU6(), L.LeakyReLU(0.1), L.ELU(0.7), L.GELU(), L.GELU(True),
                                   L.SiLU(), L.Tanh(),
                                   L.Sigmoid(), L.Scale(-2.5)], ids=repr)
def test_derivatives_are_differences(layer):
    x = np.linspace(-8, 8, 401) + 0.001  # no point lies on a kink
    numeric = (layer.forward(x + 1e-6) - layer.forward(x - 1e-6)) / 2e-6
    np.testing.assert_allclose(layer.derivative(x), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(7, 6, 2), (8, 2)])
def test_global_maxima_go_to_the_first_winner(shape):
    layer = L.GlobalMaxPool2D() if len(shape) == 3 else L.GlobalMaxPool1D()
    x = np.zeros((1, *shape))
    x[0, 2, ..., 0] = 5  # a tie along the row, in 2-D
    y, winners = layer.forward_keeping(x)
    back = layer.to_winners(np.float64([[3, 4]]), winners, shape)
    assert y[0, 0] == 5 and back[0, ..., 0].sum() == 3 and back[0, ..., 1].sum() == 4
    first = np.unravel_index(back[0, ..., 0].argmax(), shape[:-1])
    assert first == ((2, 0) if len(shape) == 3 else (2,))
    assert back[0, ..., 1].reshape(-1)[0] == 4


def test_layer_norm_is_shared_as_the_linear_map_it_is_with_its_deviation_fixed():
    layer = L.LayerNorm(1 + draw(5), draw(5), 1e-3)
    network = Network([("norm", layer), ("flat", L.Flatten()), ("dense", L.Dense(draw(10, 2), draw(2)))],
                      (2, 5))
    x = draw(2, 5).astype(np.float64)
    e = explain(network, x, Zero(), target=0, layers=True)
    r = e.layers["norm"].astype(np.float64)
    expected = np.zeros((2, 5))
    for row in range(2):
        sigma = np.sqrt(np.mean((x[row] - x[row].mean()) ** 2) + 1e-3)
        for i in range(5):
            z = layer.kernel[i] * (x[row, i] - x[row].mean()) / sigma + layer.bias[i]
            for j in range(5):
                expected[row, j] += x[row, j] * layer.kernel[i] / sigma * ((i == j) - 1 / 5) / z * r[row, i]
    np.testing.assert_allclose(e.relevance, expected, rtol=1e-4, atol=1e-5)
    assert abs(e.ledger["norm"].residual) < 1e-12 * e.ledger["norm"].turnover
    gradient = explain(network, x, "gradient", 0).relevance
    double = network.astype(np.float64)
    for place in [(0, 1), (1, 4)]:
        step = np.zeros((1, 2, 5))
        step[(0, *place)] = 1e-6
        up, down = (double.forward(x[None] + sign * step).outputs["dense"][0, 0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-5)


def foldable(padding="valid"):
    return Network([("norm1", norm(2)), ("conv1", L.Conv2D(draw(3, 3, 2, 4), draw(4), padding=padding)),
                    ("norm2", norm(4)),
                    ("relu", L.ReLU()), ("depth", L.DepthwiseConv2D(draw(2, 2, 4, 2))), ("norm3", norm(8)),
                    ("up", L.Conv2DTranspose(draw(2, 2, 3, 8), draw(3), strides=2)), ("norm4", norm(3)),
                    ("flat", L.Flatten()),
                    ("dense", L.Dense(draw(8 * 8 * 3 if padding == "valid" else 12 * 12 * 3, 4)))], (7, 7, 2))


def test_batch_norm_folds_where_that_is_exact():
    network, x = foldable(), draw(4, 7, 7, 2)
    folded = fold_batch_norm(network)
    assert [node.name for node in folded.nodes] == ["conv1", "relu", "depth", "up", "flat", "dense"]
    np.testing.assert_allclose(folded.logits(x), network.logits(x), rtol=1e-4, atol=1e-4)


def test_batch_norm_stays_before_a_zero_padded_border_and_where_others_read():
    names = [node.name for node in fold_batch_norm(foldable("same")).nodes]
    assert "norm1" in names and "norm2" not in names
    shared = Network([("conv", L.Conv2D(draw(1, 1, 2, 2))), ("norm", norm(2)),
                      ("add", L.Add(), ("norm", "conv")), ("flat", L.Flatten()),
                      ("dense", L.Dense(draw(18, 2)))], (3, 3, 2))
    assert "norm" in [node.name for node in fold_batch_norm(shared).nodes]
    e = explain(shared, draw(3, 3, 2), "epsilon")
    assert (e.ledger["norm"].type == "BatchNorm" and e.ledger["norm"].rule == "Zero()"
            and abs(e.ledger["norm"].bias) > 0)


def test_a_relative_epsilon_follows_the_layers_scale():
    network, x = residual(), draw(6, 5, 2)
    z = np.abs(network.astype(np.float64).forward(x[None].astype(np.float64)).outputs["dense"]).mean()
    last = [("dense", Epsilon(0.3, relative=True)), ("*", Zero())]
    fixed = [("dense", Epsilon(0.3 * z)), ("*", Zero())]
    np.testing.assert_allclose(explain(network, x, last).relevance, explain(network, x, fixed).relevance,
                               rtol=1e-6)


def test_a_composite_shows_which_rule_each_layer_gets():
    table = lrp_core.Composite("mine", (("conv1", Flat()), ("*", AlphaBeta(1, 0)))).table(residual())
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert ("Flat()" in rows["conv1"] and "AlphaBeta" in rows["conv2"] and "Zero()" in rows["add"]
            and "winner" in rows["pool"])


def test_conditions_know_the_first_the_last_and_the_way_up():
    network = residual()
    names = {condition: [node.name for node in network.nodes if lrp_core.composites.ruled(node)
                         and condition(network, node)]
             for condition in (lrp_core.first_layer, lrp_core.first_with_weights, lrp_core.last_with_weights,
                               lrp_core.up_to("conv2"))}
    with pytest.raises(ValueError, match="nowhere"):
        explain(network, draw(6, 5, 2), lrp_core.preset_b_flat_until("nowhere"))
    flat = lrp_core.preset_b_flat_until("conv2").table(network).splitlines()
    assert [line.split()[0] for line in flat if "Flat()" in line] == ["conv1", "conv2"]
    assert list(names.values()) == [["conv1"], ["conv1"], ["dense"], ["conv1", "conv2"]]


@pytest.mark.parametrize("nodes, message", [
    ([("a", L.Dense(draw(2, 2))), ("b", L.Add(), ("a",))], "'b'.*two or more"),
    ([("a", L.Dense(draw(2, 2))), ("b", L.Add(), ("a", "zzz"))], "'b'.*zzz"),
    ([("a", L.Dense(draw(2, 3))), ("b", L.Add(), ("a", "input"))], "'b'.*one shape"),
    ([("a", L.Dense(draw(2, 2))), ("b", L.Subtract(), ("a", "a", "input"))], "Subtract|two"),
    ([("a", L.Reshape((2, 2)))], "'a'.*Reshape"),
    ([("a", L.Permute((2, 1)))], "'a'.*Permute"),
    ([("a", L.Cropping2D(((1, 1), (0, 0))))], "'a'.*maps"),
    ([("a", norm(3))], "'a'.*channels"),
])
def test_graphs_that_do_not_fit_are_refused_by_name(nodes, message):
    with pytest.raises(ValueError, match=message):
        Network(nodes, (2,)).logits(np.zeros(2))


@pytest.mark.parametrize("arguments, message", [
    ({"stop": "nowhere"}, "nowhere"), ({"stop": ""}, "stop"), ({"start": "conv1"}, "start"),
    ({"start": ("conv1", True)}, "conv1"),
    ({"start": ("conv1", None)}, "conv1"), ({"keep": {"conv1": np.array([], int)}}, "conv1"),
    ({"memory": "1GB"}, "memory"), ({"start": ("nowhere", 0)}, "nowhere"), ({"start": ("conv1", 9)}, "conv1"),
    ({"keep": {"conv1": [4]}}, "conv1"), ({"start": ("conv1", 0), "stop": "dense"}, "dense")])
def test_parts_that_do_not_exist_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        explain(residual(), draw(6, 5, 2), "epsilon", **arguments)


def test_the_softmax_is_taken_from_what_it_reads():
    """A node that no one reads stands between the scores and their softmax."""
    logits, aside = L.Dense(draw(4, 3)), L.Dense(draw(4, 2))
    network = Network([("logits", logits, ("input",)), ("aside", aside, ("input",)),
                       ("softmax", L.Softmax(), ("logits",))], (4,))
    alone, x = Network([("logits", logits)], (4,)), draw(4)
    np.testing.assert_array_equal(network.logits(x), alone.logits(x))
    np.testing.assert_array_equal(explain(network, x, Zero(), 1).relevance,
                                  explain(alone, x, Zero(), 1).relevance)
    with pytest.raises(ValueError, match="Softmax. reads the input itself"):
        Network([("softmax", L.Softmax())], (4,)).logits(x)


def test_averaged_gradients_know_a_contrast():
    network, x = residual(), draw(6, 5, 2)
    for method in (lrp_core.integrated_gradients, lrp_core.smooth_grad):
        first, other, contrast = (method(network, x, target) for target in (0, 2, Contrast(0, 2)))
        np.testing.assert_allclose(contrast, first - other, atol=1e-5)


def test_integrated_gradients_use_midpoints():
    """On a curved way eight steps tell midpoints from left ends."""
    network = Network([("silu", L.SiLU()), ("dense", L.Dense(np.float32([[1]])))], (1,))
    x = np.float32([4])
    exact = float(network.logits(x)[0])
    assert lrp_core.integrated_gradients(network, x, 0, steps=8)[0] == pytest.approx(exact, rel=2e-3)


def test_channels_are_kept_where_relevance_stops_and_must_be_met():
    network, x = residual(), draw(6, 5, 2)
    whole = explain(network, x, "epsilon", layers=True)
    strongest, *others = lrp_core.rank_channels(whole, "conv2")[0]
    e = explain(network, x, "epsilon", stop="conv2", keep={"conv2": [strongest]})
    np.testing.assert_array_equal(e.relevance[..., strongest], whole.layers["conv2"][..., strongest])
    assert e.relevance[..., strongest].any() and not e.relevance[..., others].any()
    with pytest.raises(ValueError, match="'dense'"):
        explain(network, x, "epsilon", start=("conv2", 0), keep={"dense": [0]})


def test_a_layer_without_choice_takes_the_rule_that_names_it():
    network, x = residual(), draw(6, 5, 2)
    for condition, name in (("add", "add"), (L.Subtract, "difference"), (L.GlobalAveragePool2D, "average")):
        e = explain(network, x, [(condition, Epsilon(0.3)), ("*", Zero())])
        assert e.ledger[name].rule == "Epsilon(epsilon=0.3)" and abs(e.ledger[name].stabilizer) > 1e-4
    with pytest.raises(ValueError, match="'add'.*Zero"):
        explain(network, x, [(L.Add, Flat()), ("*", Zero())])
    with pytest.raises(ValueError, match="cnv"):
        explain(network, x, [("cnv*", Flat()), ("*", Zero())])


@pytest.mark.parametrize("make, message", [
    (lambda: L.Conv1D(draw(3, 2, 4), padding=((1, 1), (0, 0))), "sequence"),
    (lambda: L.MaxPool1D(2, 1, ((1, 0), (0, 0))), "sequence"),
    (lambda: L.Conv2DTranspose(draw(2, 2, 3, 2), strides=2, padding=((0, 0), (0, 0))), "'valid' or 'same'"),
    (lambda: L.MaxPool2D(2, padding=((2, 0), (0, 0))).output_shape((4, 4, 1)), "nothing in them"),
    (lambda: L.AveragePool2D(2, padding=((0, 0), (0, 2))).output_shape((4, 4, 1)), "nothing in them"),
    (lambda: L.DepthwiseConv2D(draw(2, 2, 3, 1)).output_shape((4, 4, 2)), "3 channels"),
    (lambda: L.Reshape((2.7, 2)), "whole numbers"), (lambda: L.GELU("no"), "true or false"),
    (lambda: L.Conv2D(draw(2, 2, 3, 4), groups=3), "groups"),
    (lambda: L.LayerNorm(draw(3), draw(4)), "one shape"),
])
def test_layers_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_that_overflow_are_refused_with_the_node():
    big = L.Dense(np.full((2, 2), 1e38, np.float32))
    with pytest.raises(ValueError, match="'second' overflows"):
        explain(Network([("first", L.Dense(np.eye(2, dtype=np.float32))), ("second", big), ("third", big)],
                        (2,)), np.float32([9, 9]))
