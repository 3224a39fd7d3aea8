"""Explanations as callers ask for them: samples in chunks, one or several targets, parts of a network."""
import numpy as np

from .backward import ROUNDING, UNDERFLOW, check_finite, check_relevance, is_split, plan, propagate
from .canonize import without_final_activation
from .chunks import CHUNK, check_threads, for_chunks
from .explanation import Explanation
from .gradients import GradientMethod, plan_gradient
from .memory import bound, check_results, sample_bytes
from .network import INPUT, Network
from .presets import composite
from .target import WINNER, Contrast, one_hot, resolve
from .text import listing, quote
from .window import is_whole


def explain(network, x, rules="epsilon", target="max", *, start=None, stop=None, keep=None, layers=False,
            dtype="float64", threads=None, memory=None, progress=None):
    """Which part of the input made the network say what it says: the relevance of every number in x.

    network: a Network. What is explained are its scores before a final softmax or sigmoid (the logits).
    x: one sample [*input_shape] or a batch [n, *input_shape].
    rules: a preset's name (see `presets`), a rule for every layer with weights, or an ordered list of
        (condition, rule).
    target: "max" for the winning class, a class's name or index, a Contrast of two, or one of these for each sample.
    start: instead of a class, an inner node: (name, channel) or (name, (position ..., channel)); its output there is
        what is explained. `target` is then only reported.
    stop: the name of a node at which relevance stays: `relevance` is then the relevance at its output.
    keep: {node name: channels}: only the relevance of these channels goes on below that node (conditional relevance,
        as in concept relevance propagation, Achtibat et al. 2023).
    layers: keep the relevance at every node (`Explanation.layers`).
    dtype: "float64" is the readable path: NumPy in double precision, books that close to about 1e-15. "float32" is the
        fast path: Numba kernels in single precision, an order of magnitude faster, books that close to about 1e-6 of a
        layer's turnover; layers and rules that no kernel fits run in NumPy's double precision (`profile` tells which).
    threads: how many threads explain; all processors by default. Results do not depend on it.
    memory: a bound in bytes on what the samples at work take (weights, input and results come on top); by default
        what the machine has free. Fewer samples than `threads` could take are at work at a time where that is needed.
    progress: called with the number of samples done since the last call.

    Returns an Explanation. Raises ValueError or TypeError that names what is wrong, before the forward pass where a
    sample would take more than the machine's free memory; and ConservationError where the relevance does not add up to
    rounding, which would be an error of this program.
    """
    return explain_each(network, x, rules, [target], start=start, stop=stop, keep=keep, layers=layers, dtype=dtype,
                        threads=threads, memory=memory, progress=progress)[0]


