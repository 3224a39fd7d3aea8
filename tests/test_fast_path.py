"""The fast path against the readable one, from the pixels to the ledger: presets, rules, graphs, options,
refusals.
"""
import gc

import fast_nets
import nets
import numba
import numpy as np
import pytest

import lrp_core
from lrp_core import (
    AlphaBeta,
    Contrast,
    Epsilon,
    Flat,
    Gamma,
    Network,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
    first_layer,
)
from lrp_core import layers as L
from lrp_core.numba_engine.kernels.jit import prepare
from lrp_core.numba_engine.kernels.op import KINDS

NETS = {"deep": lambda: nets.deep(70), "wide": nets.wide, "vgg": fast_nets.vgg,
        "branching": fast_nets.branching}
# Rules that do not follow the input bring relevance to sums that are nearly zero: LRP-0 would divide by
# these.
SUMS = [(L.Add, Epsilon(0.1)), (L.GlobalAveragePool2D, Epsilon(0.1)), (L.AveragePool2D, Epsilon(0.1))]
RULES = {
    **{name: name for name in lrp_core.PRESETS},
    "WSquare": [*SUMS, ("*", WSquare())], "WSquare whole": [*SUMS, ("*", WSquare("whole"))],
    "Flat": [*SUMS, ("*", Flat())],
    "Gamma": Gamma(0.25), "Zero": Zero(), "ZPlus": ZPlus(),
    "AlphaBeta whole": AlphaBeta(2, 1, "whole"), "AlphaBeta split": AlphaBeta(2, 1, "split"),
    "AlphaBeta ignore": AlphaBeta(3, 2, "ignore"),
    "relative": Epsilon(0.05, relative=True), "ZBox": [(first_layer, ZBox(-4, 4)), ("*", Epsilon(0.1))],
    "mixed": [(first_layer, Flat()), (L.Conv2D, Gamma(0.5)), ("*", Epsilon(0.01, relative=True))]}


@pytest.fixture(scope="module")
def network(request):
    """One of NETS by name; its programs are kept for the tests that follow."""
    return NETS[request.param]()


every_net = pytest.mark.parametrize("network", NETS, indirect=True)


def samples(network, count=5, seed=70):
    """Mixed signs, and in some none below zero."""
    x = nets.inputs(network, count, seed)
    x[1::3] = np.abs(x[1::3])
    return x


def both(network, x, rules, target="max", each=False, **options):
    """The explanation by the readable engine in double precision, and by the compiled one in single
    precision.
    """
    call = lrp_core.explain_each if each else lrp_core.explain
    return [call(network, x, rules, target, engine=engine, dtype=dtype, **options)
            for engine, dtype in (("numpy", "float64"), ("numba", "float32"))]


def assert_alike(exact, fast, name=None, numbers=("received", "passed", "bias", "stabilizer", "gated")):
    """Relevance to 1e-4 of each sample's norm; the numbers of the ledger to 1e-4 of the layer's turnover."""
    np.testing.assert_allclose(fast.logits, exact.logits, atol=1e-4 * np.abs(exact.logits).max())
    np.testing.assert_array_equal(fast.target, exact.target)
    for node in (exact.layers or {None: None}):
        a, b = (e.relevance if node is None else e.layers[node] for e in (exact, fast))
        assert a.shape == b.shape and b.dtype == np.float32
        axes = tuple(range(np.ndim(exact.target), a.ndim))
        wrong, norm = (np.sqrt((np.float64(one) ** 2).sum(axis=axes)) for one in (np.float64(a) - b, a))
        assert np.all(wrong <= 1e-4 * norm), (name, node, wrong / norm)
    assert [(e.name, e.type, e.rule) for e in exact.ledger] == [(e.name, e.type, e.rule) for e in fast.ledger]
    for a, b in zip((*exact.ledger, exact.ledger.total), (*fast.ledger, fast.ledger.total)):
        for number in numbers:
            wrong = np.abs(getattr(a, number) - getattr(b, number))
            assert np.all(wrong <= 1e-4 * a.turnover), (name, a.name, number, wrong / a.turnover)


# --- rules ----------------------------------------------------------------------------------------

@every_net
@pytest.mark.parametrize("rules", RULES)
def test_the_fast_path_is_the_readable_one(network, rules):
    x = samples(network)
    assert_alike(*both(network, x, RULES[rules]), rules)
    positive = np.abs(x[:2])              # planned apart: negative parts are left out
    assert_alike(*both(network, positive, RULES[rules]), f"{rules}, nothing negative")


@every_net
def test_turnover(network):
    """It is Σ|R out| + Σ|R in| of each layer, as the ledger says of it, also where an overlapping pool lets
    signs cancel.
    """
    for rules in ("epsilon", "preset_b"):
        assert_alike(*both(network, samples(network), rules), rules, ("turnover",))


