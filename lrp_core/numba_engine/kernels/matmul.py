"""c = start + A b: the one matrix product of dense layers, direct and Winograd convolutions.

The rows of A are given by their positions in a flat array (an indirect product): overlapping windows need not
be unrolled. b is packed into panels of `width` columns, [panels, taps·depth, width], so that the innermost
loop reads it in one run.
"""
import numpy as np

from .forms import Form, copy
from .jit import kernel
from .simd_llvm import NARROW_TILE, WIDE_TILE, lanes, lanes_of, never_inline
from .simd_tiles import register_tile

ROWS = 64  # of a matrix that are packed at a time: they stay in the cache
WIDE_ROWS, NARROW_ROWS = WIDE_TILE[0], NARROW_TILE[0]
wide_tile, narrow_tile = register_tile(*WIDE_TILE), register_tile(*NARROW_TILE)


def panel_widths(dtype):
    """(wide, narrow): the columns of a register tile of either kind."""
    return tuple(tile[1] * lanes_of(dtype) for tile in (WIDE_TILE, NARROW_TILE))


def panel_width(columns, dtype):
    """Columns of a packed panel: the wide tile's unless the narrow one's needs less padding."""
    return min(panel_widths(dtype), key=lambda width: -(-columns // width) * width)


def panels_shape(shape, dtype):
    """[depth, columns] -> (panels, depth, width)."""
    depth, columns = shape
    width = panel_width(columns, dtype)
    return -(-columns // width), depth, width


def panels_units(shape):
    """Blocks of rows of a matrix."""
    return -(-shape[0] // ROWS)


def write_panels(matrix, panels, first, last):
    """panels[p, d, j] = matrix[d, p·width + j], zeros beyond the last column, for blocks first..last of rows.
    """
    (depth, columns), (count, _, width) = matrix.shape, panels.shape
    whole = columns // width
    begin, end = first * ROWS, min(last * ROWS, depth)
    by_column = matrix.strides[0] < matrix.strides[1]  # a transposed matrix: its columns are runs of memory
    step = end - begin if by_column else ROWS
    for row in range(begin, end, step):
        rows = slice(row, min(row + step, end))
        if by_column:
            for p in range(whole):
                copy(matrix[rows, p * width:(p + 1) * width], panels[p, rows])
        else:
            part = matrix[rows, :whole * width]
            panels[:whole, rows] = part.reshape(len(part), whole, width).swapaxes(0, 1)
    if whole < count:
        panels[whole, begin:end, :columns - whole * width] = matrix[begin:end, whole * width:]
        panels[whole, begin:end, columns - whole * width:] = 0


PANELS = Form("panels", panels_shape, panels_units, write_panels)


def pack_bias(bias, columns, dtype):
    """[columns] or None -> in `dtype`, padded with zeros to whole panels."""
    width = panel_width(columns, dtype)
    padded = np.zeros(-(-columns // width) * width, dtype)
    padded[:columns] = 0 if bias is None else bias
    return padded


@kernel
def product(a, a_at, offsets, offsets_at, rows, taps, a_tap, b, b_at, first, last, depth, width, start,
            start_at,
            c, c_at, c_row, columns):
    """Panels first..last of `rows` rows of c, row r at c_at + r·c_row; `start`, c and `columns` count from
    column 0.

    Row r of A is, for each of `taps` runs t, the `depth` numbers from a[a_at + offsets[offsets_at + r] +
    t·a_tap] on.
    """
    never_inline()
    for panel in range(first, last):
        b_panel, done = b_at + panel * taps * depth * width, panel * width
        if width == WIDE_TILE[1] * lanes(a):
            for r in range(0, rows, WIDE_ROWS):
                wide_tile(a, a_at, offsets, offsets_at + r, rows - r, taps, a_tap, b, b_panel, depth,
                          start, start_at + done, c, c_at + r * c_row + done, c_row, columns - done)
        else:
            for r in range(0, rows, NARROW_ROWS):
                narrow_tile(a, a_at, offsets, offsets_at + r, rows - r, taps, a_tap, b, b_panel, depth,
                            start, start_at + done, c, c_at + r * c_row + done, c_row, columns - done)
