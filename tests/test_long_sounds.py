"""A sound longer than the four seconds that the network hears: every answer says how much of it was heard."""
import json

import click.testing
import numpy as np
import pytest
import soundfile
from report_pages import Page, small_model
from test_dataset_run import rows

import features
from audio_lrp.cli import main

RATE = 22_050
WORDS = "the first 4.00 of 37.20 s were heard"


def run(*arguments):
    result = click.testing.CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("model"))[1]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with a sound of 37.2 s and one of four."""
    folder = tmp_path_factory.mktemp("sounds")
    y = np.random.default_rng(0).standard_normal(round(37.2 * RATE)) / 9
    soundfile.write(folder / "long.wav", y, RATE)
    soundfile.write(folder / "four.wav", y[:4 * RATE], RATE)
    return folder


def test_explain_says_it_in_the_terminal_the_numbers_and_the_pictures(sounds, model, tmp_path):
    result = run("explain", sounds / "long.wav", sounds / "four.wav", "-o", tmp_path, "--model", model,
                 "--format", "svg")
    long, four = result.stdout.split("\n\n")
    assert f"  warning: {WORDS}" in long and "were heard" not in four
    facts = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("long", "four")}
    assert (facts["long"]["heard_s"], facts["long"]["duration_s"]) == (4.0, pytest.approx(37.2))
    assert any(WORDS in warning for warning in facts["long"]["warnings"])
    assert facts["four"]["heard_s"] == facts["four"]["duration_s"] == 4.0
    assert not any("were heard" in warning for warning in facts["four"]["warnings"])
    for picture in ("long.svg", "long-profiles.svg"):
        assert f"{WORDS}</text>" in (tmp_path / picture).read_text()
    assert "were heard" not in (tmp_path / "four.svg").read_text()


@pytest.mark.parametrize("command", ["listen", "ledger"])
def test_listen_and_ledger_say_it(command, sounds, model, tmp_path):
    out = ["-o", tmp_path] if command == "listen" else []
    assert f"warning: {WORDS}" in run(command, sounds / "long.wav", "--model", model, *out).stdout
    assert "were heard" not in run(command, sounds / "four.wav", "--model", model, *out).stdout


def test_the_report_says_it(sounds, model, tmp_path):
    run("report", sounds / "long.wav", sounds / "four.wav", "-o", tmp_path / "r.html", "--rules", "epsilon",
        "--model", model)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"<strong>Warning:</strong> {WORDS}" in text
    long, four = Page(text).json()[1]
    assert any(WORDS in warning for warning in long["warnings"])
    assert not any("were heard" in warning for warning in four["warnings"])


def test_the_tables_of_a_data_set_say_it(sounds, model, tmp_path):
    pytest.importorskip("zarr", reason="audio-lrp dataset needs zarr")
    result = run("dataset", sounds, "-o", tmp_path / "out", "--model", model, "--jobs", "1")
    four, long = rows(tmp_path / "out" / "index.csv")
    assert (long["heard_s"], long["duration_s"], long["warnings"]) == ("4", "37.2", WORDS)
    assert (four["heard_s"], four["duration_s"], four["warnings"]) == ("4", "4", "")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["cut"] == 1
    for text in (result.stdout, (tmp_path / "out" / "SUMMARY.md").read_text(encoding="utf-8")):
        assert "of 1 only the first 4 s were heard" in text


@pytest.fixture(scope="module")
def part(sounds, tmp_path_factory):
    """What the long sound is from 30 to 32 s, as a file of its own."""
    path = tmp_path_factory.mktemp("part") / "long.wav"
    y, rate = soundfile.read(sounds / "long.wav", dtype="int16")
    soundfile.write(path, y[30 * rate:32 * rate], rate)
    return path


def test_start_and_end_choose_the_part_that_is_explained(sounds, part, model, tmp_path):
    result = run("explain", sounds / "long.wav", "--start", 30, "--end", 32, "-o", tmp_path, "--model", model)
    assert "warning: 30.00 to 32.00 s of 37.20 s were heard" in result.stdout
    run("explain", part, "-o", tmp_path / "alone", "--model", model)
    with np.load(tmp_path / "long.npz") as found, np.load(tmp_path / "alone" / "long.npz") as alone:
        assert found.files == alone.files
        for name in found.files:
            np.testing.assert_array_equal(found[name], alone[name], err_msg=name)
    found, alone = (json.loads((folder / "long.json").read_text())
                    for folder in (tmp_path, tmp_path / "alone"))
    assert (found["start_s"], found["heard_s"], found["duration_s"]) == (30, 2, pytest.approx(37.2))
    assert found["rules"] == alone["rules"] and found["logits"] == alone["logits"]
    whole = run("explain", sounds / "long.wav", "-o", tmp_path / "whole", "--model", model)
    assert "the first 4.00" in whole.stdout
    assert json.loads((tmp_path / "whole" / "long.json").read_text())["logits"] != found["logits"]


@pytest.mark.parametrize("command", ["listen", "ledger", "report"])
def test_every_command_takes_a_part(command, sounds, part, model, tmp_path):
    chosen = "--start", 30, "--end", 32
    out = {"listen": ("-o", tmp_path), "ledger": (),
           "report": ("--rules", "epsilon", "-o", tmp_path / "r.html")}
    said = run(command, sounds / "long.wav", *chosen, "--model", model, *out[command]).stdout
    words = "30.00 to 32.00 s of 37.20 s were heard"
    if command == "listen":
        run("listen", part, "-o", tmp_path / "alone", "--model", model)
        assert words in said and len(list((tmp_path / "alone").iterdir())) == 4
        for path in (tmp_path / "alone").iterdir():
            assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    elif command == "ledger":
        alone = run("ledger", part, "--model", model).stdout
        assert words in said and said.splitlines()[-20:] == alone.splitlines()[-20:]
    else:
        run("report", part, "--rules", "epsilon", "-o", tmp_path / "alone.html", "--model", model)
        data, alone = (Page((tmp_path / name).read_text(encoding="utf-8")).json()[1][0]
                       for name in ("r.html", "alone.html"))
        assert words in data["facts"] and any(words in warning for warning in data["warnings"])
        for name in ("level", "original", "explanations", "said", "classes"):
            assert data[name] == alone[name], name


@pytest.mark.parametrize(("chosen", "message"), [
    (("--start", "37.5"), "before the start at 37.5 s"), (("--start", "5", "--end", "4"), "is empty"),
    (("--start", "-1"), "--start"), (("--end", "0"), "--end"), (("--end", "nan"), "nan"),
    (("--start", "nan"), "nan")])
@pytest.mark.parametrize("command", ["explain", "ledger", "listen", "report"])
def test_a_part_that_is_none_is_refused_in_words(command, chosen, message, sounds, model, tmp_path):
    out = {"ledger": (), "report": ("-o", tmp_path / "r.html")}.get(command, ("-o", tmp_path))
    arguments = (command, sounds / "long.wav", "--model", model, *chosen, *out)
    result = click.testing.CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code != 0 and isinstance(result.exception, SystemExit), result.exception
    assert message in result.stderr and "Traceback" not in result.output


@pytest.mark.parametrize(("samples", "heard", "words"), [
    (1, 1 / RATE, ""), (4 * RATE, 4.0, ""), (4 * RATE + 1, 4.0, ""),
    (4 * RATE + 441, 4.0, "the first 4.00 of 4.02 s were heard")])
def test_what_is_heard_of_a_clip(samples, heard, words):
    clip = features.open_clip(np.sin(np.arange(samples)), RATE)
    assert clip.heard == heard and clip.cut == words
