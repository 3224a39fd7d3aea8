"""Explanations per second, forward and backward, beside the peers: `python -m benchmarks throughput`."""
import typing

from lrp_core.composites import PRESETS as ALL_PRESETS

from . import equality
from .environments import AUTOLRP, CAPTUM, INNVESTIGATE, INNVESTIGATE_64, OPENVINO, TORCH, ZENNIT
from .peers.protocol import LEAST_SECONDS
from .race import HEADINGS, OURS, Case, Lane, case_of, cells, classes_table, limits, race, ten_classes
from .spread import spread
from .style import BLUE, GREEN, ORANGE, RED, SKY
from .tables import Table

NAME, TITLE, SIZE = "throughput", "Throughput", (9, 8)
ABOUT = """Explanations per second of the study's network (1,958,730 parameters, images of 64 x 64 x 3): a
forward pass and the rules backward for each clip's winning class, on all cores. iNNvestigate's analyzers
are compared with our presets of the same rules. zennit splits the bias in its αβ rules, so it is compared
with our presets by its composites' names. Captum and autoLRP are compared by `epsilon`, the one preset
that they share with us; autoLRP's gives each bias |b| / (|z| + |b|) of the relevance, which is another
answer of about the same work, and ours where there are no biases. Three rows explain nothing: OpenVINO's
forward pass, torch's forward pass and gradient, the least that any tool on torch must take, and the
limit. That is the products of the rules by the best algorithm (Winograd's or direct) at the rate of the
machine's own matrix product in the same run, plus the bytes that each pass must move at the rate of a
copy; what skips the zeros of a ReLU may beat it. float64 is what `explain(network, x)` does without
options. "× as fast": the time of that row by the time of Audio-LRP on the same rules, in float64 and in
float32, measured next to each other in the same round. The random weights make half of the units live,
the embedded ones a tenth: what skips zeros gains less. Equality comes first: the table at the end
compares the relevance of the same clips, and iNNvestigate's with its own in double precision, for where
the last bit of a float32 decides who wins in a pool, right answers differ."""
TOOLS = (INNVESTIGATE, INNVESTIGATE_64, ZENNIT, CAPTUM, AUTOLRP, TORCH, OPENVINO)
CASES = (Case(32), Case(1), Case(1, idle=True))
EMBEDDED = "embedded weights"


class Rules(typing.NamedTuple):
    """What the peers call the rules of one of our presets; zennit's name is also that of a preset here."""
    innvestigate: str
    zennit: str


PRESETS = {"epsilon": Rules("lrp.epsilon", "epsilon"),
           "preset_a_flat": Rules("lrp.sequential_preset_a_flat", "epsilon_plus_flat"),
           "preset_b": Rules("lrp.sequential_preset_b", "epsilon_alpha2_beta1")}


def measure(network, x, peers, unavailable, *, rates, weights=EMBEDDED, cases=CASES, presets=ALL_PRESETS,
            repeats=7, least=LEAST_SECONDS):
    """The result: equality first, then the times, in turn. peers: {name: Peer}; unavailable: {name: reason}.

    rates: as `limit.measured` gives them. weights: what the tables call the network. presets: for which ten
    classes are timed.
    """
    pairs = [pair for preset, rules in PRESETS.items()
             for pair in ((preset, INNVESTIGATE.name, rules.innvestigate),
                          (preset, INNVESTIGATE_64.name, rules.innvestigate),
                          (rules.zennit, ZENNIT.name, rules.zennit))]
    pairs += [("epsilon", tool.name, "epsilon") for tool in (CAPTUM, AUTOLRP)]
    equal = equality.check(network, x, [*pairs, (None, OPENVINO.name, "forward")], peers)
    rows = []
    for preset in PRESETS:
        for case in cases:
            found = race(network, x, lanes(preset), case, peers, unavailable, repeats=repeats, least=least)
            found += limits(network, x, preset, case, rates, found)
            rows += [{"preset": preset, "weights": weights, **row} for row in found]
    classes = [ten_classes(network, x, preset, repeats, least) for preset in presets]
    return {"equality": [row | {"weights": weights} for row in equal], "rows": rows,
            "classes": [row | {"network": weights} for row in classes],
            "peers": {name: peer.ready["versions"] for name, peer in peers.items()
                      if name != INNVESTIGATE_64.name}}


def lanes(preset):
    """All that is timed for a preset, what is compared next to each other."""
    rules = PRESETS[preset]
    same = [(CAPTUM.name, "epsilon"), (AUTOLRP.name, "epsilon")] if preset == "epsilon" else []
    found = [Lane(OURS, preset, "float32", preset), Lane(OPENVINO.name, "forward", "float32", preset),
             Lane(TORCH.name, "gradient", "float32", preset),
             Lane(INNVESTIGATE.name, rules.innvestigate, "float32", preset),
             *(Lane(tool, method, "float32", preset) for tool, method in same),
             Lane(ZENNIT.name, rules.zennit, "float32", rules.zennit),
             Lane(OURS, rules.zennit, "float32", rules.zennit), Lane(OURS, preset, "float64", preset)]
    return list(dict.fromkeys(found))


def weights_of(row):
    """What a row's network is called."""
    return row.get("weights", EMBEDDED)


def tables(result):
    """For readers: times by batch, all classes at once, equality."""
    rows, found = result["rows"], []
    for weights, case in dict.fromkeys((weights_of(row), case_of(row)) for row in rows):
        same = [row for row in rows if (weights_of(row), case_of(row)) == (weights, case)]
        found.append(Table(f"Clips per second, {case}, {weights}; {result['inputs']}", HEADINGS,
                           [cells(same, row) for row in same]))
    found.append(classes_table(result["classes"]))
    return [*found, equality.table(result["equality"])] if result["equality"] else found


def draw(result, figure):
    """Bars by preset, a panel for each batch; OpenVINO's forward pass as a mark."""
    result = result | {"rows": [row for row in result["rows"] if weights_of(row) == EMBEDDED
                                and not case_of(row).idle]}
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
