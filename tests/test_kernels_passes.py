"""The kernels that are no products: pools, the ratio and its books, sums over windows, copies. Exact where
they only choose.
"""
import kernel_runner
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_runner import (  # noqa: F401
    GUARD,
    Form,
    P,
    Rig,
    batches,
    channel_counts,
    close,
    convolutions,
    convolve_back,
    fans,
    form_of,
    meetings,
    normal,
    precision,
    seeded,
    seeds,
    tolerance,
)

from lrp_core.numba_engine.kernels.elementwise import (
    ABOVE_ZERO,
    ABSOLUTE,
    BELOW_ZERO,
    BIAS,
    GIVEN,
    NO_GATE,
    RECEIVED,
    STABILIZER,
)
from lrp_core.numba_engine.ops import extent, geometry
from lrp_core.target import NO_CLASS, WINNER

map_shapes = st.tuples(st.integers(1, 7), st.integers(1, 7), channel_counts)


def whole_numbers(seed, *shape, most=2):
    """Small whole numbers: ties are common and sums exact."""
    return np.random.default_rng(seed).integers(-most, most + 1, size=shape).astype(np.float32)


# --- moves ----------------------------------------------------------------------------------------

@seeded
@given(map_shapes, st.permutations(range(3)), batches, seeds)
def test_axes_in_another_order(shape, axes, samples, seed):
    x, rig = normal(seed, samples, *shape), Rig(samples)
    y = rig.room(*(shape[axis] for axis in axes))
    rig.asm.permute(rig.put(x), shape, axes, y)
    np.testing.assert_array_equal(rig.run().get(y), np.asarray(x.transpose(0, *(a + 1 for a in axes)),
                                                               kernel_runner.DTYPE))


@seeded
@given(map_shapes, st.tuples(*[st.integers(0, 3)] * 4), batches, seeds)
def test_margins(shape, sides, samples, seed):
    """A margin of zeros, and the map without it."""
    margin, x, rig = (sides[:2], sides[2:]), normal(seed, samples, *shape), Rig(samples)
    wide = (shape[0] + sum(margin[0]), shape[1] + sum(margin[1]), shape[2])
    padded, cut = rig.room(*wide), rig.room(*shape)
    rig.asm.pad(rig.put(x), shape, margin, padded)
    rig.asm.crop(padded, wide, margin, cut, shape)
    rig.run()
    np.testing.assert_array_equal(rig.get(padded), np.asarray(np.pad(x, ((0, 0), *margin, (0, 0))),
                                                              kernel_runner.DTYPE))
    np.testing.assert_array_equal(rig.get(cut), np.asarray(x, kernel_runner.DTYPE))


# --- max-pools ------------------------------------------------------------------------------------

@st.composite
def pools(draw):
    """A Form of a pool: windows that are not square, strides beyond the window, padding that leaves something
    in each.
    """
    size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    margins = st.tuples(*[st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)) for n in size])
    padding = draw(st.sampled_from(["same", "valid"]) | margins)
    least = [1 if padding == "same" else max(1, n - (0 if padding == "valid" else sum(padding[axis])))
             for axis, n in enumerate(size)]
    height, width = (draw(st.integers(n, 12)) for n in least)
    strides, channels = (draw(st.integers(1, 6)), draw(st.integers(1, 6))), draw(channel_counts)
    return form_of(Form, size, (height, width, channels), channels, strides, padding)


def naive_winners(form, x):
    """{(n, i, j, c): (row, column)}: a later place has to hold more to win."""
    best = {}
    for (i, j), (row, column), _ in meetings(form):
        for n, c in np.ndindex(len(x), form.source[2]):
            at = best.get((n, i, j, c))
            if at is None or x[n, row, column, c] > x[(n, *at, c)]:
                best[n, i, j, c] = row, column
    return best


