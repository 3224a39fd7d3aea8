"""Explanations per second, forward and backward, beside the peers: `python -m benchmarks throughput`."""
import typing

import lrp_core

from . import equality
from .environments import INNVESTIGATE, INNVESTIGATE_64, OPENVINO, ZENNIT
from .peers.protocol import LEAST_SECONDS, time_calls
from .spread import paired, spread
from .style import BLUE, GREEN, ORANGE, RED, SKY
from .tables import Table
from .turns import Contestant, take_turns

NAME, TITLE, SIZE = "throughput", "Throughput", (9, 8)
ABOUT = """Explanations per second of the study's network (1,958,730 parameters, images of 64 x 64 x 3): a
forward pass and the rules backward for each clip's winning class, on all cores. iNNvestigate's analyzers
are compared with our presets of the same rules. zennit splits the bias in its αβ rules, so it is compared
with our presets by its composites' names. OpenVINO explains nothing: its forward pass alone is the mark to
beat. float64 is what `explain(network, x)` does without options. "× as fast": the time of that row by the
time of Audio-LRP on the same rules, in float64 and in float32, measured next to each other in the same
round. The random weights make half of the units live, the embedded ones a tenth: what skips zeros gains
less. Equality comes first: the table at the end compares the relevance of the same clips, and
iNNvestigate's with its own in double precision, for where the last bit of a float32 decides who wins in a
pool, right answers differ."""
TOOLS = (INNVESTIGATE, INNVESTIGATE_64, ZENNIT, OPENVINO)
BATCHES = (32, 1)
OURS, EMBEDDED = "Audio-LRP", "embedded weights"


class Rules(typing.NamedTuple):
    """What the peers call the rules of one of our presets; zennit's name is also that of a preset here."""
    innvestigate: str
    zennit: str


PRESETS = {"epsilon": Rules("lrp.epsilon", "epsilon"),
           "preset_a_flat": Rules("lrp.sequential_preset_a_flat", "epsilon_plus_flat"),
           "preset_b": Rules("lrp.sequential_preset_b", "epsilon_alpha2_beta1")}


def measure(network, x, peers, unavailable, *, weights=EMBEDDED, batches=BATCHES, repeats=7,
            least=LEAST_SECONDS):
    """The result: equality first, then the times, in turn. peers: {name: Peer}; unavailable: {name: reason}.

    weights: what the tables call the network.
    """
    pairs = [pair for preset, rules in PRESETS.items()
             for pair in ((preset, INNVESTIGATE.name, rules.innvestigate),
                          (preset, INNVESTIGATE_64.name, rules.innvestigate),
                          (rules.zennit, ZENNIT.name, rules.zennit))]
    equal = equality.check(network, x, [*pairs, (None, OPENVINO.name, "forward")], peers)
    rows = [row for preset in PRESETS for batch in batches
            for row in race(network, x, preset, batch, peers, unavailable, repeats, least)]
    classes = [all_classes(network, x, preset, repeats, least) for preset in PRESETS]
    return {"equality": [row | {"weights": weights} for row in equal],
            "rows": [row | {"weights": weights} for row in rows], "classes": classes,
            "peers": {name: peer.ready["versions"] for name, peer in peers.items()
                      if name != INNVESTIGATE_64.name}}


def lanes(preset):
    """(tool, method, type, our preset on the same rules) of all that is timed for a preset, neighbours
    compared.
    """
    rules = PRESETS[preset]
    found = [(OURS, preset, "float32", preset), ("OpenVINO", "forward", "float32", preset),
             ("iNNvestigate", rules.innvestigate, "float32", preset),
             ("zennit", rules.zennit, "float32", rules.zennit),
             (OURS, rules.zennit, "float32", rules.zennit), (OURS, preset, "float64", preset)]
    return list(dict.fromkeys(found))


def race(network, x, preset, batch, peers, unavailable, repeats, least):
    """The rows of one preset and batch: seconds of each round, or why there are none."""
    def timer(tool, method, dtype):
        if tool == OURS:
            return lambda: time_calls(lambda: lrp_core.explain(network, x[:batch], method, dtype=dtype),
                                      least)
        return lambda: peers[tool].ask(method, batch, seconds=least)
    contestants = [Contestant(lane, timer(*lane[:3])) for lane in lanes(preset) if lane[0] in (OURS, *peers)]
    seconds = take_turns(contestants, repeats, f"{preset}, batch {batch}")
    reasons = unavailable | {contestant.key[0]: contestant.failure for contestant in contestants
                             if contestant.failure}
    return [{"preset": preset, "batch": batch, "tool": tool, "method": method, "dtype": dtype,
             "same_rules": ours,
             **({"seconds": seconds[lane]} if lane in seconds else {"unavailable": reasons[tool]})}
            for lane in lanes(preset) for tool, method, dtype, ours in [lane] if lane in seconds
            or tool in reasons]


