"""Runs of a data set that are killed, and two at once in one folder: the same bytes as of one run left alone.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from test_dataset_run import model, run, tree, write_sounds  # noqa: F401

import audio_lrp.dataset_lock as dataset_lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")


def start(*arguments, stderr=subprocess.DEVNULL):
    """The command in a process group of its own."""
    return subprocess.Popen([sys.executable, "-m", "audio_lrp", "dataset", *map(str, arguments)],
                            stdout=subprocess.DEVNULL,
                            stderr=stderr, text=True, start_new_session=True)


def records(folder):
    """{batch record: when it was written}."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "batches").glob("0*.json")}


def kill_five_times_and_finish(arguments, folder, longest, rng):
    """Start a run again and again until five were killed by SIGKILL at random moments, then let one finish.
    """
    kills, kept, allowed = 0, {}, longest
    while kills < 5:
        process = start(*arguments, "-o", folder)
        begun = time.monotonic()
        try:
            process.wait(timeout=rng.uniform(0, allowed))
            # all was done before: later kills must come sooner to hit anything
            allowed = time.monotonic() - begun
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too, as when a machine is switched off
            process.wait()
            kills += 1
        now = records(folder)
        assert {name: now.get(name) for name in kept} == kept, "a batch was lost or done twice"
        kept = now
    process = start(*arguments, "-o", folder)
    assert process.wait(timeout=240) == 0
    assert {name: written for name, written in records(folder).items()
            if name in kept} == kept, "a batch was lost or done twice"


def test_killed_five_times_it_gives_the_same_bytes(model, tmp_path):
    arguments = (write_sounds(tmp_path / "in", (3, 8), 12), "--model", model, "--jobs", 1, "--batch", 1)
    begun = time.monotonic()
    assert start(*arguments, "-o", tmp_path / "whole").wait(timeout=240) == 0
    kill_five_times_and_finish(arguments, tmp_path / "killed", time.monotonic() - begun,
                               np.random.default_rng(5))
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_real_clips_killed_five_times_give_the_same_bytes(real_clips, tmp_path):
    (tmp_path / "in").mkdir()
    for path in real_clips:
        shutil.copy(path, tmp_path / "in")
    arguments = (tmp_path / "in", "--jobs", 2, "--batch", 3)
    begun = time.monotonic()
    assert start(*arguments, "-o", tmp_path / "whole").wait(timeout=240) == 0
    kill_five_times_and_finish(arguments, tmp_path / "killed", time.monotonic() - begun,
                               np.random.default_rng(6))
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def working(group):
    """The processes of a group that are at work, without those that have ended and wait to be reaped."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):  # it has just ended
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def wait_for(condition, seconds=60):
    """Wait until a condition holds; fail where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.002)


def kill_in_the_middle(arguments, folder, kills, rng):
    """Start a run again and again and kill it while its workers explain batches, then let one finish.

    The first kill is of the run alone, the next one of its workers too, and so on in turn. Returns how many
    batches were done at each kill. In the end no worker may be left.
    """
    groups, done = [], []
    for number in range(kills):
        process = start(*arguments, "-o", folder)
        wait_for(lambda: not any(map(working, groups)), 10)  # the workers of a run that was killed end, too
        before = len(records(folder))
        wait_for(lambda: len(records(folder)) > before)  # this run's workers are at it
        time.sleep(rng.uniform(0, 0.06))
        assert process.poll() is None
        (os.kill if number % 2 == 0 else os.killpg)(process.pid, signal.SIGKILL)
        process.wait()
        groups.append(process.pid)
        done.append(len(records(folder)))
    process = start(*arguments, "-o", folder)
    assert process.wait(timeout=240) == 0
    wait_for(lambda: not any(map(working, [*groups, process.pid])), 10)
    return done


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are looked up in /proc")
def test_killed_in_the_middle_of_batches_two_jobs_give_the_same_bytes(model, tmp_path):
    sounds = write_sounds(tmp_path / "in", (3, 8), 4)
    for path in list(sounds.iterdir()):
        for number in range(1, 24):
            (sounds / f"{number}{path.name}").hardlink_to(path)
    arguments = (sounds, "--model", model, "--jobs", 2, "--batch", 4)
    assert start(*arguments, "-o", tmp_path / "whole").wait(timeout=240) == 0
    done = kill_in_the_middle(arguments, tmp_path / "killed", 4, np.random.default_rng(7))
    assert (done == sorted(done) and done[0] > 0
            and done[-1] < 48), "each time some batches were done and some were not"
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_two_runs_at_once_in_one_folder_give_the_bytes_of_one(model, tmp_path):
    arguments = (write_sounds(tmp_path / "in", (3,), 12), "--model", model, "--jobs", 2, "--batch", 2)
    assert start(*arguments, "-o", tmp_path / "whole").wait(timeout=240) == 0
    for number in range(2):
        pair = [start(*arguments, "-o", tmp_path / f"{number}", stderr=subprocess.PIPE) for _ in range(2)]
        said = [process.communicate(timeout=240)[1] for process in pair]
        assert 0 in [process.returncode for process in pair], said
        for process, text in zip(pair, said):
            assert process.returncode == 0 or (process.returncode == 1
                                               and "at work in this folder" in text), text
        assert tree(tmp_path / f"{number}") == tree(tmp_path / "whole")


def test_a_second_run_is_told_who_is_at_work(model, tmp_path):
    sounds = write_sounds(tmp_path / "in", (3,), 40)
    arguments = (sounds, "--model", model, "--jobs", 2, "--batch", 1, "-o", tmp_path / "out")
    first = start(*arguments)
    wait_for(lambda: records(tmp_path / "out"))
    before = records(tmp_path / "out")
    refused = run(*arguments)
    assert (refused.exit_code == 1 and f"a run (process {first.pid} on " in refused.output
            and "since 20" in refused.output)
    assert first.poll() is None and set(before) <= set(records(tmp_path / "out"))
    first.kill()  # its workers live on for a moment; they do not keep the folder
    first.wait()
    again = run(*arguments)
    assert again.exit_code == 0 and "40 of 40 clips explained" in again.output
    assert not (tmp_path / "out" / dataset_lock.OWNER).exists()


def test_an_owner_that_has_not_said_who_it_is_keeps_others_out_too(model, tmp_path):
    (tmp_path / "out").mkdir()
    with dataset_lock.alone(tmp_path / "out"):
        (tmp_path / "out" / dataset_lock.OWNER).write_text("[]")
        refused = run(write_sounds(tmp_path / "in", (3,), 1), "--model", model, "-o", tmp_path / "out")
    assert refused.exit_code == 1 and "another run is at work" in refused.output
