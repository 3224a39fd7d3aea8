"""3x3 convolution with stride 1 by Winograd's F(4x4, 3x3): 36 products instead of 144 for 16 outputs.

Each 6x6 tile d of the input and the 3x3 kernel g are transformed, multiplied number by number (summed over
channels: 36 matrix products), and transformed back to a 4x4 tile of the output:

    Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A

Rounding is about 2e-6 of the output, against 3e-7 for a direct convolution, and depends on the place in the
tile: see `repair`. Channels on both sides fill whole vectors. Lavin and Gray 2016 (arXiv 1509.09308), section
4.3.
"""
import numpy as np

from .bounds import made, must, optional, packed, rows_at, source
from .convolve import left_out
from .forms import Form
from .jit import inlined, kernel
from .matmul import panels_shape, product
from .op import Field, kind, targets_of
from .simd_llvm import broadcast, lanes, lanes_of, load, never_inline, store, where_greater

CHANNELS = 16  # input channels of a kernel that are transformed at a time
TILES = 24  # tiles at work: their transforms stay in the second-level cache
G = np.array([[1/4, 0, 0], [-1/6, -1/6, -1/6], [-1/6, 1/6, -1/6], [1/24, 1/12, 1/6], [1/24, -1/12, 1/6],
              [0, 0, 1]])


def transformed_shape(shape, dtype):
    """[3, 3, c, m] -> (36, panels, c, width)."""
    return 36, *panels_shape(shape[2:], dtype)


