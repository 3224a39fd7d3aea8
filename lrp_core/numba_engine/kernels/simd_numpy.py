"""What each name of `simd_llvm` and `simd_tiles` does, in NumPy: used in its place where Numba's compiler is
switched off, as by a debugger.
"""
import numpy as np

__all__ = [
    "any_below",
    "broadcast",
    "differ",
    "fold_lanes",
    "lane_max",
    "lane_sum",
    "lanes",
    "load",
    "load_part",
    "lowest_bit",
    "never_inline",
    "nonzeros",
    "scalar",
    "store",
    "store_part",
    "where_at_least",
    "where_equal",
    "where_greater",
]


def lanes(array):
    """How many values of the array's type a Vector holds."""
    from .simd_llvm import lanes_of
    return lanes_of(array.dtype)


def scalar(array, number):
    """The number in the array's own type."""
    return array.dtype.type(number)


def load(array, position):
    """Vector of array[position : position + lanes(array)]."""
    return array[position:position + lanes(array)].copy()


def load_part(array, position, count):
    """Vector of array[position : position + count], zeros after it."""
    value = np.zeros(lanes(array), array.dtype)
    some = array[position:position + min(count, lanes(array))]
    value[:len(some)] = some
    return value


def store(array, position, value):
    """array[position : position + lanes(array)] = value."""
    array[position:position + lanes(array)] = value


def store_part(array, position, value, count):
    """array[position : position + min(count, lanes(array))] = value's first lanes."""
    count = min(count, lanes(array))
    array[position:position + count] = value[:count]


def broadcast(like, number):
    """Vector of an array's type with the number in every lane."""
    return np.full(lanes(like), number, like.dtype)


def lane_sum(value):
    """The sum of all lanes in float64, first lane first."""
    return float(np.add.accumulate(value, dtype=np.float64)[-1])


def where_greater(a, b, x, y):
    """Lane by lane x where a > b, else y."""
    return np.where(a > b, x, y)


def where_equal(a, b, x, y):
    """Lane by lane x where a == b, else y."""
    return np.where(a == b, x, y)


def where_at_least(a, b, x, y):
    """Lane by lane x where a >= b, else y."""
    return np.where(a >= b, x, y)


def differ(a, b):
    """Is any lane of a unequal to that of b?"""
    return bool((a != b).any())


def lane_max(value):
    """The largest lane."""
    return value.max()


def any_below(a, b):
    """Is any |a| below b?"""
    return bool((np.abs(a) < b).any())


def fold_lanes(value):
    """The sum of all lanes in their own type."""
    return value.sum(dtype=value.dtype)


def nonzeros(value):
    """Bit by bit: is the lane unequal to 0?"""
    return sum(1 << int(lane) for lane in np.flatnonzero(value))


def lowest_bit(bits):
    """The number of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1


def never_inline():
    """Nothing."""


def register_tile(rows, vectors):
    """The block of a matrix product that `simd_tiles.register_tile` describes."""
    def tile(a, a_at, offsets, first, live, taps, a_tap, b, b_at, depth, start, start_at, c, c_at, c_row,
             columns):
        width = vectors * lanes(c)
        columns = min(columns, width)
        panel = b[b_at:b_at + taps * depth * width].reshape(taps, depth, width)
        for r in range(min(rows, live)):
            total = start[start_at:start_at + width].copy()
            for t in range(taps):
                at = a_at + offsets[first + r] + t * a_tap
                total += a[at:at + depth] @ panel[t]
            c[c_at + r * c_row:c_at + r * c_row + columns] = total[:columns]
    return tile


def gather_tile(rows, vectors):
    """The block of a matrix product that `simd_tiles.gather_tile` describes."""
    def tile(a, a_at, offsets, first, live, places, places_at, count, b, b_at, b_row, start, start_at,
             start_row,
             c, c_at, c_row, columns):
        width, chosen = vectors * lanes(c), places[places_at:places_at + count]
        for r in range(min(rows, live)):
            total = start[start_at + r * start_row:start_at + r * start_row + min(columns, width)].copy()
            for k in chosen:
                total += a[a_at + offsets[first + r] + k] * b[b_at + k * b_row:b_at + k * b_row + len(total)]
            c[c_at + r * c_row:c_at + r * c_row + len(total)] = total
    return tile
