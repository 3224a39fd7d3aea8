"""A data set at once: the same bytes whoever explains it, however often it is killed; tables that say what
the arrays say.
"""
import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tracemalloc

import click.testing
import numpy as np
import pytest
import soundfile
import study

import audio_lrp.plots
import features
import lrp_core
from audio_lrp.cli import main
from features.synth import CLASSES, synthesize

pytest.importorskip("joblib", reason="audio-lrp dataset needs joblib")
zarr = pytest.importorskip("zarr", reason="audio-lrp dataset needs zarr")


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["dataset", *map(str, arguments)])


def done(*arguments):
    """Run a data set in this process; nothing may go wrong."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def tree(folder):
    """{path: bytes} of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file()}


def rows(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def array(folder, name):
    return zarr.open_array(str(folder / "arrays.zarr" / name), mode="r")[:]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network of two layers: these tests are about the work around the explanations. (By LRP-flat all maps
    of a single one would be alike.)
    """
    L, rng = lrp_core.layers, np.random.default_rng(1)
    kernels = rng.standard_normal((3, 3, 3, 2)), rng.standard_normal((31 * 31 * 2, 10)) / 30
    conv, dense = (kernel.astype(np.float32) for kernel in kernels)
    path = tmp_path_factory.mktemp("model") / "small.npz"
    lrp_core.Network([("conv", L.Conv2D(conv, strides=(2, 2))), ("flat", L.Flatten()),
                      ("dense", L.Dense(dense)), ("softmax", L.Softmax())], (64, 64, 3),
                     class_names=CLASSES).save(path)
    return path


def write_sounds(folder, classes, count):
    """`count` clips of each class number, a third of a second long, named as UrbanSound8K names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in classes:
        for seed in range(count):
            soundfile.write(folder / f"{100 + seed}-{number}-0-{seed}.wav",
                            synthesize(number, seed, seconds=0.33), 44_100)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Seven dogs, seven sirens, and one more that is no sound."""
    folder = write_sounds(tmp_path_factory.mktemp("sounds") / "all", (3, 8), 7)
    (folder / "104-3-0-9.wav").write_bytes(b"RIFF nothing")
    return folder


@pytest.fixture(scope="module")
def undisturbed(sounds, model, tmp_path_factory):
    """The folder of one run over `sounds` in a single process."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    result = run(sounds, "-o", folder, "--model", model, "--jobs", 1, "--batch", 4)
    assert result.exit_code == 1 and "14 of 15" in result.output, result.output  # one clip is no sound
    return folder


def test_each_clip_is_what_it_is_alone(tmp_path, urban_sounds):
    folder = write_sounds(tmp_path / "in", (1, 6), 3)
    done(folder, "-o", tmp_path / "out", "--rules", "flat", "--rules", "epsilon", "--jobs", 1, "--batch", 4)
    index = rows(tmp_path / "out" / "index.csv")
    assert [row["path"] for row in index] == sorted(path.name for path in folder.iterdir())
    arrays = {name: array(tmp_path / "out", name)
              for name in ("level", "logits", "relevance_preset_a_flat", "relevance_epsilon")}
    for number, row in enumerate(index):
        clip = features.open_clip(folder / row["path"])
        np.testing.assert_array_equal(arrays["level"][number], study.level_of(folder / row["path"]))
        for rules in ("preset_a_flat", "epsilon"):
            e = lrp_core.explain(urban_sounds, clip.image, rules)
            np.testing.assert_array_equal(arrays[f"relevance_{rules}"][number],
                                          e.relevance.sum(axis=-1).astype(np.float32))
            assert float(row[f"relevance_{rules}"]) == pytest.approx(e.relevance.sum(dtype=float), rel=1e-5)
        np.testing.assert_array_equal(arrays["logits"][number], e.logits)
        label = CLASSES[int(row["path"].split("-")[1])]
        assert (int(row["number"]), row["label"]) == (number, label)
        assert (row["predicted"] == row["target"] == CLASSES[e.target]
                and row["correct"] == str(int(CLASSES[e.target] == label)))
        assert float(row["probability"]) == pytest.approx(float(e.probabilities.max()), rel=1e-5)
        assert float(row["logit"]) == pytest.approx(float(e.logits.max()), rel=1e-5)


def test_a_bad_file_is_listed_and_left_out(undisturbed, sounds):
    errors, index = rows(undisturbed / "errors.csv"), rows(undisturbed / "index.csv")
    assert [(row["path"], row["label"]) for row in errors] == [("104-3-0-9.wav", "dog_bark")]
    assert errors[0]["error"].startswith("104-3-0-9.wav: not a sound file")
    gap = int(errors[0]["number"])
    assert sorted(int(row["number"]) for row in index) == [number for number in range(15) if number != gap]
    for name in ("level", "logits", "relevance_preset_a_flat"):
        empty = ~array(undisturbed, name).reshape(15, -1).any(axis=1)
        assert np.flatnonzero(empty).tolist() == [gap], name


@pytest.mark.parametrize("how", [("--jobs", 2), ("--jobs", 2, "--backend", "threading")])
def test_more_workers_give_the_same_bytes(how, undisturbed, sounds, model, tmp_path):
    assert run(sounds, "-o", tmp_path / "out", "--model", model, "--batch", 4, *how).exit_code == 1
    assert tree(tmp_path / "out") == tree(undisturbed)


@pytest.mark.parametrize("started", ["by the command", "elsewhere"])
def test_a_dask_cluster_of_two_workers_gives_the_same_bytes(started, undisturbed, sounds, model, tmp_path,
                                                            monkeypatch):
    distributed = pytest.importorskip("distributed", reason="--backend dask needs dask and distributed")
    worked = {}

    class Watched(distributed.LocalCluster):
        """A cluster that tells, when it ends, which of its workers ran the work."""
        def __exit__(self, *error):
            with distributed.Client(self) as client:
                worked.update(client.run(lambda: "audio_lrp.dataset_run" in sys.modules))
            return super().__exit__(*error)

    arguments = (sounds, "-o", tmp_path / "out", "--model", model, "--batch", 4, "--backend", "dask")
    if started == "elsewhere":
        with Watched(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            assert run(*arguments, "--scheduler", cluster.scheduler_address).exit_code == 1
    else:
        monkeypatch.setattr(distributed, "LocalCluster", Watched)
        assert run(*arguments, "--jobs", 2).exit_code == 1
    assert list(worked.values()) == [True, True]
    assert tree(tmp_path / "out") == tree(undisturbed)


def replace_until(step, really_replace=os.replace):
    """An os.replace whose call number `step` fails."""
    calls = []

    def replace(old, new):
        calls.append(new)
        if len(calls) == step:
            raise OSError("the end")
        really_replace(old, new)
    return replace


def test_ended_at_any_file_it_gives_the_same_bytes(model, tmp_path, monkeypatch):
    arguments = (write_sounds(tmp_path / "in", (3,), 2), "--model", model, "--jobs", 1, "--batch", 1)
    # the pictures come last and take the most time
    monkeypatch.setattr(audio_lrp.plots, "save", lambda figure, path: None)
    done(*arguments, "-o", tmp_path / "whole")
    step, failed = 0, True
    while failed:  # the first run fails at its first file, the next one at its second, ...
        step += 1
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace_until(step))
            failed = run(*arguments, "-o", tmp_path / f"{step}").exit_code != 0
        done(*arguments, "-o", tmp_path / f"{step}")
        assert tree(tmp_path / f"{step}") == tree(tmp_path / "whole"), step
    assert step > 15, "run.json, arrays, chunks, records and tables are all files"


def test_ctrl_c_keeps_what_is_done(undisturbed, sounds, model, tmp_path, monkeypatch):
    opened, most, really_open = [], [9], features.FrontEnd.open

    def watched(front_end, source, *arguments, **options):
        if isinstance(source, str):  # not the silence that shows how long maps are
            opened.append(source)
        if len(opened) > most[0]:
            raise KeyboardInterrupt
        return really_open(front_end, source, *arguments, **options)

    arguments = (sounds, "-o", tmp_path / "out", "--model", model, "--jobs", 1, "--batch", 4)
    monkeypatch.setattr(features.FrontEnd, "open", watched)
    stopped = run(*arguments)
    assert stopped.exit_code == 130 and "8 of 15" in stopped.stderr and "goes on" in stopped.stderr
    opened.clear()
    most[0] = 99
    assert "8 clips were done before, 7 are left" in run(*arguments).stderr and len(opened) == 7
    assert tree(tmp_path / "out") == tree(undisturbed)


def other_front_end(folder):
    """The path of the study's front end, but for what follows a short sound."""
    dataclasses.replace(features.STUDY, short="zeros").save(folder / "other.json")
    return folder / "other.json"


def test_another_run_is_refused_by_name(undisturbed, sounds, model, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    shutil.copytree(sounds, tmp_path / "in")
    begun = ("-o", tmp_path / "out", "--model", model, "--jobs", 1, "--batch", 4)
    before = tree(tmp_path / "out")
    # elsewhere, but the same clips
    assert run(tmp_path / "in", *begun).exit_code == 1 and tree(tmp_path / "out") == before
    for changed, name in ((("--rules", "epsilon"), "rules was ['preset_a_flat'], is now ['epsilon"),
                          (("--front-end", other_front_end(tmp_path)), "front_end was"),
                          (("--batch", 5), "batch was 4"),
                          (("--target", "true"), "target"),
                          (("--model", audio_lrp.EMBEDDED_MODEL), "the model file is another one")):
        result = run(tmp_path / "in", *begun, *changed)
        assert (result.exit_code == 1 and name in result.output
                and "another folder" in result.output), result.output
    (tmp_path / "in" / "104-3-0-9.wav").write_bytes(b"longer than before")
    assert "the clips differ in their names, labels or contents" in run(tmp_path / "in", *begun).output
    assert tree(tmp_path / "out") == before
    (tmp_path / "in" / "104-3-0-9.wav").write_bytes(b"RIFF another")  # of the same length
    assert "the clips differ" in run(tmp_path / "in", *begun).output


def test_a_folder_with_other_files_is_refused(sounds, tmp_path):
    (tmp_path / "index.csv").write_text("mine")
    result = run(sounds, "-o", tmp_path)
    assert result.exit_code == 1 and "index.csv" in result.output and tree(tmp_path) == {"index.csv": b"mine"}


def test_what_is_not_ours_is_not_removed(sounds, tmp_path):
    """Only files that a killed run was writing may go; others keep a folder from being used."""
    ours, theirs = tmp_path / "part-123-run.json", tmp_path / "part-2.wav"
    ours.touch()
    theirs.touch()
    result = run(sounds, "-o", tmp_path)
    assert result.exit_code == 1 and "part-2.wav" in result.stderr and theirs.exists()
    theirs.unlink()
    assert run(sounds, "-o", tmp_path).exit_code == 1 and not ours.exists()  # 1: one of the sounds is bad


def test_mean_maps_are_means_and_lists_are_ranked(undisturbed):
    index, groups = rows(undisturbed / "index.csv"), {}
    level, relevance = array(undisturbed, "level"), array(undisturbed, "relevance_preset_a_flat")
    for row in index:
        groups.setdefault((row["label"], "right" if row["label"] == row["predicted"] else "wrong"),
                          []).append(row)
    assert {path.name for path in (undisturbed / "classes").glob("*.npz")} == {f"{name}-{how}.npz" for name,
                                                                               how in groups}
    for (name, how), chosen in groups.items():
        numbers = [int(row["number"]) for row in chosen]
        maps = relevance[numbers].astype(float)
        with np.load(undisturbed / "classes" / f"{name}-{how}.npz") as means:
            assert means["count"] == len(numbers)
            np.testing.assert_allclose(means["level"], level[numbers].mean(axis=0), rtol=1e-12)
            np.testing.assert_allclose(means["relevance_preset_a_flat"], maps.mean(axis=0), rtol=1e-12,
                                       atol=1e-15)
        profile = rows(undisturbed / "classes" / f"{name}-{how}-preset_a_flat-profiles.csv")
        for axis, sums in (("frequency", maps[:, ::-1].clip(min=0).sum(axis=2)),
                           ("time", maps.clip(min=0).sum(axis=1))):
            found = [float(line["for"]) for line in profile if line["axis"] == axis]
            np.testing.assert_allclose(found, sums.mean(axis=0), rtol=1e-6, atol=1e-12)
        assert (undisturbed / "classes" / f"{name}-{how}.png").stat().st_size > 10_000
    wrong = sorted((row for row in index if row["correct"] == "0"),
                   key=lambda row: -float(row["probability"]))
    assert [row["path"] for row in rows(undisturbed / "confused.csv")] == [row["path"] for row in wrong]


def test_typical_clips_are_the_surest_and_the_likest(tmp_path, model):
    folder = tmp_path / "in"
    write_sounds(folder, (3, 8), 6)
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("-", "_"))  # no labels: sorted by what was heard
    done(folder, "-o", tmp_path / "out", "--model", model, "--jobs", 1)
    index = rows(tmp_path / "out" / "index.csv")
    relevance = array(tmp_path / "out", "relevance_preset_a_flat").astype(float)
    typical = rows(tmp_path / "out" / "typical.csv")
    for name in {row["predicted"] for row in index}:
        chosen = [row for row in index if row["predicted"] == name]
        maps = relevance[[int(row["number"]) for row in chosen]]
        mean = maps.mean(axis=0)
        like = [(one * mean).sum() / np.linalg.norm(one) / np.linalg.norm(mean) for one in maps]
        for why, values in (("probability", [float(row["probability"]) for row in chosen]),
                            ("likeness to the mean map", like)):
            ranked = [chosen[at]["path"] for at in np.argsort(-np.array(values), kind="stable")[:5]]
            listed = [row["path"] for row in typical
                      if (row["class"], row["outcome"], row["why"]) == (name, "heard", why)]
            assert listed == ranked
    assert {row["class"] for row in typical} == {row["predicted"] for row in index}
    assert not rows(tmp_path / "out" / "confused.csv")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["labelled"] == 0 and summary["accuracy"] is None and summary["explained"] == 12
    for name in CLASSES:
        assert summary["classes"][name]["heard_without_label"] == sum(row["predicted"] == name
                                                                      for row in index)


def test_the_summary_counts_what_the_index_lists(undisturbed):
    index, summary = rows(undisturbed / "index.csv"), json.loads((undisturbed / "summary.json").read_text())
    counts = np.zeros((10, 10), int)
    for row in index:
        counts[CLASSES.index(row["label"]), CLASSES.index(row["predicted"])] += 1
    assert summary["confusion"]["counts"] == counts.tolist()
    assert (summary["clips"], summary["explained"], summary["errors"], summary["right"]) == (
        15,
        14,
        1,
        counts.trace(),
    )
    text = (undisturbed / "SUMMARY.md").read_text()
    assert "14 of 15 clips explained, 1 could not be read" in text and "| 3 dog_bark |" in text


def test_a_table_brings_labels_and_true_explains_them(tmp_path, model):
    write_sounds(tmp_path / "in" / "wavs", (3,), 3)
    table = tmp_path / "in" / "clips.csv"
    table.write_text("path,class\nwavs/102-3-0-2.wav,siren\nwavs/100-3-0-0.wav,dog_bark\n")
    done(table, "-o", tmp_path / "out", "--model", model, "--target", "true", "--jobs", 1)
    assert [(row["path"], row["label"], row["target"]) for row in rows(tmp_path / "out" / "index.csv")] == [
        ("wavs/100-3-0-0.wav", "dog_bark", "dog_bark"), ("wavs/102-3-0-2.wav", "siren", "siren")]
    e = lrp_core.explain(lrp_core.load(model), features.clip_image(tmp_path / "in/wavs/102-3-0-2.wav"),
                         "preset_a_flat", "siren")
    np.testing.assert_array_equal(array(tmp_path / "out", "relevance_preset_a_flat")[1],
                                  e.relevance.sum(axis=-1).astype(np.float32))
    table.write_text("path,class\nwavs/102-3-0-2.wav,\n")
    result = run(table, "-o", tmp_path / "other", "--model", model, "--target", "true")
    assert (result.exit_code == 1 and "1 of 1 clips have none" in result.output
            and not (tmp_path / "other").exists())


def test_mistakes_on_the_command_line_are_named(tmp_path, sounds, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert "holds no sounds" in run(tmp_path / "empty", "-o", tmp_path / "out").output
    assert "--backend dask" in run(sounds, "-o", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:1").output
    for backend, package, remedy in (("loky", "zarr", "pip install zarr"),
                                     ("dask", "distributed", "pip install distributed")):
        monkeypatch.setitem(sys.modules, package, None)
        result = run(sounds, "-o", tmp_path / "out", "--backend", backend)
        assert result.exit_code == 1 and package in result.output and remedy in result.output
        monkeypatch.undo()
    assert not (tmp_path / "out").exists()


def test_other_commands_do_not_load_what_only_this_one_needs():
    program = "import sys, audio_lrp.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                            check=True).stdout.split()
    assert "audio_lrp.dataset" in loaded and not {"joblib", "zarr", "dask", "distributed",
                                                  "matplotlib"} & set(loaded)


def test_memory_does_not_grow_with_the_clips(tmp_path, model):
    sound = write_sounds(tmp_path / "one", (3,), 1) / "100-3-0-0.wav"
    peaks = []
    for count in (16, 32, 192):  # the first run loads what later ones find loaded
        (tmp_path / f"{count}").mkdir()
        for number in range(count):
            (tmp_path / f"{count}" / f"{number}-3-0-0.wav").hardlink_to(sound)
        tracemalloc.start()
        done(tmp_path / f"{count}", "-o", tmp_path / f"out{count}", "--model", model, "--jobs", 1, "--batch",
             16)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The relevance maps alone of 160 clips more would be 2.6 MB; a path is some hundred bytes.
    assert peaks[2] - peaks[1] < 0.5e6, peaks
