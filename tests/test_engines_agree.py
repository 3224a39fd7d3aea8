"""Both engines in double precision: the same relevance and the same ledger, to 1e-8 and better, on every
network here.
"""
import fast_nets
import nets
import numpy as np
import pytest
from test_fast_path import NETS, RULES, samples

import features
import lrp_core
from lrp_core import Network
from lrp_core import layers as L

SOME = ["epsilon", "preset_a_flat", "preset_b", "epsilon_gamma_box"]


def assert_agree(network, x, rules, target="max", **options):
    """Relevance at every node to 1e-8 of each sample's norm; the ledger to 1e-8 of each layer's turnover."""
    readable, compiled = (lrp_core.explain(network, x, rules, target, engine=engine, layers=True, **options)
                          for engine in ("numpy", "numba"))
    np.testing.assert_array_equal(readable.target, compiled.target)
    np.testing.assert_allclose(compiled.logits, readable.logits, rtol=1e-6)
    for name, wanted in readable.layers.items():
        found = compiled.layers[name]
        assert found.dtype == wanted.dtype == np.float64
        norm, error = (np.linalg.norm(r.reshape(len(r), -1), axis=1) for r in (wanted, found - wanted))
        assert (error <= 1e-8 * norm).all(), (name, error / norm)
    for page, wanted in zip(compiled.ledger, readable.ledger):
        assert (page.name, page.rule) == (wanted.name, wanted.rule)
        for number in wanted.NUMBERS:
            assert np.all(
                np.abs(getattr(page, number) - getattr(wanted, number)) <= 1e-8 * wanted.turnover
            ), (page.name, number)
    turnover = compiled.ledger.total.turnover
    assert np.all(compiled.ledger.residual <= 1e-13 * turnover)


@pytest.fixture(scope="module")
def network(request):
    return NETS[request.param]()


@pytest.mark.parametrize("network", NETS, indirect=True)
@pytest.mark.parametrize("rules", RULES)
def test_networks_and_rules(network, rules):
    assert_agree(network, samples(network, 5), RULES[rules])


@pytest.mark.parametrize("rules", RULES)
def test_a_network_for_phones(rules):
    network = fast_nets.mobile()
    assert_agree(network, samples(network, 5), RULES[rules])
    rows = lrp_core.profile(network, samples(network, 1), RULES[rules], engine="numba", repeats=1)
    assert not [row for row in rows if (row.reason or "").startswith("no kernel")]


@pytest.mark.parametrize("rules", RULES)
def test_margins_and_a_sum_of_an_input_with_itself(rules):
    """Cropped, padded with zeros (which a flat rule gives relevance to), cropped, x + x, a mean over all."""
    rng = np.random.default_rng(11)
    network = Network([
        ("cut", L.Cropping2D(((1, 0), (2, 1)))), ("conv", fast_nets.scaled(rng, (3, 3), 3, 16)),
        ("relu", L.ReLU()),
        ("margin", L.ZeroPadding2D(((1, 1), (0, 2)))), ("conv 2", fast_nets.scaled(rng, (3, 3), 16, 16)),
        ("cut 2", L.Cropping2D(((1, 1), (1, 0)))), ("sum", L.Add(), ("cut 2", "cut 2")),
        ("mean", L.GlobalAveragePool2D()), ("out", fast_nets.fully(rng, 16, 3))], (9, 10, 3),
        class_names=nets.CLASSES)
    assert_agree(network, samples(network, 4), RULES[rules])


@pytest.mark.parametrize("rules", SOME)
@pytest.mark.parametrize("step", [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2)], ids=str)
def test_ties_at_any_distance(rules, step):
    """Maps that repeat themselves: windows of a pool are equal to their neighbours in other rows and columns,
    Winograd's
    rounding of them is not, and the first must win all the same."""
    network = fast_nets.vgg(3, size=(16, 16))
    rng = np.random.default_rng(7)
    tile = nets.numbers(rng, 8, 8, 3)
    rows, columns = np.indices((16, 16))
    repeated = tile[(rows * step[1] - columns * step[0]) % 8, (columns * step[1] + rows * step[0]) % 8]
    half = repeated.copy()
    half[:, 9:] = 0
    assert_agree(network, np.stack([repeated, np.abs(repeated), half]), rules)


@pytest.mark.parametrize("rules", SOME)
def test_silence_and_one_sound_in_it(rules):
    network = fast_nets.vgg(5)
    x = np.zeros((3, 12, 11, 3), np.float32)
    x[1, 4:6, 5] = 1.0
    x[2, :, 3:5] = 0.25
    assert_agree(network, x, rules)


@pytest.mark.parametrize("rules", ["epsilon", "preset_b", lrp_core.Zero()], ids=str)
def test_small_denominators(rules):
    """A bias that takes nearly all of what a unit gets: z is a millionth of its terms."""
    rng, channels = np.random.default_rng(9), 16
    kernel = np.abs(nets.numbers(rng, 3, 3, channels, channels))
    x = np.abs(nets.numbers(rng, 4, 8, 8, 3))
    first = nets.conv(rng, (3, 3), 3, channels)
    before = np.maximum(Network([("first", first), ("flat", L.Flatten())], (8, 8, 3)).logits(x), 0)
    bias = -kernel.sum(axis=(0, 1, 2)) * before.mean() * (1 - 1e-6)
    network = Network([("first", first), ("relu1", L.ReLU()),
                       ("second", L.Conv2D(kernel, bias.astype(np.float32), padding="same")),
                       ("relu2", L.ReLU()), ("flatten", L.Flatten()),
                       ("out", nets.dense(rng, 8 * 8 * channels, 3))], (8, 8, 3))
    assert_agree(network, x, rules)


@pytest.mark.parametrize("rules", lrp_core.PRESETS)
def test_the_embedded_network_on_real_images(urban_sounds, real_levels, rules):
    x = features.colour(real_levels["level"][real_levels["fold"] == 1][::97])
    assert_agree(urban_sounds, x, rules)


@pytest.mark.parametrize("options", [{"start": ("sum relu", 3)}, {"stop": "left relu"},
                                     {"keep": {"sum relu": [1, 5]}}], ids=str)
def test_parts_of_a_network(options):
    assert_agree(fast_nets.branching(), samples(fast_nets.branching(), 3), "preset_b", **options)


def test_auto_decides_by_the_network_alone(urban_sounds):
    """A large network is compiled, whatever the batch; a small one is not."""
    for network, x, engine in ((urban_sounds, np.zeros((64, 64, 3)), "numba"),
                               (nets.deep(1), np.zeros((9, 7, 2)), "numpy")):
        rows = lrp_core.profile(network, x, repeats=1)
        assert ({row.kernel for row in rows} == {"NumPy"}) == (engine == "numpy")
        for batch in (x, np.stack([x] * 3)):
            auto, named = (lrp_core.explain(network, batch, engine=one).relevance for one in ("auto", engine))
            np.testing.assert_array_equal(auto, named)


def test_an_engine_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'auto', 'numba', 'numpy', got 'torch'"):
        lrp_core.explain(nets.deep(1), np.zeros((9, 7, 2)), engine="torch")
