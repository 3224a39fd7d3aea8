"""What one unit got from each unit above and gave to each below: against loops over single numbers, and
against passes with relevance at one unit at a time, for every kind of layer.
"""
import dataclasses

import naive
import nets
import numpy as np
import pytest
import test_open_door as strangers
import test_products as products
import test_recurrent as recurrent

import lrp_core
from lrp_core import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gate,
    Half,
    Messages,
    Microscope,
    Network,
    Rule,
    WSquare,
    Zero,
    ZPlus,
    messages,
    transposed,
)
from lrp_core import layers as L
from lrp_core.steps import plan

RULES = [Zero(), Epsilon(0.1), Flat(), WSquare(), Gamma(0.25), ZPlus(), AlphaBeta(2, 1, "split"),
         AlphaBeta(2, 1, "ignore"), AlphaBeta(1, 0, "whole")]
ALL = slice(None)


def explained(network, rules="epsilon", *, seed=0, **how):
    return lrp_core.explain(network, nets.inputs(network, 1, seed)[0], rules, layers=True, **how)


def adds_up(m, bar=1e-9):
    """Both sums, written out."""
    received = sum(float(r.sum()) for r in m.received.values())
    given = sum(float(r.sum()) for r in m.given.values())
    scale = m.turnover + abs(m.relevance)
    assert abs(m.began + received - m.dropped - m.relevance) <= bar * scale
    assert abs(given + sum(m.absorbed.values()) + m.stays - m.relevance) <= bar * scale
    assert m.residual <= bar * scale and m.got == pytest.approx(received) and m.gave == pytest.approx(given)


# ---- loops over single numbers

def by_loops(layer, rule, x, r):
    """{(unit above, unit below): R_{i<-j}} of one layer, and what each unit above gave to no one below."""
    found, kept = {}, {}
    for unit in naive.units(layer, x.shape):
        book = naive.Book()
        for i, part in naive.share(rule, unit, x, float(r[unit.index]), book).items():
            found[unit.index, i] = found.get((unit.index, i), 0.0) + part
        kept[unit.index] = book.bias, book.stabilizer, book.gated
    return found, kept


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("make", [nets.two_dense, nets.one_conv, nets.deep])
def test_messages_are_those_of_the_formulas(make, rule):
    """Dense layers and convolutions, at every unit above and below them; what is kept, column by column."""
    network = make(3)
    e = explained(network, rule)
    values, scope = naive.trace(network, nets.inputs(network, 1)[0]), Microscope(e)
    for node in network.nodes:
        if not isinstance(node.layer, (L.Dense, L.Conv2D)):
            continue
        (source,) = node.inputs
        found, kept = by_loops(node.layer, rule, values[source], e.layers[node.name])
        scale = 1e-10 * max(map(abs, found.values()))
        for j in list(np.ndindex(network.shapes[node.name]))[::5]:
            m = scope.messages(node.name, j)
            wanted = np.zeros(network.shapes[source])
            for (above, i), part in found.items():
                wanted[i] += part * (above == j)
            np.testing.assert_allclose(m.given[source], wanted, rtol=1e-9, atol=scale)
            np.testing.assert_allclose([m.absorbed[name] for name in ("bias", "stabilizer", "gated")],
                                       kept[j], rtol=1e-9, atol=scale)
        for i in list(np.ndindex(network.shapes[source]))[::5]:
            wanted = np.zeros(network.shapes[node.name])
            for (j, below), part in found.items():
                wanted[j] += part * (below == i)
            m = scope.messages(source, i)
            np.testing.assert_allclose(m.received[node.name], wanted, rtol=1e-9, atol=scale)
            adds_up(m)


def test_a_sum_of_two_units_by_hand():
    """z = 2·1 + 3·1 + 1 = 6: of R = 6, 2 and 3 go down, 1 to the bias."""
    network = Network([("out", L.Dense(np.ones((2, 1)), np.ones(1)))], (2,))
    e = lrp_core.explain(network, [2.0, 3.0], Zero(), 0, layers=True)
    m = messages(e, "out", 0)
    assert (m.relevance, m.began, m.stays, m.received) == (6, 6, 0, {})
    np.testing.assert_allclose(m.given["input"], [2, 3])
    assert m.absorbed["bias"] == pytest.approx(1) and m.kept == pytest.approx(1)
    below = messages(e, "input", 1)
    assert (below.relevance, below.stays, below.given) == (pytest.approx(3), pytest.approx(3), {})
    np.testing.assert_allclose(below.received["out"], [3])


