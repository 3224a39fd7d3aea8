"""Files are opened here, by path and regular files only, and written whole or not at all; the error for
unusable ones.
"""
import contextlib
import lzma
import os
import pathlib
import stat
import struct
import zipfile
import zlib

from .text import MESSAGE, clean, quote

LONGEST_PATH = 1 << 15

# What zipfile and its decompressors raise for damaged archives.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError,
              NotImplementedError, RuntimeError)
# What Python raises for descriptions of the wrong form.
INVALID = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)


class ModelFileError(ValueError):
    """A model file that cannot be used; the message names the file, what was found and what to do.

    Messages quote files, and are printed: they are cleaned here, whatever they quote.
    """

    def __init__(self, message):
        super().__init__(clean(message, MESSAGE))


def opened(path):
    """The regular file at `path`, open for reading bytes.

    Pipes and devices are refused: one may never answer, another never end. Raises TypeError for what is no
    path, ModelFileError, FileNotFoundError and the system's other errors.
    """
    if isinstance(path, (bytes, bytearray, memoryview)):
        raise TypeError(f"the path of a file is wanted, got {len(path):,} bytes ({bytes(path[:8])!r}...): "
                        "write them to a file first")
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the path of a file is wanted, got {type(path).__name__}")
    path = os.fspath(path)
    if len(path) > LONGEST_PATH or "\0" in path:
        raise ModelFileError(f"{quote(path)} is not the path of a file")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe, socket or device"
        raise ModelFileError(f"{path}: not a file but a {kind}")
    return open(path, "rb")


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path` (same ending) to write to; rename it to `path` when the block
    succeeds.
    """
    path = pathlib.Path(path)
    # at most 255 bytes, the longest that a name may have
    partial = path.with_name(f"part-{os.getpid()}-{path.name[-60:]}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
