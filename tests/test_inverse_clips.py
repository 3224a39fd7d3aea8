"""Relevance down to the sound of real clips, by every preset: the logit is at the waveform or in the ledger;
bad input is refused.
"""
import dataclasses
import math

import numpy as np
import pytest

import features
import lrp_core
from audio_lrp.journey import down_to_sound

RATE = 44_100


@pytest.mark.parametrize(("relevance", "message"), [
    (np.zeros((63, 64)), r"\(63, 64\)"), (np.zeros((3, 64, 64)), r"\(3, 64, 64\)"),
    (np.zeros(64), r"\(64,\)"),
    (np.zeros((1, 64, 64, 3)), r"\(1, 64, 64, 3\)"), (np.zeros((64, 64, 3, 1)), r"\(64, 64, 3, 1\)"),
    (np.float64(1), r"\(\)"),
    (np.full((64, 64), np.nan), "NaN or infinity"), (np.where(np.eye(64), np.inf, 0), "NaN or infinity"),
    (np.where(np.eye(64), -np.inf, 0)[..., None], "NaN or infinity")])
def test_unusable_relevance_is_refused_by_the_clips_name(relevance, message):
    with pytest.raises(ValueError, match=rf"^array: .*{message}"):
        features.relevance_to_sound(features.open_clip(np.ones(99), RATE), relevance)


@pytest.fixture(scope="module")
def real_sounds(real_clips):
    """All real clips; where a recording ends early, its silence is cut off, so that it is played twice."""
    opened = [features.open_clip(path) for path in real_clips]
    return [features.open_clip(np.trim_zeros(clip.original, "b"), clip.sample_rate) for clip in opened]


def test_some_real_clips_are_played_twice(real_sounds):
    lengths = {len(clip.original) for clip in real_sounds}
    assert max(lengths) == 88_200 and min(lengths) < 10_000 and len(real_sounds) >= 24


@pytest.mark.parametrize("preset", lrp_core.PRESETS)
def test_the_logit_is_at_the_waveform_or_in_the_books(urban_sounds, real_sounds, preset):
    """logit = Σ relevance of the file's own samples + what biases, stabilizer, gates and silence took, for
    every clip.
    """
    batch = lrp_core.explain(urban_sounds, np.stack([clip.image for clip in real_sounds]), preset)
    for index, clip in enumerate(real_sounds):
        e = batch[index]
        sound, ledger = down_to_sound(clip, e)
        logit = float(e.logits[e.target])
        booked = math.fsum(entry.bias + entry.stabilizer + entry.gated for entry in e.ledger)
        dropped = math.fsum(step.dropped for step in sound.steps)
        missing = logit - math.fsum(sound.original) - booked - dropped
        assert abs(missing) <= 1e-5 * max(abs(logit), 1), (clip.name, missing)
        for step in sound.steps:
            assert abs(step.received - step.passed - step.dropped) <= 1e-14 * step.turnover, (clip.name, step)
        assert ledger.total.received == e.ledger.start
        assert ledger.total.passed == pytest.approx(math.fsum(sound.original), abs=1e-9)
        assert abs(ledger.total.residual - missing) <= 1e-6 * max(abs(logit), 1)
        for entry in (*ledger, ledger.total):
            assert abs(entry.residual) <= 1e-13 * entry.turnover, (clip.name, entry)
        assert [entry.gated for entry in ledger.entries[-5:]] == [step.dropped for step in sound.steps]


def test_a_front_end_that_loses_relevance_is_not_believed(urban_sounds, monkeypatch):
    clip = features.open_clip(np.random.default_rng(0).standard_normal(RATE), RATE)
    e = lrp_core.explain(urban_sounds, clip.image)
    honest = features.relevance_to_sound(clip, e.relevance)
    lossy = [dataclasses.replace(step, passed=step.passed + 0.01 * step.turnover) for step in honest.steps]
    monkeypatch.setattr("audio_lrp.journey.relevance_to_sound",
                        lambda *_: dataclasses.replace(honest, steps=tuple(lossy)))
    with pytest.raises(lrp_core.ConservationError, match=lossy[0].name):
        down_to_sound(clip, e)


def test_a_front_end_step_must_close_to_double_precision(urban_sounds, monkeypatch):
    clip = features.open_clip(np.random.default_rng(0).standard_normal(RATE), RATE)
    e = lrp_core.explain(urban_sounds, clip.image)
    honest = features.relevance_to_sound(clip, e.relevance)
    lossy = [dataclasses.replace(step, passed=step.passed + 1e-8 * step.turnover) for step in honest.steps]
    monkeypatch.setattr("audio_lrp.journey.relevance_to_sound",
                        lambda *_: dataclasses.replace(honest, steps=tuple(lossy)))
    with pytest.raises(lrp_core.ConservationError, match=lossy[0].name):
        down_to_sound(clip, e)
