"""Rules that this package does not know: the right answer on both paths, through NumPy where no kernel fits.
"""
import dataclasses

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import Network, Rule, explain
from lrp_core import layers as L
from lrp_core.rules import Group, Term, as_forward, negative, ones, positive, whole


class Sharp(Rule):
    """Relevance follows |W|^power; nothing is declared."""

    def __init__(self, power):
        self.power = power

    def groups(self, layer):
        return (Group((Term(ones, np.abs(layer.kernel) ** self.power),)),)


class SharpEpsilon(lrp_core.Epsilon):
    """A class of one's own under a declared one, with a field that the declaration does not know."""

    def __init__(self, power):
        super().__init__(0.01)  # so that the small denominators of these weights do not magnify rounding
        object.__setattr__(self, "power", power)

    def groups(self, layer):
        return (Group((Term(whole, np.sign(layer.kernel) * np.abs(layer.kernel) ** self.power),)),)


@dataclasses.dataclass(frozen=True, repr=False)
class Declared(Rule):
    """`Sharp` as a frozen dataclass."""
    power: int

    def groups(self, layer):
        return Sharp(self.power).groups(layer)


class LoudestOutput(Rule):
    """A stabilizer that reads z: a hundredth of each sample's largest denominator."""

    def stabilizer(self, z):
        return 0.01 * np.abs(z).reshape(len(z), -1).max(axis=1).reshape(-1, *[1] * (z.ndim - 1))

    def groups(self, layer):
        return as_forward(layer)


class SizeOfOutput(LoudestOutput):
    """A stabilizer that would get a number from something that is no array, too."""

    def stabilizer(self, z):
        return 1e-3 * np.size(z) / np.shape(z)[0]


class NegativeBias(Rule):
    """Both parts of the input carry half of the bias."""

    def groups(self, layer):
        half = None if layer.bias is None else layer.bias / 2
        return (Group((Term(positive, layer.kernel, half), Term(negative, layer.kernel, half))),)


class NegativeOnly(Rule):
    """A group of negative inputs alone beside LRP-0."""

    def groups(self, layer):
        return (*as_forward(layer), Group((Term(negative, layer.kernel),), 0.5))


class Minus(Rule):
    """z with its sign turned twice: a term of sign -1 with the layer's own kernel. Gives what LRP-0 gives."""

    def groups(self, layer):
        return (Group((Term(whole, layer.kernel, layer.bias, sign=-1),)),)


class Double(Rule):
    """A sign that is no sign: z and what is given are both twice as large, so that R is that of LRP-0."""

    def groups(self, layer):
        return (Group((Term(whole, layer.kernel, layer.bias, sign=2),)),)


class OnLargeOutputs(Rule):
    """A gate that no kernel has."""

    def groups(self, layer):
        return (Group((Term(whole, layer.kernel, layer.bias),), gate=lambda y: np.abs(y) > 0.1),)


RULES = [Sharp(1), Sharp(2), SharpEpsilon(1), SharpEpsilon(2), Declared(3), LoudestOutput(), SizeOfOutput(),
         NegativeBias(), NegativeOnly(), Minus(), Double(), OnLargeOutputs()]


def after_a_relu():
    """A network whose second convolution reads what is not negative."""
    rng = np.random.default_rng(4)
    return Network([("conv1", nets.conv(rng, (3, 3), 2, 16)), ("relu1", L.ReLU()),
                    ("conv2", nets.conv(rng, (3, 3), 16, 16)),
                    ("relu2", L.ReLU()), ("flatten", L.Flatten()), ("out", nets.dense(rng, 480, 3))],
                    (6, 5, 2))


def close(found, wanted, dtype):
    """Within what a precision leaves of small denominators, as a part of the whole of each sample."""
    norm, error = (np.linalg.norm(r.reshape(len(r), -1), axis=1) for r in (wanted, found - wanted))
    assert (error <= {"float64": 1e-8, "float32": 1e-3}[dtype] * norm).all(), error / norm


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{type(rule).__name__}{getattr(rule, 'power', '')}")
@pytest.mark.parametrize("positive_input", [False, True])
def test_both_paths_give_the_same(rule, positive_input):
    network = after_a_relu()
    x = nets.inputs(network, 5)
    x = np.abs(x) if positive_input else x
    exact, *others = (explain(network, x, rule, **how).relevance for how in nets.WAYS)
    for found, how in zip(others, nets.WAYS[1:]):
        close(found, exact, how["dtype"])


