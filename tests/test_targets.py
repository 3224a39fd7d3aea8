"""Targets: outputs of any shape, the sum of all scores, a value that a regression is counted from."""
import numpy as np
import pytest

import lrp_core
from lrp_core import layers as L


def draw(*shape):
    return np.random.default_rng([1, *shape]).standard_normal(shape).astype(np.float32)


@pytest.fixture
def maps():
    """A network that gives a map."""
    conv = L.Conv2D(draw(3, 3, 2, 4), draw(4), padding="same")
    return lrp_core.Network([("conv", conv), ("relu", L.ReLU()), ("out", L.Conv2D(draw(1, 1, 4, 3)))],
                            (5, 6, 2))


@pytest.fixture
def row():
    hidden, out = L.Dense(draw(6, 8)), L.Dense(draw(8, 3))
    return lrp_core.Network([("hidden", hidden), ("relu", L.ReLU()), ("out", out)], (6,))


ENGINES = pytest.mark.parametrize("engine", ["numpy", "numba"])


@ENGINES
def test_a_tuple_names_one_number_of_a_map(maps, engine):
    x = draw(3, 5, 6, 2)
    found = lrp_core.explain(maps, x, "epsilon", (2, 3, 1), engine=engine)
    assert found.logits.shape == (3, 5, 6, 3)
    np.testing.assert_allclose(found.ledger.start, maps.logits(x)[:, 2, 3, 1], rtol=1e-5)
    assert found.target.tolist() == [np.ravel_multi_index((2, 3, 1), (5, 6, 3))] * 3
    by_sample = lrp_core.explain(maps, x, "epsilon", [(2, 3, 1), (0, 0, 0), "max"], engine=engine)
    np.testing.assert_array_equal(by_sample[0].relevance, found[0].relevance)
    np.testing.assert_allclose(by_sample.ledger.start[2], maps.logits(x)[2].max(), rtol=1e-5)


@ENGINES
def test_the_sum_is_the_sum_of_all_explanations(maps, engine):
    """Relevance is linear in what it begins with."""
    x = draw(2, 5, 6, 2)
    whole = lrp_core.explain(maps, x, "epsilon", "sum", engine=engine)
    each = lrp_core.explain_each(maps, x, "epsilon", "all", engine=engine)
    assert len(each) == 90
    np.testing.assert_allclose(whole.relevance, sum(one.relevance for one in each), rtol=1e-9, atol=1e-12)


@ENGINES
@pytest.mark.parametrize("target", ["max", 1, "sum", lrp_core.Contrast(0, 2)])
def test_a_regression_is_counted_from_a_reference(row, target, engine):
    """Relevance begins with score - reference: that share of what it is without one."""
    x = draw(4, 6)
    plain = lrp_core.explain(row, x, lrp_core.Zero(), target, engine=engine)
    if (isinstance(target, str) and target == "sum") or isinstance(target, lrp_core.Contrast):
        counted = lrp_core.explain(row, x, lrp_core.Zero(), target, reference=0.5, engine=engine)
        scores = row.logits(x).astype(np.float64)
        signs = np.ones(3) if target == "sum" else np.array([1, 0, -1])
        np.testing.assert_allclose(counted.ledger.start, ((scores - 0.5) * signs).sum(axis=1), rtol=1e-5)
        return
    counted = lrp_core.explain(row, x, lrp_core.Zero(), target, reference=0.5, engine=engine)
    np.testing.assert_allclose(counted.ledger.start, plain.ledger.start - 0.5, rtol=1e-6)
    share = (counted.ledger.start / plain.ledger.start)[:, None]
    np.testing.assert_allclose(counted.relevance, plain.relevance * share, rtol=1e-6)


@pytest.mark.parametrize("target, message", [
    ((5, 0, 0), "there is no"), ((0, 0, -1), "there is no"), ((0, 0, 0.5), "there is no"),
    (90, "0..89|90"), ("dog", "names none")])
def test_places_that_are_not_there_are_refused(maps, target, message):
    with pytest.raises((ValueError, TypeError), match=message):
        lrp_core.explain(maps, draw(5, 6, 2), "epsilon", target)


@pytest.mark.parametrize("reference", ["zero", np.inf, True])
def test_a_reference_that_is_no_number_is_refused(row, reference):
    with pytest.raises(ValueError, match="reference must be a number"):
        lrp_core.explain(row, draw(6), reference=reference)


def test_a_gradient_has_no_reference(row):
    with pytest.raises(ValueError, match="for rules only"):
        lrp_core.explain(row, draw(6), "gradient", reference=1.0)


@pytest.mark.parametrize("last", [L.Softmax, L.LogSoftmax])
def test_probabilities_of_a_map_are_along_the_axis_of_its_softmax(maps, last):
    """Also where the axes are put into another order after it, and of a single sample."""
    nodes = [*maps.nodes, ("soft", last(2)), ("turned", L.Permute((3, 1, 2)))]
    network = lrp_core.Network(nodes, maps.input_shape)
    x = draw(2, 5, 6, 2)
    z = maps.logits(x).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(network.logits(x), z, rtol=1e-6)
    expected = np.exp(z) / np.exp(z).sum(axis=3, keepdims=True)
    np.testing.assert_allclose(network.probabilities(x), expected, rtol=1e-5)
    found = lrp_core.explain(network, x, target=(1, 2, 3))
    np.testing.assert_allclose(found[1].probabilities, expected[1], rtol=1e-5)
    np.testing.assert_allclose(found.ledger.start, z[:, 1, 2, 3], rtol=1e-6)


def test_the_sum_stands_alone(row):
    with pytest.raises(ValueError, match="'sum' must be the only one"):
        lrp_core.explain_each(row, draw(6), "epsilon", ["sum", 0])


def test_a_class_may_be_called_sum(row):
    named = row.replace(class_names=("sum", "product", "max"))
    x = draw(6)
    np.testing.assert_array_equal(lrp_core.explain(named, x, target="sum").relevance,
                                  lrp_core.explain(row, x, target=0).relevance)
