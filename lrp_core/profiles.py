"""Where the time of an explanation goes, node by node, in either engine."""
import dataclasses
import statistics
import time

import numpy as np

from .composites import composite
from .explain import chosen_engine
from .gradients import GradientMethod
from .steps import plan
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


def profile(network, x, rules="epsilon", *, engine="auto", dtype="float64", repeats=9):
    """The Profile of explaining x, one sample or a few: a Row for every step, in the order of work. Prints as
    a table.

    engine, dtype: as of `explain`. Seconds are the median of `repeats`, on one thread, each step apart from
    the others.
    """
    x, _ = network.check_input(x)
    method = composite(rules)
    if isinstance(method, GradientMethod):
        raise ValueError(f"profile: {method.name!r} is a gradient; only explanations by rules are profiled")
    if chosen_engine(engine, network, method) == "numba":
        from .numba_engine.profile import profile_kernels  # brings Numba along
        return profile_kernels(network, x, method, dtype, repeats)
    return profile_numpy(network.scoring, x.astype(np.float64), method, dtype, repeats)


def profile_numpy(network, x, method, dtype, repeats):
    """The Profile of the readable engine: each node's forward pass, then each node's step back."""
    trace, rows = network.forward(x), []

    def timed(name, direction, work):
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            result = work()
            seconds.append((time.perf_counter() - begin) / len(x))
        rows.append(Row(name, direction, "NumPy", statistics.median(seconds), 0))
        return result

    for node in network.nodes:
        values = [trace.outputs[name] for name in node.inputs]
        timed(node.name, "forward", lambda: node.layer.forward(*values))
    trace = trace.astype(dtype)
    steps = plan(network, method.rules_for(network))
    relevance = {network.nodes[-1].name: trace.outputs[network.nodes[-1].name]}
    for step in reversed(steps):
        if step.node.name in relevance:
            r = relevance.pop(step.node.name)
            moved, _ = timed(step.node.name, "backward", lambda: step.back(trace, r))
            for source, r_in in zip(step.node.inputs, moved):
                relevance[source] = relevance[source] + r_in if source in relevance else r_in
    return Profile(rows)
