"""Any convolution as an indirect product: a row of A is the place of an output's window, kernel rows are its taps.

In NHWC a window's row, (column, channel), is one run of numbers, so that nothing is unrolled:

    z[i, j, m] = b[m] + Σ_u Σ_(v, c) x[i·stride + u·dilation, j·stride + v, c] W[u, v, c, m]

The transpose is the product c[i, j, (u, v, c)] = Σ_m s[i, j, m] W[u, v, c, m], folded back onto the input's map.
"""
import numpy as np

from .jit import inlined, kernel, loop_kernel
from .elementwise import put_row
from .matmul import product
from .simd_llvm import broadcast, lanes, load_part, never_inline, store_part, where_greater
from .winograd import left_out

BLOCK = 48  # output positions a unit of work


def positions(height, width, channels, window):
    """Where each output's window begins in a padded map: [oh·ow] int64."""
    rows = np.arange(0, height - window.reach[0] + 1, window.strides[0]) * width
    columns = np.arange(0, width - window.reach[1] + 1, window.strides[1])
    return ((rows[:, None] + columns) * channels).ravel().astype(np.int64)


@loop_kernel
def pad(data, x, height, width, channels, top, left, y, out_height, out_width, first, last):
    """Rows first..last (over all samples) of y: x with zeros around it."""
    row = width * channels
    for line in range(first, last):
        sample, i = line // out_height, line % out_height - top
        to = data[y + line * out_width * channels:y + (line + 1) * out_width * channels]
        to[:] = 0
        if 0 <= i < height:
            at = x + (sample * height + i) * row
            inside = to[left * channels:left * channels + row]
            source = data[at:at + row]
            for k in range(row):
                inside[k] = source[k]


@kernel
def direct(data, x, sample_size, offsets, offsets_at, places, taps, tap_step, depth, weights, w, panels, width, bias,
           y, filters, rectify, flag, fan, first, last):
    """Blocks first..last of y[n, p] = bias + window(x[n], p) · W; a block is BLOCK positions p of one sample."""
    blocks = (places + BLOCK - 1) // BLOCK
    for unit in range(first, last):
        sample, begin = unit // blocks, unit % blocks * BLOCK
        if left_out(data, flag, sample // fan):
            continue
        rows = min(BLOCK, places - begin)
        to = y + (sample * places + begin) * filters
        product(data, x + sample * sample_size, offsets, offsets_at + begin, rows, taps, tap_step, weights, w, 0, panels,
                depth, width, weights, bias, data, to, filters, filters)
        if rectify:
            relu(data, to, to, rows * filters)


@kernel
def relu(data, x, y, count):
    """y = max(x, 0); NaN stays."""
    for k in range(0, count, lanes(data)):
        value = load_part(data, x + k, count - k)
        store_part(data, y + k, where_greater(broadcast(data, 0), value, broadcast(data, 0), value), count - k)


@kernel
def fold(data, p, rows, columns, kernel_height, kernel_width, stride_down, stride_right, dilation_down, dilation_right,
         top, left, r, height, width, channels, times, fan, accumulate, flag, scratch, first, last):
    """Rows first..last of r[y, x, c] = [r +] [times ·] Σ p[i, j, u, v, c] over all windows (i, j) and their places (u, v) at (y, x)."""
    never_inline()
    window, row, run = kernel_height * kernel_width * channels, width * channels, kernel_width * channels
    # Neighbouring windows overlap; those `apart` columns from each other do not, and a sum need not wait for the one before.
    apart = (kernel_width + stride_right - 1) // stride_right
    for line in range(first, last):
        sample, y = line // height, line % height
        if left_out(data, flag, sample // fan):
            continue
        for k in range(0, row, lanes(data)):
            store_part(data, scratch + k, broadcast(data, 0), row - k)
        for u in range(kernel_height):
            i = y + top - u * dilation_down
            if i < 0 or i % stride_down or i // stride_down >= rows:
                continue
            at = p + (sample * rows + i // stride_down) * columns * window + u * run
            for begin in range(apart):
                for j in range(begin, columns, apart):
                    x = j * stride_right - left
                    if dilation_right == 1 and x >= 0 and x + kernel_width <= width:
                        add(data, at + j * window, scratch + x * channels, run)
                        continue
                    for v in range(kernel_width):
                        if 0 <= x + v * dilation_right < width:
                            add(data, at + j * window + v * channels, scratch + (x + v * dilation_right) * channels, channels)
        by = times + (sample // fan * height + y) * row if times >= 0 else times
        put_row(data, scratch, row, by, accumulate, r + line * row)


@inlined
def add(data, x, y, count):
    """y += x."""
    for k in range(0, count, lanes(data)):
        store_part(data, y + k, load_part(data, y + k, count - k) + load_part(data, x + k, count - k), count - k)
