"""Files that are written whole or not at all."""
import contextlib
import os
import pathlib


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path` (same ending) to write to; rename it to `path` when the block succeeds."""
    path = pathlib.Path(path)
    partial = path.with_name(f"part-{os.getpid()}-{path.name[-60:]}")  # at most 255 bytes, the longest that a name may have
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
