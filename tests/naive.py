"""The oracle: every layer and every rule once more, in loops over single numbers, as the papers write them.

Slow on purpose, and independent: nothing of lrp_core is imported, no product of arrays is taken. A linear
layer is written out as a list of units, one for each output number j, with the inputs i that it sees and
their weights w_ij:

    z_j = Σ_i x_i w_ij + b_j

so that one formula for each rule serves dense layers, convolutions and average pools alike.
"""
import dataclasses
import itertools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Unit:
    """One output number: its index, the (index, weight) of every input it sees, and its bias."""
    index: tuple
    edges: tuple
    bias: float


@dataclasses.dataclass
class Book:
    """What a layer received, handed on, and lost to the bias, to ε and to gates; sums of single numbers."""
    received: float = 0.0
    passed: float = 0.0
    bias: float = 0.0
    stabilizer: float = 0.0
    gated: float = 0.0


# --- windows --------------------------------------------------------------------------------------

def out_extent(extent, size, stride, padding):
    """(number of places of the window along one axis, where the first one starts, which may be before the
    map).
    """
    if padding == "valid":
        places = 0
        while places * stride + size <= extent:
            places += 1
        return places, 0
    places = math.ceil(extent / stride)
    missing = max((places - 1) * stride + size - extent, 0)
    return places, -(missing // 2)


def window_places(shape, size, strides, padding):
    """Yield ((i, j) of the output, [((row, column) in the map, (u, v) in the window), ...]), in scan order.
    """
    rows, top = out_extent(shape[0], size[0], strides[0], padding)
    columns, left = out_extent(shape[1], size[1], strides[1], padding)
    for i, j in itertools.product(range(rows), range(columns)):
        seen = []
        for u, v in itertools.product(range(size[0]), range(size[1])):
            row, column = top + i * strides[0] + u, left + j * strides[1] + v
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                seen.append(((row, column), (u, v)))
        yield (i, j), seen


# --- linear layers as units
# ------------------------------------------------------------------------------------------

def dense_units(kernel, bias, shape):
    """z[..., m] = Σ_k x[..., k] W[k, m] + b[m]."""
    for place in itertools.product(*(range(n) for n in shape[:-1])):
        for m in range(kernel.shape[1]):
            edges = tuple(((*place, k), float(kernel[k, m])) for k in range(shape[-1]))
            yield Unit((*place, m), edges, 0.0 if bias is None else float(bias[m]))


def conv_units(kernel, bias, strides, padding, shape):
    """z[i, j, m] = Σ over the window of x[row, column, c] W[u, v, c, m], plus b[m]; outside the map x is
    zero.
    """
    for place, seen in window_places(shape, kernel.shape[:2], strides, padding):
        for m in range(kernel.shape[3]):
            edges = tuple(((*at, c), float(kernel[u, v, c, m])) for at, (u, v) in seen
                          for c in range(shape[2]))
            yield Unit((*place, m), edges, 0.0 if bias is None else float(bias[m]))


def average_units(size, strides, padding, shape):
    """The mean of what a window sees of the map, channel by channel."""
    for place, seen in window_places(shape, size, strides, padding):
        for c in range(shape[2]):
            yield Unit((*place, c), tuple(((*at, c), 1.0 / len(seen)) for at, _ in seen), 0.0)


def global_average_units(shape):
    """The mean over the map, channel by channel."""
    places = list(itertools.product(range(shape[0]), range(shape[1])))
    for c in range(shape[2]):
        yield Unit((c,), tuple(((*at, c), 1.0 / len(places)) for at in places), 0.0)


def units(layer, shape):
    """The units of a linear layer for an input of `shape`, or None if the layer is not linear."""
    if layer.type == "Dense":
        return list(dense_units(layer.kernel, layer.bias, shape))
    if layer.type == "Conv2D":
        return list(conv_units(layer.kernel, layer.bias, layer.strides, layer.padding, shape))
    if layer.type == "AveragePool2D":
        return list(average_units(layer.pool_size, layer.strides or layer.pool_size, layer.padding, shape))
    if layer.type == "GlobalAveragePool2D":
        return list(global_average_units(shape))
    return None


# --- forward --------------------------------------------------------------------------------------

def as_array(numbers):
    """{index: number} as the array that holds them."""
    shape = tuple(1 + max(index[axis] for index in numbers) for axis in range(len(next(iter(numbers)))))
    array = np.zeros(shape)
    for index, number in numbers.items():
        array[index] = number
    return array


def linear(some_units, x):
    """z_j = Σ_i x_i w_ij + b_j for one sample."""
    z = {}
    for unit in some_units:
        z[unit.index] = unit.bias
        for i, w in unit.edges:
            z[unit.index] += float(x[i]) * w
    return as_array(z)


def winners(layer, x):
    """{output index: index of the input that wins}: a later one has to be greater to take the place."""
    best = {}
    for place, seen in window_places(x.shape, layer.pool_size, layer.strides or layer.pool_size,
                                     layer.padding):
        for c in range(x.shape[2]):
            for at, _ in seen:
                if (*place, c) not in best or x[(*at, c)] > x[best[(*place, c)]]:
                    best[(*place, c)] = (*at, c)
    return best


def flat_order(shape):
    """Indices in row-major order: the last axis runs fastest."""
    return list(itertools.product(*(range(n) for n in shape)))


def forward(layer, x):
    """A layer's output for one sample x (float64)."""
    if layer.type == "MaxPool2D":
        return as_array({out: float(x[at]) for out, at in winners(layer, x).items()})
    if layer.type == "ReLU":
        return as_array({i: float(x[i]) if x[i] > 0 else 0.0 for i in flat_order(x.shape)})
    if layer.type == "Flatten":
        return as_array({(n,): float(x[i]) for n, i in enumerate(flat_order(x.shape))})
    if layer.type == "Dropout":
        return x
    if layer.type == "Softmax":
        y = {}
        for i in flat_order(x.shape):
            y[i] = 1.0 / math.fsum(math.exp(float(x[(*i[:-1], k)]) - float(x[i])) for k in range(x.shape[-1]))
        return as_array(y)
    return linear(units(layer, x.shape), x)


# --- rules: how one unit shares out its relevance R_j
# -----------------------------------------------------------------

def share(rule, unit, x, r, book):
    """{input index: its part of the unit's relevance r} by a rule; what goes elsewhere is added to `book`."""
    contributions = {i: float(x[i]) * w for i, w in unit.edges}
    name = type(rule).__name__
    if name in ("Zero", "Epsilon"):
        # Bach 2015, eq. 56 and 58: R_i = x_i w_ij / (z_j + ε sign(z_j)) R_j, with sign(0) = +1.
        z = math.fsum([*contributions.values(), unit.bias])
        moved = 0.0
        if name == "Epsilon":
            moved = rule.epsilon if z >= 0 else -rule.epsilon
        if z + moved == 0.0:
            book.gated += r
            return {}
        book.bias += r * unit.bias / (z + moved)
        book.stabilizer += r * moved / (z + moved)
        return {i: r * p / (z + moved) for i, p in contributions.items()}
    if name in ("AlphaBeta", "ZPlus"):
        # Bach 2015, eq. 60: R_i = (α p⁺/z⁺ - β p⁻/z⁻) R_j with p = x_i w_ij; Montavon 2017's z⁺ is α = 1, β =
        # 0.
        alpha, beta = (rule.alpha, rule.beta) if name == "AlphaBeta" else (1.0, 0.0)
        b = unit.bias
        up, down = {"whole": (b, b), "split": (max(b, 0.0), min(b, 0.0)), "ignore": (0.0, 0.0)}[rule.bias]
        shares = dict.fromkeys(contributions, 0.0)
        book.gated += r
        for factor, bias, part in ((alpha, up, max), (-beta, down, min)):
            z = math.fsum([*(part(p, 0.0) for p in contributions.values()), bias])
            if z == 0.0:
                continue    # this side has no input to give to: its share stays gated
            book.gated -= factor * r
            book.bias += factor * r * bias / z
            for i, p in contributions.items():
                shares[i] += factor * part(p, 0.0) / z * r
        return shares
    if name == "Gamma":
        # Andéol 2021, with p = x_i w_ij: where y_j > 0, R_i = (p + γ p⁺) / z_j R_j with z_j = Σ (p + γ p⁺) +
        # b + γ b⁺; where y_j < 0 the same with p⁻ and b⁻; where y_j = 0 the unit speaks neither for nor
        # against anything.
        y = math.fsum([*contributions.values(), unit.bias])
        if y == 0.0:
            book.gated += r
            return {}
        part = max if y > 0 else min
        favoured = {i: p + rule.gamma * part(p, 0.0) for i, p in contributions.items()}
        bias = unit.bias + rule.gamma * part(unit.bias, 0.0)
        z = math.fsum([*favoured.values(), bias])
        book.bias += r * bias / z
        return {i: r * p / z for i, p in favoured.items()}
    if name in ("WSquare", "Flat"):
        # Montavon 2017, w²: R_i = w_ij² / Σ w_i'j² R_j; Lapuschkin 2017, flat: R_i = R_j / how many inputs j
        # sees.
        portions = {i: w * w if name == "WSquare" else 1.0 for i, w in unit.edges}
        whole = math.fsum(portions.values())
        if whole == 0.0:
            book.gated += r
            return {}
        return {i: portion / whole * r for i, portion in portions.items()}
    raise ValueError(f"no formula for {rule!r}")


def signs(layer, count):
    """σ_i of each input of a sum, or None if the layer is not a sum."""
    return {"Add": [1.0] * count, "Subtract": [1.0, -1.0]}.get(layer.type)


def share_sum(layer, xs, r_out, book):
    """[R_in of each input] of z = Σ_i σ_i x_i, by LRP-0 at every place: R_i = σ_i x_i / z R, and nothing
    where z = 0.
    """
    r_in, signed = [np.zeros(x.shape) for x in xs], signs(layer, len(xs))
    for place in flat_order(r_out.shape):
        z, r = math.fsum(sign * float(x[place]) for sign, x in zip(signed, xs)), float(r_out[place])
        if z == 0.0:
            book.gated += r
            continue
        for number, (sign, x) in enumerate(zip(signed, xs)):
            r_in[number][place] = sign * float(x[place]) / z * r
    book.received = math.fsum(float(r_out[i]) for i in flat_order(r_out.shape))
    book.passed = math.fsum(float(r[i]) for r in r_in for i in flat_order(r.shape))
    return r_in


def backward(layer, rule, x, r_out):
    """(R_in, Book) of one layer for one sample: x its input, r_out the relevance at its output."""
    book, r_in = Book(), np.zeros(x.shape)
    some_units = units(layer, x.shape)
    if some_units is not None:
        for unit in some_units:
            for i, part in share(rule, unit, x, float(r_out[unit.index]), book).items():
                r_in[i] += part
    elif layer.type == "MaxPool2D":
        for out, at in winners(layer, x).items():
            r_in[at] += r_out[out]
    else:
        # A layer that passes relevance on: number by number, in the same order.
        for into, out in zip(flat_order(x.shape), flat_order(r_out.shape)):
            r_in[into] = r_out[out]
    book.received = math.fsum(float(r_out[i]) for i in flat_order(r_out.shape))
    book.passed = math.fsum(float(r_in[i]) for i in flat_order(r_in.shape))
    return r_in, book


class Zero:
    """LRP-0, for layers without a choice of rule; `share` goes by a rule's class name."""


def trace(network, x):
    """{node name: output} of a network of layers and sums for one sample; "input" is x."""
    values = {"input": np.asarray(x, np.float64)}
    for node in network.nodes:
        xs = [values[name] for name in node.inputs]
        signed = signs(node.layer, len(xs))
        values[node.name] = forward(node.layer, *xs) if signed is None else as_array(
            {i: math.fsum(sign * float(x[i]) for sign, x in zip(signed, xs))
             for i in flat_order(xs[0].shape)})
    return values


def explain(network, x, rules, target):
    """(relevance by node, Book by node, logit) of one sample of a network of layers and sums that ends in
    logits.

    rules: one rule for all layers with weights, or {node name: rule}."""
    values, end = trace(network, x), network.nodes[-1].name
    logits, relevance, books = values[end], {name: np.zeros(value.shape) for name,
                                             value in values.items()}, {}
    relevance[end][target] = logits[target]
    for node in reversed(network.nodes):
        if signs(node.layer, len(node.inputs)) is not None:
            books[node.name] = Book()
            moved = share_sum(node.layer, [values[name] for name in node.inputs], relevance[node.name],
                              books[node.name])
        else:
            weighted = node.layer.type in ("Dense", "Conv2D")
            rule = (rules[node.name] if isinstance(rules, dict) else rules) if weighted else Zero()
            one, books[node.name] = backward(node.layer, rule, values[node.inputs[0]], relevance[node.name])
            moved = [one]
        for name, r in zip(node.inputs, moved):
            # from all that read it, also from one that reads it twice
            relevance[name] = relevance[name] + r
    return relevance, books, float(logits[target])


def gradient(network, x, target):
    """d logit / d x of one sample by the chain rule, number by number."""
    values, names = trace(network, x), ["input", *(node.name for node in network.nodes)]
    slope = np.zeros(values[names[-1]].shape)
    slope[target] = 1.0
    for node, before in zip(reversed(network.nodes), reversed(names[:-1])):
        value, below = values[before], np.zeros(values[before].shape)
        some_units = units(node.layer, value.shape)
        if some_units is not None:
            for unit in some_units:
                for i, w in unit.edges:
                    below[i] += w * slope[unit.index]
        elif node.layer.type == "MaxPool2D":
            for out, at in winners(node.layer, value).items():
                below[at] += slope[out]
        else:
            for into, out in zip(flat_order(value.shape), flat_order(slope.shape)):
                below[into] = slope[out] if node.layer.type != "ReLU" or value[into] > 0 else 0.0
        slope = below
    return slope
