"""Where the time goes, node by node, beside the rate of the matrix product: `python -m benchmarks layers`."""
import numpy as np
import threadpoolctl

import lrp_core

from .machine import product_rate
from .progress import say
from .spread import number
from .style import BLUE, GREEN, ORANGE, PURPLE, RED, SKY, YELLOW
from .tables import Table

NAME, TITLE, SIZE = "layers", "Layer by layer", (11, 6.5)
ABOUT = """Milliseconds for each clip on one thread in float32. GFLOP/s counts the operations of the direct
algorithm, so that a kernel that needs fewer of them (Winograd's) may go beyond the rate of the matrix
product, which is measured on one thread in the same run. In the plot, → is forward and ← backward."""
PRESETS = ("epsilon", "preset_a_flat", "preset_b")
FIELDS = ("name", "direction", "kernel", "seconds", "flops")
COLOURS = (BLUE, ORANGE, GREEN, SKY, RED, PURPLE, YELLOW)


def measure(network, x, *, repeats=20, presets=PRESETS, profile=None):
    """The result: rows by preset as `lrp_core.profile` gives them, and the product's rate on one thread."""
    profile = profile or lrp_core.profile
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        rate = product_rate(np.float32, 1024)
    by_preset = {}
    for preset in presets:
        say(f"layers: {preset}")
        rows = profile(network, x, preset, repeats=repeats)
        by_preset[preset] = [{key: getattr(row, key) for key in FIELDS} for row in rows]
    return {"one_thread_sgemm": rate, "presets": by_preset}


def gathered(rows):
    """The rows with those of the same node, direction and kernel taken together: a rule of two groups runs
    each twice.
    """
    found = {}
    for row in rows:
        same = found.setdefault(tuple(row[key] for key in FIELDS[:3]),
                                {**row, "seconds": 0.0, "flops": 0, "calls": 0})
        same["seconds"] += row["seconds"]
        same["flops"] += row["flops"]
        same["calls"] += 1
    return list(found.values())


def tables(result):
    """For readers: a table for each preset, the total at its end."""
    rate = result["one_thread_sgemm"]

    def cells(name, direction, kernel, seconds, flops, calls=1):
        kernel += f", {calls} times" if calls > 1 else ""
        speed = flops / seconds / 1e9 if flops and seconds else None
        return [name, direction, kernel, f"{seconds * 1e3:.3f}",
                *(("", "") if speed is None else (number(speed), f"{speed / rate:.0%}"))]

    def total(rows):
        return cells("total", "", "", sum(row["seconds"] for row in rows), sum(row["flops"] for row in rows))
    return [Table(f"{preset}: one clip on one thread; sgemm runs at {rate:.1f} GFLOP/s",
                  ("node", "direction", "kernel", ">ms", ">GFLOP/s", ">of sgemm"),
                  [*[cells(**row) for row in gathered(rows)], total(rows)]) for preset,
                  rows in result["presets"].items()]


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