@pytest.mark.parametrize("rule", [Minus(), Double()], ids=["minus", "double"])
def test_the_sign_of_a_term_cancels(rule):
    """z and the share both carry it."""
    network, x = nets.deep(1), nets.inputs(nets.deep(1), 3)
    np.testing.assert_allclose(explain(network, x, rule).relevance,
                               explain(network, x, lrp_core.Zero()).relevance, rtol=1e-5)


@pytest.mark.parametrize("kind", [Sharp, SharpEpsilon])
@nets.every_engine
def test_rules_that_declare_nothing_are_not_taken_for_each_other(kind, how):
    network, x = after_a_relu(), nets.inputs(after_a_relu(), 2)
    first, second = kind(1), kind(3)
    assert first != second and len({first, second, first}) == 2
    one, two = (explain(network, x, rule, **how).relevance for rule in (first, second))
    again = explain(after_a_relu(), x, kind(3), **how).relevance
    np.testing.assert_array_equal(two, again)
    assert np.abs(one - two).max() > 1e-3 * np.abs(one).max()


@nets.every_engine
def test_a_rule_that_is_changed_is_asked_again(how):
    network, x, rule = after_a_relu(), nets.inputs(after_a_relu(), 2), Sharp(1)
    explain(network, x, rule, **how)
    rule.power = 3
    np.testing.assert_array_equal(explain(network, x, rule, **how).relevance,
                                  explain(network, x, Sharp(3), **how).relevance)


def test_a_condition_that_changes_its_mind_is_asked_again():
    network, x, chosen = after_a_relu(), nets.inputs(after_a_relu(), 2), {"conv1"}
    rules = lrp_core.Composite("mine", ((lambda network, node: node.name in chosen, lrp_core.Flat()),
                                        ("*", lrp_core.Epsilon())))
    first = explain(network, x, rules, engine="numba", dtype="float32").relevance
    chosen.add("conv2")
    second = explain(network, x, rules, engine="numba", dtype="float32").relevance
    wanted = explain(network, x, [("conv*", lrp_core.Flat()), ("*", lrp_core.Epsilon())], engine="numba",
                     dtype="float32").relevance
    np.testing.assert_array_equal(second, wanted)
    assert not np.array_equal(first, second)


def test_declared_rules_are_equal_by_their_fields():
    assert Declared(2) == Declared(2) != Declared(3) and hash(Declared(2)) == hash(Declared(2))
    assert lrp_core.Epsilon(0.1) == lrp_core.Epsilon(0.1) != lrp_core.Epsilon(0.2)
    assert lrp_core.Zero() == lrp_core.Zero() != lrp_core.Flat() and lrp_core.Zero() != 0


def test_a_rule_under_zero_may_count_inputs_in_an_average_pool():
    """What a pool gives then does not vanish where its input does: the ReLU before must not be fused into its
    maker.
    """

    class Counting(lrp_core.Zero):
        def groups(self, layer):
            return (Group((Term(ones, np.ones_like(layer.kernel)),)),)

    rng = np.random.default_rng(2)
    network = Network([("conv", nets.conv(rng, (3, 3), 2, 16)), ("relu", L.ReLU()),
                       ("pool", L.AveragePool2D(2, 2)),
                       ("flatten", L.Flatten()), ("out", nets.dense(rng, 96, 3))], (6, 5, 2))
    rules = [("pool", Counting()), ("*", lrp_core.Epsilon(0.1))]
    x = nets.inputs(network, 4)
    exact, *others = (explain(network, x, rules, **how).relevance for how in nets.WAYS)
    for found in others:
        close(found, exact, "float32")


def test_the_profile_of_a_network_that_numpy_must_help_with_prints_as_a_table():
    """A layer that has no kernel, a stranger's rule, channels: each with its reason."""
    rng = np.random.default_rng(3)
    network = Network([("conv", nets.conv(rng, (3, 3), 2, 4)),
                       ("larger", L.UpSampling2D()),
                       ("relu", L.ReLU()), ("pool", L.AveragePool2D(2, 2)), ("flatten", L.Flatten()),
                       ("out", nets.dense(rng, 120, 3))], (6, 5, 2))
    rows = lrp_core.profile(network, nets.inputs(network, 2),
                            [("conv", LoudestOutput()), ("*", lrp_core.Epsilon())],
                            engine="numba", repeats=2)
    by_numpy = {(row.name, row.direction): row.reason for row in rows if row.kernel == "NumPy"}
    assert by_numpy[("larger", "forward")] == by_numpy[("larger", "backward")] == "no kernel for UpSampling2D"
    assert by_numpy[("conv", "backward")] == "its stabilizer depends on z"
    text = str(rows).splitlines()
    assert len(text) == len(rows) + 4 and text[0].startswith("layer") and text[-1].startswith("total")
    assert len({len(line.rstrip()) <= 110 for line in text}) == 1
