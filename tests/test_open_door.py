"""Layers and rules of the caller's own, on both engines and in both precisions: right, or refused by name;
never silent.
"""
import dataclasses
import functools
import json

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import Epsilon, Network, Pass, Rule, Zero
from lrp_core import layers as L
from lrp_core.flow import total

BARS = {"float64": 1e-12, "float32": 2e-4}


# ---- layers

@dataclasses.dataclass(frozen=True)
class Gate(L.Layer):
    """A product of two tensors, gate · signal; relevance is the signal's (Arras 2017)."""
    inputs = 2

    def output_shape(self, *shapes):
        return shapes[1]

    def forward(self, gate, signal):
        return gate * signal


class RunningSum(L.Layer):
    """y_k = x_0 + ... + x_k along the last axis, and no dataclass; it keeps 1 / y for its way back."""

    def forward(self, x):
        return np.cumsum(x, axis=-1)

    def forward_keeping(self, x):
        y = self.forward(x)
        return y, np.divide(1, y, out=np.zeros_like(y), where=y != 0)


@dataclasses.dataclass(frozen=True)
class Unheard(L.Layer):
    """A layer that nothing is registered for."""

    def forward(self, x):
        return 2 * x


@lrp_core.flow.register(Gate)
def through_gate(layer, rule, xs, y, r, book):
    return [np.zeros_like(xs[0]), r]


@lrp_core.flow.register(RunningSum)
def through_running_sum(layer, rule, xs, y, r, book):
    shared = r * book.kept
    book.gated += total(r) - total(r * (book.kept != 0))
    return [xs[0] * np.cumsum(shared[..., ::-1], axis=-1)[..., ::-1]]


@lrp_core.gradient_flow.register(Gate)
def gradient_of_gate(layer, method, xs, y, r, book):
    return [r * xs[1], r * xs[0]]


@lrp_core.gradient_flow.register(RunningSum)
def gradient_of_running_sum(layer, method, xs, y, r, book):
    return [np.cumsum(r[..., ::-1], axis=-1)[..., ::-1]]


def with_strangers():
    """A convolution, a gate over its map, a pool, a running sum, two dense layers."""
    rng = np.random.default_rng(7)
    return Network([
        ("conv", nets.conv(rng, (3, 3), 2, 16)), ("relu", L.ReLU()), ("gate", L.Sigmoid(), ("conv",)),
        ("gated", Gate(), ("gate", "relu")), ("pool", L.MaxPool2D(2)), ("flatten", L.Flatten()),
        ("sums", RunningSum()), ("hidden", nets.dense(rng, 64, 24)), ("relu2", L.ReLU()),
        ("out", nets.dense(rng, 24, 3))],
        (4, 4, 2), class_names=nets.CLASSES)


def same(found, wanted, bar):
    """Arrays alike, sample by sample, up to `bar` times the norm."""
    for one, other in zip(np.float64(found), np.float64(wanted)):
        assert np.linalg.norm(one - other) <= bar * np.linalg.norm(other)


@nets.every_engine
def test_a_network_with_strangers_layers_is_explained(how, tmp_path):
    """The same on every engine, ledgers that add up, and an explanation that can be saved."""
    network = with_strangers()
    x = nets.inputs(network, 5)
    exact = lrp_core.explain(network, x, "epsilon", layers=True, engine="numpy")
    found = lrp_core.explain(network, x, "epsilon", layers=True, **how)
    for name, wanted in exact.layers.items():
        same(found.layers[name], wanted, BARS[how["dtype"]])
    assert np.all(found.ledger.residual <= 1e-3 * found.ledger.total.turnover)
    # By hand: the gate takes nothing, and each prefix is shared out among what it sums.
    np.testing.assert_array_equal(exact.layers["gated"], exact.layers["relu"])
    assert not exact.layers["gate"].any()
    flat = network.scoring.forward(x.astype(np.float64)).outputs["flatten"]
    prefix = np.cumsum(flat, axis=1)
    by_loop = [[sum(r[k] * row[i] / sums[k] for k in range(i, 64) if sums[k]) for i in range(64)]
               for r, row, sums in zip(exact.layers["sums"], flat, prefix)]
    np.testing.assert_allclose(exact.layers["flatten"], by_loop, rtol=1e-9,
                               atol=1e-12 * np.abs(by_loop).max())

    found.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as saved:
        np.testing.assert_array_equal(saved["relevance"], found.relevance)
        np.testing.assert_array_equal(saved["layers/gated"], found.layers["gated"])
        assert (saved["target"].tolist() == found.target.tolist()
                and tuple(saved["class_names"]) == nets.CLASSES)
        assert json.loads(str(saved["ledger"])) == found.ledger.to_dict()


