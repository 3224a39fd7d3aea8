"""Every rule against its formula in the papers, number by number; by hand on a 2-2-1 net; and who gets which
rule.
"""
import naive
import nets
import numpy as np
import pytest
import test_zennit

import lrp_core
from lrp_core import AlphaBeta, Epsilon, Flat, Gamma, Network, Pass, WSquare, Zero, ZPlus
from lrp_core import layers as L
from lrp_core.rules import Group, Rule, Term, whole

RULES = [Zero(), Epsilon(1e-7), Epsilon(0.1), Epsilon(5.0),
         *(AlphaBeta(alpha, beta, bias) for alpha, beta in ((1, 0), (2, 1), (1.5, 0.5))
           for bias in ("whole", "split", "ignore")),
         *(ZPlus(bias) for bias in ("whole", "split", "ignore")), WSquare(), Flat(), Gamma(0.25), Gamma(3.0)]

each_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


def assert_same(found, expected, scale=None):
    """A float32 result against float64 numbers: one rounding to float32, and sums to 1e-12 of the largest."""
    scale = np.abs(expected).max() if scale is None else scale
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1.3e-7, atol=1e-12 * max(scale, 1e-300))


def assert_explained(network, x, rules, target=1, *, formulas=None):
    """Relevance at every node and the ledger of every layer, for each sample, are those of the formulas.

    formulas: the rule of every layer by name, where `rules` is something that only the engine can read."""
    found = lrp_core.explain(network, x, rules, target, layers=True)
    for k, sample in enumerate(x):
        relevance, books, logit = naive.explain(network, sample, formulas or rules, target)
        assert found.ledger.start[k] == pytest.approx(logit, rel=1e-12)
        for name, expected in relevance.items():
            assert_same(found.layers[name][k], expected)
        for name, book in books.items():
            entry = found.ledger.sample(k)[name]
            for part in ("received", "passed", "bias", "stabilizer", "gated"):
                assert abs(getattr(entry, part) - getattr(book, part)) <= 1e-11 * entry.turnover, (name, part)


# --- against the formulas
# --------------------------------------------------------------------------------------------

@each_rule
@pytest.mark.parametrize("make", [nets.one_dense, nets.two_dense, nets.one_conv])
@pytest.mark.parametrize("bias", [True, False])
def test_rule_is_its_formula(rule, make, bias):
    """Dense and a strided 'same' convolution, with mixed signs; a hidden ReLU leaves some outputs without
    relevance.
    """
    network = make(11, bias=bias)
    assert_explained(network, nets.inputs(network, 3), rule)


@each_rule
def test_rule_on_a_deep_network(rule):
    """All kinds of layers, two rules at once: pools, dropout and flatten hand relevance through as they
    should.
    """
    network = nets.deep(12)
    rules = {"conv1": rule, "conv2": AlphaBeta(2, 1, "split"), "hidden": Epsilon(0.25), "out": rule}
    x = nets.inputs(network, 2)
    assert_explained(network, x, list(rules.items()), 0, formulas=rules)


@each_rule
def test_rule_on_dense_layers_over_places(rule):
    """A Dense layer on a map shares weights between places: each place is explained from its own numbers."""
    rng = np.random.default_rng(13)
    network = Network([("places", nets.dense(rng, 2, 3)), ("flatten", L.Flatten()),
                       ("out", nets.dense(rng, 12, 3))],
                      (2, 2, 2))
    assert_explained(network, nets.inputs(network, 2), rule)


