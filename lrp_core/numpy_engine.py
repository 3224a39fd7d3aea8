"""The readable engine: a forward pass, then one loop over the nodes from the score down to the input.

A batch is explained in chunks on several threads.
"""
import dataclasses
import typing

import numpy as np

from .canonize import scoring
from .checks import check_met, check_scores
from .chunks import CHUNK, check_threads, for_chunks
from .explanation import Explanation
from .flow import total
from .gradients import GradientMethod, plan_gradient
from .ledger import ABSORBED, ROUNDING, UNDERFLOW, Entry, Ledger
from .memory import bound, sample_bytes
from .network import INPUT
from .steps import is_split, plan
from .target import WINNER, one_hot
from .text import quote


def explain_each(request):
    """An Explanation for each target of a Request. The forward pass is in double precision, relevance in its
    dtype.
    """
    exact, method, dtype = request.network.scoring, request.method, request.dtype
    scored = exact if dtype == "float64" else scoring(request.network).astype(dtype)
    steps = (
        plan_gradient(scored, method)
        if isinstance(method, GradientMethod)
        else plan(scored, method.rules_for(scored))
    )
    threads = check_threads(request.threads)
    sample = sample_bytes(exact, dtype, {step.node.name for step in steps if is_split(step)},
                          layers=request.layers)
    memory = bound(exact, sample, min(len(request.x), threads * CHUNK), request.memory)

    def work(part):
        trace = exact.trace(request.x[part].astype(np.float64)).astype(dtype)
        check_scores(exact, trace)
        return [explain_chunk(request, steps, trace, favoured[part], other[part]) for favoured,
                other in request.targets]

    by_chunk = for_chunks(work, len(request.x), threads=threads, progress=request.progress, memory=memory,
                          sample_bytes=sample)
    return [Explanation.join(chunks, request) for chunks in zip(*by_chunk)]


def explain_chunk(request, steps, trace, favoured, other):
    """(scores, class numbers [n, 2] (favoured, other), relevance by node, ledger) of a few samples for one
    target.
    """
    output = request.network.scoring.nodes[-1].name
    scores = trace.outputs[output]
    favoured = np.where(favoured == WINNER, scores.argmax(axis=1), favoured)
    other = np.where(other == WINNER, scores.argmax(axis=1), other)
    classes, gradient = scores.shape[1], isinstance(request.method, GradientMethod)
    name, mask = request.place or (output, one_hot(favoured, classes) - one_hot(other, classes))
    y = trace.outputs[name] if request.reference is None else trace.outputs[name] - request.reference
    r = np.broadcast_to(mask if gradient else mask * y, y.shape).astype(request.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below, by the layer's name
        relevance, ledger = propagate(steps, trace, (name, r), keep=request.keep, stop=request.stop,
                                      layers=request.layers)
    ledger = dataclasses.replace(ledger, what=request.what, end=request.end)
    ledger.check_finite(request.dtype)
    ledger.check(ROUNDING[request.dtype], UNDERFLOW[request.dtype])
    if request.end not in relevance:
        raise ValueError(f"no relevance reaches node {quote(request.end)} from {quote(name)}")
    if gradient and request.method.times_input:
        relevance[request.end] = relevance[request.end] * trace.outputs[request.end]
    return scores, np.stack((favoured, other), axis=1), relevance, ledger


class Sums(typing.NamedTuple):
    """Σ R and Σ |R| of relevance, for each sample, in float64."""
    plain: np.ndarray
    absolute: np.ndarray


def sums_of(r, together=1 << 15):
    """The Sums of r, `together` numbers at a time: |R| of these stays in the processor's cache."""
    rows = r.reshape(len(r), -1)
    parts = [np.abs(rows[:, start:start + together]).sum(axis=1, dtype=np.float64)
             for start in range(0, rows.shape[1], together)]
    return Sums(total(r), sum(parts, np.zeros(len(r))))


def propagate(steps, trace, start, *, keep, stop=None, layers=False):
    """Carry relevance from where it starts down to the input; returns ({node name: relevance where it ended},
    Ledger).

    start: (node name, R [n, *its shape]). keep: {node name: mask over its channels}: relevance of other
    channels is dropped there (and booked as gated). stop: a node below which nothing is carried. layers:
    return the relevance at every node it met, not only where it ended.
    """
    name, r = start
    relevance, sums, entries, unmet = {name: r}, {}, [], set(keep)
    for step in reversed(steps):
        node = step.node
        r = relevance.get(node.name)
        if r is None:
            continue
        arrived = sums.pop(node.name, None) or sums_of(r)
        if node.name in keep:
            unmet.discard(node.name)
            kept = r * keep[node.name]
            zero, left = np.zeros(len(r)), sums_of(kept)
            entries.append(Entry(f"{node.name} (kept)", "", "chosen channels", arrived.plain, left.plain,
                                 bias=zero, stabilizer=zero, gated=arrived.plain - left.plain, by_rule=zero,
                                 softmax=zero, state=zero, turnover=arrived.absolute + left.absolute))
            r, arrived = kept, left
            relevance[node.name] = kept
        if node.name == stop:
            continue
        if not layers:
            del relevance[node.name]
        moved, book = step.back(trace, r)
        left = list(map(sums_of, moved))
        for source, r_in, found in zip(node.inputs, moved, left):
            if source in relevance:
                relevance[source] = relevance[source] + r_in
                sums.pop(source, None)
            else:
                relevance[source], sums[source] = r_in, found
        entries.append(Entry(node.name, node.layer.type, step.rule_name, arrived.plain,
                             sum(one.plain for one in left),
                             turnover=arrived.absolute + sum(one.absolute for one in left),
                             **{column: getattr(book, column) for column in ABSORBED}))
    check_met(unmet, name)
    ends = [total(relevance[end]) for end in (INPUT, stop) if end in relevance]
    return relevance, Ledger.of(tuple(entries), total(start[1]), sum(ends, np.zeros(len(start[1]))))
