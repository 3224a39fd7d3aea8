"""Names that hold anything: files named to command a terminal, a spreadsheet or a browser, too long, or like
devices.
"""
import csv
import json
import os
import unicodedata
import xml.etree.ElementTree

import click.testing
import numpy as np
import pytest
import soundfile
from report_pages import Page
from test_dataset_run import rows

import features
import lrp_core
from audio_lrp import plots
from audio_lrp.answer import answers
from audio_lrp.cli import main
from audio_lrp.models import load
from audio_lrp.names import unique_stems
from audio_lrp.tables import csv_table, harmless, markdown_text
from lrp_core.files import replacing

# an operating system command, a control sequence, and writing reversed
ORDERS = "a\x1b]0;title\x07\x9b2J\r\u202e"
CLASSES = ("dog\ud800", "=1+1", "\x1b]0;x\x07<script>alert(1)</script>|*b*")
SHOWN = ["dog\\ud800", "=1+1", "\\x1b]0;x\\x07<script>alert(1)</script>|*b*"]

posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere such files cannot be made")


def run(*arguments):
    """The command as on a terminal: click itself takes nothing out."""
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments], color=True)


def safe(text):
    """Is there nothing in the text that a terminal would obey?"""
    return all(c.isprintable() or c == "\n" for c in text)