@pytest.mark.parametrize("rules", ["epsilon", "epsilon_plus", "Gamma", "ZPlus"])
def test_a_network_for_phones(rules):
    """With these rules; with others relevance cancels, or is shared out among inputs that are nearly zero,
    and single precision keeps three digits of it. `test_engines_agree` has them all in double precision.
    """
    network = fast_nets.mobile()
    assert_alike(*both(network, samples(network), RULES[rules]), rules)


def test_these_networks_use_every_kernel():
    """What is agreed upon above was computed by them: none is left to NumPy by mistake."""
    from lrp_core.composites import composite
    from lrp_core.numba_engine.entry import planned
    used = set()
    for make in (*NETS.values(), fast_nets.mobile):
        network = make()
        for rules in ("epsilon", "preset_b_flat", "epsilon_alpha2_beta1", "WSquare", "ZBox"):
            used |= {int(op["kind"]) for op in planned(network, composite(RULES[rules]), dtype="float32",
                                                       nonnegative=False).code.ops}
    unused = [kind.name for kind in KINDS if kind.number not in used]
    assert set(unused) <= {"ReLU", "part"}


# --- options --------------------------------------------------------------------------------------

@every_net
@pytest.mark.parametrize("rules", ["preset_b_flat", "epsilon", "Gamma"])
def test_layers_and_targets(network, rules):
    """The relevance at every node; a class by name, by number and a contrast, sample by sample."""
    x = samples(network)
    assert_alike(*both(network, x, RULES[rules], ["siren", 0, Contrast(1, 2), "max", Contrast("max", "bark")],
                       layers=True))
    assert_alike(*both(network, x[0], RULES[rules], Contrast("drill", "siren"), layers=True))


@pytest.mark.parametrize("stop", ["sum relu", "stem relu", "left", "left relu", "one", "joined"])
def test_relevance_may_end_in_several_places(stop):
    """At a node that several others read, or partly there and partly at the input: the total is that of all
    of them.
    """
    network = fast_nets.branching()
    exact, fast = both(network, samples(network), "epsilon", stop=stop)
    assert_alike(exact, fast, stop)
    np.testing.assert_allclose(fast.ledger.arrived, exact.ledger.arrived, rtol=1e-4)


def test_the_input_may_have_several_readers():
    rng = np.random.default_rng(71)
    network = Network([("a", fast_nets.scaled(rng, (3, 3), 3, 16), ("input",)),
                       ("b", fast_nets.scaled(rng, (1, 1), 3, 16), ("input",)),
                       ("sum", L.Add(), ("a", "b")), ("relu", L.ReLU()), ("pool", L.GlobalAveragePool2D()),
                       ("out", fast_nets.fully(rng, 16, 3))], (6, 7, 3))
    exact, fast = both(network, np.abs(samples(network)), "preset_a")
    assert_alike(exact, fast)
    np.testing.assert_allclose(fast.ledger.arrived, fast.relevance.sum(axis=(1, 2, 3), dtype=np.float64),
                               rtol=1e-5)


@nets.every_engine
@pytest.mark.parametrize(("options", "message"), [
    ({"stop": "out"}, "stop: relevance begins at node 'out'"),
    ({"start": ("conv2a", 1), "stop": "conv2a"}, "stop: relevance begins at node 'conv2a'"),
    ({"start": ("conv1b", 1), "stop": "conv2b"}, "no relevance reaches node 'conv2b' from 'conv1b'"),
    ({"start": ("conv1b", 1), "keep": {"conv2b": [0]}}, "keep: no relevance reaches 'conv2b' from 'conv1b'"),
    ({"stop": "conv2a", "keep": {"conv1a": [0]}}, "keep: no relevance reaches 'conv1a' from 'out'")])
def test_places_that_relevance_does_not_meet_are_refused(how, options, message):
    network = fast_nets.vgg()
    with pytest.raises(ValueError, match=message):
        lrp_core.explain(network, samples(network), **how, **options)


PLACES = {"deep": ("conv2", "pool1"), "wide": ("conv2", "pool"), "vgg": ("conv2a", "pool1"),
          "branching": ("down", "sum")}


@pytest.mark.parametrize("network, name", [(name, name) for name in NETS], indirect=["network"])
@pytest.mark.parametrize("rules", ["preset_b", "epsilon_plus_flat"])
def test_start_stop_and_keep(network, name, rules):
    """Parts of a network: from an inner channel or neuron, down to an inner node, through some channels only.
    """
    x, (above, below) = samples(network), PLACES[name]
    for options in ({"start": (above, 3)}, {"start": (above, (1, 2, 3))}, {"stop": below},
                    {"keep": {above: [0, 2]}},
                    {"start": (above, 3), "keep": {below: [1]}, "layers": True},
                    {"stop": below, "keep": {above: 1}, "layers": True}):
        assert_alike(*both(network, x, rules, **options), options)


