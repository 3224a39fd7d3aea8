"""Where the last bits decide, Winograd's rounding is repaired: exact ties stay ties, small denominators are
computed directly.

In digital silence, and wherever a map is constant along an axis, neighbouring windows are equal and so are
their outputs; a max-pool then takes the first. Winograd's rounding depends on the place in its tile and would
make another one win. So: where an output's whole window is bit-equal to its left (or upper) neighbour's, the
neighbour's output is copied; where such a run begins, its first output is computed directly. Comparing stops
at the first channels that differ.

Rules without a stabilizer divide by z however small it is. An output far below the others of its row, where
rounding is a large part of it, is computed again, as a few short sums.
"""
from .bounds import made, must, optional, packed, rows_at, source
from .convolve import left_out
from .elementwise import rectify
from .jit import kernel
from .matmul import product
from .op import RARE, TIES, Field, by_row, by_sample, kind, targets_of
from .simd_llvm import (
    any_below,
    broadcast,
    differ,
    lane_max,
    lane_sum,
    lanes,
    lanes_of,
    load,
    load_part,
    scalar,
    where_greater,
)

SIZE = 3  # of the window
RUN = 24  # outputs computed directly at a time


def runs_size(rows, columns):
    """How many numbers `find_runs` writes for a sample with so many outputs."""
    return (rows + SIZE - 1) * (2 * (columns + SIZE - 1) + 1)


@kernel
def alike(data, a, b, count):
    """Are the `count` numbers at a equal to those at b? Looks no further than the first vector that differs.
    """
    for k in range(0, count, lanes(data)):
        if differ(load_part(data, a + k, count - k), load_part(data, b + k, count - k)):
            return False
    return True


@kernel
def alike_at_edge(data, x, height, width, channels, i, j, up, left):
    """`alike` for pixel (i, j) and the one `up` rows and `left` columns before it, one or both in the zeros
    around the map.
    """
    here = x + (i * width + j) * channels
    inside, before = 0 <= i < height and 0 <= j < width, 0 <= i - up < height and 0 <= j - left < width
    if inside:
        return silent(data, here, channels)
    return not before or silent(data, here - (up * width + left) * channels, channels)


@kernel
def silent(data, a, count):
    """Are the `count` numbers at a all 0?"""
    for k in range(0, count, lanes(data)):
        if differ(load_part(data, a + k, count - k), broadcast(data, 0)):
            return False
    return True


@kernel
def by_padded_row(op, memory):
    """One for each row of the map with its margin."""
    return memory.samples * (op.rows + SIZE - 1)


def runs_reach(f, at):
    """What `find_runs` touches."""
    yield "data", f["x"], source(f)
    yield "data", f["runs"], runs_size(f["rows"], f["columns"])


@kind("ties", units=by_padded_row, reach=runs_reach, group=TIES,
      fields={"runs": Field("how long pixels have been equal to their neighbours (see `find_runs`)", -1,
                            position=True)})
@kernel
def find_runs(op, memory, first, last):
    """For rows of x with its margin, and each pixel: how many up to it in its row equal their left (upper)
    neighbour.

    The map with its margin has SIZE - 1 more rows and columns than the outputs. runs[line, 2·column] counts
    for the left neighbours, runs[line, 2·column + 1] for the upper ones; the longest of the row comes last.
    """
    data, height, width, channels = memory.data, op.height, op.width, op.channels
    tall, wide, top, left = op.rows + SIZE - 1, op.columns + SIZE - 1, op.top, op.left
    x, runs = op.x * memory.capacity, op.runs * memory.capacity
    for line in range(first, last):
        sample, i = line // tall, line % tall - top
        beside, above, longest, here = 0, 0, 0, runs + line * (2 * wide + 1)
        pixels = x + sample * height * width * channels
        for column in range(wide):
            j = column - left
            pixel = pixels + (i * width + j) * channels
            inside = 0 <= i < height and 0 <= j < width
            if inside and j > 0:
                like_left = alike(data, pixel, pixel - channels, channels)
            else:
                like_left = column > 0 and alike_at_edge(data, pixels, height, width, channels, i, j, 0, 1)
            if inside and i > 0:
                like_upper = alike(data, pixel, pixel - width * channels, channels)
            else:
                like_upper = line % tall > 0 and alike_at_edge(data, pixels, height, width, channels, i, j, 1,
                                                               0)
            beside, above = beside + 1 if like_left else 0, above + 1 if like_upper else 0
            longest = max(longest, beside, above)
            data[here + 2 * column] = beside
            data[here + 2 * column + 1] = above
        data[here + 2 * wide] = longest


