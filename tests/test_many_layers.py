"""Networks of very many layers: planned and explained in time that grows with their number, not with its
square.
"""
import time

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import composites as presets
from lrp_core import layers as L

X = np.float32([[0.1, 0.2, 0.3, 0.4]])
KERNEL = np.eye(4, dtype=np.float32)


def chain(count):
    return [(f"relu{k}", L.ReLU()) for k in range(count)]


def alternating(count):
    return [(f"dense{k}", L.Dense(KERNEL, np.zeros(4, np.float32))) if k % 2 == 0 else (f"relu{k}", L.ReLU())
            for k in range(count)]


def views(count):
    """As many layers that read the input through a chain of reshapes."""
    return [*((f"flat{k}", L.Flatten()) for k in range(count)),
            *((f"dense{k}", L.Dense(KERNEL), (f"flat{count - 1}",)) for k in range(count)),
            ("sum", L.Add(), tuple(f"dense{k}" for k in range(count)))]


def wide(count):
    """One node that all others read, and one that reads all others."""
    return [("first", L.ReLU()), *((f"relu{k}", L.ReLU(), ("first",)) for k in range(count)),
            ("sum", L.Add(), tuple(f"relu{k}" for k in range(count)))]


# Seconds of the processor, about twice what a slow and busy one takes: what used to be quadratic took from
# half a minute to forever.
SHAPES = {"20,000 activations": (chain, 20_000, 15), "2,000 layers and activations": (alternating, 2_000, 10),
          "reshapes": (views, 4_000, 20), "wide": (wide, 15_000, 25)}


@nets.every_engine
@pytest.mark.parametrize("case", SHAPES)
def test_many_layers_take_seconds(case, how):
    make, count, seconds = SHAPES[case]
    # kernels are compiled, or loaded
    lrp_core.explain(lrp_core.Network(make(2), (4,)), X, "preset_a_flat", **how)
    start = time.process_time()
    network = lrp_core.Network(make(count), (4,))
    e = lrp_core.explain(network, X, "preset_a_flat", **how)
    str(e.ledger), network.summary(), network[network.nodes[-1].name]
    assert time.process_time() - start < seconds
    assert np.isfinite(e.relevance).all()


def test_conditions_are_what_they_say():
    """Firsts and lasts, asked of each node, as their definitions have them."""
    network = lrp_core.Network([
        ("flat", L.Flatten()), ("a", L.Dense(KERNEL)),
        ("norm", L.BatchNorm(np.ones(4, np.float32), np.zeros(4, np.float32)), ("input",)),
        ("b", L.Dense(KERNEL), ("norm",)), ("relu", L.ReLU(), ("a",)), ("sum", L.Add(), ("relu", "b")),
        ("shape", L.Reshape((2, 2))),
        ("turned", L.Permute((2, 1))), ("c", L.Conv1D(np.ones((1, 2, 2), np.float32))), ("end", L.Flatten())],
        (4,))
    def holds(condition):
        return [node.name for node in network.nodes if condition(network, node)]
    assert holds(presets.first_layer) == ["a"]  # BatchNorm has no rule of its own, and "b" reads it
    assert holds(presets.first_with_weights) == ["a"] and holds(presets.last_with_weights) == ["c"]
    assert holds(presets.first_convolution) == ["c"] and holds(presets.up_to("b")) == [
        "flat",
        "a",
        "norm",
        "b",
    ]
    for condition in (presets.first_with_weights, presets.first_convolution, presets.first_layer):
        assert not any(condition(other, node) for other in [lrp_core.Network(chain(3), (4,))]
                       for node in other.nodes)


def test_ten_thousand_onnx_nodes_of_one_name(tmp_path):
    m = pytest.importorskip("onnx_models")
    nodes = [m.node("Relu", f"v{k}" if k else "x", f"v{k + 1}" if k < 9999 else "y", name="same")
             for k in range(10_000)]
    path = m.save(tmp_path, m.make(nodes, {}, (4,)))
    start = time.process_time()
    network = lrp_core.from_onnx(path)
    assert time.process_time() - start < 5
    assert [node.name for node in network.nodes[:3]] == ["same", "same_2",
                                                         "same_3"] and len(network.positions) == 10_000


def test_many_readers_of_one_onnx_value(tmp_path):
    """Patterns are joined one after the other, each time in a value's list of readers."""
    m = pytest.importorskip("onnx_models")
    count = 10_000
    nodes = [one for k in range(count) for one in (m.node("Sigmoid", "x", f"s{k}"),
                                                   m.node("Mul", f"x s{k}", f"p{k}"))]
    path = m.save(tmp_path, m.make([*nodes, m.node("Sum", " ".join(f"p{k}" for k in range(count)))], {},
                                   (4,)))
    start = time.process_time()
    assert len(lrp_core.from_onnx(path).nodes) == count + 1
    assert time.process_time() - start < 5


def test_batch_norms_fold_in_linear_time_and_as_before():
    """600 pairs, and chains in which one fold makes the next possible: each against its definition, the
    logits.
    """
    rng = np.random.default_rng(0)

    def norm():
        return L.BatchNorm(rng.uniform(0.5, 1.5, 2).astype(np.float32),
                           rng.standard_normal(2).astype(np.float32))

    def conv():
        return L.Conv2D((np.eye(2) + 0.01 * rng.standard_normal((1, 1, 2, 2))).astype(np.float32))
    nodes = [one for k in range(600) for one in ((f"conv{k}", conv()), (f"norm{k}", norm()))]
    network = lrp_core.Network([*nodes, ("mean", L.GlobalAveragePool2D())], (3, 3, 2))
    start = time.process_time()
    folded = lrp_core.fold_batch_norm(network)
    assert time.process_time() - start < 3
    assert [node.name for node in folded.nodes] == [*(f"conv{k}" for k in range(600)), "mean"]
    row = [("n1", norm()), ("n2", norm()), ("c1", conv()), ("n3", norm()), ("n4", norm()), ("relu", L.ReLU()),
           ("n5", norm()),
           ("sum", L.Add(), ("n5", "relu")), ("n6", norm()), ("n7", norm()),
           ("mean", L.GlobalAveragePool2D()), ("n8", norm())]
    network = lrp_core.Network(row, (3, 3, 2))
    folded = lrp_core.fold_batch_norm(network)
    # n2 goes into n1, which goes into c1; n5 has a reader that is no layer with weights; n7 goes into n6,
    # which stays.
    assert [(node.name, node.inputs) for node in folded.nodes] == [
        ("c1", ("input",)), ("relu", ("c1",)), ("n5", ("relu",)), ("sum", ("n5", "relu")), ("n6", ("sum",)),
        ("mean", ("n6",)), ("n8", ("mean",))]
    x = rng.standard_normal((5, 3, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(folded.logits(x), network.logits(x), rtol=1e-4, atol=1e-4)
