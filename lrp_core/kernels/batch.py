"""A batch through a program: chunks on several threads, one small batch on a team; results as `explain` wants them."""
import concurrent.futures
import contextlib
import threading

import numba
import numpy as np

from ..chunks import check_threads, single_threaded_blas, within
from .engine import CHUNK
from .sparse import TOGETHER


class Programs:
    """The last few programs of a network, by what they were planned for."""
    LIMIT = 4

    def __init__(self):
        self._lock, self._programs = threading.Lock(), {}

    def get(self, key, make):
        """The program of that key, made if it is not there."""
        with self._lock:
            try:
                program = self._programs.pop(key, None)
            except TypeError:  # a condition or a rule of the caller's own that cannot be a key
                return make()
            program = self._programs[key] = program or make()
            while len(self._programs) > self.LIMIT:
                del self._programs[next(iter(self._programs))]
            return program


def explain_batch(program, x, wanted, *, mask, threads, memory, progress):
    """(logits [n, classes], [(class numbers, relevance by node, book [pages, 6, n]) for each target]) of a batch x.

    wanted: (favoured, other) class numbers [n] for each target, as `target.resolve` gives them.
    """
    threads = check_threads(threads)
    logits = np.empty((len(x), *program.network.shapes[program.output]), np.float32)
    found = [Found(len(x)) for _ in wanted]
    workers, capacity = within(memory, program.sample_bytes, threads, CHUNK)
    together = len(x) < workers and not program.by_numpy and not numba.config.DISABLE_JIT  # a team counts atomically
    if together and memory is None:
        capacity = max(capacity, TOGETHER)
    team, share = (workers, len(x)) if together else (1, -(-len(x) // workers))
    chunk = -(-share // -(-share // capacity))  # chunks of one size, none above the capacity

    def work(part):
        workspace = program.workspace(capacity, team)
        groups = targets_at_once(program, wanted, part.stop - part.start, capacity, mask)
        for group in groups:
            fan = len(group)
            favoured, other = (np.stack([wanted[number][side][part] for number in group], axis=1).ravel() for side in (0, 1))
            scores, relevance, book = program.explain(workspace, x[part], favoured, other, forward=group is groups[0], fan=fan,
                                                      mask=mask, team=team)
            logits[part] = scores
            for place, number in enumerate(group):
                found[number].put(part, {name: r[place::fan] for name, r in relevance.items()}, book[..., place::fan])
        program.give_back(workspace)
        return part.stop - part.start

    parts = [slice(start, min(start + chunk, len(x))) for start in range(0, len(x), chunk)]
    with single_threaded_blas if program.by_numpy else contextlib.nullcontext():
        crew = program.crew(workers) if len(parts) > 1 and workers > 1 else None
        for done in in_order(crew, work, parts):
            if progress:
                progress(done)
    return logits, found


class Found:
    """The relevance and the books of one target, as chunks fill them."""

    def __init__(self, samples):
        self.samples, self.relevance, self.book, self._lock = samples, {}, None, threading.Lock()

    def put(self, part, relevance, book):
        """Write a chunk's share."""
        with self._lock:
            if self.book is None:
                self.book = np.empty((*book.shape[:2], self.samples))
                self.relevance = {name: np.empty((self.samples, *r.shape[1:]), np.float32) for name, r in relevance.items()}
        self.book[..., part] = book
        for name, r in relevance.items():
            self.relevance[name][part] = r


def targets_at_once(program, wanted, samples, capacity, mask):
    """The numbers of the targets in groups that a workspace can carry back together: several only for a single sample."""
    size = min(capacity, TOGETHER) if samples == 1 and mask is None and not program.by_numpy else 1
    return [range(start, min(start + size, len(wanted))) for start in range(0, len(wanted), size)]


def in_order(crew, work, parts):
    """work(part) for all parts, on a crew or here; after an error or an interrupt nothing more is begun."""
    if crew is None:
        yield from map(work, parts)
        return
    waiting = [crew.submit(work, part) for part in parts]
    try:
        for one in waiting:
            yield one.result()
    finally:
        for one in waiting:
            one.cancel()
        concurrent.futures.wait(waiting)
