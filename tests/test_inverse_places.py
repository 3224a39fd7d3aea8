"""Where relevance lands: in the moments and the bands of the cells that it was put on."""
import numpy as np
import pytest
import study
from carried import down
from study import RATE, SAMPLES
from test_inverse import rng

import features

EDGES = study.band_edges()


def placed(clip, image):
    """An image's relevance [64, 64], all of it on one colour, carried down: the ledger, and the relevance of
    mel bands [frames, bands], cells [frames, bins] and samples.
    """
    found = down(clip, np.stack([np.zeros((64, 64)), np.zeros((64, 64)), image], axis=-1))
    return found.ledger, *(found.layers[name] for name in ("mel", "spectrogram", "fit"))


def test_relevance_of_some_columns_lands_in_their_moments():
    """Columns i..j see frames floor(i·345/64) to ceil((j+1)·345/64) - 1, and a frame sees 1024 samples on
    either side.
    """
    clip = features.open_clip(rng(12).standard_normal(SAMPLES) / 9, RATE)
    for first, last in ((0, 0), (20, 23), (40, 40), (63, 63)):
        relevance = np.zeros((64, 64))
        relevance[:, first:last + 1] = 1
        _, _, cells, samples = placed(clip, relevance)
        frames = range(first * 345 // 64, -(-(last + 1) * 345 // 64))
        assert np.flatnonzero(cells.any(axis=1)).tolist() == list(frames)
        begin, end = max(frames[0] * 512 - 1024, 0), min(frames[-1] * 512 + 1024, SAMPLES)
        assert not samples[:begin].any() and not samples[end:].any()
        assert samples[begin:end].sum() == pytest.approx(relevance.sum())


def test_relevance_over_a_burst_lands_on_the_burst():
    """Silence takes none: all of it lies between the burst's first and last sample, most where the image was
    relevant.
    """
    y, burst = np.zeros(SAMPLES), slice(60_000, 90_000)
    y[burst] = rng(13).standard_normal(30_000) / 5
    clip = features.open_clip(y, RATE)
    relevance = np.zeros((64, 64))
    relevance[:, 15:40] = 1  # from well before the burst to well after it
    ledger, _, _, samples = placed(clip, relevance)
    arrived = samples.sum()
    assert samples[burst].sum() == pytest.approx(arrived, rel=1e-12) and arrived > 0
    assert not samples[:burst.start].any() and not samples[burst.stop:].any()
    assert arrived == pytest.approx(relevance.sum() - ledger["resize"].gated - ledger["mel"].gated)
    # Of the 17 frames only the outer two reach further than 512 samples beyond, each with 3.8 % of its own
    # (above).
    relevance[:, 15:26] = relevance[:, 29:] = 0
    *_, samples = placed(clip, relevance)
    begin, end = 26 * 345 / 64 * 512 - 512, 29 * 345 / 64 * 512 + 512
    assert np.abs(samples[round(begin):round(end)]).sum() >= 0.98 * np.abs(samples).sum()


@pytest.mark.parametrize("row", [5, 30, 50, 60])
def test_relevance_of_a_row_lands_in_its_two_bands(row):
    """Row r averages bands 126 - 2r and 127 - 2r, triangles from edge b to edge b + 2: nothing lies outside.
    """
    clip = features.open_clip(rng(14).standard_normal(SAMPLES) / 9, RATE)
    relevance = np.zeros((64, 64))
    relevance[row] = rng(15).random(64)
    _, mel, cells, _ = placed(clip, relevance)
    lower = 2 * (63 - row)
    assert np.flatnonzero(mel.any(axis=0)).tolist() == [lower, lower + 1]
    hertz = np.flatnonzero(cells.any(axis=0)) * RATE / 2048
    assert EDGES[lower] < hertz[0] and hertz[-1] < EDGES[lower + 3]
    assert cells.sum() == pytest.approx(relevance.sum())


@pytest.mark.parametrize("bin_", [40, 113, 402])
def test_a_tone_between_silent_bands_takes_what_its_rows_are_given(bin_):
    """A tone at a bin's own frequency has power 1/4, 1, 1/4 in three bins; each gets its part of the bands
    that see it.
    """
    clip = features.open_clip(np.sin(2 * np.pi * bin_ / 2048 * np.arange(SAMPLES)) / 2, RATE)
    filters = study.mel_filters()
    # its centre is the last one below the tone
    band = int(np.searchsorted(EDGES[1:-1], bin_ * RATE / 2048)) - 1
    row = 63 - band // 2
    relevance = np.zeros((64, 64))
    relevance[row, 10:50] = 1
    _, mel, cells, samples = placed(clip, relevance)
    by_bin = cells.sum(axis=0)
    assert by_bin[bin_ - 1:bin_ + 2].sum() == pytest.approx(relevance.sum(), rel=1e-9)
    power = np.zeros(1025)
    power[bin_ - 1:bin_ + 2] = 0.25, 1, 0.25
    expected = sum(mel[:, b].sum() * filters[b] * power / (filters[b] @ power)
                   for b in (band // 2 * 2, band // 2 * 2 + 1))
    np.testing.assert_allclose(by_bin, expected, rtol=0, atol=1e-9 * relevance.sum())
    # The sound of the tone's own moments, and, as |sin| is steady, nothing but the frames' reach beyond them.
    begin, end = 10 * 345 // 64 * 512 - 1024, -(-50 * 345 // 64) * 512 + 512
    assert samples[begin:end].sum() == pytest.approx(relevance.sum()) and not samples[:begin].any()
