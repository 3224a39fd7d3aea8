"""The benchmarks that ask how well the embedded network hears: what they measure is what they say."""
import pathlib

import numpy as np
import pytest
import soundfile

import audio_lrp
import features
from benchmarks import arrival, files, looks, study
from features import dataset
from features.synth import synthesize


@pytest.mark.parametrize("way, rate, channels",
                         [("16 kHz", 16_000, 1), ("48 kHz", 48_000, 1), ("stereo", 22_050, 2),
                                                 ("MP3 of 64 kbit/s, stereo", 44_100, 2)])
def test_sounds_arrive_as_it_is_said(way, rate, channels, tmp_path):
    y = synthesize(2, 0)[::2]
    path = arrival.WAYS[way](y, 22_050, tmp_path / "clip")
    file = soundfile.info(path)
    assert (file.samplerate, file.channels) == (rate, channels)
    assert file.duration == pytest.approx(len(y) / 22_050, abs=0.06)
    if path.suffix == ".mp3":
        assert path.stat().st_size * 8 / file.duration == pytest.approx(64_000, rel=0.05)


def test_levels_arrive_as_it_is_said(tmp_path):
    y = 0.3 * np.sin(np.arange(8000) / 5)
    quiet, _ = soundfile.read(arrival.WAYS["quiet: 40 dB below full scale"](y, 8000, tmp_path / "quiet"))
    assert np.abs(quiet).max() == pytest.approx(0.01, abs=1e-4)
    loud, _ = soundfile.read(arrival.WAYS["loud: clipped by 6 dB"](y, 8000, tmp_path / "loud"))
    # |sin| > 1/2 on two thirds of a circle
    assert (np.abs(loud) >= 0.9999).mean() == pytest.approx(2 / 3, abs=0.01)


def test_arrival_counts_what_the_network_names(urban_sounds):
    clips = [(synthesize(number, 0), 44_100, number) for number in (1, 8)]
    found = arrival.measure(urban_sounds, clips, real=pathlib.Path("nowhere"))
    heard = [int(urban_sounds.logits(features.clip_image(y, rate)[None])[0].argmax()) for y, rate, _ in clips]
    first = found["rows"][0]
    assert first["right"] == sum(a == b for a,
                                 (_, _, b) in zip(heard,
                                                  clips)) and first["same"] == 2 and first["change"] == 0
    assert found["fold"] == [] and len(found["rows"]) == len(arrival.WAYS)


def test_the_street_has_its_sirens_where_it_says(tmp_path):
    said = files.write_street(tmp_path / "street.wav", 1.2)
    y, rate = soundfile.read(tmp_path / "street.wav")
    assert len(y) == 72 * rate and said[0] == 60
    loud = np.sqrt((y.reshape(-1, rate) ** 2).mean(axis=1))
    np.testing.assert_array_equal(loud > 0.02, (np.arange(72) >= 60) & (np.arange(72) < 68))
    assert loud[:60] == pytest.approx(0.01, rel=0.5)


def test_a_way_from_file_to_disk_is_timed_step_by_step(urban_sounds, tmp_path):
    paths = files.write_clips([(synthesize(1, 0)[:4000], 44_100, 1)], tmp_path / "in", 2)
    steps = files.stages(urban_sounds, paths, tmp_path)
    assert [row["stage"] for row in steps if row["part"] == "front end"] == [
        "fit", "spectrogram", "mel", "decibels", "stretch", "resize", "colours", "arrange"]
    assert {row["part"] for row in steps} == {"reading", "front end", "explanation", "writing"}
    assert all(len(row["ms"]) == (2 if row["part"] in ("reading", "front end") else 1) for row in steps)
    assert all(ms > 0 for row in steps for ms in row["ms"])
    both = files.on_all_cores(paths, "float32", 1)
    assert both["workers"] == 1 and len(both["ms"]) == 7 and min(both["ms"]) > 0


def fold_of(level, duration):
    """A Fold of images that are what they are."""
    return looks.Fold(level, np.arange(len(level)) % 10, np.array(duration))


def short_clip():
    """A second of noise, played twice, then silence: its image."""
    y = np.random.default_rng(0).normal(size=features.SAMPLE_RATE)
    return dataset.level_image(y, features.SAMPLE_RATE)