@each_rule
def test_rule_where_inputs_and_weights_are_zero(rule):
    """Zeros everywhere a formula divides: silent input, dead units, exact cancellation. Nothing becomes NaN.
    """
    rng = np.random.default_rng(14)
    # a unit that sees nothing, one all negative, one all positive,
    kernel = np.array([[0, -1, 2, 1, 1],
                       [0, -3, 1, -1, 2],       # one whose contributions cancel at x = 1,
                       [0, -1, 1, 2, 0],        # and one whose positive or negative part its bias cancels
                       [0, -2, 1, -2, -3]], np.float32)
    x = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [-1, -1, 0, 0], [1, 1, 1, 1], [1, 1, 0, 1]], np.float32)
    for hidden_bias in (None, [0.5, 0, 0, 0, -3], [-0.5, 7, -5, 0, 3]):
        hidden = L.Dense(kernel, None if hidden_bias is None else np.array(hidden_bias, np.float32))
        # Flat above hands relevance to every hidden unit, also to those at zero.
        for above in (Flat(), rule):
            network = Network([("hidden", hidden), ("out", nets.dense(rng, 5, 3))], (4,))
            rules = {"hidden": rule, "out": above}
            for batch in (x, x[:1]):        # silence beside other samples, and alone
                assert_explained(network, batch, list(rules.items()), formulas=rules)


def test_epsilon_at_zero_moves_up():
    """sign(0) = +1: where x_1 w_1 + x_2 w_2 = 0, each input still gets ± x w R / ε, and ε books all of R."""
    network = Network([("first", L.Dense(np.array([[1, 1], [1, 0]], np.float32))),
                       ("out", L.Dense(np.array([[3], [2]], np.float32), np.array([4.0], np.float32)))], (2,))
    # z = (x1 + x2, x1) = (0, 2); the logit is 3·0 + 2·2 + 4 = 8.
    found = lrp_core.explain(network, np.array([2.0, -2.0]), [("first", Epsilon(0.5)), ("out", WSquare())], 0)
    # out gives 9/13 and 4/13 of 8; first gives ±2 · R/0.5 for the unit at zero, and 2 · R/2.5 to x1 for the
    # other.
    a, b = 8 * 9 / 13, 8 * 4 / 13
    np.testing.assert_allclose(found.relevance, [2 * a / 0.5 + 2 * b / 2.5, -2 * a / 0.5], rtol=1e-6)
    assert found.ledger["first"].stabilizer == pytest.approx(a + b * 0.5 / 2.5, rel=1e-12)
    assert found.ledger["first"].gated == pytest.approx(0, abs=1e-12)


# --- by hand --------------------------------------------------------------------------------------
#
# x = (1, 2);  h1 = 1·1 + 2·1 + 1 = 4,  h2 = 1·3 - 2·1 + 1 = 2;  y = 2·4 - 1·2 + 1 = 7, and 7 is what starts.
# Contributions: to y 8 from h1, -2 from h2, bias 1; to h1 1 and 2, bias 1; to h2 3 and -2, bias 1.

