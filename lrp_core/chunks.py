"""Work through a batch in small chunks on several threads, with one BLAS thread each.

A chunk's arrays stay near the cache, memory is bounded whatever the batch, and since every product runs for
one sample on one BLAS thread, a sample's numbers do not depend on the batch, the chunk or the number of
threads.
"""
import concurrent.futures
import functools
import os
import threading

import threadpoolctl

from .checks import is_number, is_whole

CHUNK = 2


@functools.cache
def blas():
    """The BLAS that NumPy uses; found once, for looking through all loaded libraries takes a millisecond."""
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


class SingleThreadedBlas:
    """A context in which BLAS uses one thread; shared by all callers, undone when the last one leaves.

    The number of BLAS threads belongs to the process: counting the callers keeps one that ends from
    changing it under another that still computes.
    """

    def __init__(self):
        self._lock, self._callers, self._limits = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if not self._callers:
                self._limits = blas().limit(limits=1)
            self._callers += 1

    def __exit__(self, *_):
        with self._lock:
            self._callers -= 1
            if not self._callers:
                self._limits.restore_original_limits()


single_threaded_blas = SingleThreadedBlas()


def default_threads():
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def within(memory, sample_bytes, threads, chunk=CHUNK):
    """(threads, samples a chunk) that keep to `memory` bytes when a sample at work takes `sample_bytes`;
    None: no bound.
    """
    if memory is None:
        return threads, chunk
    if not is_number(memory):
        raise ValueError(f"memory must be a number of bytes, got {memory!r}")
    samples = int(memory // sample_bytes)
    if samples < 1:
        raise ValueError(f"memory: one sample of this network takes about {sample_bytes / 1e6:.1f} MB, "
                         f"the bound is {memory / 1e6:.1f} MB")
    threads = min(threads, samples)
    return threads, min(chunk, samples // threads)


def check_threads(threads):
    """`threads`, or all processors for None; refuses what is no whole number above 0."""
    threads = default_threads() if threads is None else threads
    if not is_whole(threads) or threads < 1:
        raise ValueError(f"threads must be a whole number above 0, got {threads!r}")
    return threads


def for_chunks(work, count, *, threads=None, progress=None, memory=None, sample_bytes=1):
    """Call work(slice) for consecutive slices of range(count); results in order.

    threads: how many at a time, all processors by default. progress: called with the number of samples done.
    memory: None, or a bound in bytes on the samples at work, each of which takes `sample_bytes`.
    """
    threads, chunk = within(memory, sample_bytes, check_threads(threads))
    slices = [slice(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    results = []
    with single_threaded_blas, concurrent.futures.ThreadPoolExecutor(min(threads, len(slices))) as executor:
        for part, result in zip(slices, executor.map(work, slices)):
            results.append(result)
            if progress:
                progress(part.stop - part.start)
    return results
