"""Max-pools: the forward pass notes who won, the backward pass gives relevance to the winner (winner takes all)."""
import numpy as np

from .jit import inlined, kernel
from .simd_llvm import broadcast, lanes, load_part, scalar, store_part, where_equal, where_greater

LOWEST = float(np.finfo(np.float32).min)


@kernel
def max_pool(data, x, height, width, channels, kernel_height, kernel_width, stride_down, stride_right, top, left,
             y, winner, rows, columns, tie, first, last):
    """Rows first..last of y = max over each window and `winner`, its place in scan order; on ties the first, padding never wins.

    tie: numbers that differ by no more than this part of themselves are equal but for rounding. NaN and infinity make NaN: what overflowed must not get lost.
    """
    zero = broadcast(data, 0)
    for line in range(first, last):
        sample, i = line // rows, line % rows
        y0 = i * stride_down - top
        for j in range(columns):
            x0 = j * stride_right - left
            to = (line * columns + j) * channels
            for c in range(0, channels, lanes(data)):
                best, place, overflow = broadcast(data, LOWEST), broadcast(data, 0), broadcast(data, 0)
                limit = best
                for u in range(max(0, -y0), min(kernel_height, height - y0)):
                    at = x + ((sample * height + y0 + u) * width + x0) * channels + c
                    for v in range(max(0, -x0), min(kernel_width, width - x0)):
                        value = load_part(data, at + v * channels, channels - c)
                        place = where_greater(value, limit, broadcast(data, u * kernel_width + v), place)
                        best = where_greater(value, limit, value, best)
                        limit = best + where_greater(best, zero, best, zero - best) * tie
                        overflow = overflow + value * 0
                store_part(data, y + to + c, best + overflow, channels - c)
                store_part(data, winner + to + c, place, channels - c)


@kernel
def max_unpool(data, r, winner, fan, rows, columns, kernel_height, kernel_width, stride_down, stride_right, top, left,
               y, height, width, channels, first, last):
    """Rows first..last of y[i, j] = Σ r over the windows that (i, j) won: gathered, so that rows are independent."""
    for line in range(first, last):
        sample, i = line // height, line % height
        row_first = max(0, (i + top - kernel_height + stride_down) // stride_down)
        row_last = min(rows - 1, (i + top) // stride_down)
        for j in range(width):
            column_first = max(0, (j + left - kernel_width + stride_right) // stride_right)
            column_last = min(columns - 1, (j + left) // stride_right)
            to, begun = y + (line * width + j) * channels, False
            for row in range(row_first, row_last + 1):
                for column in range(column_first, column_last + 1):
                    place = scalar(data, (i + top - row * stride_down) * kernel_width + j + left - column * stride_right)
                    at = (row * columns + column) * channels
                    collect(data, r + sample * rows * columns * channels + at,
                            winner + sample // fan * rows * columns * channels + at, place, to, channels, begun)
                    begun = True
            if not begun:
                for c in range(0, channels, lanes(data)):
                    store_part(data, to + c, broadcast(data, 0), channels - c)


@inlined
def collect(data, r, winner, place, y, channels, begun):
    """y = r where `place` won, else 0; added to y where that is `begun`."""
    for c in range(0, channels, lanes(data)):
        share = where_equal(load_part(data, winner + c, channels - c), broadcast(data, place), load_part(data, r + c, channels - c), broadcast(data, 0))
        if begun:
            share = share + load_part(data, y + c, channels - c)
        store_part(data, y + c, share, channels - c)
