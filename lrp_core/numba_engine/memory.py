"""Where buffers lie: by their lifetimes, so that they can share places."""
import collections
import ctypes
import dataclasses
import sys

import numpy as np

from .constants import BYTES, rounded
from .kernels.op import FIELDS, kind_of


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
