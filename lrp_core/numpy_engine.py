"""The readable engine: a forward pass, then the loop of `backward.propagate`, in chunks of a batch on several threads."""
import math

import numpy as np

from .backward import ROUNDING, UNDERFLOW, check_finite, plan, propagate
from .canonize import without_final_activation
from .chunks import for_chunks
from .explanation import Explanation
from .gradients import GradientMethod, plan_gradient
from .target import WINNER, one_hot


def explain_each(request):
    """An Explanation for each target of a Request. The forward pass is in double precision, relevance in its dtype."""
    exact, method, dtype = request.network.scoring, request.method, request.dtype
    if isinstance(method, GradientMethod):
        scored = exact if dtype == "float64" else without_final_activation(request.network).astype(dtype)
        steps = plan_gradient(scored, method)
    else:
        steps = plan(exact, method.rules_for(exact))

    def work(part):
        trace = exact.forward(request.x[part].astype(np.float64)).astype(dtype)
        check_finite(exact, trace)
        return [explain_chunk(request, steps, trace, favoured[part], other[part]) for favoured, other in request.targets]

    by_chunk = for_chunks(work, len(request.x), threads=request.threads, progress=request.progress, memory=request.memory,
                          sample_bytes=sample_bytes(exact, dtype))
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
    ledger.check(ROUNDING[request.dtype], UNDERFLOW[request.dtype])
    if request.end not in relevance:
        raise ValueError(f"no relevance reaches node {request.end!r} from {name!r}")
    if gradient and request.method.times_input:
        relevance[request.end] = relevance[request.end] * trace.outputs[request.end]
    return scores, favoured, relevance, ledger


def sample_bytes(network, dtype):
    """How many bytes one sample takes at most while it is explained: the trace, the largest unrolled convolution, and
    the dozen or so arrays of a layer's size that a rule with two groups of terms has in hand at once."""
    trace = sum(math.prod(shape) for shape in network.shapes.values())
    largest = max(math.prod(shape) for shape in network.shapes.values())
    unrolled = max((math.prod(network.shapes[node.name][:-1]) * math.prod(node.layer.kernel.shape[:-1])
                    for node in network.nodes if node.layer.arrays and node.layer.type.startswith("Conv")), default=0)
    forward = 8 * (trace + unrolled + largest)
    return forward + (0 if dtype == "float64" else 4 * trace) + np.dtype(dtype).itemsize * 16 * largest