BY_HAND = [
    # R(h) = (8, -2)/7·7 = (8, -2);  R1 = 1/4·8 + 3/2·(-2) = -1,  R2 = 2/4·8 + (-2)/2·(-2) = 6.
    (Zero(), (-1, 6), {"out": 1, "hidden": 8 * 1 / 4 - 2 * 1 / 2}),
    # Denominators 7+1, 4+1, 2+1:  R(h) = 7/8·(8, -2) = (7, -7/4);  R1 = 7/5 - 7/4 = -7/20, R2 = 14/5 + 7/6 =
    # 119/30.
    (Epsilon(1.0), (-7 / 20, 119 / 30), {"out": 7 / 8, "hidden": 7 / 5 - 7 / 12}),
    # Bias in both: y+ = 9, R(h1) = 8/9·7 = 56/9;  h1+ = 4: R1 = 14/9, R2 = 28/9.
    (AlphaBeta(1, 0, "whole"), (14 / 9, 28 / 9), {"out": 7 / 9, "hidden": 14 / 9}),
    # All biases are positive: split and whole agree on the positive side.
    (AlphaBeta(1, 0, "split"), (14 / 9, 28 / 9), {"out": 7 / 9, "hidden": 14 / 9}),
    # y+ = 8, R(h1) = 7;  h1+ = 3: R1 = 7/3, R2 = 14/3.
    (AlphaBeta(1, 0, "ignore"), (7 / 3, 14 / 3), {"out": 0, "hidden": 0}),
    (ZPlus(), (7 / 3, 14 / 3), {"out": 0, "hidden": 0}),
    # y- = -2: R(h) = (2·7, -7) = (14, -7);  h1 has no negative part: 2·14 to (1, 2)/3;  h2+ = 3, h2- = -2:
    # 2·(-7) to x1, -(-7) to x2:  R1 = 28/3 - 14 = -14/3,  R2 = 56/3 + 7 = 77/3. The 14 that h1 cannot take
    # back: gated.
    (AlphaBeta(2, 1, "ignore"), (-14 / 3, 77 / 3), {"out": 0, "hidden": 0}),
    # As above with b+ = 1:  R(h) = (2·7·8/9, -7) = (112/9, -7);  h1+ = 4, h2+ = 4, h2- = -2:
    # R1 = 2·112/9/4 - 2·7·3/4 = 56/9 - 21/2,  R2 = 112/9 + 7.
    (AlphaBeta(2, 1, "split"), (56 / 9 - 21 / 2, 112 / 9 + 7), {"out": 14 / 9, "hidden": 56 / 9 - 7 / 2}),
    # b in both: y- = -2 + 1 = -1, R(h) = (112/9, -7·2);  h1- = 1 (bias alone, it takes -112/9);  h2- = -1:
    # R1 = 56/9 - 2·14·3/4 = 56/9 - 21,  R2 = 112/9 + 14·2.
    (AlphaBeta(2, 1, "whole"), (56 / 9 - 21, 112 / 9 + 28),
     {"out": 14 / 9 + 7, "hidden": 56 / 9 - 112 / 9 - 7 - 14}),
    # y: 4 to 1, R(h) = 7·(4/5, 1/5);  h1: 1 to 1, h2: 9 to 1:  R1 = 2.8 + 1.4·0.9, R2 = 2.8 + 1.4·0.1.
    (WSquare(), (4.06, 2.94), {"out": 0, "hidden": 0}),
    (Flat(), (3.5, 3.5), {"out": 0, "hidden": 0}),
    # All outputs are above zero, so what is positive counts twice.  y: 16 - 2 + 2, R(h) = 7·(16, -2)/16 = (7,
    # -7/8);
    # h1: 2 + 4 + 2, h2: 6 - 2 + 2:  R1 = 7·2/8 - 7/8·6/6, R2 = 7·4/8 + 7/8·2/6.
    (Gamma(1.0), (7 / 8, 7 / 2 + 7 / 24), {"out": 7 / 8, "hidden": 7 / 4 - 7 / 24}),
]


def by_hand():
    """The network of the comment above."""
    return Network([("hidden", L.Dense(np.array([[1.0, 3.0], [1.0, -1.0]]), np.array([1.0, 1.0]))),
                    ("relu", L.ReLU()),
                    ("out", L.Dense(np.array([[2.0], [-1.0]]), np.array([1.0])))], (2,))


@pytest.mark.parametrize("rule, relevance, bias", BY_HAND, ids=[repr(case[0]) for case in BY_HAND])
def test_by_hand(rule, relevance, bias):
    found = lrp_core.explain(by_hand(), np.array([1, 2]), rule)
    assert found.logits[0] == 7 and found.ledger.start == 7
    np.testing.assert_allclose(found.relevance, relevance, rtol=2e-7)
    for name, booked in bias.items():
        assert found.ledger[name].bias == pytest.approx(booked, rel=1e-13, abs=1e-13)
    assert found.ledger.total.residual == pytest.approx(0, abs=1e-12)


@nets.every_engine
def test_gamma_above_below_and_at_zero(how):
    """x = (1, 1), y = (2, -1, 0), each with R = 1: contributions (1, 1), (1, -2) and (1, -1), no biases."""
    network = Network([("first", L.Dense(np.float32([[1, 1, 1], [1, -2, -1]]))),
                       ("out", L.Dense(np.ones((3, 1), np.float32), np.float32([2])))], (2,))
    found = lrp_core.explain(network, np.ones(2), [("first", Gamma(1.0)), ("out", WSquare())], 0, **how,
                             layers=True)
    np.testing.assert_array_equal(found.layers["first"], [1, 1, 1])
    # Above zero (2, 2)/4, below zero (1, -4)/-3; what is zero has nothing to favour, and its R is gated.
    np.testing.assert_allclose(found.relevance, [1 / 2 - 1 / 3, 1 / 2 + 4 / 3], rtol=2e-7)
    assert found.ledger["first"].gated == pytest.approx(1, abs=1e-6)


