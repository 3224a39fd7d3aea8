"""Kernels that leave out zeros, beside those that do not: samples of both kinds in one block, and z where
differences cancel.
"""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runner import (
    Form,
    P,
    Rig,
    close,
    convolutions,
    convolve,
    fans,
    form_of,
    normal,
    seeded,
    seeds,
    tolerance,
)
from test_kernels_linear import assert_back, kinds

from lrp_core.numba_engine.kernels.simd_llvm import LANES

ORDERS = [(0.05, 1), (1, 0.05), (0.05, 1, 0.05), (1, 0.05, 1), (0.05, 0.05, 1), (1, 1, 0.05), (0, 0.05, 0),
          (1, 1, 1)]


@pytest.mark.parametrize("fan", [1, 2])
@pytest.mark.parametrize("size", [(4, 4), (7, 6), (13, 12)], ids=str)
@pytest.mark.parametrize("densities", ORDERS, ids=str)
def test_winograd_between_sparse_samples(densities, size, fan):
    """One, four and twelve tiles a sample, 24 in a block: a block is left out only if all of its samples are
    sparse.
    """
    form = form_of(Form, (3, 3), (*size, LANES), 2 * LANES)
    rig = assert_back(form, len(densities), fan, 7, times=True, accumulate=len(densities) == 2,
                      densities=densities)
    assert {P.WINOGRAD, P.SCATTER} <= kinds(rig)


def denominators(form, x, kernel, bias, alive, fan, seed, complement=None):
    """(z [samples, *made] by `dots` for samples with dead units and by the dense kernel for others, the rig).

    complement: (kernel, bias) of the group before, with which this one makes up the layer's own.
    """
    samples = len(x)
    relevance = normal(seed, samples * fan, *form.made) * np.repeat(alive, fan, axis=0)
    rig, fields = Rig(samples, fan), {}
    rig.asm.backward = True
    flag = rig.asm.flag(rig.put(alive), form.made, int(np.prod(form.made)))
    if complement:
        (other, _), (y, _) = (
            convolve(form, x, complement[0], complement[1]),
            convolve(form, x, kernel + complement[0], bias + complement[1]),
        )
        fields = {"whole": rig.put(y), "other": rig.put(other), "rest": np.zeros(form.made[2])}
    z, place = rig.room(*form.made), rig.put(x)
    rig.asm.dots(form, kernel, bias, place, z, rig.put(relevance), flag, **fields)
    rig.asm.convolve(form, kernel, bias, place, z, flag=flag)
    return rig.run().get(z, samples), rig


@st.composite
def living(draw):
    """(a form, which of its units are alive in each sample: none, some or all)."""
    form = draw(convolutions(largest=9))
    densities = draw(st.lists(st.sampled_from([0, 0.05, 0.4, 1]), min_size=1, max_size=3))
    random = np.random.default_rng(draw(seeds)).random((len(densities), *form.made))
    return form, random < np.array(densities)[:, None, None, None]


@settings(seeded, max_examples=40)
@given(living(), fans, seeds)
def test_denominators_of_living_units(case, fan, seed):
    """z = conv(x) + b where a unit can carry relevance; a sample whose units are all alive goes by the dense
    kernel.
    """
    form, alive = case
    x, kernel = normal(seed, len(alive), *form.source), normal(seed + 1, *form.window.size, form.source[2],
                                                               form.made[2])
    bias = normal(seed + 2, form.made[2])
    found, rig = denominators(form, x, kernel, bias, alive, fan, seed)
    expected, scale = convolve(form, x, kernel, bias)
    close(np.where(alive, found, expected), expected, scale, tolerance(rig.asm.ops))


@pytest.mark.parametrize("size", [(3, 3), (2, 3)], ids=str)
@pytest.mark.parametrize("densities", [(0.3,), (0.3, 1), (1, 0.3)], ids=str)
def test_a_denominator_that_is_little_of_what_it_is_the_difference_of(densities, size):
    """x > 0 and all weights of W⁻ below zero, so that z⁻ has no rounding to speak of; y - z⁺ has: y is up to
    10⁸ times as large.
    """
    form = form_of(Form, size, (6, 7, LANES), 2 * LANES)
    x, sign = np.abs(normal(1, len(densities), *form.source)), np.arange(LANES) % 2 * 2 - 1
    kernel = np.abs(normal(2, *size, LANES, 2 * LANES)) * sign[:, None]
    up = np.maximum(kernel, 0)
    # For each filter less of what is below zero: from as much as above down to 10⁻⁸ of it.
    down = (np.minimum(kernel, 0) * 10 ** -np.linspace(0, 8, 2 * LANES)).astype(np.float32)
    alive = np.random.default_rng(3).random((len(x), *form.made)) < np.array(densities)[:, None, None, None]
    nothing = np.zeros(2 * LANES, np.float32)
    found, rig = denominators(form, x, down, nothing, alive, 2, 4, complement=(up, nothing))
    expected, _ = convolve(form, x, down, nothing)
    assert P.DOTS in kinds(rig) and (expected < 0).all()
    sparse = alive & (np.array(densities) < 1)[:, None, None, None]
    assert np.abs(found / expected - 1)[sparse].max() < 1e-5
