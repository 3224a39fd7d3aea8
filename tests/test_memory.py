"""What an explanation takes is known before it begins: estimates against measured peaks, and refusals of what
is too large.
"""
import functools
import importlib
import math
import tracemalloc

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import chunks, memory
from lrp_core import layers as L
from lrp_core.gradients import METHODS, GradientStep
from lrp_core.steps import Step, is_split

RNG = np.random.default_rng(0)
SIDE, CHANNELS = 48, 16


def draw(*shape):
    return RNG.standard_normal(shape)


def kernels(*size, factor=1):
    return draw(*size, CHANNELS, factor * CHANNELS), draw(factor * CHANNELS)


MAPS = {
    "3x3": L.Conv2D(*kernels(3, 3), padding="same"), "1x1 to more": L.Conv2D(*kernels(1, 1, factor=4)),
    "5x5, stride 2": L.Conv2D(*kernels(5, 5), strides=2, padding="same"),
    "padded": L.Conv2D(*kernels(1, 1), padding=((48, 48), (48, 48))),
    "groups": L.Conv2D(draw(3, 3, 4, CHANNELS), draw(CHANNELS), padding="same", groups=4),
    "dilated": L.Conv2D(*kernels(3, 3), padding="same", dilation=(2, 2)),
    "depthwise": L.DepthwiseConv2D(draw(3, 3, CHANNELS, 2), draw(2 * CHANNELS), padding="same"),
    "transposed": L.Conv2DTranspose(*kernels(3, 3), strides=2),
    "transposed, no bias": L.Conv2DTranspose(draw(3, 3, CHANNELS, CHANNELS), strides=2, padding="same"),
    "dense": L.Dense(*kernels(factor=3)), "dense to few": L.Dense(draw(CHANNELS, 1), draw(1)),
    "batch norm": L.BatchNorm(draw(CHANNELS), draw(CHANNELS)),
    "layer norm": L.LayerNorm(draw(CHANNELS), draw(CHANNELS)),
    "max": L.MaxPool2D(2), "overlapping max": L.MaxPool2D(3, 1, "same"), "average": L.AveragePool2D(2),
    "overlapping average": L.AveragePool2D(3, 1, "same"), "global max": L.GlobalMaxPool2D(),
    "global average": L.GlobalAveragePool2D(),
    "ReLU": L.ReLU(), "ReLU6": L.ReLU6(), "leaky": L.LeakyReLU(), "ELU": L.ELU(), "GELU": L.GELU(),
    "GELU by tanh": L.GELU(True),
    "SiLU": L.SiLU(), "tanh": L.Tanh(), "sigmoid": L.Sigmoid(), "scale": L.Scale(2.0),
    "larger": L.UpSampling2D(4), "margin": L.ZeroPadding2D(((8, 8), (8, 8))),
    "crop": L.Cropping2D(((8, 8), (8, 8))),
    "permuted": L.Permute((3, 1, 2)), "flat": L.Flatten(),
    "reshaped": L.Reshape((CHANNELS, -1 + SIDE + 1, SIDE)), "dropout": L.Dropout(),
    "sum": L.Add(), "difference": L.Subtract(), "joined": L.Concatenate()}
ROWS = {
    "1-D": L.Conv1D(*kernels(9), padding="same"), "1-D, stride 4": L.Conv1D(*kernels(16), strides=4),
    "1-D max": L.MaxPool1D(4),
    "1-D average": L.AveragePool1D(4), "1-D global max": L.GlobalMaxPool1D(),
    "1-D global average": L.GlobalAveragePool1D()}
RULES = [lrp_core.Epsilon(), lrp_core.AlphaBeta(2, 1), lrp_core.Flat(), lrp_core.Gamma(0.25),
         lrp_core.ZBox(-1, 1), lrp_core.WSquare()]


def peak(work):
    """(numbers in double precision that were allocated at once, the result)."""
    tracemalloc.start()
    try:
        result = work()
        return tracemalloc.get_traced_memory()[1] / 8, result
    finally:
        tracemalloc.stop()


def run(layer, xs):
    """(trace, peak of the forward pass) of a layer named "y" with the inputs x0, x1, ..."""
    taken, (y, kept) = peak(lambda: layer.forward_keeping(*xs))
    return lrp_core.Trace({"y": y, **{f"x{number}": x for number, x in enumerate(xs)}}, {"y": kept}), taken


def steps(layer, inputs):
    """Every way of carrying relevance through a layer."""
    node = lrp_core.Node("y", layer, tuple(f"x{number}" for number in range(inputs)))
    rules = RULES if isinstance(layer, L.Weighted) and not isinstance(layer, L.BatchNorm) else RULES[:1]
    return [GradientStep(node, METHODS["gradient"]),
            *(Step(node, rule, rule.groups(layer) if isinstance(layer, L.Linear) else ()) for rule in rules)]


