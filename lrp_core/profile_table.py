"""The table of a profile: a row for each step, with its time, and the reason where NumPy does it."""
import dataclasses

from .text import table


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
    """

    def __str__(self):
        whole = sum(row.seconds for row in self)
        cells = [("layer", "direction", "kernel", "ms a sample", "share", "GFLOP/s", "left to NumPy because")]
        cells += [(row.name, row.direction, row.kernel, f"{1e3 * row.seconds:.3f}",
                   f"{row.seconds / whole:.1%}",
                   f"{row.flops / row.seconds / 1e9:.1f}" if row.flops else "", row.reason) for row in self]
        cells.append(("total", "", "", f"{1e3 * whole:.3f}", "",
                      f"{sum(row.flops for row in self) / whole / 1e9:.1f}", ""))
        return table(cells, "<<<>>><", footer=True)
