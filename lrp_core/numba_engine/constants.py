"""The constants of a program in one flat array: equal ones once, each in the form that its kernel reads."""
import concurrent.futures
import hashlib
import math

import numpy as np

from ..chunks import default_threads, single_threaded_blas
from .kernels.forms import PLAIN

ALIGNMENT, BYTES = 16, 64  # numbers, and what they take as float32
PROBED = 16                # places along each axis that are looked at before all of two arrays are compared
SMALL = 1 << 14            # numbers that are copied at once; larger arrays are only referred to
LARGE = 1 << 20            # numbers from which on several threads write


def rounded(size):
    """The size with padding up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Constants:
    """Arrays of one type, each in a Form, one after the other.

    `add` says where an array will lie; `build` writes all of them, so that memory holds each but once.
    """

    def __init__(self, dtype):
        self._dtype, self._places, self._pieces, self._size = np.dtype(dtype), {}, [], 0

    def add(self, array, form=PLAIN):
        """The position of the array in its form. It must not change any more."""
        array = np.array(array, self._dtype) if np.size(array) <= SMALL else np.asarray(array)
        some = array[tuple(slice(None, None, max(size // PROBED, 1)) for size in array.shape)]
        key = form.name, array.shape, hashlib.sha256(np.array(some, self._dtype, order="C")).digest()
        known = self._places.setdefault(key, [])
        for place, other in known:
            if same(array, other):
                return place
        place, self._size = self._size, self._size + rounded(math.prod(form.shape(array.shape, self._dtype)))
        known.append((place, array))
        self._pieces.append((place, array, form))
        return place

    def build(self):
        """The flat array, read-only, with a whole vector more than the last number."""
        raw = np.empty((self._size + ALIGNMENT) * self._dtype.itemsize + BYTES, np.uint8)
        start = -raw.ctypes.data % BYTES
        flat = raw[start:start + (self._size + ALIGNMENT) * self._dtype.itemsize].view(self._dtype)
        jobs, end = [], 0
        for place, array, form in self._pieces:
            flat[end:place] = 0
            shape = form.shape(array.shape, self._dtype)
            end = place + math.prod(shape)
            out, units = flat[place:end].reshape(shape), form.units(array.shape)
            parts = min(units, -(-math.prod(shape) // LARGE))
            jobs += [(form, array, out, units * n // parts, units * (n + 1) // parts) for n in range(parts)]
        flat[end:] = 0
        if self._size < LARGE:
            for job in jobs:
                write(job)
        else:
            with concurrent.futures.ThreadPoolExecutor(default_threads()) as pool, single_threaded_blas:
                list(pool.map(write, jobs))
        flat.flags.writeable = False
        return flat


def write(job):
    """Write a part of one array."""
    form, array, out, first, last = job
    form.write(array, out, first, last)


def same(a, b):
    """Are two arrays of one shape equal, to the bit?"""
    if a is b or (a.dtype, a.strides, a.ctypes.data) == (b.dtype, b.strides, b.ctypes.data):
        return True
    return np.array_equal(a, b) and (a.dtype.kind != "f" or np.array_equal(np.signbit(a), np.signbit(b)))
