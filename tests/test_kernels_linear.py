"""The kernels' convolutions and products against float64 loops, and every map against its own transpose;
guards hold.
"""
import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runner import (  # noqa: F401
    Direct,
    Form,
    P,
    Rig,
    batches,
    channel_counts,
    close,
    convolutions,
    convolve,
    convolve_back,
    fans,
    form_of,
    normal,
    precision,
    seeded,
    seeds,
    tolerance,
)

from lrp_core import layers as L
from lrp_core.numba_engine.kernels.convolve import IN_CACHE
from lrp_core.numba_engine.kernels.simd_llvm import LANES

few = settings(seeded, max_examples=25)


def kinds(rig):
    """The kinds of rows that a rig ran."""
    return {op.kernel for op in rig.asm.ops}


def assert_forward(form, samples, seed, *, bias, rectify, accumulate, ties=False, team=1):
    """y = [y +] conv(x) + bias, or its positive part."""
    x, kernel = normal(seed, samples, *form.source), normal(seed + 1, *form.window.size, form.source[2],
                                                            form.made[2])
    b, before = normal(seed + 2, form.made[2]) if bias else None, normal(seed + 3, samples, *form.made)
    rig = Rig(samples)
    y = rig.put(before, changes=True) if accumulate else rig.room(*form.made)
    rig.asm.convolve(form, kernel, b, rig.put(x), y, rectify=rectify, accumulate=accumulate, ties=ties)
    found = rig.run(team).get(y)
    expected, scale = convolve(form, x, kernel, b)
    expected = expected + before if accumulate else expected
    close(found, np.maximum(expected, 0) if rectify else expected, scale, tolerance(rig.asm.ops))
    return rig


def assert_back(form, samples, fan, seed, *, times, accumulate, densities=None):
    """r = [r +] [times ·] convᵀ(s); `times` belongs to the sample, r and s to each of its relevances.

    densities: how much of s is not zero, for each sample; rows that leave out samples with sparse relevance
    are used then.
    """
    s, kernel = normal(seed, samples * fan, *form.made), normal(seed + 1, *form.window.size, form.source[2],
                                                                form.made[2])
    factor, before = normal(seed + 2, samples, *form.source), normal(seed + 3, samples * fan, *form.source)
    rig, flag = Rig(samples, fan), {}
    rig.asm.backward = True
    r = rig.put(before, changes=True) if accumulate else rig.room(*form.source)
    if densities is not None:
        s *= np.random.default_rng(seed).random(s.shape) < np.repeat(densities, fan)[:, None, None, None]
    place = rig.put(s)
    if densities is not None:
        alive = s.reshape(samples, fan, *form.made).any(axis=1)
        flag = {"flag": rig.asm.flag(rig.put(alive), form.made, int(np.prod(form.made)))}
    rig.asm.convolve_back(form, kernel, place, r, times=rig.put(factor) if times else P.NONE,
                          accumulate=accumulate, **flag)
    found = rig.run().get(r)
    expected, scale = convolve_back(form, s, kernel)
    if times:
        expected, scale = expected * np.repeat(factor, fan,
                                               axis=0).astype(np.float64), scale * np.abs(factor).max()
    expected = expected + before if accumulate else expected
    close(found, expected, scale + accumulate, tolerance(rig.asm.ops))
    return rig


# --- any convolution ------------------------------------------------------------------------------

@seeded
@given(convolutions(), batches, seeds, st.booleans(), st.booleans(), st.booleans(), st.integers(1, 2))
def test_convolution(form, samples, seed, bias, rectify, accumulate, team):
    assert_forward(form, samples, seed, bias=bias, rectify=rectify and not accumulate, accumulate=accumulate,
                   team=team)


@seeded
@given(convolutions(), st.integers(1, 2), fans, seeds, st.booleans(), st.booleans())
def test_convolution_back(form, samples, fan, seed, times, accumulate):
    assert_back(form, samples, fan, seed, times=times, accumulate=accumulate)


@seeded
@given(convolutions(largest=9), fans, seeds, st.booleans(), st.booleans(),
       st.lists(st.sampled_from([0, 0.01, 0.05, 0.3, 1]), min_size=1, max_size=3))
def test_sparse_relevance_back(form, fan, seed, times, accumulate, densities):
    """Samples with few numbers that are not zero go by these, others by a dense kernel, side by side in a
    batch.
    """
    assert_back(form, len(densities), fan, seed, times=times, accumulate=accumulate, densities=densities)