def explain_each(network, x, rules="epsilon", targets="all", *, start=None, stop=None, keep=None, layers=False,
                 dtype="float64", threads=None, memory=None, progress=None):
    """Explanations of several targets that share one forward pass: a list, in the order of `targets`.

    targets: "all" for every class of the network, or a list of targets as `explain` takes them. Everything else is
    as in `explain`.
    """
    if dtype not in ROUNDING:
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, as `lrp_core.load` gives one; got {type(network).__name__}")
    x, single = network.check_input(x)
    exact = network.scoring
    method = composite(rules)
    gradient = isinstance(method, GradientMethod)
    scored = exact if dtype == "float64" or not gradient else without_final_activation(network).astype(dtype)
    output = scored.nodes[-1].name
    classes = scored.shapes[output][0]
    if isinstance(targets, (str, int, np.integer, Contrast)):
        targets = range(classes) if targets == "all" else [targets]
    wanted = [resolve(one, len(x), network) for one in targets]
    keep = {name: channel_mask(scored, name, channels) for name, channels in (keep or {}).items()}
    if stop is not None:
        known("stop", scored, stop)
    place = None if start is None else start_mask(scored, start)
    if stop == (output if place is None else place[0]):
        raise ValueError(f"stop: relevance begins at node {quote(stop)}; name a node below it")
    check_results(scored, len(x) * len(wanted), stop or INPUT, layers)
    if dtype == "float32" and not gradient:
        from . import fast  # brings Numba along, half a second that the readable path does without
        return fast.explain_each(network, x, single, method, wanted, place=place, stop=stop, keep=keep, layers=layers,
                                 threads=threads, memory=memory, progress=progress)
    steps = plan_gradient(scored, method) if gradient else plan(scored, method.rules_for(scored))
    threads = check_threads(threads)
    sample = sample_bytes(scored, dtype, {step.node.name for step in steps if is_split(step)}, layers=layers)
    memory = bound(scored, sample, min(len(x), threads * CHUNK), memory)

    def begin(trace, favoured, other):
        """(class numbers, (node, relevance there)) for one target."""
        logits = trace.outputs[output]
        favoured = np.where(favoured == WINNER, logits.argmax(axis=1), favoured)
        other = np.where(other == WINNER, logits.argmax(axis=1), other)
        name, mask = (output, one_hot(favoured, classes) - one_hot(other, classes)) if place is None else place
        r = mask if gradient else mask * trace.outputs[name]
        return favoured, (name, np.broadcast_to(r, trace.outputs[name].shape).astype(dtype))

    def work(part):
        trace = exact.trace(x[part].astype(np.float64)).astype(dtype)
        check_finite(exact, trace)
        found = []
        for favoured, other in wanted:
            chosen, beginning = begin(trace, favoured[part], other[part])
            relevance, ledger = propagate(steps, trace, beginning, keep=keep, stop=stop, layers=layers)
            check_relevance(ledger, dtype)
            ledger.check(ROUNDING[dtype], UNDERFLOW[dtype])
            end = stop or INPUT
            if end not in relevance:
                raise ValueError(f"no relevance reaches node {quote(end)} from {quote(beginning[0])}")
            if gradient and method.times_input:
                relevance[end] = relevance[end] * trace.outputs[end]
            found.append((trace.outputs[output], chosen, {name: r.astype(np.float32) for name, r in relevance.items()}, ledger))
        return found

    by_chunk = for_chunks(work, len(x), threads=threads, progress=progress, memory=memory, sample_bytes=sample)
    return [Explanation.join([found[number] for found in by_chunk], network, single, layers, stop or INPUT)
            for number in range(len(wanted))]


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
        raise ValueError(f"keep: node {quote(name)} has the channels 0..{size - 1}, got {quote(channels.tolist())}")
    return np.isin(np.arange(size), channels).astype(np.float64)


def start_mask(network, start):
    """(node name, mask over its output) of a channel or a neuron of an inner node."""
    if not isinstance(start, tuple) or len(start) != 2:
        raise ValueError(f"start must be (node name, channel) or (node name, (position ..., channel)), got {quote(start)}")
    name, place = start
    shape = known("start", network, name)
    at = place if isinstance(place, tuple) else (place,)
    last = shape[len(shape) - len(at):]
    if len(at) not in (1, len(shape)) or not all(is_whole(n) and 0 <= n < size for n, size in zip(at, last)):
        raise ValueError(f"start: node {quote(name)} has the shape {shape}, there is no {quote(place)} in it")
    mask = np.zeros(shape)
    mask[(..., *at)] = 1
    return name, mask


def rank_channels(explanation, name):
    """The channels of a node by the relevance they carry, most relevant first: (channels, relevance [channels]).

    Needs an explanation of a single sample made with `layers=True`.
    """
    if explanation.logits.ndim != 1:
        raise ValueError("rank_channels takes the explanation of one sample: index the batch's, as in `e[0]`")
    if explanation.layers is None or name not in explanation.layers:
        raise ValueError(f"the explanation does not hold node {quote(name)}: make it with layers=True")
    r = explanation.layers[name]
    by_channel = r.reshape(-1, r.shape[-1]).sum(axis=0, dtype=np.float64)
    order = np.argsort(-by_channel, kind="stable")
    return order, by_channel[order]
