"""Ops that work number by number: where relevance starts, relevance for each unit of z, sums for the ledger,
products.
"""
from ...stabilize import SMALLEST
from ...target import WINNER
from .bounds import made, map_to_map, optional
from .jit import inlined, kernel, loop_kernel
from .op import NONE, RARE, Field, by_row, by_sample, kind, targets_of
from .simd_llvm import (
    broadcast,
    lane_sum,
    lanes,
    load_part,
    scalar,
    store_part,
    where_at_least,
    where_greater,
)

# The sums that `ratio` writes for each row of each sample, and `measure` the first two of them.
RECEIVED, ABSOLUTE, GIVEN, BIAS, STABILIZER = range(5)
SUMS = 5
NO_GATE, ABOVE_ZERO, BELOW_ZERO = range(3)


@kind("start", units=by_sample, reach=map_to_map)
@loop_kernel
def start(op, memory, first, last):
    """y[n, k] = x[n, k] where k is the favoured class, minus that of the other; WINNER: the first largest,
    NO_CLASS: none.
    """
    data, classes, targets = memory.data, op.filters, targets_of(op, memory)
    x, y = op.x * memory.capacity, op.y * memory.capacity
    for sample in range(first, last):
        score = data[x + sample // targets * classes:x + (sample // targets + 1) * classes]
        best = 0
        for k in range(classes):
            if score[k] > score[best]:
                best = k
        plus = best if memory.favoured[sample] == WINNER else memory.favoured[sample]
        minus = best if memory.other[sample] == WINNER else memory.other[sample]
        for k in range(classes):
            sign = (1 if k == plus else 0) - (1 if k == minus else 0)
            data[y + sample * classes + k] = scalar(data, sign) * score[k]


def ratio_reach(f, at):
    """What `ratio` touches."""
    yield from map_to_map(f, at)
    yield "weights" if f["shared"] else "data", f["z"], made(f)
    yield "sums", f["sums"], f["rows"] * SUMS
    if f["gate"]:
        yield "data", f["output"], made(f)
    if f["bias"] != NONE:
        yield "weights", f["bias"], f["filters"]


@inlined
def where_gate(data, gate, output, value):
    """value where the output is above zero (gate ABOVE_ZERO) or below (BELOW_ZERO), 0 elsewhere."""
    zero = broadcast(data, 0)
    if gate == ABOVE_ZERO:
        return where_greater(output, zero, value, zero)
    return where_greater(zero, output, value, zero)


@kind("ratio", units=by_row, reach=ratio_reach, fields={
    "z": Field("the denominators; among the constants where they are shared", -1, position=True),
    "output": Field("the layer's output, which `gate` looks at", -1, position=True),
    "shared": Field("1: z is the same for all samples, and a constant"),
    "gate": Field("NO_GATE, ABOVE_ZERO or BELOW_ZERO: at which outputs relevance takes part"),
    "epsilon": Field("ε of the stabilizer", type="f8"), "coefficient": Field("c of the group", 1.0, "f8")})
@kernel
def ratio(op, memory, first, last):
    """y = s = c·m·r / stabilize(z), 0 where z is, with r = x: relevance for each unit of z; and its sums, row
    by row.

    stabilize(z) = z + ε·sign(z), sign(0) = +1. m is 1, or where `gate` says so 1 where output > 0 (< 0) only.
    The five sums,
    in float64: Σ r, Σ |r|, Σ c·m·r where z is not zero, Σ s·bias, Σ s·(stabilize(z) - z).
    """
    data, weights, capacity, targets = memory.data, memory.weights, memory.capacity, targets_of(op, memory)
    rows, channels, row, bias, gate = op.rows, op.filters, op.columns * op.filters, op.bias, op.gate
    r, s, y, shared = op.x * capacity, op.y * capacity, op.output * capacity, op.shared
    z = op.z if shared else op.z * capacity
    epsilon, coefficient, sums = scalar(data, op.epsilon), scalar(data, op.coefficient), op.sums * capacity
    zero = broadcast(data, 0)
    for line in range(first, last):
        sample, i = line // rows, line % rows
        source = sample // targets * rows * row + i * row
        denominator = i * row if shared else source
        received, absolute, given, biased, kept = zero, zero, zero, zero, zero
        for pixel in range(0, row, channels):
            for c in range(0, channels, lanes(data)):
                count = channels - c
                k = pixel + c
                relevance = load_part(data, r + line * row + k, count)
                below = load_part(weights if shared else data, z + denominator + k, count)
                sign = where_at_least(below, zero, broadcast(data, 1), broadcast(data, -1))
                stable = below + sign * epsilon
                divisible = where_at_least(sign * stable, broadcast(data, SMALLEST), broadcast(data, 1), zero)
                gated = divisible * coefficient
                if gate != NO_GATE:
                    output = load_part(data, y + source + k, count)
                    gated = where_gate(data, gate, output, gated)
                share = relevance * gated
                unit = share / where_greater(divisible, zero, stable, broadcast(data, 1))
                store_part(data, s + line * row + k, unit, count)
                received = received + relevance
                absolute = absolute + where_at_least(relevance, zero, relevance, zero - relevance)
                given = given + share
                kept = kept + unit * sign
                if bias >= 0:
                    biased = biased + unit * load_part(weights, bias + c, count)
        at = sums + line * SUMS
        memory.sums[at + RECEIVED] = lane_sum(received)
        memory.sums[at + ABSOLUTE] = lane_sum(absolute)
        memory.sums[at + GIVEN] = lane_sum(given)
        memory.sums[at + BIAS] = lane_sum(biased)
        memory.sums[at + STABILIZER] = lane_sum(kept) * epsilon


def measure_reach(f, at):
    """What `measure` touches."""
    yield "data", f["x"], made(f)
    yield "sums", f["sums"], f["rows"] * SUMS


@kind("sum", units=by_row, reach=measure_reach)
@kernel
def measure(op, memory, first, last):
    """The first two sums of each row, for relevance that nothing divides: Σ r and Σ |r|."""
    data, row = memory.data, op.columns * op.filters
    r, sums, zero = op.x * memory.capacity, op.sums * memory.capacity, broadcast(data, 0)
    for line in range(first, last):
        received, absolute = zero, zero
        for k in range(0, row, lanes(data)):
            relevance = load_part(data, r + line * row + k, row - k)
            received = received + relevance
            absolute = absolute + where_at_least(relevance, zero, relevance, zero - relevance)
        memory.sums[sums + line * SUMS + RECEIVED] = lane_sum(received)
        memory.sums[sums + line * SUMS + ABSOLUTE] = lane_sum(absolute)


def combine_reach(f, at):
    """What `combine` touches."""
    yield from map_to_map(f, at)
    yield from optional(f, "times", made(f))


@kind("multiply", units=by_row, reach=combine_reach)
@kernel
def combine(op, memory, first, last):
    """y = [y +] [times ·] x."""
    data, capacity, targets = memory.data, memory.capacity, targets_of(op, memory)
    rows, row, times = op.rows, op.columns * op.filters, op.times * capacity
    for line in range(first, last):
        by = times + (line // rows // targets * rows + line % rows) * row if op.times >= 0 else -1
        put_row(data, op.x * capacity + line * row, row, by, op.accumulate, op.y * capacity + line * row)


@kernel
def put_row(data, c, row, times, accumulate, r):
    """r = [r +] [times ·] c for `row` numbers; times < 0: 1."""
    for k in range(0, row, lanes(data)):
        count = row - k
        value = load_part(data, c + k, count)
        if times >= 0:
            value = value * load_part(data, times + k, count)
        # Adding 0 makes -0 a 0, as adding to other relevance would: bits must not depend on what else was
        # added.
        value = value + (load_part(data, r + k, count) if accumulate else broadcast(data, 0))
        store_part(data, r + k, value, count)


@kind("part", units=by_row, reach=map_to_map, group=RARE,
      fields={"sign": Field("1: the part above zero, -1: that below")})
@kernel
def part(op, memory, first, last):
    """y = x⁺ or x⁻."""
    data, row = memory.data, op.columns * op.filters
    x, y, zero = op.x * memory.capacity, op.y * memory.capacity, broadcast(data, 0)
    for k in range(first * row, last * row, lanes(data)):
        count = last * row - k
        value = load_part(data, x + k, count)
        if op.sign > 0:
            value = where_greater(value, zero, value, zero)
        else:
            value = where_greater(zero, value, value, zero)
        store_part(data, y + k, value, count)


def minus_reach(f, at):
    """What `minus` touches."""
    yield from map_to_map(f, at)
    yield "weights", f["weights"], made(f)


@kind("minus", units=by_row, reach=minus_reach, group=RARE)
@kernel
def minus(op, memory, first, last):
    """y = x - w, with the same constants w for all samples."""
    data, rows, row = memory.data, op.rows, op.columns * op.filters
    x, y = op.x * memory.capacity, op.y * memory.capacity
    for line in range(first, last):
        constant = op.weights + line % rows * row
        for k in range(0, row, lanes(data)):
            count = row - k
            value = load_part(data, x + line * row + k, count)
            value = value - load_part(memory.weights, constant + k, count)
            store_part(data, y + line * row + k, value, count)


@kind("ReLU", units=by_row, reach=map_to_map)
@kernel
def relu(op, memory, first, last):
    """y = max(x, 0)."""
    row = op.columns * op.filters
    rectify(memory.data, op.x * memory.capacity + first * row, op.y * memory.capacity + first * row,
            (last - first) * row)


@kind("clip", units=by_row, reach=map_to_map, group=RARE,
      fields={"highest": Field("what larger numbers become", type="f8")})
@kernel
def clip(op, memory, first, last):
    """y = min(max(x, 0), highest); NaN stays."""
    data, row = memory.data, op.columns * op.filters
    x, y, zero = op.x * memory.capacity, op.y * memory.capacity, broadcast(data, 0)
    highest = broadcast(data, scalar(data, op.highest))
    for k in range(first * row, last * row, lanes(data)):
        count = last * row - k
        value = load_part(data, x + k, count)
        value = where_greater(zero, value, zero, value)
        store_part(data, y + k, where_greater(value, highest, highest, value), count)


@kernel
def rectify(data, x, y, count):
    """y = max(x, 0) for `count` numbers; NaN stays."""
    for k in range(0, count, lanes(data)):
        value = load_part(data, x + k, count - k)
        store_part(data, y + k, where_greater(broadcast(data, 0), value, broadcast(data, 0), value),
                   count - k)