class Unbiased(Rule):
    """LRP-0 that leaves the bias out of the denominator."""
    def groups(self, layer):
        return (Group((Term(whole, layer.kernel),)),)


class Doubled(Rule):
    """LRP-0 of the layer with a kernel twice as large, and the bias as it is."""
    def groups(self, layer):
        return (Group((Term(whole, 2 * layer.kernel, layer.bias),)),)


@nets.every_engine
@pytest.mark.parametrize("rule, relevance, bias", [
    # y: 8 - 2, R(h) = 7·(8, -2)/6 = (28/3, -7/3);  h1: 1 + 2, h2: 3 - 2:  R1 = 28/9 - 7, R2 = 56/9 + 14/3.
    (Unbiased(), (28 / 9 - 7, 56 / 9 + 14 / 3), {"out": 0, "hidden": 0}),
    # y: 16 - 4 + 1, R(h) = 7·(16, -4)/13;  h1: 2 + 4 + 1, h2: 6 - 4 + 1:  R1 = 112/13·2/7 - 28/13·6/3, ...
    (Doubled(), (32 / 13 - 56 / 13, 64 / 13 + 112 / 39), {"out": 7 / 13, "hidden": 16 / 13 - 28 / 39})],
    ids=["unbiased", "doubled"])
def test_by_hand_with_rules_of_the_callers_own(how, rule, relevance, bias):
    """Whole inputs, but not the layer's own sum: what the forward pass computed is not what these divide by.
    """
    found = lrp_core.explain(by_hand(), np.array([1, 2]), rule, **how)
    np.testing.assert_allclose(found.relevance, relevance, rtol=2e-6)
    for name, booked in bias.items():
        assert found.ledger[name].bias == pytest.approx(booked, rel=2e-6, abs=1e-13)


def test_flat_at_the_border():
    """A 3x3 'same' window on a 2x3 map: corners see 4 pixels, middles 6; each share is 1 over what its window
    sees.
    """
    kernel = np.full((3, 3, 1, 1), 2.0, np.float32)
    network = Network([("conv", L.Conv2D(kernel, None, (1, 1), "same")), ("flatten", L.Flatten()),
                       ("out", L.Dense(np.eye(6, 1, dtype=np.float32)))], (2, 3, 1))
    found = lrp_core.explain(network, np.ones((2, 3, 1)), [("conv", Flat()), ("out", Zero())])
    # The top left output sees 4 pixels: z = 8, all of it starts at that output, a quarter goes to each.
    np.testing.assert_allclose(found.relevance[:, :, 0], [[2, 2, 0], [2, 2, 0]], rtol=1e-7)
    assert found.ledger["conv"].gated == pytest.approx(0, abs=1e-12)


# --- who gets which rule
# ---------------------------------------------------------------------------------------------

def rules_of(network, rules):
    """{layer name: rule as the ledger names it}, from an explanation."""
    entries = lrp_core.explain(network, nets.inputs(network, 1)[0], rules).ledger.entries
    return {entry.name: entry.rule for entry in entries if entry.type in ("Dense", "Conv2D")}


def test_first_match_wins():
    network = nets.deep(1)
    assert rules_of(network, [("conv1", Flat()), ("conv*", Zero()), (L.Dense, WSquare()),
                              ("*", Epsilon(1.0))]) == {
        "conv1": "Flat()", "conv2": "Zero()", "hidden": "WSquare()", "out": "WSquare()"}
    # The same pairs the other way round: the catch-all takes everything.
    assert set(rules_of(network, [("*", Zero()), ("conv1", Flat()),
                                  (L.Dense, WSquare())]).values()) == {"Zero()"}