@pytest.mark.parametrize("case", [*MAPS, *ROWS])
def test_what_crossing_a_layer_takes(case):
    """The estimate holds for every rule, and is no more than three times what the dearest of its kind takes.
    """
    layer, shape = (MAPS[case], (SIDE, SIDE, CHANNELS)) if case in MAPS else (ROWS[case],
                                                                              (SIDE * SIDE, CHANNELS))
    xs = [draw(1, *shape) for _ in range({"sum": 3, "difference": 2, "joined": 2}.get(case, 1))]
    run(layer, xs)  # the first pass may import what a layer needs
    trace, taken = run(layer, xs)
    shapes, made = [shape] * len(xs), trace.outputs["y"].shape[1:]
    found = [(taken, memory.kept(layer, shapes, made) + memory.crossing_forward(layer, shapes, made))]
    by_kind = {}
    for step in steps(layer, len(xs)):
        r = draw(*trace.outputs["y"].shape)
        step.back(trace, r)
        taken, _ = peak(lambda: sum(abs(one).sum() for one in step.back(trace, r)[0]))
        by_kind[is_split(step)] = max(by_kind.get(is_split(step), 0), taken)
    found += [(taken, sum(map(math.prod, shapes)) + memory.crossing_back(layer, shapes, made, split))
              for split, taken in by_kind.items()]
    slack = 10_000  # NumPy's buffers for the conversion of strided arrays, and what Python itself takes
    for taken, expected in found:
        assert taken <= expected + slack and expected <= 3.5 * taken + slack, (taken / len(xs), expected)


# ---- whole explanations

def picture_network():
    """Convolutions with padding, branches, pools: most of what a network does to memory."""
    rng = np.random.default_rng(1)

    def conv(inputs, outputs, size=3, **options):
        return L.Conv2D((0.1 * rng.standard_normal((size, size, inputs, outputs))).astype(np.float32),
                        np.zeros(outputs, np.float32), **options)
    return lrp_core.Network([
        ("conv1", conv(3, 16, padding="same")), ("relu1", L.ReLU()), ("conv2", conv(16, 16, padding="same")),
        ("add", L.Add(), ("conv2", "relu1")),
        ("pool", L.MaxPool2D(2)), ("conv3", conv(16, 24, 5, strides=2, padding="same")), ("relu3", L.ReLU()),
        ("join", L.Concatenate(), ("relu3", "conv3")),
        ("larger", L.UpSampling2D(2)), ("mean", L.GlobalAveragePool2D()),
        ("dense", L.Dense((0.1 * rng.standard_normal((48, 4))).astype(np.float32)))], (64, 64, 3))


def sequence_network():
    """A sound at its own rate."""
    rng = np.random.default_rng(2)

    def conv(size, inputs, outputs, strides):
        return L.Conv1D((0.1 * rng.standard_normal((size, inputs, outputs))).astype(np.float32),
                        np.zeros(outputs, np.float32), strides, "same")
    return lrp_core.Network([("conv1", conv(64, 1, 8, 4)), ("tanh", L.Tanh()), ("conv2", conv(9, 8, 8, 1)),
                             ("gelu", L.GELU()), ("pool", L.MaxPool1D(4)),
                             ("mean", L.GlobalAveragePool1D()),
                             ("dense", L.Dense((0.1 * rng.standard_normal((8, 3))).astype(np.float32)))],
                             (16_000, 1))


@pytest.mark.parametrize("layers", [False, True])
@nets.every_engine
@pytest.mark.parametrize("rules", ["epsilon", "preset_b", "epsilon_plus_flat", "gradient"])
@pytest.mark.parametrize("make", [picture_network, sequence_network])
def test_an_explanation_takes_what_was_worked_out(make, rules, how, layers, monkeypatch):
    """The peak of one explanation, on one thread, is below the estimate, and above half of it."""
    x = np.random.default_rng(3).standard_normal(make().input_shape).astype(np.float32)
    options = {"rules": rules, **how, "layers": layers, "threads": 1}
    lrp_core.explain(make(), x, **options)  # kernels are compiled, or loaded
    network, asked = make(), []
    network.scoring

    def one_at_a_time(network, sample, at_once, wanted=None):
        asked.append(sample)
        return sample
    for module in ("lrp_core.numpy_engine", "lrp_core.numba_engine.batch"):
        monkeypatch.setattr(importlib.import_module(module), "bound", one_at_a_time)
    taken, e = peak(lambda: lrp_core.explain(network, x, **options))
    # The input, the results, the kernel's parts; and the weights as the compiled engine keeps them.
    slack = 1_500_000 + sum(r.nbytes for r in (e.layers or {}).values())
    assert 8 * taken <= asked[-1] + slack and asked[-1] <= 2 * 8 * taken


# ---- refusals

def enlarged():
    """475 bytes as a file: 1.97e9 numbers, 15.7 GB in double precision."""
    return lrp_core.Network([("up", L.UpSampling2D((400, 400))), ("pool", L.GlobalAveragePool2D()),
                             ("dense", L.Dense(np.ones((3, 2), np.float32)))],
                            (64, 64, 3))


