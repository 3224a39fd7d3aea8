"""The command line, as a person meets it."""
import json
import os
import re
import shutil
import subprocess
import sys

import click.testing
import matplotlib.image
import numpy as np
import pytest
import soundfile

import audio_lrp
import features
import lrp_core
from audio_lrp.cli import main, unique_stems
from audio_lrp.explained import as_picture


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def sounds(tmp_path):
    """Three sounds: a tone, noise, silence."""
    rng, rate = np.random.default_rng(0), 22_050
    made = {"tone": np.sin(np.arange(2 * rate) / 5) / 2, "noise": rng.standard_normal(rate) / 9,
            "silence": np.zeros(rate)}
    for name, y in made.items():
        soundfile.write(tmp_path / f"{name}.wav", y, rate)
    return [tmp_path / f"{name}.wav" for name in made]


def test_the_embedded_clip_is_explained(tmp_path, urban_sounds):
    result = run("explain", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    name = audio_lrp.EMBEDDED_CLIP.stem
    assert name.split("_")[0] in result.output and "%" in result.output and "of the score" in result.output
    facts = json.loads((tmp_path / f"{name}.json").read_text())
    with np.load(tmp_path / f"{name}.npz") as found:
        arrays = dict(found)
    assert facts["heard"] == name, "the embedded clip sounds like what it says"
    assert abs(sum(facts["probabilities"].values()) - 1) < 1e-5
    assert facts["target"]["logit"] == pytest.approx(max(facts["logits"].values()))
    for rules in ("epsilon", "preset_a_flat"):
        book = facts["rules"][rules]
        assert arrays[f"relevance_{rules}"].sum(dtype=float) == pytest.approx(book["relevance_total"],
                                                                              rel=1e-6)
        total = book["ledger"]["total"]
        booked = total["passed"] + total["bias"] + total["stabilizer"] + total["gated"]
        assert booked == pytest.approx(facts["target"]["logit"], rel=1e-6)
        assert max(abs(layer["residual"])
                   for layer in book["ledger"]["layers"]) <= 1e-6 * facts["target"]["logit"]
        image = features.clip_image(audio_lrp.EMBEDDED_CLIP)
        np.testing.assert_array_equal(arrays["input"], image)
        expected = lrp_core.explain(urban_sounds, image, rules).relevance
        np.testing.assert_array_equal(arrays[f"relevance_{rules}"], expected)
        np.testing.assert_allclose(as_picture(arrays[f"map_{rules}"]), expected.sum(axis=-1), rtol=0,
                                   atol=1e-6 * np.abs(expected).max())
    assert facts["rules"]["preset_a_flat"]["relevance_for"] > 0 and list(facts["rules"]) == [
        "preset_a_flat", "epsilon"], "LRP-flat leads"
    assert arrays["relevance_samples"].shape == (soundfile.info(audio_lrp.EMBEDDED_CLIP).frames,)
    assert len(arrays["seconds"]) == len(arrays["hertz"]) == 64 and (np.diff(arrays["hertz"]) > 0).all()
    assert arrays["seconds"][[0, -1]] == pytest.approx([1 / 32, 4 - 1 / 32], abs=0.01)
    picture = matplotlib.image.imread(tmp_path / f"{name}.png")
    assert min(picture.shape[:2]) > 500 and picture[..., :3].std() > 0.1


def test_many_clips_are_each_what_they_are_alone(tmp_path, sounds):
    assert run("explain", *sounds, "-o", tmp_path / "all", "--rules", "preset_b", "--target",
               "siren").exit_code == 0
    for path in sounds:
        assert run("explain", path, "-o", tmp_path / "one", "--rules", "preset_b", "--target",
                   "siren").exit_code == 0
        together, alone = (tmp_path / folder / f"{path.stem}.json" for folder in ("all", "one"))
        assert together.read_text() == alone.read_text()
        facts = json.loads((tmp_path / "one" / f"{path.stem}.json").read_text())
        assert facts["target"]["class"] == "siren" and list(facts["rules"]) == [
            "preset_b", "preset_a_flat", "epsilon"]


def test_one_bad_file_does_not_stop_the_others(tmp_path, sounds):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF nothing")
    result = run("explain", sounds[0], bad, tmp_path / "none.wav", sounds[1], "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "bad.wav" in result.stderr and "none.wav" in result.stderr and "2 of 4" in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        f"{name}{ending}" for name in ("noise", "tone")
        for ending in ("-profiles.csv", "-profiles.png", ".json", ".npz", ".png")]


def test_silence_is_answered_with_a_warning(tmp_path, sounds):
    result = run("explain", sounds[2], "-o", tmp_path)
    assert result.exit_code == 0 and "silent" in result.output
    assert json.loads((tmp_path / "silence.json").read_text())["warnings"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["explain", "--target", "cat"], "siren"),
    (["explain", "--target", "10"], "0..9"), (["explain", "--target", "²"], "siren"),
    (["explain", "--rules", "magic"], "preset_a_flat"),
    (["explain", "--model", "none.npz"], "none.npz"),
    (["explain", "--model", __file__], "test_cli.py"),
    (["ledger", "none.wav"], "none.wav"),
    (["summary", "--model", "none.npz"], "none.npz"),
])
def test_mistakes_are_answered_in_words(arguments, message, tmp_path):
    result = run(*arguments, *(["-o", tmp_path] if arguments[0] == "explain" else []))
    assert result.exit_code != 0 and message in result.output
    assert "Traceback" not in result.output and isinstance(result.exception, SystemExit)


