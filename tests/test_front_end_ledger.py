"""From the score to the samples of a recording, by five front ends and five presets: nothing is lost."""
import math

import numpy as np
import pytest
from sound_nets import FRONT_ENDS, PRESETS, SHAPES, SOUNDS, cnn, sound

import lrp_core
from audio_lrp.explained import Explained
from features import FrontEnd
from lrp_core.ledger import ABSORBED
from lrp_core.steps import plan
from lrp_core.transposed import at_once


def network_of(name, urban_sounds):
    """The study's own network, or a small one."""
    return urban_sounds if name == "study" else cnn(SHAPES[name])


def check_books(e, found, clip):
    """The score is at the samples or in the ledger, to 1e-8 of it; each line closes to rounding."""
    ledger, score = found.ledger, float(e.ledger.start)
    assert score == pytest.approx(float(e.logits[e.target]), rel=1e-6) and abs(score) > 1e-3
    booked = math.fsum(getattr(entry, column) for entry in ledger for column in ABSORBED)
    missing = score - math.fsum(found.relevance) - booked
    assert abs(missing) <= 1e-8 * abs(score), missing / score
    assert ledger.start == e.ledger.start and ledger.total.received == score
    assert ledger.total.passed == pytest.approx(math.fsum(found.relevance), rel=1e-9, abs=1e-9)
    for entry in ledger:
        assert abs(entry.residual) <= 1e-13 * entry.turnover, entry
    own = [entry for entry in ledger if entry.name.startswith("sound/")]
    assert [entry.name for entry in own] == [f"sound/{node.name}" for node in clip.below.nodes[::-1]]
    assert len(ledger.entries) == len(own) + len(e.ledger.entries)
    for entry in own:  # a front end has no biases; silence alone takes relevance
        assert all(getattr(entry, column) == 0 for column in ABSORBED if column != "gated")
    assert found.relevance.shape == clip.original.shape and np.isfinite(found.relevance).all()
    assert set(found.layers) >= {"input", *(entry.name for entry in own)}
    np.testing.assert_array_equal(found.layers["input"], found.relevance)


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_score_is_at_the_samples_or_in_the_books(urban_sounds, name, preset):
    network = network_of(name, urban_sounds)
    front_end = FRONT_ENDS[name].fitting(network.input_shape)
    for which in SOUNDS:
        clip = front_end.open(*sound(which))
        e = lrp_core.explain(network, clip.input, preset)
        check_books(e, lrp_core.extend(e, clip.below, clip.original, prefix="sound/", trace=clip.trace), clip)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_score_of_real_clips_is_at_the_samples_or_in_the_books(urban_sounds, real_clips, name):
    network = network_of(name, urban_sounds)
    front_end = FRONT_ENDS[name].fitting(network.input_shape)
    clips = [front_end.open(path) for path in real_clips]
    x = np.stack([clip.input for clip in clips])
    for preset in ["epsilon", "preset_a_flat"] if name == "study" else PRESETS:
        batch = lrp_core.explain(network, x, preset)
        for index, clip in enumerate(clips):
            e = batch[index]
            found = lrp_core.extend(e, clip.below, clip.original, prefix="sound/", trace=clip.trace)
            check_books(e, found, clip)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_explanations_of_one_sound_are_extended_together(urban_sounds, name):
    """The same bits as one by one, with and without the forward pass, whatever the number of threads."""
    network = network_of(name, urban_sounds)
    clip = FRONT_ENDS[name].fitting(network.input_shape).open(*sound("bark, short"))
    each = lrp_core.explain_each(network, clip.input, "preset_b", [0, 1, 2])
    alone = [lrp_core.extend(e, clip.below, clip.original, trace=clip.trace) for e in each]
    for threads in (1, 3):
        together = lrp_core.extend_each(each, clip.below, clip.original, threads=threads)
        for one, other in zip(alone, together):
            np.testing.assert_array_equal(one.relevance, other.relevance)
            np.testing.assert_array_equal(one.ledger.numbers, other.ledger.numbers)
            assert one.target == other.target and set(one.layers) == set(other.layers)


def test_relevance_in_single_precision_is_carried_in_double(urban_sounds):
    clip = FRONT_ENDS["study"].open(*sound("siren"))
    single, double = (lrp_core.explain(urban_sounds, clip.image, "preset_a_flat", dtype=dtype, layers=True)
                      for dtype in ("float32", "float64"))
    found, wanted = (lrp_core.extend(e, clip.below, clip.original, prefix="sound/") for e in (single, double))
    assert found.relevance.dtype == np.float64
    assert np.linalg.norm(found.relevance - wanted.relevance) <= 1e-4 * np.linalg.norm(wanted.relevance)
    assert {node.name for node in urban_sounds.nodes} - {urban_sounds.nodes[-1].name} <= set(found.layers)
    total = found.ledger.total
    assert abs(total.residual) <= 1e-4 * total.turnover
    for entry in found.ledger:
        if entry.name.startswith("sound/"):
            assert abs(entry.residual) <= 1e-13 * entry.turnover


