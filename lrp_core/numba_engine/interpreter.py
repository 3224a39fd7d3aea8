"""A program: rows of numbers that say which kernel reads and writes where, and the loop that runs them.

The planner writes a program once for a network and its rules. Every array of a workspace lies in one flat array of float32 or float64,
`data`; constants lie in `weights`, places of windows in `offsets`, books in `sums`. A row names positions in them, counted
for one sample: `run` multiplies by the capacity of the workspace. `check` proves before the first run that no row reaches
beyond its arrays. Every step divides into units that do not depend on each other, so that a team of threads
can share them out; a unit's numbers do not depend on who computes it, nor on the other samples.
"""
import numpy as np
from numba import types
from numba.extending import intrinsic

from .kernels.convolve import BLOCK, direct, fold, pad, relu
from .kernels.jit import entry, inlined, kernel
from .kernels.elementwise import channel_sum, combine, measure, part, ratio, spread, start
from .kernels.pools import max_pool, max_unpool
from .kernels.sparse import BAND, dots, flag_sparse, product_of_nonzeros, scatter
from .kernels.repair import SIZE, find_runs, restore, sharpen
from .kernels.simd_llvm import address, scalar
from .kernels.winograd import TILES, winograd

(PAD, DIRECT, WINOGRAD, FIND_RUNS, RESTORE, RELU, MAX_POOL, DENSE, START, RATIO, MEASURE, MAX_UNPOOL, FOLD, COMBINE, PART,
 CHANNEL_SUM, SPREAD, SHARPEN, FLAG, SCATTER, DOTS) = range(21)
NAMES = ("pad", "direct", "winograd F(4x4)", "ties", "ties", "ReLU", "max pool", "product", "start", "ratio", "sum",
         "max unpool", "fold", "multiply", "part", "sum over channels", "spread",
         "small z", "sparsity", "sparse adjoint", "sparse z")

# Not needed by LRP-0 and LRP-ε, which divide by the forward pass's own outputs: compiled only where a program has them.
RARE = (PART, CHANNEL_SUM, SPREAD, SHARPEN, DOTS)

NONE = -1
POSITIONS = ("x", "y", "z", "times", "winner", "gate_y", "runs", "flag", "other")  # in `data`, for one sample; NONE: not used
INTEGERS = ("kind", *POSITIONS, "fanned", "height", "width", "channels", "rows", "columns", "filters",
            "size_down", "size_right", "stride_down", "stride_right", "dilation_down", "dilation_right", "top", "left",
            "weights", "panels", "depth", "panel_width", "bias", "zeros", "offsets", "shared", "sign", "gate",
            "accumulate", "rectify", "book")
STEP = np.dtype([(name, np.int64) for name in INTEGERS] + [("epsilon", np.float64), ("coefficient", np.float64)])


