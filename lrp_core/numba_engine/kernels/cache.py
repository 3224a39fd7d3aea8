"""Where compiled kernels are kept: in the user's cache folder; in the package's they would outlive it.

    ROOT/VERSION-DIGEST/FUNCTION-DIGEST.kernel

ROOT lies in `NUMBA_CACHE_DIR`, if that is set, or in the user's cache folder. The first digest is of all that
any code depends on: versions, processor, sources; the second of the function and its types. A cache that is
damaged or cannot be written costs time and nothing else: kernels are compiled again.

Numba's compiled code is a pickle. It is read only where only the user can have written it (see `private`).
"""
import contextlib
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import pickle
import re
import sys
import time

import llvmlite
import numba
import platformdirs
from numba.core import caching, compiler, serialize

from . import private
from .notice import tell

SUFFIX = ".kernel"
FOLDER = re.compile(r"[\w.+!-]+-[0-9a-f]{20}")
KEPT, UNUSED = 16, 30 * 24 * 3600       # folders of other versions that stay, and seconds without use
# Numba's settings that change its machine code.
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
COMPILING = "compiling the kernels for this processor; this "


class KernelCache(caching.Cache):
    """What a Numba dispatcher asks for compiled code before it compiles, and hands it to afterwards.

    Whatever happens to the files, nothing is raised.
    """

    def __init__(self, py_func):
        self._py_func, self._name = py_func, py_func.__qualname__
        self._keeps = True              # whether a folder was found for what is being compiled
        self.enable()

    @property
    def cache_path(self):
        """The folder that is tried first, as text, or None."""
        return next(map(str, roots()), None)

    def load_overload(self, sig, target_context):
        """The compiled function for these types; or None, and a word on the terminal: Numba compiles next."""
        target_context.refresh()
        if not self._enabled:
            return None
        try:
            found, self._keeps = self._load(sig, target_context), True
        except Exception as error:
            self._keeps = False
            tell(f"{COMPILING}takes up to 20 seconds, each time: {reason(error)}")
            return None
        if found is None:
            tell(f"{COMPILING}happens once and takes up to 20 seconds ...")
        return found

    def save_overload(self, sig, data):
        """Keep a compiled function."""
        # Dynamic globals are addresses in this process.
        if not self._enabled or not self._keeps or data.library.has_dynamic_globals:
            return
        try:
            place = self._place(sig, data.codegen)
            content = serialize.dumps(data._reduce())
            first_that_works(lambda root: write(root, place, content))
        except Exception as error:
            tell(f"the compiled kernels cannot be kept: {reason(error)}")

    def flush(self):
        """Forget what is kept of this function: the dispatcher compiles it anew."""
        for root in roots():
            with contextlib.suppress(OSError):
                private.check_folder(root)
                for path in root.glob(f"*/{self._py_func.__name__}-*{SUFFIX}"):
                    path.unlink()

    def _load(self, sig, target_context):
        """What the first root that can be used holds, or None where it can be written to.

        Raises OSError where no root can be used.
        """
        place = self._place(sig, target_context.codegen())

        def use(root):
            with contextlib.suppress(Exception):  # whatever is wrong with a file, it is compiled again
                private.check_folder(root)
                private.check_folder(root / place.parent)
                payload = pickle.loads(private.read(root / place))
                found = compiler.CompileResult._rebuild(target_context, *payload)
                touch(root / place.parent)
                return found
            private.make_folders(root, root / place.parent)
            return None
        return first_that_works(use)

    def _place(self, sig, codegen):
        """The file for these types, from the root."""
        function = self._py_func
        which = digest((function.__module__, function.__qualname__, function.__code__.co_firstlineno,
                        self._index_key(sig, codegen)))
        return pathlib.Path(folder_name(codegen), f"{function.__name__}-{which}{SUFFIX}")


def roots():
    """The folders of this program for compiled code, in the order in which they are tried."""
    found = []
    if numba.config.CACHE_DIR:
        found.append(pathlib.Path(numba.config.CACHE_DIR, "audio-lrp").absolute())
    with contextlib.suppress(RuntimeError):  # there is no home
        own = platformdirs.user_cache_path("audio-lrp", appauthor=False) / "kernels"
        if own.is_absolute():            # older platformdirs leave the ~ in place
            found.append(own)
    return found


def first_that_works(use):
    """use(root) for the first root where it raises no OSError; with none, raises OSError with all reasons."""
    reasons = []
    for root in roots():
        try:
            return use(root)
        except OSError as error:
            reasons.append(reason(error))
    raise OSError("; ".join(reasons) or "there is no home folder; NUMBA_CACHE_DIR can name another")


def write(root, place, content):
    """Keep content in the file `place` of a root, and remove there what nothing needs any more."""
    folder = root / place.parent
    private.make_folders(root, folder)
    private.write(root / place, content)
    private.remove_partial(folder)
    touch(folder)
    prune(root, folder.name)


def touch(folder):
    """Mark a folder as used now."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def prune(root, current):
    """Remove the folders of other versions that were not used for a month, or are too many; nothing else."""
    with contextlib.suppress(OSError):  # another process does the same
        others = [(entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in os.scandir(root)
                  if FOLDER.fullmatch(entry.name) and entry.name != current]
        for number, (used, path) in enumerate(sorted(others, reverse=True)):
            if number >= KEPT or time.time() - used > UNUSED:
                private.remove_files(path, SUFFIX)


def reason(error):
    """Why a file could not be used, with its name."""
    return f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else str(error)


def folder_name(codegen):
    """The version of this package, and the digest of all that the machine code of any function depends on."""
    settings = [getattr(numba.config, name, None) for name in SETTINGS]
    python = sys.implementation.name, sys.version_info[:2], getattr(sys, "abiflags", "")
    return f"{version()}-" + digest((numba.__version__, llvmlite.__version__, python, codegen.magic_tuple(),
                                     settings, os.environ.get("AUDIO_LRP_LANES"), sources()))


@functools.cache
def version():
    """That of the installed package."""
    try:
        return importlib.metadata.version("audio-lrp")
    except importlib.metadata.PackageNotFoundError:  # a checkout on the path
        return "source"


@functools.cache
def sources():
    """The digest of all files that kernels are made of: they call each other across files."""
    engine, content = pathlib.Path(__file__).parents[1], hashlib.sha256()
    # Kernels compile in what the last two say: the smallest denominator, and the numbers that stand for no
    # class.
    for path in (*sorted(engine.rglob("*.py")), engine.parent / "stabilize.py", engine.parent / "target.py"):
        content.update(path.read_bytes())
    return content.hexdigest()


def digest(parts):
    """Twenty digits that stand for the text of some values."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]