@seeded
@given(pools(), st.integers(1, 2), fans, seeds)
def test_max_pool_and_unpool(form, samples, fan, seed):
    """y is each window's maximum, its relevance goes to the first place that has it; negative maps beat
    padding, too.
    """
    x, r = whole_numbers(seed, samples, *form.source) - 5, whole_numbers(seed + 1, samples * fan, *form.made,
                                                                         most=50)
    rig = Rig(samples, fan)
    y, winner, back = rig.room(*form.made), rig.room(*form.made), rig.room(*form.source)
    rig.asm.emit(P.MAX_POOL, x=rig.put(x), y=y, winner=winner, **geometry(form))
    rig.asm.backward = True
    rig.asm.emit(P.MAX_UNPOOL, x=rig.put(r), y=back, winner=winner, **geometry(form))
    rig.run(team=1 + seed % 2)
    found, expected = rig.get(y, samples), np.zeros(r.shape[:1] + form.source)
    best = naive_winners(form, x)
    assert len(best) == found.size
    for (n, i, j, c), (row, column) in best.items():
        assert found[n, i, j, c] == x[n, row, column, c]
        expected[n * fan:(n + 1) * fan, row, column, c] += r[n * fan:(n + 1) * fan, i, j, c]
    np.testing.assert_array_equal(rig.get(back), expected)


@seeded
@given(pools(), st.integers(1, 2), seeds)
def test_max_pool_of_what_overflowed(form, samples, seed):
    """A NaN or an infinity of either sign leaves a NaN in each window that meets it, and in no other: it must
    not get lost.
    """
    rng = np.random.default_rng(seed)
    x = whole_numbers(seed, samples, *form.source) - 5
    x[rng.random(x.shape) < 0.05] = rng.choice(np.array([np.nan, np.inf, -np.inf], np.float32))
    rig = Rig(samples)
    y = rig.room(*form.made)
    rig.asm.emit(P.MAX_POOL, x=rig.put(x), y=y, winner=rig.room(*form.made), **geometry(form))
    found, broken = rig.run().get(y), np.zeros((samples, *form.made), bool)
    for (i, j), (row, column), _ in meetings(form):
        broken[:, i, j] |= ~np.isfinite(x[:, row, column])
    np.testing.assert_array_equal(np.isnan(found), broken)
    for (n, i, j, c), at in naive_winners(form, x).items():
        assert broken[n, i, j, c] or found[n, i, j, c] == x[(n, *at, c)]


# --- the ratio and its five books
# ------------------------------------------------------------------------------------

@seeded
@given(map_shapes, st.integers(1, 2), fans, seeds, st.sampled_from([0.0, 1e-7, 0.25]),
       st.sampled_from([1.0, 2.0, -1.0]),
       st.sampled_from([(NO_GATE, False), (NO_GATE, True), (ABOVE_ZERO, False), (BELOW_ZERO, False)]),
       st.booleans())
def test_ratio(shape, samples, fan, seed, epsilon, coefficient, gate, biased):
    assert_ratio(shape, samples, fan, seed, epsilon, coefficient, *gate, biased)


@pytest.mark.parametrize("gate", [ABOVE_ZERO, BELOW_ZERO])
def test_ratio_of_a_constant_with_a_gate(gate):
    """z is the same for all samples, the gate is each sample's own."""
    assert_ratio((2, 3, 9), 2, 2, 5, 0.25, 1.0, gate, True, True)


