"""Messages as they are asked for: samples, channels, starts and stops; what is refused; layers and rules from
outside.
"""
import dataclasses

import nets
import numpy as np
import pytest
import test_open_door as strangers
from test_messages import ALL, adds_up, explained, maps, same_as_passes

import lrp_core
from lrp_core import Epsilon, Messages, Microscope, Network, Rule, Zero, messages
from lrp_core import layers as L

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
    assert repr(m).startswith("<Messages: hidden[2], relevance ") and len(repr(m)) < 110
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
