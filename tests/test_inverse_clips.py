"""Relevance down to the sound of real clips, by every preset: the logit is at the waveform or in the ledger;
bad input is refused, and a step that loses relevance is not believed.
"""
import math

import numpy as np
import pytest
from carried import down, explanation_of
from test_inverse_sounds import STAGES

import features
import lrp_core

RATE = 44_100


@pytest.mark.parametrize(("relevance", "message"), [
    (np.zeros((63, 64)), r"\(63, 64\)"), (np.zeros((3, 64, 64)), r"\(3, 64, 64\)"),
    (np.zeros(64), r"\(64,\)"), (np.zeros((64, 64)), r"\(64, 64\)"),
    (np.zeros((1, 64, 64, 3)), r"\(1, 64, 64, 3\)"), (np.zeros((64, 64, 3, 1)), r"\(64, 64, 3, 1\)"),
    (np.float64(1), r"\(\)"),
    (np.full((64, 64, 3), np.nan), "NaN or infinity"),
    (np.where(np.ones((64, 64, 3)) * np.eye(64)[..., None], np.inf, 0), "NaN or infinity"),
    (np.where(np.ones((64, 64, 3)) * np.eye(64)[..., None], -np.inf, 0), "NaN or infinity")])
def test_unusable_relevance_is_refused(relevance, message):
    clip = features.open_clip(np.ones(99), RATE)
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        down(clip, relevance)


def test_what_does_not_fit_is_refused_by_its_shape():
    clip = features.open_clip(np.ones(99), RATE)
    e = explanation_of(np.zeros((64, 64, 3)))
    with pytest.raises(ValueError, match=r"input must have shape \(99,\), found \(100,\)"):
        lrp_core.extend(e, clip.below, np.ones(100))
    with pytest.raises(ValueError, match="'gradient' is a gradient"):
        lrp_core.extend(e, clip.below, clip.original, "gradient")
    batch = lrp_core.explain(lrp_core.Network([("out", lrp_core.layers.Flatten())], (2,)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="a single sample"):
        lrp_core.extend(batch, clip.below, clip.original)


@pytest.fixture(scope="module")
def real_sounds(real_clips):
    """All real clips; where a recording ends early, its silence is cut off, so that it is played twice."""
    opened = [features.open_clip(path) for path in real_clips]
    return [features.open_clip(np.trim_zeros(clip.original, "b"), clip.sample_rate) for clip in opened]


def test_some_real_clips_are_played_twice(real_sounds):
    lengths = {len(clip.original) for clip in real_sounds}
    assert max(lengths) == 88_200 and min(lengths) < 10_000 and len(real_sounds) >= 24
    assert any(clip.repeats[0] for clip in real_sounds)


@pytest.mark.parametrize("preset", lrp_core.PRESETS)
def test_the_logit_is_at_the_waveform_or_in_the_books(urban_sounds, real_sounds, preset):
    """logit = Σ relevance of the file's own samples + what biases, stabilizer, gates and silence took, for
    every clip.
    """
    batch = lrp_core.explain(urban_sounds, np.stack([clip.image for clip in real_sounds]), preset)
    for index, clip in enumerate(real_sounds):
        e = batch[index]
        found = lrp_core.extend(e, clip.below, clip.original, prefix="sound/", trace=clip.trace)
        logit = float(e.logits[e.target])
        booked = math.fsum(entry.bias + entry.stabilizer + entry.gated for entry in e.ledger)
        lines = [entry for entry in found.ledger if entry.name.startswith("sound/")]
        assert [line.name for line in lines] == [f"sound/{node.name}" for node in clip.below.nodes[::-1]]
        dropped = math.fsum(line.gated for line in lines)
        missing = logit - math.fsum(found.relevance) - booked - dropped
        assert abs(missing) <= 1e-5 * max(abs(logit), 1), (clip.name, missing)
        for line in lines:
            assert abs(line.received - line.passed - line.gated) <= 1e-14 * line.turnover, (clip.name, line)
        ledger = found.ledger
        assert ledger.total.received == e.ledger.start
        assert ledger.total.passed == pytest.approx(math.fsum(found.relevance), abs=1e-9)
        assert abs(ledger.total.residual - missing) <= 1e-6 * max(abs(logit), 1)
        assert abs(e.ledger.start - math.fsum(found.relevance) - booked - dropped) <= 1e-8 * abs(logit)
        for entry in (*ledger, ledger.total):
            assert abs(entry.residual) <= 1e-13 * entry.turnover, (clip.name, entry)


@pytest.mark.parametrize("lost", [1e-2, 1e-8])
@pytest.mark.parametrize("stage", STAGES)
def test_a_front_end_that_loses_relevance_is_not_believed(stage, lost, monkeypatch):
    """Each step must close to double precision of its turnover."""
    clip = features.open_clip(np.random.default_rng(0).standard_normal(22_050), 22_050)
    relevance, honest = np.random.default_rng(1).random((64, 64, 3)), lrp_core.flow

    def lossy(layer, rule, xs, y, r, book):
        (r_in,) = honest(layer, rule, xs, y, r, book)
        r_in = r_in.copy()
        if layer.stage == stage:
            r_in.flat[0] += lost * (np.abs(r).sum() + np.abs(r_in).sum())
        return [r_in]

    down(clip, relevance)
    lossy.dispatch = honest.dispatch
    monkeypatch.setattr("lrp_core.steps.flow", lossy)
    with pytest.raises(lrp_core.ConservationError, match=f"layer '{stage}'"):
        down(clip, relevance)