def assert_ratio(shape, samples, fan, seed, epsilon, coefficient, gate, shared, biased):
    """s = c·m·r / (z + ε·sign(z)), sign(0) = +1, nothing where that is zero; the sums are over each
    sample.
    """
    rng = np.random.default_rng(seed)
    r, y, bias = normal(seed, samples * fan, *shape), whole_numbers(seed + 2, samples,
                                                                    *shape), normal(seed + 3, shape[2])
    # Zeros of both signs, what is too small to divide by, what is just large enough, and usual numbers.
    z = np.where(rng.random((1 if shared else samples, *shape)) < 0.5, normal(seed + 1, 1, *shape),
                 rng.choice(np.array([0.0, -0.0, 1e-31, -1e-31, 1e-3, -1e-3], np.float32))).astype(np.float32)
    rig = Rig(samples, fan)
    rig.asm.backward = True
    s, rows = rig.room(*shape), extent(shape)["rows"]
    book, spare = rig.asm.sums_for(rows), rig.asm.sums_for(rows)
    rig.asm.emit(P.RATIO, x=rig.put(r), z=rig.asm.weights.add(z[0]) if shared else rig.put(z), y=s,
                 shared=int(shared), epsilon=epsilon,
                 coefficient=coefficient, gate=gate, output=rig.put(y) if gate else P.NONE,
                 bias=rig.asm.bias(bias, shape[2]) if biased else P.NONE, sums=book, **extent(shape))
    found = rig.run(team=1 + seed % 2).get(s)

    of_sample = np.arange(samples * fan) // fan
    z64, y64, r64 = z.astype(np.float64)[of_sample * (not shared)], y[of_sample], r.astype(np.float64)
    eps = float(np.dtype(kernel_runner.DTYPE).type(epsilon))
    stable = z64 + np.where(z64 >= 0, eps, -eps)
    taken = (np.abs(stable) >= 1e-30) & {NO_GATE: y64 == y64, ABOVE_ZERO: y64 > 0, BELOW_ZERO: y64 < 0}[gate]
    expected = np.where(taken, coefficient * r64 / np.where(taken, stable, 1), 0)
    assert (np.abs(found - expected) <= 0.04 * tolerance(()) * np.abs(expected)).all()
    sums = {RECEIVED: r64, ABSOLUTE: np.abs(r64), GIVEN: coefficient * r64 * taken,
            BIAS: expected * bias * biased,
            STABILIZER: expected * np.where(z64 >= 0, eps, -eps)}
    books = rig.books(book, rows)
    for column, terms in sums.items():
        total, scale = (a.reshape(len(r), -1).sum(axis=1) for a in (terms, np.abs(terms)))
        assert (np.abs(books[:, column] - total) <= 0.2 * tolerance(()) * scale).all(), column
    assert (rig.sums[spare * rig.capacity:].view(np.uint64) == GUARD["float64"]).all(), "books of another row"


@seeded
@given(map_shapes, batches, seeds)
def test_measure(shape, samples, seed):
    r, rig = normal(seed, samples, *shape), Rig(samples)
    book = rig.asm.measure(rig.put(r), shape)
    found, flat = rig.run(team=1 + seed % 2).books(book, shape[0]), r.reshape(samples, -1).astype(np.float64)
    scale = np.abs(flat).sum(axis=1)
    assert (np.abs(found[:, RECEIVED] - flat.sum(axis=1)) <= 0.1 * tolerance(()) * scale).all()
    assert (np.abs(found[:, ABSOLUTE] - scale) <= 0.1 * tolerance(()) * scale).all()


# --- uniform kernels ------------------------------------------------------------------------------

@seeded
@given(convolutions(largest=12), batches, seeds, st.booleans(), st.sampled_from([1.0, -0.5]))
def test_spread(form, samples, seed, accumulate, value):
    """What the transpose of an all-equal kernel gives, without its products."""
    s, before, rig = normal(seed, samples, *form.made), normal(seed + 1, samples, *form.source), Rig(samples)
    r = rig.put(before, changes=True) if accumulate else rig.room(*form.source)
    rig.asm.spread(form, rig.put(s), r, value, accumulate=accumulate)
    expected, scale = convolve_back(form, s, np.full((*form.window.size, form.source[2], form.made[2]),
                                                     value))
    close(rig.run(team=1 + seed % 2).get(r), expected + before * accumulate, scale + accumulate,
          tolerance(()))


# --- copies and choices, to the bit
# ----------------------------------------------------------------------------------

@seeded
@given(convolutions(), batches, seeds)
def test_pad(form, samples, seed):
    """The map in the middle, zeros around it."""
    x, rig, (height, width) = normal(seed, samples, *form.source), Rig(samples), form.padded
    y = rig.room(height, width, form.source[2])
    rig.asm.emit(P.PAD, x=rig.put(x), y=y, **(geometry(form) | {"rows": height, "columns": width,
                                                                "filters": form.source[2]}))
    found = rig.run(team=1 + seed % 2).get(y)
    (top, bottom), (left, right) = form.pads
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))))


