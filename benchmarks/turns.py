"""Measure several tools in turn: one, the other, the one again. What slows the machine for a while slows all
of them.
"""
import dataclasses
import math
import time
import typing

from .peer import PeerError
from .progress import bar

PAUSE = 0.03  # seconds in which the threads of the tool that was measured last stop waiting for more work


@dataclasses.dataclass
class Contestant:
    """Something to time. measure(): seconds of one call, measured so that the turns before it do not matter.
    """
    key: typing.Hashable
    measure: typing.Callable
    seconds: list = dataclasses.field(default_factory=list)
    failure: str | None = None


def take_turns(contestants, repeats, label, most=math.inf):
    """Let every contestant measure `repeats` times, round by round, after a round that is not counted.

    Returns {key: seconds of each round}. One whose tool fails drops out and keeps its `failure`. most: after
    so many seconds no further round begins once one was counted.
    """
    start = time.perf_counter()
    with bar(len(contestants) * (repeats + 1), label) as progress:
        for number in range(repeats + 1):
            counted = number > 0
            if number > 1 and time.perf_counter() - start > most:
                break
            for contestant in contestants:
                take_turn(contestant, counted)
                progress.update(1)
    return {contestant.key: contestant.seconds for contestant in contestants if contestant.failure is None}


def take_turn(contestant, counted):
    """One measurement of one contestant, unless it has dropped out."""
    if contestant.failure is not None:
        return
    time.sleep(PAUSE)
    try:
        seconds = contestant.measure()
    except PeerError as error:
        contestant.failure = str(error)
        return
    if counted:
        contestant.seconds.append(seconds)
