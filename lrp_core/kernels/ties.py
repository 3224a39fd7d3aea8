"""Where the last bits decide, Winograd's rounding is repaired: exact ties stay ties, small denominators are computed directly.

In digital silence, and wherever a map is constant along an axis, neighbouring windows are equal and so are their outputs;
a max-pool then takes the first. Winograd's rounding depends on the place in its tile and would make another one win. So:
where an output's whole window is bit-equal to its left (or upper) neighbour's, the neighbour's output is copied; where such
a run begins, its first output is computed directly. Comparing stops at the first channels that differ.

Rules without a stabilizer divide by z however small it is. An output far below the others of its row, where rounding is a
large part of it, is computed again, in double precision.
"""

from .convolve import relu
from .jit import kernel
from .product import product
from .vector import LANES, any_below, broadcast, differ, lane_max, lane_sum, load, load_part, where_greater
from .winograd import left_out

SIZE = 3  # of the window
RUN = 24  # outputs computed directly at a time


@kernel
def alike(data, a, b, count):
    """Are the `count` numbers at a equal to those at b? Looks no further than the first vector that differs."""
    for k in range(0, count, LANES):
        if differ(load_part(data, a + k, count - k), load_part(data, b + k, count - k)):
            return False
    return True


@kernel
def find_runs(data, x, height, width, channels, runs, first, last):
    """For rows first..last of x and each pixel, how many pixels up to it, in its row, equal their left (their upper) neighbour.

    runs[line, 2·column] counts for the left neighbours, runs[line, 2·column + 1] for the upper ones; the longest of the row
    stands behind them, at runs[line, 2·width].
    """
    row = width * channels
    for line in range(first, last):
        left, above, longest = 0, 0, 0
        for column in range(width):
            here = x + line * row + column * channels
            left = left + 1 if column > 0 and alike(data, here, here - channels, channels) else 0
            above = above + 1 if line % height > 0 and alike(data, here, here - row, channels) else 0
            longest = max(longest, left, above)
            data[runs + line * (2 * width + 1) + 2 * column] = left
            data[runs + line * (2 * width + 1) + 2 * column + 1] = above
        data[runs + line * (2 * width + 1) + 2 * width] = longest


@kernel
def mark(data, runs, height, width, top, left, rows, columns, marks):
    """marks[i, j] = 1 where the window of output (i, j) equals its left neighbour's, 2 its upper one's, 3 both, else 0.

    True where there are any. A window equals its left neighbour's where, in each of its rows, a run of SIZE pixels that
    equal their left neighbours ends at its last pixel.
    """
    step, found = 2 * width + 1, False
    for i in range(rows):
        at = runs + (i - top) * step
        some = 0 <= i - top <= height - SIZE and data[at + 2 * width] >= SIZE and data[at + step + 2 * width] >= SIZE \
            and data[at + 2 * step + 2 * width] >= SIZE
        for j in range(columns):
            code, x = 0, at + 2 * (j - left + SIZE - 1)
            if some and 0 <= j - left <= width - SIZE:
                code = 1 * (min(data[x], data[x + step], data[x + 2 * step]) >= SIZE) \
                    + 2 * (min(data[x + 1], data[x + 1 + step], data[x + 1 + 2 * step]) >= SIZE)
                found = found or code > 0
            data[marks + i * columns + j] = code
    return found


@kernel
def begins(data, marks, rows, columns, i, j):
    """Does a run begin at output (i, j): is it unlike those before it, and copied by one behind it?"""
    if data[marks + i * columns + j] != 0:
        return False
    after = j + 1 < columns and data[marks + i * columns + j + 1] % 2 == 1
    return after or (i + 1 < rows and data[marks + (i + 1) * columns + j] >= 2)


@kernel
def restore(data, x, height, width, channels, top, left, runs, weights, w, panels, panel_width, bias, offsets, row_offsets,
            y, rows, columns, filters, rectify, marks, first, last):
    """In the outputs y of samples first..last, compute where runs of equal windows begin, and copy along them."""
    for sample in range(first, last):
        if not mark(data, runs + sample * height * (2 * width + 1), height, width, top, left, rows, columns, marks):
            continue
        out = y + sample * rows * columns * filters
        for i in range(rows):
            j = 0
            while j < columns:
                end = j
                while end < columns and end < j + RUN and begins(data, marks, rows, columns, i, end):
                    end += 1
                if end > j:
                    window = x + ((sample * height + i - top) * width + j - left) * channels
                    to = out + (i * columns + j) * filters
                    product(data, window, offsets, row_offsets, end - j, SIZE, width * channels, weights, w, 0, panels,
                            SIZE * channels, panel_width, weights, bias, data, to, filters, filters)
                    if rectify:
                        relu(data, to, to, (end - j) * filters)
                j = max(end, j + 1)
        for i in range(rows):
            for j in range(columns):
                code, to = data[marks + i * columns + j], out + (i * columns + j) * filters
                if code > 0:
                    source = to - filters if code % 2 == 1 else to - columns * filters
                    for c in range(filters):
                        data[to + c] = data[source + c]


@kernel
def sharpen(data, x, height, width, channels, top, left, weights, w, bias, y, rows, columns, filters, small, flag, first, last):
    """In rows first..last of y = conv(x) + bias, compute outputs below `small` times the row's largest directly.

    w: where the kernel of filter 0 lies, [filters, 3, 3, channels] and not packed.
    """
    depth = SIZE * SIZE * channels
    for line in range(first, last):
        sample, i = line // rows, line % rows
        if left_out(data, flag, sample):
            continue
        out = y + line * columns * filters
        largest = broadcast(0)
        for k in range(0, columns * filters, LANES):
            value = load(data, out + k)
            largest = where_greater(value, largest, value, largest)
            largest = where_greater(broadcast(0) - value, largest, broadcast(0) - value, largest)
        limit = lane_max(largest) * small
        for k in range(0, columns * filters, LANES):
            if any_below(load(data, out + k), broadcast(limit)):
                for lane in range(LANES):
                    if abs(data[out + k + lane]) < limit:
                        j, m = (k + lane) // filters, (k + lane) % filters
                        total = window_sum(data, x + sample * height * width * channels, height, width, channels,
                                           i - top, j - left, weights, w + m * depth)
                        data[out + k + lane] = total + weights[bias + m]


@kernel
def window_sum(data, x, height, width, channels, top, left, weights, w):
    """Σ x·W over one window, which may reach over the map's edge, for one filter; many short sums, added in float64."""
    total = 0.0
    for u in range(SIZE):
        for v in range(SIZE):
            if 0 <= top + u < height and 0 <= left + v < width:
                pixel, tap, lanes = x + ((top + u) * width + left + v) * channels, w + (u * SIZE + v) * channels, broadcast(0)
                for c in range(0, channels, LANES):
                    lanes = lanes + load(data, pixel + c) * load(weights, tap + c)
                total += lane_sum(lanes)
    return total
