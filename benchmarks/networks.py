"""The same for networks that people use, beside the tools of torch: `python -m benchmarks throughput`."""
import contextlib
import datetime
import pathlib
import subprocess
import tempfile
import typing

import numpy as np

import lrp_core

from . import environments, equality, limit
from .crew import started
from .environments import AUTOLRP, CAPTUM, TORCH, ZENNIT
from .layers import cells_of, nodes, profiled
from .peers.protocol import LEAST_SECONDS, clock, time_calls
from .progress import say
from .race import (
    HEADINGS,
    LIMIT,
    OURS,
    Case,
    Lane,
    case_of,
    cells,
    classes_table,
    limits,
    ours_beside,
    race,
    ten_classes,
)
from .spread import number, paired, spread
from .style import BLUE, GREEN, ORANGE, RED, SKY
from .tables import Table

NAME, TITLE, SIZE = "networks", "Networks that people use", (9, 12)
ABOUT = """Samples per second by the presets of zennit's names, as above, for networks as their authors
publish them: CNN14 of PANNs (a second of log-mel frames), CREPE in its full size (a frame of 64 ms),
EfficientNet-Lite0 (an image), DNSMOS P.808 (nine seconds of log-mel frames), and, in batches of 8, ResNet-18
and VGG-16 (images of 224 x 224). The weights and inputs are
random: speed alone is measured. Batch norms are folded into the convolution before them, for all tools
alike. torch's forward pass and gradient is the least that any tool on torch must take, the limit is what
this machine's matrix product and memory allow, as above. Captum has no rule for ReLU6, and
autoLRP gives biases another share. Equality: the first inputs in double precision, both sides. A network
that is new is planned and its weights are packed in its first call; the kernels were compiled before. The
last table has the steps that lose most against their limit, on one thread, and what is left to NumPy."""
NETWORKS = ("CNN14", "CREPE full", "EfficientNet-Lite0", "DNSMOS P.808", "ResNet-18", "VGG-16")
PRESETS = ("epsilon", "epsilon_plus_flat", "epsilon_alpha2_beta1")
TOOLS = (ZENNIT, CAPTUM, AUTOLRP, TORCH)
BATCHES = {"ResNet-18": 8, "VGG-16": 8}  # for 32: of images so large torch keeps gigabytes


def cases_of(name):
    """A network's batch, single samples one after the other, and single samples from idle."""
    return Case(BATCHES.get(name, 32)), Case(1), Case(1, idle=True)


class Goal(typing.NamedTuple):
    """A factor of the table of factors: beside which tool, in which of a network's cases, by which precision
    of ours, at least how much was aimed for (in general, and of some networks).
    """
    title: str
    tool: str
    case: int
    dtype: str = "float32"
    least: float = 0.0
    of: dict = {}
    threads: int | None = None


GOALS = (Goal("zennit, batch", ZENNIT.name, 0, least=4, of={"ResNet-18": 6, "VGG-16": 9}),
         Goal("zennit, single", ZENNIT.name, 1, least=3, of={"ResNet-18": 4, "VGG-16": 5}),
         Goal("zennit, single from idle", ZENNIT.name, 2),
         Goal("zennit, batch, ours in float64", ZENNIT.name, 0, "float64", 2,
              of={"ResNet-18": 3, "VGG-16": 4}),
         Goal("torch's gradient, batch", TORCH.name, 0, least=1.5),
         Goal("one thread of ours, batch", OURS, 0, threads=1),
         Goal("the limit, batch", LIMIT, 0))
LARGE = 1_000_000  # parameters from which planning is a matter of their number
MOST = 60  # seconds after which no further round of a race begins
EQUAL, SAME = 2, 1e-2  # inputs that are compared, and how far double precisions may differ
SHOWN = 8  # of the steps of a network and preset


class ExportError(Exception):
    """A network that could not be made; the text says why and names no paths."""


@contextlib.contextmanager
def made(name, tools, folder):
    """(path of the ONNX file, inputs, peers, why others are not available) of a network until the block ends.
    """
    with tempfile.TemporaryDirectory() as place:
        try:
            python = environments.ready(TORCH, pathlib.Path(folder).expanduser())
        except environments.Unavailable as error:
            raise ExportError(f"{name} is made by torch, which is not available: {error}") from None
        say(f"{name}: making it")
        words = [python, environments.PEERS / "export_network.py", name, place]
        done = subprocess.run(words, env=environments.variables(), capture_output=True, text=True,
                              check=False)
        if done.returncode:
            say(done.stderr.strip())
            raise ExportError(f"{name} could not be made by torch; its last words stand above")
        place = pathlib.Path(place)
        with started(tools, place / "network.pt", folder=folder) as (peers, unavailable):
            yield place / "network.onnx", np.load(place / "x.npy"), peers, unavailable