# ---- passes with relevance at one unit at a time

def by_passes(network, rules, e, name):
    """(Step, [what flow does with the relevance of one unit: an array for each input]) of a node."""
    step = plan(network.scoring, lrp_core.composite(rules).rules_for(network.scoring))[
        network.scoring.positions[name]]
    trace = network.scoring.forward(e.asked.x.astype(np.float64))
    r = np.float64(e.layers[name])[None]
    units = np.eye(r.size).reshape(-1, *r.shape)
    return step, [[moved[0] for moved in step.back(trace, unit * r)[0]] for unit in units]


def same_as_passes(network, rules, name="node", bar=1e-9, most=12, outside=False, **how):
    """For units of each input of a node. outside: is there no transpose for it, so that flow is asked?"""
    x = products.apart(5, *network.input_shape)
    e = lrp_core.explain(network, x, rules, 1, layers=True, **how)
    step, table = by_passes(network, rules, e, name)
    scope = Microscope(e)
    for source in dict.fromkeys(step.node.inputs):
        numbers = [k for k, read in enumerate(step.node.inputs) if read == source]
        wanted = sum(np.stack([row[k] for row in table]) for k in numbers)
        every = list(np.ndindex(network.scoring.shapes[source]))
        for i in every[::max(1, len(every) // most)]:
            m = scope.messages(source, i)
            scale = bar * max(np.abs(wanted).max(), 1e-300)
            np.testing.assert_allclose(m.received[name].ravel(), wanted[(ALL, *i)], rtol=0, atol=scale)
            mask = scope.place(source, i)[1]
            at_once = transposed.at_once(step, scope.trace, [
                mask if read == source else np.zeros((1, *network.scoring.shapes[read]))
                for read in step.node.inputs])
            assert (at_once is None) or not outside
            if not outside:
                np.testing.assert_allclose((at_once * scope.relevance[name]).ravel(), wanted[(ALL, *i)],
                                           rtol=0, atol=scale)
            adds_up(m)
    return e


KINDS = [(name, rule) for name, case in products.CASES.items()
         for rule in ([Gate(0), Gate(1), Half()] if isinstance(case[0], L.Product) else [None])]


@pytest.mark.parametrize("name, rule", KINDS, ids=str)
def test_every_kind_of_layer(name, rule):
    layer, shapes, _, _ = products.CASES[name]
    rules = "epsilon" if rule is None else [("node", rule), ("*", Epsilon(1e-7))]
    same_as_passes(products.around(layer, shapes), rules)


def maps(*layers):
    """A network of layers on a map of 6 x 5 x 2, the last of them called "node"."""
    names = [f"layer{k}" for k in range(len(layers) - 1)] + ["node"]
    size = [(6, 5, 2)]
    for layer in layers:
        size.append(layer.output_shape(size[-1]))
    kernel = np.random.default_rng(3).normal(size=(int(np.prod(size[-1])), 3))
    return Network([*zip(names, layers), ("flat", L.Flatten()), ("out", L.Dense(kernel))], (6, 5, 2))


RNG = np.random.default_rng(4)
ON_MAPS = [
    (L.MaxPool2D((3, 3), (2, 2), "same"),), (L.MaxPool2D((2, 2), (1, 1)),), (L.AveragePool2D((2, 2)),),
    (L.GlobalMaxPool2D(),), (L.GlobalAveragePool2D(),), (L.UpSampling2D((2, 1)),),
    (L.Reshape((30, 2)), L.MaxPool1D(3, 2)), (L.Reshape((30, 2)), L.GlobalMaxPool1D()),
    (L.Reshape((30, 2)), L.Conv1D(nets.numbers(RNG, 3, 2, 4), nets.numbers(RNG, 4), 2)),
    (L.Conv2D(nets.numbers(RNG, 3, 3, 1, 4), None, (2, 1), "same", groups=2),),
    (L.DepthwiseConv2D(nets.numbers(RNG, 3, 3, 2, 2), nets.numbers(RNG, 4)),),
    (L.Conv2DTranspose(nets.numbers(RNG, 3, 3, 4, 2), nets.numbers(RNG, 4), (2, 2), "same"),),
    (L.BatchNorm(nets.numbers(RNG, 2), nets.numbers(RNG, 2)),), (L.Permute((2, 1, 3)),),
    (L.Cropping2D(((1, 1), (0, 2))),), (L.ReLU(),), (L.GELU(),), (L.Dropout(0.5),),
    (L.ZeroPadding2D(((1, 0), (0, 2))), nets.conv(RNG, (3, 3), 2, 4)),
    (L.Tanh(),)]


@pytest.mark.parametrize("layers", ON_MAPS, ids=lambda layers: layers[-1].type)
@pytest.mark.parametrize("rules", ["epsilon", "preset_b"])
def test_every_kind_of_layer_on_maps(layers, rules):
    same_as_passes(maps(*layers), rules)


def test_padding_that_a_rule_gives_relevance_keeps_it():
    """Flat spreads relevance over the zeros too: the padding has messages, and what is gated is said."""
    network = maps(L.ZeroPadding2D(((1, 1), (1, 1))), nets.conv(RNG, (3, 3), 2, 4, padding="valid"))
    scope = Microscope(explained(network, Flat()))
    m = scope.messages("layer0", (0, 0, 0))
    adds_up(m)
    assert abs(m.absorbed["gated"]) > 0 and not m.given["input"].any()
    assert m.absorbed["gated"] == pytest.approx(m.relevance)
    adds_up(scope.messages("input", (2, 2, 1)))


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_recurrent_layers(kind):
    """Through time: a step receives from all later ones; the state that a layer begins with keeps a share."""
    network = recurrent.read(recurrent.make(kind))
    e = same_as_passes(network, [("rnn", Epsilon(0.01)), ("*", Epsilon(0.01))], name="rnn",
                       outside=True)
    m = messages(e, "rnn", (0, 1))
    adds_up(m)
    assert m.absorbed["state"] != 0
    earlier = messages(e, "input", (3, 0)).received["rnn"][:3]
    assert not earlier.any(), "no message goes back in time"


def merged():
    """A map that is read three times: by an Add that reads it twice, by a Subtract, by a Concatenate."""
    rng = np.random.default_rng(2)
    return Network([
        ("conv", nets.conv(rng, (3, 3), 2, 4)), ("relu", L.ReLU()), ("twice", L.Add(), ("relu", "relu")),
        ("minus", L.Subtract(), ("twice", "conv")), ("beside", L.Concatenate(), ("minus", "relu", "relu")),
        ("pool", L.MaxPool2D(2)), ("flat", L.Flatten()), ("out", nets.dense(rng, 108, 3))], (6, 6, 2),
        class_names=nets.CLASSES)


@nets.every_engine
@pytest.mark.parametrize("make", [nets.two_dense, nets.one_conv, nets.deep, lambda seed: merged()],
                         ids=["two_dense", "one_conv", "deep", "merged"])
def test_everything_adds_up_on_every_engine(make, how):
    """At every node of an explanation, for units and channels; routes carry a unit's relevance whole."""
    network = make(5)
    e = explained(network, "preset_b", **how)
    scope, bar = Microscope(e), 1e-9 if how["dtype"] == "float64" else 1e-4
    top = network.nodes[-1].name
    for name, r in e.layers.items():
        strongest = np.unravel_index(np.abs(r).argmax(), r.shape)
        for unit in (tuple(map(int, strongest)), int(strongest[-1])):
            m = scope.messages(name, unit)
            adds_up(m, bar)
            channel = r[..., unit] if isinstance(unit, int) else r[unit]
            assert m.relevance == pytest.approx(np.sum(channel, dtype=np.float64))
            route = scope.route(name, unit)
            scale = bar * max(np.abs(e.layers[top]).max(), np.abs(r).sum())
            if name != top:
                assert abs(route.above[top].sum() - m.relevance) <= scale
            for above, share in m.received.items():
                if len(m.received) == 1:
                    np.testing.assert_allclose(route.above[above], share, atol=scale)


@pytest.mark.parametrize("make", [nets.deep, lambda seed: merged()], ids=["deep", "merged"])
def test_routes_of_all_channels_of_a_cut_are_the_explanation(make):
    """Relevance goes through some channel of a layer that all of it crosses: the parts sum to the map."""
    network = make(6)
    e = explained(network, "epsilon")
    scope = Microscope(e)
    node = "relu2" if "relu2" in network.positions else "pool"
    channels = network.shapes[node][-1]
    below = sum(scope.route(node, c).below["input"] for c in range(channels))
    np.testing.assert_allclose(below, e.relevance, atol=1e-10 * np.abs(e.relevance).max())
    kept = lrp_core.explain(network, e.asked.x[0], "epsilon", keep={node: [1]}).relevance
    np.testing.assert_allclose(scope.route(node, 1).below["input"], kept, atol=1e-10 * np.abs(kept).max())


def test_a_route_upward_is_what_one_unit_above_sends_down():
    """Σ over the path: the share of a unit above, by a pass from it alone."""
    network = nets.deep(7)
    scope = Microscope(explained(network, "preset_b"))
    route = scope.route("pool1", (2, 1, 3))
    for name in ("relu2", "hidden"):
        r = scope.relevance[name]
        for j in list(np.ndindex(r.shape[1:]))[::3]:
            alone = np.zeros_like(r)
            alone[(0, *j)] = r[(0, *j)]
            arrived = scope.spread(name, alone).get("pool1", np.zeros((1, 5, 4, 4)))[0, 2, 1, 3]
            assert route.above[name][j] == pytest.approx(arrived, abs=1e-10 * np.abs(r).max())


# ---- what is asked

def test_samples_of_a_batch():
    network = nets.deep(1)
    x = nets.inputs(network, 3)
    batch = lrp_core.explain(network, x, "epsilon", [0, 1, 2], layers=True)
    for k in range(3):
        alone = lrp_core.explain(network, x[k], "epsilon", k, layers=True)
        one, other = messages(batch[k], "conv2", (1, 1, 2)), messages(alone, "conv2", (1, 1, 2))
        np.testing.assert_array_equal(one.given["pool1"], other.given["pool1"])
        np.testing.assert_array_equal(one.received["relu2"], other.received["relu2"])
    with pytest.raises(ValueError, match=r"of a batch: index it, as in `e\[0\]`"):
        messages(batch, "conv2", 0)
    each = lrp_core.explain_each(network, x[0], "epsilon", [0, 1], layers=True)
    assert messages(each[1], "out", 1).began == pytest.approx(float(each[1].logits[1]), rel=1e-6)


def test_channels_and_pixels_sum_their_units():
    network = nets.one_conv(2)
    scope = Microscope(explained(network))
    channel, pixel = scope.messages("conv", 1), scope.messages("conv", (0, 2))
    assert (channel.unit, pixel.unit) == ((ALL, ALL, 1), (0, 2, ALL))
    assert channel.name == "conv[:, :, 1]" and pixel.is_channel and not scope.messages("conv",
                                                                                       (0, 2, 1)).is_channel
    units = [scope.messages("conv", (i, j, 1)) for i in range(3) for j in range(3)]
    np.testing.assert_allclose(channel.given["input"], sum(u.given["input"] for u in units), atol=1e-12)
    np.testing.assert_allclose(channel.received["flatten"], sum(u.received["flatten"] for u in units),
                               atol=1e-12)
    np.testing.assert_allclose(channel.by_channel("given")["input"],
                               channel.given["input"].sum(axis=(0, 1)), atol=1e-12)


def test_explanations_that_start_stop_and_keep():
    network, x = nets.deep(2), nets.inputs(nets.deep(2), 1)[0]
    inner = lrp_core.explain(network, x, "epsilon", start=("conv2", 1), stop="pool1", layers=True)
    assert messages(inner, "conv2", 1).began == pytest.approx(messages(inner, "conv2", 1).relevance)
    assert not messages(inner, "conv2", 0).relevance
    end = messages(inner, "pool1", (2, 2, 1))
    assert end.stays == end.relevance and not end.given
    adds_up(end)
    adds_up(messages(inner, "conv2", (1, 2, 1)))
    for name in ("out", "relu1", "input"):
        with pytest.raises(ValueError, match=f"no relevance reaches node '{name}' from 'conv2' down to "
                                             "'pool1'"):
            messages(inner, name, 0)
    kept = lrp_core.explain(network, x, "epsilon", keep={"relu2": [1, 2]}, layers=True)
    whole = explained(network, "epsilon")
    alive = next(c for c in (0, 3, 4) if whole.layers["relu2"][..., c].any())
    off, on = messages(kept, "relu2", alive), messages(kept, "relu2", 1)
    assert off.got == pytest.approx(whole.layers["relu2"][..., alive].sum())
    assert off.relevance == 0 and off.dropped == pytest.approx(off.got) and off.got != 0 and on.dropped == 0
    for m in (off, on, messages(kept, "pool1", (1, 1, 1)), messages(kept, "pool2", 2)):
        adds_up(m)
    top = Microscope(kept).route("conv1", 2)
    assert top.above["out"].sum() == pytest.approx(top.relevance, abs=1e-9)
    assert top.above["relu2"].any() and not top.above["relu2"][..., alive].any()


def test_it_reads_well():
    network = nets.two_dense(3)
    m = messages(explained(network, Epsilon(0.5), target="siren"), "hidden", 2)
    assert repr(m).startswith("<messages of hidden[2]: relevance ") and len(repr(m)) < 110
    assert isinstance(m, Messages) and str(m) == m.table()
    lines = m.table(top=2).splitlines()
    assert [line.split()[0] for line in lines if line[0] != "-"][1:] == [
        "from", "unit", "to", "to", "to", "kept", "kept"]
    assert "4 more" in m.table(top=2) and "100.0%" in lines[3]
    strongest = m.strongest("given", 1)
    k = int(np.abs(m.given["input"]).argmax())
    assert strongest == [("input", (k,), pytest.approx(m.given["input"][k]))]
    with pytest.raises(ValueError, match="side must be 'received' or 'given'"):
        m.strongest("taken")


@pytest.mark.parametrize("node, unit, words", [
    ("nowhere", 0, "no node is named 'nowhere'; there are input, conv"), ("conv", 3, "there is no unit 3"),
    ("conv", -1, "no unit -1"), ("conv", (3, 0, 0), r"node 'conv' has the shape \(3, 3, 3\)"),
    ("conv", (0, 0, 0, 0), "no unit"), ("conv", True, "no unit True"), ("conv", 1.0, "no unit"),
    ("conv", (0, slice(1, 2), 0), "no unit"), ("conv", "1", "give a channel's number"),
    ("flatten", 27, r"shape \(27,\)")])
def test_units_that_are_not_there(node, unit, words):
    with pytest.raises(ValueError, match=words):
        messages(explained(nets.one_conv(1)), node, unit)


def test_explanations_that_cannot_be_looked_into(tmp_path):
    network, x = nets.one_conv(1), nets.inputs(nets.one_conv(1), 1)[0]
    with pytest.raises(ValueError, match=r"make it with lrp_core.explain\(..., layers=True\)"):
        messages(lrp_core.explain(network, x), "conv", 0)
    with pytest.raises(ValueError, match="not of gradients: 'gradient'"):
        messages(lrp_core.explain(network, x, "gradient", layers=True), "conv", 0)
    e = lrp_core.explain(network, x, layers=True)
    below = Network([("all", L.Scale(2.0))], network.input_shape)
    with pytest.raises(ValueError, match="one that was loaded or extended does not"):
        messages(lrp_core.extend(e, below, x / 2), "conv", 0)
    assert "asked" not in repr(e)
    e.save(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as saved:
        assert not [name for name in saved if "asked" in name]


# ---- layers and rules from outside

@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Positive(Rule):
    """Not linear: relevance below zero is kept."""

    def through(self, layer, x, y, r):
        return np.maximum(r, 0) @ np.ones((r.shape[1], x.shape[1])) / x.shape[1]


@pytest.mark.parametrize("name", ["gated", "sums", "pool"])
def test_layers_from_outside(name):
    same_as_passes(strangers.with_strangers(), "epsilon", name=name, outside=name != "pool")


@pytest.mark.parametrize("kind", [strangers.Capped, strangers.Rectified, strangers.Doubled])
def test_subclasses(kind):
    name = "relu" if kind is strangers.Capped else "hidden"
    same_as_passes(strangers.with_subclass(kind), "preset_b", name=name)


def test_rules_from_outside():
    rules = [("hidden", strangers.Half()), ("*", Zero())]
    e = same_as_passes(nets.two_dense(3, bias=False), rules, name="hidden", outside=True)
    m = messages(e, "hidden", 1)
    assert m.absorbed["by_rule"] == pytest.approx(m.relevance / 2)
    network = nets.two_dense(2, bias=False)
    mixed = explained(network, [("hidden", Positive()), ("*", Zero())])
    assert mixed.layers["hidden"].min() < 0 < mixed.layers["hidden"].max()
    with pytest.raises(ValueError, match=r"layer 'hidden': Positive\(\) is not linear in the relevance"):
        messages(mixed, "input", 1)


def test_a_function_registered_over_ours_is_asked_itself():
    usual = lrp_core.flow.registry[L.WinnerTakesAll]
    try:
        @lrp_core.flow.register(L.MaxPool2D)
        def evenly(layer, rule, xs, y, r, book):
            window = L.AveragePool2D(layer.pool_size, layer.strides, layer.padding)
            return [window.adjoint(r, None, xs[0].shape[1:])]
        same_as_passes(maps(L.MaxPool2D((2, 2))), "epsilon", outside=True)
    finally:
        lrp_core.flow.register(L.MaxPool2D, usual)
