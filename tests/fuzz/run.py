"""Cases shared out among processes, each with a limit of time; what became of them, counted."""
import collections
import dataclasses
import multiprocessing
import multiprocessing.connection
import pathlib
import time

from lrp_core.text import table

from .targets import TARGETS
from .worker import MEMORY, work

SECONDS = 10  # that a case may take
START = 300   # seconds for a process to begin: kernels may have to be compiled


@dataclasses.dataclass
class Tally:
    """What became of the cases of one kind."""
    outcomes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    failures: list = dataclasses.field(default_factory=list)  # (number, outcome)
    slowest: float = 0.0
    peak: int = 0

    def add(self, number, outcome, failed, seconds, peak):
        """Count one case."""
        if not failed and seconds > SECONDS:
            outcome, failed = f"took {seconds:.1f} s", True
        if not failed and peak > MEMORY:
            outcome, failed = f"took {peak / 1e6:.0f} MB", True
        self.outcomes[outcome] += 1
        self.slowest, self.peak = max(self.slowest, seconds), max(self.peak, peak)
        if failed:
            self.failures.append((number, outcome))
        return failed


class Process:
    """A worker and the case that it has in hand."""

    def __init__(self, seed):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, seed), daemon=True)
        self._process.start()
        other.close()
        self.case, self._until = None, time.monotonic() + START

    def give(self, case):
        """Hand over the next case, None to end."""
        self.case, self._until = case, time.monotonic() + 2 * SECONDS  # the parent is the coarser clock
        self.pipe.send(case)

    @property
    def late(self):
        """Has it had its time?"""
        return time.monotonic() > self._until

    def end(self):
        """Stop the process; returns its exit code."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        return self._process.exitcode


def run(counts, seed, *, processes=2, folder=None, progress=None):
    """A Tally for each kind of file.

    counts: how many cases of each kind. folder: where files that failed are kept, or None. progress: called
    with the number of cases done.
    """
    waiting = iter([(kind, number) for kind, count in counts.items() for number in range(count)])
    tallies, crew = {kind: Tally() for kind in counts}, [Process(seed) for _ in range(processes)]
    try:
        while crew:
            ready = multiprocessing.connection.wait([one.pipe for one in crew], timeout=1)
            for one in [one for one in crew if one.pipe in ready or one.late]:
                if _serve(one, waiting, tallies, folder, progress):
                    continue
                crew.remove(one)
                if one.case is not None:  # it died of it
                    crew.append(Process(seed))
    finally:
        for one in crew:
            one.end()
    return tallies


def _serve(process, waiting, tallies, folder, progress):
    """Take a process's answer and give it the next case; returns whether it goes on."""
    try:
        if process.late and not process.pipe.poll():
            raise TimeoutError
        answer = process.pipe.recv()
    except (EOFError, OSError, TimeoutError) as error:
        code = process.end()
        what = "did not end" if isinstance(error, TimeoutError) else f"the process died (exit code {code})"
        if process.case is None:
            raise RuntimeError(f"a worker {what} before its first case") from None
        _count(process.case, (what, True, 2.0 * SECONDS * isinstance(error, TimeoutError), 0), None, tallies,
               folder, progress)
        return False
    if isinstance(answer, str):
        raise RuntimeError(f"a worker broke:\n{answer}")
    if answer is not None:
        _count(process.case, *answer, tallies, folder, progress)
    process.give(next(waiting, None))
    if process.case is None:
        process.end()
    return process.case is not None


def _count(case, result, data, tallies, folder, progress):
    kind, number = case
    if tallies[kind].add(number, *result) and folder and data is not None:
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{kind}-{number}.{TARGETS[kind][2]}").write_bytes(data)
    if progress:
        progress(1)


def summary(tallies):
    """The tallies as text."""
    rows = [("kind", "outcome", "cases", "slowest", "peak")]
    for kind, tally in tallies.items():
        rows.append((kind, "all", str(tally.outcomes.total()), f"{tally.slowest:.2f} s",
                     f"{tally.peak / 1e6:.0f} MB"))
        rows += [("", outcome, str(count), "", "") for outcome, count in tally.outcomes.most_common()]
    return table(rows, "<<>>>")