def measure(name, *, rates, tools=TOOLS, folder=environments.DEFAULT, cases=None, presets=PRESETS,
            repeats=3, least=LEAST_SECONDS):
    """The result for one network: equality, times in turn, ten classes, planning, and the slowest steps."""
    with made(name, tools, folder) as (path, x, peers, unavailable):
        network = lrp_core.from_onnx(path)
        pairs = [(preset, ZENNIT.name, preset) for preset in presets]
        pairs += [("epsilon", tool.name, "epsilon") for tool in (CAPTUM, AUTOLRP)]
        equal = equality.check(network, x[:EQUAL], pairs, peers, count=EQUAL, dtype="float64")
        rows, classes, steps = [], [], {}
        for preset in presets:
            network = lrp_core.from_onnx(path)  # it keeps its last programs, and their packed weights
            for case in cases or cases_of(name):
                found = race(network, x, lanes(preset, case), case, peers, unavailable, repeats=repeats,
                             least=least, most=MOST)
                found += limits(network, x, preset, case, rates, found)
                rows += [{"preset": preset, **row} for row in found]
            if network.scores >= 10:
                classes.append(ten_classes(network, x, preset, repeats, least))
            steps[preset] = profiled(network, x, preset, rates_of_one(), repeats)
        return {"date": datetime.date.today().isoformat(), "parameters": network.parameters,
                "multiply_adds": network.multiply_adds, "rates": rates, "equality": equal, "rows": rows,
                "classes": classes,
                "plans": [planning(path, x, preset, dtype) for preset in presets
                          for dtype in ("float64", "float32")],
                "steps": steps,
                "peers": {tool: peer.ready["versions"] for tool, peer in peers.items()}}


def merged(stored, found):
    """A network's result, new for the presets that were measured, else as it was stored."""
    def kept(rows, new):
        return [row for row in rows if row["preset"] not in found["steps"]] + new
    if not stored:
        return found
    lists = {key: kept(stored[key], found[key]) for key in ("rows", "equality", "classes", "plans")}
    return found | lists | {"steps": stored["steps"] | found["steps"]}


def rates_of_one():
    """The Rates of one thread in single precision."""
    return limit.measured(1)["float32"]


def lanes(preset, case):
    """All that is timed for a preset, what is compared next to each other."""
    found = [Lane(OURS, preset, "float32", preset), Lane(TORCH.name, "gradient", "float32", preset)]
    if preset == "epsilon":
        found += [Lane(tool.name, preset, "float32", preset) for tool in (CAPTUM, AUTOLRP)]
    found += [Lane(ZENNIT.name, preset, "float32", preset), Lane(OURS, preset, "float64", preset)]
    if case.batch > 1:
        found.append(Lane(OURS, preset, "float32", preset, threads=1))
    return found


def planning(path, x, preset, dtype):
    """Seconds of the first call on a network just read from its file, and of those that follow."""
    network = lrp_core.from_onnx(path)

    def explain():
        lrp_core.explain(network, x[:1], preset, dtype=dtype)
    first = clock(explain)
    return {"preset": preset, "dtype": dtype, "first": first, "later": time_calls(explain)}


def shortfalls(result):
    """Where a peer in double precision finds other relevance than we do: a list of sentences."""
    return [f"{name}, {row['preset']}: {row['largest']:.1e} from {row['peer']}, more than {SAME:g}"
            for name, found in result["networks"].items() for row in found["equality"]
            if row["peer"] == ZENNIT.name and row.get("finder") == equality.FLOAT64
            and not row["largest"] <= SAME]


def tables(result):
    """For readers: the networks, times by case, ten classes, planning, equality, slow steps."""
    networks = result["networks"]
    found = [Table("The networks, and the machine when each was measured",
                   ("network", ">parameters", ">multiply-adds forward", "date", ">float32 GFLOP/s",
                    ">float64 GFLOP/s", ">copy, GB/s"),
                   [[name, f"{one['parameters']:,}", f"{one['multiply_adds']:,}", one["date"],
                     *rate_cells(one["rates"])] for name, one in networks.items()])]
    found.append(goals_table(networks))
    for name, one in networks.items():
        for case in dict.fromkeys(map(case_of, one["rows"])):
            same = [row for row in one["rows"] if case_of(row) == case]
            found.append(Table(f"{name}: samples per second, {case}", HEADINGS,
                               [cells(same, row) for row in same]))
    found.append(classes_table([{"network": name, **row} for name, one in networks.items()
                                for row in one["classes"]]))
    found.append(plans_table(networks))
    found.append(equality.table([{"weights": name, **row} for name, one in networks.items()
                                 for row in one["equality"]]))
    return [*found, *(steps_table(name, preset, rows) for name, one in networks.items()
                      for preset, rows in one["steps"].items())]