@kernel
def mark(data, runs, rows, columns, marks):
    """marks[i, j] = 1 where the window of output (i, j) equals its left neighbour's, 2 its upper one's, 3
    both, else 0.

    True where there are any. A window equals its left neighbour's where, in each of its rows, a run of SIZE
    pixels that equal their left neighbours ends at its last pixel.
    """
    wide, found = columns + SIZE - 1, False
    step = 2 * wide + 1
    for i in range(rows):
        at = runs + i * step
        some = min(data[at + 2 * wide], data[at + step + 2 * wide], data[at + 2 * step + 2 * wide]) >= SIZE
        for j in range(columns):
            code, x = 0, at + 2 * (j + SIZE - 1)
            if some:
                code = 1 * (min(data[x], data[x + step], data[x + 2 * step]) >= SIZE) \
                    + 2 * (min(data[x + 1], data[x + 1 + step], data[x + 1 + 2 * step]) >= SIZE)
                found = found or code > 0
            data[marks + i * columns + j] = code
    return found


@kernel
def begins(data, marks, rows, columns, i, j):
    """Does a run begin at output (i, j): is it unlike those before it, and copied by one after it?"""
    if data[marks + i * columns + j] != 0:
        return False
    after = j + 1 < columns and data[marks + i * columns + j + 1] % 2 == 1
    return after or (i + 1 < rows and data[marks + (i + 1) * columns + j] >= 2)


@kernel
def copy_window(data, x, height, width, channels, i, j, to):
    """The window at (i, j), which may reach over the map's edge, as one run of numbers."""
    for u in range(SIZE):
        for v in range(SIZE):
            inside = 0 <= i + u < height and 0 <= j + v < width
            pixel = x + ((i + u) * width + j + v) * channels
            for c in range(channels):
                data[to + (u * SIZE + v) * channels + c] = data[pixel + c] if inside else scalar(data, 0)


def restore_reach(f, at):
    """What `restore` touches."""
    yield from restored(f, at)
    yield from packed(f, 9 * f["channels"], at)
    yield from rows_at(f, RUN, (RUN - 1) * 9 * f["channels"], at)
    yield "data", f["runs"], runs_size(f["rows"], f["columns"])
    yield "scratch", 0, f["rows"] * f["columns"] + RUN * 9 * f["channels"]


def restored(f, at):
    """What both repairs of a convolution touch."""
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield "weights", f["bias"], f["filters"]
    yield must(f["channels"] % lanes_of(at.dtype) == f["filters"] % lanes_of(at.dtype) == 0)
    yield from optional(f, "flag", 1)


@kind("ties", units=by_sample, reach=restore_reach, group=TIES)
@kernel
def restore(op, memory, first, last):
    """In y = conv(x) + bias compute directly where runs of equal windows begin, and copy along them."""
    data, rows, columns, filters = memory.data, op.rows, op.columns, op.filters
    marks, windows = memory.scratch, memory.scratch + rows * columns
    runs_of_sample = (rows + SIZE - 1) * (2 * (columns + SIZE - 1) + 1)
    for sample in range(first, last):
        if not mark(data, op.runs * memory.capacity + sample * runs_of_sample, rows, columns, marks):
            continue
        x = op.x * memory.capacity + sample * op.height * op.width * op.channels
        y = op.y * memory.capacity + sample * rows * columns * filters
        for i in range(rows):
            j = 0
            while j < columns:
                if begins(data, marks, rows, columns, i, j):
                    j += compute_directly(op, memory, x, y, i, j, marks, windows)
                else:
                    j += 1
        for i in range(rows):
            for j in range(columns):
                code, to = data[marks + i * columns + j], y + (i * columns + j) * filters
                if code > 0:
                    before = to - filters if code % 2 == 1 else to - columns * filters
                    for c in range(filters):
                        data[to + c] = data[before + c]


