"""Where relevance lands: in the moments and the bands of the cells that it was put on."""
import numpy as np
import pytest
from test_inverse import RATE, SAMPLES, rng

import features
from features import mel

# ---- where relevance lands

def test_relevance_of_some_columns_lands_in_their_moments():
    """Columns i..j see frames floor(i·345/64) to ceil((j+1)·345/64) - 1, and a frame sees 1024 samples on
    either side.
    """
    clip = features.open_clip(rng(12).standard_normal(SAMPLES) / 9, RATE)
    for first, last in ((0, 0), (20, 23), (40, 40), (63, 63)):
        relevance = np.zeros((64, 64))
        relevance[:, first:last + 1] = 1
        found = features.relevance_to_sound(clip, relevance)
        frames = range(first * 345 // 64, -(-(last + 1) * 345 // 64))
        assert np.flatnonzero(found.cells.any(axis=1)).tolist() == list(frames)
        begin, end = max(frames[0] * 512 - 1024, 0), min(frames[-1] * 512 + 1024, SAMPLES)
        assert not found.samples[:begin].any() and not found.samples[end:].any()
        assert found.samples[begin:end].sum() == pytest.approx(relevance.sum())


def test_relevance_over_a_burst_lands_on_the_burst():
    """Silence takes none: all of it lies between the burst's first and last sample, most where the image was
    relevant.
    """
    y, burst = np.zeros(SAMPLES), slice(60_000, 90_000)
    y[burst] = rng(13).standard_normal(30_000) / 5
    clip = features.open_clip(y, RATE)
    relevance = np.zeros((64, 64))
    relevance[:, 15:40] = 1  # from well before the burst to well after it
    found = features.relevance_to_sound(clip, relevance)
    arrived = found.samples.sum()
    assert found.samples[burst].sum() == arrived > 0
    assert arrived == pytest.approx(relevance.sum() - found.steps[1].dropped - found.steps[2].dropped)
    # Of the 17 frames only the outer two reach further than 512 samples beyond, each with 3.8 % of its own
    # (above).
    relevance[:, 15:26] = relevance[:, 29:] = 0
    found = features.relevance_to_sound(clip, relevance)
    begin, end = 26 * 345 / 64 * 512 - 512, 29 * 345 / 64 * 512 + 512
    assert np.abs(found.samples[round(begin):round(end)]).sum() >= 0.98 * np.abs(found.samples).sum()


@pytest.mark.parametrize("row", [5, 30, 50, 60])
def test_relevance_of_a_row_lands_in_its_two_bands(row):
    """Row r averages bands 126 - 2r and 127 - 2r, triangles from edge b to edge b + 2: nothing lies outside.
    """
    clip = features.open_clip(rng(14).standard_normal(SAMPLES) / 9, RATE)
    relevance = np.zeros((64, 64))
    relevance[row] = rng(15).random(64)
    found = features.relevance_to_sound(clip, relevance)
    lower, edges = 2 * (63 - row), features.band_edges(RATE)
    assert np.flatnonzero(found.mel.any(axis=1)).tolist() == [lower, lower + 1]
    hertz = np.flatnonzero(found.cells.any(axis=0)) * RATE / 2048
    assert edges[lower] < hertz[0] and hertz[-1] < edges[lower + 3]
    assert found.cells.sum() == pytest.approx(relevance.sum())


@pytest.mark.parametrize("bin_", [40, 113, 402])
def test_a_tone_between_silent_bands_takes_what_its_rows_are_given(bin_):
    """A tone at a bin's own frequency has power 1/4, 1, 1/4 in three bins; each gets its part of the bands
    that see it.
    """
    clip = features.open_clip(np.sin(2 * np.pi * bin_ / 2048 * np.arange(SAMPLES)) / 2, RATE)
    edges, filters = features.band_edges(RATE), mel.mel_filters(44_100.0)
    # its centre is the last one below the tone
    band = int(np.searchsorted(edges[1:-1], bin_ * RATE / 2048)) - 1
    row = 63 - band // 2
    relevance = np.zeros((64, 64))
    relevance[row, 10:50] = 1
    found = features.relevance_to_sound(clip, relevance)
    by_bin = found.cells.sum(axis=0)
    assert by_bin[bin_ - 1:bin_ + 2].sum() == pytest.approx(relevance.sum(), rel=1e-9)
    power = np.zeros(1025)
    power[bin_ - 1:bin_ + 2] = 0.25, 1, 0.25
    expected = sum(found.mel[b].sum() * filters[b] * power / (filters[b] @ power)
                   for b in (band // 2 * 2, band // 2 * 2 + 1))
    np.testing.assert_allclose(by_bin, expected, rtol=0, atol=1e-9 * relevance.sum())
    # The sound of the tone's own moments, and, as |sin| is steady, nothing but the frames' reach beyond them.
    begin, end = 10 * 345 // 64 * 512 - 1024, -(-50 * 345 // 64) * 512 + 512
    assert (found.samples[begin:end].sum() == pytest.approx(relevance.sum())
            and not found.samples[:begin].any())