def test_conditions_by_pattern_type_and_function():
    network = nets.deep(1)
    seen = []

    def wide(network, node):
        seen.append(node.name)
        return network.shapes[node.name] == (8,)

    found = rules_of(network, [("conv[2-9]", Flat()), (L.Conv2D, WSquare()), (wide, Zero()),
                               ("o?t", Epsilon(0.5))])
    assert found == {"conv1": "WSquare()", "conv2": "Flat()", "hidden": "Zero()",
                     "out": "Epsilon(epsilon=0.5)"}
    # Later conditions are not asked once one held, and layers without weights are never asked about.
    assert set(seen) == {"hidden", "out"}


def test_average_pools_keep_lrp_0():
    """Whatever the rule for layers with weights, an average pool shares by what each position contributed."""
    network = Network([("average", L.AveragePool2D((2, 2))), ("mean", L.GlobalAveragePool2D()),
                       ("out", L.Dense(np.array([[2.0], [1.0]])))], (2, 4, 2))
    x = nets.inputs(network, 1)[0]
    assert [entry.rule for entry in lrp_core.explain(network, x, Flat()).ledger] == [
        "Flat()",
        "Zero()",
        "Zero()",
    ]
    assert_explained(network, x[None], Flat(), 0)


def test_max_pool_gives_to_the_first_of_equals():
    network = Network([("pool", L.MaxPool2D((2, 2), (1, 1))), ("flatten", L.Flatten()),
                       ("out", L.Dense(np.array([[1.0], [10.0]])))], (2, 3, 1))
    x = np.array([[[1], [5], [5]], [[5], [2], [5]]])
    # Windows [1 5; 5 2] and [5 5; 2 5] both take their first 5, which is the same pixel: 5·1 + 5·10.
    np.testing.assert_array_equal(lrp_core.explain(network, x, Zero()).relevance[:, :, 0],
                                  [[0, 55, 0], [0, 0, 0]])


PRESETS = {
    "epsilon": ("Epsilon(epsilon=1e-07)",) * 4,
    "preset_a": ("AlphaBeta(alpha=1.0, beta=0.0, bias='whole')",) * 2 + ("Epsilon(epsilon=0.1)",) * 2,
    "preset_b": ("AlphaBeta(alpha=2.0, beta=1.0, bias='whole')",) * 2 + ("Epsilon(epsilon=0.1)",) * 2,
}
for _name in ("preset_a", "preset_b"):
    PRESETS[f"{_name}_flat"] = ("Flat()", *PRESETS[_name][1:])
