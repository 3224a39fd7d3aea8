"""Nothing is lost: bias-free networks conserve, and with biases the ledger says where every part went."""
import dataclasses
import functools
import json

import naive
import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import AlphaBeta, ConservationError, Epsilon, Flat, Ledger, Network, WSquare, Zero, ZPlus
from lrp_core import layers as L

MAKERS = [nets.one_dense, nets.two_dense, nets.one_conv, nets.deep]
RULES = [Zero(), Epsilon(1e-7), Epsilon(0.5), AlphaBeta(1, 0, "whole"), AlphaBeta(2, 1, "whole"),
         AlphaBeta(2, 1, "split"), AlphaBeta(2, 1, "ignore"), AlphaBeta(1.5, 0.5, "split"), ZPlus(),
         WSquare(), Flat()]
PARTS = ("received", "passed", "bias", "stabilizer", "gated")

every_net = pytest.mark.parametrize("make", MAKERS)
every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


def explained(make, seed, rule, *, bias, samples=3, **options):
    network = make(seed, bias=bias)
    return lrp_core.explain(network, nets.inputs(network, samples, seed), rule, **options)


# --- bias-free networks conserve
# -------------------------------------------------------------------------------------

@every_net
@pytest.mark.parametrize("rule", [Zero(), WSquare(), Flat()], ids=repr)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_without_bias_all_relevance_arrives(make, rule, engine, dtype, tolerance):
    """Layer by layer and from the logit to the input, with nothing booked anywhere: but for the deep
    network's average
    pool, whose dead regions gate what flat and w² send there (LRP-0 sends nothing to a dead region)."""
    for seed in (21, 22):
        ledger = explained(make, seed, rule, bias=False, engine=engine, dtype=dtype).ledger
        assert np.all(np.abs(ledger.start) > 0.01)
        gates = ("pool2", "total") if make is nets.deep and not isinstance(rule, Zero) else ()
        for entry in (*ledger, ledger.total):
            zero = tolerance * entry.turnover
            assert np.all(np.abs(entry.bias) <= zero) and np.all(np.abs(entry.stabilizer) <= zero), entry.name
            if entry.name not in gates:
                assert np.all(np.abs(entry.gated) <= zero), entry.name
            assert np.all(np.abs(entry.received - entry.passed - entry.gated) <= zero), entry.name


def has_both_parts(network, x):
    """Does every output of every layer with weights have contributions for and against?"""
    values, before = naive.trace(network, x), "input"
    for node in network.nodes:
        for unit in naive.units(node.layer, values[before].shape) or ():
            contributions = [float(values[before][i]) * w for i, w in unit.edges]
            if not min(contributions) < 0 < max(contributions):
                return False
        before = node.name
    return True


def wide(seed, *, bias):
    """Dense, ReLU, Dense with so many units that one sign alone is unlikely."""
    return nets.two_dense(seed, bias=bias, inputs=12, hidden=24)


@functools.cache
def with_both_parts(make):
    """A bias-free network and three samples for which every output has contributions for and against."""
    network = make(23, bias=False)
    samples = [x for x in nets.inputs(network, 12, 23) if has_both_parts(network, x)]
    return network, np.stack(samples[:3])


@pytest.mark.parametrize("rule", [rule for rule in RULES if isinstance(rule, (AlphaBeta, ZPlus))], ids=repr)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("make", [nets.one_dense, wide, nets.one_conv])
def test_without_bias_alpha_beta_conserves_where_both_parts_exist(make, rule, engine, dtype, tolerance):
    """Where every output has a positive and a negative part, nothing is gated and all relevance arrives."""
    ledger = lrp_core.explain(*with_both_parts(make), rule, engine=engine, dtype=dtype).ledger
    for entry in (*ledger, ledger.total):
        assert np.all(np.abs(entry.gated) <= tolerance * entry.turnover), entry.name
        assert np.all(np.abs(entry.received - entry.passed) <= tolerance * entry.turnover), entry.name


