"""Relevance on its way down to the sound, against sums written out, explicit matrices and differences of
powers.
"""
import dataclasses
import fractions
import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features
from features import audio, inverse, mel
from features.stft import HOP, WINDOW, stft

RATE, SAMPLES = 44_100, 176_400
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
    weight = generator.standard_normal(stft(y, window, hop).shape)
    return y, window, hop, weight


@seeded
@given(tiny_transforms())
def test_samples_get_what_the_definition_says(case):
    y, window, hop, weight = case
    cosine, sine = window_times_waves(len(y), window, hop)
    power = (cosine @ y) ** 2 + (sine @ y) ** 2
    found, ratio = inverse.cells_to_samples(weight, stft(y, window, hop), y, window, hop)
    expected = naive_relevance(y, weight * power, window, hop)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(y * ratio, found, rtol=0, atol=1e-12)
    assert abs(found.sum() - (weight * power).sum()) <= 1e-10


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

    _, ratio = inverse.cells_to_samples(weight, stft(y, window, hop), y, window, hop)
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
    found, _ = inverse.cells_to_samples(weight, stft(y), y)
    expected = np.zeros(len(y))
    for inside in range(WINDOW):
        n = middle - WINDOW // 2 + inside
        expected[n] = WINDOW / 2 * (math.sin(math.pi * inside / WINDOW) ** 2 * y[n]) ** 2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * expected.max())
    within = found[middle - WINDOW // 4:middle + WINDOW // 4].sum() / found.sum()
    assert within == pytest.approx(0.5 + 4 / (3 * math.pi), abs=1e-3)


# ---- area average and mel bands

def overlap(share, shares, cell, cells):
    """The part of share `share` of `shares` that cell `cell` of `cells` covers, in exact fractions."""
    width = fractions.Fraction(cells, shares)
    covered = min((share + 1) * width, cell + 1) - max(share * width, cell)
    return max(covered, 0) / width


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
    np.testing.assert_allclose(inverse.area_to_mel(pixels, level), expected, rtol=0,
                               atol=1e-12 * np.abs(expected).max())


def test_bands_hand_down_by_filter_times_power():
    generator = rng(4)
    filters, power = generator.random((5, 9)) * (generator.random((5, 9)) < 0.5), generator.random((9, 6))
    filters[2] = 0           # a band of no bins
    power[:, 3] = 0          # a silent frame
    power[filters[1] > 0, 4] = 0  # a silent band
    relevance = generator.standard_normal((5, 6))
    cells, dropped = np.zeros((9, 6)), 0.0
    for band in range(5):
        for frame in range(6):
            total = sum(filters[band, k] * power[k, frame] for k in range(9))
            for k in range(9):
                cells[k, frame] += (
                    filters[band, k] * power[k, frame] / total * relevance[band, frame] if total else 0
                )
            dropped += 0 if total else relevance[band, frame]
    weight = inverse.mel_to_cells(relevance, filters, power)
    np.testing.assert_allclose(weight * power, cells, rtol=0, atol=1e-12)
    assert np.isfinite(weight).all() and dropped != 0
    assert (weight * power).sum() == pytest.approx(relevance.sum() - dropped, abs=1e-12)


# ---- looping and resampling

@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 11_111])
@pytest.mark.parametrize("length", [1, 2, 7, 97, 4001])
def test_resampling_back_is_the_transpose(rate, length):
    """<H y, g> = <y, Hᵀ g>, and for short sounds the matrix itself, column by column."""
    generator = rng(length)
    y = generator.standard_normal(length)
    there = audio.resample(y, rate)
    g = generator.standard_normal(len(there))
    back = inverse.resample_back(g, rate, length)
    assert len(back) == length
    assert abs(there @ g - y @ back) <= 1e-10 * np.linalg.norm(there) * np.linalg.norm(g)
    if length <= 97:
        matrix = np.stack([audio.resample(unit, rate) for unit in np.eye(length)], axis=1)
        assert relative_error(back, matrix.T @ g) <= 1e-10


