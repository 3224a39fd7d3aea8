"""A batch through a program: chunks on several threads, one small batch on a team; results in their places.
"""
import concurrent.futures
import contextlib
import threading

import numba
import numpy as np

from ..chunks import check_threads, single_threaded_blas, within
from ..memory import bound
from .kernels.sparse import TOGETHER
from .runtime import CHUNK


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


def explain_batch(program, request, chosen, logits, found):
    """Explain the samples number `chosen` of a request's batch, and fill their places in what is wanted of
    all of it.

    logits: [n, classes]. found: a Found for each target.
    """
    threads = check_threads(request.threads)
    chunk = CHUNK[program.dtype]
    memory = bound(program.network, program.sample_bytes, min(threads, len(chosen)) * max(chunk, TOGETHER),
                   request.memory)
    workers, capacity = within(memory, program.sample_bytes, threads, chunk)
    # a team counts atomically
    together = len(chosen) < workers and not program.by_numpy and not numba.config.DISABLE_JIT
    if (together or len(chosen) == 1) and memory is None:
        capacity = max(capacity, TOGETHER)
    team, share = (workers, len(chosen)) if together else (1, -(-len(chosen) // workers))
    chunk = -(-share // -(-share // capacity))  # chunks of one size, none above the capacity
    mask, outside = None if request.place is None else request.place[1], request.start is not None

    def work(part):
        workspace = program.workspace(capacity, team)
        groups = targets_at_once(program, request.targets, len(part), capacity, outside)
        for group in groups:
            targets = len(group)
            favoured, other = (np.array([request.targets[number][side][part] for number in group]).T.ravel()
                               for side in (0, 1))
            scores, relevance, numbers = program.explain(workspace, request.x[part], favoured, other,
                                                         forward=group is groups[0], targets=targets,
                                                         mask=mask, reference=request.reference, team=team)
            logits[part] = scores
            for place, number in enumerate(group):
                found[number].put(part, {name: r[place::targets] for name, r in relevance.items()},
                                  numbers[..., place::targets])
        program.give_back(workspace)
        return len(part)

    parts = [chosen[start:start + chunk] for start in range(0, len(chosen), chunk)]
    with single_threaded_blas if program.by_numpy else contextlib.nullcontext():
        crew = program.crew(workers) if len(parts) > 1 and workers > 1 else None
        if crew is not None:
            crew.anywhere()
        for done in in_order(crew, work, parts):
            if request.progress:
                request.progress(done)


class Found:
    """The relevance by node and the ledger's numbers [lines + 1, columns, n] of one target for a whole batch,
    as chunks fill them.
    """

    def __init__(self, samples):
        self.samples, self.relevance, self.numbers, self._lock = samples, {}, None, threading.Lock()

    def put(self, part, relevance, numbers):
        """Write the share of the samples number `part`."""
        if len(part) == self.samples:  # the whole batch at once: nothing to join
            self.relevance = {name: np.ascontiguousarray(r) for name, r in relevance.items()}
            self.numbers = numbers
            return
        with self._lock:
            if self.numbers is None:
                self.numbers = np.empty((*numbers.shape[:2], self.samples))
                self.relevance = {name: np.empty((self.samples, *r.shape[1:]), r.dtype) for name,
                                  r in relevance.items()}
        self.numbers[..., part] = numbers
        for name, r in relevance.items():
            self.relevance[name][part] = r


def targets_at_once(program, wanted, samples, capacity, outside):
    """The numbers of the targets in groups that a workspace can carry back together: several only for a
    single sample, whose relevance kernels start. outside: is it written from outside?
    """
    size = min(capacity, TOGETHER) if samples == 1 and not outside and not program.by_numpy else 1
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
