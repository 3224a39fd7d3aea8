"""Explanations of one network timed in turn, ours and the peers', and their rows in a table."""
import math
import typing

import lrp_core

from . import limit
from .peers.protocol import LEAST_SECONDS, time_calls
from .spread import paired, spread
from .tables import Table
from .turns import PAUSE, Contestant, take_turns

OURS, LIMIT = "Audio-LRP", "the limit"
HEADINGS = ("preset", "tool", "method", "type", ">a second", ">float64 is × as fast", ">float32 is × as fast")


class Lane(typing.NamedTuple):
    """Something to time. same_rules: our preset on the same rules; threads: ours alone (None: all cores)."""
    tool: str
    method: str
    dtype: str
    same_rules: str
    threads: int | None = None


class Case(typing.NamedTuple):
    """How many samples a call explains, and whether the machine idles before each call."""
    batch: int
    idle: bool = False

    def __str__(self):
        return f"batch {self.batch}" + f", {PAUSE * 1e3:.0f} ms after the call before" * self.idle


def race(network, x, lanes, case, peers, unavailable, *, repeats, least=LEAST_SECONDS, most=math.inf):
    """The rows of some lanes: seconds of each round, or why there are none. peers: {name: Peer}; unavailable:
    {name: reason}; most: as of `take_turns`.
    """
    pause, batch = PAUSE * case.idle, x[:case.batch]

    def timer(lane):
        if lane.tool != OURS:
            return lambda: peers[lane.tool].ask(lane.method, case.batch, seconds=least, pause=pause)

        def explain():
            lrp_core.explain(network, batch, lane.method, dtype=lane.dtype, threads=lane.threads)
        return lambda: time_calls(explain, least, pause)
    contestants = [Contestant(lane, timer(lane)) for lane in lanes if lane.tool in (OURS, *peers)]
    seconds = take_turns(contestants, repeats, f"{lanes[0].method}, {case}", most)
    reasons = unavailable | {contestant.key.tool: contestant.failure for contestant in contestants
                             if contestant.failure}
    return [{**case._asdict(), **lane._asdict(),
             **({"seconds": seconds[lane]} if lane in seconds else {"unavailable": reasons[lane.tool]})}
            for lane in lanes if lane in seconds or lane.tool in reasons]


def limits(network, x, preset, case, rates, rows):
    """Rows of the least seconds that a preset can take on this machine, as if each round of the other rows
    had measured them.
    """
    rounds, found = max(len(row.get("seconds", ())) for row in rows), []
    for dtype, rate in rates.items():
        works = limit.of(network, preset, batch=case.batch, dtype=dtype, nonnegative=bool(x.min() >= 0))
        found.append({**case._asdict(), **Lane(LIMIT, "", dtype, preset)._asdict(),
                      "seconds": [case.batch * limit.total(works, rate)] * rounds})
    return found


def ten_classes(network, x, preset, repeats, least=LEAST_SECONDS):
    """Seconds of one class and of the first ten of one sample, in turn."""
    def one():
        lrp_core.explain(network, x[:1], preset, dtype="float32")

    def ten():
        lrp_core.explain_each(network, x[:1], preset, list(range(10)), dtype="float32")
    contestants = [Contestant("one", lambda: time_calls(one, least)),
                   Contestant("all", lambda: time_calls(ten, least))]
    return {"preset": preset, **take_turns(contestants, repeats, f"{preset}, ten classes")}


def classes_table(rows):
    """What `ten_classes` found, for readers."""
    return Table("Ten classes of one sample in one call (float32)",
                 ("network", "preset", ">one class, ms", ">ten classes, ms", ">× the time of one"),
                 [[row.get("network", ""), row["preset"], spread([s * 1e3 for s in row["one"]]),
                   spread([s * 1e3 for s in row["all"]]), paired(row["all"], row["one"])] for row in rows])


def case_of(row):
    """The Case of a row."""
    return Case(row["batch"], row.get("idle", False))


def ours_beside(rows, row, dtype):
    """The row of Audio-LRP on all cores in a precision, by the same rules in the same race; None where there
    is none.
    """
    wanted = (OURS, dtype, row["same_rules"], row["preset"], case_of(row), None)
    return next((one for one in rows if wanted == (one["tool"], one["dtype"], one["method"], one["preset"],
                                                   case_of(one), one.get("threads"))), None)


def cells(rows, row):
    """One row of a table with HEADINGS. rows: those of the same network."""
    threads = row.get("threads")
    tool = row["tool"] + (f", {threads} thread" + "s" * (threads > 1) if threads else "")
    start = [row["preset"], tool, row["method"], row["dtype"]]
    if "unavailable" in row:
        return [*start, f"not available: {row['unavailable']}", "", ""]
    ours = [ours_beside(rows, row, dtype) for dtype in ("float64", "float32")]
    ratios = ["" if one is None else "1" if row is one else paired(row["seconds"], one["seconds"])
              for one in ours]
    return [*start, spread([row["batch"] / s for s in row["seconds"]]), *ratios]
