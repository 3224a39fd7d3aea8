"""Copies: the axes in another order, and a map without its margin."""
from .bounds import made, must, source
from .jit import loop_kernel
from .op import RARE, Field, by_row, kind


def copy_reach(f, at):
    """What `copy` touches."""
    steps = {"step_row": "rows", "step_column": "columns", "step_filter": "filters"}
    last = sum(f[step] * (f[extent] - 1) for step, extent in steps.items())
    yield "data", f["x"], source(f)
    yield "data", f["y"], made(f)
    yield must(min(f[name] for name in ("begin", *steps)) >= 0 and f["begin"] + last < source(f))


@kind("copy", units=by_row, reach=copy_reach, group=RARE, fields={
    "begin": Field("where in the map x the first number of y lies"),
    "step_row": Field("numbers of x from one row of y to the next"),
    "step_column": Field("from one of its columns to the next"),
    "step_filter": Field("from one of its channels to the next")})
@loop_kernel
def copy(op, memory, first, last):
    """y[i, j, c] = x[begin + i·step_row + j·step_column + c·step_filter]."""
    data, filters, size = memory.data, op.filters, op.height * op.width * op.channels
    for line in range(first, last):
        sample, i = line // op.rows, line % op.rows
        for j in range(op.columns):
            at = op.x * memory.capacity + sample * size + op.begin + i * op.step_row + j * op.step_column
            to = op.y * memory.capacity + (line * op.columns + j) * filters
            for c in range(filters):
                data[to + c] = data[at + c * op.step_filter]
