"""Products that leave out zeros: after a ReLU and a max-pool few units of a layer carry relevance.

Whether a sample is sparse at a layer is decided by its own forward pass (`flag_sparse`), so that its numbers
depend neither on its batch nor on the targets that are explained with it. Where it is, the transposed
convolution adds, for each unit that carries some, its row of weights to the map below; and the denominators
of rules that do not share by the forward pass are computed for these units only, as short direct sums.
"""
from .bounds import made, optional, packed, rows_at, source
from .elementwise import put_row, rectify
from .jit import inlined, kernel
from .matmul import product
from .op import NONE, RARE, Field, by_row, by_sample, kind, targets_of
from .simd_llvm import (
    NARROW_TILE,
    WIDE_TILE,
    broadcast,
    fold_lanes,
    lane_sum,
    lanes,
    load,
    load_part,
    lowest_bit,
    never_inline,
    nonzeros,
    store_part,
    where_equal,
)
from .simd_tiles import gather_tile

BAND = 16  # rows of the map that a unit of work fills
LONG, MIDDLE, SHORT = 12, 6, 3
NEAR = 0.1  # a difference below this part of its terms is not taken for a denominator
TOGETHER = 5  # relevances of one sample that are carried back at the same time
long_tile, middle_tile, short_tile, last_tile = (gather_tile(1, vectors)
                                                 for vectors in (LONG, MIDDLE, SHORT, 1))
one_wide, wide_tile, narrow_tile = (gather_tile(1, WIDE_TILE[1]), gather_tile(*WIDE_TILE),
                                    gather_tile(*NARROW_TILE))


@inlined
def find_nonzeros(data, x, row, rows, count, places, at):
    """places[at :] = the k < count at which any of `rows` arrays, `row` numbers apart, is not zero; returns
    how many.
    """
    found = 0
    for k in range(0, count, lanes(data)):
        bits = nonzeros(load_part(data, x + k, count - k))
        for r in range(1, rows):
            bits |= nonzeros(load_part(data, x + r * row + k, count - k))
        while bits:
            places[at + found] = k + lowest_bit(bits)
            found += 1
            bits &= bits - 1
    return found


def flag_reach(f, at):
    """What `flag_sparse` touches."""
    yield "data", f["x"], made(f)
    yield "data", f["y"], 1


@kind("sparsity", units=by_sample, reach=flag_reach,
      fields={"most": Field("how many nonzeros are too many for a sparse kernel")})
@kernel
def flag_sparse(op, memory, first, last):
    """y[sample] = 1 where fewer than `most` of a sample's numbers x differ from 0, else 0."""
    data, size = memory.data, op.rows * op.columns * op.filters
    x, flag, zero, one = (
        op.x * memory.capacity,
        op.y * memory.capacity,
        broadcast(data, 0),
        broadcast(data, 1),
    )
    for sample in range(first, last):
        found = zero
        for k in range(0, size, lanes(data)):
            found = found + where_equal(load_part(data, x + sample * size + k, size - k), zero, zero, one)
        data[flag + sample] = 1 if lane_sum(found) < op.most else 0


@kernel
def add_row(data, s, filters, columns, places, at, weights, w, run, to, step, offsets, zero):
    """For the columns of one row of s, data[to + column·step : + run] += Σ_e s[column, places[e]] ·
    w[places[e], : run].

    places[at :] holds the nonzeros of all columns, one column after the other, and then, for each column,
    where they end.
    """
    never_inline()
    ends, begin = at + columns * filters, at
    for j in range(columns):
        pixel, here, end = s + j * filters, to + j * step, at + places[ends + j]
        found, done = end - begin, 0
        if found == 0:
            continue
        while run - done >= LONG * lanes(data):
            long_tile(data, pixel, offsets, zero, 1, places, begin, found, weights, w + done, run,
                      data, here + done, 0, data, here + done, 0, run)
            done += LONG * lanes(data)
        if run - done >= MIDDLE * lanes(data):
            middle_tile(data, pixel, offsets, zero, 1, places, begin, found, weights, w + done, run,
                      data, here + done, 0, data, here + done, 0, run)
            done += MIDDLE * lanes(data)
        if run - done >= SHORT * lanes(data):
            short_tile(data, pixel, offsets, zero, 1, places, begin, found, weights, w + done, run,
                      data, here + done, 0, data, here + done, 0, run)
            done += SHORT * lanes(data)
        while done < run:
            last_tile(data, pixel, offsets, zero, 1, places, begin, found, weights, w + done, run,
                      data, here + done, 0, data, here + done, 0, run - done)
            done += lanes(data)
        begin = end


