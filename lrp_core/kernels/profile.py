"""Where the time of an explanation goes: every row of a program timed by itself, on one thread."""
import dataclasses
import statistics
import time

import numpy as np

from ..text import table
from . import program as P
from .engine import CHUNK
from .forms import refusal
from .passes import NOBODY, WINNER
from .planner import Forward, Keep, Kernels


@dataclasses.dataclass(frozen=True)
class Row:
    """One step: the node it works for, "forward" or "backward", the kernel, seconds a sample, operations a sample.

    flops: of the direct algorithm, 0 where a step sums no products; kernels that need fewer show more for each second.
    reason: why the step is left to NumPy; "" where a kernel does it.
    """
    name: str
    direction: str
    kernel: str
    seconds: float
    flops: int
    reason: str = ""


class Profile(tuple):
    """The Rows of a profile in the order of work; prints as a table, the share of the whole time with each."""

    def __str__(self):
        whole = sum(row.seconds for row in self)
        cells = [("layer", "direction", "kernel", "ms a sample", "share", "GFLOP/s", "left to NumPy because")]
        cells += [(row.name, row.direction, row.kernel, f"{1e3 * row.seconds:.3f}", f"{row.seconds / whole:.1%}",
                   f"{row.flops / row.seconds / 1e9:.1f}" if row.flops else "", row.reason) for row in self]
        cells.append(("total", "", "", f"{1e3 * whole:.3f}", "", f"{sum(row.flops for row in self) / whole / 1e9:.1f}", ""))
        return table(cells, "<<<>>><", footer=True)


def profile_program(program, x, repeats):
    """The Profile for up to CHUNK samples x."""
    x = x[:CHUNK]
    workspace = program.workspace(CHUNK, 1)
    # One stage for each row of a run of kernels, so that each is timed by itself.
    stages = [one for stage in (*program.plan.forward_stages, *program.plan.stages) for one in
              ([Kernels(n, n + 1) for n in range(stage.begin, stage.end)] if isinstance(stage, Kernels) else [stage])]
    times = [[] for _ in stages]
    program.explain(workspace, x, np.full(len(x), WINNER), np.full(len(x), NOBODY))
    for _ in range(repeats):
        for stage, seconds in zip(stages, times):
            start = time.perf_counter()
            program.run(workspace, [stage], len(x))
            seconds.append((time.perf_counter() - start) / len(x))
    program.give_back(workspace)
    return Profile(_row(program, stage, statistics.median(seconds)) for stage, seconds in zip(stages, times)
                   if not isinstance(stage, Kernels) or had_work(program, workspace, stage.begin, len(x)))


def had_work(program, workspace, number, samples):
    """Did a step take part: is it not the dense (the sparse) way where all samples went the other?"""
    step = program.rows[number]
    if step["flag"] == P.NONE:
        return True
    sparse = workspace.data[step["flag"] * workspace.capacity:][:samples] == 1
    return bool(sparse.any() if step["kind"] in (P.SCATTER, P.DOTS) else not sparse.all())


def _row(program, stage, seconds):
    if isinstance(stage, Kernels):
        label = program.labels[stage.begin]
        return Row(label.node, "backward" if label.backward else "forward", P.NAMES[program.rows[stage.begin]["kind"]],
                   seconds, label.flops)
    if isinstance(stage, Forward):
        return Row(stage.node.name, "forward", "NumPy", seconds, 0, f"no kernel for {stage.node.layer.type}")
    if isinstance(stage, Keep):
        return Row(stage.page.name, "backward", "NumPy", seconds, 0, "chosen channels are masked by NumPy")
    source = program.network.shapes[stage.step.node.inputs[0]]
    return Row(stage.page.name, "backward", "NumPy", seconds, 0, refusal(stage.step, source) or "")