def test_a_model_for_other_inputs_is_refused(tmp_path):
    network = lrp_core.Network([("dense", lrp_core.layers.Dense(np.ones((4, 2), np.float32)))], (4,))
    network.save(tmp_path / "small.npz")
    result = run("explain", "--model", tmp_path / "small.npz", "-o", tmp_path)
    assert result.exit_code == 1 and "(4,)" in result.output and "give a front end" in result.output
    result = run("explain", "--model", tmp_path / "small.npz", "--front-end", "study", "-o", tmp_path)
    assert result.exit_code == 1 and "(4,)" in result.output and "(64, 64, 3)" in result.output
    assert "Dense" in run("summary", "--model", tmp_path / "small.npz").output


def test_the_ledger_table_adds_up(sounds):
    output = run("ledger", sounds[1], "--rules", "flat", "--all").output
    rows = [line.split() for line in output.splitlines()]
    total = next(row for row in rows if row and row[0] == "total")
    start, *rest = (float(number) for number in total[1:-1])
    assert start == pytest.approx(sum(rest), abs=3e-4)
    assert sum(row[0].startswith("conv") and "Flat()" in row for row in rows if row) == 1
    residuals = {row[0]: abs(float(row[-1])) for row in rows if row
                 and re.fullmatch(r"-?\d\.\de[+-]\d\d", row[-1])}
    assert len(residuals) > 20 and "total" in residuals and max(residuals.values()) < 1e-12


def test_the_summary_counts_as_published():
    output = run("summary").output
    counts = [line.split()[-1] for line in output.splitlines() if "Conv2D" in line or "Dense" in line]
    assert counts == ["896", "18,496", "36,928", "36,928", "73,856", "147,584", "1,638,912", "5,130"]
    assert output.rstrip().endswith("1,958,730")


def test_names_may_hold_what_mathematics_uses(tmp_path, sounds):
    odd = tmp_path / "a$^$b.wav"
    odd.write_bytes(sounds[0].read_bytes())
    result = run("explain", odd, "-o", tmp_path / "out")
    assert result.exit_code == 0 and (tmp_path / "out" / "a$^$b.png").exists()


def test_a_model_that_cannot_be_explained_is_refused_in_words(tmp_path, sounds):
    L = lrp_core.layers
    wide = np.full((12288, 10), 1e38, np.float32)
    large = lrp_core.Network([("flat", L.Flatten()), ("dense", L.Dense(wide))], (64, 64, 3))
    large.save(tmp_path / "odd.npz")
    for command in (["explain", "-o", tmp_path], ["ledger"]):
        result = run(command[0], sounds[0], "--model", tmp_path / "odd.npz", *command[1:])
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert "'dense' overflows" in result.output


def test_a_map_of_scores_is_explained_by_its_place(tmp_path, sounds):
    """A network whose output is no row of classes: the largest score is explained, by its number."""
    network = lrp_core.Network([("relu", lrp_core.layers.ReLU())], (64, 64, 3))
    network.save(tmp_path / "map.npz")
    best = int(features.clip_image(sounds[1]).argmax())
    place = tuple(int(n) for n in np.unravel_index(best, (64, 64, 3)))
    result = run("explain", sounds[1], "--model", tmp_path / "map.npz", "-o", tmp_path)
    assert result.exit_code == 0 and f"explained: output {place} by" in result.output, result.output
    with np.load(tmp_path / "noise.npz") as arrays:
        assert np.flatnonzero(arrays["relevance_epsilon"]).tolist() == [best]
    result = run("ledger", sounds[1], "--model", tmp_path / "map.npz", "--target", "0,1,2")
    assert result.exit_code == 0 and "output (0, 1, 2)" in result.output