@every_net
@pytest.mark.parametrize("rules", ["preset_a", "relative"])
def test_every_class_at_once_is_one_by_one(network, rules):
    """`explain_each` shares a forward pass, for one sample a backward pass as well; the bits are those of
    `explain`.
    """
    from test_explain import fingerprint
    x, targets = samples(network), [0, 1, 2, Contrast(2, 0), "max"] * 5
    for one in (x[0], x):
        together = lrp_core.explain_each(network, one, RULES[rules], targets, engine="numba", dtype="float32",
                                         layers=True)
        for target, found in zip(targets[:5], together):
            alone = lrp_core.explain(network, one, RULES[rules], target, engine="numba", dtype="float32",
                                     layers=True)
            pairs = [(found, alone)] if one.ndim < x.ndim else [(found[k], alone[k]) for k in range(len(x))]
            assert all(fingerprint(a) == fingerprint(b) for a, b in pairs)
        assert [fingerprint(e, *([] if one.ndim < x.ndim else [0])) for e in together[:5]] == \
            [fingerprint(e, *([] if one.ndim < x.ndim else [0])) for e in together[20:]]


def test_a_gate_of_the_callers_own_rule():
    """A rule with uniform terms (z the same for all samples) and a gate on the output, which each sample has
    of its own.
    """
    from lrp_core.rules import Group, Rule, Term, above_zero, ones

    class GatedSquare(Rule):
        def groups(self, layer):
            return (Group((Term(ones, np.square(layer.kernel)),), gate=above_zero),)

    network, x = fast_nets.vgg(3), nets.inputs(fast_nets.vgg(3), 3, 71)
    assert_alike(*both(network, x, [("conv1b", GatedSquare()), ("*", Epsilon(0.1))]))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("seed", range(4))
def test_silence_and_lines_have_the_same_winners(padding, seed):
    """Maps that are constant, along an axis or all over: a max-pool's first winner is that of double
    precision.
    """
    rng = np.random.default_rng(seed)
    network = Network([("conv", fast_nets.scaled(rng, (3, 3), 16, 16, padding=padding)), ("relu", L.ReLU()),
                       ("pool", L.MaxPool2D(3, 2, "same")),
                       ("mean", L.GlobalAveragePool2D()), ("out", fast_nets.fully(rng, 16, 3))], (11, 12, 16))
    x = np.stack([np.broadcast_to(np.abs(nets.numbers(rng, *shape)), (11, 12, 16))
                  for shape in ((16,), (11, 1, 16), (1, 12, 16))])
    assert_alike(*both(network, x, "preset_a", layers=True), padding)


@every_net
@pytest.mark.parametrize("rules", ["preset_b_flat", "WSquare", "epsilon_plus"])
def test_a_sound_in_silence(network, rules):
    """One loud place, zeros around it that are like the padding: whole regions of equal windows, up to the
    map's edge.
    """
    x = np.zeros((2, *network.input_shape), np.float32)
    x[0, 2:5, 3:5], x[1, :, :3] = 1, np.abs(nets.inputs(network, 1, 73)[0, :, :3])
    assert_alike(*both(network, x, RULES[rules], layers=True), rules)


# --- refusals -------------------------------------------------------------------------------------

@every_net
def test_what_cannot_be_explained(network):
    """NaN, infinity, wrong shapes, options that are none, a bound too small: named, and nothing is left
    after.
    """
    x, before = samples(network), lrp_core.explain(network, samples(network), engine="numba",
                                                   dtype="float32").relevance
    spoilt = x.copy()
    spoilt[1, 0, 0, 0] = np.nan
    for words, error, batch, options in [
            (["NaN", "sample 1"], ValueError, spoilt, {}),
            (["shape", str(network.input_shape)], ValueError, x[:, 1:], {}),
            (["empty"], ValueError, x[:0], {}), (["threads", "0"], ValueError, x, {"threads": 0}),
            (["memory", "MB"], ValueError, x, {"memory": 1000}),
            (["memory"], ValueError, x, {"memory": "much"}), (["cat"], ValueError, x, {"target": "cat"}),
            (["nowhere"], ValueError, x, {"stop": "nowhere"})]:
        with pytest.raises(error) as raised:
            lrp_core.explain(network, batch, engine="numba", dtype="float32", **options)
        assert all(word in str(raised.value) for word in words), raised.value
    np.testing.assert_array_equal(lrp_core.explain(network, x, engine="numba", dtype="float32").relevance,
                                  before)


