"""Relevance per band and per moment: as numbers, as a table, as a drawing; and the ledger down to the sound,
printed.
"""
import csv
import json
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import click.testing
import librosa
import numpy as np
import pytest
import soundfile
import study
from carried import down
from study import RATE, SAMPLES

import audio_lrp
import features
import lrp_core
from audio_lrp import profiles
from audio_lrp.cli import main
from audio_lrp.explained import Explained, map_axes, places_of
from features.steps import Axes

HALF_A_HOP = 256 / RATE


def run(*arguments):
    """audio-lrp, as a person would call it."""
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def mel_axes():
    """Where the cells of the study's mel spectrogram lie."""
    return features.open_clip(np.zeros(9), RATE).axes("mel")


@pytest.mark.parametrize("shape", [(128, 345), (64, 64), (3, 5)])
def test_profiles_are_sums_along_the_other_axis(shape):
    bands, frames = shape
    mel = np.random.default_rng(0).standard_normal(shape)
    mel[0], mel[:, 1] = np.abs(mel[0]), -np.abs(mel[:, 1])
    axes = Axes(np.arange(frames) / 9, np.arange(bands) * 7.0)
    found = profiles.profiles_of(mel.T, axes)
    np.testing.assert_array_equal(found.seconds, axes.seconds)
    np.testing.assert_array_equal(found.hertz, axes.hertz)
    for b in range(bands):
        assert found.bands_for[b] == pytest.approx(math.fsum(x for x in mel[b] if x > 0), abs=1e-11)
        assert found.bands_against[b] == pytest.approx(math.fsum(x for x in mel[b] if x < 0), abs=1e-11)
    for m in range(frames):
        assert found.moments_for[m] == pytest.approx(math.fsum(x for x in mel[:, m] if x > 0), abs=1e-11)
        assert found.moments_against[m] == pytest.approx(math.fsum(x for x in mel[:, m] if x < 0), abs=1e-11)
    total = math.fsum(mel.ravel())
    for plus, minus in ((found.bands_for, found.bands_against), (found.moments_for, found.moments_against)):
        assert (plus >= 0).all() and (minus <= 0).all()
        assert plus.sum() + minus.sum() == pytest.approx(total, abs=1e-9)


def test_bands_lie_at_librosas_centres_and_moments_at_their_frames():
    found = profiles.profiles_of(np.ones((345, 128)), mel_axes())
    np.testing.assert_allclose(found.hertz, librosa.mel_frequencies(n_mels=130, fmin=0, fmax=RATE / 2)[1:-1],
                               rtol=1e-9)
    assert np.abs(found.seconds - librosa.frames_to_time(np.arange(345), sr=RATE,
                                                         hop_length=512)).max() <= HALF_A_HOP


def test_the_profile_of_a_class_is_that_of_its_mean_map_turned_low_bands_first():
    maps = np.random.default_rng(1).standard_normal((5, 64, 64))
    mean_map, places = sum(maps) / 5, places_of(features.STUDY)
    found = profiles.profiles_of(mean_map[::-1].T, places)
    edges = librosa.mel_frequencies(n_mels=130, fmin=0, fmax=RATE / 2)
    for row in range(64):
        band = 63 - row
        assert found.bands_for[band] == pytest.approx(sum(max(x, 0) for x in mean_map[row]))
        assert found.bands_against[band] == pytest.approx(sum(min(x, 0) for x in mean_map[row]))
        assert edges[2 * band] < found.hertz[band] < edges[2 * band
                                                           + 3], "within the two bands that the row averages"
    for column in range(64):
        assert found.moments_for[column] + found.moments_against[column] == pytest.approx(
            mean_map[:, column].sum()
        )
        assert found.seconds[column] == pytest.approx((column + 0.5) * 4 / 64, abs=HALF_A_HOP)


def test_a_tone_burst_stands_where_it_sounds():
    """Relevance as bright as the image: most in the burst's band, and none where no window sees the burst."""
    t = np.arange(SAMPLES) / RATE
    swell = np.interp(t, [2, 2.25, 2.5], [0, 1, 0])
    clip = features.open_clip(swell * np.sin(2 * np.pi * 2000 * t), RATE)
    level = study.level(clip.sound, RATE).astype(float)
    r = down(clip, np.repeat(level[..., None], 3, axis=2)).layers["mel"]
    found = profiles.profiles_of(r, clip.axes("mel"))
    assert found.hertz[found.bands_for.argmax()] == pytest.approx(2000, rel=0.04)
    sounding = found.seconds[found.moments_for > 0]
    assert 2 - 0.03 < sounding.min() < 2.1 and 2.4 < sounding.max() < 2.5 + 0.03
    assert not found.bands_against.any() and not found.moments_against.any()


