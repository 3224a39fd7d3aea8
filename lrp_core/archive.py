"""The entries of a model file, a zip archive of arrays: what one declares is checked before memory is taken
for it.
"""
import io
import math
import tokenize
import zipfile

import numpy as np

from .files import ModelFileError
from .limits import MAX_DESCRIPTION
from .text import clean, quote

STORAGE = ("float32", "float16")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
EXPANSION = 1032  # bytes that one byte of DEFLATE can stand for, at most
MAX_HEADER = 512  # bytes of a .npy header: those of model files have about 120
VERSIONS = {(1, 0): (2, np.lib.format.read_array_header_1_0),
            (2, 0): (4, np.lib.format.read_array_header_2_0)}


class Entries:
    """The arrays in an open archive, whose file is `size` bytes long. expanded: bytes of all of them
    together.
    """

    def __init__(self, archive, size):
        self._archive, self._entries = archive, {}
        for info in archive.infolist():
            if info.filename in self._entries:
                raise ModelFileError(f"the entry {quote(info.filename)} occurs twice")
            self._entries[info.filename] = info
            _check_size(info)
        self.expanded = sum(info.file_size for info in self._entries.values())
        if sum(info.compress_size for info in self._entries.values()) > size:
            raise ModelFileError(f"its entries are larger than the file, which has {size:,} bytes")

    def __contains__(self, name):
        return f"{name}.npy" in self._entries

    def unknown(self, expected):
        """The names of entries that are no arrays of the names `expected`, sorted."""
        return sorted(self._entries.keys() - {f"{name}.npy" for name in expected})

    def text(self, name):
        """The text in a 0-d array."""
        with self._open(name) as stream:
            shape, _, dtype = _header(stream, name)
            if shape != () or dtype.kind != "U" or dtype.itemsize > MAX_DESCRIPTION:
                raise ModelFileError(f"the entry {quote(name)} must be a text of at most {MAX_DESCRIPTION:,} "
                                     "bytes, "
                                     f"found {clean(dtype)} of shape {clean(shape)}")
            data = stream.read(dtype.itemsize)
        try:
            # Not by NumPy, which fails on code points that are no characters.
            return data.decode("utf-32-be" if dtype.byteorder == ">" else "utf-32-le").rstrip("\0")
        except UnicodeDecodeError as error:
            raise ModelFileError(f"the entry {quote(name)} is not a text ({error.reason})") from None

    def array(self, name, shape):
        """The array of an entry as float32; its header and size must agree with `shape` before memory is
        taken.
        """
        with self._open(name) as stream:
            found, fortran, dtype = _header(stream, name)
            if found != shape or dtype not in map(np.dtype, STORAGE) or fortran:
                raise ModelFileError(f"the array {quote(name)} must be {' or '.join(STORAGE)} of shape "
                                     f"{shape}, "
                                     f"row by row; found {clean(dtype)} of {clean(found)}")
            size, left = (math.prod(shape) * dtype.itemsize,
                          self._entries[f"{name}.npy"].file_size - stream.tell())
            if left != size:
                raise ModelFileError(f"the array {quote(name)} must hold {size} bytes, found {left}")
            data = stream.read(size)
        if len(data) != size:
            raise ModelFileError(f"the array {quote(name)} ends after {len(data)} of {size} bytes")
        array = np.frombuffer(data, dtype).astype(np.float32, copy=False).reshape(shape)
        if not np.isfinite(array).all():
            raise ModelFileError(f"the array {quote(name)} holds NaN or infinity")
        return array

    def _open(self, name):
        try:
            return self._archive.open(self._entries[f"{name}.npy"])
        except KeyError:
            raise ModelFileError(f"the array {quote(name)} is missing") from None


def _check_size(info):
    """Refuse an entry that is not compressed as model files are, or that declares more than its bytes can
    hold.
    """
    if info.compress_type not in METHODS:
        method = zipfile.compressor_names.get(info.compress_type, info.compress_type)
        raise ModelFileError(f"the entry {quote(info.filename)} is compressed by {method}; model files are "
                             "stored or "
                             "deflated, as np.savez does: write it again")
    if info.file_size > EXPANSION * info.compress_size:
        raise ModelFileError(f"the entry {quote(info.filename)} declares {info.file_size:,} bytes, more than "
                             "its "
                             f"{info.compress_size:,} bytes in the file can hold")


def _header(stream, name):
    """(shape, is it stored by columns, dtype) from the head of a .npy entry."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in VERSIONS:
            raise ModelFileError(f"the array {quote(name)} has the unknown .npy version {version}")
        width, read = VERSIONS[version]
        prefix = stream.read(width)
        # Python's parser needs far more memory for a header than the header is long, if that is all nonsense.
        if (length := int.from_bytes(prefix, "little")) > MAX_HEADER:
            raise ModelFileError(f"the array {quote(name)} has a header of {length:,} bytes (at most "
                                 f"{MAX_HEADER})")
        return read(io.BytesIO(prefix + stream.read(length)))
    except ModelFileError:
        raise
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise ModelFileError(f"the array {quote(name)} has a header that is not valid "
                             f"({clean(error)})") from None
