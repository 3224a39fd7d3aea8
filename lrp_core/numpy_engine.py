"""The readable engine: a forward pass, then the loop of `backward.propagate`, in chunks of a batch on several threads."""
import numpy as np

from .backward import ROUNDING, UNDERFLOW, check_finite, check_relevance, is_split, plan, propagate
from .canonize import without_final_activation
from .chunks import CHUNK, check_threads, for_chunks
from .explanation import Explanation
from .gradients import GradientMethod, plan_gradient
from .memory import bound, sample_bytes
from .target import WINNER, one_hot
from .text import quote


def explain_each(request):
    """An Explanation for each target of a Request. The forward pass is in double precision, relevance in its dtype."""
    exact, method, dtype = request.network.scoring, request.method, request.dtype
    scored = exact if dtype == "float64" else without_final_activation(request.network).astype(dtype)
    steps = plan_gradient(scored, method) if isinstance(method, GradientMethod) else plan(scored, method.rules_for(scored))
    threads = check_threads(request.threads)
    sample = sample_bytes(exact, dtype, {step.node.name for step in steps if is_split(step)}, layers=request.layers)
    memory = bound(exact, sample, min(len(request.x), threads * CHUNK), request.memory)

    def work(part):
        trace = exact.trace(request.x[part].astype(np.float64)).astype(dtype)
        check_finite(exact, trace)
        return [explain_chunk(request, steps, trace, favoured[part], other[part]) for favoured, other in request.targets]

    by_chunk = for_chunks(work, len(request.x), threads=threads, progress=request.progress, memory=memory, sample_bytes=sample)
    return [Explanation.join(chunks, request) for chunks in zip(*by_chunk)]


def explain_chunk(request, steps, trace, favoured, other):
    """(scores, class numbers, relevance by node, ledger) of a few samples for one target."""
    output = request.network.scoring.nodes[-1].name
    scores = trace.outputs[output]
    favoured = np.where(favoured == WINNER, scores.argmax(axis=1), favoured)
    other = np.where(other == WINNER, scores.argmax(axis=1), other)
    classes, gradient = scores.shape[1], isinstance(request.method, GradientMethod)
    name, mask = request.place or (output, one_hot(favoured, classes) - one_hot(other, classes))
    r = np.broadcast_to(mask if gradient else mask * trace.outputs[name], trace.outputs[name].shape).astype(request.dtype)
    relevance, ledger = propagate(steps, trace, (name, r), keep=request.keep, stop=request.stop, layers=request.layers)
    check_relevance(ledger, request.dtype)
    ledger.check(ROUNDING[request.dtype], UNDERFLOW[request.dtype])
    if request.end not in relevance:
        raise ValueError(f"no relevance reaches node {quote(request.end)} from {quote(name)}")
    if gradient and request.method.times_input:
        relevance[request.end] = relevance[request.end] * trace.outputs[request.end]
    return scores, favoured, relevance, ledger
