"""Compiled kernels on disk: where they are kept, who may have written them, and that damage is no error."""
import errno
import hashlib
import os
import pathlib
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import types

import numba
import platformdirs
import pytest

from lrp_core.numba_engine.kernels import cache, notice, private
from lrp_core.numba_engine.kernels.jit import entry

ROOT = pathlib.Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
linux = pytest.mark.skipif(platform.system() != "Linux", reason="the folder is that of the XDG specification")
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

PROBE = """
from lrp_core.numba_engine.kernels.jit import entry

@entry
def probe(x):
    return 2 * x

print(probe(21), sum(probe.stats.cache_hits.values()))
"""


def double(x):
    return 2 * x


def compiled():
    """How often a new dispatcher compiles: 0 if it loads what is kept. Its answer is right."""
    function = entry(double)
    assert function(21) == 42
    return sum(function.stats.cache_misses.values())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's cache folder, empty, and no NUMBA_CACHE_DIR."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "audio-lrp")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    return tmp_path / "audio-lrp" / "kernels"


@pytest.fixture
def terminal(monkeypatch):
    """A list of what a new process writes to the terminal."""
    class Terminal(list):
        write, flush = list.append, staticmethod(lambda: None)

        def isatty(self):
            return True

        def __str__(self):
            return "".join(self)
    screen = Terminal()
    monkeypatch.setattr(notice, "sys", types.SimpleNamespace(stderr=screen))  # pytest replaces sys.stderr
    monkeypatch.setattr(notice, "_told", set())
    monkeypatch.delenv("AUDIO_LRP_QUIET", raising=False)
    return screen


def kept(folder):
    """The one file of a cache."""
    file, = folder.glob(f"*/double-*{cache.SUFFIX}")
    return file


def everything(folder):
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def start(root, environment, **options):
    """A new process that runs `probe.py` of a root, without Numba's settings of this one."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "AUDIO_LRP_", "XDG_"))}
    environment = {**inherited, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.Popen([sys.executable, "probe.py"], cwd=root, env=environment, text=True, **options)


def run(root, **environment):
    process = start(root, environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out, err


@pytest.fixture
def package(tmp_path):
    """A copy of the package as pip installs it, beside a program with a small kernel."""
    root = tmp_path / "site-packages"
    shutil.copytree(ROOT / "lrp_core", root / "lrp_core", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "probe.py").write_text(PROBE)
    return root


# ---- where

@linux
def test_compiled_code_goes_to_the_user_s_cache_folder_and_never_to_the_package_s(package, tmp_path):
    """pip removes what it installed: a folder that is left would hide the next installation."""
    before = everything(package)
    user = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "own")}
    assert run(package, **user)[0] == "42 0\n"
    assert run(package, **user)[0] == "42 1\n", "it was not kept"
    assert everything(package) == before
    file, = everything(tmp_path / "own")
    place = str(file.relative_to(tmp_path / "own"))
    assert re.fullmatch(r"audio-lrp/kernels/[^/]+-[0-9a-f]{20}/probe-[0-9a-f]{20}\.kernel", place)
    assert file.parent.stat().st_mode & 0o777 == file.parents[1].stat().st_mode & 0o777 == 0o700

    elsewhere = tmp_path / "named"
    assert run(package, **user, NUMBA_CACHE_DIR=str(elsewhere))[0] == "42 0\n", "NUMBA_CACHE_DIR comes first"
    assert len(everything(elsewhere)) == 1 and everything(package) == before


def test_a_cache_folder_that_cannot_be_used_leaves_the_user_s_own(home, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert (compiled(), compiled()) == (1, 0)
    assert kept(home)


@pytest.mark.parametrize("name", ["OPT", "CPU", "version", "sources", "lanes", "python"])
def test_what_machine_code_depends_on_is_in_the_folder_s_name(home, monkeypatch, name):
    """Code of other versions, processors, sources or settings is not loaded, and not overwritten."""
    class Codegen:
        cpu = "skylake"

        def magic_tuple(self):
            return "x86_64", self.cpu, "+avx"
    codegen = Codegen()
    before = cache.folder_name(codegen)
    assert cache.folder_name(codegen) == before and cache.FOLDER.fullmatch(before)
    {"OPT": lambda: monkeypatch.setattr(numba.config, "OPT", 1 - bool(numba.config.OPT)),
     "CPU": lambda: monkeypatch.setattr(codegen, "cpu", "znver4"),
     "version": lambda: monkeypatch.setattr(numba, "__version__", "0.0"),
     "sources": lambda: monkeypatch.setattr(cache, "sources", lambda: "others"),
     "lanes": lambda: monkeypatch.setenv("AUDIO_LRP_LANES", "2"),
     "python": lambda: monkeypatch.setattr(sys, "version_info", (2, 7))}[name]()
    assert cache.folder_name(codegen) != before


def test_functions_of_one_name_do_not_share_a_file(home):
    """A closure's values are part of the machine code."""
    def make(factor):
        @entry
        def times(x):
            return factor * x
        return times
    assert [make(factor)(10) for factor in (2, 3, 2)] == [20, 30, 20]
    again = make(3)
    assert again(10) == 30 and sum(again.stats.cache_hits.values()) == 1


def test_other_types_have_files_of_their_own(home):
    one, two = entry(double), entry(double)
    assert (one(2), one(0.25), two(0.25), two(2)) == (4, 0.5, 0.5, 4)
    assert sum(two.stats.cache_hits.values()) == 2


def test_recompile_forgets_what_is_kept(home):
    assert compiled() == 1
    before = kept(home).stat().st_mtime_ns
    function = entry(double)
    function(21)
    function.recompile()
    assert kept(home).stat().st_mtime_ns != before and function(21) == 42


