"""Where arrays lie: constants one after the other; buffers by their lifetimes, so that they can share places.
"""
import collections
import ctypes
import dataclasses
import hashlib
import sys

import numpy as np

from .kernels.op import FIELDS, kind_of

ALIGNMENT, BYTES = 16, 64  # elements, and what they take as float32
PROBED = 4096  # numbers of an array that are looked at before all are compared


def rounded(size):
    """The size with padding up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Constants:
    """Arrays of one type, one after the other in one flat array; equal arrays are kept once.

    They are collected in bytes that grow in place: pieces beside the whole would take the memory twice.
    """

    def __init__(self, dtype):
        self._dtype, self._places, self._bytes = np.dtype(dtype), {}, bytearray()

    def add(self, array):
        """The position of the array's copy."""
        array = np.ascontiguousarray(array, self._dtype).reshape(-1)
        some = np.ascontiguousarray(array[::max(array.size // PROBED, 1)])
        places = self._places.setdefault((array.size, hashlib.sha256(some).digest()), [])
        for place in places:
            if self._holds(place, array):
                return place
        places.append(len(self._bytes) // self._dtype.itemsize)
        self._bytes += array.data.cast("B")
        self._bytes += bytes((rounded(array.size) - array.size) * self._dtype.itemsize)
        return places[-1]

    def _holds(self, place, array):
        """Are the numbers at a place those of the array, to the bit?"""
        kept = np.frombuffer(self._bytes, np.uint8, array.nbytes, place * self._dtype.itemsize)
        return np.array_equal(kept, array.view(np.uint8))

    def build(self):
        """The flat array, read-only, with a whole vector more than the last number. Nothing can be added
        afterwards.
        """
        size = len(self._bytes)
        self._bytes += bytes(BYTES + ALIGNMENT * self._dtype.itemsize)
        raw = np.frombuffer(self._bytes, np.uint8)
        start = -raw.ctypes.data % BYTES
        ctypes.memmove(raw.ctypes.data + start, raw.ctypes.data, size)
        flat = raw[start:start + size + ALIGNMENT * self._dtype.itemsize].view(self._dtype)
        flat[size // self._dtype.itemsize:] = 0
        flat.flags.writeable = False
        return flat


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything of a program lies, for one sample. positions: of each buffer. size: numbers in all of
    them together.
    """
    positions: tuple[int, ...]
    size: int

    def __str__(self):
        return f"{self.size:,} numbers a sample\n" + "\n".join(f"#{number} at {p:,}" for number,
                                                               p in enumerate(self.positions))


def lifetimes(lowered):
    """(first, last) moment at which each buffer is needed, of the `touched` of a `lower.Lowered`; None where
    it never is.

    What crosses the turn from the forward pass to the backward one is needed to the end: the same forward
    pass may be explained for several targets, one after the other. So is what is read after the end.
    """
    first, last, end = {}, {}, len(lowered.touched)
    for moment, buffers in enumerate(lowered.touched):
        for number in buffers:
            first.setdefault(number, moment)
            last[number] = moment
    for number in first:
        if number in lowered.held or first[number] < lowered.turn <= last[number]:
            last[number] = end
    return [(first[number], last[number]) if number in first else None
            for number in range(len(lowered.sizes))]


def lay_out(lowered):
    """The Layout of a Lowered: buffers that are not needed at the same time may share their place."""
    found = lifetimes(lowered)
    begin, end = collections.defaultdict(list), collections.defaultdict(list)
    for number, life in enumerate(found):
        if life is not None:
            begin[life[0]].append(number)
            end[life[1]].append(number)
    free, positions = FreeList(), [0] * len(found)
    for moment in range(len(lowered.touched)):
        for number in begin[moment]:
            positions[number] = free.take(lowered.sizes[number])
        for number in end[moment]:
            free.give_back(positions[number], lowered.sizes[number])
    return Layout(tuple(positions), free.size)


def place(ops, positions, dtype):
    """The records of some ops (`ops.Op`), with buffers at these positions: a read-only structured array."""
    records = np.zeros(len(ops), dtype)
    for name in dtype.names:
        records[name] = FIELDS[name].default
    for record, op in zip(records, ops):
        placed = {name: positions[number] for name, number in op.buffers.items()}
        for name, value in (op.fields | placed).items():
            record[name] = value
        record["kind"] = kind_of(op.kernel).number
    records.flags.writeable = False
    return records


class FreeList:
    """Places in a flat array that grows: the first free one that is large enough, or a new one at the end."""

    def __init__(self):
        self.size, self._free = 0, []

    def take(self, count):
        """A place for `count` numbers."""
        count = rounded(count)
        fitting = [place for place in self._free if place[1] >= count]
        if not fitting:
            self.size += count
            return self.size - count
        position, size = first = min(fitting)
        self._free.remove(first)
        if size > count:
            self._free.append((position + count, size - count))
        return position

    def give_back(self, position, count):
        """Give `count` numbers back; neighbours that are free as well become one."""
        self._free.append((position, rounded(count)))
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
    """Hand what was freed back to the system, where the C library keeps it for itself (glibc); elsewhere
    nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
