"""Relevance back through a linear layer: the loop of `flow.through_linear`, as ops."""
import numpy as np

from ..flow import is_forward
from ..rules import Minus, ones, positive, whole
from . import support
from .kernels.elementwise import ratio
from .kernels.op import NONE
from .ops import extent
from .support import kernel4, map_shape


def through_linear(lowering, node, received):
    """(the wire of R_in, (sums, rows) of each group) for the relevance at a linear node's output; adds ops to
    a Lowering.
    """
    ops, step, shape = lowering.ops, lowering.steps[node.name], lowering.shape(node.name)
    given, groups, accumulate = lowering.wire(lowering.shape(node.inputs[0])), [], False
    # Reuse r's buffer for s = r / z when r is not needed again.
    s = received.buffer if len(step.groups) == 1 and not lowering.layers else lowering.buffer_for(shape)
    flag = sparsity(lowering, node)
    before = None  # the last group's only term, its part of x, and its z
    for group in step.groups:
        terms = parts(lowering, node, group)
        z, shared, own = denominator(lowering, node, group, terms, received.buffer, flag, before)
        rows = extent(shape)["rows"]
        place = ops.sums_for(rows)
        if received.sums == NONE:
            received.sums = place
        groups.append((place, rows))
        bias = total_bias(group)
        ops.emit(ratio, x=received.buffer, z=z, y=s, shared=int(shared),
                 epsilon=support.constant_stabilizer(step.rule),
                 coefficient=float(group.coefficient), gate=support.GATES[group.gate],
                 output=lowering.outputs[node.name],
                 bias=NONE if bias is None else ops.bias(bias, shape[-1]), sums=place, **extent(shape))
        before = (*terms[0], z) if own and len(terms) == 1 else None
        for term, part in terms:
            give(lowering, node, term, part, s, given.buffer, accumulate, flag)
            accumulate = True
    return given, tuple(groups)


def through_add(lowering, node, received):
    """(the wire of each input's relevance, (sums, rows) of the one group) at a sum of inputs:
    R_i = x_i · R / stabilize(z).
    """
    ops, shape = lowering.ops, lowering.shape(node.name)
    rows, s = extent(shape)["rows"], lowering.buffer_for(shape)
    place = ops.sums_for(rows)
    if received.sums == NONE:
        received.sums = place
    ops.emit(ratio, x=received.buffer, z=lowering.outputs[node.name], y=s, sums=place,
             epsilon=support.constant_stabilizer(lowering.steps[node.name].rule), **extent(shape))
    given = [lowering.wire(shape) for _ in node.inputs]
    for name, wire in zip(node.inputs, given):
        ops.combine(s, wire.buffer, map_shape(shape), times=lowering.outputs[name])
    return given, ((place, rows),)


def sparsity(lowering, node):
    """The flag, for each sample, that few units of a convolution can carry relevance; NONE where it would not
    help.
    """
    name = lowering.facts.sparse.get(node.name)
    if name is None:
        return NONE
    return lowering.ops.flag(lowering.outputs[name], lowering.shape(name), lowering.form(node).sparse_limit)


def parts(lowering, node, group):
    """[(term, the buffer of its part of x, NONE for ones)]; a part that is zero everywhere is left out."""
    source, shape = node.inputs[0], lowering.shape(node.inputs[0])
    found, x, signless = [], lowering.outputs[source], source in lowering.facts.nonnegative
    for term in group.terms:
        if term.part is ones:
            found.append((term, NONE))
        elif term.part is whole or (signless and term.part is positive):
            found.append((term, x))
        elif type(term.part) is Minus:
            part = lowering.buffer_for(shape)
            lowering.ops.minus(x, term.part.bound, part, shape)
            found.append((term, part))
        elif not signless:
            part = lowering.buffer_for(shape)
            lowering.ops.part(x, 1 if term.part is positive else -1, part, map_shape(shape))
            found.append((term, part))
    return found


def denominator(lowering, node, group, terms, r, flag, before):
    """(the buffer of z, or its position among the constants; whether it is a constant; whether the buffer is
    z's own).
    """
    ops, layer = lowering.ops, node.layer
    if is_forward(group, layer):
        return lowering.outputs[node.name], False, False
    if all(part == NONE for _, part in terms):
        inputs = np.ones((1, *lowering.shape(node.inputs[0])))
        z = sum(term.sign * layer.linear(inputs, term.kernel, term.bias) for term, _ in terms)
        return ops.weights.add(z[0]), True, False
    z = lowering.buffer_for(lowering.shape(node.name))
    # What is computed for nonzeros only is one sum; a second term, of negative inputs, needs the whole map.
    flag = flag if len(terms) == 1 and support.is_convolution(layer) else NONE
    for number, (term, part) in enumerate(terms):
        kernel = signed(lowering, node, term)
        bias = term.bias if term.bias is None or term.sign > 0 else -term.bias
        if support.is_depthwise(layer, lowering.shape(node.inputs[0])):
            ops.depthwise(lowering.form(node), kernel, bias, part, z, accumulate=number > 0)
            continue
        if not support.is_convolution(layer):
            ops.dense(kernel, bias, part, z, accumulate=number > 0)
            continue
        form, kernel = lowering.form(node), kernel4(kernel)
        if flag != NONE:
            ops.dots(form, kernel, bias, part, z, r, flag, **complement(lowering, node, term, part, before))
        ops.convolve(form, kernel, bias, part, z, accumulate=number > 0, sharp=len(terms) == 1, flag=flag)
    return z, False, True


def signed(lowering, node, term):
    """σ·W' of a term."""
    kernel, shape = term.kernel, lowering.shape(node.inputs[0])
    if support.is_depthwise(node.layer, shape):
        kernel = support.depthwise_kernel(node.layer, kernel, shape)
    return kernel if term.sign > 0 else -kernel


def complement(lowering, node, term, part, before):
    """What `OpList.dots` needs to take z from the group before, where both kernels make up the layer's."""
    if before is None or before[1] != part or not np.array_equal(before[0].kernel + term.kernel,
                                                                 node.layer.kernel):
        return {}
    none = np.zeros(lowering.shape(node.name)[-1])
    first, second, both = (none if one is None else one
                           for one in (before[0].bias, term.bias, node.layer.bias))
    return {"whole": lowering.outputs[node.name], "other": before[2], "rest": first + second - both}


def give(lowering, node, term, part, s, r, accumulate, flag):
    """r = [r +] σ · part · W'ᵀ s."""
    kernel, ops = signed(lowering, node, term), lowering.ops
    if part == NONE and support.is_convolution(node.layer) and (kernel == kernel.flat[0]).all():
        ops.spread(lowering.form(node), s, r, kernel.flat[0], accumulate=accumulate)
    elif support.is_convolution(node.layer):
        ops.convolve_back(lowering.form(node), kernel4(kernel), s, r, times=part, accumulate=accumulate,
                          flag=flag)
    elif support.is_depthwise(node.layer, lowering.shape(node.inputs[0])):
        ops.depthwise_back(lowering.form(node), kernel, s, r, times=part, accumulate=accumulate)
    else:
        ops.dense_back(kernel, s, r, times=part, accumulate=accumulate)


def total_bias(group):
    """Σ σ·b' of a group's terms, or None."""
    biases = [term.sign * term.bias for term in group.terms if term.bias is not None]
    return sum(biases) if biases else None
