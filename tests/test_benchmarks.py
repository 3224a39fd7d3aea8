"""The benchmarks' own arithmetic, tables, pages, refusals and peers; a real run of throughput on two clips.
"""
import json
import pathlib
import sys
import types

import click.testing
import numpy as np
import pytest
from carried import down
from study import band_edges, mel_db

import benchmarks.__main__ as program
import features
import lrp_core
from benchmarks import (
    environments,
    equality,
    files,
    layers,
    limit,
    memory,
    report,
    scaling,
    sound,
    startup,
    study,
    throughput,
)
from benchmarks.crew import at_work
from benchmarks.peer import Peer, PeerError
from benchmarks.peers.protocol import time_calls
from benchmarks.race import Case
from benchmarks.spread import number, paired, spread
from benchmarks.tables import Table
from benchmarks.turns import Contestant, take_turns

AT = {"date": "2026-01-02", "machine": {"cores": 2, "lanes": 8, "vectors": "AVX2", "sgemm": 180.4},
      "versions": {"Python": "3.11.7", "numpy": "2.0.0", "numba": "0.60.0"}, "inputs": "100 clips"}

FAKE_PEER = """
import sys
sys.path.insert(0, {folder!r})
import types
import numpy as np
import protocol

class Tool:
    def __init__(self, study):
        print("a tool that chatters on standard output")
    def prepare(self, method, x):
        if method == "exit":
            sys.exit(3)
        if method == "unknown":
            raise KeyError(method)
        return lambda: x * 2
    def to_numpy(self, found):
        return found

protocol.serve(Tool, ("numpy",), 0.5, lambda path: types.SimpleNamespace(x=np.arange(10.)))
"""


def row(tool, method, seconds, *, preset="epsilon", dtype="float32", same_rules="epsilon", batch=32):
    """A row of throughput's result."""
    more = {"unavailable": seconds} if isinstance(seconds, str) else {"seconds": seconds}
    return {"preset": preset, "batch": batch, "tool": tool, "method": method, "dtype": dtype,
            "same_rules": same_rules,
            **more}


def compared(preset, finder, close, largest, peer="iNNvestigate"):
    """A row of the table of equality."""
    return {"preset": preset, "peer": peer, "method": "lrp", "finder": finder, "close": close, "of": 100,
            "median": 1e-7, "largest": largest}