@pytest.mark.parametrize("name", ["waveform"])
def test_relevance_of_samples_is_carried_on_to_time_and_frequency(name):
    """For networks that take samples: the sound written as the inverse of its own transform."""
    network = cnn(SHAPES[name])
    front_end = FRONT_ENDS[name].fitting(network.input_shape)
    for which in SOUNDS:
        clip = front_end.open(*sound(which))
        spectrum = clip.spectrum
        x = np.stack((spectrum.real, spectrum.imag), axis=-1)
        made = clip.below_cells.forward(x[None]).outputs[clip.below_cells.nodes[-1].name][0]
        np.testing.assert_allclose(made, clip.input, rtol=0, atol=1e-6)
        for preset in PRESETS:
            e = lrp_core.explain(network, clip.input, preset)
            found = lrp_core.extend(e, clip.below_cells, x, prefix="sound/")
            score, total = float(e.ledger.start), found.ledger.total
            assert abs(total.residual) <= 1e-8 * abs(score)
            assert found.relevance.shape == (clip.cells.count(len(clip.sound)), clip.cells.bins, 2)
            here = found.relevance.sum() + found.ledger["sound/cells"].gated
            assert here == pytest.approx(e.relevance.sum(), abs=1e-9 * total.turnover)


@pytest.mark.parametrize("preset", ["epsilon", "preset_a_flat"])
def test_cells_of_a_short_sound_get_no_more_than_its_samples_hold(preset):
    """Silence that a normalisation moved away from zero holds relevance; it must not drown the sound's."""
    front_end = FrontEnd.waveform(16_000, 1.0, normalize="standard")
    clip = front_end.fitting(SHAPES["waveform"]).open(*sound("bark, short"))
    e = lrp_core.explain(cnn(SHAPES["waveform"]), clip.input, preset)
    assert np.abs(e.relevance[-4_000:]).max() > 0  # of the silence
    cells, held = Explained(clip, e, preset).cells, np.abs(e.relevance).sum()
    assert np.abs(cells).sum() < 10 * held
    assert cells.sum() == pytest.approx(e.relevance.sum(), abs=0.05 * held)


def test_cells_of_quiet_stretches_keep_what_their_samples_hold():
    """By the flat rule noise of -80 dB holds as much as the burst in it; its cells show it, where it is."""
    rng = np.random.default_rng(0)
    y = 1e-5 * rng.standard_normal(16_000)
    y[6_000:9_000] += 0.1 * rng.standard_normal(3_000)
    clip = FrontEnd.waveform(16_000, 1.0).fitting(SHAPES["waveform"]).open(y, 16_000)
    found = Explained(clip, lrp_core.explain(cnn(SHAPES["waveform"]), clip.input, "preset_a_flat"), "flat")
    places = np.clip((found.axes.seconds * 8).astype(int), 0, 7)
    cells = np.bincount(places, found.cells.sum(axis=1), 8)
    samples = found.e.relevance.reshape(8, -1).sum(axis=1)
    held = np.abs(found.e.relevance).sum()
    assert samples[:2].sum() > 0.1 * held and samples[-2:].sum() > 0.1 * held
    np.testing.assert_allclose(cells[[0, 1, 5, 6, 7]], samples[[0, 1, 5, 6, 7]], atol=0.03 * held)
    assert cells.sum() == pytest.approx(samples.sum(), abs=0.15 * held)


# ---- upward: the transpose of each step's way for relevance

@pytest.mark.parametrize("name", FRONT_ENDS)
def test_the_way_up_is_the_transpose_of_the_way_down(name):
    """<w, R> = <v, F R> at every step of a front end, for random v and R; no step is looked at by passes."""
    front_end = FRONT_ENDS[name].fitting(SHAPES[name])
    below = front_end.network(5_000, 22_050)
    rng = np.random.default_rng(4)
    trace = below.trace(rng.standard_normal((1, 5_000)))
    for step in plan(below, lrp_core.composite(lrp_core.Zero()).rules_for(below)):
        (source,) = step.node.inputs
        v = rng.standard_normal(trace.outputs[source].shape)
        r = rng.standard_normal(trace.outputs[step.node.name].shape)
        w, (down,) = at_once(step, trace, [v]), step.back(trace, r)[0]
        assert w is not None, step.node.name
        assert (w * r).sum() == pytest.approx((v * down).sum(), abs=1e-10 * np.abs(v * down).sum())
