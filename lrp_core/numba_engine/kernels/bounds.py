"""How far ops reach: what the kinds of op declare their bounds with (see `op.kind`). Plain Python; runs once
a program.
"""
import dataclasses

import numpy as np

from .matmul import panel_widths
from .op import NONE


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What bounds depend on besides an op's fields: the precision, samples a workspace holds, the offsets
    themselves.
    """
    dtype: str
    capacity: int
    offsets: np.ndarray


def source(f):
    """Numbers in the map [height, width, channels]."""
    return f["height"] * f["width"] * f["channels"]


def made(f):
    """Numbers in the map [rows, columns, filters]."""
    return f["rows"] * f["columns"] * f["filters"]


def must(holds):
    """Nothing where a condition holds, else something that no array has."""
    return ("data", 0, 0 if holds else -1)


def optional(f, name, count):
    """The array that a field names, where it names one."""
    if f[name] != NONE:
        yield "data", f[name], count


def window_fits(f):
    """Nothing of a window may lie beyond the (padded) map [height, width]."""
    last_row = (f["rows"] - 1) * f["stride_down"] + (f["size_down"] - 1) * f["dilation_down"]
    last_column = (f["columns"] - 1) * f["stride_right"] + (f["size_right"] - 1) * f["dilation_right"]
    return must(last_row < f["height"] and last_column < f["width"])


def packed(f, depth, at):
    """A packed matrix of `depth` rows in all, in panels that hold every column."""
    yield "weights", f["weights"], f["panels"] * depth * f["panel_width"]
    yield must(f["panel_width"] in panel_widths(at.dtype)
               and 0 < f["filters"] <= f["panels"] * f["panel_width"])


def rows_at(f, count, largest, at):
    """`count` offsets, none above `largest`."""
    some = at.offsets[f["offsets"]:f["offsets"] + count]
    yield must(f["offsets"] >= 0 and len(some) == count and some.min() >= 0 and some.max() <= largest)


def map_to_map(f, at):
    """An op that reads x and writes y, both [rows, columns, filters]."""
    yield "data", f["x"], made(f)
    yield "data", f["y"], made(f)
