"""Windows that are equal to the last bit give outputs that are, also where Winograd computes them."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runner import Direct, Form, Rig, form_of, normal, precision, seeded, seeds  # noqa: F401

from lrp_core.numba_engine.kernels.simd_llvm import LANES

PALETTE = (0.0, 1.0, 0.3)


def outputs(kind, x, filters, padding, *, bias=True, rectify=False, team=1):
    """conv(x) by the kernels, ties restored."""
    form, rig = form_of(kind, (3, 3), x.shape[1:], filters, padding=padding), Rig(len(x))
    y = rig.room(*form.made)
    rig.asm.convolve(form, normal(1, 3, 3, x.shape[3], filters), normal(2, filters) if bias else None,
                     rig.put(x), y,
                     rectify=rectify, ties=True)
    return rig.run(team).get(y)


def windows(x, padding):
    """[n, h, w, 3·3·c]: what each output sees, padding included."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) if padding == "same" else x
    seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return seen.reshape(*seen.shape[:3], -1)


def assert_ties(x, padding, **options):
    """Outputs of equal neighbouring windows are equal, and what a direct convolution gives to the bit;
    returns how many there are.
    """
    filters = options.pop("filters", LANES)
    found, direct = (outputs(kind, x, filters, padding, **options) for kind in (Form, Direct))
    seen, count = windows(x, padding), 0
    np.testing.assert_allclose(found, direct, atol=1e-4, rtol=1e-4)
    for here, there in ((np.s_[:, :, 1:], np.s_[:, :, :-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        equal = (seen[here] == seen[there]).all(axis=-1)
        np.testing.assert_array_equal(direct[here][equal], direct[there][equal],
                                      "the direct convolution itself")
        wrong = equal & (found[here] != found[there]).any(axis=-1)
        assert not wrong.any(), (
            f"equal windows, unequal outputs at (sample, row, column) {np.argwhere(wrong)[:5].tolist()}, "
            f"{padding}")
        for side in (here, there):
            np.testing.assert_array_equal(found[side][equal], direct[side][equal])
        count += equal.sum()
    return count


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("filters", [LANES, 3 * LANES])
def test_constant_maps(padding, filters):
    """A map of one value, and one that is constant along an axis only: a run for every row, or every column.
    """
    for size in range(3, 14):
        value = normal(size, 1, 1, 1, LANES)
        across, down = normal(size, 1, size, 1, LANES), normal(size, 1, 1, size + 2, LANES)
        for x in (np.tile(value, (1, size, size + 2, 1)), np.tile(across, (1, 1, size + 2, 1)),
                  np.tile(down, (1, size, 1, 1))):
            count = assert_ties(x, padding, filters=filters)
            assert count or min(x.shape[1:3]) < 4


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_notches(padding):
    """One pixel, one channel of one pixel, or one corner differs: runs stop before it and begin again after
    it.
    """
    for number, (row, column) in enumerate((r, c) for r in range(0, 11, 2) for c in range(0, 12, 3)):
        x = np.tile(normal(number, 1, 1, 1, 2 * LANES), (1, 11, 12, 1))
        x[0, row, column, number % (2 * LANES)] += 0.5
        assert assert_ties(x, padding, rectify=number % 2 == 0, team=1 + number % 3 // 2) > 20


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_silence_behind_a_sound(padding):
    """Zeros that are like the padding: a clip that ends early."""
    x = np.zeros((1, 12, 13, LANES), np.float32)
    x[:, :, :5] = np.abs(normal(3, 1, 12, 5, LANES))
    assert assert_ties(x, padding) > 30


few = settings(seeded, max_examples=120)


@pytest.mark.parametrize("padding", ["valid", "same"])
@few
@given(st.integers(3, 9), st.integers(3, 9), st.integers(1, 3), seeds, st.booleans(), st.booleans())
def test_few_colours(padding, height, width, colours, seed, rectify, lines):
    """Maps painted with at most three pixels, dot by dot or line by line."""
    rng = np.random.default_rng(seed)
    paint = rng.choice(np.array(PALETTE, np.float32), (colours, LANES))
    dots = (
        rng.integers(colours, size=(2, height, width))
        if not lines
        else np.repeat(rng.integers(colours, size=(2, height, 1)), width, 2)
    )
    if seed % 3 == 0 and lines:
        dots[:, rng.integers(height), rng.integers(width)] = 0
    assert_ties(paint[dots], padding, rectify=rectify, team=1 + seed % 2)


@pytest.mark.parametrize("padding", ["valid", "same"])
@few
@given(st.integers(3, 8), st.integers(3, 8), seeds, st.floats(0, 0.15))
def test_sparse_repeats(padding, height, width, seed, dirt):
    """A constant map with a few numbers of a few channels exchanged."""
    rng = np.random.default_rng(seed)
    x = np.full((1, height, width, LANES), rng.choice(PALETTE), np.float32)
    x[rng.random(x.shape) < dirt / LANES * 4] = rng.choice(PALETTE)
    assert_ties(x, padding, bias=bool(seed % 2))
