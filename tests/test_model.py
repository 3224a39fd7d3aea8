"""The embedded network: what it is, what it scores, and what it hears on clips it has never seen."""
import tracemalloc

import numpy as np
import pytest

import features
import lrp_core
from features.synth import CLASSES


def test_its_summary_is_the_published_one(urban_sounds):
    counts = [node.layer.parameters for node in urban_sounds.nodes if node.layer.parameters]
    assert counts == [896, 18496, 36928, 36928, 73856, 147584, 1638912, 5130]
    assert urban_sounds.parameters == 1_958_730
    assert [urban_sounds.shapes[f"pool{block}"] for block in (1, 2, 3)] == [(30, 30, 64), (13, 13, 64), (5, 5, 128)]
    assert urban_sounds.class_names == CLASSES


def test_it_scores_as_the_framework_that_trained_it_did(urban_sounds):
    x, logits = urban_sounds.reference
    assert np.abs(urban_sounds.logits(x) - logits).max() <= 1e-4 * np.abs(logits).max()


def test_it_names_its_data_and_licence(urban_sounds):
    facts = urban_sounds.metadata
    assert "UrbanSound8K" in facts["credit"] and "CC BY-NC 3.0" in facts["licence"]
    assert facts["training"]["test_fold"] == 1


def test_it_hears_clips_it_has_never_seen(urban_sounds, real_clips):
    heard = urban_sounds.logits(np.stack([features.clip_image(path) for path in real_clips])).argmax(axis=1)
    truth = [int(path.stem.split("-")[1]) for path in real_clips]
    for path, number in zip(real_clips, heard):
        print(f"{path.stem:<20}{CLASSES[int(path.stem.split('-')[1])]:<20}{CLASSES[number]}")
    assert (heard == truth).sum() >= 14


def test_its_card_says_what_was_measured(urban_sounds, real_levels):
    chosen = real_levels["fold"] == 1
    logits = urban_sounds.logits(features.colour(real_levels["level"][chosen]))
    accuracy = (logits.argmax(axis=1) == real_levels["class_id"][chosen]).mean()
    assert accuracy == pytest.approx(urban_sounds.metadata["training"]["held_out_accuracy"], abs=2e-3)


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
    assert peak <= memory + 2 * x.nbytes + 8e6, "the results, and the positive and negative kernels of the rule, come on top"


@pytest.mark.parametrize("rules", ["epsilon", "preset_a", "preset_a_flat", "preset_b", "preset_b_flat"])
def test_books_close_on_real_clips(urban_sounds, real_clips, rules):
    x = np.stack([features.clip_image(path) for path in real_clips])
    e = lrp_core.explain(urban_sounds, x, rules)
    logits = np.abs(e.logits[np.arange(len(x)), e.target])
    for entry in (*e.ledger, e.ledger.total):
        assert (np.abs(entry.residual) <= 1e-6 * logits).all(), entry.name