CLASSES = {"preset": "epsilon", "one": [0.001, 0.001], "all": [0.004, 0.005]}
MAP = {"limit": 0.1, "rows": ["127 -127 " * 16] * 32}
RESULTS = {
    "throughput": {"rows": [row("Audio-LRP", "epsilon", [0.1, 0.2, 0.1]),
                            row("OpenVINO", "forward", [0.05, 0.1, 0.05]),
                            row("iNNvestigate", "lrp.epsilon", [0.4, 0.8, 0.4]),
                            row("zennit", "epsilon", "no Python | here")],
                   "classes": [CLASSES],
                   "equality": [compared("epsilon", equality.FLOAT32, 97, 1e-3),
                                compared("epsilon", equality.FLOAT64, 98, 1e-3)],
                   "peers": {"iNNvestigate": {"tensorflow": "2.14.1"}}},
    "networks": {"networks": {"CNN14": {
        "date": "2026-01-02", "parameters": 80_000_000, "multiply_adds": 2_000_000_000,
        "rates": {"float32": [8e10, 1e10], "float64": [4e10, 1e10]},
        "rows": [row("Audio-LRP", "epsilon", [0.1, 0.2, 0.1]), row("zennit", "epsilon", [0.4, 0.8, 0.4]),
                 row("Audio-LRP", "epsilon", [0.2, 0.4, 0.2]) | {"threads": 1}],
        "equality": [compared("epsilon", equality.FLOAT64, 2, 1e-6, peer="zennit")], "classes": [CLASSES],
        "plans": [{"preset": "epsilon", "dtype": "float64", "first": 2.1, "later": 0.5}],
        "steps": {"epsilon": [
            {"name": "conv1", "direction": "forward", "kernel": "NumPy", "seconds": 0.003, "flops": 0,
             "reason": "grouped", "limit": 0.001},
            {"name": "conv1", "direction": "forward", "kernel": "sum", "seconds": 0.001, "flops": 0,
             "reason": "", "limit": 0.0},
            {"name": "pool1", "direction": "forward", "kernel": "max pool", "seconds": 0.009, "flops": 0,
             "reason": "", "limit": 0.009}]}, "peers": {}}}},
    "layers": {"one_thread_sgemm": 100.0, "presets": {"epsilon": [
        {"name": "conv1", "direction": "forward", "kernel": "direct", "seconds": 0.001, "flops": 50_000_000,
         "limit": 0.0005},
        {"name": "conv1", "direction": "forward", "kernel": "direct", "seconds": 0.001, "flops": 50_000_000},
        {"name": "pool1", "direction": "backward", "kernel": "max pool", "seconds": 0.0005, "flops": 0}]}},
    "startup": {"rows": [{"start": "Audio-LRP, warm", "rounds": [
        {"import": 0.5, "load": 0.1, "first": 0.3, "second": 0.004, "whole": 1.0}]},
        {"start": "iNNvestigate", "unavailable": "none was found"}]},
    "memory": {"rows": [{"preset": "imports alone", "batch": 0, "bytes": [50_000_000]},
                        {"preset": "epsilon", "batch": 1, "bytes": [100_000_000]},
                        {"preset": "epsilon", "batch": 32, "bytes": [100_000_000 + 31 * 2048]}]},
    "scaling": {"rows": [{"batch": batch, "threads": threads, "seconds": [batch / 100 / threads]}
                         for batch in (1, 32, 64) for threads in (1, 2)]},
    "sound": {"rows": [{"preset": "epsilon", "scenes": 2, "clips": 24, "siren": 0.8, "drilling": 0.7,
                        "horn": 0.6, "horn_area": 0.2,
                        "spans": {"horn, 0.5 to 3 s": [0.6, 1.9, 400, 2100]},
                        "kept": 14, "random": 5.6, "without": 18, "cells": 0.006, "error": 1e-9},
                       {"preset": "preset_a", "scenes": 2, "siren": 0.8, "drilling": 0.7, "horn": 0.6,
                        "horn_area": 0.2,
                        "spans": {"horn, 0.5 to 3 s": [0.6, 1.9, 400, 2100]}}],
              "truth": {"horn, 0.5 to 3 s": [0.5, 3, 400, 2000]}, "share": 0.5, "draws": 5},
    "files": {"steps": [{"stage": "read", "part": "reading", "ms": [1.0, 1.0]},
                        {"stage": "mel", "part": "front end", "ms": [2.0, 2.5, 3.0]},
                        {"stage": "explain", "part": "explanation", "ms": [6.5]}],
              "images": [{"dtype": "float32", "workers": 2, "ms": [1.5, 1.4, 1.6]}],
              "commands": [{"command": "dataset", "clips": 240, "seconds": 12.0}],
              "timelines": [{"minutes": 60, "seconds": 30.0, "peak": 3e8, "sirens": 3, "found": 2,
                             "false": 1}]},
    "arrival": {"rows": [{"way": "as found", "clips": 24, "right": 18, "same": 24, "change": 0.0,
                          "bytes": 352_844.0}],
                "fold": [{"cut": "full", "clips": 873, "accuracy": 0.71}]},
    "looks": {"rules": "preset_a_flat", "networks": {name: {
        "regions": {"silence": {"clips": 9, "area": 0.3, "density": 0.5}},
        "changes": {"none": {"clips": 9, "right": 0.7, "right_without": 0.8, "other": 0.0}},
        "classes": [{"class": "siren", "clips": 9, "right": 7, "bands": [0.1, 0.2, 0.3, 0.4], "onset": 1.1,
                     "spectrogram": MAP, "map_right": MAP, "map_wrong": None}] * 2}
        for name in ("now", "before")}},
}


def stored(name):
    """A result as a benchmark would store it."""
    return {"name": name, "command": f"python -m benchmarks {name}", **AT, **RESULTS[name]}


