"""The compiled engine's passes, each by itself: facts, lowering, lifetimes and places, bounds."""
import collections

import fast_nets
import nets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_open_door import Capped, Half, with_strangers

import lrp_core
from lrp_core import Flat, Network
from lrp_core import layers as L
from lrp_core.composites import composite
from lrp_core.numba_engine import facts, support
from lrp_core.numba_engine.check import ProgramError, check
from lrp_core.numba_engine.interpreter import OP
from lrp_core.numba_engine.kernels.op import FIELDS, KINDS, kind_of
from lrp_core.numba_engine.lower import lower
from lrp_core.numba_engine.memory import FreeList, lay_out, lifetimes, place
from lrp_core.steps import plan


def steps_of(network, rules):
    """{node name: Step} for the scores of a network."""
    scored = network.scoring
    return scored, {step.node.name: step for step in plan(scored, composite(rules).rules_for(scored))}


def lowered(network, rules, dtype="float64", nonnegative=False, **options):
    """The Lowered of a network under some rules."""
    scored, steps = steps_of(network, rules)
    known = facts.find(scored, steps, dtype=dtype, nonnegative=nonnegative, start=options.get("start"),
                       keep=options.get("keep", ()))
    return lower(scored, steps, known, dtype=dtype, **options)


def chain(*layers):
    """A network of layers one after the other, each named by its type and number."""
    return Network([(f"{layer.type}{number}", layer) for number, layer in enumerate(layers)], (4, 4, 16))


RNG = np.random.default_rng(0)


def conv():
    return nets.conv(RNG, (3, 3), 16, 16)


# ---- facts

def test_what_cannot_be_negative():
    network = Network([
        ("relu", L.ReLU()), ("pool", L.MaxPool2D(2)), ("flat", L.Flatten()), ("capped", Capped()),
        ("double", L.Add(), ("flat", "flat")),
        ("less", L.Subtract(), ("flat", "flat")), ("mean", L.AveragePool2D(2), ("relu",)),
        ("flat2", L.Flatten()),
        ("out", nets.dense(RNG, 64, 2), ("less",))], (4, 4, 16))
    for of_input in (False, True):
        found = facts.nonnegative_nodes(network, of_input)
        assert found == {"relu", "pool", "flat", "double", "mean", "flat2"} | ({"input"} if of_input
                                                                               else set())


@pytest.mark.parametrize("rules, fused", [("epsilon", True), ("preset_b", True), ("WSquare", False)])
def test_a_relu_is_fused_where_no_relevance_arrives_at_zeros(rules, fused):
    """LRP-0 and αβ give nothing to an input that is zero; w² does, so that z must be kept as it was."""
    from lrp_core import WSquare
    network = chain(conv(), L.ReLU(), conv(), L.ReLU(), L.Flatten(), nets.dense(RNG, 256, 3))
    scored, steps = steps_of(network, WSquare() if rules == "WSquare" else rules)
    found = facts.find(scored, steps, dtype="float64", nonnegative=False)
    assert dict(found.fused) == ({"Conv2D0": "ReLU1", "Conv2D2": "ReLU3"} if fused else {})
    assert ("ReLU1" in found.vanishing) == fused and "Conv2D0" in found.carried
    assert ("yes" in str(found)) and "ReLU1" in str(found)


@pytest.mark.parametrize("change", ["keep", "start", "read twice", "capped", "through"])
def test_what_forbids_to_fuse(change):
    after = L.ReLU() if change != "capped" else Capped()
    nodes = [("conv", conv()), ("relu", after), ("conv2", conv()), ("flat", L.Flatten()),
             ("out", nets.dense(RNG, 256, 3))]
    if change == "read twice":
        nodes[2:3] = [("conv2", conv(), ("relu",)), ("sum", L.Add(), ("conv2", "conv"))]
    network = Network(nodes, (4, 4, 16))
    scored, steps = steps_of(network, [("conv", Half()), ("*", composite("epsilon").pairs[0][1])]
                             if change == "through" else "epsilon")
    options = {"keep": ("conv",)} if change == "keep" else {"start": "conv"} if change == "start" else {}
    assert "conv" not in facts.find(scored, steps, dtype="float64", nonnegative=False, **options).fused


def test_which_node_shows_that_few_units_carry_relevance():
    network = chain(conv(), L.ReLU(), conv(), L.ReLU(), L.MaxPool2D(2), L.Flatten(), nets.dense(RNG, 64, 3))
    scored, steps = steps_of(network, "epsilon")
    assert dict(facts.find(scored, steps, dtype="float64",
                           nonnegative=False).sparse) == {"Conv2D0": "ReLU1", "Conv2D2": "MaxPool2D4"}


# ---- lowering

def test_a_small_network_is_lowered_as_on_paper():
    """conv -> relu -> flatten -> dense by LRP-ε, in double precision: what is done, and in which order."""
    low = lowered(chain(conv(), L.ReLU(), L.Flatten(), nets.dense(RNG, 256, 3)), "epsilon")
    names = [(op.node, kind_of(op.kernel).name) for op in low.ops]
    assert names == [
        ("Conv2D0", "winograd F(4x4)"), ("Dense3", "product"),
        ("Dense3", "start"), ("Dense3", "ratio"), ("Dense3", "product"), ("Dense3", "multiply"),
        ("Conv2D0", "sparsity"), ("Conv2D0", "ratio"), ("Conv2D0", "sparse adjoint"),
        ("Conv2D0", "winograd F(4x4)"), ("Conv2D0", "sum")]
    assert [op.backward for op in low.ops] == [False] * 2 + [True] * 9
    assert [line.name for line in low.lines] == ["Dense3", "Flatten2", "ReLU1", "Conv2D0"]
    conv_out = low.outputs["Conv2D0"]
    assert low.outputs["ReLU1"] == low.outputs["Flatten2"] == conv_out, (
        "the ReLU is fused, the rest are views")
    assert low.ops[0].fields["rectify"] == 1 and low.ops[7].fields["z"] == conv_out
    assert "ratio" in str(low) and f"#{conv_out}: 256 numbers" in str(low)


