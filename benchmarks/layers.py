"""Where the time goes, node by node, beside the rate of the matrix product: `python -m benchmarks layers`."""
import lrp_core
from lrp_core.numba_engine.runtime import CHUNK

from . import limit
from .progress import say
from .spread import number
from .style import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, YELLOW
from .tables import Table

NAME, TITLE, SIZE = "layers", "Layer by layer", (11, 6.5)
ABOUT = """Milliseconds for each clip on one thread in float32. GFLOP/s counts the operations of the direct
algorithm, so that a kernel that needs fewer of them (Winograd's) may go beyond the rate of the matrix
product, which is measured on one thread in the same run. "× the limit" compares all steps of a node in one
direction with the least that its layer and rule need, as `throughput` counts it: the products of the best
algorithm at that rate, and the bytes to be moved at the rate of a copy. What finds its numbers in a cache or
skips zeros may be faster than that. In the plot, → is forward and ← backward."""
PRESETS = ("epsilon", "preset_a_flat", "preset_b")
FIELDS = ("name", "direction", "kernel", "seconds", "flops", "reason")
COLOURS = (BLUE, ORANGE, GREEN, SKY, RED, PURPLE, YELLOW)


def measure(network, x, *, repeats=20, presets=PRESETS, profile=None):
    """The result: rows by preset as `lrp_core.profile` gives them, and one thread's rates."""
    rates = limit.measured(1)["float32"]
    return {"one_thread_sgemm": rates.multiply_adds * 2e-9,
            "presets": {preset: profiled(network, x, preset, rates, repeats, profile or lrp_core.profile)
                        for preset in presets}}


def profiled(network, x, preset, rates, repeats, profile=lrp_core.profile):
    """The rows of a preset's profile in float32; the first of a node in a direction has its limit in seconds.
    """
    say(f"layers: {preset}")
    batch = x[:CHUNK["float32"]]
    limits = {place: rates.seconds(work)
              for place, work in limit.of(network, preset, batch=len(batch), dtype="float32",
                                          nonnegative=bool(batch.min() >= 0)).items()}
    rows = profile(network, batch, preset, dtype="float32", repeats=repeats)
    return [{**{key: getattr(row, key) for key in FIELDS},
             "limit": limits.pop((row.name, row.direction), 0.0)} for row in rows]


def gathered(rows, by=FIELDS[:3]):
    """The rows with those of the same node, direction and kernel taken together: a rule of two groups runs
    each twice.
    """
    found = {}
    for row in rows:
        same = found.setdefault(tuple(row[key] for key in by),
                                {"reason": "", **row, "seconds": 0.0, "flops": 0, "limit": 0.0, "calls": 0})
        same["seconds"] += row["seconds"]
        same["flops"] += row["flops"]
        same["limit"] += row.get("limit", 0.0)
        same["calls"] += 1
    return list(found.values())


def nodes(rows):
    """The rows of each node and direction taken together: its kernels, and why NumPy is one of them."""
    found = gathered(rows, FIELDS[:2])
    for one in found:
        same = [row for row in rows if (row["name"], row["direction"]) == (one["name"], one["direction"])]
        one["kernel"] = ", ".join(dict.fromkeys(row["kernel"] for row in same))
        one["reason"] = "; ".join(dict.fromkeys(row["reason"] for row in same if row.get("reason")))
    return found


def cells_of(row):
    """The cells of a node: its kernels, time and limit."""
    return [row["name"], row["direction"], row["kernel"], f"{row['seconds'] * 1e3:.3f}",
            *((f"{row['limit'] * 1e3:.3f}", number(row["seconds"] / row["limit"])) if row["limit"]
              else ("", ""))]


def tables(result):
    """For readers: two tables for each preset, by kernel and by node, the total at the end of each."""
    rate, found = result["one_thread_sgemm"], []

    def cells(row):
        kernel = row["kernel"] + (f", {row['calls']} times" if row["calls"] > 1 else "")
        speed = row["flops"] / row["seconds"] / 1e9 if row["flops"] and row["seconds"] else None
        return [row["name"], row["direction"], kernel, f"{row['seconds'] * 1e3:.3f}",
                *(("", "") if speed is None else (number(speed), f"{speed / rate:.0%}"))]

    for preset, rows in result["presets"].items():
        total = {"name": "total", "direction": "", "kernel": "", "calls": 1,
                 **{key: sum(row.get(key, 0) for row in rows) for key in ("seconds", "flops", "limit")}}
        found += [Table(f"{preset}: one clip on one thread; sgemm runs at {rate:.1f} GFLOP/s",
                        ("node", "direction", "kernel", ">ms", ">GFLOP/s", ">of sgemm"),
                        [*map(cells, gathered(rows)), cells(total)]),
                  Table(f"{preset}: each node beside its limit",
                        ("node", "direction", "kernels", ">ms", ">limit, ms", ">× the limit"),
                        [*map(cells_of, nodes(rows)), cells_of(total)])]
    return found


def draw(result, figure):
    """For each preset a bar for each node and direction, in the order of the computation, its parts coloured
    by kernel.
    """
    panels = figure.subplots(1, len(result["presets"]), squeeze=False)[0]
    kernels = dict.fromkeys(row["kernel"] for rows in result["presets"].values() for row in rows)
    looks = {kernel: {"color": COLOURS[place % len(COLOURS)], "hatch": "////" if place >= len(COLOURS)
                      else None}
             for place, kernel in enumerate(kernels)}
    for axes, (preset, rows) in zip(panels, result["presets"].items()):
        draw_preset(axes, gathered(rows), looks)
        axes.set(title=preset, xlabel="milliseconds for one clip")
    handles = {}
    for axes in panels:
        handles |= dict(reversed(pair) for pair in zip(*axes.get_legend_handles_labels()))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False)


def draw_preset(axes, rows, looks):
    """The bars of one preset, stacked."""
    places = list(dict.fromkeys((row["name"], row["direction"]) for row in rows))
    left, labelled = dict.fromkeys(places, 0.0), set()
    for row in rows:
        place, milliseconds = (row["name"], row["direction"]), row["seconds"] * 1e3
        axes.barh(places.index(place), milliseconds, 0.8, left=left[place], edgecolor="white", linewidth=0.3,
                  label=None if row["kernel"] in labelled else row["kernel"], **looks[row["kernel"]])
        left[place] += milliseconds
        labelled.add(row["kernel"])
    axes.set_yticks(range(len(places)), [f"{name} {'→' if direction == 'forward' else '←'}" for name,
                                         direction in places])
    axes.invert_yaxis()