@pytest.fixture
def fake_command(tmp_path):
    """The command line of a peer that doubles its numbers."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE_PEER.format(folder=str(environments.PEERS)))
    return [sys.executable, str(script), "nothing"]


def test_spread_is_the_median_between_the_quartiles():
    found = spread([5, 1, 2, 4, 3])
    assert (found.low, found.median, found.high, found.count) == (2, 3, 4, 5)
    assert str(found) == "3.00 (2.00–4.00)" and str(spread([7])) == "7.00"


def test_paired_ratios_cancel_what_slows_both():
    found = paired([2, 20, 4], [1, 10, 2])
    assert found.low == found.median == found.high == 2
    with pytest.raises(ValueError):
        paired([1, 2], [1])


@pytest.mark.parametrize("value, text", [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"),
                                         (1234.5, "1234")])
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_short_calls_are_repeated_and_long_ones_are_not():
    calls = []
    time_calls(lambda: calls.append(1), least=0.01)
    assert len(calls) > 2
    calls.clear()
    time_calls(lambda: calls.append(1), least=0)
    assert len(calls) == 1


def test_turns_drop_the_first_round_and_those_who_fail():
    def fail():
        raise PeerError("gone")
    counted, failing = Contestant("a", iter([9.0, 1.0, 2.0]).__next__), Contestant("b", fail)
    assert take_turns([counted, failing], 2, "test") == {"a": [1.0, 2.0]}
    assert failing.failure == "gone"


def test_table_lines_up_and_escapes():
    table = Table("Speed", ("tool", ">rate"), [["a", spread([1.0])], ["longer|", 12]])
    assert table.text().splitlines()[2::2] == ["tool     rate", "a        1.00", "-------------"]
    assert "| --- | ---: |" in table.markdown() and "| longer\\| | 12 |" in table.markdown()


def test_a_faster_tool_has_a_higher_ratio():
    rows = throughput.tables(stored("throughput"))[0].rows
    assert [str(line[-1]) for line in rows] == ["1", "0.500 (0.500–0.500)", "4.00 (4.00–4.00)", ""]
    assert str(rows[0][4]).startswith("320") and rows[3][4] == "not available: no Python | here"


def test_tables_of_layers_memory_scaling_and_startup():
    kernels, by_node = (table.rows for table in layers.tables(stored("layers")))
    assert by_node[0] == ["conv1", "forward", "direct", "2.000", "0.500", "4.00"]
    assert by_node[1][4:] == ["", ""] and by_node[-1] == ["total", "", "", "2.500", "0.500", "5.00"]
    lines = kernels
    assert lines[0] == ["conv1", "forward", "direct, 2 times", "2.000", "50.0", "50%"]
    assert lines[1][3:] == ["0.500", "", ""] and lines[-1] == ["total", "", "", "2.500", "40.0", "40%"]
    assert [line[-1] for line in memory.tables(stored("memory"))[0].rows] == ["", "", "2.00"]
    last = scaling.tables(stored("scaling"))[0].rows[-1]
    assert [str(cell) for cell in last] == ["2", "64", "200", "2.00", "1.00"]
    assert startup.tables(stored("startup"))[0].rows[1][1] == "not available: none was found"


def test_tables_from_files_to_relevance():
    steps, images, commands, timelines = (table.rows for table in files.tables(stored("files")))
    assert [row[-1] for row in steps] == ["10%", "25%", "65%"] and str(steps[1][2]) == "2.50 (2.25–2.75)"
    assert [str(cell) for cell in images[0]] == ["float32", "2", "1.50 (1.45–1.55)"]
    assert commands == [["dataset", 240, "12.0", "20.0"]]
    assert timelines == [["60", "30.0", "300", 3, 2, 1]]


def test_results_are_written_with_a_plot_and_the_page_holds_all(tmp_path, capsys):
    for name in RESULTS:
        report.publish(stored(name), tmp_path)
        assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["name"] == name
        assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for name, benchmark in report.BENCHMARKS.items():
        assert (f"## {benchmark.TITLE}" in page and f"python -m benchmarks {name}" in page
                and f"]({name}.svg)" in page)
    assert "2 cores, 8 lanes (AVX2), 180 GFLOP/s" in page and "iNNvestigate: tensorflow 2.14.1." in page
    # nothing half-written is left
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".svg", ".md"}
    assert "Clips per second, batch 32" in capsys.readouterr().out


def test_the_page_of_the_project_lies_beside_its_results(tmp_path):
    assert report.page_path(report.RESULTS) == report.RESULTS.parent / "RESULTS.md"
    assert report.page_path(tmp_path) == tmp_path / "RESULTS.md"


def test_equality_counts_close_clips_and_knows_silence():
    expected = np.array([[1.0, 0], [0, 0], [0, 0], [1, 1]])
    found = np.array([[1.0, 1e-5], [0, 0], [1, 0], [1, 2]])
    assert equality.compared(found, expected) == {"close": 2, "of": 4,
                                                  "median": pytest.approx(2 ** -0.5 / 2, rel=1e-4),
                                                  "largest": np.inf}


def test_too_different_is_said():
    rows = [compared("a", equality.FLOAT32, 95, 0.1), compared("b", equality.FLOAT32, 94, 0.2),
            compared("b", equality.FLOAT64, 97, 0.2), compared("c", equality.FLOAT32, 0, 1, peer="zennit"),
            {"preset": "d", "peer": "iNNvestigate", "method": "lrp", "failure": "it failed"}]
    assert len(equality.shortfalls(rows)) == 3 and all(text[0] in "bd" for text in equality.shortfalls(rows))
    assert ["WORSE" in text for text in equality.cost_of_rounding(rows)] == [True]
    assert equality.table(rows).rows[-1][4] == "it failed"


def test_a_peer_answers_saves_and_survives_an_error(fake_command, tmp_path):
    with Peer("fake", fake_command) as peer:
        assert peer.ready["import"] == 0.5 and "numpy" in peer.ready["versions"]
        assert peer.ask("double", 3, seconds=0) >= 0 and peer.ask("double", 3, once=True) >= 0
        peer.ask("double", 3, save=str(tmp_path / "found.npy"))
        assert (np.load(tmp_path / "found.npy") == np.arange(10) * 2).all()
        with pytest.raises(PeerError, match="fake failed"):
            peer.ask("unknown", 3)
        assert peer.ask("double", 1, seconds=0) >= 0
        process = peer.process
    assert process.returncode == 0


def test_a_peer_that_ends_is_an_error(fake_command):
    with Peer("fake", fake_command) as peer:
        for _ in range(2):
            with pytest.raises(PeerError, match=r"ended unexpectedly \(exit code 3\)"):
                peer.ask("exit", 3)
    with pytest.raises(PeerError, match="exit code 1"):
        Peer("none", [sys.executable, "-c", "raise SystemExit(1)"])


def test_a_missing_python_is_refused_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with at_work([environments.INNVESTIGATE], study.network(), np.zeros((1, 64, 64, 3), np.float32),
                 folder=tmp_path) as (peers, unavailable):
        assert not peers
    assert unavailable == {"iNNvestigate": "it needs Python 3.10 or 3.9, and none was found: name one with "
                                           "--python310 PATH"}
    with pytest.raises(environments.Unavailable, match="the one that --python310 names is none"):
        environments.ready(environments.INNVESTIGATE, tmp_path, str(tmp_path / "nothing"))


def test_a_failed_installation_names_no_paths(monkeypatch, tmp_path, capsys):
    failed = types.SimpleNamespace(returncode=1, stdout="", stderr=f"no network in {tmp_path}")
    monkeypatch.setattr(environments.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(environments.Unavailable, match="benchmarks/peers/torch.txt") as refusal:
        environments.ready(environments.ZENNIT, tmp_path)
    assert str(tmp_path) not in str(refusal.value) and "no network" in capsys.readouterr().err


def test_requirements_are_read_and_a_build_mark_does_not_count(monkeypatch):
    assert environments.required(environments.ZENNIT) == {
        "torch": "2.13.0", "captum": "0.9.0", "autoLRP": "0.2.0", "onnx": None, "numpy": None, "pillow": None,
        "click": None, "zennit": "0.5.1"}
    found = {"torch": "2.13.0+cpu", "captum": "0.9.0", "autoLRP": "0.2.0", "onnx": "1", "numpy": "1.0",
             "zennit": "0.5.0", "pillow": "1"}
    monkeypatch.setattr(environments.subprocess, "run",
                        lambda *_, **__: types.SimpleNamespace(returncode=0, stdout=json.dumps(found)))
    here = types.SimpleNamespace(exists=lambda: True)
    assert environments.missing(environments.ZENNIT, here) == ["click", "zennit==0.5.1"]


def test_peers_are_told_the_whole_network(urban_sounds, tmp_path):
    study.write(tmp_path / "study.npz", urban_sounds, np.zeros((1, 64, 64, 3), np.float32))
    with np.load(tmp_path / "study.npz") as arrays:
        told = json.loads(str(arrays["layers"]))
        assert sum(arrays[name].size for name in arrays if "/" in name) == urban_sounds.parameters
    assert [layer["type"] for layer in told] == ["Conv2D", "Conv2D", "MaxPool2D"] * 3 + [
        "Flatten",
        "Dense",
        "Dense",
    ]
    assert not told[-1].get("relu") and told[0]["relu"] and told[2]["pads"] == [[0, 1], [0, 1]]


def test_throughput_runs_without_peers(urban_sounds, tmp_path, monkeypatch):
    real = throughput.measure
    monkeypatch.setattr(throughput, "measure", lambda network, x, peers, reasons, **options:
                        real(network, x, peers, reasons, cases=(Case(2),), presets=("epsilon",), least=0,
                             **options))
    monkeypatch.setattr(limit, "measured",
                        lambda threads: dict.fromkeys(limit.DTYPES, limit.Rates(1e11, 1e10)))
    monkeypatch.setattr(study, "inputs", lambda: (study.images(2), "2 procedural sounds"))
    done = click.testing.CliRunner().invoke(program.main, ["throughput", "--without-peers", "--repeats", "1",
                                                           "--network", "study", "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "throughput.json").read_text())
    assert len(result["rows"]) == 2 * (4 + 5 + 5) and all(len(one["seconds"]) == 1 for one in result["rows"])
    assert "epsilon_alpha2_beta1" in done.output and result["inputs"] == "2 procedural sounds"


def test_scenes_have_their_classes_where_they_say():
    """Told from the sound alone: the partials' bands are the loudest, and each half is the sound it was made
    of.
    """
    scene = sound.horn(0)
    decibels = mel_db(scene.clip.sound)
    inside = decibels[scene.bands][:, scene.frames]
    assert inside.max() == 0 and decibels[~scene.bands].max() < -8
    assert decibels[:, -30:].max() < -15 and not scene.frames[-30:].any()
    first, second = sound.halves("siren", "drilling", 3)
    assert (first.clip is second.clip and (first.frames ^ second.frames).all() and first.frames[:170].all()
            and not first.frames[175:].any())
    rms = [np.sqrt((half ** 2).mean()) for half in np.split(first.clip.sound, 2)]
    assert rms[0] == pytest.approx(rms[1])
    low, high = scene.hertz
    assert low < 420 < high < 1000, "half of the power is that of the lowest partials"


def test_the_sound_benchmark_measures_what_it_says(urban_sounds):
    """One preset, one seed, the embedded clip: shares against sums over the relevance itself."""
    opened = [features.open_clip(y, rate) for y, rate, _ in study.clips(pathlib.Path("nowhere"))[0]]
    found = sound.measure(urban_sounds, opened, presets=("preset_a_flat",), seeds=1)["rows"][0]
    scene = sound.horn(0)
    relevance = lrp_core.explain(urban_sounds, scene.clip.image, "preset_a_flat", "car_horn").relevance
    positive = np.maximum(down(scene.clip, relevance).layers["mel"].T, 0)
    name, = (name for name in found["spans"] if name.startswith("horn"))
    start, stop, low, high = found["spans"][name]
    bands, moments = positive.sum(axis=1), positive.sum(axis=0)
    centres = band_edges()[1:-1]
    assert (moments[round(start / 4 * 345):round(stop / 4 * 345)].sum() >= 0.499 * positive.sum()
            and 0 <= start < stop <= 4)
    assert (bands[(centres > 0.97 * low) & (centres < 1.03 * high)].sum() >= 0.499 * positive.sum()
            and low < high)
    assert found["horn"] == pytest.approx(positive[np.ix_(scene.bands, scene.frames)].sum() / positive.sum())
    assert (
        found["clips"] == 1
        and found["kept"] in (0, 1)
        and 0 <= found["random"] <= 1
        and found["error"] < 1e-6
    )