@seeded
@given(map_shapes, batches, seeds)
def test_parts_and_relu(shape, samples, seed):
    """x⁺ and x⁻, and the ReLU that is x⁺ under another name."""
    x, rig = normal(seed, samples, *shape), Rig(samples)
    positive, negative, relu, place = rig.room(*shape), rig.room(*shape), rig.room(*shape), rig.put(x)
    rig.asm.part(place, 1, positive, shape)
    rig.asm.part(place, -1, negative, shape)
    rig.asm.emit(P.RELU, x=place, y=relu, **extent(shape))
    rig.run(team=1 + seed % 2)
    np.testing.assert_array_equal(rig.get(positive), np.maximum(x, 0))
    np.testing.assert_array_equal(rig.get(negative), np.minimum(x, 0))
    np.testing.assert_array_equal(rig.get(relu), np.maximum(x, 0))


@seeded
@given(map_shapes, batches, seeds)
def test_minus(shape, samples, seed):
    """x - w for a number, one for each channel, and one for each place."""
    x, rig = normal(seed, samples, *shape), Rig(samples)
    place = rig.put(x)
    for bound in (0.5, normal(seed + 1, shape[-1]), normal(seed + 2, *shape)):
        y = rig.room(*shape)
        rig.asm.minus(place, bound, y, shape)
        found = rig.run(team=1 + seed % 2).get(y)
        np.testing.assert_array_equal(found, x.astype(found.dtype) - np.asarray(bound, found.dtype))


@seeded
@given(map_shapes, st.integers(1, 2), fans, seeds, st.booleans(), st.booleans())
def test_combine(shape, samples, fan, seed, times, accumulate):
    """y = [y +] [times ·] x, rounded once or twice; never a -0, which would tell what else was added."""
    x, factor, before = (whole_numbers(seed + k, n, *shape) for k,
                         n in enumerate((samples * fan, samples, samples * fan)))
    rig = Rig(samples, fan)
    rig.asm.backward = True
    y = rig.put(before, changes=True) if accumulate else rig.room(*shape)
    rig.asm.combine(rig.put(x), y, shape, times=rig.put(factor) if times else P.NONE, accumulate=accumulate)
    found = rig.run(team=1 + seed % 2).get(y)
    np.testing.assert_array_equal(found, x * (np.repeat(factor, fan, axis=0) if times else 1)
                                  + before * accumulate)
    assert not np.signbit(found[found == 0]).any()


@pytest.mark.parametrize("favoured, other, expected", [
    (WINNER, NO_CLASS, [[0, 0, 7, 0, 0], [0, 0, -5, 0, 0]]),
    (1, NO_CLASS, [[0, -2, 0, 0, 0], [0, -8, 0, 0, 0]]),
    (3, WINNER, [[0, 0, -7, 7, 0], [0, 0, 5, -5, 0]]), (WINNER, WINNER, [[0] * 5] * 2),
    (4, 0, [[-1, 0, 0, 0, 3], [9, 0, 0, 0, -6]])], ids=str)
def test_start(favoured, other, expected):
    """The favoured class has its own score, the other the negative of its own; of equal scores the first
    wins.
    """
    scores, rig = np.array([[1, -2, 7, 7, 3], [-9, -8, -5, -5, -6]], np.float32), Rig(2, fan=2)
    rig.favoured, rig.other = np.array([favoured, 4, 0, favoured]), np.array([other, NO_CLASS, NO_CLASS,
                                                                              other])
    rig.asm.backward = True
    r = rig.room(5)
    rig.asm.emit(P.START, x=rig.put(scores), y=r, **extent((5,)))
    np.testing.assert_array_equal(rig.run().get(r),
                                  [expected[0], [0, 0, 0, 0, 3], [-9, 0, 0, 0, 0], expected[1]])