def test_alpha_beta_books_the_side_that_does_not_exist():
    """All contributions positive: α R is given, -β R has no taker, so that Σ R_in = α R and -β R is gated."""
    network = Network([("out", L.Dense(np.array([[1.0], [2.0]])))], (2,))
    found = lrp_core.explain(network, np.array([3.0, 4.0]), AlphaBeta(2.5, 1.5))
    assert found.ledger["out"].received == 11
    assert found.ledger["out"].passed == pytest.approx(2.5 * 11, rel=1e-14)
    assert found.ledger["out"].gated == pytest.approx(-1.5 * 11, rel=1e-14)


# --- with biases the ledger closes
# -----------------------------------------------------------------------------------

@every_net
@every_rule
def test_every_ledger_closes(make, rule):
    for seed in (24, 25):
        found = explained(make, seed, rule, bias=True)
        ledger = found.ledger
        for entry in (*ledger, ledger.total):
            left = entry.received - entry.passed - entry.bias - entry.stabilizer - entry.gated
            np.testing.assert_array_equal(entry.residual, left)
            assert np.all(np.abs(left) <= 1e-12 * entry.turnover), entry.name
            assert np.all(np.abs(left) <= 1e-6 * np.abs(ledger.start)), entry.name
        np.testing.assert_array_equal(ledger.residual,
                                      np.max([np.abs(e.residual) for e in (*ledger, ledger.total)], 0))
        ledger.check(1e-12)
        # What one layer hands on is what the layer below receives, and the ends are the logit and the input.
        for above, below in zip(ledger.entries, ledger.entries[1:]):
            np.testing.assert_allclose(below.received, above.passed, rtol=1e-13)
        rows = np.arange(len(found.target))
        np.testing.assert_allclose(ledger.start, found.logits[rows, found.target], rtol=1e-7)
        np.testing.assert_array_equal(ledger.entries[0].received, ledger.start)
        np.testing.assert_array_equal(ledger.entries[-1].passed, ledger.arrived)
        sums = found.relevance.reshape(len(rows), -1).sum(axis=1, dtype=np.float64)
        assert np.all(np.abs(sums - ledger.arrived) <= 1e-6 * ledger.entries[-1].turnover)


@every_net
def test_the_total_is_the_sum_of_the_layers(make):
    ledger = explained(make, 26, Epsilon(0.3), bias=True).ledger
    for part in ("bias", "stabilizer", "gated", "turnover"):
        whole = sum(getattr(entry, part) for entry in ledger)
        np.testing.assert_allclose(getattr(ledger.total, part), whole, rtol=1e-14)
    assert np.array_equal(ledger.total.received, ledger.start) and np.array_equal(ledger.total.passed,
                                                                                  ledger.arrived)
    assert [entry.name for entry in ledger] == [node.name for node in reversed(make(26).nodes)]


@every_rule
def test_booked_amounts_are_the_loops_amounts(rule):
    """What went to the bias, to ε and to gates, from the formulas, and the turnover, Σ|R_out| + Σ|R_in|."""
    network = nets.deep(27)
    x = nets.inputs(network, 2, 27)
    ledger = lrp_core.explain(network, x, rule, 2).ledger
    for k in range(2):
        relevance, books, _ = naive.explain(network, x[k], rule, 2)
        below = "input"
        for node in network.nodes:
            entry = ledger.sample(k)[node.name]
            turnover = sum(abs(float(r)) for name in (node.name, below) for r in relevance[name].flat)
            assert entry.turnover == pytest.approx(turnover, rel=1e-10)
            for part in PARTS:
                difference = abs(getattr(entry, part) - getattr(books[node.name], part))
                assert difference <= 1e-11 * turnover, (node.name, part)
            below = node.name


