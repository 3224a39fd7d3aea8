"""What one unit got from each unit above and gave to each below: against loops over single numbers, and
against passes with relevance at one unit at a time, for every kind of layer.
"""

import naive
import nets
import numpy as np
import pytest
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
    Microscope,
    Network,
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
    """For units of each input of a node; downward, of all units at once. outside: is there no transpose for
    it, so that flow is asked?
    """
    x = products.apart(5, *network.input_shape)
    e = lrp_core.explain(network, x, rules, 1, layers=True, **how)
    step, table = by_passes(network, rules, e, name)
    scope, r = Microscope(e), np.float64(e.layers[name])
    together = scope.spread(name, np.eye(r.size).reshape(-1, *r.shape) * r, ends=step.node.inputs)
    for source in dict.fromkeys(step.node.inputs):
        numbers = [k for k, read in enumerate(step.node.inputs) if read == source]
        wanted = sum(np.stack([row[k] for row in table]) for k in numbers)
        np.testing.assert_allclose(together[source], wanted, rtol=0, atol=bar * np.abs(wanted).max())
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
