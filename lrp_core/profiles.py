"""Where the time of an explanation goes, node by node, in either engine."""
import statistics
import time

import numpy as np
import numpy.typing as npt

from .composites import composite
from .explain import Engine, Precision, Rules, chosen_engine
from .gradients import GradientMethod
from .network import Network
from .profile_table import Profile, Row
from .steps import plan


def profile(network: Network, x: npt.ArrayLike, rules: Rules = "epsilon", *, engine: Engine = "auto",
            dtype: Precision = "float64", repeats: int = 9) -> Profile:
    """The Profile of explaining x, one sample or a few: a Row for every step, in the order of work. Prints as
    a table.

    engine, dtype: as of `explain`. Seconds are the median of `repeats`, on one thread, each step apart from
    the others.
    """
    batch, _ = network.check_input(x)
    method = composite(rules)
    if isinstance(method, GradientMethod):
        raise ValueError(f"profile: {method.name!r} is a gradient; only explanations by rules are profiled")
    if chosen_engine(engine, network, method) == "numba":
        from .numba_engine.profile import profile_kernels  # brings Numba along
        return profile_kernels(network, batch, method, dtype, repeats)
    return profile_numpy(network.scoring, batch.astype(np.float64), method, dtype, repeats)


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
