"""The peak of memory by batch: `python -m benchmarks memory`."""
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from .progress import bar
from .spread import number, spread
from .style import BLACK, BLUE, ORANGE
from .tables import Table

NAME, TITLE, SIZE = "memory", "Memory", (8, 4)
ABOUT = """The largest resident size of a fresh process that explains so many clips in one call (float32). A
clip's image and its relevance take 48 KiB each, which the caller wants to have; what grows by more than
that is the engine's."""
BATCHES, PRESETS = (1, 32, 256, 1024), ("epsilon", "preset_b")
IMPORTS = "imports alone"
ROOT = pathlib.Path(__file__).parents[1]


def measure(x, *, repeats=3, batches=BATCHES, presets=PRESETS):
    """The result: bytes of `repeats` processes for each preset and batch."""
    cases = [(IMPORTS, 0), *[(preset, batch) for preset in presets for batch in batches]]
    with tempfile.TemporaryDirectory() as folder, bar(len(cases) * repeats, "memory") as progress:
        path = pathlib.Path(folder) / "images.npy"
        np.save(path, x)
        rows = []
        for preset in presets:
            of_process(path, preset, 1)  # not counted: it compiles the kernels, which takes memory of its own
        for preset, batch in cases:
            rows.append({"preset": preset, "batch": batch, "bytes": []})
            for _ in range(repeats):
                rows[-1]["bytes"].append(of_process(path, preset, batch))
                progress.update(1)
    return {"rows": rows}


def of_process(path, preset, batch):
    """Peak bytes of one fresh process."""
    words = [sys.executable, "-m", "benchmarks.peak_memory", str(path), str(batch),
             *([preset] if batch else [])]
    return int(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)


def tables(result):
    """For readers: megabytes, and how much a clip adds to the first batch of its preset."""
    smallest = {}

    def cells(row):
        median = spread(row["bytes"]).median
        batch, base = smallest.setdefault(row["preset"], (row["batch"], median))
        added = number((median - base) / 1024 / (row["batch"] - batch)) if row["batch"] > batch else ""
        return [row["preset"], row["batch"] or "", spread([size / 1e6 for size in row["bytes"]]), added]
    return [Table("Peak resident size", ("preset", ">batch", ">MB", ">KiB for each further clip"),
                  list(map(cells, result["rows"])))]


def draw(result, figure):
    """Lines by preset over the batch."""
    axes, rows = figure.subplots(), result["rows"]
    shown = [preset for preset in dict.fromkeys(row["preset"] for row in rows) if preset != IMPORTS]
    for preset, colour, marker in zip(shown, (BLUE, ORANGE), "os"):
        chosen = [row for row in rows if row["preset"] == preset]
        axes.plot([row["batch"] for row in chosen], [spread(row["bytes"]).median / 1e6 for row in chosen],
                  color=colour, marker=marker, label=preset)
    base = spread(rows[0]["bytes"]).median / 1e6
    axes.axhline(base, color=BLACK, linestyle="--", label=IMPORTS)
    axes.set_xscale("log", base=2)
    axes.set_xticks([row["batch"] for row in rows if row["preset"] == shown[0]])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel="clips in one call", ylabel="peak resident size in MB")
    axes.set_ylim(bottom=0)
    axes.grid(True)
    axes.legend(frameon=False)
