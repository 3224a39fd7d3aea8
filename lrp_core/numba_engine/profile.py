"""Where the time of the compiled engine goes: every op of a program timed by itself, on one thread."""
import statistics
import time

import numpy as np

from ..profile_table import Profile, Row
from ..target import NO_CLASS, WINNER
from .entry import planned
from .kernels.op import KINDS, NONE, kind_of
from .kernels.sparse import dots, scatter
from .left import why_back, why_forward
from .runtime import CHUNK
from .stages import Forward, Keep, Kernels


def profile_kernels(network, x, method, dtype, repeats):
    """The Profile of a program for x [n, *input_shape]."""
    return profile_program(planned(network, method, dtype=dtype, nonnegative=bool(x.min() >= 0)), x, repeats)


def profile_program(program, x, repeats):
    """The Profile for the first few samples x."""
    x = x[:CHUNK[program.dtype]]
    workspace = program.workspace(len(x), 1)
    # One stage for each op of a run of kernels, so that each is timed by itself.
    stages = [one for stage in (*program.forward, *program.backward) for one in
              ([Kernels(n, n + 1) for n in range(stage.begin, stage.end)] if isinstance(stage, Kernels)
               else [stage])]
    times, worked = [[] for _ in stages], [True] * len(stages)
    program.explain(workspace, x, np.full(len(x), WINNER), np.full(len(x), NO_CLASS))
    for _ in range(repeats):
        for number, stage in enumerate(stages):
            if isinstance(stage, Kernels):  # asked now: later ops may use the flags' places for other things
                worked[number] = has_work(program, workspace, stage.begin, len(x))
            start = time.perf_counter()
            program.run(workspace, [stage], len(x))
            times[number].append((time.perf_counter() - start) / len(x))
    program.give_back(workspace)
    return Profile(_row(program, stage, statistics.median(seconds)) for stage, seconds,
                   real in zip(stages, times, worked) if real)


def has_work(program, workspace, number, samples):
    """Does an op take part: is it not the dense (the sparse) alternative where all samples took the other?"""
    op = program.code.ops[number]
    if op["flag"] == NONE:
        return True
    sparse = workspace.data[op["flag"] * workspace.capacity:][:samples] == 1
    return bool(sparse.any() if op["kind"] in (kind_of(scatter).number, kind_of(dots).number)
                else not sparse.all())


def _row(program, stage, seconds):
    if isinstance(stage, Kernels):
        node, backward, flops = program.code.labels[stage.begin]
        return Row(node, "backward" if backward else "forward",
                   KINDS[program.code.ops[stage.begin]["kind"]].name, seconds, flops)
    if isinstance(stage, Forward):
        return Row(stage.node.name, "forward", "NumPy", seconds, 0, why_forward(stage))
    if isinstance(stage, Keep):
        return Row(stage.line.name, "backward", "NumPy", seconds, 0, "chosen channels are masked by NumPy")
    return Row(stage.line.name, "backward", "NumPy", seconds, 0, why_back(program, stage))