def test_the_oracle_agrees_with_the_one_for_single_numbers():
    """`naive` writes every unit out; the loops of `kernel_runner` take a product for each place of the
    window.
    """
    for size, strides, padding in [((3, 3), (1, 1), "same"), ((2, 3), (2, 1), "valid"),
                                   ((5, 5), (2, 2), "same")]:
        form = form_of(Form, size, (6, 7, 2), 3, strides, padding)
        x, kernel, bias = normal(1, 1, 6, 7, 2), normal(2, *size, 2, 3), normal(3, 3)
        layer = L.Conv2D(kernel, bias, strides, padding)
        expected = naive.forward(layer, x[0].astype(np.float64))
        np.testing.assert_allclose(convolve(form, x, kernel, bias)[0][0], expected, rtol=1e-12, atol=1e-12)
        s = normal(4, 1, *form.made).astype(np.float64)
        back = np.zeros(form.source)
        for unit in naive.units(layer, form.source):
            for i, w in unit.edges:
                back[i] += w * s[0][unit.index]
        np.testing.assert_allclose(convolve_back(form, s, kernel)[0][0], back, rtol=1e-12, atol=1e-12)


# --- Winograd: every small map
# ---------------------------------------------------------------------------------------

MAPS = [(h, w) for h in range(1, 11) for w in range(1, 11)] + [(13, 12), (16, 3), (2, 17), (20, 20)]


@pytest.mark.parametrize("padding", ["same", "valid", ((2, 1), (0, 2))], ids=str)
def test_winograd_on_all_small_maps(padding):
    """Tiles of 4x4 that hang over the map's edge, in both directions, at each of its sizes."""
    used = set()
    for number, (height, width) in enumerate(MAPS):
        if padding == "valid" and min(height, width) < 3:
            continue
        channels, filters, samples = LANES * (1 + number % 2), LANES * (1 + number // 2 % 3), 1 + number % 3
        form = form_of(Form, (3, 3), (height, width, channels), filters, padding=padding)
        forward = assert_forward(form, samples, number, bias=number % 2 == 0, rectify=number % 3 == 0,
                                 accumulate=number % 3 == 1,
                                 ties=number % 2 == 0, team=1 + number % 2)
        back = assert_back(form, samples, 1 + number % 2, number, times=number % 2 == 1,
                           accumulate=number % 3 == 2)
        used |= kinds(forward) | kinds(back)
    assert P.WINOGRAD in used and P.DIRECT not in used, "these forms are for Winograd"


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), seeds,
       st.booleans())
def test_winograd_channels(inputs, filters, height, width, samples, seed, rectify):
    """Channels of several vectors, panels of both widths, more tiles than are at work at a time."""
    form = form_of(Form, (3, 3), (height, width, inputs * LANES), filters * LANES)
    assert P.WINOGRAD in kinds(assert_forward(form, samples, seed, bias=True, rectify=rectify,
                                              accumulate=False, ties=True))


def test_direct_when_asked():
    """The same form, kept from Winograd: the other kernel does it."""
    form = form_of(Direct, (3, 3), (9, 8, 2 * LANES), LANES)
    assert P.WINOGRAD not in kinds(assert_forward(form, 2, 0, bias=True, rectify=True, accumulate=False))
    assert P.WINOGRAD not in kinds(assert_back(form, 2, 2, 0, times=True, accumulate=True))


@pytest.mark.parametrize("size", [(2, 3), (7, 9)], ids=["one block of places", "two blocks"])
@pytest.mark.parametrize("samples, team", [(1, 1), (3, 1), (3, 2)])
def test_many_weights_over_a_small_map(size, samples, team):
    """They are taken a few panels at a time for all samples; the ReLU comes after the last of them."""
    form = form_of(Direct, (3, 3), (*size, 80), 300)
    assert math.prod(form.window.size) * 80 * 300 > IN_CACHE > 2 * 80 * math.prod(form.padded)
    assert_forward(form, samples, 1, bias=True, rectify=True, accumulate=False, team=team)
    assert_forward(form, samples, 2, bias=True, rectify=False, accumulate=True, team=team)
    assert_back(form, samples, 1, 3, times=True, accumulate=True)


# --- dense ----------------------------------------------------------------------------------------

@seeded
@given(channel_counts | st.integers(41, 600), channel_counts | st.integers(41, 130), st.integers(1, 9), seeds,
       st.booleans(),
       st.booleans(), st.booleans())