@seeded
@given(st.integers(1, 40), st.integers(1, 40))
def test_fitting_back_is_the_transpose(length, samples):
    """Of playing twice and padding, of playing twice and cutting, of cutting alone."""
    matrix = np.stack([audio.fit(unit, samples) for unit in np.eye(length)], axis=1)
    ratio = rng(samples).standard_normal(samples)
    np.testing.assert_allclose(audio.fit_back(ratio, length), matrix.T @ ratio, rtol=0, atol=1e-14)


def test_a_sound_played_twice_adds_both_times_up():
    np.testing.assert_array_equal(audio.fit_back(np.array([1.0, 2, 3, 10, 20, 30, 7, 7]), 3), [11, 22, 33])
    np.testing.assert_array_equal(audio.fit_back(np.array([1.0, 2, 3, 10, 20]), 3), [11, 22, 3])
    np.testing.assert_array_equal(audio.fit_back(np.array([1.0, 2]), 4), [1, 2, 0, 0])


# ---- from the image to the file

def sweep(seconds, rate=RATE):
    """A sweep with noise: something in every band and at every moment."""
    t = np.arange(round(rate * seconds)) / rate
    return 0.4 * np.sin(2 * np.pi * (150 * t + 900 * t * t)) + 0.02 * rng(5).standard_normal(len(t))


def smallest_in_reach(decibels):
    """For every pixel: does its area hold only cells at the clip's minimum, which the stretch makes zero?"""
    low = decibels[::-1] == decibels.min()
    rows = [[b for b in range(128) if overlap(i, 64, b, 128)] for i in range(64)]
    columns = [[m for m in range(345) if overlap(j, 64, m, 345)] for j in range(64)]
    return np.array([[low[np.ix_(bands, frames)].all() for frames in columns] for bands in rows])


CLIPS = {
    "four seconds": (sweep(4.0), RATE),
    "half silent": (np.concatenate((sweep(2.0), np.zeros(2 * RATE))), RATE),
    "short, so played twice": (sweep(0.9), RATE),
    "cut in its second time": (sweep(2.7, 22_050), 22_050),
    "another rate, played twice": (sweep(1.3, 48_000), 48_000),
    "too long": (sweep(5.0, 16_000), 16_000),
    "a click": (np.eye(1, 3000, 1200)[0], RATE),
}


@pytest.mark.parametrize("case", CLIPS)
def test_each_step_conserves_and_books_what_silence_drops(case):
    clip = features.open_clip(*CLIPS[case])
    relevance = rng(6).standard_normal((64, 64, 3)) + 0.2
    found = features.relevance_to_sound(clip, relevance)
    rooms = [relevance, found.pixels, found.mel, found.cells, found.samples, found.original]
    assert [step.name for step in found.steps] == ["colours", "area average", "mel bands", "STFT",
                                                   "loop and resampling"]
    for step, above, below in zip(found.steps, rooms, rooms[1:]):
        assert step.received == pytest.approx(math.fsum(above.ravel()), abs=1e-9)
        assert step.passed == pytest.approx(math.fsum(below.ravel()), abs=1e-9)
        scale = np.abs(above).sum() + np.abs(below).sum()
        assert step.turnover == pytest.approx(scale)
        missing = math.fsum(above.ravel()) - math.fsum(below.ravel()) - step.dropped
        assert abs(missing) <= 1e-10 * scale, step.name
        assert abs(step.residual) <= 1e-10 * scale
    unreachable = smallest_in_reach(clip.decibels)
    assert found.steps[1].dropped == pytest.approx(math.fsum(relevance.sum(axis=2)[unreachable]), abs=1e-9)
    # silence, or no high bands in a recording at a low rate
    assert unreachable.any() == (case != "four seconds")
    assert [found.steps[index].dropped for index in (0, 3, 4)] == [0, 0, 0]
    assert len(found.original) == len(clip.original) and len(found.samples) == SAMPLES


def test_a_silent_clip_drops_all_and_says_so():
    clip, relevance = features.open_clip(np.zeros(9000), 22_050), rng(7).standard_normal((64, 64))
    found = features.relevance_to_sound(clip, relevance)
    assert found.steps[1].dropped == found.steps[1].received == pytest.approx(relevance.sum())
    for room in (found.mel, found.cells, found.samples, found.original):
        assert not room.any()
    assert all(step.residual == 0 for step in found.steps)


