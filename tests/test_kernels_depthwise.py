"""Depthwise convolutions and their transposes against sums written out; the clip of ReLU6."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_runner import (  # noqa: F401
    Form,
    P,
    Rig,
    batches,
    channel_counts,
    close,
    fans,
    form_of,
    meetings,
    normal,
    precision,
    seeded,
    seeds,
    tolerance,
)

from lrp_core.numba_engine.ops import extent

steps = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def forms(draw):
    """A Form of a depthwise convolution: any window, stride, dilation and padding that leaves an output."""
    size, strides, dilation = draw(steps), draw(steps), draw(steps)
    reach = [(n - 1) * d + 1 for n, d in zip(size, dilation)]
    padding = draw(st.sampled_from(["same", "valid", "margins"]))
    if padding == "margins":
        padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in size)
    least = [1 if padding == "same" else n if padding == "valid" else max(1, n - sum(padding[axis]))
             for axis, n in enumerate(reach)]
    height, width = (draw(st.integers(n, n + 6)) for n in least)
    channels = draw(channel_counts)
    return form_of(Form, size, (height, width, channels), channels, strides, padding, dilation)


def weights(seed, form):
    """[kh, kw, c, 1]; now and then [1, 1, c, 1], the same at every place, as a mean has them."""
    return normal(seed, *(form.window.size if seed % 4 else (1, 1)), form.source[2], 1)


def by_hand(form, x, kernel, bias):
    """y[n, i, j, c] = b[c] + Σ x[n, row, column, c] W[u, v, c], in double precision."""
    y = np.tile(np.float64(bias), (len(x), *form.made[:2], 1))
    taps = np.broadcast_to(kernel, (*form.window.size, *kernel.shape[2:]))
    for (i, j), (row, column), (u, v) in meetings(form):
        y[:, i, j] += np.float64(x[:, row, column]) * taps[u, v, :, 0]
    return y


@seeded
@given(forms(), batches, seeds, st.booleans(), st.booleans(), st.booleans())
def test_depthwise(form, samples, seed, rectify, accumulate, biased):
    x, kernel = normal(seed, samples, *form.source), weights(seed + 1, form)
    bias = normal(seed + 2, form.made[2]) if biased else None
    before = normal(seed + 3, samples, *form.made)
    rig = Rig(samples)
    y = rig.put(before, changes=True) if accumulate else rig.room(*form.made)
    rig.asm.depthwise(form, kernel, bias, rig.put(x), y, rectify=rectify, accumulate=accumulate)
    rig.run(team=1 + seed % 2)
    expected = by_hand(form, x, kernel, bias if biased else 0 * kernel[0, 0, :, 0])
    expected += before if accumulate else 0
    close(rig.get(y), np.maximum(expected, 0) if rectify else expected, max(np.abs(expected).max(), 1),
          tolerance(rig.asm.ops))


@seeded
@given(forms(), st.integers(1, 2), fans, seeds, st.booleans(), st.booleans())
def test_the_way_back_is_the_transpose(form, samples, fan, seed, times, accumulate):
    kernel = weights(seed, form)
    s, x = normal(seed + 1, samples * fan, *form.made), normal(seed + 2, samples, *form.source)
    before = normal(seed + 3, samples * fan, *form.source)
    rig = Rig(samples, fan)
    factor = rig.put(x) if times else P.NONE
    r = rig.put(before, changes=True) if accumulate else rig.room(*form.source)
    rig.asm.backward = True
    rig.asm.depthwise_back(form, kernel, rig.put(s), r, times=factor, accumulate=accumulate)
    rig.run(team=1 + seed % 2)
    expected = np.zeros((samples * fan, *form.source))
    taps = np.broadcast_to(kernel, (*form.window.size, *kernel.shape[2:]))
    for (i, j), (row, column), (u, v) in meetings(form):
        expected[:, row, column] += np.float64(s[:, i, j]) * taps[u, v, :, 0]
    expected = expected * np.repeat(x, fan, axis=0) if times else expected
    expected += before if accumulate else 0
    close(rig.get(r), expected, max(np.abs(expected).max(), 1), tolerance(rig.asm.ops))


@seeded
@given(st.tuples(st.integers(1, 7), st.integers(1, 7), channel_counts), batches, seeds)
def test_clip(shape, samples, seed):
    x, rig = 5 * normal(seed, samples, *shape), Rig(samples)
    x.flat[seed % x.size] = np.nan
    y = rig.room(*shape)
    rig.asm.emit(P.CLIP, x=rig.put(x), y=y, highest=6.0, **extent(shape))
    np.testing.assert_array_equal(rig.run().get(y), np.clip(x, 0, 6))