def transform_units(shape):
    """Blocks of input channels of a kernel."""
    return -(-shape[2] // CHANNELS)


def transform_kernel(kernel, u, first, last):
    """U = G g Gᵀ: [3, 3, c, m] -> packed [36, panels, c, width], computed in float64, for blocks first..last
    of c.
    """
    both = np.kron(G, G)  # vec(G g Gᵀ) = (G ⊗ G) vec(g)
    (_, panels, channels, width), filters = u.shape, kernel.shape[3]
    g, made = np.empty((9, CHANNELS, filters)), np.empty((36, CHANNELS, filters))  # written again and again
    whole = filters // width
    for begin in range(first * CHANNELS, min(last * CHANNELS, channels), CHANNELS):
        count = min(CHANNELS, channels - begin)
        g[:, :count] = kernel[:, :, begin:begin + count].reshape(9, count, filters)
        np.matmul(both, g.reshape(9, -1), out=made.reshape(36, -1))
        rows, found = slice(begin, begin + count), made[:, :count]
        u[:, :whole, rows] = found[..., :whole * width].reshape(36, count, whole, width).swapaxes(1, 2)
        if whole < panels:
            u[:, whole, rows, :filters - whole * width] = found[..., whole * width:]
            u[:, whole, rows, filters - whole * width:] = 0


TRANSFORMED = Form("winograd", transformed_shape, transform_units, transform_kernel)


def scratch_size(channels, filters, dtype):
    """Numbers that a worker needs beside the arrays: transformed tiles, products, a bordered tile and its
    rows.
    """
    return 36 * (TILES + 1) * (channels + filters) + 36 * channels + 36 * lanes_of(dtype)


@inlined
def input_transform(d0, d1, d2, d3, d4, d5):
    """Bᵀ d for one column d."""
    p, q, u, v = d4 - 4 * d2, d3 - 4 * d1, d4 - d2, d3 - d1
    return 4 * d0 - 5 * d2 + d4, p + q, p - q, u + 2 * v, u - 2 * v, 4 * d1 - 5 * d3 + d5


@inlined
def output_transform(m0, m1, m2, m3, m4, m5):
    """Aᵀ m for one column m."""
    p, q, r, s = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return m0 + p + r, q + 2 * s, p + 4 * r, q + 8 * s + m5


@inlined
def pad_patch(data, here, y0, x0, height, width, channels, patch):
    """patch[6, 6, channels] = the map's pixels from (y0, x0) on, zeros beyond its edges."""
    for i in range(6):
        for j in range(6):
            inside = 0 <= y0 + i < height and 0 <= x0 + j < width
            for c in range(0, channels, lanes(data)):
                if inside:
                    store(data, patch + (i * 6 + j) * channels + c,
                          load(data, here + ((y0 + i) * width + x0 + j) * channels + c))
                else:
                    store(data, patch + (i * 6 + j) * channels + c, broadcast(data, 0))


@kernel
def transform_inputs(data, x, height, width, channels, top, left, tiles_down, tiles_across, first, last, v,
                     patch, rows, flag, targets):
    """v[36, TILES + 1, channels] = Bᵀ d B for tiles first..last, in the order (sample, down, across)."""
    never_inline()
    plane = (TILES + 1) * channels
    for tile in range(first, last):
        sample, y0, x0 = (tile // (tiles_down * tiles_across), tile // tiles_across % tiles_down * 4 - top,
                          tile % tiles_across * 4 - left)
        if left_out(data, flag, sample // targets):
            continue
        here = x + sample * height * width * channels
        at, step_down, step_right = here + (y0 * width + x0) * channels, width * channels, channels
        if not (y0 >= 0 and x0 >= 0 and y0 + 6 <= height and x0 + 6 <= width):
            pad_patch(data, here, y0, x0, height, width, channels, patch)
            at, step_down, step_right = patch, 6 * channels, channels
        for c in range(0, channels, lanes(data)):
            for j in range(6):
                d = at + j * step_right + c
                t0, t1, t2, t3, t4, t5 = input_transform(
                    load(data, d), load(data, d + step_down), load(data, d + 2 * step_down),
                    load(data, d + 3 * step_down), load(data, d + 4 * step_down),
                    load(data, d + 5 * step_down))
                t = rows + j * lanes(data)
                store(data, t, t0)
                store(data, t + 6 * lanes(data), t1)
                store(data, t + 12 * lanes(data), t2)
                store(data, t + 18 * lanes(data), t3)
                store(data, t + 24 * lanes(data), t4)
                store(data, t + 30 * lanes(data), t5)
            for i in range(6):
                t = rows + i * 6 * lanes(data)
                v0, v1, v2, v3, v4, v5 = input_transform(
                    load(data, t), load(data, t + lanes(data)), load(data, t + 2 * lanes(data)),
                    load(data, t + 3 * lanes(data)), load(data, t + 4 * lanes(data)),
                    load(data, t + 5 * lanes(data)))
                to = v + 6 * i * plane + (tile - first) * channels + c
                store(data, to, v0)
                store(data, to + plane, v1)
                store(data, to + 2 * plane, v2)
                store(data, to + 3 * plane, v3)
                store(data, to + 4 * plane, v4)
                store(data, to + 5 * plane, v5)


@kernel
def put(data, y, value, times, accumulate, rectify):
    """One vector of output: [y +] [times ·] value, or its positive part."""
    if times >= 0:
        value = value * load(data, times)
    # Adding 0 makes -0 a 0, as adding to other relevance would: bits must not depend on what else was added.
    value = value + (load(data, y) if accumulate else broadcast(data, 0))
    if rectify:
        value = where_greater(broadcast(data, 0), value, broadcast(data, 0), value)
    store(data, y, value)


@kernel
def transform_outputs(data, m, filters, weights, bias, y, height, width, tiles_down, tiles_across, first,
                      last,
                      channel, channels_end, times, targets, accumulate, rectify, rows, flag):
    """y[..., channel : channels_end] = [y +] [times ·] (bias + Aᵀ m A) for tiles first..last of maps height x
    width.
    """
    never_inline()
    plane = (TILES + 1) * filters
    for tile in range(first, last):
        sample, y0, x0 = (tile // (tiles_down * tiles_across), tile // tiles_across % tiles_down * 4,
                          tile % tiles_across * 4)
        if left_out(data, flag, sample // targets):
            continue
        for c in range(channel, channels_end, lanes(data)):
            b = load(weights, bias + c)
            for j in range(6):
                d = m + j * plane + (tile - first) * filters + c
                t0, t1, t2, t3 = output_transform(
                    load(data, d), load(data, d + 6 * plane), load(data, d + 12 * plane),
                    load(data, d + 18 * plane), load(data, d + 24 * plane), load(data, d + 30 * plane))
                t = rows + j * lanes(data)
                store(data, t, t0)
                store(data, t + 6 * lanes(data), t1)
                store(data, t + 12 * lanes(data), t2)
                store(data, t + 18 * lanes(data), t3)
            for i in range(min(4, height - y0)):
                t = rows + i * 6 * lanes(data)
                o0, o1, o2, o3 = output_transform(
                    load(data, t), load(data, t + lanes(data)), load(data, t + 2 * lanes(data)),
                    load(data, t + 3 * lanes(data)), load(data, t + 4 * lanes(data)),
                    load(data, t + 5 * lanes(data)))
                place = ((y0 + i) * width + x0) * filters + c
                to = y + sample * height * width * filters + place
                by = (times + sample // targets * height * width * filters + place if times >= 0
                      else -1 - 4 * filters)
                put(data, to, o0 + b, by, accumulate, rectify)
                if x0 + 1 < width:
                    put(data, to + filters, o1 + b, by + filters, accumulate, rectify)
                if x0 + 2 < width:
                    put(data, to + 2 * filters, o2 + b, by + 2 * filters, accumulate, rectify)
                if x0 + 3 < width:
                    put(data, to + 3 * filters, o3 + b, by + 3 * filters, accumulate, rectify)


@kernel
def blocks_of(op, memory):
    """Blocks of TILES tiles over all samples (relevances)."""
    samples = memory.samples * targets_of(op, memory)
    return (samples * ((op.rows + 3) // 4) * ((op.columns + 3) // 4) + TILES - 1) // TILES


@kernel
def shares_of(op, memory):
    """Into how many shares of its output channels a block is cut, so that a team has enough to do."""
    return min(op.panels, memory.team) if blocks_of(op, memory) < 4 * memory.team else 1


@kernel
def by_block_and_share(op, memory):
    """One for each share of each block."""
    return blocks_of(op, memory) * shares_of(op, memory)


def winograd_reach(f, at):
    """What `winograd` touches."""
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield "weights", f["bias"], f["filters"]
    yield must(f["channels"] % lanes_of(at.dtype) == f["filters"] % lanes_of(at.dtype) == 0)
    yield from packed(f, 36 * f["channels"], at)
    yield from rows_at(f, TILES, (TILES - 1) * f["channels"], at)
    yield "weights", f["zeros"], f["panels"] * f["panel_width"]
    yield "scratch", 0, scratch_size(f["channels"], f["filters"], at.dtype)
    yield from optional(f, "times", made(f))
    yield from optional(f, "flag", 1)


@kind("winograd F(4x4)", units=by_block_and_share, reach=winograd_reach,
      fields={"zeros": Field("where zeros for a row of products lie among the constants")})
@kernel
def winograd(op, memory, first, last):
    """y = [y +] [times ·] (bias + x * g), or its positive part; the margin of x is of zeros."""
    shares = shares_of(op, memory)
    tiles = memory.samples * targets_of(op, memory) * ((op.rows + 3) // 4) * ((op.columns + 3) // 4)
    for unit in range(first, last):
        block, share = unit // shares, unit % shares
        begin, end = block * TILES, min((block + 1) * TILES, tiles)
        if any_live(op, memory, begin, end):
            convolve_tiles(op, memory, begin, end, op.panels * share // shares,
                           op.panels * (share + 1) // shares)


@kernel
def any_live(op, memory, begin, end):
    """Is any of the samples that tiles begin..end belong to computed here, not by a sparse kernel?"""
    size, targets = ((op.rows + 3) // 4) * ((op.columns + 3) // 4), targets_of(op, memory)
    for sample in range(begin // size, (end - 1) // size + 1):
        if not left_out(memory.data, op.flag * memory.capacity, sample // targets):
            return True
    return False


@kernel
def convolve_tiles(op, memory, begin, end, first_panel, last_panel):
    """Tiles begin..end of `winograd`, for the columns of some panels."""
    data, weights, capacity, targets = memory.data, memory.weights, memory.capacity, targets_of(op, memory)
    channels, filters, flag = op.channels, op.filters, op.flag * capacity
    down, across = (op.rows + 3) // 4, (op.columns + 3) // 4
    v = memory.scratch
    m = v + 36 * (TILES + 1) * channels
    patch = m + 36 * (TILES + 1) * filters
    rows = patch + 36 * channels
    transform_inputs(data, op.x * capacity, op.height, op.width, channels, op.top, op.left, down, across,
                     begin, end, v, patch,
                     rows, flag, targets)
    for p in range(36):
        product(data, v + p * (TILES + 1) * channels, memory.offsets, op.offsets, end - begin, 1, 0,
                weights, op.weights + p * op.panels * channels * op.panel_width, first_panel, last_panel,
                channels, op.panel_width,
                weights, op.zeros, data, m + p * (TILES + 1) * filters, filters, filters)
    transform_outputs(data, m, filters, weights, op.bias, op.y * capacity, op.rows, op.columns, down, across,
                      begin, end,
                      first_panel * op.panel_width, min(last_panel * op.panel_width, filters),
                      op.times * capacity, targets, op.accumulate, op.rectify, rows, flag)
