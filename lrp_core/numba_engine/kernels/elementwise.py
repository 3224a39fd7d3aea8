"""Passes over whole arrays: where relevance starts, what a unit of z is worth, and products of parts."""
from ...stabilize import SMALLEST
from .jit import kernel, loop_kernel
from .simd_llvm import broadcast, lane_sum, lanes, load_part, scalar, store_part, where_at_least, where_greater

# What `ratio` books for each row of each sample.
RECEIVED, ABSOLUTE, GIVEN, BIAS, STABILIZER = range(5)
BOOKS = 5
WINNER, NOBODY = -1, -2
NO_GATE, ABOVE_ZERO, BELOW_ZERO = range(3)


@loop_kernel
def start(data, scores, classes, favoured, other, fan, r, first, last):
    """r[n, k] = scores[n, k] where k is the favoured class, minus that of the other; WINNER: the first largest, NOBODY: none."""
    for sample in range(first, last):
        score = data[scores + sample // fan * classes:scores + (sample // fan + 1) * classes]
        best = 0
        for k in range(classes):
            if score[k] > score[best]:
                best = k
        plus = best if favoured[sample] == WINNER else favoured[sample]
        minus = best if other[sample] == WINNER else other[sample]
        for k in range(classes):
            sign = (1 if k == plus else 0) - (1 if k == minus else 0)
            data[r + sample * classes + k] = scalar(data, sign) * score[k]


@kernel
def ratio(data, r, z, fan, shared, rows, row, channels, epsilon, coefficient, gate, y, weights, bias, s, sums, book, first, last):
    """Rows first..last of s = c·m·r / stabilize(z), 0 where z is: relevance for each unit of z; and its books, row by row.

    stabilize(z) = z + ε·sign(z), sign(0) = +1. m is 1, or where `gate` says so 1 where y > 0 (y < 0) only. A sample is `rows`
    rows of `row` numbers, whose `channels` come last. shared: z is the same for all samples. The five books, in float64:
    Σ r, Σ |r|, Σ c·m·r that found somebody, Σ s·bias, Σ s·(stabilize(z) - z). bias < 0: there is none.
    """
    zero = broadcast(data, 0)
    for line in range(first, last):
        sample, i = line // rows, line % rows
        source = sample // fan * rows * row + i * row
        denominator = i * row if shared else source
        received, absolute, given, biased, kept = zero, zero, zero, zero, zero
        for pixel in range(0, row, channels):
            for c in range(0, channels, lanes(data)):
                count = channels - c
                k = pixel + c
                relevance = load_part(data, r + line * row + k, count)
                below = load_part(weights if shared else data, z + denominator + k, count)
                sign = where_at_least(below, zero, broadcast(data, 1), broadcast(data, -1))
                stable = below + sign * epsilon
                somebody = where_at_least(sign * stable, broadcast(data, SMALLEST), broadcast(data, 1), zero)
                gated = somebody * coefficient
                if gate != NO_GATE:
                    output = load_part(data, y + source + k, count)
                    if gate == ABOVE_ZERO:
                        gated = where_greater(output, zero, gated, zero)
                    else:
                        gated = where_greater(zero, output, gated, zero)
                share = relevance * gated
                unit = share / where_greater(somebody, zero, stable, broadcast(data, 1))
                store_part(data, s + line * row + k, unit, count)
                received = received + relevance
                absolute = absolute + where_at_least(relevance, zero, relevance, zero - relevance)
                given = given + share
                kept = kept + unit * sign
                if bias >= 0:
                    biased = biased + unit * load_part(weights, bias + c, count)
        at = book + line * BOOKS
        sums[at + RECEIVED] = lane_sum(received)
        sums[at + ABSOLUTE] = lane_sum(absolute)
        sums[at + GIVEN] = lane_sum(given)
        sums[at + BIAS] = lane_sum(biased)
        sums[at + STABILIZER] = lane_sum(kept) * epsilon


@kernel
def measure(data, r, row, sums, book, first, last):
    """The first two books of rows first..last, for relevance that nothing divides: Σ r and Σ |r|."""
    zero = broadcast(data, 0)
    for line in range(first, last):
        received, absolute = zero, zero
        for k in range(0, row, lanes(data)):
            relevance = load_part(data, r + line * row + k, row - k)
            received = received + relevance
            absolute = absolute + where_at_least(relevance, zero, relevance, zero - relevance)
        sums[book + line * BOOKS + RECEIVED] = lane_sum(received)
        sums[book + line * BOOKS + ABSOLUTE] = lane_sum(absolute)


@kernel
def combine(data, c, rows, row, times, fan, accumulate, r, first, last):
    """Rows first..last of r = [r +] [times ·] c."""
    for line in range(first, last):
        by = times + (line // rows // fan * rows + line % rows) * row if times >= 0 else times
        put_row(data, c + line * row, row, by, accumulate, r + line * row)


@kernel
def put_row(data, c, row, times, accumulate, r):
    """r = [r +] [times ·] c for one row; times < 0: 1."""
    for k in range(0, row, lanes(data)):
        count = row - k
        value = load_part(data, c + k, count)
        if times >= 0:
            value = value * load_part(data, times + k, count)
        # Adding 0 makes -0 a 0, as adding to other relevance would: bits must not depend on what else was added.
        value = value + (load_part(data, r + k, count) if accumulate else broadcast(data, 0))
        store_part(data, r + k, value, count)


@kernel
def part(data, x, row, sign, y, first, last):
    """Rows first..last of y = x⁺ (sign 1) or x⁻ (sign -1)."""
    zero = broadcast(data, 0)
    for k in range(first * row, last * row, lanes(data)):
        count = last * row - k
        value = load_part(data, x + k, count)
        if sign > 0:
            value = where_greater(value, zero, value, zero)
        else:
            value = where_greater(zero, value, value, zero)
        store_part(data, y + k, value, count)


@loop_kernel
def channel_sum(data, s, channels, t, first, last):
    """t[place] = Σ_m s[place, m] for places first..last."""
    for place in range(first, last):
        here = data[s + place * channels:s + (place + 1) * channels]
        total = scalar(data, 0)
        for c in range(channels):
            total += here[c]
        data[t + place] = total


@loop_kernel
def spread(data, t, rows, columns, kernel_height, kernel_width, stride_down, stride_right, dilation_down, dilation_right,
           top, left, value, r, height, width, channels, accumulate, scratch, first, last):
    """Rows first..last of r[y, x, c] = [r +] value · Σ t over the windows that see (y, x): the transpose of an all-equal kernel."""
    for line in range(first, last):
        sample, y = line // height, line % height
        total = data[scratch:scratch + width]
        total[:] = 0
        for u in range(kernel_height):
            i = y + top - u * dilation_down
            if i < 0 or i % stride_down or i // stride_down >= rows:
                continue
            here = data[t + (sample * rows + i // stride_down) * columns:t + (sample * rows + i // stride_down + 1) * columns]
            for v in range(kernel_width):
                x = v * dilation_right - left
                begin = max(0, (-x + stride_right - 1) // stride_right)
                end = min(columns, (width - 1 - x) // stride_right + 1)
                for j in range(begin, end):
                    total[x + j * stride_right] += here[j]
        for x in range(width):
            total[x] *= value
        at = r + line * width * channels
        for k in range(0, channels):
            for x in range(width):
                data[at + x * channels + k] = total[x] + (data[at + x * channels + k] if accumulate else scalar(data, 0))
