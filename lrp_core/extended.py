"""An explanation carried further: down through what made the network's input, into the same ledger."""
import concurrent.futures
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .chunks import check_threads, single_threaded_blas
from .composites import Composite, composite
from .explain import Rules
from .explanation import Explanation
from .ledger import ROUNDING, UNDERFLOW, Ledger
from .network import INPUT, Network, Trace
from .numpy_engine import propagate
from .rules import Zero
from .steps import plan
from .text import quote


def extend(explanation: Explanation, network: Network, x: npt.ArrayLike, rules: Rules | None = None, *,
           prefix: str = "", trace: Trace | None = None) -> Explanation:
    """Carry the relevance of a network's input down through a second network, which made that input.

    explanation: of a single sample. network: takes x, and its output was the explained network's input. x:
    its input, [*input_shape], in double precision. rules: as of `explain`; LRP-0 by default. prefix: stands
    before the names of the second network's nodes in `layers` and the ledger. trace: its forward pass for
    x[None], where there is one.

    Returns an Explanation whose `relevance` is that of x, with all nodes in `layers` (the second network's
    input is "input"), and one ledger from the score to x. Raises ValueError where the shapes do not fit, and
    ConservationError where the relevance does not add up.
    """
    return extend_each([explanation], network, x, rules, prefix=prefix, trace=trace)[0]


def extend_each(explanations: Sequence[Explanation], network: Network, x: npt.ArrayLike,
                rules: Rules | None = None, *, prefix: str = "", trace: Trace | None = None,
                threads: int | None = None) -> list[Explanation]:
    """`extend` for several explanations of one sample, which share the second network's forward pass."""
    x = np.asarray(x, np.float64)
    if x.shape != network.input_shape:
        raise ValueError(f"the input must have shape {network.input_shape}, found {x.shape}")
    for one in explanations:
        if one.relevance.shape != network.output_shape:
            raise ValueError(f"the relevance of a single sample {network.output_shape} is needed, found "
                             f"{one.relevance.shape}")
        if not np.isfinite(one.relevance).all():
            raise ValueError("the relevance holds NaN or infinity")
    if trace is None:
        with single_threaded_blas:  # the same last bits, however many processors there are
            trace = network.forward(x[None])
    method = composite(Zero() if rules is None else rules)
    if not isinstance(method, Composite):
        raise ValueError(f"{quote(method.name)} is a gradient: relevance is carried on by rules")
    steps = plan(network, method.rules_for(network))

    def work(one):
        return further(one, steps, trace, network.nodes[-1].name, prefix)
    threads = min(check_threads(threads), len(explanations))
    with single_threaded_blas:
        if threads < 2:  # in this thread, whose memory is at hand: a new one has to ask for all of it anew
            return list(map(work, explanations))
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, explanations))


def further(explanation, steps, trace, output, prefix):
    """One explanation, carried through the steps."""
    r = explanation.relevance[None].astype(np.float64)
    found, ledger = propagate(steps, trace, (output, r), keep={}, layers=True)
    if INPUT not in found:
        raise ValueError(f"no relevance reaches the input from {quote(output)}")
    ledger.check(ROUNDING["float64"], UNDERFLOW["float64"])
    pages = tuple((f"{prefix}{name}", kind, rule) for name, kind, rule in ledger.pages)
    whole = Ledger((*explanation.ledger.pages, *pages),
                   np.concatenate([explanation.ledger.numbers, ledger.numbers[..., 0]]),
                   explanation.ledger.start, ledger.arrived[0], explanation.ledger.what)
    dtype = explanation.relevance.dtype.name
    whole.check(ROUNDING[dtype], UNDERFLOW[dtype])
    layers = {name if name == INPUT else f"{prefix}{name}": r[0] for name, r in found.items()}
    above = {name: r for name, r in (explanation.layers or {}).items() if name != INPUT}
    return dataclasses.replace(explanation, relevance=layers[INPUT], layers={**above, **layers}, ledger=whole,
                               asked=None)
