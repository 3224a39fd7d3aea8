"""Relevance from the image down to the samples of the file, against sums written out over the whole way."""
import math

import numpy as np
import pytest
import study
from carried import down
from study import HOP, RATE, SAMPLES, WINDOW, overlap
from test_inverse import rng

import features
from lrp_core import Trace

# From the image down; the two that need not be there are at the end.
STAGES = ("arrange", "colours", "resize", "stretch", "decibels", "mel", "spectrogram", "fit", "resample")
PASSING = ("arrange", "colours", "stretch", "decibels", "spectrogram", "fit", "resample")


def sweep(seconds, rate=RATE):
    """A sweep with noise: something in every band and at every moment."""
    t = np.arange(round(rate * seconds)) / rate
    return 0.4 * np.sin(2 * np.pi * (150 * t + 900 * t * t)) + 0.02 * rng(5).standard_normal(len(t))


def smallest_in_reach(decibels):
    """For every pixel: does its area hold only cells at the clip's minimum, which the stretch makes zero?"""
    low = decibels.T[::-1] == decibels.min()
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
    found = down(clip, relevance)
    names = [name for name in STAGES if name != "resample" or clip.sample_rate != RATE]
    assert [entry.name for entry in found.ledger][1:] == names
    np.testing.assert_array_equal(found.layers["arrange"], relevance)
    for name, below in zip(names, [*names[1:], "input"]):
        entry, above, below = found.ledger[name], found.layers[name], found.layers[below]
        assert entry.received == pytest.approx(math.fsum(above.ravel()), abs=1e-9)
        assert entry.passed == pytest.approx(math.fsum(below.ravel()), abs=1e-9)
        scale = np.abs(above).sum() + np.abs(below).sum()
        assert entry.turnover == pytest.approx(scale)
        missing = math.fsum(above.ravel()) - math.fsum(below.ravel()) - entry.gated
        assert abs(missing) <= 1e-10 * scale, name
        assert abs(entry.residual) <= 1e-10 * scale
        assert entry.bias == entry.stabilizer == entry.by_rule == entry.softmax == entry.state == 0
        assert name not in PASSING or abs(entry.gated) <= 1e-12 * scale, name
    unreachable = smallest_in_reach(clip.stage("decibels"))
    dropped = math.fsum(relevance.sum(axis=2)[unreachable])
    assert found.ledger["resize"].gated == pytest.approx(dropped, abs=1e-9)
    # silence, or no high bands in a recording at a low rate
    assert unreachable.any() == (case != "four seconds")
    assert found.relevance.shape == clip.original.shape and found.layers["fit"].shape == (SAMPLES,)
    assert found.relevance.dtype == np.float64


def test_a_silent_clip_drops_all_and_says_so():
    clip, relevance = features.open_clip(np.zeros(9000), 22_050), rng(7).standard_normal((64, 64, 3))
    found = down(clip, relevance)
    dropped = found.ledger["resize"]
    assert dropped.gated == pytest.approx(dropped.received, rel=1e-12) and dropped.passed == 0
    assert dropped.received == pytest.approx(relevance.sum())
    for name in ("stretch", "decibels", "mel", "spectrogram", "fit", "resample", "input"):
        assert not found.layers[name].any()
    assert all(abs(entry.residual) <= 1e-12 * entry.turnover for entry in found.ledger)


def silenced(clip, seconds):
    """The trace of a clip whose decibels speak of all of it, while its sound ends after some seconds."""
    sound = np.where(np.arange(SAMPLES) < seconds * RATE, clip.sound, 0)
    early = clip.front_end.open(sound, RATE).trace
    outputs = {name: (early if name in ("input", "fit", "spectrogram", "mel") else clip.trace).outputs[name]
               for name in clip.trace.outputs}
    return Trace(outputs, {**clip.trace.kept, "spectrogram": early.kept["spectrogram"]})


def test_bands_without_power_drop_what_they_hold_and_say_so():
    clip = features.open_clip(*CLIPS["four seconds"])
    found = down(clip, np.ones((64, 64, 3)), silenced(clip, 2))
    silent = math.ceil((2 * RATE + WINDOW / 2) / HOP)  # the first frame that sees nothing
    entry = found.ledger["mel"]
    assert entry.gated == pytest.approx(found.layers["mel"][silent:].sum()) and entry.gated > 3000
    assert abs(entry.residual) <= 1e-10 * entry.turnover
    assert not found.layers["fit"][2 * RATE:].any()


def test_only_the_sounding_half_of_a_clip_gets_relevance():
    clip = features.open_clip(*CLIPS["half silent"])
    found = down(clip, np.full((64, 64, 3), 1 / 3))
    samples = found.layers["fit"]
    assert not samples[2 * RATE:].any() and samples[:2 * RATE].any()
    assert not found.layers["spectrogram"][math.ceil((2 * RATE + WINDOW / 2) / HOP):].any()
    entry = found.ledger["resize"]
    assert 0 < entry.gated < entry.received == pytest.approx(4096)


@pytest.mark.parametrize("case", ["four seconds", "cut in its second time", "another rate, played twice"])
def test_single_samples_of_a_clip_get_what_the_sums_say(case):
    """The whole way once more, cell by cell, at samples drawn at random: filters, DFT, window, looping and
    resampling.
    """
    clip = features.open_clip(*CLIPS[case])
    found = down(clip, rng(8).standard_normal((64, 64, 3)))
    padded = np.concatenate((np.zeros(1024), clip.sound, np.zeros(1024)))
    window = np.array([(1 - math.cos(2 * math.pi * n / 2048)) / 2 for n in range(2048)])
    spectrum = np.stack([np.fft.fft(padded[m * 512:m * 512 + 2048] * window) for m in range(345)])[:, :1025]
    power, filters, mel = np.abs(spectrum) ** 2, study.mel_filters(), found.layers["mel"]
    share_of_power = np.divide(mel, power @ filters.T, out=np.zeros((345, 128)), where=mel != 0)
    weight = share_of_power @ filters  # c: the relevance of a cell over its power
    cells, samples = found.layers["spectrogram"], found.layers["fit"]
    np.testing.assert_allclose(cells, weight * power, rtol=0, atol=1e-10 * np.abs(cells).max())

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
        assert samples[n] == pytest.approx(clip.sound[n] * ratio_at(n), abs=1e-10 * np.abs(samples).max())
    for n in rng(10).choice(len(clip.original), 3):
        unit = np.zeros(len(clip.original))
        unit[n] = 1
        # where and how strongly this sample sounds
        played = study.fitted(study.resampled(unit, clip.sample_rate))
        expected = clip.original[n] * sum(played[at] * ratio_at(at) for at in np.flatnonzero(played))
        assert found.relevance[n] == pytest.approx(expected, abs=1e-10 * np.abs(found.relevance).max())


def test_channels_of_a_pixel_add_up():
    clip, relevance = features.open_clip(*CLIPS["four seconds"]), rng(11).standard_normal((64, 64, 3))
    added = np.zeros((64, 64, 3))
    added[..., 1] = relevance[..., 0] + relevance[..., 1] + relevance[..., 2]
    three, one = (down(clip, r).layers["fit"] for r in (relevance, added))
    np.testing.assert_allclose(three, one, rtol=0, atol=1e-12 * np.abs(one).max())