def noise(path):
    """A fifth of a second of noise; soundfile itself does not write to any name."""
    made = path.parent / "made.wav"
    soundfile.write(made, np.random.default_rng(1).standard_normal(4410) / 9, 22_050)
    return made.rename(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network of one layer whose classes have such names."""
    return model_of(tmp_path_factory.mktemp("model") / "small.npz", CLASSES)


def model_of(path, classes):
    layers = lrp_core.layers
    kernel = np.random.default_rng(1).standard_normal((64 * 64 * 3, len(classes))).astype(np.float32) / 50
    lrp_core.Network([("flat", layers.Flatten()), ("dense", layers.Dense(kernel)),
                      ("softmax", layers.Softmax())], (64, 64, 3)).replace(class_names=classes).save(path)
    return path


@posix
@pytest.mark.parametrize("arguments", [
    ("explain", "FILE", "BAD", "-o", "OUT", "--format", "svg"),
    ("listen", "FILE", "BAD", "--check", "1", "-o", "OUT"),
    ("ledger", "FILE"), ("ledger", "BAD"), ("report", "FILE", "BAD", "--rules", "epsilon", "-o", "OUT/BAD"),
    ("dataset", "FOLDER", "-o", "OUT", "--jobs", "1"), ("dataset", "FOLDER", "-o", "FILE"),
    ("dataset", "BAD", "-o", "OUT"),
    ("explain", "--model", "BAD"), ("summary", "--model", "BAD"), ("explain", "--target", "BAD"),
    ("explain", "--BAD"),
    ("summary",), ("BAD",)])
def test_a_terminal_obeys_no_name(arguments, model, tmp_path):
    folder = tmp_path / f"{ORDERS}\n"
    folder.mkdir()
    names = {"FILE": noise(folder / f"{ORDERS}.wav"), "BAD": folder / f"{ORDERS}bad.wav", "FOLDER": folder,
             "OUT": tmp_path / f"out{ORDERS}"}
    names["BAD"].write_bytes(b"RIFF nothing")
    words = list(arguments)
    for name, path in names.items():
        words = [word.replace(name, os.fspath(path)) for word in words]
    result = run(*words, *(() if "--model" in words or words[0] not in main.commands else ("--model", model)))
    assert safe(result.stdout) and safe(result.stderr), ascii(result.output)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output and result.output


@posix
def test_pictures_of_strange_files_are_well_formed(model, tmp_path):
    path = noise(tmp_path / "\x01\x1b<b>&$^$\ufffe.wav")
    assert run("explain", path, "-o", tmp_path / "out", "--model", model, "--format", "svg").exit_code == 0
    pictures = sorted((tmp_path / "out").glob("*.svg"))
    assert len(pictures) == 2
    for picture in pictures:
        text = "".join(xml.etree.ElementTree.parse(picture).getroot().itertext())
        assert "__<b>&$^$_   likeliest: " in text


def test_titles_are_cleaned_and_leave_room_for_the_picture(model, tmp_path):
    plots.save(plots.new_figure(3, 1, "a\x01\x1b\nb"), tmp_path / "x.svg")
    text = "".join(xml.etree.ElementTree.parse(tmp_path / "x.svg").getroot().itertext())
    assert "a\\x01\\x1b" in text
    clip = features.open_clip(np.ones(99), 22_050)
    result, = answers(load(model), [clip], ["epsilon"], "max")
    first, second = result.heading("x" * 200).split("   ")[:2]
    assert len(first) == 60 and "..." in first and second.startswith("likeliest: ")


@pytest.mark.parametrize("command", ["explain", "listen", "ledger", "report", "dataset"])
def test_classes_of_any_name_are_shown_and_can_be_asked_for(command, model, tmp_path):
    sound = noise(tmp_path / "x.wav")
    if command == "dataset":
        result = run("dataset", tmp_path, "-o", tmp_path / "out", "--model", model, "--jobs", "1")
        text = (tmp_path / "out" / "SUMMARY.md").read_text(encoding="utf-8")
        assert ("<script>" not in text
                and r"\\x1b\]0;x\\x07&lt;script&gt;alert(1)&lt;/script&gt;\|\*b\*" in text)
        assert json.loads((tmp_path / "out" / "summary.json").read_text())["settings"]["classes"] == SHOWN
    elif command == "report":
        result = run("report", sound, "-o", tmp_path / "r.html", "--rules", "epsilon", "--model", model)
        page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
        assert sorted(page.json()[1][0]["classes"]) == sorted(SHOWN)
        assert safe("".join(text for _, text in page.texts))
    else:
        out = ["-o", tmp_path] if command != "ledger" else []
        result = run(command, sound, "--target", SHOWN[0], "--model", model, *out)
        assert SHOWN[0] in result.stdout
    assert result.exit_code == 0, result.output
    if command == "explain":
        assert list(json.loads((tmp_path / "x.json").read_text())["probabilities"]) == SHOWN


def test_classes_that_look_alike_are_refused_in_words(tmp_path):
    model = model_of(tmp_path / "m.npz", ("\x1b", "\\x1b"))
    result = run("explain", "--model", model, "-o", tmp_path)
    assert (
        result.exit_code == 1
        and "2 different names" in result.output
        and isinstance(result.exception, SystemExit)
    )


def test_what_a_model_file_is_refused_for_is_one_line(monkeypatch, tmp_path):
    def refuse(path):
        raise lrp_core.ModelFileError(f"{path}: this is an ONNX file:\nconvert it with\x1b[2J ...")
    monkeypatch.setattr(lrp_core, "load", refuse)
    result = run("explain", "--model", "x.npz", "-o", tmp_path)
    assert result.stderr == "Error: x.npz: this is an ONNX file:\\nconvert it with\\x1b[2J ...\n"


# ---- Tables


@pytest.mark.parametrize(("cell", "written"), [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("+1+cmd|x", "'+1+cmd|x"), ("-2+3", "'-2+3"),
    ("@SUM(1)", "'@SUM(1)"),
    ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("\uff1d1", "'\uff1d1"), ("-", "'-"),
    ("-1.5e-07", "-1.5e-07"), ("+3", "+3"),
    ("-inf", "-inf"), (-1.5, -1.5), (0, 0), ("", ""), ("a=1", "a=1"), ("'x", "'x")])
def test_a_spreadsheet_runs_no_cell(cell, written, tmp_path):
    assert harmless(cell) == written
    with csv_table(tmp_path / "t.csv", ("path",)) as write:
        write((cell,))
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as lines:
        assert [row["path"] for row in csv.DictReader(lines)] == [str(written)]


@posix
def test_no_table_of_a_data_set_holds_a_formula(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("=cmd|' .wav", "@x.wav", "-2+3.wav"):
        noise(tmp_path / "in" / name)
    (tmp_path / "in" / "+bad.wav").write_bytes(b"RIFF nothing")
    assert run("dataset", tmp_path / "in", "-o", tmp_path / "out", "--model", model, "--jobs",
               "1", "--rules", "epsilon").exit_code == 1
    cells = [cell for path in (tmp_path / "out").rglob("*.csv") for row in rows(path)
             for cell in row.values()]
    assert {"'=cmd|' .wav", "'@x.wav", "'-2+3.wav", "'+bad.wav"} <= set(cells)
    assert not [cell for cell in cells if harmless(cell) != cell] and any(cell.startswith("-")
                                                                          for cell in cells)


@pytest.mark.parametrize(("name", "text"), [
    ("dog_bark", "dog_bark"), ("_x_", r"\_x\_"), ("<b>&amp;", "&lt;b&gt;&amp;amp;"), ("a|b", r"a\|b"),
    ("[x](y)", r"\[x\](y)"),
    ("**b** `c` ~~d~~ ![i](j)", r"\*\*b\*\* \`c\` \~\~d\~\~ \!\[i\](j)"), ("\\", "\\\\"), ("a\nb", r"a\\nb")])
def test_markdown_shows_a_name_as_it_is(name, text):
    assert markdown_text(name) == text


# ---- Names of files that are written


@pytest.mark.parametrize("name", ["x" * 251, "é" * 125, "音" * 83, "🎵" * 62],
                         ids=["1 byte", "2 bytes", "3", "4"])
@pytest.mark.parametrize(("command", "count"), [("explain", 5), ("listen", 4)])
def test_a_file_of_the_longest_name_gets_all_its_files(command, count, name, model, tmp_path):
    result = run(command, noise(tmp_path / f"{name}.wav"), "-o", tmp_path / "out", "--model", model)
    assert result.exit_code == 0, result.output
    written = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(written) == count and all(len(os.fsencode(one)) <= 255 and one.startswith(name[:50])
                                         for one in written)


def test_a_file_can_be_written_by_the_longest_name(model, tmp_path):
    for name in ("x" * 255, "音" * 85):
        with replacing(tmp_path / name) as partial:
            partial.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"
    path = tmp_path / f"{'y' * 250}.html"
    assert run("report", noise(tmp_path / "x.wav"), "-o", path, "--rules", "epsilon", "--model",
               model).exit_code == 0
    assert path.exists()


def test_stems_are_short_different_and_no_devices():
    alike = ["x" * 300 + "a", "x" * 300 + "b"]
    stems = unique_stems([*alike, alike[0]], "-profiles.png")
    assert len(set(stems)) == 3 and max(map(len, stems)) <= 255 - len("-profiles.png")
    assert unique_stems([alike[1]], "-profiles.png") == [stems[1]], "whatever else is explained"
    devices = ["CON.wav", "com1.tar.wav", "console.wav", "nul .wav"]
    assert unique_stems(devices, ".png") == ["_CON", "_com1.tar", "console", "_nul "]
    accents = [unicodedata.normalize(form, "é.wav") for form in ("NFC", "NFD")]
    assert unique_stems(accents, ".png")[1].endswith("-2"), "some systems take them for one"
    assert unique_stems(["\udce9\ud800\n.wav"], ".png") == ["___"]


# ---- Words for people


@pytest.mark.parametrize(("target", "hint"), [
    ("dog", "did you mean dog_bark?"), ("sirens", "did you mean siren?"), ("BARK", "did you mean dog_bark?")])
def test_a_class_that_is_almost_right_is_answered_with_the_right_one(target, hint, tmp_path):
    result = run("explain", "--target", target, "-o", tmp_path)
    assert result.exit_code == 2 and hint in result.stderr


def test_a_class_that_is_like_none_gets_no_hint(tmp_path):
    assert "did you mean" not in run("explain", "--target", "qqq", "-o", tmp_path).stderr


@pytest.mark.parametrize("command", ["explain", "listen", "report", "ledger"])
def test_a_folder_is_answered_with_the_command_for_folders(command, tmp_path, model):
    (tmp_path / "my sounds").mkdir()
    out = {"ledger": [], "report": ["-o", tmp_path / "r.html"]}.get(command, ["-o", tmp_path])
    result = run(command, tmp_path / "my sounds", "--model", model, *out)
    assert (result.exit_code == 1 and f"`audio-lrp dataset '{tmp_path / 'my sounds'}' -o OUTPUT` explains "
                                      "all" in result.stderr)