def test_dense(inputs, outputs, samples, seed, bias, rectify, accumulate):
    x, kernel, b = normal(seed, samples, inputs), normal(seed + 1, inputs,
                                                         outputs), normal(seed + 2, outputs) if bias else None
    before, rig = normal(seed + 3, samples, outputs), Rig(samples)
    rectify = rectify and not accumulate
    y = rig.put(before, changes=True) if accumulate else rig.room(outputs)
    rig.asm.dense(kernel, b, rig.put(x), y, rectify=rectify, accumulate=accumulate)
    expected = np.array([[sum(float(x[n, k]) * float(kernel[k, m]) for k in range(inputs))
                          if inputs * outputs < 500 else
                          float(x[n].astype(np.float64) @ kernel[:, m]) for m in range(outputs)]
                          for n in range(samples)])
    expected += (0 if b is None else b.astype(np.float64)) + (before if accumulate else 0)
    found = rig.run(team=1 + seed % 2).get(y)
    close(found, np.maximum(expected, 0) if rectify else expected, np.abs(expected).max() + np.sqrt(inputs),
          tolerance(()))


@few
@given(channel_counts, channel_counts | st.integers(41, 300), st.integers(1, 3), fans, seeds, st.booleans(),
       st.booleans())
def test_dense_back(inputs, outputs, samples, fan, seed, times, accumulate):
    s, kernel, factor = normal(seed, samples * fan,
                               outputs), normal(seed + 1, inputs, outputs), normal(seed + 2, samples, inputs)
    before, rig = normal(seed + 3, samples * fan, inputs), Rig(samples, fan)
    rig.asm.backward = True
    r = rig.put(before, changes=True) if accumulate else rig.room(inputs)
    rig.asm.dense_back(kernel, rig.put(s), r, times=rig.put(factor) if times else P.NONE,
                       accumulate=accumulate)
    expected = np.array([[sum(float(s[n, m]) * float(kernel[k, m])
                              for m in range(outputs)) * (float(factor[n // fan, k]) if times else 1)
                          for k in range(inputs)] for n in range(samples * fan)])
    expected = expected + before if accumulate else expected
    close(rig.run().get(r), expected, np.abs(expected).max() + np.sqrt(outputs), tolerance(()))


# --- <W x, s> = <x, Wᵀ s>
# --------------------------------------------------------------------------------------------

def assert_adjoint(wx, s, x, wts):
    """Both sides in float64, against the product of the norms."""
    left, right = ((a.astype(np.float64) * b).sum() for a, b in ((wx, s), (x, wts)))
    assert abs(left - right) <= tolerance(()) * np.linalg.norm(wx) * np.linalg.norm(s), (left, right)


def assert_conv_adjoint(form, seed):
    x, s = normal(seed, 1, *form.source), normal(seed + 1, 1, *form.made)
    kernel, rig = normal(seed + 2, *form.window.size, form.source[2], form.made[2]), Rig()
    wx, wts = rig.room(*form.made), rig.room(*form.source)
    rig.asm.convolve(form, kernel, None, rig.put(x), wx)
    rig.asm.convolve_back(form, kernel, rig.put(s), wts, times=P.NONE, accumulate=False)
    rig.run()
    assert_adjoint(rig.get(wx), s, x, rig.get(wts))


@few
@given(convolutions(), seeds)
def test_convolution_and_its_transpose(form, seed):
    assert_conv_adjoint(form, seed)


@few
@given(st.integers(1, 2), st.integers(1, 2), st.integers(3, 14), st.integers(3, 14),
       st.sampled_from(["same", "valid"]), seeds)
def test_winograd_and_its_transpose(inputs, filters, height, width, padding, seed):
    assert_conv_adjoint(form_of(Form, (3, 3), (height, width, inputs * LANES), filters * LANES,
                                padding=padding), seed)


@few
@given(channel_counts, channel_counts, seeds)
def test_dense_and_its_transpose(inputs, outputs, seed):
    x, s, kernel, rig = (
        normal(seed, 1, inputs),
        normal(seed + 1, 1, outputs),
        normal(seed + 2, inputs, outputs),
        Rig(),
    )
    wx, wts = rig.room(outputs), rig.room(inputs)
    rig.asm.dense(kernel, None, rig.put(x), wx)
    rig.asm.dense_back(kernel, rig.put(s), wts, times=P.NONE, accumulate=False)
    rig.run()
    assert_adjoint(rig.get(wx), s, x, rig.get(wts))