def test_epsilon_books_its_closed_form():
    """One bias-free layer with z = R: z²/(z + ε sign z) arrives, and z ε / (|z| + ε) is booked as ε's."""
    for epsilon in (1e-7, 0.1, 3.0):
        network = nets.one_dense(28, bias=False)
        x = nets.inputs(network, 4, 28)
        ledger = lrp_core.explain(network, x, Epsilon(epsilon), 0).ledger
        z = ledger.start
        assert np.ptp(np.sign(z)) == 2      # both signs: ε moves z away from zero on either side
        np.testing.assert_allclose(ledger["out"].stabilizer, z * epsilon / (np.abs(z) + epsilon), rtol=1e-7)
        np.testing.assert_allclose(ledger.arrived, z * np.abs(z) / (np.abs(z) + epsilon), rtol=1e-12)


def test_nobody_to_give_to_is_gated():
    """A unit to which nothing contributed keeps its relevance out of the input, and the ledger says so."""
    rng = np.random.default_rng(29)
    out = ("out", nets.dense(rng, 3, 2))
    silent = lrp_core.explain(Network([("first", nets.dense(rng, 4, 3, bias=False)), out], (4,)), np.zeros(4),
                              [("first", Zero()), ("out", Flat())])
    assert silent.ledger.start != 0 and not silent.relevance.any()
    assert silent.ledger["first"].gated == pytest.approx(silent.ledger.start, rel=1e-14)

    # A dead unit (no weights, its bias alone is active) gets a third of the flat layer's relevance.
    kernel, bias = nets.numbers(rng, 4, 3), np.array([2.0, 0, 0], np.float32)
    kernel[:, 0] = 0.0
    dead = Network([("first", L.Dense(kernel, bias)), out], (4,))
    found = lrp_core.explain(dead, nets.inputs(dead, 3), [("first", WSquare()), ("out", Flat())])
    np.testing.assert_allclose(found.ledger["first"].gated, found.ledger.start / 3, rtol=1e-12)
    found = lrp_core.explain(dead, nets.inputs(dead, 3), [("first", Zero()), ("out", Flat())])
    np.testing.assert_allclose(found.ledger["first"].bias, found.ledger.start / 3, rtol=1e-12)
    assert np.abs(found.ledger["first"].gated).max() == pytest.approx(0, abs=1e-12)


# --- the ledger as text and numbers, and what happens when it is wrong
# -----------------------------------------------

def test_ledger_of_one_sample_and_as_json():
    found = explained(nets.deep, 30, Epsilon(0.5), bias=True)
    for k in range(3):
        one = found[k].ledger
        for entry in (*one, one.total):
            whole = found.ledger.total if entry.name == "total" else found.ledger[entry.name]
            for part in (*PARTS, "turnover"):
                assert getattr(entry, part) == getattr(whole, part)[k]
    for ledger in (found.ledger, found[1].ledger):
        read = json.loads(json.dumps(ledger.to_dict()))
        assert [layer["layer"] for layer in read["layers"]] == [entry.name for entry in ledger]
        for layer, entry in zip((*read["layers"], read["total"]), (*ledger, ledger.total)):
            assert (layer["type"], layer["rule"]) == (entry.type, entry.rule)
            for part in (*PARTS, "turnover", "residual"):
                np.testing.assert_array_equal(layer[part], getattr(entry, part))


def test_ledger_prints_every_layer_with_its_numbers():
    ledger = explained(nets.deep, 31, Epsilon(0.5), bias=True)[0].ledger
    lines = ledger.table(all=True).splitlines()
    for entry in (*ledger, ledger.total):
        line, = (line for line in lines if line.split()[0] == entry.name)
        for part in PARTS:
            assert f"{getattr(entry, part) + 0.0:.4f}" in line.split()
    assert len({len(line) for line in lines}) == 1      # columns line up


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("wrong", [1e-3, -1e-3, np.nan])
def test_a_doctored_entry_is_found(part, wrong):
    ledger = explained(nets.deep, 32, Zero(), bias=True).ledger
    ledger.check(1e-12)
    spoilt = getattr(ledger["conv2"], part).copy()
    spoilt[1] += wrong
    spoilt = dataclasses.replace(ledger["conv2"], **{part: spoilt})
    entries = tuple(spoilt if entry.name == "conv2" else entry for entry in ledger)
    with pytest.raises(ConservationError, match="'conv2'.*sample 1"):
        Ledger.of(entries, ledger.start, ledger.arrived).check(1e-9)


