"""Proof before the first run that no op of a program reads or writes outside its arrays: kernels check
nothing.
"""
from .kernels.bounds import Sizes
from .kernels.op import FIELDS, KINDS

# What no op may have below zero: extents of maps and windows, and padding.
EXTENTS = ("height", "width", "channels", "rows", "columns", "filters", "top", "left", "size_down",
           "size_right")


class ProgramError(AssertionError):
    """A program would leave its arrays: an error of the lowering, never of its user."""


def check(ops, *, dtype, data, sums, scratch, places, weights, offsets, capacity):
    """Raise ProgramError for the first op that leaves its arrays.

    data, sums: numbers for one sample. scratch, places: numbers for one worker. weights, offsets: the
    constant arrays.
    capacity: how many samples a workspace may hold.
    """
    sizes = {"data": data, "sums": sums, "scratch": scratch, "places": places, "weights": len(weights)}
    at = Sizes(dtype, capacity, offsets)
    for number, op in enumerate(ops):
        f = {name: op[name].item() for name in FIELDS}
        name = KINDS[f["kind"]].name
        if min(f[extent] for extent in EXTENTS) < 0:
            raise ProgramError(f"op {number} ({name}) has an extent below zero")
        for where, position, count in reach(f, at):
            if position < 0 or count < 0 or position + count > sizes[where]:
                raise ProgramError(f"op {number} ({name}) takes {where}[{position} : {position + count}] of "
                                   f"{sizes[where]}")


def reach(f, at):
    """(array, position, count) of everything that an op with fields f touches, for one sample."""
    return KINDS[f["kind"]].reach(f, at)


def most(ops, where, at):
    """The most numbers of "scratch" or "places" that any op needs."""
    return max((count for op in ops for array, _,
                count in reach({name: op[name].item() for name in FIELDS}, at) if array == where),
               default=0)
