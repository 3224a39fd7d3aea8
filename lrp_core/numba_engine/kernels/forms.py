"""In which form constants lie in memory: as they are, or arranged for the kernels that read them."""
import dataclasses
from collections.abc import Callable

import numpy as np

TILE = 128  # numbers along each side of a square that is turned at a time: it stays in the cache


@dataclasses.dataclass(frozen=True)
class Form:
    """One way to write an array for kernels.

    shape: (shape of the array, dtype) -> shape as it lies. units: shape of the array -> into how many pieces
    the work divides. write: (array, out, first, last), which writes pieces first..last into `out`.
    """
    name: str
    shape: Callable
    units: Callable
    write: Callable


def copy(array, out):
    """out[...] = array, where numbers that are neighbours in one may lie far apart in the other.

    NumPy would read (or write) one number of each line of memory, and lines that lie a power of two apart
    push each other out of the cache. Here a square of both is turned at a time.
    """
    nearest = min(range(array.ndim), key=lambda axis: abs(array.strides[axis]), default=0)
    if nearest == array.ndim - 1 or array.size <= TILE * TILE:
        out[...] = array
        return
    array, out = (np.moveaxis(one, nearest, -2) for one in (array, out))  # [..., near in array, near in out]
    tile = np.empty((TILE, TILE + 8), out.dtype)
    for place in np.ndindex(array.shape[:-2]):
        source, target = array[place].T, out[place].T
        for row in range(0, len(source), TILE):
            for column in range(0, source.shape[1], TILE):
                part = source[row:row + TILE, column:column + TILE]
                turned = tile[:part.shape[0], :part.shape[1]]
                turned[...] = part
                target[row:row + TILE, column:column + TILE] = turned


PLAIN = Form("plain", lambda shape, dtype: shape, lambda shape: shape[0] if shape else 1,
             lambda array, out, first, last: copy(array[first:last], out[first:last]) if array.ndim
             else np.copyto(out, array))