def test_single_precision_repairs_ties():
    names = [kind_of(op.kernel).name for op in lowered(chain(conv(), L.Flatten(), nets.dense(RNG, 256, 3)),
                                                       "epsilon", "float32").ops]
    assert names.count("ties") == 2


# ---- lifetimes and places

NETWORKS = {"vgg": fast_nets.vgg, "branching": fast_nets.branching, "deep": lambda: nets.deep(1),
            "wide": nets.wide, "strangers": with_strangers}


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("rules", ["epsilon", "preset_b", "preset_a_flat", "epsilon_gamma_box"])
@pytest.mark.parametrize("name", NETWORKS)
def test_buffers_that_are_needed_at_once_do_not_overlap(name, rules, layers):
    low = lowered(NETWORKS[name](), rules, "float32", layers=layers)
    life, layout = lifetimes(low), lay_out(low)
    at_work = [(number, span) for number, span in enumerate(life) if span]
    assert {number for number, _ in at_work} >= {number for moment in low.touched for number in moment}
    for number, (first, last) in at_work:
        begin, end = layout.positions[number], layout.positions[number] + low.sizes[number]
        assert 0 <= begin <= end <= layout.size
        for other, (a, b) in at_work:
            if other != number and first <= b and a <= last:
                start, stop = layout.positions[other], layout.positions[other] + low.sizes[other]
                assert end <= start or stop <= begin, (number, other)
    # What the forward pass leaves for the backward one, and what is read at the end, stays to the end.
    for number, (first, last) in at_work:
        touched = [moment for moment, buffers in enumerate(low.touched) if number in buffers]
        assert (first, max(touched)) == (touched[0], touched[-1]) and last >= touched[-1]
        if number in low.held or touched[0] < low.turn <= touched[-1]:
            assert last == len(low.touched)
    assert layout.size < sum(low.sizes) or layers


def test_memory_is_reused():
    """Twice as deep a network takes little more than its own outputs: what relevance needs in between is
    given back.
    """
    def depth(count):
        return chain(*[layer for _ in range(count) for layer in (conv(), L.ReLU())], L.Flatten(),
                     nets.dense(RNG, 256, 3))
    sizes = [lay_out(lowered(depth(count), "epsilon")).size for count in (4, 8)]
    assert sizes[1] - sizes[0] <= 4 * (256 + 16)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_free_list_gives_no_place_twice(requests):
    free, taken = FreeList(), collections.deque()
    for count, returned in requests:
        position = free.take(count)
        assert all(position + count <= at or at + size <= position for at, size in taken)
        assert position + count <= free.size
        taken.append((position, count))
        for _ in range(min(returned, len(taken))):
            free.give_back(*taken.popleft())


# ---- records and bounds

def test_an_op_has_one_number_for_each_field():
    low = lowered(fast_nets.vgg(), "preset_b", "float32")
    layout = lay_out(low)
    records = place(low.ops, layout.positions, OP)
    assert records.dtype.names == tuple(FIELDS) and not records.flags.writeable
    for record, op in zip(records, low.ops):
        assert KINDS[record["kind"]].kernel is op.kernel
        for name, field in FIELDS.items():
            wanted = op.fields.get(name, record["kind"] if name == "kind" else field.default)
            assert record[name] == (layout.positions[wanted] if name in op.buffers else wanted), name


def test_a_buffer_that_is_too_short_is_found():
    low = lowered(fast_nets.tiny(), "epsilon")
    layout, offsets, weights = lay_out(low), low.offsets.build(), low.weights.build()
    sizes = {"dtype": "float64", "data": layout.size, "sums": low.sums, "scratch": 10 ** 6, "places": 10 ** 6,
             "weights": weights,
             "offsets": offsets, "capacity": 16}
    records = place(low.ops, layout.positions, OP)
    check(records, **sizes)
    moved = place(low.ops, tuple(position + 16 for position in layout.positions), OP)
    with pytest.raises(ProgramError, match="op [0-9]+"):
        check(moved, **sizes)


def test_what_is_known_of_a_layer_is_known_of_it_exactly():
    class Mine(L.ReLU):
        pass
    network = chain(L.ReLU(), Mine(), L.Flatten(), nets.dense(RNG, 256, 2))
    assert [support.made_by(node) for node in network.nodes] == [L.ReLU, support.Other, L.Flatten, L.Dense]


def test_constant_denominators_are_told_from_buffers():
    """A shared z lies among the constants: its position there is no buffer, whatever its number."""
    same = nets.dense(RNG, 5, 5)  # constants are kept once: few of them, and many buffers
    layers = [L.ReLU(), *(layer for _ in range(200) for layer in (same, L.ReLU()))]
    network = Network([(f"{layer.type}{number}", layer) for number, layer in enumerate(layers)], (5,))
    low = lowered(network, [("*", Flat())])
    shared = [op for op in low.ops if op.fields.get("shared")]
    assert any(op.fields["z"] in op.buffers.values() for op in shared), "a position that is a buffer's number"
    records = place(low.ops, lay_out(low).positions, OP)
    for record, op in zip(records, low.ops):
        if op.fields.get("shared"):
            assert record["z"] == op.fields["z"] and "z" not in op.buffers
    x = nets.inputs(network, 3)
    exact, found = (lrp_core.explain(network, x, Flat(), engine=engine).relevance
                    for engine in ("numpy", "numba"))
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15)