PRESETS["flat"] = PRESETS["preset_a_flat"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    """Layer by layer, by name and by formula: flat at the first layer only, the average pool keeps LRP-0."""
    network = nets.deep(2)
    layers = ("conv1", "conv2", "hidden", "out")
    assert rules_of(network, name) == dict(zip(layers, PRESETS[name]))
    convolution = {"a": AlphaBeta(1, 0, "whole"), "b": AlphaBeta(2, 1, "whole")}
    if name == "epsilon":
        same = dict.fromkeys(layers, Epsilon(1e-7))
    else:
        conv = convolution["b" if "_b" in name else "a"]
        same = {"conv1": Flat() if "flat" in name else conv, "conv2": conv, "hidden": Epsilon(0.1),
                "out": Epsilon(0.1)}
    assert_explained(network, nets.inputs(network, 1), name, 2, formulas=same)


def test_every_preset_is_tested():
    """Here or, those that carry zennit's names, against its outputs."""
    assert {*lrp_core.PRESETS, *lrp_core.ALIASES} == {*PRESETS, *(name for name in test_zennit.RULES
                                                                  if name in lrp_core.PRESETS)}


def test_flat_finds_the_first_layer_behind_a_reshape():
    """The first layer with weights that reads the input through nothing but reshapes; after a ReLU it is not
    first.
    """
    rng = np.random.default_rng(3)
    out = ("out", nets.dense(rng, 4, 2))
    behind_flatten = Network([("flatten", L.Flatten()), ("first", nets.dense(rng, 4, 4)), out], (2, 2))
    assert rules_of(behind_flatten, "flat") == {"first": "Flat()", "out": "Epsilon(epsilon=0.1)"}
    behind_relu = Network([("relu", L.ReLU()), ("first", nets.dense(rng, 4, 4)), out], (4,))
    assert rules_of(behind_relu, "flat") == dict.fromkeys(("first", "out"), "Epsilon(epsilon=0.1)")


def test_defaults():
    """What a rule is when nothing is said; the preset of that name says its own."""
    assert (Epsilon(), AlphaBeta(), ZPlus()) == (Epsilon(1e-7), AlphaBeta(2, 1, "whole"), ZPlus("ignore"))
    network = nets.two_dense(5)
    x = nets.inputs(network, 2)
    found = lrp_core.explain(network, x)    # the preset "epsilon" and the winning class
    for k in range(2):
        expected, _, _ = naive.explain(network, x[k], Epsilon(1e-7),
                                       int(np.argmax(naive.trace(network, x[k])["out"])))
        assert_same(found.relevance[k], expected["input"])


# --- what is refused ------------------------------------------------------------------------------

@pytest.mark.parametrize("make, word", [
    (lambda: AlphaBeta(2, 2), "alpha"), (lambda: AlphaBeta(1, 1), "alpha"),
    (lambda: AlphaBeta(0.5, -0.5), "alpha"),
    (lambda: AlphaBeta(float("nan"), 0), "alpha"), (lambda: AlphaBeta(float("inf"), float("inf")), "alpha"),
    (lambda: AlphaBeta(2, 1, "half"), "half"), (lambda: ZPlus("half"), "half"),
    (lambda: AlphaBeta(2, 1, None), "bias"),
    (lambda: Epsilon(0), "epsilon"), (lambda: Epsilon(-1e-3), "epsilon"),
    (lambda: Epsilon(float("nan")), "epsilon"),
    (lambda: Epsilon(float("inf")), "epsilon"), (lambda: Epsilon("small"), "epsilon"),
])
def test_parameters_that_are_no_rule(make, word):
    with pytest.raises((ValueError, TypeError), match=word):
        make()


@pytest.mark.parametrize("rules, error, words", [
    ("gradcam", ValueError, ["gradcam", "epsilon", "preset_a_flat"]),
    ([("conv*", Zero())], ValueError, ["hidden", "Dense"]),
    ([(L.Dense, Zero()), ("conv1", Zero())], ValueError, ["conv2", "Conv2D"]),
    ([], ValueError, ["no rule"]),
    (Pass(), ValueError, ["conv1", "Pass"]),
    ([("hidden", Pass()), ("*", Zero())], ValueError, ["hidden", "Pass"]),
    ([("*", "epsilon")], TypeError, ["epsilon"]),
    ([(3, Zero())], TypeError, ["3"]),
    (["conv1"], TypeError, ["conv1"]),
    (None, TypeError, ["None"]),
    (Zero, TypeError, ["Zero"]),
], ids=lambda value: repr(value) if not isinstance(value, type) else value.__name__)
def test_rules_that_do_not_fit(rules, error, words):
    network = nets.deep(1)
    with pytest.raises(error) as raised:
        lrp_core.explain(network, nets.inputs(network, 1), rules)
    for word in words:
        assert word in str(raised.value)


def test_softmax_is_dropped_at_the_end_and_explained_in_the_middle():
    rng = np.random.default_rng(4)
    first, second = ("first", nets.dense(rng, 5, 4)), ("second", nets.dense(rng, 4, 3))
    with_softmax = Network([first, second, ("softmax", L.Softmax())], (5,))
    x = nets.inputs(with_softmax, 2)
    ended, bare = (lrp_core.explain(net, x, Zero()) for net in (with_softmax, Network([first, second], (5,))))
    np.testing.assert_array_equal(ended.relevance, bare.relevance)
    np.testing.assert_array_equal(ended.logits, bare.logits)
    for k in range(2):
        expected = naive.trace(with_softmax, x[k])["softmax"]
        np.testing.assert_allclose(ended.probabilities[k], expected, rtol=1e-5)
        np.testing.assert_allclose(with_softmax.probabilities(x)[k], expected, rtol=1e-5)
    middle = Network([first, ("gate", L.Softmax()), second], (5,))
    entry = lrp_core.explain(middle, x, Zero()).ledger["gate"]
    np.testing.assert_allclose(entry.received, entry.passed + entry.softmax, rtol=1e-12)
