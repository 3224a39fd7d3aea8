"""Max-pools: the forward pass notes who won, the backward pass gives relevance to the winner (winner takes
all).
"""
import numpy as np

from .bounds import made, must, source
from .jit import inlined, kernel
from .op import Field, by_row, by_source_row, kind, targets_of
from .simd_llvm import broadcast, lanes, load_part, scalar, store_part, where_equal, where_greater

LOWEST = float(np.finfo(np.float32).min)


def pool_reach(f, at):
    """What `max_pool` touches."""
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield "data", f["winner"], made(f)
    yield must(f["filters"] == f["channels"])


def unpool_reach(f, at):
    """What `max_unpool` touches."""
    yield from pool_reach(f | {"x": f["y"], "y": f["x"]}, at)


@kind("max pool", units=by_row, reach=pool_reach, fields={
    "winner": Field("the place of each window's winner, in scan order", -1, position=True),
    "tie": Field("maxima that differ by no more than this part of themselves are equal but for rounding",
                 type="f8")})
@kernel
def max_pool(op, memory, first, last):
    """y = max over each window and `winner`, its place in scan order; on ties the first, padding never wins.

    NaN and infinity make NaN: what overflowed must not get lost.
    """
    data, height, width, channels = memory.data, op.height, op.width, op.channels
    x, y, winner = op.x * memory.capacity, op.y * memory.capacity, op.winner * memory.capacity
    tie, zero = scalar(data, op.tie), broadcast(data, 0)
    for line in range(first, last):
        sample, i = line // op.rows, line % op.rows
        y0 = i * op.stride_down - op.top
        for j in range(op.columns):
            x0 = j * op.stride_right - op.left
            to = (line * op.columns + j) * channels
            for c in range(0, channels, lanes(data)):
                best, place, overflow = broadcast(data, LOWEST), broadcast(data, 0), broadcast(data, 0)
                limit = best
                for u in range(max(0, -y0), min(op.size_down, height - y0)):
                    at = x + ((sample * height + y0 + u) * width + x0) * channels + c
                    for v in range(max(0, -x0), min(op.size_right, width - x0)):
                        value = load_part(data, at + v * channels, channels - c)
                        place = where_greater(value, limit, broadcast(data, u * op.size_right + v), place)
                        best = where_greater(value, limit, value, best)
                        limit = best + where_greater(best, zero, best, zero - best) * tie
                        overflow = overflow + value * 0
                store_part(data, y + to + c, best + overflow, channels - c)
                store_part(data, winner + to + c, place, channels - c)


@kind("max unpool", units=by_source_row, reach=unpool_reach)
@kernel
def max_unpool(op, memory, first, last):
    """y[i, j] = Σ x over the windows that (i, j) won: gathered, so that rows are independent."""
    data, capacity, targets = memory.data, memory.capacity, targets_of(op, memory)
    height, width, channels, rows, columns = op.height, op.width, op.channels, op.rows, op.columns
    for line in range(first, last):
        sample, i = line // height, line % height
        row_first = max(0, (i + op.top - op.size_down + op.stride_down) // op.stride_down)
        row_last = min(rows - 1, (i + op.top) // op.stride_down)
        for j in range(width):
            column_first = max(0, (j + op.left - op.size_right + op.stride_right) // op.stride_right)
            column_last = min(columns - 1, (j + op.left) // op.stride_right)
            to, begun = op.y * capacity + (line * width + j) * channels, False
            for row in range(row_first, row_last + 1):
                for column in range(column_first, column_last + 1):
                    place = ((i + op.top - row * op.stride_down) * op.size_right + j
                             + op.left - column * op.stride_right)
                    at = (row * columns + column) * channels
                    collect(data, op.x * capacity + sample * rows * columns * channels + at,
                            op.winner * capacity + sample // targets * rows * columns * channels + at,
                            scalar(data, place), to,
                            channels, begun)
                    begun = True
            if not begun:
                for c in range(0, channels, lanes(data)):
                    store_part(data, to + c, broadcast(data, 0), channels - c)


@inlined
def collect(data, r, winner, place, y, channels, begun):
    """y = r where `place` won, else 0; added to y where that is `begun`."""
    for c in range(0, channels, lanes(data)):
        won = load_part(data, winner + c, channels - c)
        share = where_equal(won, broadcast(data, place), load_part(data, r + c, channels - c),
                            broadcast(data, 0))
        if begun:
            share = share + load_part(data, y + c, channels - c)
        store_part(data, y + c, share, channels - c)
