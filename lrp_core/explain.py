"""Explanations as callers ask for them: samples in chunks, one or several targets, parts of a network."""
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from . import numpy_engine
from .checks import is_number, is_whole
from .composites import Composite, composite
from .explanation import Explanation
from .gradients import GradientMethod
from .memory import check_results
from .network import INPUT, Network
from .request import Request
from .rules import Rule
from .target import SUM, Contrast, resolve
from .text import listing, quote

Engine = Literal["auto", "numba", "numpy"]
Precision = Literal["float64", "float32"]
Rules = str | Rule | Composite | GradientMethod | Sequence[tuple]
Targets = str | int | np.integer | Contrast | Sequence | np.ndarray
ENGINES, DTYPES = ("auto", "numba", "numpy"), ("float64", "float32")
# Multiply-adds of one forward pass below which the NumPy engine takes about a millisecond: nothing to gain by
# compiling.
WORTH_COMPILING = 1_000_000


def explain(network: Network, x: npt.ArrayLike, rules: Rules = "epsilon", target: Targets = "max", *,
            start: tuple | None = None, stop: str | None = None,
            keep: Mapping[str, npt.ArrayLike] | None = None, layers: bool = False,
            reference: float | None = None, engine: Engine = "auto", dtype: Precision = "float64",
            threads: int | None = None, memory: float | None = None,
            progress: Callable[[int], object] | None = None) -> Explanation:
    """Which part of the input made the network say what it says: the relevance of every number in x.

    network: a Network. What is explained are its scores before a final softmax or sigmoid (the logits).
    x: one sample [*input_shape] or a batch [n, *input_shape].
    rules: a preset's name (see `composites`), a rule for every layer with weights, or an ordered list of
        (condition, rule).
    target: "max" for the winning class, a class's name or index, a Contrast of two, or one of these for each
        sample; an index tuple where the output has several axes; "sum" for all scores together.
    start: instead of a class, an inner node: (name, channel) or (name, (position ..., channel)); its output
        there is what is explained. `target` is then only reported.
    stop: the name of a node at which relevance stays: `relevance` is then the relevance at its output.
    keep: {node name: channels}: only the relevance of these channels goes on below that node (conditional
        relevance, as in concept relevance propagation, Achtibat et al. 2023).
    layers: keep the relevance at every node (`Explanation.layers`).
    reference: for a regression, the value that the score is counted from: relevance starts as score -
        reference, and is positive for what makes the score larger than that.
    engine: "numba" is the compiled engine; what it has no kernel for it leaves to NumPy (`profile` tells
        what, and why). "numpy" is the readable one. "auto" takes the compiled one, except for gradients, for
        networks so small that compiling gains nothing, and where Numba is not installed.
    dtype: what is computed in and what relevance comes back in: "float64", with ledgers that close to about
        1e-15, or "float32", faster and to about 1e-6 of a layer's turnover.
    threads: how many threads explain; all processors by default. Results do not depend on it.
    memory: a bound in bytes on what the samples at work take (weights, input and results come on top); by
        default what the machine has free. Fewer samples than `threads` could take are at work at a time where
        that is needed.
    progress: called with the number of samples done since the last call.

    Returns an Explanation. Raises ValueError or TypeError that names what is wrong, before the forward pass
    where a sample would take more than the machine's free memory; and ConservationError where the relevance
    does not add up to rounding, which would be an error of this program.
    """
    return explain_each(network, x, rules, [target], start=start, stop=stop, keep=keep, layers=layers,
                        reference=reference, engine=engine, dtype=dtype, threads=threads, memory=memory,
                        progress=progress)[0]