@kernel
def compute_directly(op, memory, x, y, i, j, marks, windows):
    """Compute the outputs from (i, j) on where runs begin, up to RUN of them in a row; returns how many there
    are.
    """
    data, rows, columns, channels = memory.data, op.rows, op.columns, op.channels
    depth, count = SIZE * SIZE * channels, 0
    while j + count < columns and count < RUN and begins(data, marks, rows, columns, i, j + count):
        copy_window(data, x, op.height, op.width, channels, i - op.top, j + count - op.left,
                    windows + count * depth)
        count += 1
    to = y + (i * columns + j) * op.filters
    product(data, windows, memory.offsets, op.offsets, count, 1, 0, memory.weights, op.weights, 0, op.panels,
            depth,
            op.panel_width, memory.weights, op.bias, data, to, op.filters, op.filters)
    if op.rectify:
        rectify(data, to, to, count * op.filters)
    return count


def sharpen_reach(f, at):
    """What `sharpen` touches."""
    yield from restored(f, at)
    yield "weights", f["weights"], 9 * f["channels"] * f["filters"]


@kind("small z", units=by_row, reach=sharpen_reach, group=RARE,
      fields={"small": Field("outputs below this part of the largest in their row are computed again",
                             type="f8")})
@kernel
def sharpen(op, memory, first, last):
    """In y = conv(x) + bias compute outputs below `small` times their row's largest directly.

    weights: the kernel of each filter, [filters, 3, 3, channels], not packed.
    """
    data, rows, columns, filters, depth = (memory.data, op.rows, op.columns, op.filters,
                                           SIZE * SIZE * op.channels)
    targets, small = targets_of(op, memory), scalar(data, op.small)
    for line in range(first, last):
        sample, i = line // rows, line % rows
        if left_out(data, op.flag * memory.capacity, sample // targets):
            continue
        out = op.y * memory.capacity + line * columns * filters
        limit = largest(data, out, columns * filters) * small
        for k in range(0, columns * filters, lanes(data)):
            if any_below(load(data, out + k), broadcast(data, limit)):
                for lane in range(lanes(data)):
                    if abs(data[out + k + lane]) < limit:
                        j, m = (k + lane) // filters, (k + lane) % filters
                        total = window_sum(data, op.x * memory.capacity
                                           + sample * op.height * op.width * op.channels, op.height,
                                           op.width, op.channels, i - op.top, j - op.left, memory.weights,
                                           op.weights + m * depth)
                        data[out + k + lane] = total + memory.weights[op.bias + m]


@kernel
def largest(data, x, count):
    """max |x| of `count` numbers, whole vectors of them."""
    found, zero = broadcast(data, 0), broadcast(data, 0)
    for k in range(0, count, lanes(data)):
        value = load(data, x + k)
        found = where_greater(value, found, value, found)
        found = where_greater(zero - value, found, zero - value, found)
    return lane_max(found)


@kernel
def window_sum(data, x, height, width, channels, top, left, weights, w):
    """Σ x·W over one window, which may reach over the map's edge, for one filter; many short sums, added in
    float64.
    """
    total = 0.0
    for u in range(SIZE):
        for v in range(SIZE):
            if 0 <= top + u < height and 0 <= left + v < width:
                pixel, tap, sums = x + ((top + u) * width + left
                                        + v) * channels, w + (u * SIZE + v) * channels, broadcast(data, 0)
                for c in range(0, channels, lanes(data)):
                    sums = sums + load(data, pixel + c) * load(weights, tap + c)
                total += lane_sum(sums)
    return total