@pytest.mark.parametrize("threads", [1, 2])
def test_scores_that_overflow_name_the_node(threads):
    network = fast_nets.vgg()
    nodes = [(n.name, L.Conv2D(n.layer.kernel * np.float32(1e25), n.layer.bias, padding="same")
              if n.name in ("conv1b", "conv2a") else n.layer)
             for n in network.nodes]
    with pytest.raises(ValueError, match="'conv2a' overflows"):
        lrp_core.explain(network.replace(nodes=nodes), samples(network), engine="numba", dtype="float32",
                         threads=threads)


def test_a_little_memory_is_enough():
    """The bound is for samples at work: down to one, the bits stay."""
    network, x = fast_nets.vgg(), samples(fast_nets.vgg())
    usual = lrp_core.explain(network, x, "preset_b", engine="numba", dtype="float32").relevance
    for memory in (300_000, 10 ** 6, 10 ** 9):
        np.testing.assert_array_equal(lrp_core.explain(network, x, "preset_b", engine="numba",
                                                       dtype="float32", memory=memory).relevance, usual)


def test_progress_and_an_error_in_it():
    """Counts every sample once; after an exception the next explanation is as before."""
    network, x, seen = fast_nets.vgg(), samples(fast_nets.vgg(), 9), []
    usual = lrp_core.explain(network, x, engine="numba", dtype="float32", threads=2,
                             progress=seen.append).relevance
    assert sum(seen) == 9 and min(seen) > 0
    with pytest.raises(ZeroDivisionError):
        lrp_core.explain(network, x, engine="numba", dtype="float32", threads=2,
                         progress=lambda count: 1 // 0)
    np.testing.assert_array_equal(lrp_core.explain(network, x, engine="numba", dtype="float32").relevance,
                                  usual)


def test_the_profile_names_what_carries_each_layer():
    """Every layer in both directions, its kernel, and NumPy where no kernel fits."""
    network = nets.deep(61)
    rows = lrp_core.profile(network, nets.inputs(network, 2), "epsilon", engine="numba", repeats=1)
    kernels = {(row.name, row.direction): {one.kernel for one in rows
                                           if (one.name, one.direction) == (row.name, row.direction)}
               for row in rows}
    assert "direct" in kernels["conv1", "forward"] and "product" in kernels["hidden", "backward"]
    assert kernels["pool1", "forward"] == {"max pool"} and "max unpool" in kernels["pool1", "backward"]
    assert kernels["pool2", "forward"] == kernels["pool2", "backward"] == {"NumPy"}
    assert all(row.seconds > 0 for row in rows)
    # 2·(places)·(window)·(channels)·(filters) of a 3x3 convolution of 9x7x2 into 4 channels, and of a dense
    # layer
    flops = {(row.name, row.direction): row.flops for row in rows if row.flops}
    assert flops["conv1", "forward"] == 2 * 63 * 9 * 2 * 4 and flops["hidden", "backward"] == 2 * 20 * 8


def test_the_profile_refuses_what_has_no_kernels():
    network = nets.deep(61)
    with pytest.raises(ValueError, match="gradient"):
        lrp_core.profile(network, nets.inputs(network, 1), "gradient")


def test_rare_kernels_are_compiled_only_where_a_program_has_them(monkeypatch):
    """Once for each of the two kinds of programs, however often they run."""
    network = fast_nets.vgg()
    x, prepared = np.abs(samples(network)), []

    def count(compiled, arguments, really=prepare):
        prepared.append(arguments[-2:])
        really(compiled, arguments)
    monkeypatch.setattr("lrp_core.numba_engine.runtime.prepare", count)
    for rules in ("epsilon", "preset_b", "epsilon"):
        lrp_core.explain(network, x, rules, engine="numba", dtype="float32", threads=1)
        lrp_core.explain(network, x, rules, engine="numba", dtype="float32", threads=1)
    assert prepared == [(None, True), (True, True)]


@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_rests_while_kernels_are_compiled(collects):
    """For the types of the call; afterwards it is as it was, also when the compiler fails."""
    class Entry:
        signatures, seen = [], []

        def compile(self, types):
            self.seen.append((types, gc.isenabled()))
            if not self.signatures:
                self.signatures.append(types)
                raise RuntimeError("no memory")
    fake, before = Entry(), gc.isenabled()
    try:
        gc.enable() if collects else gc.disable()
        with pytest.raises(RuntimeError):
            prepare(fake, (1, 2.0))
        assert fake.seen == [((numba.int64, numba.float64), False)] and gc.isenabled() is collects
        prepare(fake, (1, 2.0))
        assert len(fake.seen) == 2 and not fake.seen[1][1] and gc.isenabled() is collects
    finally:
        gc.enable() if before else gc.disable()
    prepare(lambda: None, ())  # where JIT is switched off an entry is a plain function