def test_regions_are_where_the_front_end_leaves_them():
    level = np.stack([short_clip(), np.full((64, 64), 200, np.uint8)])
    masks = looks.regions(fold_of(level, [1.0, 4.0]))
    columns = {name: np.flatnonzero(mask[0].any(axis=0)) for name, mask in masks.items()}
    silent = ~level[0].any(axis=0)
    assert silent[-30:].all() and not silent[:32].any()
    np.testing.assert_array_equal(columns["silence behind the sound"], np.arange(32, 64))
    # a second is 16 columns
    np.testing.assert_array_equal(columns["seam of the second time"], [14, 15, 16, 17])
    np.testing.assert_array_equal(columns["its edge"], [30, 31, 32, 33])
    for name in ("silence behind the sound", "its edge", "seam of the second time"):
        assert not masks[name][1].any(), "a clip of four seconds has none of these"
    assert 64 - 53 == masks["above 11 kHz"][1, :, 0].sum() == 11


def test_density_is_one_where_relevance_is_spread_by_chance_and_counts_what_is_inside():
    mask = np.zeros((3, 64, 64), bool)
    mask[:2, :, :16] = True
    even = looks.density(np.ones((3, 64, 64)), mask)
    assert even == {"clips": 2, "area": 0.25, "density": pytest.approx(1)}
    inside = looks.density(np.where(mask, -2.0, 0.0), mask)
    assert inside["density"] == pytest.approx(4)


def test_changes_leave_what_sounds():
    rng = np.random.default_rng(0)
    level = np.stack([short_clip(), rng.integers(1, 256, (64, 64), np.uint8)])
    made = looks.changes(fold_of(level, [1.0, 4.0]))
    once, concerned = made["short sounds played once"]
    np.testing.assert_array_equal(concerned, [True, False])
    np.testing.assert_array_equal(once[0, :, :16], level[0, :, :16])
    assert (once[0, :, 16:] == level[0].min()).all() and np.array_equal(once[1], level[1])
    filled, _ = made["silence behind short sounds filled by more of them"]
    sounds = level[0].any(axis=0).sum()
    np.testing.assert_array_equal(filled[0, :, sounds:], level[0, :, :64 - sounds])
    smooth = made["seam smoothed over"][0][0].astype(int)
    np.testing.assert_array_equal(np.delete(smooth, [14, 15, 16, 17], axis=1),
                                  np.delete(level[0], [14, 15, 16, 17], axis=1))
    assert np.abs(smooth[:, 14:18] - (level[0, :, [13] * 4] * np.array([[4], [3], [2], [1]]) / 5 +
                                      level[0, :, [18] * 4] * np.array([[1], [2], [3],
                                                                        [4]]) / 5).T).max() <= 1
    low, _ = made["nothing above 8 kHz"]
    np.testing.assert_array_equal(low[:, 17:], level[:, 17:])
    assert (low[1, :16] == level[1].min()).all()


def test_mean_maps_are_stored_to_a_part_in_254():
    images = np.random.default_rng(0).normal(size=(5, 64, 64))
    mean = images.mean(axis=0)
    squares = (mean[::2, ::2] + mean[1::2, ::2] + mean[::2, 1::2] + mean[1::2, 1::2]) / 4
    assert np.abs(looks.as_array(looks.small(images)) - squares).max() <= np.abs(squares).max() / 253
    assert looks.small(images[:0]) is None


def test_what_is_asked_of_a_network_is_counted(urban_sounds):
    level = np.stack([dataset.level_image(synthesize(n % 10, n), 44_100) for n in range(12)])
    fold = fold_of(level, [4.0] * 12)
    found = looks.measure(urban_sounds, fold)["networks"]["now"]
    heard = urban_sounds.logits(features.colour(level)).argmax(axis=1)
    right = pytest.approx((heard == fold.truth).mean())
    assert found["changes"]["none"] == {"clips": 12, "right": right, "right_without": right, "other": 0.0}
    assert [row["right"] for row in found["classes"]] == [int(((heard == n) & (fold.truth == n)).sum())
                                                          for n in range(10)]
    assert sum(found["classes"][8]["bands"]) == pytest.approx(1)


def test_padding_is_taken_off_the_real_clips(tmp_path):
    soundfile.write(tmp_path / "1-6-0-0.wav", np.concatenate((np.full(500, 0.25), np.zeros(100))), 8000)
    (y, rate, number), = study.clips(tmp_path)[0]
    assert (len(y), rate, number) == (500, 8000, 6)
    (y, rate, number), = study.clips(tmp_path / "nowhere")[0]
    np.testing.assert_array_equal(features.clip_image(y, rate), features.clip_image(audio_lrp.EMBEDDED_CLIP))
    assert number == 8
