"""Depthwise convolutions: each channel by itself, neighbouring channels in one vector; and the way back.

Both directions are the same sum for a pixel: of a few pixels of another map, each times the weights of one
place of the window, a tap. Which taps these are depends on the pixel's row and column only.
"""
from .bounds import made, must, optional, source
from .elementwise import rectify
from .jit import inlined, kernel
from .op import RARE, Field, by_row, by_source_row, kind, targets_of
from .simd_llvm import broadcast, lanes, load, load_part, store_part


@kernel
def taps_below(begin, size, dilation, extent):
    """(first, count, place): which taps of a window that begins at `begin` lie inside 0..extent - 1 of an
    axis, and the place of the first.
    """
    first = max(0, (dilation - 1 - begin) // dilation)
    end = min(size, (extent - begin + dilation - 1) // dilation)
    return first, max(0, end - first), begin + first * dilation


@kernel
def taps_above(place, size, stride, dilation, windows):
    """(first, count, window, step, back): by which taps `place` of an axis, padding counted, belongs to which
    windows.

    Tap first + n·step of window `window` - n·back, n = 0..count - 1: where window·stride + tap·dilation =
    place.
    """
    step = 1
    while step * dilation % stride:
        step += 1
    first, back = 0, step * dilation // stride
    while first < step and (place - first * dilation) % stride:
        first += 1
    window = (place - first * dilation) // stride
    skipped = max(0, (window - windows + back) // back)
    first, window = first + skipped * step, window - skipped * back
    inside = first < size and window >= 0 and (place - first * dilation) % stride == 0
    count = min((size - first + step - 1) // step, window // back + 1) if inside else 0
    return first, count, window, step, back


@kernel
def weigh(data, x, down, right, weights, w, w_down, w_right, rows, columns, bias, channels, times, accumulate,
          y):
    """y = [y +] [times ·] (bias + Σ x[u·down + v·right] w[u·w_down + v·w_right]) for the channels of a pixel.

    bias: where it lies among the weights. times < 0: 1. Four vectors at a time do not wait for each other.
    """
    wide, begin = lanes(data), 0
    while channels - begin >= 4 * wide:
        one, two = load(weights, bias + begin), load(weights, bias + begin + wide)
        three, four = load(weights, bias + begin + 2 * wide), load(weights, bias + begin + 3 * wide)
        for u in range(rows):
            for v in range(columns):
                at, tap = x + u * down + v * right + begin, w + u * w_down + v * w_right + begin
                one = one + load(data, at) * load(weights, tap)
                two = two + load(data, at + wide) * load(weights, tap + wide)
                three = three + load(data, at + 2 * wide) * load(weights, tap + 2 * wide)
                four = four + load(data, at + 3 * wide) * load(weights, tap + 3 * wide)
        put(data, one, begin, wide, times, accumulate, y)
        put(data, two, begin + wide, wide, times, accumulate, y)
        put(data, three, begin + 2 * wide, wide, times, accumulate, y)
        put(data, four, begin + 3 * wide, wide, times, accumulate, y)
        begin += 4 * wide
    for k in range(begin, channels, wide):
        count = channels - k
        total = load_part(weights, bias + k, count)
        for u in range(rows):
            for v in range(columns):
                total = total + (load_part(data, x + u * down + v * right + k, count)
                                 * load_part(weights, w + u * w_down + v * w_right + k, count))
        put(data, total, k, count, times, accumulate, y)


@inlined
def put(data, total, k, count, times, accumulate, y):
    """y = [y +] [times ·] total for up to `count` channels from k."""
    if times >= 0:
        total = total * load_part(data, times + k, count)
    # Adding 0 makes -0 a 0, as adding to other relevance would: bits must not depend on what else was added.
    total = total + (load_part(data, y + k, count) if accumulate else broadcast(data, 0))
    store_part(data, y + k, total, count)


def weights_reach(f):
    """A weight for each tap and each channel, a bias, and as many channels on both sides."""
    yield "weights", f["weights"], (f["size_down"] * f["size_right"] - 1) * f["tap"] + f["channels"]
    yield "weights", f["bias"], f["channels"]
    yield must(f["filters"] == f["channels"] and f["tap"] >= 0)


def depthwise_reach(f, at):
    """What `depthwise` touches."""
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield from weights_reach(f)


@kind("depthwise", units=by_row, reach=depthwise_reach, group=RARE, fields={
    "tap": Field("weights from one place of the window to the next; 0 where all have the same")})
@kernel
def depthwise(op, memory, first, last):
    """y[i, j, c] = [y[i, j, c] +] b[c] + Σ_{u, v} x[i·stride + u, j·stride + v, c] W[u, v, c], or its
    positive part.
    """
    data, capacity, channels, width = memory.data, memory.capacity, op.channels, op.width
    for line in range(first, last):
        sample, i = line // op.rows, line % op.rows
        u, rows, row = taps_below(i * op.stride_down - op.top, op.size_down, op.dilation_down, op.height)
        to = op.y * capacity + line * op.columns * channels
        for j in range(op.columns):
            v, columns, column = taps_below(j * op.stride_right - op.left, op.size_right, op.dilation_right,
                                            width)
            weigh(data, op.x * capacity + ((sample * op.height + row) * width + column) * channels,
                  op.dilation_down * width * channels, op.dilation_right * channels,
                  memory.weights, op.weights + (u * op.size_right + v) * op.tap, op.size_right * op.tap,
                  op.tap, rows, columns, op.bias, channels, -1, op.accumulate, to + j * channels)
        if op.rectify:
            rectify(data, to, to, op.columns * channels)


def depthwise_back_reach(f, at):
    """What `depthwise_back` touches."""
    yield "data", f["x"], made(f)
    yield "data", f["y"], source(f)
    yield from optional(f, "times", source(f))
    yield from weights_reach(f)


@kind("depthwise adjoint", units=by_source_row, reach=depthwise_back_reach, group=RARE)
@kernel
def depthwise_back(op, memory, first, last):
    """y[i, j, c] = [y +] [times ·] Σ x[k, m, c] W[u, v, c] over all windows (k, m) whose place (u, v) is
    (i, j).
    """
    data, capacity, targets, channels = memory.data, memory.capacity, targets_of(op, memory), op.channels
    for line in range(first, last):
        sample, i = line // op.height, line % op.height
        u, rows, k, step_down, up = taps_above(i + op.top, op.size_down, op.stride_down, op.dilation_down,
                                               op.rows)
        by = op.times * capacity + (sample // targets * op.height + i) * op.width * channels
        for j in range(op.width):
            v, columns, m, step_right, back = taps_above(j + op.left, op.size_right, op.stride_right,
                                                         op.dilation_right, op.columns)
            weigh(data, op.x * capacity + ((sample * op.rows + k) * op.columns + m) * channels,
                  -up * op.columns * channels, -back * channels,
                  memory.weights, op.weights + (u * op.size_right + v) * op.tap,
                  step_down * op.size_right * op.tap, step_right * op.tap, rows, columns, op.bias,
                  channels, by + j * channels if op.times >= 0 else -1, op.accumulate,
                  op.y * capacity + (line * op.width + j) * channels)