@nets.every_engine
def test_gradients_cross_strangers_layers(how):
    """Against differences of the score in double precision."""
    network, step = with_strangers(), 1e-6
    x = nets.inputs(network, 1)[0].astype(np.float64)
    gradient = lrp_core.explain(network, x, "gradient", 1, **how).relevance

    def score(values):
        return network.scoring.forward(values[None]).outputs["out"][0, 1]
    x = np.float64(np.float32(x))
    numeric = np.array([(score(x + step * e) - score(x - step * e)) / (2 * step)
                        for e in np.eye(x.size).reshape(-1, *x.shape)]).reshape(x.shape)
    np.testing.assert_allclose(gradient, numeric, atol=1e-4 * np.abs(numeric).max())


@nets.every_engine
def test_a_layer_without_a_function_is_refused_by_name(how):
    network = Network([("odd", Unheard()), ("out", nets.dense(np.random.default_rng(0), 4, 3))], (4,))
    for rules, door in (("epsilon", "flow"), ("gradient", "gradient_flow")):
        with pytest.raises(ValueError, match=rf"layer 'odd' "
                                             rf"\(Unheard\).*@lrp_core.{door}.register\(Unheard\)"):
            lrp_core.explain(network, np.ones(4), rules, **how)


def broken(returned):
    """A network of one layer whose function returns what `returned` makes of (x, r, book)."""
    class Odd(L.Layer):
        def forward(self, x):
            return x

    @lrp_core.flow.register(Odd)
    def through(layer, rule, xs, y, r, book):
        return returned(xs[0], r, book)
    return Network([("odd", Odd()), ("out", nets.dense(np.random.default_rng(0), 4, 3))], (4,))


@nets.every_engine
@pytest.mark.parametrize("returned, error, words", [
    (lambda x, r, book: [r, r], ValueError, r"layer 'odd' \(Odd\): relevance of the shapes \[\(1, 4\)\] was "
                                            r"expected"),
    (lambda x, r, book: [r[:, :3]], ValueError, "got .*1, 3"),
    (lambda x, r, book: [0.5 * r], lrp_core.ConservationError, "layer 'odd'"),
    (lambda x, r, book: [r * np.nan], ValueError, "relevance at layer 'odd' overflows"),
    (lambda x, r, book: setattr(book, "gated", np.zeros((1, 1))) or [r], ValueError,
     r"book.gated must hold one number for each of 1")])
def test_a_function_that_returns_something_else_is_refused_by_name(returned, error, words, how):
    with pytest.raises(error, match=words):
        lrp_core.explain(broken(returned), np.ones(4), "epsilon", **how)