def explain_each(network: Network, x: npt.ArrayLike, rules: Rules = "epsilon",
                 targets: Targets | Sequence[Targets] = "all", *, start: tuple | None = None,
                 stop: str | None = None, keep: Mapping[str, npt.ArrayLike] | None = None,
                 layers: bool = False, reference: float | None = None, engine: Engine = "auto",
                 dtype: Precision = "float64", threads: int | None = None, memory: float | None = None,
                 progress: Callable[[int], object] | None = None) -> list[Explanation]:
    """Explanations of several targets that share one forward pass: a list, in the order of `targets`.

    targets: "all" for every score of the network, or a list of targets as `explain` takes them. Everything
    else is as in `explain`.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be 'float64' or 'float32', got {quote(dtype)}")
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, as `lrp_core.load` gives one; got "
                        f"{type(network).__name__}")
    batch, single = network.check_input(x)
    method = composite(rules)
    scored = network.scoring
    output = scored.nodes[-1].name
    if isinstance(targets, (str, int, np.integer, Contrast)):
        targets = range(network.scores) if targets == "all" else [targets]
    place = None if start is None else start_mask(scored, start)
    if stop is not None:
        known("stop", scored, stop)
    if stop is not None and stop == (output if place is None else place[0]):
        raise ValueError(f"stop: relevance begins at node {quote(stop)}; name a node below it")
    if reference is not None and (not is_number(reference) or isinstance(method, GradientMethod)):
        raise ValueError(f"reference must be a number, and is for rules only, got {quote(reference)}")
    masks = {name: channel_mask(scored, name, channels) for name, channels in (keep or {}).items()}
    wanted = [resolve(one, len(batch), network) for one in targets]
    if place is None and any((favoured == SUM).any() for favoured, _ in wanted):
        if len(wanted) > 1:
            raise ValueError("the target 'sum' must be the only one")
        place = output, np.ones(scored.shapes[output])
    check_results(scored, len(batch) * len(wanted), stop or INPUT, layers)
    request = Request(network, batch, single, method, wanted, place, start, reference, stop, masks, layers,
                      dtype, threads, memory, progress)
    if chosen_engine(engine, network, method) == "numpy":
        return numpy_engine.explain_each(request)
    from .numba_engine import entry  # brings Numba along, half a second that the readable engine does without
    return entry.explain_each(request)


def chosen_engine(engine: str, network: Network, method: Composite | GradientMethod) -> str:
    """"numba" or "numpy": what computes a method for a network when `engine` is asked for.

    Gradients have no kernels. "auto" decides by the network alone, so that a sample's numbers do not depend
    on what it is explained with. Raises ValueError for an unknown name or where Numba is asked for and not
    installed.
    """
    check_engine(engine)
    if isinstance(method, GradientMethod) or engine == "numpy":
        return "numpy"
    worth_it = network.multiply_adds >= WORTH_COMPILING and has_numba()
    return "numba" if engine == "numba" or worth_it else "numpy"


def check_engine(engine: str) -> None:
    """Raise ValueError for an engine that is unknown or not installed."""
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(map(repr, ENGINES))}, got {quote(engine)}")
    if engine == "numba" and not has_numba():
        raise ValueError("engine='numba' needs the package numba: pip install numba, or choose "
                         "engine='numpy'")


def has_numba() -> bool:
    """Is Numba installed? It is not imported here."""
    return importlib.util.find_spec("numba") is not None


def known(what, network, name):
    """The output shape of a node; raises ValueError for a name that is none."""
    if name not in network.positions:
        raise ValueError(f"{what}: no node is named {quote(name)}; there are {listing(network.positions)}")
    return network.shapes[name]


def channel_mask(network, name, channels):
    """1 for the chosen channels (last axis) of a node, 0 for the others."""
    size = known("keep", network, name)[-1]
    channels = np.atleast_1d(channels)
    if channels.dtype.kind not in "iu" or not channels.size or channels.min() < 0 or channels.max() >= size:
        raise ValueError(f"keep: node {quote(name)} has the channels 0..{size - 1}, got "
                         f"{quote(channels.tolist())}")
    return np.isin(np.arange(size), channels).astype(np.float64)


def start_mask(network, start):
    """(node name, mask over its output) of a channel or a neuron of an inner node."""
    if not isinstance(start, tuple) or len(start) != 2:
        raise ValueError(f"start must be (node name, channel) or (node name, (position ..., channel)), got "
                         f"{quote(start)}")
    name, place = start
    shape = known("start", network, name)
    at = place if isinstance(place, tuple) else (place,)
    last = shape[len(shape) - len(at):]
    if len(at) not in (1, len(shape)) or not all(is_whole(n) and 0 <= n < size for n, size in zip(at, last)):
        raise ValueError(f"start: node {quote(name)} has the shape {shape}, there is no {quote(place)} in it")
    mask = np.zeros(shape)
    index = (..., *at)
    mask[index] = 1
    return name, mask


def rank_channels(explanation: Explanation, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The channels of a node by the relevance they carry, most relevant first: (channels, relevance
    [channels]).

    Needs an explanation of a single sample made with `layers=True`.
    """
    if np.ndim(explanation.target):
        raise ValueError("rank_channels takes the explanation of one sample: index the batch's, as in `e[0]`")
    if explanation.layers is None or name not in explanation.layers:
        raise ValueError(f"the explanation does not hold node {quote(name)}: make it with layers=True")
    r = explanation.layers[name]
    by_channel = r.reshape(-1, r.shape[-1]).sum(axis=0, dtype=np.float64)
    order = np.argsort(-by_channel, kind="stable")
    return order, by_channel[order]