@intrinsic
def add_and_get(typing, counters, place, count):
    """counters[place] += count, at once for all threads; returns the old value."""
    def code(context, builder, signature, args):
        pointer = address(context, builder, counters, args[0], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")
    return types.int64(counters, types.int64, types.int64), code


@intrinsic
def peek(typing, counters, place):
    """counters[place], as the other threads left it."""
    def code(context, builder, signature, args):
        return builder.load_atomic(address(context, builder, counters, args[0], args[1]), "acquire", 8)
    return types.int64(counters, types.int64), code


@kernel
def units(step, samples, team):
    """How many independent parts the step has for this many samples."""
    kind = step.kind
    if kind == WINOGRAD:
        return winograd_blocks(step, samples) * winograd_shares(step, samples, team)
    if kind == DIRECT:
        return samples * ((step.rows * step.columns + BLOCK - 1) // BLOCK)
    if kind == DENSE:
        return step.panels
    if kind == SCATTER:
        return samples * ((step.height + BAND - 1) // BAND)
    if kind == RESTORE or kind == START or kind == FLAG:
        return samples
    if kind == PAD or kind == MAX_POOL or kind == RATIO or kind == MEASURE or kind == COMBINE or kind == PART or kind == RELU \
            or kind == SHARPEN or kind == DOTS:
        return samples * step.rows
    if kind == CHANNEL_SUM:
        return samples * step.rows * step.columns
    if kind == FIND_RUNS:
        return samples * (step.rows + SIZE - 1)
    return samples * step.height


@kernel
def winograd_blocks(step, samples):
    """Blocks of TILES tiles over all samples."""
    return (samples * ((step.rows + 3) // 4) * ((step.columns + 3) // 4) + TILES - 1) // TILES


@kernel
def winograd_shares(step, samples, team):
    """Into how many shares of its output channels a block is cut, so that a team has enough to do."""
    return min(step.panels, team) if winograd_blocks(step, samples) < 4 * team else 1


@entry
def run(program, begin, end, samples, fan, capacity, data, weights, offsets, sums, places, favoured, other, scratch, at, team, counters,
        rare):
    """Run rows begin..end for the samples of a workspace, alone (team 1) or as one of a team.

    fan: how many relevances belong to each input, when several classes of one are explained at once. rare: None where no
    row is of a RARE kind: this is compiled apart, without those kernels.

    The members of a team take units until none is left, and go on when all of a step's units are done. counters, zeros
    [2·(end - begin)]: units taken and units done. Nobody waits for a member, only for units it has taken: one that comes late,
    or never, costs nothing but its help.
    """
    for number in range(begin, end):
        step = program[number]
        count = samples * fan if step.fanned else samples
        total = units(step, count, team)
        taken, done = 2 * (number - begin), 2 * (number - begin) + 1
        grain = total if team == 1 else max(1, total // (4 * team))
        first = 0 if team == 1 else add_and_get(counters, taken, grain)
        while first < total:
            last = min(first + grain, total)
            done_rarely = False
            if rare is not None:
                done_rarely = perform_rare(step, first, last, fan, capacity, data, weights, offsets, places, scratch, at)
            if not done_rarely:
                perform(step, first, last, count, fan, capacity, data, weights, offsets, sums, places, favoured, other, scratch, at, team)
            if team == 1:
                break
            add_and_get(counters, done, last - first)
            first = add_and_get(counters, taken, grain)
        while team > 1 and peek(counters, done) < total:
            pass


@kernel
def perform_rare(step, first, last, relevances, capacity, data, weights, offsets, places, scratch, at):
    """Units first..last of a step if it is of a RARE kind; returns whether it is. Arguments as of `perform`."""
    kind = step.kind
    x, y, row = step.x * capacity, step.y * capacity, step.columns * step.filters
    if kind == PART:
        part(data, x, row, step.sign, y, first, last)
    elif kind == CHANNEL_SUM:
        channel_sum(data, x, step.filters, y, first, last)
    elif kind == SPREAD:
        spread(data, x, step.rows, step.columns, step.size_down, step.size_right, step.stride_down, step.stride_right,
               step.dilation_down, step.dilation_right, step.top, step.left, scalar(data, step.coefficient), y, step.height,
               step.width, step.channels, step.accumulate, scratch, first, last)
    elif kind == SHARPEN:
        sharpen(data, x, step.height, step.width, step.channels, step.top, step.left, weights, step.weights, step.bias, y,
                step.rows, step.columns, step.filters, scalar(data, step.epsilon), step.flag * capacity, first, last)
    elif kind == DOTS:
        dots(data, step.z * capacity, relevances, x, step.height, step.width, step.channels, step.size_down, step.size_right,
             step.stride_down, step.stride_right, step.dilation_down, step.top, step.left, weights, step.weights, step.bias, y,
             step.rows, step.columns, step.filters, step.flag * capacity, step.gate_y * capacity, step.other * capacity, step.zeros,
             places, at, first, last)
    else:
        return False
    return True


@inlined
def perform(step, first, last, samples, relevances, capacity, data, weights, offsets, sums, places, favoured, other, scratch, at, team):
    """Units first..last of one step; `scratch` and `at` are the member's own rooms in data and places."""
    kind, fan = step.kind, relevances if step.fanned else 1
    x, y, times, row = step.x * capacity, step.y * capacity, step.times * capacity, step.columns * step.filters
    if kind == DIRECT:
        direct(data, x, step.height * step.width * step.channels, offsets, step.offsets, step.rows * step.columns,
               step.size_down, step.dilation_down * step.width * step.channels, step.depth, weights, step.weights, step.panels,
               step.panel_width, step.bias, y, step.filters, step.rectify, step.flag * capacity, fan, first, last)
    elif kind == WINOGRAD:
        tiles, shares = samples * ((step.rows + 3) // 4) * ((step.columns + 3) // 4), winograd_shares(step, samples, team)
        for unit in range(first, last):
            block, share = unit // shares, unit % shares
            winograd(data, x, step.height, step.width, step.channels, step.top, step.left, weights, step.weights, step.panels,
                     step.panel_width, step.bias, step.zeros, offsets, step.offsets, y, step.rows, step.columns, step.filters,
                     times, fan, step.accumulate, step.rectify, step.flag * capacity, block * TILES, min((block + 1) * TILES, tiles),
                     step.panels * share // shares, step.panels * (share + 1) // shares, scratch)
    elif kind == DENSE:
        product_of_nonzeros(data, x, step.depth, samples, offsets, step.offsets, weights, step.weights, first, last, step.panel_width,
                            step.bias, y, step.filters, places, at)
        if step.rectify:
            for sample in range(samples):
                at, until = first * step.panel_width, min(last * step.panel_width, step.filters)
                if until > at:
                    relu(data, y + sample * step.filters + at, y + sample * step.filters + at, until - at)
    elif kind == RATIO:
        ratio(data, x, step.z if step.shared else step.z * capacity, fan, step.shared, step.rows, row, step.filters,
              scalar(data, step.epsilon), scalar(data, step.coefficient), step.gate, step.gate_y * capacity, weights, step.bias, y,
              sums, step.book * capacity, first, last)
    elif kind == MEASURE:
        measure(data, x, row, sums, step.book * capacity, first, last)
    elif kind == MAX_POOL:
        max_pool(data, x, step.height, step.width, step.channels, step.size_down, step.size_right, step.stride_down,
                 step.stride_right, step.top, step.left, y, step.winner * capacity, step.rows, step.columns,
                 scalar(data, step.epsilon), first, last)
    elif kind == MAX_UNPOOL:
        max_unpool(data, x, step.winner * capacity, fan, step.rows, step.columns, step.size_down, step.size_right,
                   step.stride_down, step.stride_right, step.top, step.left, y, step.height, step.width, step.channels, first, last)
    elif kind == FOLD:
        fold(data, x, step.rows, step.columns, step.size_down, step.size_right, step.stride_down, step.stride_right,
             step.dilation_down, step.dilation_right, step.top, step.left, y, step.height, step.width, step.channels, times,
             fan, step.accumulate, step.flag * capacity, scratch, first, last)
    elif kind == COMBINE:
        combine(data, x, step.rows, row, times, fan, step.accumulate, y, first, last)
    elif kind == RELU:
        relu(data, x + first * row, y + first * row, (last - first) * row)
    elif kind == PAD:
        pad(data, x, step.height, step.width, step.channels, step.top, step.left, y, step.rows, step.columns, first, last)
    elif kind == FIND_RUNS:
        find_runs(data, x, step.height, step.width, step.channels, step.top, step.left, step.runs * capacity, step.rows, step.columns,
                  first, last)
    elif kind == RESTORE:
        restore(data, x, step.height, step.width, step.channels, step.top, step.left, step.runs * capacity, weights, step.weights,
                step.panels, step.panel_width, step.bias, offsets, step.offsets, y, step.rows, step.columns, step.filters,
                step.rectify, scratch, first, last)
    elif kind == SCATTER:
        scatter(data, x, step.rows, step.columns, step.filters, step.size_down, step.size_right, step.stride_down, step.stride_right,
                step.dilation_down, step.top, step.left, weights, step.weights, y, step.height, step.width, step.channels, times,
                relevances, step.accumulate, step.flag * capacity, offsets, step.offsets, places, at, scratch, first, last)
    elif kind == FLAG:
        flag_sparse(data, x, step.rows * row, step.depth, y, first, last)
    elif kind == START:
        start(data, x, step.filters, favoured, other, fan, y, first, last)