@kernel
def by_band(op, memory):
    """One for each BAND rows of each sample's map; all relevances of a sample are taken together."""
    return memory.samples * ((op.height + BAND - 1) // BAND)


def pixels_in_band(columns, stride_right, kernel_width, left, width):
    """Pixels in a row of the band: from the first window's first column to the last one's last, or the map's.
    """
    return max((columns - 1) * stride_right + kernel_width, left + width)


band_width = inlined(pixels_in_band)  # as kernels call it


def scatter_reach(f, at):
    """What `scatter` touches."""
    pixels = pixels_in_band(f["columns"], f["stride_right"], f["size_right"], f["left"], f["width"])
    line = pixels * f["channels"]
    yield "weights", f["weights"], f["size_down"] * f["size_right"] * f["channels"] * f["filters"]
    yield "data", f["flag"], 1
    yield "data", f["x"], made(f)
    yield "data", f["y"], source(f)
    yield "scratch", 0, TOGETHER * BAND * line
    yield "places", 0, f["columns"] * (f["filters"] + 1)
    yield from rows_at(f, 1, 0, at)
    yield from optional(f, "times", source(f))


@kind("sparse adjoint", units=by_band, reach=scatter_reach)
@kernel
def scatter(op, memory, first, last):
    """y = [y +] [times ·] convᵀ(x), for samples whose relevance is sparse; weights are [kh, filters,
    kw·channels].

    Every unit adds its kernel to the map: for each kernel row one run of kw·channels numbers, since in NHWC
    neighbouring pixels follow each other. The band lies in scratch, with margins for kernels that reach over
    the edge. A sample's
    relevances are taken together: they have the same nonzeros, those of the forward pass.
    """
    never_inline()
    data, capacity, targets, scratch = memory.data, memory.capacity, memory.targets, memory.scratch
    height, width, channels, columns, top = op.height, op.width, op.channels, op.columns, op.top
    bands = (height + BAND - 1) // BAND
    line = band_width(columns, op.stride_right, op.size_right, op.left, width) * channels
    for unit in range(first, last):
        sample, y0 = unit // bands, unit % bands * BAND
        y1 = min(y0 + BAND, height)
        if data[op.flag * capacity + sample] == 0:
            continue
        count = targets * (y1 - y0) * line
        for k in range(0, count, lanes(data)):
            store_part(data, scratch + k, broadcast(data, 0), count - k)
        reach = (op.size_down - 1) * op.dilation_down
        row_first = max(0, (y0 + top - reach + op.stride_down - 1) // op.stride_down)
        row_last = min(op.rows - 1, (y1 - 1 + top) // op.stride_down)
        for i in range(row_first, row_last + 1):
            add_row_of_units(op, memory, sample, i, y0, y1, line)
        for y in range(y0, y1):
            by = op.times * capacity + (sample * height + y) * width * channels if op.times >= 0 else -1
            for one in range(targets):
                put_row(data, scratch + ((y - y0) * targets + one) * line + op.left * channels,
                        width * channels, by, op.accumulate,
                        op.y * capacity + ((sample * targets + one) * height + y) * width * channels)


@kernel
def add_row_of_units(op, memory, sample, i, y0, y1, line):
    """Add what row i of a sample's relevances gives to rows y0..y1 of the map, in scratch."""
    data, places, at, targets = memory.data, memory.places, memory.places_at, memory.targets
    columns, filters, run = op.columns, op.filters, op.size_right * op.channels
    size = op.rows * columns * filters
    # All units of a row first, then kernel row by kernel row: each one's weights stay in the nearest cache.
    pixels = op.x * memory.capacity + sample * targets * size + i * columns * filters
    ends, found = at + columns * filters, 0
    for j in range(columns):
        found += find_nonzeros(data, pixels + j * filters, size, targets, filters, places, at + found)
        places[ends + j] = found
    for u in range(op.size_down):
        y = i * op.stride_down - op.top + u * op.dilation_down
        to, kernel_row = memory.scratch + (y - y0) * targets * line, op.weights + u * filters * run
        if y < y0 or y >= y1:
            continue
        for one in range(targets):
            add_row(data, pixels + one * size, filters, columns, places, at, memory.weights, kernel_row, run,
                    to + one * line,
                    op.stride_right * op.channels, memory.offsets, op.offsets)


def dots_reach(f, at):
    """What `dots` touches."""
    yield "weights", f["weights"], f["size_down"] * f["size_right"] * f["channels"] * f["filters"]
    yield "data", f["flag"], 1
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield "data", f["r"], made(f)
    yield "weights", f["bias"], f["filters"]
    yield "weights", f["rest"], f["filters"]
    yield "places", 0, f["filters"]
    if f["other"] != NONE:
        yield "data", f["other"], made(f)
        yield "data", f["whole"], made(f)


@kind("sparse z", units=by_row, reach=dots_reach, group=RARE, fields={
    "r": Field("the relevance that decides which outputs are needed", -1, position=True),
    "other": Field("z of the group before, whose kernel and this one make up the layer's; NONE: there is "
                   "none", -1, position=True),
    "whole": Field("z of the whole layer", -1, position=True),
    "rest": Field("where the biases of both groups, less the layer's, lie among the constants")})
@kernel
def dots(op, memory, first, last):
    """y = z = conv(x) + bias where any of a sample's relevances r is not zero, for sparse samples.

    weights are [filters, kh, kw·channels]. Where r is zero z is left as it is. Where kernels of two groups
    make up the layer's own, W = W₁ + W₂, and `other` is the z of the first, z = whole - other + rest, unless
    that is so much smaller than they are that their rounding would show.
    """
    never_inline()
    # What the loops need of the op, read once: a store to the maps might change it, as far as the compiler
    # knows.
    data, weights, targets = memory.data, memory.weights, memory.targets
    places, at = memory.places, memory.places_at
    rows, columns, filters, height, width, channels = (op.rows, op.columns, op.filters, op.height, op.width,
                                                       op.channels)
    x, z, r, whole, other = (op.x * memory.capacity, op.y * memory.capacity, op.r * memory.capacity,
                             op.whole * memory.capacity, op.other * memory.capacity)
    w, bias, rest, flag, size_down, size_right = (op.weights, op.bias, op.rest, op.flag * memory.capacity,
                                                  op.size_down, op.size_right)
    stride_down, stride_right, dilation, top, left = (op.stride_down, op.stride_right, op.dilation_down,
                                                      op.top, op.left)
    size, run = rows * columns * filters, size_right * channels
    for line in range(first, last):
        sample, i = line // rows, line % rows
        if data[flag + sample] == 0:
            continue
        for j in range(columns):
            place = (i * columns + j) * filters
            here = sample * size + place
            found = find_nonzeros(data, r + sample * targets * size + place, size, targets, filters, places,
                                  at)
            x0 = j * stride_right - left
            begin, end = max(0, -x0) * channels, min(size_right, width - x0) * channels
            for e in range(found):
                m = places[at + e]
                if other >= 0:
                    difference = data[whole + here + m] - data[other + here + m] + weights[rest + m]
                    if abs(difference) > NEAR * max(abs(data[whole + here + m]), abs(data[other + here + m])):
                        data[z + here + m] = difference
                        continue
                total = broadcast(data, 0)
                for u in range(size_down):
                    row = i * stride_down - top + u * dilation
                    if 0 <= row < height:
                        total = total + dot(data, x + ((sample * height + row) * width + x0) * channels
                                            + begin, weights,
                                            w + (m * size_down + u) * run + begin, end - begin)
                data[z + here + m] = fold_lanes(total) + weights[bias + m]


@inlined
def dot(data, x, weights, w, count):
    """Lane by lane Σ x·w over a run, as four sums at a time."""
    a, b, c, d = broadcast(data, 0), broadcast(data, 0), broadcast(data, 0), broadcast(data, 0)
    k = 0
    while count - k >= 4 * lanes(data):
        a = a + load(data, x + k) * load(weights, w + k)
        b = b + load(data, x + k + lanes(data)) * load(weights, w + k + lanes(data))
        c = c + load(data, x + k + 2 * lanes(data)) * load(weights, w + k + 2 * lanes(data))
        d = d + load(data, x + k + 3 * lanes(data)) * load(weights, w + k + 3 * lanes(data))
        k += 4 * lanes(data)
    while k < count:
        a = a + load_part(data, x + k, count - k) * load_part(weights, w + k, count - k)
        k += lanes(data)
    return (a + b) + (c + d)


@kernel
def by_panel(op, memory):
    """One for each panel of the weights; all samples together."""
    return op.panels


def dense_reach(f, at):
    """What `dense` touches."""
    yield "places", 0, f["depth"]
    yield "data", f["x"], f["depth"]
    yield "data", f["y"], f["filters"]
    yield "weights", f["bias"], f["panels"] * f["panel_width"]
    yield from packed(f, f["depth"], at)
    yield from rows_at(f, at.capacity, (at.capacity - 1) * f["depth"], at)


@kind("product", units=by_panel, reach=dense_reach)
@kernel
def dense(op, memory, first, last):
    """y = x W + bias, or its positive part, for all samples (relevances) and some panels of W."""
    data, filters = memory.data, op.filters
    samples, y = memory.samples * targets_of(op, memory), op.y * memory.capacity
    product_of_nonzeros(op, memory, samples, first, last)
    if op.rectify:
        begin, end = first * op.panel_width, min(last * op.panel_width, filters)
        for sample in range(samples):
            if end > begin:
                rectify(data, y + sample * filters + begin, y + sample * filters + begin, end - begin)


@kernel
def product_of_nonzeros(op, memory, rows, first, last):
    """`product` for `rows` samples x without the places where all of them are zero; the same bits."""
    data, weights, offsets, places, at = (memory.data, memory.weights, memory.offsets, memory.places,
                                          memory.places_at)
    x, y, depth, width, columns = (op.x * memory.capacity, op.y * memory.capacity, op.depth, op.panel_width,
                                   op.filters)
    found = find_nonzeros(data, x, depth, rows, depth, places, at)
    if 4 * found > 3 * depth:
        product(data, x, offsets, op.offsets, rows, 1, 0, weights, op.weights, first, last, depth, width,
                weights, op.bias, data, y,
                columns, columns)
        return
    for panel in range(first, last):
        b, done = op.weights + panel * depth * width, panel * width
        if width != WIDE_TILE[1] * lanes(data):
            for r in range(0, rows, NARROW_TILE[0]):
                narrow_tile(data, x, offsets, op.offsets + r, rows - r, places, at, found, weights, b, width,
                            weights, op.bias + done, 0, data, y + r * columns + done, columns, columns - done)
        elif rows == 1:
            one_wide(data, x, offsets, op.offsets, 1, places, at, found, weights, b, width,
                     weights, op.bias + done, 0, data, y + done, columns, columns - done)
        else:
            for r in range(0, rows, WIDE_TILE[0]):
                wide_tile(data, x, offsets, op.offsets + r, rows - r, places, at, found, weights, b, width,
                          weights, op.bias + done, 0, data, y + r * columns + done, columns, columns - done)