def all_classes(network, x, preset, repeats, least):
    """Seconds of one class and of all classes of one clip, in turn."""
    def one():
        lrp_core.explain(network, x[:1], preset, dtype="float32")

    def every():
        lrp_core.explain_each(network, x[:1], preset, "all", dtype="float32")
    contestants = [Contestant("one", lambda: time_calls(one, least)),
                   Contestant("all", lambda: time_calls(every, least))]
    return {"preset": preset, **take_turns(contestants, repeats, f"{preset}, all classes")}


def ours_beside(rows, row, dtype):
    """The row of Audio-LRP in a precision, for the same network and rules; None where there is none."""
    wanted = (weights_of(row), OURS, dtype, row["preset"], row["batch"], row["same_rules"])
    return next((one for one in rows if wanted == (weights_of(one), one["tool"], one["dtype"], one["preset"],
                                                   one["batch"], one["method"])), None)


def weights_of(row):
    """What a row's network is called."""
    return row.get("weights", EMBEDDED)


def tables(result):
    """For readers: times by batch, all classes at once, equality."""
    rows, found = result["rows"], []
    for weights, batch in dict.fromkeys((weights_of(row), row["batch"]) for row in rows):
        found.append(Table(f"Clips per second at batch {batch}, {weights}; {result['inputs']}",
                           ("preset", "tool", "method", "type", ">clips/s", ">float64 is × as fast",
                            ">float32 is × as fast"),
                           [cells(rows, row) for row in rows
                            if (weights_of(row), row["batch"]) == (weights, batch)]))
    found.append(Table("All ten classes of one clip in one call (float32)",
                       ("preset", ">one class, ms", ">all classes, ms", ">× the time of one"),
                       [[row["preset"], spread([s * 1e3 for s in row["one"]]),
                         spread([s * 1e3 for s in row["all"]]),
                         paired(row["all"], row["one"])] for row in result["classes"]]))
    return [*found, equality.table(result["equality"])] if result["equality"] else found


def cells(rows, row):
    """One row of a table."""
    start = [row["preset"], row["tool"], row["method"], row["dtype"]]
    if "unavailable" in row:
        return [*start, f"not available: {row['unavailable']}", "", ""]
    ours = [ours_beside(rows, row, dtype) for dtype in ("float64", "float32")]
    ratios = ["" if one is None else "1" if row is one else paired(row["seconds"], one["seconds"])
              for one in ours]
    return [*start, spread([row["batch"] / s for s in row["seconds"]]), *ratios]


def draw(result, figure):
    """Bars by preset, a panel for each batch; OpenVINO's forward pass as a mark."""
    result = result | {"rows": [row for row in result["rows"] if weights_of(row) == EMBEDDED]}
    batches = list(dict.fromkeys(row["batch"] for row in result["rows"]))
    for axes, batch in zip(figure.subplots(len(batches), 1, squeeze=False)[:, 0], batches):
        draw_batch(axes, [row for row in result["rows"] if row["batch"] == batch and "seconds" in row])
        axes.set(title=f"batch {batch}", xlabel="explanations per second (more is better)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3,
                  frameon=False)


BARS = {"Audio-LRP float32": BLUE, "Audio-LRP float32, zennit's rules": SKY, "Audio-LRP float64": GREEN,
        "iNNvestigate": ORANGE, "zennit": RED}


def draw_batch(axes, rows):
    """The bars of one batch size."""
    def label(row):
        if row["tool"] != OURS:
            return row["tool"]
        return f"{OURS} {row['dtype']}" + ("" if row["method"] == row["preset"] else ", zennit's rules")
    for number, (name, colour) in enumerate(BARS.items()):
        chosen = [row for row in rows if label(row) == name]
        spreads = [spread([row["batch"] / s for s in row["seconds"]]) for row in chosen]
        at = [list(PRESETS).index(row["preset"]) + 0.16 * (number - 2) for row in chosen]
        medians = [one.median for one in spreads]
        errors = [[one.median - one.low for one in spreads], [one.high - one.median for one in spreads]]
        drawn = axes.barh(at, medians, 0.15, color=colour, label=name, xerr=errors,
                          error_kw={"elinewidth": 1})
        axes.bar_label(drawn, fmt="%.0f", padding=6, fontsize=8)
    marks = [row["batch"] / s for row in rows if row["tool"] == "OpenVINO" for s in row["seconds"]]
    if marks:
        axes.axvline(spread(marks).median, color="black", linestyle="--",
                     label="OpenVINO, forward pass alone")
    axes.set_yticks(range(len(PRESETS)), list(PRESETS))
    axes.invert_yaxis()
