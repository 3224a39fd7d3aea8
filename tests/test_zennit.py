"""Our relevance against zennit's for three networks, nineteen methods and two targets.

What zennit 0.5.1 computed, in float64, lies in data/zennit_*.npz; data/make_zennit.py made it.

One thing is not alike: zennit adds a stabilizer, 1e-6, to every denominator, ours has it where the rule is
called Epsilon, and in zennit's presets for sums and average pools. That shows where a denominator is small,
and hardly anywhere else. So everything is compared twice: our presets as they are, and our rules with
zennit's stabilizer, which must then agree to float32's rounding.

How zennit's other habits are called here: bias="split" for its ZPlus and AlphaBeta, bias="whole" for its
WSquare, which squares the bias too.
"""
import dataclasses
import functools
import pathlib

import numpy as np
import pytest

import lrp_core
from lrp_core import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, ZPlus
from lrp_core.composites import ZENNIT_NORMS, Composite, composite

DATA = pathlib.Path(__file__).parent / "data"

NETS = ("vgg", "resnet", "signed")


def everywhere(rule):
    """One rule for all layers with weights, sums and average pools as zennit has them."""
    return [*ZENNIT_NORMS, ("*", rule)]


RULES = {
    "epsilon_1e-6": everywhere(Epsilon(1e-6)),
    "epsilon_0.25": everywhere(Epsilon(0.25)),
    "zplus": everywhere(ZPlus("split")),
    "alpha2_beta1": everywhere(AlphaBeta(2, 1, "split")),
    "alpha1_beta0": everywhere(AlphaBeta(1, 0, "split")),
    "gamma_0.25": everywhere(Gamma(0.25)),
    "wsquare": everywhere(WSquare("whole")),
    "flat": everywhere(Flat()),
    "zbox": lambda low, high: [(lrp_core.first_with_weights, ZBox(low, high)), ("*", Epsilon(1e-6))],
    "epsilon_plus": "epsilon_plus",
    "epsilon_plus_flat": "epsilon_plus_flat",
    "epsilon_alpha2_beta1": "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat": "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box": lrp_core.epsilon_gamma_box,
    "excitation_backprop": "excitation_backprop",
    "excitation_backprop_no_bias": everywhere(ZPlus("ignore")),
}
GRADIENTS = ("gradient", "guided_backprop", "deconvnet")
TARGETS = {"max": "max", "index": 1}

# zennit's excitation backprop takes the gradient of a LeakyReLU, where ours passes: the "no_bias" one was
# told to.
CASES = [(name, method) for name in NETS for method in RULES
         if (name, method) != ("signed", "excitation_backprop")]

TOLERANCE, ROUNDING = 1e-4, 1e-6


@dataclasses.dataclass(frozen=True)
class Stabilized(Rule):
    """A rule with zennit's stabilizer in its denominators."""
    rule: Rule

    def stabilizer(self, z):
        return 1e-6

    def groups(self, layer):
        return self.rule.groups(layer)


class AsZennit(Composite):
    """A composite with zennit's stabilizer wherever something is divided: sums and average pools, too."""

    def rule_for(self, network, node):
        rule = super().rule_for(network, node)
        return rule if isinstance(rule, (Pass, Epsilon)) else Stabilized(rule)


@functools.cache
def case(name):
    """(network as it was written, zennit's results)."""
    with np.load(DATA / f"zennit_{name}.npz") as file:
        return lrp_core.load(DATA / f"zennit_{name}_net.npz"), dict(file)


@functools.cache
def folded(name, dtype="float32"):
    """The network as zennit's canonizer has it, without batch normalisation, folded in `dtype`."""
    return lrp_core.fold_batch_norm(case(name)[0].astype(dtype))


def rules(name, method):
    """What stands here for a method of zennit."""
    found = RULES.get(method, method)
    return found(*(case(name)[1][bound].tolist() for bound in ("low", "high"))) if callable(found) else found


@functools.cache
def explanations(name, method):
    """{mode: explanation of all samples}."""
    return {mode: lrp_core.explain(folded(name), case(name)[1]["x"], rules(name, method), target)
            for mode, target in TARGETS.items()}


def relative(found, expected):
    """||found - expected|| / ||expected||, for each sample."""
    found, expected = (array.reshape(len(array), -1).astype(np.float64) for array in (found, expected))
    return np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)


def differences(name, method, found):
    """The relative difference from zennit of every sample and target."""
    return np.concatenate([relative(e.relevance, case(name)[1][f"{method}/{mode}"]) for mode,
                           e in found.items()])


@pytest.mark.parametrize("name", NETS)
def test_logits_and_winners_agree(name):
    network, reference = case(name)
    for one in (network, folded(name)):
        logits = one.logits(reference["x"])
        assert relative(logits, reference["logits"]).max() <= TOLERANCE
        assert (logits.argmax(axis=1) == reference["winner"]).all()


@pytest.mark.parametrize("name, method", CASES)
def test_relevance_agrees_with_zennit(name, method):
    assert differences(name, method, explanations(name, method)).max() <= TOLERANCE


@pytest.mark.parametrize("name, method", CASES)
def test_nothing_but_the_stabilizer_differs(name, method):
    """Folded in float64, so that the kernels are zennit's to the last bit that counts."""
    chosen = composite(rules(name, method))
    found = {mode: lrp_core.explain(folded(name, "float64"), case(name)[1]["x"],
                                    AsZennit(chosen.name, chosen.pairs), target)
             for mode, target in TARGETS.items()}
    assert differences(name, method, found).max() <= ROUNDING


@pytest.mark.parametrize("method", GRADIENTS)
@pytest.mark.parametrize("name", NETS)
def test_gradients_agree_with_zennit(name, method):
    assert differences(name, method, explanations(name, method)).max() <= TOLERANCE


@pytest.mark.parametrize("name", NETS)
def test_input_times_gradient_is_that(name):
    _, reference = case(name)
    for mode, e in explanations(name, "input_x_gradient").items():
        assert relative(e.relevance, reference["x"] * reference[f"gradient/{mode}"]).max() <= TOLERANCE


@pytest.mark.parametrize("name, method", CASES)
def test_books_close(name, method):
    for mode, e in explanations(name, method).items():
        expected = case(name)[1]["winner"] if mode == "max" else TARGETS[mode]
        assert (e.target == expected).all()
        explained = e.logits[np.arange(len(e.target)), e.target]
        assert (e.ledger.residual <= 1e-6 * np.abs(explained)).all()
