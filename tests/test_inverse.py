"""Each step of relevance on its way down to the sound, against sums written out, explicit matrices and
differences of powers.
"""
import functools
import math

import numpy as np
import pytest
import study
from carried import cross
from hypothesis import given, settings
from hypothesis import strategies as st
from study import HOP, RATE, WINDOW, overlap

from features import steps

seeded = settings(max_examples=40, derandomize=True, deadline=None, database=None)


def rng(seed=0):
    """A generator of its own for each test."""
    return np.random.default_rng(seed)


def relative_error(found, expected):
    """The largest difference, over the largest expected value."""
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-300)


# ---- power and STFT: cells to samples

@functools.cache
def window_times_waves(length, window, hop):
    """w_{n-mH} cos θ and w_{n-mH} sin θ, θ = 2πk(n-mH)/N, for every frame m, bin k and sample n: two [frames,
    bins, length].

    Frame m begins window // 2 samples before sample m·H; what it sees beyond the sound is zero and left out.
    """
    frames = (length + 2 * (window // 2) - window) // hop + 1
    cosine, sine = np.zeros((2, frames, window // 2 + 1, length))
    for m in range(frames):
        for k in range(window // 2 + 1):
            for inside in range(window):
                n = m * hop + inside - window // 2
                if 0 <= n < length:
                    w, angle = ((1 - math.cos(2 * math.pi * inside / window)) / 2,
                                2 * math.pi * k * inside / window)
                    cosine[m, k, n], sine[m, k, n] = w * math.cos(angle), w * math.sin(angle)
    return cosine, sine


def naive_relevance(y, cells, window, hop):
    """R_n = Σ_{m,k} R_{m,k} · y_n w_{n-mH} Re[Y_{m,k} e^{iθ}] / P_{m,k} over the cells that are not silent.
    """
    cosine, sine = window_times_waves(len(y), window, hop)
    real, imaginary = cosine @ y, -sine @ y
    found = np.zeros(len(y))
    for m, k in np.argwhere(real ** 2 + imaginary ** 2 > 0):
        power = real[m, k] ** 2 + imaginary[m, k] ** 2
        for n in range(len(y)):
            wave = real[m, k] * cosine[m, k, n] - imaginary[m, k] * sine[m, k, n]
            found[n] += cells[m, k] * y[n] * wave / power
    return found


@st.composite
def tiny_transforms(draw):
    """A signal, zeros in some places, the window and hop to look at it with, and a weight for every cell."""
    window, hop = draw(st.sampled_from([8, 9, 11, 12, 16])), draw(st.integers(2, 6))
    length, seed = draw(st.integers(12, 30)), draw(st.integers(0, 10**6))
    generator = rng(seed)
    y = generator.standard_normal(length)
    silent_from, silent_to = sorted(draw(st.tuples(st.integers(0, length), st.integers(0, length))))
    y[silent_from:silent_to] = 0
    weight = generator.standard_normal(study.stft(y, window, hop).shape)
    return y, window, hop, weight


@seeded
@given(tiny_transforms())
def test_samples_get_what_the_definition_says(case):
    y, window, hop, weight = case
    cosine, sine = window_times_waves(len(y), window, hop)
    power = (cosine @ y) ** 2 + (sine @ y) ** 2
    found, book = cross(steps.Spectrogram(window, hop), y, weight * power)
    expected = naive_relevance(y, weight * power, window, hop)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    assert abs(found.sum() - (weight * power).sum()) <= 1e-10 and abs(book.gated[0]) <= 1e-12
    ratio = steps.Frames(window, hop).adjoint([weight * study.stft(y, window, hop)], len(y))
    np.testing.assert_allclose(y * ratio, found, rtol=0, atol=1e-12)


@seeded
@given(tiny_transforms(), st.sampled_from([0.5, 1.0, 1.7, 3.0]))
def test_samples_get_the_same_whatever_the_power_of_the_magnitude(case, exponent):
    """Relevance of a cell goes to its samples by their share of |Y|², whatever was made of |Y|."""
    y, window, hop, weight = case
    found, _ = cross(steps.Spectrogram(window, hop, power=exponent), y, weight)
    expected, _ = cross(steps.Spectrogram(window, hop), y, weight)
    np.testing.assert_array_equal(found, expected)


def test_relevance_of_silent_cells_is_booked_as_gated():
    y = np.concatenate((rng(3).standard_normal(40), np.zeros(60)))
    weight = rng(4).standard_normal(study.stft(y, 16, 4).shape)
    found, book = cross(steps.Spectrogram(16, 4), y, weight)
    silent = np.abs(study.stft(y, 16, 4)) < 1e-15
    assert silent.any(axis=1).sum() >= 13 and book.gated[0] == pytest.approx(weight[silent].sum(), abs=1e-10)
    assert found.sum() + book.gated[0] == pytest.approx(weight.sum(), abs=1e-10) and not found[40:].any()


@seeded
@given(tiny_transforms())
def test_ratios_are_half_the_slope_of_the_weighted_power_at_zeros_too(case):
    """F(y) = Σ c·P(y) is quadratic, so a central difference is its slope exactly; R / y is half of it, be y
    zero or not.
    """
    y, window, hop, weight = case
    cosine, sine = window_times_waves(len(y), window, hop)

    def weighted_power(signal):
        return (weight * ((cosine @ signal) ** 2 + (sine @ signal) ** 2)).sum()

    ratio = steps.Frames(window, hop).adjoint([weight * study.stft(y, window, hop)], len(y))
    for n, step in enumerate(np.eye(len(y))):
        slope = (weighted_power(y + step) - weighted_power(y - step)) / 2
        assert abs(ratio[n] - slope / 2) <= 1e-10


def test_a_frame_of_flat_weight_is_shared_as_windowed_energy():
    """With c = 1 for inner bins and 1/2 for the two outer ones Parseval's theorem gives R_n = N/2 · (w_n
    y_n)².

    Where |y| is constant, (w_n)² = cos⁴ puts 1/2 + 4/(3π) = 92.4 % of it within a quarter window of the
    frame's middle.
    """
    y, middle, frame = rng(1).choice([-0.3, 0.3], 20 * HOP), 8 * HOP, 8
    weight = np.zeros((21, WINDOW // 2 + 1))
    weight[frame], weight[frame, [0, -1]] = 1, 0.5
    found, _ = cross(steps.Spectrogram(), y, weight * np.abs(study.stft(y)) ** 2)
    expected = np.zeros(len(y))
    for inside in range(WINDOW):
        n = middle - WINDOW // 2 + inside
        expected[n] = WINDOW / 2 * (math.sin(math.pi * inside / WINDOW) ** 2 * y[n]) ** 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * expected.max())
    within = found[middle - WINDOW // 4:middle + WINDOW // 4].sum() / found.sum()
    assert within == pytest.approx(0.5 + 4 / (3 * math.pi), abs=1e-3)


# ---- area average and mel bands

@pytest.mark.parametrize("shape", [(128, 345), (70, 67), (64, 64), (40, 130)])
def test_pixels_hand_down_by_covered_area_times_level(shape):
    bands, frames = shape
    level, pixels = rng(2).random(shape), rng(3).standard_normal((64, 64))
    level[:10, :20] = 0  # nothing stands there
    level[-1] = 0
    rows = [[(b, float(overlap(i, 64, b, bands))) for b in range(bands) if overlap(i, 64, b, bands)]
            for i in range(64)]
    columns = [[(m, float(overlap(j, 64, m, frames))) for m in range(frames) if overlap(j, 64, m, frames)]
               for j in range(64)]
    expected = np.zeros(shape)
    for i in range(64):
        for j in range(64):
            parts = {(b, m): high * wide * level[b, m] for b, high in rows[i] for m, wide in columns[j]}
            total = sum(parts.values())
            for place, part in parts.items():
                expected[place] += part / total * pixels[i, j] if total else 0
    # Here [frames, bands], the lowest band first: the image has rows from the highest band down.
    found, book = cross(steps.AreaResize(64, 64), level[::-1].T, pixels[::-1].T)
    np.testing.assert_allclose(found.T[::-1], expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert book.gated[0] == pytest.approx(pixels.sum() - expected.sum(), abs=1e-9)
    assert shape != (128, 345) or abs(book.gated[0]) > 1e-3


class Filters(steps.Mel):
    """A Mel with filters of our own."""
    @property
    def kernel(self):
        return self.filters


def test_bands_hand_down_by_filter_times_power():
    """Filters made up, with a band of no bins; a frame and a band that are silent."""
    generator = rng(4)
    filters, power = generator.random((5, 9)) * (generator.random((5, 9)) < 0.5), generator.random((9, 6))
    filters[2] = 0           # a band of no bins
    power[:, 3] = 0          # a silent frame
    power[filters[1] > 0, 4] = 0  # a silent band
    relevance = generator.standard_normal((5, 6))
    cells, dropped = naive_cells(relevance, filters, power)
    layer = Filters(n_fft=16, n_mels=5)
    object.__setattr__(layer, "filters", filters.T)
    found, book = cross(layer, power.T, relevance.T)
    np.testing.assert_allclose(found.T, cells, rtol=0, atol=1e-12)
    assert dropped != 0 and book.gated[0] == pytest.approx(dropped, abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"htk": True, "norm": None}, {"fmin": 300.0, "fmax": 5000.0},
                                     {"n_mels": 200}])
def test_bands_of_mel_hand_down_by_filter_times_power(options):
    """Mel's own filters, which are multiplied sixteen bands at a time; narrow ones see no bin."""
    layer = steps.Mel(16_000, 256, **{"n_mels": 40, **options})
    generator = rng(5)
    power, relevance = generator.random((129, 7)), generator.standard_normal((layer.n_mels, 7))
    power[:, 3] = 0
    filters = layer.kernel.T
    cells, dropped = naive_cells(relevance, filters, power)
    found, book = cross(layer, power.T, relevance.T)
    np.testing.assert_allclose(found.T, cells, rtol=0, atol=1e-12 * np.abs(cells).max())
    assert dropped != 0 and book.gated[0] == pytest.approx(dropped, abs=1e-12)
    assert (options == {"n_mels": 200}) == (not filters.any(axis=1).all())


def naive_cells(relevance, filters, power):
    """(R [bins, frames], what no cell could take): each band's relevance by filter times power."""
    cells, dropped = np.zeros(power.shape), 0.0
    for band, frame in np.ndindex(relevance.shape):
        total = sum(filters[band, k] * power[k, frame] for k in range(len(power)))
        for k in range(len(power)):
            part = filters[band, k] * power[k, frame] / total if total else 0
            cells[k, frame] += part * relevance[band, frame]
        dropped += 0 if total else relevance[band, frame]
    return cells, dropped


# ---- looping and resampling

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 11_111]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [1, 2, 7, 97, 4001])
def test_resampling_back_is_the_transpose(rate, length):
    """<H y, g> = <y, Hᵀ g>, and for short sounds the matrix itself, column by column."""
    generator, layer = rng(length), steps.Resample(rate, RATE)
    y = generator.standard_normal(length)
    (there,) = layer.forward(y[None])
    g = generator.standard_normal(len(there))
    (back,) = layer.adjoint(g[None], None, (length,))
    assert len(back) == length
    assert abs(there @ g - y @ back) <= 1e-10 * np.linalg.norm(there) * np.linalg.norm(g)
    if length <= 97:
        matrix = layer.forward(np.eye(length)).T
        assert relative_error(back, matrix.T @ g) <= 1e-10


@seeded
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["twice", "loop", "zeros"]))
def test_fitting_back_is_the_transpose(length, samples, short):
    """Of playing twice and padding, of playing twice and cutting, of cutting alone; of loops and of zeros."""
    layer = steps.Fit(samples, short)
    matrix = layer.forward(np.eye(length)).T
    ratio = rng(samples).standard_normal(samples)
    np.testing.assert_allclose(layer.back(ratio[None], (length,))[0][0], matrix.T @ ratio, rtol=0, atol=1e-14)


def fit_back(relevance, length, short="twice"):
    """(relevance of a sound of this length, what fell on the silence after it)."""
    r_in, book = cross(steps.Fit(len(relevance), short), np.ones(length), relevance)
    return r_in.tolist(), book.gated[0]


def test_a_sound_played_twice_adds_both_times_up():
    assert fit_back([1.0, 2, 3, 10, 20, 30, 7, 7], 3) == ([11, 22, 33], 14)
    assert fit_back([1.0, 2, 3, 10, 20], 3) == ([11, 22, 3], 0)
    assert fit_back([1.0, 2], 4) == ([1, 2, 0, 0], 0)


def test_a_loop_adds_all_times_up_and_zeros_are_gated():
    assert fit_back([1.0, 2, 3, 10, 20, 30, 7, 7], 3, "loop") == ([18, 29, 33], 0)
    assert fit_back([1.0, 2, 3, 10, 20, 30, 7, 7], 3, "zeros") == ([1, 2, 3], 74)
