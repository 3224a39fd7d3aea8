"""Where the time of an explanation goes: every row of a program timed by itself, on one thread."""
import dataclasses
import statistics
import time

import numpy as np

from . import program as P
from .engine import CHUNK
from .passes import NOBODY, WINNER
from .planner import Kernels


@dataclasses.dataclass(frozen=True)
class Row:
    """One step: the node it works for, "forward" or "backward", the kernel, seconds a sample, operations a sample.

    flops: of the direct algorithm, 0 where a step sums no products; kernels that need fewer show more for each second.
    """
    name: str
    direction: str
    kernel: str
    seconds: float
    flops: int


def profile_program(program, x, repeats):
    """Rows in the order of work for up to CHUNK samples x."""
    x = x[:CHUNK]
    workspace = program.workspace(CHUNK, 1)
    times = {}

    def timed(stages):
        for stage in stages:
            for number in range(stage.begin, stage.end) if isinstance(stage, Kernels) else [None]:
                one = stage if number is None else Kernels(number, number + 1)
                start = time.perf_counter()
                program.run(workspace, [one], len(x))
                key = (number, stage if number is None else None)
                times.setdefault(key, []).append((time.perf_counter() - start) / len(x))

    program.explain(workspace, x, np.full(len(x), WINNER), np.full(len(x), NOBODY))
    for _ in range(repeats):
        timed(program.plan.forward_stages)
        timed(program.plan.stages)
    program.give_back(workspace)
    return [_row(program, number, stage, statistics.median(seconds)) for (number, stage), seconds in times.items()
            if number is None or had_work(program, workspace, number, len(x))]


def had_work(program, workspace, number, samples):
    """Did a step take part: is it not the dense (the sparse) way where all samples went the other?"""
    step = program.rows[number]
    if step["flag"] == P.NONE:
        return True
    sparse = workspace.data[step["flag"] * workspace.capacity:][:samples] == 1
    return bool(sparse.any() if step["kind"] in (P.SCATTER, P.DOTS) else not sparse.all())


def _row(program, number, stage, seconds):
    if number is not None:
        label = program.labels[number]
        return Row(label.node, "backward" if label.backward else "forward", P.NAMES[program.rows[number]["kind"]], seconds, label.flops)
    backward = hasattr(stage, "page")
    return Row(stage.page.name if backward else stage.node.name, "backward" if backward else "forward", "NumPy", seconds, 0)
