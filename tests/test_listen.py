"""Relevance made audible, against least squares and the words of the documentation."""
import functools
import itertools
import math
import warnings

import numpy as np
import pyloudnorm
import pytest
import study
from carried import down
from hypothesis import given, settings
from hypothesis import strategies as st
from study import RATE, SAMPLES

import audio_lrp
import audio_lrp.listen as command
import features
import lrp_core
from audio_lrp.explained import Explained
from features import listen
from features.steps import Frames

FIVE_MS = 220
seeded = settings(max_examples=40, derandomize=True, deadline=None, database=None)


def loudness_of(y):
    """LUFS by pyloudnorm; -inf for silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pyloudnorm.Meter(RATE).integrated_loudness(y)


def bell(phase):
    """The rise of a fade or the half of a Hann window: sin²(π/2 · phase), 0 at 0 and 1 at 1."""
    return np.sin(np.pi / 2 * np.asarray(phase)) ** 2


# ---- the way back from cells to sound

@pytest.mark.parametrize("length", [1, 511, 512, 513, 5000, 44_100, SAMPLES])
def test_going_to_cells_and_back_changes_nothing(length):
    y, frames = np.random.default_rng(length).uniform(-1, 1, length), Frames()
    back = frames.inverse(frames.transform(y), length)
    assert back.shape == y.shape and np.abs(back - y).max() <= 1e-12


@seeded
@given(st.sampled_from([8, 9, 12, 15, 16]), st.integers(1, 4), st.integers(8, 40), st.integers(0, 10**6))
def test_going_back_and_forth_holds_for_any_hop_below_half_a_window(window, hop, length, seed):
    y, frames = np.random.default_rng(seed).uniform(-1, 1, length), Frames(window, hop)
    assert np.abs(frames.inverse(frames.transform(y), length) - y).max() <= 1e-12


@functools.cache
def analysis_matrix(length, window, hop):
    """Rows Re and Im of w_{n-mH} e^{-iθ} for all bins of all frames, both halves of the spectrum: it maps y
    to STFT(y).
    """
    frames = (length + 2 * (window // 2) - window) // hop + 1
    matrix = np.zeros((frames, window, length), complex)
    for m, k, inside in itertools.product(range(frames), range(window), range(window)):
        n = m * hop + inside - window // 2
        if 0 <= n < length:
            w = (1 - math.cos(2 * math.pi * inside / window)) / 2
            matrix[m, k, n] = w * np.exp(-2j * math.pi * k * inside / window)
    return matrix


@seeded
@given(st.sampled_from([(8, 2), (8, 3), (8, 4), (12, 5), (9, 2), (11, 4), (8, 11)]), st.integers(12, 26),
       st.integers(0, 10**6))
def test_a_changed_spectrum_becomes_the_nearest_sound(shape, length, seed):
    """The y with the least |STFT(y) - Z|² over both halves of the spectrum; what no window sees is silent."""
    window, hop = shape
    rng = np.random.default_rng(seed)
    matrix = analysis_matrix(length, window, hop)
    half = matrix[:, :window // 2 + 1]
    wanted = half @ rng.standard_normal(length) * rng.choice([0, 0.5, 1, 2], half.shape[:2])
    both = np.zeros(matrix.shape[:2], complex)
    both[:, :window // 2 + 1] = wanted
    for k in range(window // 2 + 1, window):
        both[:, k] = np.conj(wanted[:, window - k])
    rows = matrix.reshape(-1, length)
    system, aim = np.concatenate((rows.real, rows.imag)), np.concatenate((both.real.ravel(),
                                                                          both.imag.ravel()))
    expected = np.linalg.lstsq(system, aim, rcond=None)[0]
    np.testing.assert_allclose(Frames(window, hop).inverse(wanted, length), expected, rtol=0, atol=1e-10)


@seeded
@given(st.integers(1, 6), st.integers(2, 9), st.integers(1, 12), st.integers(1, 60))
def test_frames_are_added_where_they_belong(count, window, hop, length):
    frames = np.random.default_rng(count).standard_normal((count, window))
    expected = np.zeros(length)
    for m in range(count):
        for inside in range(window):
            n = m * hop + inside
            if n < length:
                expected[n] += frames[m, inside]
    found = Frames(window, hop).overlap_add([frames[:1], frames[1:]], length)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


# ---- the sound of some cells

def tones(*hertz):
    """Tones of amplitude 0.3, four seconds of each."""
    return [0.3 * np.sin(2 * np.pi * one * np.arange(SAMPLES) / RATE) for one in hertz]


def test_all_cells_sound_like_the_clip_and_parts_of_them_add_up_to_it():
    clip = features.open_clip(sum(tones(440, 3000)), RATE)
    assert np.abs(listen.masked(clip, np.ones((345, 1025), bool)) - clip.sound).max() <= 1e-12
    assert not listen.masked(clip, np.zeros((345, 1025), bool)).any()
    which = np.random.default_rng(1).integers(0, 3, (345, 1025))
    assert np.abs(sum(listen.masked(clip, which == part) for part in range(3)) - clip.sound).max() <= 1e-12


def test_some_bins_sound_like_the_tone_in_them_and_some_frames_like_their_moments():
    low, high = tones(1000, 6000)
    clip, mask = features.open_clip(low + high, RATE), np.zeros((345, 1025), bool)
    mask[:, :163] = True  # below 3,500 Hz
    inside = slice(2048, -2048)  # the tones begin and end abruptly, which sounds in all bins
    assert np.abs(listen.masked(clip, mask) - low)[inside].max() <= 1e-4
    assert np.abs(listen.masked(clip, ~mask) - high)[inside].max() <= 1e-4
    mask[:] = False
    mask[100:201] = True
    heard = listen.masked(clip, mask)
    # Samples that only these frames see are as they were; those that none of them sees are silent.
    theirs = slice(99 * 512 + 1024, 201 * 512 - 1024)
    np.testing.assert_allclose(heard[theirs], clip.sound[theirs], rtol=0, atol=1e-12)
    assert np.abs(heard[:100 * 512 - 1024]).max() == 0 == np.abs(heard[200 * 512 + 1024:]).max()


# ---- fades and loudness

def test_a_fade_rises_and_falls_for_five_milliseconds_without_a_step():
    faded = listen.fade(np.ones(5000), RATE)
    np.testing.assert_allclose(faded[:FIVE_MS], bell(np.arange(FIVE_MS) / FIVE_MS), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(faded[::-1], faded)
    assert (faded[FIVE_MS:-FIVE_MS] == 1).all() and faded[0] == faded[-1] == 0
    assert np.abs(np.diff(faded)).max() <= math.pi / 2 / FIVE_MS


def test_a_fade_leaves_its_input_alone():
    y = np.ones(5000)
    listen.fade(y, RATE)
    assert (y == 1).all()


def test_loudness_is_that_of_the_standard():
    """BS.1770: 997 Hz at full scale in one channel is -3.01 LUFS; half the amplitude 6.02 less; silence
    nothing.
    """
    full = np.sin(2 * np.pi * 997 * np.arange(SAMPLES) / RATE)
    loud = listen.loudness(full, RATE)
    assert loud == pytest.approx(-3.01, abs=0.05)
    assert listen.loudness(full / 2, RATE) == pytest.approx(loud - 20 * math.log10(2), abs=1e-6)
    assert listen.loudness(np.zeros(SAMPLES), RATE) == -math.inf
    # the standard's block is 0.4 s: what is shorter is followed by silence
    block = np.pad(full[:4410], (0, math.ceil(0.4 * RATE) + 1 - 4410))
    assert listen.loudness(full[:4410], RATE) == pytest.approx(loudness_of(block), abs=1e-9)


def test_loudness_and_fades_are_of_the_sound_at_any_rate():
    for rate in (8000, 16_000, 96_000):  # the filter of the standard is warped a little at low rates
        full = np.sin(2 * np.pi * 997 * np.arange(2 * rate) / rate)
        assert listen.loudness(full, rate) == pytest.approx(-3.01, abs=0.25)
        faded = listen.fade(np.ones(rate), rate)
        assert np.flatnonzero(faded == 1)[0] == rate // 200 == np.flatnonzero(faded[::-1] == 1)[0]


@pytest.mark.parametrize(("target", "amplitude"),
                         [(-20, 0.5), (-20, 0.01), (-33, 0.02), (-60, 0.3), (-23, 1.7)])
def test_a_gain_reaches_the_loudness_it_aims_at(target, amplitude):
    y = amplitude * np.sin(2 * np.pi * 997 * np.arange(SAMPLES) / RATE)
    assert loudness_of(listen.gain_to(target, y, RATE) * y) == pytest.approx(target, abs=0.1)


def test_a_gain_reaches_its_aim_though_quiet_moments_begin_to_count():
    """Below -70 LUFS moments are not counted, and raised they are: what is nearly all quiet must be measured
    as it will sound.
    """
    y = np.random.default_rng(2).standard_normal(SAMPLES)
    y *= 10 ** ((-72 - loudness_of(1e-2 * y) - 40) / 20)
    y[:RATE // 2] *= 2.5
    gain = listen.gain_to(-40, y, RATE)
    assert gain < 99.9 and np.abs(gain * y).max() < 0.9, "neither limit is in the way"
    assert loudness_of(gain * y) == pytest.approx(-40, abs=0.5)


@pytest.mark.parametrize(("step", "target"), [(3, -64), (4, -64), (5, -66), (6, -66), (6, -64)])
def test_a_gain_reaches_its_aim_though_it_moves_the_gate_again_and_again(step, target):
    """Eight stretches, each softer than the one before: every gain changes which ones are counted, and so the
    loudness itself.
    """
    y = np.random.default_rng(0).standard_normal(SAMPLES) * np.repeat(10 ** (-step * np.arange(8) / 20),
                                                                      SAMPLES // 8)
    y *= 0.01 / np.abs(y).max()
    assert loudness_of(listen.gain_to(target, y, RATE) * y) == pytest.approx(target, abs=0.1)


def test_a_gain_stops_at_the_peak_and_at_forty_decibels():
    y = np.zeros(SAMPLES)
    y[1000::4000] = 0.5  # clicks: high peaks, little loudness
    assert np.abs(listen.gain_to(-10, y, RATE) * y).max() == pytest.approx(0.99, abs=1e-12)
    quiet = 1e-3 * np.sin(2 * np.pi * 997 * np.arange(SAMPLES) / RATE)
    assert listen.gain_to(-5, quiet, RATE) == pytest.approx(100)
    assert np.abs(listen.gain_to(-80, 3 * y, RATE) * 3 * y).max() <= 0.99, (
        "nothing to aim at, and still no sample beyond")
    assert listen.gain_to(-20, np.zeros(SAMPLES), RATE) == 1


def check_parts(clip, made):
    """What `Parts` promises of its sounds, gains and masks."""
    highest = np.abs(clip.sound).max(initial=0)
    # as loud as a file can hold the original
    target = loudness_of(clip.sound * (0.99 / highest if highest > 1 else 1))
    sounds = made.relevant, made.against, made.remainder
    assert (made.masks.sum(axis=0) == 1).all()
    envelope = np.ones(SAMPLES)
    envelope[:FIVE_MS] = bell(np.arange(FIVE_MS) / FIVE_MS)
    envelope[-FIVE_MS:] = envelope[:FIVE_MS][::-1]
    together = sum(y / gain for y, gain in zip(sounds, made.gains))
    assert np.abs(together - envelope * clip.sound).max() <= 1e-12
    for y, gain, mask in zip(sounds, made.gains, made.masks):
        cut = Frames().inverse(study.stft(clip.sound) * mask, SAMPLES)
        np.testing.assert_allclose(y, gain * envelope * cut, rtol=0, atol=1e-12)
        peak = np.abs(y).max()
        assert y[0] == y[-1] == 0, "nothing clicks"
        assert peak <= 0.99 + 1e-12 and gain <= 100 * (1 + 1e-12)
        limited, inaudible = peak >= 0.99 - 1e-9 or gain >= 99.999, gain == 1 and loudness_of(y) < -70
        assert limited or inaudible or abs(loudness_of(y) - target) <= 0.5, (gain, loudness_of(y), target)


@pytest.fixture(scope="module")
def explained(urban_sounds):
    """The embedded clip and the relevance of its cells [frames, bins]."""
    clip = features.open_clip(audio_lrp.EMBEDDED_CLIP)
    return clip, Explained(clip, lrp_core.explain(urban_sounds, clip.image, "preset_b"), "preset_b").cells


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_parts_of_the_embedded_clip_keep_what_they_promise(explained, share):
    clip, cells = explained
    made = listen.parts(clip, cells, share=share)
    check_parts(clip, made)
    positive = np.maximum(cells, 0)
    assert positive[made.masks[0]].sum() >= share * positive.sum() * (1 - 1e-12)
    assert cells[made.masks[1]].sum() <= share * np.minimum(cells, 0).sum() * (1 - 1e-12)


def cells_of(clip, pixels):
    """Relevance of pixels [64, 64], spread evenly over the three colours, carried down to the cells."""
    return down(clip, np.repeat(pixels[..., None] / 3, 3, axis=2)).layers["spectrogram"]


def test_a_tone_is_heard_apart_from_the_tone_it_was_mixed_with():
    low, high = tones(1000, 6000)
    clip = features.open_clip(low + high, RATE)
    relevance = np.zeros((64, 64))
    centres = study.band_edges()[1:-1].reshape(64, 2).mean(axis=1)[::-1]  # of the rows, highest first
    relevance[np.abs(centres - 1000).argmin() - 1:np.abs(centres - 1000).argmin() + 2] = 1
    relevance[np.abs(centres - 6000).argmin() - 1:np.abs(centres - 6000).argmin() + 2] = -1
    made = listen.parts(clip, cells_of(clip, relevance), share=0.999)
    check_parts(clip, made)
    middle = slice(RATE, 3 * RATE)
    for part, tone in ((made.relevant, low), (made.against, high)):
        assert np.corrcoef(part[middle], tone[middle])[0, 1] > 0.999


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_parts_of_real_clips_keep_what_they_promise(urban_sounds, real_clips, share):
    clips = [features.open_clip(path) for path in real_clips[4::3]]
    clips = [features.open_clip(np.trim_zeros(clip.original, "b"), clip.sample_rate) for clip in clips]
    e = lrp_core.explain(urban_sounds, np.stack([clip.image for clip in clips]), "preset_b")
    for index, clip in enumerate(clips):
        check_parts(clip, listen.parts(clip, Explained(clip, e[index], "preset_b").cells, share=share))


def test_a_silent_clip_has_silent_parts():
    clip = features.open_clip(np.zeros(999), RATE)
    made = listen.parts(clip, cells_of(clip, np.ones((64, 64))))
    assert made.masks[2].all() and made.gains == (1, 1, 1)
    assert not any(y.any() for y in (made.relevant, made.against, made.remainder))


# ---- the network's opinion

class LouderHalf:
    """A stand-in for a network: class 0 where the lower half of the image is brighter than the upper, else 1.
    """

    def __init__(self):
        self.asked = 0

    def logits(self, images):
        images = images.reshape(-1, 64, 64, 3)
        self.asked += len(images)
        return np.stack([images[:, 32:].sum(axis=(1, 2, 3)), images[:, :32].sum(axis=(1, 2, 3))], axis=1)


def test_a_check_asks_for_the_part_the_others_and_as_many_random_cells():
    low, high = tones(300, 7000)
    clip, mask = features.open_clip(low + high, RATE), np.zeros((345, 1025), bool)
    mask[:, :70] = True
    network = LouderHalf()
    check = command.check_mask(network, clip, mask, 0, draws=3, rng=np.random.default_rng(0))
    assert check.kept and not check.without and network.asked == 5
    opposite = command.check_mask(network, clip, ~mask, 0, draws=0 + 1, rng=np.random.default_rng(0))
    assert not opposite.kept and opposite.without
    assert command.check_mask(network, clip, ~mask, 1, draws=1, rng=np.random.default_rng(0)).kept


def test_a_check_of_a_score_asks_for_the_least_that_it_may_have():
    low, high = tones(300, 7000)
    clip, mask = features.open_clip(low + high, RATE), np.zeros((345, 1025), bool)
    mask[:, :70] = True
    rng, scores = np.random.default_rng(0), np.ravel(LouderHalf().logits(features.open_clip(low, RATE).image))
    for target, score in ((0, scores[0]), (-1, scores.sum())):
        for factor, kept in ((0.8, True), (1.3, False)):
            check = command.check_mask(LouderHalf(), clip, mask, target, draws=1, rng=rng,
                                       least=factor * score)
            assert check.kept == kept


def test_random_masks_have_as_many_cells_and_differ(monkeypatch):
    clip, mask = features.open_clip(sum(tones(300, 7000)), RATE), np.zeros((345, 1025), bool)
    mask[50:60, 20:90] = True
    seen = []
    monkeypatch.setattr(command, "masked", lambda clip, chosen: seen.append(chosen)
                        or listen.masked(clip, chosen))
    command.check_mask(LouderHalf(), clip, mask, 0, draws=3, rng=np.random.default_rng(0))
    drawn = [chosen for chosen in seen if not (chosen == mask).all() and not (chosen == ~mask).all()]
    assert len(seen) == 5 and len(drawn) == 3 and all(chosen.sum() == mask.sum() for chosen in drawn)
    assert not (drawn[0] == drawn[1]).all()
    assert all(0.05 < chosen[:172].sum() / mask.sum() < 0.95 for chosen in drawn), "from the whole clip"


def test_all_cells_keep_the_class(urban_sounds, explained):
    clip, _ = explained
    heard = int(urban_sounds.logits(clip.image[None])[0].argmax())
    check = command.check_mask(urban_sounds, clip, np.ones((345, 1025), bool), heard, draws=2,
                               rng=np.random.default_rng(0))
    assert check.kept and check.random == 1.0
    assert not command.check_mask(urban_sounds, clip, np.ones((345, 1025), bool), (heard + 1) % 10, draws=1,
                                  rng=np.random.default_rng(0)).kept
