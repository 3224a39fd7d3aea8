"""Where arrays lie in one flat array: constants one behind the other, buffers that are given back and used again."""
import ctypes
import hashlib
import sys

import numpy as np

ALIGNMENT, BYTES = 16, 64  # elements, and what they take as float32


def rounded(size):
    """The size with padding up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Constants:
    """Arrays of one type, one behind the other in one flat array; equal arrays are kept once.

    They are collected in bytes that grow in place: pieces beside the whole would take the memory twice.
    """

    def __init__(self, dtype):
        self._dtype, self._places, self._bytes = np.dtype(dtype), {}, bytearray()

    def add(self, array):
        """The position of the array's copy."""
        array = np.ascontiguousarray(array, self._dtype).reshape(-1)
        key = hashlib.sha256(array).digest()
        if key not in self._places:
            self._places[key] = len(self._bytes) // self._dtype.itemsize
            self._bytes += array.data.cast("B")
            self._bytes += bytes((rounded(array.size) - array.size) * self._dtype.itemsize)
        return self._places[key]

    def build(self):
        """The flat array, read-only, with room for a whole vector behind the last number. Nothing can be added afterwards."""
        size = len(self._bytes)
        self._bytes += bytes(BYTES + ALIGNMENT * self._dtype.itemsize)
        raw = np.frombuffer(self._bytes, np.uint8)
        start = -raw.ctypes.data % BYTES
        ctypes.memmove(raw.ctypes.data + start, raw.ctypes.data, size)
        flat = raw[start:start + size + ALIGNMENT * self._dtype.itemsize].view(self._dtype)
        flat[size // self._dtype.itemsize:] = 0
        flat.flags.writeable = False
        return flat


class Buffers:
    """Positions, for one sample, of the buffers that a program needs at the same time; what is freed is given out again."""

    def __init__(self):
        self.size, self._free, self._taken = 0, [], {}

    def take(self, count):
        """A place for `count` numbers: the smallest free one that is large enough, or a new one."""
        count = rounded(count)
        fitting = [place for place in self._free if place[1] >= count]
        if fitting:
            position, size = place = min(fitting, key=lambda one: one[1])
            self._free.remove(place)
            if size > count:
                self._free.append((position + count, size - count))
        else:
            position = self.size
            self.size += count
        self._taken[position] = count
        return position

    def free(self, position):
        """Give a buffer back; neighbours that are free as well become one."""
        self._free.append((position, self._taken.pop(position)))
        merged = []
        for start, size in sorted(self._free):
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((start, size))
        self._free = merged


def aligned(size, dtype):
    """Zeros that begin at a multiple of 64 bytes."""
    raw = np.zeros(size * np.dtype(dtype).itemsize + BYTES, np.uint8)
    start = -raw.ctypes.data % BYTES
    return raw[start:start + size * np.dtype(dtype).itemsize].view(dtype)


def return_freed_memory():
    """Hand what was freed back to the system, where the C library keeps it for itself (glibc); elsewhere nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
