"""Proof before the first run that no row of a program reads or writes outside its arrays: kernels check nothing."""

from . import interpreter as P
from .kernels.elementwise import BOOKS
from .kernels.matmul import panel_widths
from .kernels.sparse import BAND, TOGETHER, band_width
from .kernels.repair import RUN, runs_size
from .kernels.simd_llvm import lanes_of
from .kernels.winograd import TILES, scratch_size


class ProgramError(AssertionError):
    """A program would leave its arrays: an error of the planner, never of its user."""


def check(program, *, dtype, data, sums, scratch, places, weights, offsets, capacity):
    """Raise ProgramError for the first row that leaves its arrays.

    data, sums: numbers for one sample. scratch, places: numbers for one worker. weights, offsets: the constant arrays.
    """
    sizes = {"data": data, "sums": sums, "scratch": scratch, "places": places, "weights": len(weights)}
    for number, step in enumerate(program):
        for where, position, count in reach(step, offsets, capacity, dtype):
            if position < 0 or count < 0 or position + count > sizes[where]:
                raise ProgramError(f"row {number} ({P.NAMES[step['kind']]}) takes {where}[{position} : {position + count}] "
                                   f"of {sizes[where]}")


def reach(step, offsets, capacity, dtype):
    """(array, position, count) of everything a row touches, for one sample."""
    f = {name: int(step[name]) for name in P.INTEGERS}
    source, made = f["height"] * f["width"] * f["channels"], f["rows"] * f["columns"] * f["filters"]
    kind, columns = f["kind"], f["filters"]

    def window_fits():
        """Nothing of a window may lie beyond the (padded) map."""
        last_row = (f["rows"] - 1) * f["stride_down"] + (f["size_down"] - 1) * f["dilation_down"]
        last_column = (f["columns"] - 1) * f["stride_right"] + (f["size_right"] - 1) * f["dilation_right"]
        return ("data", 0, 0 if last_row < f["height"] and last_column < f["width"] else -1)

    def product(depth):
        """A packed matrix of `depth` rows in all, in panels that hold every column."""
        yield "weights", f["weights"], f["panels"] * depth * f["panel_width"]
        yield "data", 0, 0 if f["panel_width"] in panel_widths(dtype) and 0 < columns <= f["panels"] * f["panel_width"] else -1

    def rows_at(at, count, largest):
        """`count` offsets, none above `largest`."""
        some = offsets[at:at + count]
        yield "data", 0, 0 if at >= 0 and len(some) == count and some.min() >= 0 and some.max() <= largest else -1

    if min(f["height"], f["width"], f["channels"], f["rows"], f["columns"], f["filters"], f["top"], f["left"]) < 0:
        yield "data", 0, -1
    if kind == P.DIRECT:
        tap = f["dilation_down"] * f["width"] * f["channels"]
        yield from (("data", f["x"], source), ("data", f["y"], made), ("weights", f["bias"], f["panels"] * f["panel_width"]), window_fits())
        yield from product(f["size_down"] * f["depth"])
        yield from rows_at(f["offsets"], f["rows"] * f["columns"], source - (f["size_down"] - 1) * tap - f["depth"])
    elif kind in (P.WINOGRAD, P.RESTORE, P.SHARPEN):
        yield from (("data", f["x"], source), ("data", f["y"], made), ("weights", f["bias"], columns))
        yield "data", 0, 0 if f["channels"] % lanes_of(dtype) == columns % lanes_of(dtype) == 0 else -1
        if kind == P.WINOGRAD:
            yield from product(36 * f["channels"])
            yield from rows_at(f["offsets"], TILES, (TILES - 1) * f["channels"])
            yield from (("weights", f["zeros"], f["panels"] * f["panel_width"]), ("scratch", 0, scratch_size(f["channels"], columns, dtype)))
        elif kind == P.SHARPEN:
            yield "weights", f["weights"], 9 * f["channels"] * columns
        else:
            yield from product(9 * f["channels"])
            yield from rows_at(f["offsets"], RUN, (RUN - 1) * 9 * f["channels"])
            yield from (("data", f["runs"], runs_size(f["rows"], f["columns"])),
                        ("scratch", 0, f["rows"] * f["columns"] + RUN * 9 * f["channels"]))
    elif kind == P.DENSE:
        yield from (("places", 0, f["depth"]), ("data", f["x"], f["depth"]), ("data", f["y"], columns),
                    ("weights", f["bias"], f["panels"] * f["panel_width"]))
        yield from product(f["depth"])
        yield from rows_at(f["offsets"], capacity, (capacity - 1) * f["depth"])
    elif kind in (P.MAX_POOL, P.MAX_UNPOOL):
        small, large = ("y", "x") if kind == P.MAX_POOL else ("x", "y")
        yield from (("data", f[large], source), ("data", f[small], made), ("data", f["winner"], made),
                    ("data", 0, 0 if f["filters"] == f["channels"] else -1))
    elif kind == P.FOLD:
        window = f["size_down"] * f["size_right"] * f["channels"]
        yield from (("data", f["x"], f["rows"] * f["columns"] * window), ("data", f["y"], source),
                    ("scratch", 0, f["width"] * f["channels"]))
    elif kind == P.FLAG:
        yield from (("data", f["x"], made), ("data", f["y"], 1))
    elif kind in (P.SCATTER, P.DOTS):
        size = f["size_down"] * f["size_right"] * f["channels"] * columns
        yield from (("weights", f["weights"], size), ("data", f["flag"], 1))
        if kind == P.DOTS:
            yield from (("data", f["x"], source), ("data", f["y"], made), ("data", f["z"], made), ("weights", f["bias"], columns),
                        ("places", 0, columns), ("weights", f["zeros"], columns))
            if f["other"] != P.NONE:
                yield from (("data", f["other"], made), ("data", f["gate_y"], made))
        else:
            line = band_width(f["columns"], f["stride_right"], f["size_right"], f["left"], f["width"]) * f["channels"]
            yield from (("data", f["x"], made), ("data", f["y"], source), ("scratch", 0, TOGETHER * BAND * line),
                        ("places", 0, f["columns"] * (columns + 1)))
            yield from rows_at(f["offsets"], 1, 0)
    elif kind == P.SPREAD:
        yield from (("data", f["x"], f["rows"] * f["columns"]), ("data", f["y"], source), ("scratch", 0, f["width"]))
    elif kind == P.CHANNEL_SUM:
        yield from (("data", f["x"], made), ("data", f["y"], f["rows"] * f["columns"]))
    elif kind == P.PAD:
        yield from (("data", f["x"], source), ("data", f["y"], made), ("data", 0, 0 if f["filters"] == f["channels"] else -1))
        yield "data", 0, 0 if 0 <= f["left"] <= f["columns"] - f["width"] else -1
    elif kind == P.FIND_RUNS:
        yield from (("data", f["x"], source), ("data", f["runs"], runs_size(f["rows"], f["columns"])))
    elif kind == P.RATIO:
        yield from (("data", f["x"], made), ("data", f["y"], made), ("weights" if f["shared"] else "data", f["z"], made),
                    ("sums", f["book"], f["rows"] * BOOKS))
        if f["gate"]:
            yield "data", f["gate_y"], made
        if f["bias"] != P.NONE:
            yield "weights", f["bias"], columns
    elif kind == P.MEASURE:
        yield from (("data", f["x"], made), ("sums", f["book"], f["rows"] * BOOKS))
    else:
        yield from (("data", f["x"], made), ("data", f["y"], made))
    if f["flag"] != P.NONE:
        yield "data", f["flag"], 1
    if f["times"] != P.NONE:
        yield "data", f["times"], made if kind in (P.WINOGRAD, P.COMBINE) else source
