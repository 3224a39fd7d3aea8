"""The table of a profile: a row for each step, with its time, and the reason where NumPy does it."""
import dataclasses
import os
from typing import Any

from .pictures import finished, new_figure, title
from .show import block, html_table, line
from .text import clean, table

COLOURS = {"forward": "#2a78b5", "backward": "#b2182b"}
LAYERS = 40  # layers of a figure; the others are one more
COLUMNS = "<<<>>><"


@dataclasses.dataclass(frozen=True)
class Row:
    """One step: the node it works for, "forward" or "backward", the kernel, seconds a sample, operations a
    sample.

    flops: of the direct algorithm, 0 where a step sums no products; kernels that need fewer show more for
    each second.
    reason: why the step is left to NumPy; "" where a kernel does it.
    """
    name: str
    direction: str
    kernel: str
    seconds: float
    flops: int
    reason: str = ""


class Profile(tuple):
    """The Rows of a profile in the order of work; prints as a table, the share of the whole time with each.

    In a notebook it shows itself; `plot` draws the time of each layer.
    """

    @property
    def seconds(self) -> float:
        """All steps together, for a sample."""
        return sum(row.seconds for row in self)

    @property
    def by_layer(self) -> dict[str, dict[str, float]]:
        """{layer: {"forward": seconds a sample, "backward": the same}}, in the order of work."""
        found: dict[str, dict[str, float]] = {}
        for row in self:
            times = found.setdefault(row.name, dict.fromkeys(COLOURS, 0.0))
            times[row.direction] += row.seconds
        return found

    def _cells(self):
        whole = self.seconds or 1.0
        cells = [("layer", "direction", "kernel", "ms a sample", "share", "GFLOP/s", "left to NumPy because")]
        cells += [(row.name, row.direction, row.kernel, f"{1e3 * row.seconds:.3f}",
                   f"{row.seconds / whole:.1%}",
                   f"{row.flops / row.seconds / 1e9:.1f}" if row.flops else "", row.reason) for row in self]
        return [*cells, ("total", "", "", f"{1e3 * self.seconds:.3f}", "",
                         f"{sum(row.flops for row in self) / whole / 1e9:.1f}", "")]

    @property
    def _facts(self):
        facts = f"{len(self):,} steps, {1e3 * self.seconds:.3g} ms a sample"
        if self:
            most = max(self, key=lambda row: row.seconds)
            facts += f", most in {most.name} {most.direction} ({most.seconds / (self.seconds or 1.0):.0%})"
        return facts

    def __str__(self):
        return table(self._cells(), COLUMNS, footer=True)

    def __repr__(self):
        return line("Profile", self._facts)

    def _repr_html_(self):
        """For notebooks: the table."""
        return block(f"Profile: {self._facts}", html_table(self._cells(), COLUMNS, footer=True))

    def plot(self, path: str | os.PathLike | None = None) -> Any:
        """The time of each layer, forward and backward: a Matplotlib figure; written to `path` if there is
        one. Beyond 40 layers the quickest are one bar.
        """
        layers = self.by_layer
        slowest = sorted(layers, key=lambda name: -sum(layers[name].values()))[:LAYERS]
        shown = {name: times for name, times in layers.items() if name in slowest}
        if rest := [times for name, times in layers.items() if name not in shown]:
            shown[f"{len(rest):,} other layers"] = {way: sum(times[way] for times in rest) for way in COLOURS}
        figure = new_figure(7.5, 1.4 + 0.26 * len(shown))
        axes, left = figure.subplots(), [0.0] * len(shown)
        for way, colour in COLOURS.items():
            widths = [1e3 * times[way] for times in shown.values()]
            axes.barh(range(len(shown)), widths, left=left, color=colour, label=way)
            left = [start + width for start, width in zip(left, widths)]
        axes.set_yticks(range(len(shown)), list(map(clean, shown)), parse_math=False)
        axes.invert_yaxis()
        axes.set_xlabel("ms a sample")
        title(axes, f"{1e3 * self.seconds:.3g} ms a sample")
        axes.legend(fontsize=9)
        return finished(figure, path)
