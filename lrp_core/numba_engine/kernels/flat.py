"""The flat rule's way back: a kernel whose numbers are all the same needs the sum over the channels only."""
from .bounds import made, must, source
from .jit import kernel, loop_kernel
from .op import RARE, Field, by_source_row, kind, targets_of
from .simd_llvm import scalar


@kernel
def by_place(op, memory):
    """One for each place of the map of each relevance."""
    return memory.samples * targets_of(op, memory) * op.rows * op.columns


def channel_sum_reach(f, at):
    """What `channel_sum` touches."""
    yield "data", f["x"], made(f)
    yield "data", f["y"], f["rows"] * f["columns"]


@kind("sum over channels", units=by_place, reach=channel_sum_reach, group=RARE)
@loop_kernel
def channel_sum(op, memory, first, last):
    """y[place] = Σ_m x[place, m]."""
    data, channels = memory.data, op.filters
    s, t = op.x * memory.capacity, op.y * memory.capacity
    for place in range(first, last):
        here = data[s + place * channels:s + (place + 1) * channels]
        total = scalar(data, 0)
        for c in range(channels):
            total += here[c]
        data[t + place] = total


def spread_reach(f, at):
    """What `spread` touches."""
    yield "data", f["x"], f["rows"] * f["columns"]
    yield "data", f["y"], source(f)
    yield "scratch", 0, f["width"]
    yield must(f["top"] >= 0 and f["left"] >= 0)


@kind("spread", units=by_source_row, reach=spread_reach, group=RARE,
      fields={"value": Field("what all numbers of the kernel are", type="f8")})
@loop_kernel
def spread(op, memory, first, last):
    """y[i, j, c] = [y +] value · Σ x over the windows that see (i, j): the transpose of a kernel whose
    numbers are all `value`.
    """
    data, rows, columns, height, width, channels = (memory.data, op.rows, op.columns, op.height, op.width,
                                                    op.channels)
    t, r, value, stride = op.x * memory.capacity, op.y * memory.capacity, scalar(data,
                                                                                 op.value), op.stride_right
    for line in range(first, last):
        sample, y = line // height, line % height
        total = data[memory.scratch:memory.scratch + width]
        total[:] = 0
        for u in range(op.size_down):
            i = y + op.top - u * op.dilation_down
            if i < 0 or i % op.stride_down or i // op.stride_down >= rows:
                continue
            at = t + (sample * rows + i // op.stride_down) * columns
            here = data[at:at + columns]
            for v in range(op.size_right):
                x = v * op.dilation_right - op.left
                begin = max(0, (-x + stride - 1) // stride)
                end = min(columns, (width - 1 - x) // stride + 1)
                for j in range(begin, end):
                    total[x + j * stride] += here[j]
        for x in range(width):
            total[x] *= value
        at = r + line * width * channels
        for k in range(0, channels):
            for x in range(width):
                data[at + x * channels + k] = total[x] + (data[at + x * channels + k] if op.accumulate
                                                          else scalar(data, 0))
