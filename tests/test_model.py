"""The embedded network: what it is, what it scores, and what it hears on clips it has never seen."""
import tracemalloc

import numpy as np
import pytest

import audio_lrp
import features
import lrp_core
from audio_lrp.answer import answers
from features.synth import CLASSES


def test_its_summary_is_the_published_one(urban_sounds):
    counts = [node.layer.parameters for node in urban_sounds.nodes if node.layer.parameters]
    assert counts == [896, 18496, 36928, 36928, 73856, 147584, 1638912, 5130]
    assert urban_sounds.parameters == 1_958_730
    assert [urban_sounds.shapes[f"pool{block}"] for block in (1, 2, 3)] == [(30, 30, 64), (13, 13, 64),
                                                                            (5, 5, 128)]
    assert urban_sounds.class_names == CLASSES


def test_it_scores_as_the_framework_that_trained_it_did(urban_sounds):
    x, logits = urban_sounds.reference
    assert np.abs(urban_sounds.logits(x) - logits).max() <= 1e-4 * np.abs(logits).max()


def test_it_names_its_data_and_licence(urban_sounds):
    facts = urban_sounds.metadata
    assert "UrbanSound8K" in facts["credit"] and "CC BY-NC 3.0" in facts["licence"]
    assert facts["training"]["name"] == "fold01"


def test_it_hears_clips_it_has_never_seen(urban_sounds, real_clips):
    heard = urban_sounds.logits(np.stack([features.clip_image(path) for path in real_clips])).argmax(axis=1)
    truth = [int(path.stem.split("-")[1]) for path in real_clips]
    for path, number in zip(real_clips, heard):
        print(f"{path.stem:<20}{CLASSES[int(path.stem.split('-')[1])]:<20}{CLASSES[number]}")
    assert (heard == truth).sum() >= 14


def test_its_card_says_what_was_measured(urban_sounds, real_levels):
    """Accuracy whole and without upper bands, the calibration error of 15 bins, and their places in the card.
    """
    chosen = real_levels["fold"] == 1
    level, truth = real_levels["level"][chosen], real_levels["class_id"][chosen]
    said = urban_sounds.metadata["training"]
    for name, rows in (("full", 0), ("11k", 11), ("8k", 16)):
        cut = level.copy()
        cut[:, :rows] = level.min(axis=(1, 2))[:, None, None]
        logits = urban_sounds.logits(features.colour(cut))
        assert (logits.argmax(axis=1) == truth).mean() == pytest.approx(said["accuracy"][name],
                                                                        abs=2e-3), name
        if name == "full":
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    best, right = p.max(axis=1), p.argmax(axis=1) == truth
    parts = [abs(best[inside].sum() - right[inside].sum()) for part in range(15)
             for inside in [(best * 15 >= part) & (best * 15 < part + 1)]]
    assert sum(parts) / len(best) == pytest.approx(said["calibration_error"]["after"], abs=2e-3)
    card = (audio_lrp.EMBEDDED_MODEL.parent / "MODEL_CARD.md").read_text()
    for number in (*said["accuracy"].values(), said["calibration_error"]["after"]):
        assert f"{number:.1%}" in card


def strangers():
    """Sounds of no class by name: [n] at 44.1 kHz. (Not brown noise: that is how a fan sounds, and so it is
    named.)
    """
    rng, time = np.random.default_rng(0), np.arange(4 * 44_100) / 44_100
    noise = rng.standard_normal(len(time))
    return {"silence": 0 * time, "a constant": 0 * time + 0.5, "white noise": noise / 9, "hiss": noise / 9e4,
            "a tone": np.sin(2 * np.pi * 440 * time), "a click": (time == 0.5) / 1.0,
            "clicks": (np.arange(len(time)) % 11_025 == 0) / 1.0,
            "hum": sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 9)) / 9}


@pytest.mark.parametrize("name", strangers())
def test_sounds_of_no_class_are_answered_with_low_confidence_and_said_so(urban_sounds, name):
    clip = features.open_clip(strangers()[name], 44_100)
    result, = answers(urban_sounds, [clip], ["epsilon"], "max")
    assert result.values.max() < 0.5
    assert any("unsure" in warning for warning in result.warnings)


def test_a_known_sound_is_answered_without_a_warning(urban_sounds):
    result, = answers(urban_sounds, [features.open_clip(audio_lrp.EMBEDDED_CLIP)], ["epsilon"], "max")
    assert result.warnings == [] and result.values.max() > 0.5


def test_the_file_is_small(urban_sounds):
    assert audio_lrp.EMBEDDED_MODEL.stat().st_size < 8e6


@pytest.mark.parametrize("memory", [50e6, 100e6])
def test_a_bound_on_memory_is_kept(urban_sounds, memory):
    x = np.random.default_rng(0).random((8, 64, 64, 3), np.float32)
    lrp_core.explain(urban_sounds, x[:1], "preset_b")  # what is made once for all is not the samples'
    tracemalloc.start()
    try:
        lrp_core.explain(urban_sounds, x, "preset_b", memory=memory)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (peak <= memory + 2 * x.nbytes
            + 8e6), "the results, and the positive and negative kernels of the rule, come on top"


@pytest.mark.parametrize("rules", ["epsilon", "preset_a", "preset_a_flat", "preset_b", "preset_b_flat"])
def test_books_close_on_real_clips(urban_sounds, real_clips, rules):
    x = np.stack([features.clip_image(path) for path in real_clips])
    e = lrp_core.explain(urban_sounds, x, rules)
    logits = np.abs(e.logits[np.arange(len(x)), e.target])
    for entry in (*e.ledger, e.ledger.total):
        assert (np.abs(entry.residual) <= 1e-6 * logits).all(), entry.name