@pytest.mark.parametrize("layer", [RunningSum(), Gate()])
def test_a_model_file_cannot_hold_a_strangers_layer(layer, tmp_path):
    inputs = ("input", "input")[:layer.inputs]
    network = Network([("odd", layer, inputs), ("out", nets.dense(np.random.default_rng(0), 4, 3))], (4,))
    with pytest.raises(ValueError, match="node 'odd': a model file cannot hold the layer"):
        lrp_core.save(network, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


# ---- layers that are almost ours

class Capped(L.ReLU):
    """A ReLU of another name: not above one half, and -1 below zero."""

    def forward(self, x):
        return np.where(x > 0, np.minimum(x, 0.5), -1)


class Rectified(L.Dense):
    """A dense layer with the ReLU in it: what it puts out is not what its weights sum to."""

    def forward(self, x):
        return np.maximum(super().forward(x), 0)


class Doubled(L.Dense):
    """A dense layer of twice its weights."""

    def linear(self, x, kernel, bias):
        return super().linear(x, 2 * kernel, bias)

    def adjoint(self, s, kernel, shape):
        return super().adjoint(s, 2 * kernel, shape)


def with_subclass(kind):
    rng = np.random.default_rng(3)
    dense = kind if issubclass(kind, L.Dense) else L.Dense
    return Network([
        ("conv", nets.conv(rng, (3, 3), 2, 16)), ("relu", kind() if kind is Capped else L.ReLU()),
        ("flatten", L.Flatten()),
        ("hidden", dense(nets.numbers(rng, 256, 64), nets.numbers(rng, 64))), ("relu2", L.ReLU()),
        ("out", nets.dense(rng, 64, 3))], (4, 4, 2))


@nets.every_engine
@pytest.mark.parametrize("rules", ["epsilon", "preset_b"])
@pytest.mark.parametrize("kind", [Capped, Rectified, Doubled])
def test_a_subclass_is_taken_for_what_it_computes(kind, rules, how):
    """By a loop that knows nothing of ours: z = W'x + b for the weights that the layer really has, whatever
    its output.
    """
    network = with_subclass(kind)
    x = nets.inputs(network, 4)
    found = lrp_core.explain(network, x, rules, 0, layers=True, **how)
    exact = lrp_core.explain(network, x, rules, 0, layers=True, engine="numpy")
    for name, wanted in exact.layers.items():
        same(found.layers[name], wanted, BARS[how["dtype"]] if how["dtype"] == "float64" else 2e-2)
    if rules == "epsilon":
        layer, h = network.scoring["hidden"].layer, exact.layers["relu2"]
        value = network.scoring.forward(x.astype(np.float64)).outputs["flatten"]
        kernel = layer.kernel * (2 if kind is Doubled else 1)
        z = value @ kernel + layer.bias
        by_hand = value * ((h / (z + 0.1e-6 * np.where(z >= 0, 1, -1))) @ kernel.T)
        same(exact.layers["flatten"], by_hand, 1e-9)


@nets.every_engine
def test_a_function_registered_for_a_layer_of_ours_is_obeyed(how):
    """And taken back; both engines ask anew, whatever they have compiled before."""
    network, x = nets.wide(), nets.inputs(nets.wide(), 2)
    usual = lrp_core.explain(network, x, "epsilon", **how)

    registry = lrp_core.flow.registry
    try:
        @lrp_core.flow.register(L.MaxPool2D)
        def evenly(layer, rule, xs, y, r, book):
            window = L.AveragePool2D(layer.pool_size, layer.strides, layer.padding)
            return [window.adjoint(r, None, xs[0].shape[1:])]
        even = lrp_core.explain(network, x, "epsilon", layers=True, **how)
        assert np.abs(even.relevance - usual.relevance).max() > 1e-2 * np.abs(usual.relevance).max()
        shares = L.AveragePool2D((3, 3), (2, 2), "same").adjoint(np.float64(even.layers["pool"]), None,
                                                                 (14, 13, 24))
        same(even.layers["relu1"], shares, 1e-6)
    finally:
        lrp_core.flow.register(L.MaxPool2D, registry[L.WinnerTakesAll])
    np.testing.assert_array_equal(lrp_core.explain(network, x, "epsilon", **how).relevance, usual.relevance)


# ---- rules

@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Half(Rule):
    """Half of LRP-0's relevance of a dense layer; it keeps the rest."""

    def through(self, layer, x, y, r):
        s = np.divide(r, y, out=np.zeros_like(y), where=y != 0)
        return 0.5 * x * layer.adjoint(s, layer.kernel, x.shape[1:])


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Share(Rule):
    """A share of the relevance, in place; to each input the same where there are several."""
    share: float = 0.25

    def through(self, layer, x, y, r):
        if isinstance(x, list):
            return [self.share * r for _ in x]
        return self.share * (np.broadcast_to(r.reshape(len(r), -1)[:, :1],
                                             (len(r), x[0].size)).reshape(x.shape)
                             if x.shape != r.shape else r)


@nets.every_engine
def test_a_rule_that_carries_relevance_itself(how):
    """What it does not pass on has a column of its own, and the ledger adds up."""
    network, x = nets.two_dense(3, bias=False), nets.inputs(nets.two_dense(3), 4)
    found = lrp_core.explain(network, x, [("hidden", Half()), ("*", Zero())], **how)
    whole = lrp_core.explain(network, x, Zero(), engine="numpy")
    same(2 * np.float64(found.relevance), whole.relevance, BARS[how["dtype"]])
    entry = found.ledger["hidden"]
    same(entry.by_rule[:, None], entry.received[:, None] / 2, 1e-5)
    assert np.all(np.abs(found.ledger.total.residual) <= 1e-5 * found.ledger.total.turnover)
    assert "by rule" in str(found.ledger) and "Half()" in str(found.ledger)
    assert "by rule" not in str(whole.ledger) and np.all(whole.ledger["hidden"].by_rule == 0)


@nets.every_engine
@pytest.mark.parametrize("condition", ["named", "class", "base class"])
@pytest.mark.parametrize("name, kind, base", [
    ("relu", L.ReLU, L.Activation), ("pool", L.MaxPool2D, L.WinnerTakesAll), ("flatten", L.Flatten, L.Move),
    ("sum", L.Add, L.Merge), ("mean", L.GlobalAveragePool2D, L.pools.GlobalPool),
    ("norm", L.LayerNorm, L.LayerNorm)])
def test_composites_take_a_rule_for_any_kind_of_layer(name, kind, base, condition, how):
    rng = np.random.default_rng(9)
    network = Network([
        ("conv", nets.conv(rng, (3, 3), 2, 16)), ("relu", L.ReLU()), ("sum", L.Add(), ("relu", "conv")),
        ("pool", L.MaxPool2D(1)),
        ("norm", L.LayerNorm(np.ones(16, np.float32), np.zeros(16, np.float32))),
        ("mean", L.GlobalAveragePool2D()),
        ("flatten", L.Flatten()), ("out", nets.dense(rng, 16, 3))], (4, 4, 2))
    x = nets.inputs(network, 2)
    chosen = {"named": name, "class": kind, "base class": base}[condition]
    found = lrp_core.explain(network, x, [(chosen, Share(0.25)), ("*", Epsilon(0.1))], layers=True, **how)
    entry = found.ledger[name]
    assert entry.rule == "Share(share=0.25)"
    assert np.abs(entry.by_rule).max() > 0
    np.testing.assert_allclose(entry.by_rule, entry.received - entry.passed, rtol=1e-4,
                               atol=1e-6 * entry.turnover.max())


def test_what_is_wide_speaks_of_layers_with_weights():
    """A pattern, L.Layer or L.Linear is no choice for activations and pools: "epsilon" keeps its meaning."""
    network = nets.deep(1)
    for condition in ("*", L.Layer, L.Linear, object):
        rules = lrp_core.composites.composite([(condition, Epsilon(0.5))]).rules_for(network)
        for node, rule in zip(network.nodes, rules):
            weighted = isinstance(node.layer, L.Weighted)
            pooled = isinstance(node.layer, L.AveragePool2D)
            assert rule == (Epsilon(0.5) if weighted else Zero() if pooled else Pass()), node.name


@pytest.mark.parametrize("name", ["relu1", "pool1", "flatten"])
def test_a_rule_that_would_do_nothing_is_refused(name):
    with pytest.raises(ValueError, match=f"layer '{name}' .* passes relevance on: the rule Epsilon.* does "
                                         "nothing there"):
        lrp_core.explain(nets.deep(1), np.ones((9, 7, 2)), [(name, Epsilon(0.1)), ("*", Zero())])


def test_a_rule_without_groups_or_through_says_what_to_define():
    class Empty(Rule):
        pass
    with pytest.raises(NotImplementedError, match="Empty must define groups"):
        lrp_core.explain(nets.two_dense(1), np.ones(6), Empty())


def test_the_profile_says_what_is_left_to_numpy_and_why():
    network = with_strangers()
    profile = lrp_core.profile(network, nets.inputs(network, 2), [("hidden", Half()), ("*", Zero())],
                               engine="numba", repeats=1)
    reasons = {(row.name, row.direction): row.reason for row in profile if row.kernel == "NumPy"}
    assert "Half carries relevance itself" in reasons["hidden", "backward"]
    assert "Gate" in reasons["gated", "backward"] and "Gate" in reasons["gated", "forward"]
    assert "of your own" in str(profile)


def test_rules_are_known_by_what_they_declare():
    assert Share(0.25) == Share(0.25) != Share(0.5) and Half() == Half() != Zero()
    assert functools.reduce(lambda n, _: n + 1, {Share(0.25), Share(0.25), Half()}, 0) == 2