def goals_table(networks):
    """How many times as fast we are as the peers at what was aimed for, what falls short marked with a "<".
    """
    def cell(name, rows, preset, goal):
        here = [row for row in rows if row["preset"] == preset and case_of(row) == cases_of(name)[goal.case]]
        row = next((row for row in here if (row["tool"], row.get("threads")) == (goal.tool, goal.threads)
                    and row["dtype"] == "float32" and "seconds" in row), None)
        ours = row and ours_beside(here, row, goal.dtype)
        if ours is None:
            return ""
        factor = paired(row["seconds"], ours["seconds"]).median
        least = goal.of.get(name, goal.least)
        return number(factor) + (f" < {least:g}" if factor < least else "")
    return Table("How many times as fast: the tool's time in float32 by ours",
                 ("network", "preset", *(f">{goal.title}" for goal in GOALS)),
                 [[name, preset, *(cell(name, one["rows"], preset, goal) for goal in GOALS)]
                  for name, one in networks.items() for preset in one["steps"]])


def rate_cells(rates):
    """A machine's rates: both products and the copy."""
    single, double = (limit.Rates(*rates[dtype]) for dtype in limit.DTYPES)
    return [number(single.multiply_adds * 2e-9), number(double.multiply_adds * 2e-9),
            number(single.bytes * 1e-9)]


def plans_table(networks):
    """How long the first call takes beside those that follow."""
    def row_of(name, parameters, plan):
        more = plan["first"] - plan["later"]
        return [name, plan["preset"], plan["dtype"], number(plan["first"]), number(plan["later"]),
                number(more), number(more / parameters * 50e6) if parameters >= LARGE else ""]
    return Table("The first call on a new network, one sample",
                 ("network", "preset", "type", ">first, s", ">later, s", ">more, s",
                  ">more, s for 50 M parameters"),
                 [row_of(name, one["parameters"], plan) for name, one in networks.items()
                  for plan in one["plans"]])


def steps_table(name, preset, rows):
    """The steps that lose most time, and how much of the whole all others and NumPy take."""
    rows = nodes(rows)
    slow = sorted(rows, key=lambda row: row["limit"] - row["seconds"])[:SHOWN]
    whole = sum(row["seconds"] for row in rows)
    numpy = sum(row["seconds"] for row in rows if "NumPy" in row["kernel"])
    return Table(f"{name}, {preset}, float32 on one thread: {number(1e3 * whole)} ms a sample, "
                 f"{numpy / whole:.0%} in NumPy; the steps that lose most",
                 ("node", "direction", "kernel", ">ms", ">limit, ms", ">× the limit", "in NumPy because"),
                 [[*cells_of(row), row["reason"]] for row in slow])


BARS = {"Audio-LRP float32": BLUE, "Audio-LRP float64": GREEN, "zennit float32": RED,
        "torch float32": ORANGE, "the limit float32": SKY}


def draw(result, figure):
    """Bars by preset at batch 32, a panel for each network."""
    panels = figure.subplots(len(result["networks"]), 1, squeeze=False)[:, 0]
    for axes, (name, one) in zip(panels, result["networks"].items()):
        rows = [row for row in one["rows"] if case_of(row) == cases_of(name)[0] and "seconds" in row
                and not row.get("threads")]
        for place, (label, colour) in enumerate(BARS.items()):
            chosen = [row for row in rows if f"{row['tool']} {row['dtype']}" == label]
            drawn = axes.barh([PRESETS.index(row["preset"]) + 0.16 * (place - 2) for row in chosen],
                              [row["batch"] / spread(row["seconds"]).median for row in chosen], 0.15,
                              color=colour, label=label)
            axes.bar_label(drawn, fmt="%.3g", padding=4, fontsize=8)
        axes.set_yticks(range(len(PRESETS)), PRESETS)
        axes.invert_yaxis()
        axes.set(title=f"{name}, batch 32", xlabel="explanations per second (more is better)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5,
                  frameon=False)
