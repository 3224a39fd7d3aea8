"""Numba's compiler with the options that every kernel here shares: `kernel` for what kernels call, `entry` for what Python calls."""
import gc
import hashlib
import os
import pathlib

import numba

OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
# NaN and infinity keep their meaning: everything of fast-math but "nnan" and "ninf".
FAST = {"reassoc", "nsz", "arcp", "contract", "afn"}


def kernel(function):
    """Compile without the GIL; what calls it, an `entry` in the end, keeps it on disk."""
    return numba.njit(**OPTIONS, no_cfunc_wrapper=True)(function)


def loop_kernel(function):
    """`kernel` for loops over plain numbers, which the compiler may put into vectors (order of sums is then its choice)."""
    return numba.njit(**OPTIONS, no_cfunc_wrapper=True, fastmath=FAST)(function)


def inlined(function):
    """A formula that becomes part of every kernel that uses it."""
    return numba.njit(inline="always")(function)


def entry(function):
    """Compile what Python calls; kept on disk for the next process, or, where there is no place to keep it, compiled again."""
    try:
        compiled = numba.njit(cache=True, **OPTIONS)(function)
    except (RuntimeError, OSError):  # neither the package's folder nor the user's can be written to
        return numba.njit(**OPTIONS)(function)
    _expire_with_any_source(compiled)
    return compiled


def prepare(compiled, arguments):
    """Compile an entry for arguments of these types, or fetch it from disk, before it is called.

    The garbage collector rests meanwhile: it would look again and again through the compiler's many objects, which all
    stay, for a fifth of the time.
    """
    if not hasattr(compiled, "signatures"):  # a plain function where JIT is switched off
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        compiled.compile(tuple(map(numba.typeof, arguments)))
    finally:
        if collects:
            gc.enable()


def _expire_with_any_source(compiled):
    """Numba looks at a function's own file only to tell whether its cache is stale, but kernels call each other across files."""
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, SOURCES, os.environ.get("AUDIO_LRP_LANES"))


def _digest():
    digest = hashlib.sha256()
    engine = pathlib.Path(__file__).parents[1]
    # Kernels compile in what these two say: the smallest denominator, and the numbers that stand for no class.
    for path in (*sorted(engine.rglob("*.py")), engine.parent / "stabilize.py", engine.parent / "target.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = _digest()