def padded():
    """A single output, and 384 GiB of padding."""
    conv = L.Conv2D(np.ones((1, 1, 3, 2), np.float32), padding=((65536, 65536), (65536, 65536)),
                    strides=(65536, 65536))
    return lrp_core.Network([("conv", conv), ("pool", L.GlobalAveragePool2D())], (8, 8, 3))


@pytest.mark.parametrize("make", [enlarged, padded])
def test_what_exceeds_the_free_memory_is_refused_before_it_begins(make, monkeypatch):
    """By explanations on both paths, by scores and by a forward pass: what it takes, what is free, the node,
    what to do.
    """
    monkeypatch.setattr(memory, "free_bytes", lambda: 5 * 10**9)
    network = make()  # legal, and does not cost anything yet
    x = np.zeros(network.input_shape, np.float32)
    for how in nets.WAYS:
        lrp_core.explain(picture_network(), np.zeros((64, 64, 3)), **how)  # kernels are compiled, or loaded
    explained = [functools.partial(lrp_core.explain, network, x, rules, **how)
                 for how in nets.WAYS for rules in ("epsilon", "preset_a_flat", "gradient")]
    for work in (*explained, lambda: network.logits(x), lambda: network.forward(x[None])):
        tracemalloc.start()
        try:
            with pytest.raises(memory.TooLarge, match=rf"GB, 5\.0 GB are free; node "
                                                      rf"'{network.nodes[0].name}' .*numbers: use") as raised:
                work()
            assert tracemalloc.get_traced_memory()[1] < 5e6
            assert ("memory=..." in str(raised.value)) == (work in explained)  # what takes it
        finally:
            tracemalloc.stop()
    assert isinstance(raised.value, ValueError)


def test_fewer_samples_are_at_work_where_memory_is_short(monkeypatch):
    """Threads and chunks give way before anything is refused; the numbers stay."""
    network, x = picture_network(), np.random.default_rng(0).standard_normal((6, 64, 64,
                                                                              3)).astype(np.float32)
    monkeypatch.setattr(memory, "SMALL", 0)
    for how in nets.WAYS:
        usual = lrp_core.explain(network, x, **how, threads=4)
        with monkeypatch.context() as patch:
            # two samples, where four threads would take eight
            patch.setattr(memory, "free_bytes", lambda: 20_000_000)
            tracemalloc.start()
            try:
                found = lrp_core.explain(network, x, **how, threads=4)
                # 29 MB where vectors are short, 34 where the peaks of two threads meet; eight samples would
                # take twice that
                assert tracemalloc.get_traced_memory()[1] < 42_000_000
            finally:
                tracemalloc.stop()
        np.testing.assert_array_equal(found.relevance, usual.relevance)
        with monkeypatch.context() as patch:
            patch.setattr(memory, "free_bytes", lambda: 1_000_000)
            with pytest.raises(memory.TooLarge, match=r"1\.0 MB are free; node 'conv2' \(Conv2D"):
                lrp_core.explain(network, x, **how, threads=4)
            # A caller who knows better sets the bound.
            np.testing.assert_array_equal(lrp_core.explain(network, x[:1], **how, memory=10**9).relevance[0],
                                          usual.relevance[0])


def test_results_count_too(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    network, x = picture_network(), np.zeros((4, 64, 64, 3), np.float32)
    monkeypatch.setattr(memory, "free_bytes", lambda: 200_000_000)
    lrp_core.explain(network, x)
    with pytest.raises(memory.TooLarge, match=r"relevance of 4,000 explanations takes about .*fewer samples "
                                              r"or targets at a time"):
        lrp_core.explain_each(network, x, targets=[0] * 1000)
    with pytest.raises(memory.TooLarge, match="or without layers=True"):
        lrp_core.explain_each(network, x, targets=[0] * 100, layers=True)


def test_weights_count_too(monkeypatch):
    network = lrp_core.Network([("dense", L.Dense(np.ones((100, 100), np.float32)))], (100,))
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_bytes", lambda: 79_999)
    with pytest.raises(memory.TooLarge, match="weights in double precision"):
        network.logits(np.ones(100))


def test_the_machine_is_asked_for_what_is_large_only(monkeypatch):
    """Small explanations, by the thousand, do not ask the system each time."""
    monkeypatch.setattr(memory, "free_bytes", lambda: pytest.fail("asked"))
    network = lrp_core.Network([("dense", L.Dense(np.ones((4, 2), np.float32)))], (4,))
    lrp_core.explain(network, np.ones(4)), network.logits(np.ones(4))


def test_what_is_free_is_what_the_system_says():
    psutil = pytest.importorskip("psutil")
    assert 0.5 < memory.free_bytes() / psutil.virtual_memory().available < 2


@pytest.mark.parametrize("samples", range(1, 12))
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_samples_at_work_stay_within_the_bound(samples, threads, chunk):
    """threads · chunk samples are at work together; a bound for `samples` of them holds, and is used."""
    workers, at_once = chunks.within(samples * 1000 + 999, 1000, threads, chunk)
    assert 1 <= workers <= threads and 1 <= at_once <= chunk
    assert workers * at_once <= samples
    assert workers == min(threads, samples) and (at_once == chunk or workers * (at_once + 1) > samples)
