"""Compiled kernels on disk: what people are told, processes at once, folders of older versions."""
import os
import subprocess
import time

import pytest
from test_compile_cache import (  # noqa: F401
    compiled,
    double,
    everything,
    home,
    kept,
    package,
    posix,
    pytestmark,
    run,
    start,
    terminal,
)

from lrp_core.numba_engine.kernels import cache, notice, private
from lrp_core.numba_engine.kernels.jit import entry

# ---- what is said

def on_a_terminal(root, **environment):
    """What a process prints that finds a terminal at its standard error."""
    ours, theirs = os.openpty()
    process = start(root, environment, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    assert process.wait(timeout=100) == 0
    found = b""
    try:
        while part := os.read(ours, 1000):
            found += part
    except OSError:  # Linux reports so that the other end is closed
        pass
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


@posix
def test_a_terminal_is_told_once_that_kernels_are_compiled(package, tmp_path):
    def folder(name):
        return {"NUMBA_CACHE_DIR": str(tmp_path / name)}
    notice = "audio-lrp: compiling the kernels for this processor; this happens once " \
             "and takes up to 20 seconds ...\n"
    assert on_a_terminal(package, **folder("one")) == notice
    assert on_a_terminal(package, **folder("one")) == "", "it was loaded"
    assert on_a_terminal(package, **folder("two"), AUDIO_LRP_QUIET="1") == ""
    assert run(package, **folder("three")) == ("42 0\n", "")


def test_a_process_says_it_once(home, terminal):
    function = entry(double)
    function(1)
    function(1.5)
    assert str(terminal).count("\n") == 1


@pytest.mark.parametrize("stream", ["none", "closed"])
def test_no_stream_to_print_to(home, monkeypatch, terminal, stream):
    closed = open(os.devnull, "w")
    closed.close()
    monkeypatch.setattr(notice.sys, "stderr", None if stream == "none" else closed)
    assert compiled() == 1


# ---- several processes, and old folders

def test_processes_that_compile_at_once(package, tmp_path):
    """Each is right; what is kept in the end is whole."""
    folder, pipe = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}, subprocess.PIPE
    processes = [start(package, folder, stdout=pipe, stderr=pipe) for _ in range(3)]
    assert [process.communicate(timeout=100)[0][:3] for process in processes] == ["42 "] * 3
    assert [path.suffix for path in everything(tmp_path / "cache")] == [".kernel"]
    assert run(package, **folder)[0] == "42 1\n"


def test_a_file_is_never_seen_half_written(home, monkeypatch):
    """It gets its name when it is whole."""
    replaced = []

    def look(partial, path, really=os.replace):
        replaced.append((path.exists(), len(private.read(partial)) > 100))
        really(partial, path)
    monkeypatch.setattr(os, "replace", look)
    assert (compiled(), replaced) == (1, [(False, True)])


def version(home, number, days, *names):
    """The folder of another version, last used so many days ago, with files of these names."""
    folder = home / f"0.1.0-{number:020x}"
    folder.mkdir(mode=0o700, parents=True)
    for name in names:
        (folder / name).write_text("")
    os.utime(folder, (time.time() - days * 24 * 3600,) * 2)
    return folder


def test_what_was_not_used_for_a_month_is_removed(home):
    assert compiled() == 1
    old = version(home, 1, 31, "run-1.kernel", "run-1.kernelx.partial")
    used = version(home, 2, 29, "run-1.kernel")
    kept(home).unlink()
    assert compiled() == 1 and used.exists() and not old.exists()
    assert compiled() == 0


def test_a_few_versions_are_kept(home):
    """Whoever works on kernels makes a new one each time."""
    assert compiled() == 1
    folders = [version(home, number, 1 + number, "run-1.kernel") for number in range(cache.KEPT + 3)]
    kept(home).unlink()
    assert compiled() == 1
    assert [folder.exists() for folder in folders] == [True] * cache.KEPT + [False] * 3


def test_what_is_not_ours_is_not_removed(home, tmp_path):
    """Other names, files of others among ours, and what links lead to."""
    assert compiled() == 1
    shared = version(home, 1, 40, "run-1.kernel", "letter.txt")
    other = version(home, 2, 40, "run-1.kernel").rename(home / "notes")
    left = {shared / "letter.txt", other / "run-1.kernel"}
    if os.name == "posix":
        linked = version(tmp_path, 3, 40, "run-1.kernel")
        (home / linked.name).symlink_to(linked)
        (full := version(home, 4, 40) / "run-2.kernel").symlink_to(tmp_path / "anything")
        os.utime(full.parent, (0, 0))
        open_to_others = version(home, 5, 40, "run-1.kernel")
        open_to_others.chmod(0o777)
        left |= {linked / "run-1.kernel", full, open_to_others / "run-1.kernel"}
    kept(home).unlink()
    assert compiled() == 1
    assert {*everything(home), *everything(tmp_path)} - {kept(home), home / f"0.1.0-{3:020x}"} == left


def test_a_folder_in_use_stays(home):
    """Loading counts as use."""
    assert compiled() == 1
    folder = kept(home).parent
    os.utime(folder, (0, 0))
    assert compiled() == 0 and time.time() - folder.stat().st_mtime < 100


def test_what_a_killed_process_left_is_removed(home):
    assert compiled() == 1
    folder = kept(home).parent
    (old := folder / f"double-1.kernelxy{private.PARTIAL}").write_text("")
    (new := folder / f"double-2.kernelxy{private.PARTIAL}").write_text("")
    os.utime(old, (0, 0))
    kept(home).unlink()
    assert compiled() == 1
    assert new.exists() and not old.exists()
