"""Keep freed memory for the next clip."""
import functools

import numpy as np

BYTES = 1 << 24


@functools.cache
def keep_freed_memory():
    """Let the C library keep up to 32 MB of freed memory, instead of handing it back to the system.

    A clip's way through the front end makes and frees some ten arrays of about a megabyte. glibc hands such
    memory back at once, and the system clears every page of it anew. Freeing one large array raises glibc's
    thresholds to its size (mallopt(3), "dynamic mmap threshold"). The array is never touched, so it takes no
    memory itself. Other C libraries: no effect.
    """
    np.empty(BYTES, np.uint8)