# ---- damage

class Trap:
    """Its pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def signed(content):
    return hashlib.sha256(content).digest() + content


def replace(path, by):
    path.unlink()
    by(path)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "empty": lambda p: p.write_bytes(b""),
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-100]),
    "cut to its digest": lambda p: p.write_bytes(p.read_bytes()[:32]),
    "random bytes": lambda p: p.write_bytes(hashlib.shake_256(b"x").digest(5000)),
    "one bit": flip,
    "whole, but no pickle": lambda p: p.write_bytes(signed(b"\x80garbage")),
    "whole, but of something else": lambda p: p.write_bytes(signed(pickle.dumps({"a": 1}))),
    "a pickle that acts": lambda p: p.write_bytes(bytes(32) + pickle.dumps(Trap(p.with_name("sprung")))),
    "larger than any": lambda p: os.truncate(p, private.LARGEST + 1),
    "removed": lambda p: p.unlink(),
    "a folder": lambda p: replace(p, pathlib.Path.mkdir),
}
if os.name == "posix":
    DAMAGES |= {"a pipe": lambda p: replace(p, os.mkfifo),
                "a link to nothing": lambda p: replace(p, lambda p: p.symlink_to("/nothing/here")),
                "a link": lambda p: p.symlink_to(p.rename(p.parents[2] / "moved")),
                "a file that others can write": lambda p: p.chmod(0o666)}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_compiled_again_and_replaced(home, kind):
    assert compiled() == 1
    file = kept(home)
    DAMAGES[kind](file)
    assert compiled() == 1
    assert kept(home) == file and not file.with_name("sprung").exists()
    assert compiled() == 0


def test_a_folder_with_something_in_it_in_the_place_of_a_file_stays(home, terminal):
    assert compiled() == 1
    file = kept(home)
    file.unlink()
    file.mkdir()
    (file / "letter").write_text("not ours")
    assert (compiled(), compiled()) == (1, 1)
    assert everything(home) == [file / "letter"] and "cannot be kept" in str(terminal)


def test_a_file_too_large_to_be_compiled_code_is_not_read(home, monkeypatch):
    assert compiled() == 1
    monkeypatch.setattr(private, "LARGEST", 100)
    assert compiled() == 1


# ---- who else could have written it

def broken(home, monkeypatch, how):
    """Make a cache with something in it one that must not be used; returns what is said of it."""
    if how == "a file":
        shutil.rmtree(home)
        home.write_text("")
        return "is not a folder"
    if how == "a link":
        home.rename(home.with_name("elsewhere"))
        home.symlink_to(home.with_name("elsewhere"))
        return "is not a folder"
    if how == "a linked version":
        folder = kept(home).parent
        folder.rename(home / "elsewhere")
        folder.symlink_to(home / "elsewhere")
        return "is not a folder"
    if how == "open to others":
        home.chmod(0o755)
        return "chmod"
    if how == "a version open to others":
        kept(home).parent.chmod(0o770)
        return "chmod"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    return "belongs to another user"


@posix
@pytest.mark.parametrize("how", ["a file", "a link", "a linked version", "open to others",
                                 "a version open to others", "foreign"])
def test_what_others_could_have_written_is_neither_loaded_nor_written_to(home, monkeypatch, terminal, how):
    assert compiled() == 1
    terminal.clear()
    why = broken(home, monkeypatch, how)
    before = [(path, path.stat().st_mtime_ns) for path in everything(home.parent)]
    assert (compiled(), compiled()) == (1, 1)
    assert [(path, path.stat().st_mtime_ns) for path in everything(home.parent)] == before
    assert re.fullmatch(rf"audio-lrp: compiling .* each time: [^\n]*{why}[^\n]*\n", str(terminal))


def fail(number):
    def raises(*_, **__):
        raise OSError(number, os.strerror(number), "/some/where")
    return raises


def test_a_full_disk_costs_only_time(home, monkeypatch, terminal):
    monkeypatch.setattr(os, "replace", fail(errno.ENOSPC))
    assert (compiled(), compiled()) == (1, 1)
    assert everything(home) == [], "half a file stayed"
    assert str(terminal).count("\n") == 2 and "/some/where: No space left on device" in str(terminal)
    monkeypatch.undo()


@pytest.mark.parametrize("place", ["mkdir", "makedirs"])
def test_a_folder_that_cannot_be_made_costs_only_time(home, monkeypatch, terminal, place):
    monkeypatch.setattr(os, place, fail(errno.EROFS))
    assert (compiled(), compiled()) == (1, 1)
    assert str(terminal).count("\n") == 1 and "each time: /some/where: Read-only file system" in str(terminal)


def test_a_full_cache_that_can_only_be_read_is_read(home, monkeypatch):
    """As on a file system that is mounted for reading."""
    assert compiled() == 1
    for module, name in ((os, "mkdir"), (os, "utime"), (tempfile, "mkstemp"), (tempfile, "TemporaryFile")):
        monkeypatch.setattr(module, name, fail(errno.EROFS))
    assert compiled() == 0


@pytest.mark.parametrize("answer", ["relative", "none"])
def test_without_a_home_nothing_is_kept(home, monkeypatch, terminal, answer):
    """Nor is a folder "~" made where the program happens to run."""
    def user_cache_path(*_, **__):
        if answer == "none":
            raise RuntimeError("could not determine the home directory")
        return pathlib.Path("~/.cache/audio-lrp")
    monkeypatch.setattr(platformdirs, "user_cache_path", user_cache_path)
    monkeypatch.chdir(home.parents[1])
    assert (compiled(), compiled()) == (1, 1)
    assert not list(home.parents[1].iterdir()) and "NUMBA_CACHE_DIR can name another" in str(terminal)
