"""Numba's compiler with the options that every kernel here shares: `kernel` for what kernels call, `entry`
for what Python calls.
"""
import gc

import numba

from .cache import KernelCache
from .link import LinkedCompiler

OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
LINKED = {**OPTIONS, "no_cfunc_wrapper": True, "no_cpython_wrapper": True, "pipeline_class": LinkedCompiler}
# NaN and infinity keep their meaning: everything of fast-math but "nnan" and "ninf".
FAST = {"reassoc", "nsz", "arcp", "contract", "afn"}


def kernel(function):
    """Compile without the GIL; what calls it, an `entry` in the end, keeps it on disk."""
    return numba.njit(**LINKED)(function)


def loop_kernel(function):
    """`kernel` for loops over plain numbers, which the compiler may put into vectors (order of sums is then
    its choice).
    """
    return numba.njit(**LINKED, fastmath=FAST)(function)


def inlined(function):
    """A formula that becomes part of every kernel that uses it."""
    return numba.njit(inline="always")(function)


def entry(function):
    """Compile what Python calls; kept on disk for the next process, or, where it cannot be kept, compiled
    again.
    """
    compiled = numba.njit(**OPTIONS)(function)
    if hasattr(compiled, "signatures"):  # not where JIT is switched off
        compiled._cache = KernelCache(function)  # as cache=True does with a cache in the package's folder
    return compiled


def prepare(compiled, arguments):
    """Compile an entry for arguments of these types, or fetch it from disk, before it is called.

    The garbage collector is disabled meanwhile: scanning the compiler's many objects, which all stay, costs
    20 % of the time.
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