@pytest.mark.parametrize("end", ["start", "arrived"])
def test_a_doctored_end_is_found_by_the_total(end):
    ledger = explained(nets.deep, 33, Zero(), bias=True).ledger
    with pytest.raises(ConservationError, match="'total'"):
        dataclasses.replace(ledger, **{end: getattr(ledger, end) + 0.01}).check(1e-9)
    one = explained(nets.deep, 33, Zero(), bias=True)[0].ledger
    with pytest.raises(ConservationError, match="'total'"):
        dataclasses.replace(one, **{end: getattr(one, end) + 0.01}).check(1e-9)


class NotItsTranspose(L.Dense):
    """A layer whose adjoint is wrong by one part in a hundred."""

    def adjoint(self, s, kernel, shape):
        return 1.01 * super().adjoint(s, kernel, shape)


@nets.every_engine
def test_explain_refuses_a_book_that_does_not_close(how):
    network = nets.deep(39)
    hidden = network["hidden"].layer
    wrong = network.replace(nodes=[
        (node.name, NotItsTranspose(hidden.kernel, hidden.bias) if node.name == "hidden" else node.layer)
        for node in network.nodes])
    with pytest.raises(ConservationError, match="'hidden'"):
        lrp_core.explain(wrong, nets.inputs(network, 2), Zero(), **how)


# --- identities -----------------------------------------------------------------------------------

def assert_same_relevance(found, expected, rtol=1.3e-7):
    """To one rounding to float32, and to 1e-12 of the largest number."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-12 * np.abs(expected).max())


@every_net
def test_lrp_0_is_input_times_gradient(make):
    network = make(34, bias=False)
    x = nets.inputs(network, 2, 34)
    found = lrp_core.explain(network, x, Zero(), 1)
    for k in range(2):
        assert_same_relevance(found.relevance[k], x[k] * naive.gradient(network, x[k], 1))


@every_net
@pytest.mark.parametrize("bias", [True, False])
def test_small_epsilon_tends_to_lrp_0(make, bias):
    """The distance to LRP-0 shrinks with ε, in proportion, and is gone at 1e-12."""
    zero = explained(make, 35, Zero(), bias=bias).relevance.astype(np.float64)
    distances = [np.abs(explained(make, 35, Epsilon(e), bias=bias).relevance - zero).max()
                 for e in (1e-3, 1e-4, 1e-12)]
    scale = np.abs(zero).max()
    assert distances[0] > 1e-6 * scale
    assert distances[1] == pytest.approx(distances[0] / 10, rel=0.3)
    assert distances[2] < 1e-6 * scale


@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, Epsilon)], ids=repr)
def test_scaling_the_scores_scales_relevance(rule):
    """The last kernel and bias times 4: every product in a float is exact, so relevance and ledger are too.
    """
    network = nets.deep(36)
    last = network["out"].layer
    louder = network.replace(nodes=[*network.nodes[:-1], ("out", L.Dense(4 * last.kernel, 4 * last.bias))])
    x = nets.inputs(network, 2, 36)
    one, four = (lrp_core.explain(net, x, rule, 1) for net in (network, louder))
    np.testing.assert_array_equal(four.relevance, 4 * one.relevance)
    for part in PARTS:
        np.testing.assert_array_equal(getattr(four.ledger.total, part), 4 * getattr(one.ledger.total, part))


@every_rule
def test_relevance_is_linear_in_what_starts(rule):
    """A class whose weights are the sum of two classes' starts with both; below, each rule adds them up."""
    network = nets.deep(37)
    last = network["out"].layer
    column = (last.kernel[:, :1].astype(np.float64) + last.kernel[:, 1:2])
    both = L.Dense(np.concatenate([last.kernel, column], axis=1),
                   np.append(last.bias, last.bias[0] + last.bias[1]))
    network = network.replace(nodes=[*network.nodes[:-1], ("out", both)], class_names=None)
    x = nets.inputs(network, 2, 37)
    # under LRP-0 class c hands h_i w_ic on, which adds up over classes
    rules = [("out", Zero()), ("*", rule)]
    a, b, together = (lrp_core.explain(network, x, rules, target).relevance.astype(np.float64)
                      for target in (0, 1, 3))
    np.testing.assert_allclose(together, a + b, rtol=0, atol=3e-7 * (np.abs(a) + np.abs(b)).max())