def table_of(path):
    """{axis: array of rows (position, for, against, sum)} of a written table, and its units."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["axis", "unit", "position", "for", "against", "sum"]
    units = {row["axis"]: row["unit"] for row in rows}
    return {axis: np.array([[float(row[column]) for column in ("position", "for", "against", "sum")]
                            for row in rows if row["axis"] == axis]) for axis in units}, units


def test_a_table_parses_back_to_the_numbers_it_was_made_of(tmp_path):
    scale = 10.0 ** np.random.default_rng(2).integers(-9, 9, (345, 128))
    made = profiles.profiles_of(scale * np.random.default_rng(3).standard_normal((345, 128)), mel_axes())
    profiles.write_csv(made, tmp_path / "t.csv")
    table, units = table_of(tmp_path / "t.csv")
    assert units == {"frequency": "Hz", "time": "s"}
    for axis, places, plus, minus in (("frequency", made.hertz, made.bands_for, made.bands_against),
                                      ("time", made.seconds, made.moments_for, made.moments_against)):
        np.testing.assert_allclose(table[axis][:, 0], places, rtol=1e-5)
        np.testing.assert_allclose(table[axis][:, 1:], np.stack([plus, minus, plus + minus], axis=1),
                                   rtol=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_drawing_shows_for_above_and_against_below_the_line():
    generator = np.random.default_rng(4)
    made = profiles.profiles_of(generator.standard_normal((345, 128)), mel_axes())
    figure = profiles.draw(made, "a title with a $")
    frequency, time = figure.axes
    assert "hertz" in frequency.get_xlabel() and "seconds" in time.get_xlabel()
    for axes, places, plus, minus in ((frequency, made.hertz, made.bands_for, made.bands_against),
                                      (time, made.seconds, made.moments_for, made.moments_against)):
        areas = {area.get_label(): area for area in axes.collections}
        for label, values in (("for", plus), ("against", minus)):
            corners = areas[label].get_paths()[0].vertices
            assert np.isin(values, corners[:, 1]).all() and np.isin(corners[:, 1], [0, *values]).all()
            # A step for each place: the highest stands over its own.
            top = np.abs(values).argmax()
            at = corners[corners[:, 1] == values[top], 0]
            assert at.min() <= places[top] <= at.max()
        red, blue = (areas[label].get_facecolor()[0] for label in ("for", "against"))
        assert red[0] > red[2] and blue[2] > blue[0]
        assert axes.get_ylim()[0] < 0 < axes.get_ylim()[1]
    labels = dict(zip(frequency.get_xticks(), (tick.get_text() for tick in frequency.get_xticklabels())))
    assert labels[500] == "500" and labels[4000] == "4k"
    assert [text.get_text() for text in time.get_legend().get_texts()] == ["for", "against"]


# ---- the commands

@pytest.fixture(scope="module")
def short_clip(tmp_path_factory):
    """Half a second of falling tone in noise, at 22,050 Hz."""
    path, t = tmp_path_factory.mktemp("sound") / "fall.wav", np.arange(11_025) / 22_050
    y = (0.4 * np.sin(2 * np.pi * (3000 * t - 2000 * t * t))
         + 0.02 * np.random.default_rng(5).standard_normal(len(t)))
    soundfile.write(path, y, 22_050)
    return path


@pytest.mark.parametrize("preset", ["epsilon", "preset_b"])
def test_explain_writes_the_profiles_of_the_explanation_asked_for(tmp_path, urban_sounds, short_clip, preset):
    assert run("explain", short_clip, "--rules", preset, "-o", tmp_path).exit_code == 0
    table, _ = table_of(tmp_path / "fall-profiles.csv")
    clip = features.open_clip(short_clip)
    found = down(clip, lrp_core.explain(urban_sounds, clip.image, preset).relevance)
    mel = found.layers["mel"]
    scale = np.abs(mel).sum()
    for axis, along in (("frequency", 0), ("time", 1)):
        positive = np.where(mel > 0, mel, 0).sum(axis=along)
        np.testing.assert_allclose(table[axis][:, 1], positive, rtol=1e-6, atol=1e-12 * scale)
        np.testing.assert_allclose(table[axis][:, 3], mel.sum(axis=along), rtol=1e-6, atol=1e-6 * scale)
    facts = json.loads((tmp_path / "fall.json").read_text())["rules"][preset]
    dropped = math.fsum(found.ledger[name].gated for name in ("arrange", "colours", "resize", "stretch",
                                                              "decibels"))
    for axis in ("frequency", "time"):
        assert table[axis][:, 3].sum() == pytest.approx(facts["relevance_total"] - dropped, abs=1e-6 * scale)
        assert table[axis][:, 1].sum() + table[axis][:, 2].sum() == pytest.approx(table[axis][:, 3].sum(),
                                                                                  abs=1e-6 * scale)


def text_of(svg):
    """All the text in a drawing."""
    root = xml.etree.ElementTree.parse(svg).getroot()
    return [" ".join(part.itertext()) for part in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("picture", ["svg", "pdf"])
def test_pictures_for_print_are_whole_and_the_same_in_every_run(tmp_path, short_clip, picture):
    odd = tmp_path / "a$^$&<b.wav"
    odd.write_bytes(short_clip.read_bytes())
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("explain", odd, "--format", picture, "-o", first).exit_code == 0
    subprocess.run([sys.executable, "-m", "audio_lrp", "explain", str(odd), "--format", picture, "-o",
                    str(second)],
                   env={**os.environ, "PYTHONHASHSEED": "7"}, check=True, capture_output=True)
    names = sorted(path.name for path in first.iterdir())
    endings = ("-profiles.csv", f"-profiles.{picture}", ".json", ".npz", f".{picture}")
    assert names == sorted(f"a$^$&<b{ending}" for ending in endings)
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for name in (f"a$^$&<b.{picture}", f"a$^$&<b-profiles.{picture}"):
        if picture == "svg":
            words = text_of(first / name)
            assert any("seconds" in word for word in words) and any("hertz" in word for word in words)
            assert any("a$^$&<b" in word for word in words), "text stays text, and any name can be shown"
        else:
            content = (first / name).read_bytes()
            assert (content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
                    and b"CreationDate" not in content)


def test_a_picture_of_another_format_is_a_usage_error(tmp_path):
    result = run("explain", "--format", "gif", "-o", tmp_path / "out")
    assert result.exit_code == 2 and "svg" in result.stderr and "pdf" in result.stderr


def test_the_ledger_is_printed_down_to_the_waveform(short_clip, urban_sounds):
    """Each step of the front end hands on what the next receives; the last is the total that arrives at the
    sound.
    """
    result = run("ledger", short_clip, "--rules", "preset_b", "--all")
    assert result.exit_code == 0
    steps = [f"sound/{step}" for step in ("arrange", "colours", "resize", "stretch", "decibels", "mel",
                                          "spectrogram", "fit", "resample")]
    lines = result.stdout.splitlines()
    rows = [next(line for line in lines if line.startswith(f"{step}  ")) for step in steps]
    assert [lines.index(row) for row in rows] == list(range(lines.index(rows[0]), lines.index(rows[0]) + 9))
    numbers = [[float(number) for number in re.findall(r"-?\d+\.\d+(?:e[+-]\d+)?", row)][-6:] for row in rows]
    for (received, passed, bias, stabilizer, gated, residual), following in zip(numbers,
                                                                                [*numbers[1:], None]):
        assert received == pytest.approx(passed + gated,
                                         abs=2e-4) and bias == stabilizer == 0 and abs(residual) < 1e-6
        assert following is None or passed == following[0]
    clip = features.open_clip(short_clip)
    e = lrp_core.explain(urban_sounds, clip.image, "preset_b")
    assert numbers[-1][1] == pytest.approx(down(clip, e.relevance).relevance.sum(), abs=1e-4)
    assert numbers[0][0] == pytest.approx(e.relevance.sum(dtype=float), abs=1e-4)
    total = [float(number) for number in next(line for line in lines if line.startswith("total")).split()[1:]]
    assert total[0] == pytest.approx(float(e.logits[e.target]), abs=1e-4) and total[1] == numbers[-1][1]
    assert total[0] == pytest.approx(sum(total[1:5]), abs=4e-4)


def test_the_map_of_a_clip_lies_where_its_pixels_do(short_clip, urban_sounds):
    """64 x 64 pixels of 345 frames and 128 bands: in the middle of what each one averages."""
    clip = features.open_clip(short_clip)
    one = Explained(clip, lrp_core.explain(urban_sounds, clip.image), "epsilon")
    assert one.map.shape == (64, 64)
    frames = (np.arange(64) + 0.5) * 345 / 64 - 0.5
    np.testing.assert_allclose(map_axes(clip).seconds, frames * 512 / RATE, atol=1e-9)
    bands = study.band_edges()[1:-1].reshape(64, 2)
    assert ((bands[:, 0] < one.axes.hertz) & (one.axes.hertz < bands[:, 1])).all()


def test_the_embedded_clip_has_a_ledger_to_the_sound_too():
    result = run("ledger")
    assert result.exit_code == 0 and audio_lrp.EMBEDDED_CLIP.name in result.stdout
    assert "sound/spectrogram" in result.stdout and "sound/fit" in result.stdout