def test_bands_without_power_drop_what_they_hold_and_say_so():
    """Of a Clip put together by hand: its decibels speak of four seconds, its sound ends after two."""
    clip = features.open_clip(*CLIPS["four seconds"])
    halved = dataclasses.replace(clip, sound=np.where(np.arange(SAMPLES) < 2 * RATE, clip.sound, 0))
    found = features.relevance_to_sound(halved, np.ones((64, 64)))
    silent = math.ceil((2 * RATE + WINDOW / 2) / HOP)  # the first frame that sees nothing
    assert found.steps[2].dropped == pytest.approx(found.mel[:,
                                                             silent:].sum()) and found.steps[2].dropped > 1000
    assert abs(found.steps[2].residual) <= 1e-10 * found.steps[2].turnover


def test_only_the_sounding_half_of_a_clip_gets_relevance():
    clip = features.open_clip(*CLIPS["half silent"])
    found = features.relevance_to_sound(clip, np.ones((64, 64)))
    assert not found.samples[2 * RATE:].any() and found.samples[:2 * RATE].any()
    assert not found.cells[math.ceil((2 * RATE + WINDOW / 2) / HOP):].any()
    assert 0 < found.steps[1].dropped < found.steps[1].received == 4096


@pytest.mark.parametrize("case", ["four seconds", "cut in its second time", "another rate, played twice"])
def test_single_samples_of_a_clip_get_what_the_sums_say(case):
    """The whole way once more, cell by cell, at samples drawn at random: filters, DFT, window, looping and
    resampling.
    """
    clip = features.open_clip(*CLIPS[case])
    relevance = rng(8).standard_normal((64, 64))
    found = features.relevance_to_sound(clip, relevance)
    padded = np.concatenate((np.zeros(1024), clip.sound, np.zeros(1024)))
    window = np.array([(1 - math.cos(2 * math.pi * n / 2048)) / 2 for n in range(2048)])
    spectrum = np.stack([np.fft.fft(padded[m * 512:m * 512 + 2048] * window) for m in range(345)])[:, :1025]
    power, filters = np.abs(spectrum) ** 2, mel.mel_filters(44_100.0)
    share_of_power = np.divide(found.mel, filters @ power.T, out=np.zeros((128, 345)), where=found.mel != 0)
    weight = (filters.T @ share_of_power).T  # c: the relevance of a cell over its power
    np.testing.assert_allclose(found.cells, weight * power, rtol=0, atol=1e-10 * np.abs(found.cells).max())

    def ratio_at(n):
        """R_n / y_n at sample n of the four seconds."""
        total, k = 0.0, np.arange(1025)
        for m in range(345):
            inside = n - m * 512 + 1024
            if 0 <= inside < 2048:
                wave = (spectrum[m] * np.exp(2j * np.pi * k * inside / 2048)).real
                total += window[inside] * (weight[m] * wave).sum()
        return total

    for n in rng(9).choice(np.flatnonzero(clip.sound), 8):
        assert found.samples[n] == pytest.approx(clip.sound[n] * ratio_at(n),
                                                 abs=1e-10 * np.abs(found.samples).max())
    for n in rng(10).choice(len(clip.original), 3):
        unit = np.zeros(len(clip.original))
        unit[n] = 1
        # where and how strongly this sample sounds
        played = audio.fit(audio.resample(unit, clip.sample_rate), SAMPLES)
        expected = clip.original[n] * sum(played[at] * ratio_at(at) for at in np.flatnonzero(played))
        assert found.original[n] == pytest.approx(expected, abs=1e-10 * np.abs(found.original).max())


def test_channels_of_a_pixel_add_up():
    clip, relevance = features.open_clip(*CLIPS["four seconds"]), rng(11).standard_normal((64, 64, 3))
    added = relevance[..., 0] + relevance[..., 1] + relevance[..., 2]
    three, one = (features.relevance_to_sound(clip, r) for r in (relevance, added))
    np.testing.assert_allclose(three.samples, one.samples, rtol=0, atol=1e-12 * np.abs(one.samples).max())
