"""A run's folder after trouble: a clip that can be read again, arrays that are lost or damaged, what wrong
decisions show.
"""
import json
import shutil

import numpy as np
import pytest
import soundfile
from test_dataset_run import array, done, model, rows, run, sounds, tree, undisturbed, write_sounds  # noqa: F401

from audio_lrp.dataset_report import title_of
from features.synth import CLASSES


def test_a_clip_that_can_be_read_again_is_explained(model, tmp_path):
    folder = write_sounds(tmp_path / "in", (3, 8), 4)
    mended = folder / "100-3-0-0.wav"
    whole = mended.read_bytes()
    arguments = (folder, "--model", model, "--jobs", 1, "--batch", 3)
    done(*arguments, "-o", tmp_path / "whole")
    middle = bytearray(whole)
    middle[:4] = b"????"
    mended.write_bytes(middle)
    assert run(*arguments, "-o", tmp_path / "out").exit_code == 1
    # The same clips as far as the run can know: what could not be read was a disk or a network at fault.
    mended.write_bytes(whole)
    settings = json.loads((tmp_path / "out" / "run.json").read_text())
    settings["clips_sha256"] = json.loads((tmp_path / "whole" / "run.json").read_text())["clips_sha256"]
    (tmp_path / "out" / "run.json").write_text(json.dumps(settings, indent=1))
    again = run(*arguments, "-o", tmp_path / "out")
    assert again.exit_code == 0 and "3 clips are explained again" in again.stderr, again.output
    assert rows(tmp_path / "out" / "index.csv") == rows(tmp_path / "whole" / "index.csv")
    np.testing.assert_array_equal(array(tmp_path / "out", "relevance_preset_a_flat"),
                                  array(tmp_path / "whole", "relevance_preset_a_flat"))


def test_lost_or_damaged_files_are_named(undisturbed, sounds, model, tmp_path):
    arguments = (sounds, "--model", model, "--jobs", 1, "--batch", 4)

    def after(damage):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(undisturbed, tmp_path / "out")
        damage(tmp_path / "out")
        return run(*arguments, "-o", tmp_path / "out")
    result = after(lambda out: shutil.rmtree(out / "arrays.zarr"))
    assert (result.exit_code == 1 and "arrays.zarr: missing" in result.output
            and not (tmp_path / "out" / "arrays.zarr").exists())
    result = after(lambda out: (out / "batches" / "00001.json").write_text(""))
    assert result.exit_code == 1 and "00001.json: damaged" in result.output

    def lose_a_chunk(out):
        chunk = next(path for path in sorted((out / "arrays.zarr" / "relevance_preset_a_flat").rglob("*"))
                     if path.stat().st_size > 5000 and path.is_file())
        chunk.unlink()
    result = after(lose_a_chunk)
    assert result.exit_code == 1 and "the arrays of batch" in result.output and "delete" in result.output
    for record in (tmp_path / "out" / "batches").iterdir():
        record.unlink()  # what the message says, for all of them
    assert run(*arguments, "-o", tmp_path / "out").exit_code == 1  # one clip is no sound
    assert tree(tmp_path / "out") == tree(undisturbed)


@pytest.mark.parametrize(("target", "how", "words"), [
    ("max", "wrong", "relevance of the class that won instead"),
    ("true", "wrong", "relevance of the class of the label"),
    ("max", "right", "heard rightly: mean of 2 clips")])
def test_pictures_of_wrong_decisions_say_what_their_relevance_speaks_for(target, how, words):
    assert title_of({"classes": CLASSES, "target": target}, 8, how, 2).endswith(words)


def test_pictures_come_in_the_format_asked_for(model, tmp_path):
    folder = write_sounds(tmp_path / "in", (3,), 1)
    soundfile.write(folder / "x.wav", np.zeros(100), 8000)
    done(folder, "--model", model, "--jobs", 1, "-o", tmp_path / "out", "--format", "pdf")
    assert {path.suffix for path in (tmp_path / "out" / "classes").iterdir()} == {".pdf", ".npz", ".csv"}
