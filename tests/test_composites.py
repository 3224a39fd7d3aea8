"""Which layer gets which rule, where networks hold more than convolutions and dense layers: first layers,
pools, sums.
"""
import numpy as np
import pytest

import lrp_core
from lrp_core import Network, first_layer
from lrp_core import layers as L
from lrp_core.composites import composite


def draw(*shape):
    """Weights that are seeded by their shape."""
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def rules_of(network, rules):
    """{node name: the rule it gets}, for layers that mix their inputs."""
    chosen = composite(rules)
    return {node.name: repr(chosen.rule_for(network, node)) for node in network.nodes
            if isinstance(node.layer, (L.Linear, L.Merge, L.LayerNorm))}


# What moves or copies numbers only: the layer after it still reads the input itself.
MOVES = {"permute": L.Permute((3, 1, 2)), "reshape": L.Reshape((3, 6, 4)), "flatten": L.Flatten()}
# What does not: it mixes numbers, changes them, or puts others between them.
OTHERS = {"relu": L.ReLU(), "pool": L.MaxPool2D(2), "average": L.AveragePool2D(2), "scale": L.Scale(0.5),
          "padding": L.ZeroPadding2D(((1, 1), (1, 1))),
          "norm": L.BatchNorm(draw(4), draw(4))}


def after(layer):
    """A dense layer and another one, after `layer`."""
    size = layer.output_shape((6, 3, 4))[-1]
    return Network([("before", layer), ("first", L.Dense(draw(size, 5))), ("flatten", L.Flatten()),
                    ("out", L.Dense(draw(int(np.prod(layer.output_shape((6, 3, 4))[:-1])) * 5, 2)))],
                    (6, 3, 4))


@pytest.mark.parametrize("preset", ["preset_a_flat", "preset_b_flat"])
@pytest.mark.parametrize("name", [*MOVES, *OTHERS])
def test_the_first_layer_reads_the_input_through_moves_only(name, preset):
    network = after({**MOVES, **OTHERS}[name])
    rules = rules_of(network, preset)
    assert rules["first"] == ("Flat()" if name in MOVES
                              else "Epsilon(epsilon=0.1)") and rules["out"] == "Epsilon(epsilon=0.1)"
    assert [node.name for node in network.nodes if first_layer(network, node)] == ["first"] * (name in MOVES)


def test_a_flat_first_layer_behind_a_permutation_spreads_evenly():
    """One output sees all 6 inputs, which a permutation moved: each gets a sixth of the score."""
    network = Network([("permute", L.Permute((2, 1))), ("flatten", L.Flatten()),
                       ("out", L.Dense(draw(6, 2)))], (3, 2))
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    found = lrp_core.explain(network, x, "preset_a_flat", 1)
    np.testing.assert_allclose(found.relevance, np.full((3, 2), found.logits[1] / 6), rtol=1e-6)


POOLS = {"average": ((8, 4), L.AveragePool1D(2)), "global average": ((8, 4), L.GlobalAveragePool1D()),
         "average of a map": ((8, 6, 4), L.AveragePool2D(2)),
         "global average of a map": ((8, 6, 4), L.GlobalAveragePool2D())}
ZENNITS = [name for name in lrp_core.PRESETS if name.startswith(("epsilon_", "excitation"))]


@pytest.mark.parametrize("name", POOLS)
def test_zennits_presets_keep_average_pools_from_dividing_by_nothing(name):
    """zennit's composites give all average pools and sums, of maps and of sequences, LRP-ε with 1e-6;
    iNNvestigate's LRP-0.
    """
    shape, pool = POOLS[name]
    network = Network([("pool", pool), ("sum", L.Add(), ("pool", "pool")), ("flat", L.Flatten()),
                       ("out", L.Dense(draw(int(np.prod(pool.output_shape(shape))), 2)))], shape)
    assert len(ZENNITS) == 6
    for preset in ZENNITS:
        rules = rules_of(network, preset)
        assert rules["pool"] == rules["sum"] == "Epsilon(epsilon=1e-06)", preset
    for preset in set(lrp_core.PRESETS) - set(ZENNITS):
        rules = rules_of(network, preset)
        assert rules["pool"] == rules["sum"] == "Zero()", preset


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_whose_mean_is_nearly_nothing(name):
    """1 and -1 + 4e-6 by turns, z = 2e-6 in each window: ε/(z + ε) = 1/3 of R is absorbed under zennit's
    presets, else nothing.
    """
    shape, pool = POOLS[name]
    x = np.where(np.arange(shape[0]) % 2, 1, -1 + 4e-6).reshape(-1, *[1] * (len(shape) - 1)) * np.ones(shape)
    network = Network([("pool", pool), ("flat", L.Flatten()),
                       ("out", L.Dense(np.ones((int(np.prod(pool.output_shape(shape))), 1), np.float32)))],
                      shape)
    for rules, share in (("epsilon_plus", 1 / 3), ("epsilon", 0)):
        page = lrp_core.explain(network, x, rules, 0).ledger["pool"]
        # x is rounded to float32
        assert page.stabilizer == pytest.approx(share * page.received, rel=0.02, abs=1e-12)


@pytest.mark.parametrize("signal, gate, fixed", [
    (L.ReLU6(), L.Sigmoid(), 1), (L.Clip(0.0, 6.0), L.HardSigmoid(), 1), (L.ReLU(), L.ReLU6(), 1),
    (L.Clip(None, 6.0), L.Clip(0.0, 1.0), 1), (L.ReLU6(), L.ReLU6(), None), (L.Sigmoid(), L.Sigmoid(), None)])
def test_a_clipped_signal_is_no_gate_beside_a_sigmoid(signal, gate, fixed):
    """As of squeeze and excitation on ReLU6; a clip is a gate, a hard sigmoid spelled out, beside none."""
    nodes = [("a", L.Scale(2.0)), ("b", L.Dense(np.eye(3, dtype=np.float32)), ("input",)),
             ("signal", signal, ("a",)), ("gate", gate, ("b",)),
             ("product", L.Multiply(), ("signal", "gate"))]
    network = lrp_core.Network(nodes, (3,))
    rule = lrp_core.composite("epsilon").rules_for(network)[-1]
    assert (rule.operand if fixed is not None else None) == fixed
    assert isinstance(rule, lrp_core.Half if fixed is None else lrp_core.Gate)