def test_a_folder_that_cannot_be_made_is_named(tmp_path, sounds):
    (tmp_path / "file").write_text("in the way")
    result = run("explain", sounds[0], "-o", tmp_path / "file" / "out")
    assert result.exit_code == 1 and "out" in result.output and isinstance(result.exception, SystemExit)


def test_equal_names_do_not_overwrite_each_other():
    assert unique_stems(["a/x.wav", "b/x.wav", "c/x-2.wav", "x.flac"], ".png") == ["x", "x-2", "x-2-2", "x-3"]
    assert unique_stems(["a/Dog.wav", "b/dog.wav"], ".png") == ["Dog", "dog-2"], "some systems ignore case"
    assert unique_stems(["a.wav", "a-profiles.wav"],
                        ".png") == ["a", "a-profiles-2"], "a's own profiles have that name"
    assert unique_stems(["a-profiles.wav", "a.wav"], ".png") == ["a-profiles", "a-2"]


def test_help_teaches():
    for command in ([], ["explain"], ["ledger"], ["summary"]):
        result = run(*command, "--help")
        assert result.exit_code == 0 and len(result.output) > 200


def test_a_new_process_answers_within_three_seconds(tmp_path):
    resource = pytest.importorskip("resource",
                                   reason="processor time of a child process is known on Unix only")

    def used(*arguments):
        """Processor time of all threads of a process: steady on a busy machine."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    # the first may have to find the machine's fonts
    seconds = min(used("-m", "audio_lrp", "explain", "-o", str(tmp_path)) for _ in range(3))
    libraries = min(used("-c", "import matplotlib.backends.backend_agg, matplotlib.figure, numba, soundfile")
                    for _ in range(2))
    assert seconds < max(3, 5 * libraries), "on slow machines: some times what importing libraries takes"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere file names are text")
@pytest.mark.parametrize("command", ["explain", "listen"])
def test_a_file_name_need_not_be_text(command, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.flac"
    shutil.copy(audio_lrp.EMBEDDED_CLIP, name)
    result = run(command, os.fsdecode(name), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert all(path.name.startswith("caf_") for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("command", ["explain", "listen", "ledger", "report", "dataset"])
def test_every_command_takes_an_engine_and_a_precision(command, sounds, tmp_path, monkeypatch):
    """They reach the engine, and single precision is told from double by the last digits."""
    asked = []

    def notice(request, really=lrp_core.numpy_engine.explain_each):
        asked.append((request.dtype, "numpy"))
        return really(request)
    monkeypatch.setattr("lrp_core.numpy_engine.explain_each", notice)
    out = tmp_path / ("page.html" if command == "report" else "out")
    source = [sounds[1].parent] if command == "dataset" else [sounds[1]]
    options = [] if command == "ledger" else ["-o", out]
    more = ["--jobs", 1, "--backend", "threading"] if command == "dataset" else []
    for dtype in ("float32", "float64"):
        if command == "dataset":
            options = ["-o", tmp_path / dtype]
        result = run(command, *source, *options, *more, "--engine", "numpy", "--dtype", dtype)
        assert "Traceback" not in result.output and asked and {one for one,
                                                               _ in asked} == {dtype}, result.output
        asked.clear()
    result = run(command, *source, *options, "--engine", "abacus")
    assert result.exit_code == 2 and "'abacus'" in result.output and "numba" in result.output


def test_an_engine_that_is_not_installed_is_refused_before_any_work(sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    result = run("explain", sounds[1], "-o", tmp_path / "out", "--engine", "numba")
    assert result.exit_code == 2 and "pip install numba" in result.output and not (tmp_path / "out").exists()
    assert run("explain", sounds[1], "-o", tmp_path / "out").exit_code == 0, "auto does without"


def test_a_data_set_run_is_not_continued_in_another_precision(sounds, tmp_path):
    folder = sounds[1].parent
    assert "Traceback" not in run("dataset", folder, "-o", tmp_path / "out", "--jobs", 1).output
    result = run("dataset", folder, "-o", tmp_path / "out", "--jobs", 1, "--dtype", "float32")
    assert result.exit_code == 1 and "dtype was float64, is now float32" in result.output
