"""Any convolution as an indirect product: a row of A is the place of an output's window, kernel rows are its
taps.

In NHWC a window's row, (column, channel), is one run of numbers, so that nothing is unrolled:

    z[i, j, m] = b[m] + Σ_u Σ_(v, c) x[i·stride + u·dilation, j·stride + v, c] W[u, v, c, m]

The transpose is the product c[i, j, (u, v, c)] = Σ_m s[i, j, m] W[u, v, c, m], folded back onto the input's
map.
"""
import numpy as np

from .bounds import made, must, optional, packed, rows_at, source, window_fits
from .elementwise import put_row, rectify
from .jit import inlined, kernel, loop_kernel
from .matmul import product
from .op import by_row, by_source_row, kind, targets_of
from .simd_llvm import broadcast, lanes, load_part, never_inline, store_part

BLOCK = 48  # output positions a unit of work
IN_CACHE = 1 << 17  # numbers that stay in a processor's own cache from one unit to the next


def positions(height, width, channels, window):
    """Where each output's window begins in a padded map: [oh·ow] int64."""
    rows = np.arange(0, height - window.reach[0] + 1, window.strides[0]) * width
    columns = np.arange(0, width - window.reach[1] + 1, window.strides[1])
    return ((rows[:, None] + columns) * channels).ravel().astype(np.int64)


@kernel
def left_out(data, flag, sample):
    """Does a sparse kernel compute this sample? flag < 0: no sample is."""
    return flag >= 0 and data[flag + sample] == 1


def pad_reach(f, at):
    """What `pad` touches."""
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield must(f["filters"] == f["channels"] and 0 <= f["left"] <= f["columns"] - f["width"])


@kind("pad", units=by_row, reach=pad_reach)
@loop_kernel
def pad(op, memory, first, last):
    """y: x with zeros around it."""
    data, height, channels = memory.data, op.height, op.channels
    x, y, row, line_size = (op.x * memory.capacity, op.y * memory.capacity, op.width * op.channels,
                            op.columns * op.channels)
    for line in range(first, last):
        sample, i = line // op.rows, line % op.rows - op.top
        to = data[y + line * line_size:y + (line + 1) * line_size]
        to[:] = 0
        if 0 <= i < height:
            at = x + (sample * height + i) * row
            inside = to[op.left * channels:op.left * channels + row]
            read = data[at:at + row]
            for k in range(row):
                inside[k] = read[k]


@kernel
def by_block(op, memory):
    """One for BLOCK output positions of a sample (relevance)."""
    return memory.samples * targets_of(op, memory) * ((op.rows * op.columns + BLOCK - 1) // BLOCK)


def direct_reach(f, at):
    """What `direct` touches."""
    tap = f["dilation_down"] * f["width"] * f["channels"]
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield "weights", f["bias"], f["panels"] * f["panel_width"]
    yield window_fits(f)
    yield from packed(f, f["size_down"] * f["depth"], at)
    yield from rows_at(f, f["rows"] * f["columns"], source(f) - (f["size_down"] - 1) * tap - f["depth"], at)
    yield from optional(f, "flag", 1)


@kind("direct", units=by_block, reach=direct_reach)
@kernel
def direct(op, memory, first, last):
    """y[n, p] = bias + window(x[n], p) · W, or its positive part, for blocks of positions p.

    Of a small map with many weights, a few panels are taken at a time for all units: memory is then read once
    for several samples.
    """
    data, capacity, targets = memory.data, memory.capacity, targets_of(op, memory)
    places, filters, size = op.rows * op.columns, op.filters, op.height * op.width * op.channels
    tap, blocks = op.dilation_down * op.width * op.channels, (places + BLOCK - 1) // BLOCK
    panel = op.size_down * op.depth * op.panel_width
    small_map, many_weights = 2 * size <= IN_CACHE, panel * op.panels > IN_CACHE
    together = max(IN_CACHE // panel, 1) if small_map and many_weights else op.panels
    for begin_panel in range(0, op.panels, together):
        end_panel = min(begin_panel + together, op.panels)
        for unit in range(first, last):
            sample, begin = unit // blocks, unit % blocks * BLOCK
            if left_out(data, op.flag * capacity, sample // targets):
                continue
            rows, to = min(BLOCK, places - begin), op.y * capacity + (sample * places + begin) * filters
            product(data, op.x * capacity + sample * size, memory.offsets, op.offsets + begin, rows,
                    op.size_down, tap, memory.weights, op.weights, begin_panel, end_panel, op.depth,
                    op.panel_width, memory.weights, op.bias, data, to, filters, filters)
            if op.rectify and end_panel == op.panels:
                rectify(data, to, to, rows * filters)


def fold_reach(f, at):
    """What `fold` touches."""
    yield "data", f["x"], f["rows"] * f["columns"] * f["size_down"] * f["size_right"] * f["channels"]
    yield "data", f["y"], source(f)
    yield "scratch", 0, f["width"] * f["channels"]
    yield from optional(f, "times", source(f))
    yield from optional(f, "flag", 1)


@kind("fold", units=by_source_row, reach=fold_reach)
@kernel
def fold(op, memory, first, last):
    """y[i, j, c] = [y +] [times ·] Σ x[k, l, u, v, c] over all windows (k, l) and their places (u, v) at (i,
    j).
    """
    never_inline()
    data, capacity, targets, scratch = memory.data, memory.capacity, targets_of(op, memory), memory.scratch
    height, width, channels, columns, size_right = op.height, op.width, op.channels, op.columns, op.size_right
    window, row, run = op.size_down * size_right * channels, width * channels, size_right * channels
    # Neighbouring windows overlap; those `apart` columns from each other do not, and a sum need not wait for
    # the one before.
    apart = (size_right + op.stride_right - 1) // op.stride_right
    for line in range(first, last):
        sample, y = line // height, line % height
        if left_out(data, op.flag * capacity, sample // targets):
            continue
        for k in range(0, row, lanes(data)):
            store_part(data, scratch + k, broadcast(data, 0), row - k)
        for u in range(op.size_down):
            i = y + op.top - u * op.dilation_down
            if i < 0 or i % op.stride_down or i // op.stride_down >= op.rows:
                continue
            at = op.x * capacity + (sample * op.rows + i // op.stride_down) * columns * window + u * run
            for begin in range(apart):
                for j in range(begin, columns, apart):
                    x = j * op.stride_right - op.left
                    if op.dilation_right == 1 and x >= 0 and x + size_right <= width:
                        add(data, at + j * window, scratch + x * channels, run)
                        continue
                    for v in range(size_right):
                        to = x + v * op.dilation_right
                        if 0 <= to < width:
                            add(data, at + j * window + v * channels, scratch + to * channels, channels)
        by = op.times * capacity + (sample // targets * height + y) * row if op.times >= 0 else -1
        put_row(data, scratch, row, by, op.accumulate, op.y * capacity + line * row)


@inlined
def add(data, x, y, count):
    """y += x."""
    for k in range(0, count, lanes(data)):
        store_part(data, y + k, load_part(data, y + k, count - k) + load_part(data, x + k, count - k),
                   count - k)
