"""From a new process to the first explanation of one clip: `python -m benchmarks startup`."""
import pathlib
import sys
import tempfile
import time

from . import environments, study
from .peer import Peer, PeerError
from .progress import bar
from .spread import spread
from .style import BLUE, GREEN, ORANGE, SKY
from .tables import Table

NAME, TITLE, SIZE = "startup", "Start", (9, 3.6)
ABOUT = """Seconds of a new process until one clip, which lies in memory, is explained (`epsilon`, without
options). Warm: the compiled kernels lie in the cache of a run before; cold: in an empty folder they are
compiled first; without a cache: no folder can be written, as in some containers. The whole begins with the
start of the process, and so is more than its parts."""
ROOT = pathlib.Path(__file__).parents[1]
STEPS = {"import": "import", "load": "load the model", "first": "first explanation",
         "second": "second explanation"}
METHODS = {"iNNvestigate": "lrp.epsilon"}


def measure(network, x, *, repeats=3, tools=(environments.INNVESTIGATE,), folder=environments.DEFAULT,
            python310=None):
    """The result: for each way to start, the seconds of its steps in each of `repeats` new processes, in
    turn.
    """
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        path = temporary / "study.npz"
        study.write(path, network, x[:1])
        ours = [sys.executable, "-m", "benchmarks.first_explanation", str(path)]
        starts = {f"Audio-LRP, {how}": (ours, variables) for how, variables in caches(temporary).items()}
        unavailable = {}
        for tool in tools:
            try:
                starts[tool.name] = environments.command(tool, folder, path, python310), dict
            except environments.Unavailable as error:
                unavailable[tool.name] = str(error)
        rows = in_turn(starts, repeats)
    return {"rows": [*rows, *[{"start": name, "unavailable": reason} for name,
                              reason in unavailable.items()]]}


def caches(temporary):
    """{how: a function that gives the variables of a start}, with a kernel cache that is warm, cold or
    impossible.
    """
    nowhere = temporary / "a-file"
    nowhere.touch()
    unwritable = str(nowhere / "cache")  # a folder in a file: not even root's
    return {"warm": lambda: {"NUMBA_CACHE_DIR": str(temporary / "warm")},
            "cold": lambda: {"NUMBA_CACHE_DIR": tempfile.mkdtemp(dir=temporary)},
            "without a cache": lambda: dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"),
                                                     unwritable)}


def in_turn(starts, repeats):
    """Rows of the starts, round by round. The first round warms the caches that are kept and does not count.
    """
    rows = {name: {"start": name, "rounds": []} for name in starts}
    with bar(len(starts) * (repeats + 1), "startup") as progress:
        for counted in [False] + [True] * repeats:
            for name, (command, variables) in starts.items():
                if "unavailable" not in rows[name]:
                    try:
                        found = start(name, command, environments.variables() | variables())
                        rows[name]["rounds"] += [found] if counted else []
                    except PeerError as error:
                        rows[name] = {"start": name, "unavailable": str(error)}
                progress.update(1)
    return list(rows.values())


def start(name, command, variables):
    """Seconds of the steps of one new process."""
    method, begun = METHODS.get(name, "epsilon"), time.perf_counter()
    with Peer(name, command, variables, folder=ROOT) as peer:
        first = peer.ask(method, 1, once=True)
        whole = time.perf_counter() - begun
        second = peer.ask(method, 1, once=True)
        return {"import": peer.ready["import"], "load": peer.ready["load"],
                "first": first, "second": second, "whole": whole}


def tables(result):
    """For readers: seconds by start and step."""
    return [Table("Seconds from the start of a process",
                  ("start", *(f">{step}" for step in STEPS.values()), ">whole, to the first"),
                  [cells(row) for row in result["rows"]])]


def cells(row):
    """One row of the table."""
    if "unavailable" in row:
        return [row["start"], f"not available: {row['unavailable']}", "", "", "", ""]
    return [row["start"], *[spread([found[step] for found in row["rounds"]]) for step in (*STEPS, "whole")]]


def draw(result, figure):
    """Stacked bars of the steps up to the first explanation."""
    axes, rows = figure.subplots(), [row for row in result["rows"] if "rounds" in row]
    names, left = [row["start"] for row in rows], [0.0] * len(rows)
    for step, colour in zip(("import", "load", "first"), (ORANGE, SKY, BLUE)):
        medians = [spread([found[step] for found in row["rounds"]]).median for row in rows]
        axes.barh(names, medians, 0.6, left=left, color=colour, label=STEPS[step])
        left = [a + b for a, b in zip(left, medians)]
    whole = [spread([found["whole"] for found in row["rounds"]]).median for row in rows]
    rest = [max(a - b, 0) for a, b in zip(whole, left)]
    drawn = axes.barh(names, rest, 0.6, left=left, color=GREEN, label="the process itself")
    axes.bar_label(drawn, [f"{seconds:.2f} s" for seconds in whole], padding=4)
    axes.invert_yaxis()
    axes.set(xlabel="seconds until the first explanation (less is better)")
    axes.margins(x=0.12)
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
