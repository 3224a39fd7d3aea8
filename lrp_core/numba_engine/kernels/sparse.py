"""Products that leave out zeros: behind a ReLU and a max-pool few units of a layer carry relevance.

Whether a sample is sparse at a layer is told by its own forward pass (`flag_sparse`), so that its numbers depend neither on
its batch nor on the targets that are explained with it. Where it is, the transposed convolution adds, for each unit that
carries some, its row of weights to the map below; and the denominators of rules that do not share by the forward pass are
computed for these units only, as short direct sums.
"""
from .jit import inlined, kernel
from .elementwise import put_row
from .matmul import product
from .simd_llvm import (
    NARROW_TILE,
    WIDE_TILE,
    broadcast,
    fold_lanes,
    gather_tile,
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

BAND = 16  # rows of the map that a unit of work fills
LONG, MIDDLE, SHORT = 12, 6, 3
NEAR = 0.1  # a difference below this part of its terms is not taken for a denominator
TOGETHER = 5  # relevances of one sample that are carried back at the same time
long_tile, middle_tile, short_tile, last_tile = (gather_tile(1, vectors) for vectors in (LONG, MIDDLE, SHORT, 1))
one_wide, wide_tile, narrow_tile = gather_tile(1, WIDE_TILE[1]), gather_tile(*WIDE_TILE), gather_tile(*NARROW_TILE)


@inlined
def find_nonzeros(data, x, row, rows, count, places, at):
    """places[at :] = the k < count at which any of `rows` arrays, `row` numbers apart, is not zero; returns how many."""
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


@kernel
def flag_sparse(data, y, size, most, flag, first, last):
    """flag[sample] = 1 where fewer than `most` of a sample's `size` numbers y differ from 0, else 0."""
    zero, one = broadcast(data, 0), broadcast(data, 1)
    for sample in range(first, last):
        found = zero
        for k in range(0, size, lanes(data)):
            found = found + where_equal(load_part(data, y + sample * size + k, size - k), zero, zero, one)
        data[flag + sample] = 1 if lane_sum(found) < most else 0


@kernel
def add_row(data, s, filters, columns, places, at, weights, w, run, to, step, offsets, zero):
    """For the columns of one row of s, data[to + column·step : + run] += Σ_e s[column, places[e]] · w[places[e], : run].

    places[at :] holds the nonzeros of all columns, one column behind the other, and then, for each column, where they end.
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
def scatter(data, s, rows, columns, filters, kernel_height, kernel_width, stride_down, stride_right, dilation_down, top, left,
            weights, w, r, height, width, channels, times, fan, accumulate, flag, offsets, zero, places, at, scratch,
            first, last):
    """Bands first..last of r = [r +] [times ·] convᵀ(s), for samples whose relevance is sparse; w is [kh, filters, kw·channels].

    Every unit adds its kernel to the map: for each kernel row one run of kw·channels numbers, since in NHWC neighbouring
    pixels follow each other. The band lies in scratch with room for kernels that reach over the edge. A sample's `fan`
    relevances are taken together: they have the same nonzeros, those of the forward pass.
    """
    never_inline()
    bands = (height + BAND - 1) // BAND
    run, line = kernel_width * channels, band_width(columns, stride_right, kernel_width, left, width) * channels
    size = rows * columns * filters
    for unit in range(first, last):
        sample, y0 = unit // bands, unit % bands * BAND
        y1 = min(y0 + BAND, height)
        if data[flag + sample] == 0:
            continue
        for k in range(0, fan * (y1 - y0) * line, lanes(data)):
            store_part(data, scratch + k, broadcast(data, 0), fan * (y1 - y0) * line - k)
        row_first = max(0, (y0 + top - (kernel_height - 1) * dilation_down + stride_down - 1) // stride_down)
        row_last = min(rows - 1, (y1 - 1 + top) // stride_down)
        for i in range(row_first, row_last + 1):
            # All units of a row first, then kernel row by kernel row: each one's weights stay in the nearest cache.
            pixels = s + sample * fan * size + i * columns * filters
            ends = at + columns * filters
            found = 0
            for j in range(columns):
                found += find_nonzeros(data, pixels + j * filters, size, fan, filters, places, at + found)
                places[ends + j] = found
            for u in range(kernel_height):
                y = i * stride_down - top + u * dilation_down
                to, kernel_row = scratch + (y - y0) * fan * line, w + u * filters * run
                if y < y0 or y >= y1:
                    continue
                for one in range(fan):
                    add_row(data, pixels + one * size, filters, columns, places, at, weights, kernel_row, run, to + one * line,
                            stride_right * channels, offsets, zero)
        for y in range(y0, y1):
            by = times + (sample * height + y) * width * channels if times >= 0 else times
            for one in range(fan):
                put_row(data, scratch + ((y - y0) * fan + one) * line + left * channels, width * channels, by, accumulate,
                        r + ((sample * fan + one) * height + y) * width * channels)


@inlined
def band_width(columns, stride_right, kernel_width, left, width):
    """Pixels in a row of the band: from the first window's first column to the last one's last, or the map's."""
    return max((columns - 1) * stride_right + kernel_width, left + width)


@kernel
def dots(data, r, fan, x, height, width, channels, kernel_height, kernel_width, stride_down, stride_right, dilation_down, top, left,
         weights, w, bias, z, rows, columns, filters, flag, y, other, rest, places, at, first, last):
    """Rows first..last of z = conv(x) + bias where any of a sample's `fan` relevances r is not zero, for sparse samples.

    w is [filters, kh, kw·channels]. Where r is zero z is left as it is. other: where kernels of two groups make up the
    layer's own, W = W₁ + W₂, the z of the first; then z = y - other + rest, with the biases that differ in `rest`, unless
    that is so much smaller than they are that their rounding would show. other < 0: there is none.
    """
    never_inline()
    run = kernel_width * channels
    for line in range(first, last):
        sample, i = line // rows, line % rows
        if data[flag + sample] == 0:
            continue
        for j in range(columns):
            place = (i * columns + j) * filters
            here = sample * rows * columns * filters + place
            found = find_nonzeros(data, r + sample * fan * rows * columns * filters + place, rows * columns * filters, fan,
                                  filters, places, at)
            x0 = j * stride_right - left
            begin, end = max(0, -x0) * channels, min(kernel_width, width - x0) * channels
            for e in range(found):
                m = places[at + e]
                if other >= 0:
                    difference = data[y + here + m] - data[other + here + m] + weights[rest + m]
                    if abs(difference) > NEAR * max(abs(data[y + here + m]), abs(data[other + here + m])):
                        data[z + here + m] = difference
                        continue
                total = broadcast(data, 0)
                for u in range(kernel_height):
                    row = i * stride_down - top + u * dilation_down
                    if 0 <= row < height:
                        total = total + dot(data, x + ((sample * height + row) * width + x0) * channels + begin, weights,
                                            w + (m * kernel_height + u) * run + begin, end - begin)
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
def product_of_nonzeros(data, x, depth, rows, offsets, offsets_at, weights, w, first, last, width, bias, y, columns, places, at):
    """`product` for `rows` samples x, `depth` numbers each, without the places where all of them are zero; the same bits."""
    found = find_nonzeros(data, x, depth, rows, depth, places, at)
    if 4 * found > 3 * depth:
        product(data, x, offsets, offsets_at, rows, 1, 0, weights, w, first, last, depth, width, weights, bias, data, y, columns, columns)
        return
    for panel in range(first, last):
        b, done = w + panel * depth * width, panel * width
        if width != WIDE_TILE[1] * lanes(data):
            for r in range(0, rows, NARROW_TILE[0]):
                narrow_tile(data, x, offsets, offsets_at + r, rows - r, places, at, found, weights, b, width,
                            weights, bias + done, 0, data, y + r * columns + done, columns, columns - done)
        elif rows == 1:
            one_wide(data, x, offsets, offsets_at, 1, places, at, found, weights, b, width,
                     weights, bias + done, 0, data, y + done, columns, columns - done)
        else:
            for r in range(0, rows, WIDE_TILE[0]):
                wide_tile(data, x, offsets, offsets_at + r, rows - r, places, at, found, weights, b, width,
                          weights, bias + done, 0, data, y + r * columns + done, columns, columns - done)