@every_rule
def test_hidden_channels_may_stand_in_any_order(rule):
    """Hidden layers' channels permuted, and the next layers' rows with them: the same function, the same
    relevance.
    """
    network, rng = nets.deep(38), np.random.default_rng(38)
    layers = {node.name: node.layer for node in network.nodes}
    for name, reader in (("conv1", "conv2"), ("hidden", "out")):
        channels, before, after = (rng.permutation(layers[name].kernel.shape[-1]), layers[name],
                                    layers[reader])
        layers[name] = dataclasses.replace(before, kernel=before.kernel[..., channels],
                                           bias=before.bias[channels])
        layers[reader] = dataclasses.replace(after, kernel=np.take(after.kernel, channels, axis=-2))
    permuted = network.replace(nodes=list(layers.items()))
    x = nets.inputs(network, 2, 38)
    one, other = (lrp_core.explain(net, x, rule, 0) for net in (network, permuted))
    assert_same_relevance(other.relevance, one.relevance)
    for entry in one.ledger:
        for part in PARTS:
            difference = np.abs(getattr(other.ledger[entry.name], part) - getattr(entry, part))
            assert np.all(difference <= 1e-12 * entry.turnover), (entry.name, part)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("dtype, layers", [("float32", 5), ("float64", 38)])
@pytest.mark.parametrize("share", [1e-9, 3e-10])
def test_relevance_that_underflows_is_no_error(engine, dtype, layers, share):
    """Layer by layer the stabilizer leaves a tiny share of the relevance, down to numbers that are denormal,
    then 0.
    """
    rng = np.random.default_rng(5)
    nodes = []
    for number in range(layers):  # averages of 40 inputs: outputs stay near 1
        nodes.append((f"dense{number}", L.Dense(rng.uniform(0.5, 1.5, (40, 40)).astype(np.float32) / 40)))
    network = Network([*nodes, ("out", L.Dense(np.ones((40, 2), np.float32) / 40))], (40,))
    e = lrp_core.explain(network, rng.uniform(0.5, 1.5, (3, 40)).astype(np.float32), Epsilon(1 / share),
                         engine=engine, dtype=dtype)
    passed = [float(entry.passed[0]) for entry in e.ledger]
    assert 0 < min(filter(None, passed)) < (1e-35 if dtype == "float32" else 1e-305) and not e.relevance.any()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_relevance_beyond_single_precision_names_the_layer_and_the_way_out(engine):
    """s = R / w² = 1e48: the ledger cannot add up to infinity, and the program has made no error."""
    network = Network([("tiny", L.Dense(np.array([[1e-14]]), np.array([1e20])))], (1,))
    with pytest.raises(ValueError, match="the relevance at layer 'tiny' overflows float32.*use "
                                         "dtype='float64'"):
        lrp_core.explain(network, np.ones(1), WSquare(), engine=engine, dtype="float32")
    assert lrp_core.explain(network, np.ones(1), WSquare()).relevance[0] == pytest.approx(1e20)


@pytest.mark.filterwarnings("ignore:.*encountered")
def test_relevance_beyond_double_precision_names_the_layer():
    """An output that is infinite inside, where the scores are not."""
    nodes = [("huge", L.Dense(np.array([[1e200]]))), ("beyond", L.Dense(np.array([[1e200]]))),
             ("six", L.ReLU6()), ("end", L.Dense(np.ones((1, 1))))]
    with pytest.raises(ValueError, match="the relevance at layer 'beyond' overflows float64"):
        lrp_core.explain(Network(nodes, (1,)), np.ones(1))
