"""A word to whoever waits at a terminal while kernels are compiled."""
import os
import sys

from ...text import MESSAGE, clean

_told: set[str] = set()


def tell(message):
    """Print a line once in a process, if standard error is a terminal; `AUDIO_LRP_QUIET=1` forbids it."""
    if message in _told or os.environ.get("AUDIO_LRP_QUIET", "0") not in ("", "0"):
        return
    _told.add(message)
    try:
        if sys.stderr.isatty():
            print(f"audio-lrp: {clean(message, MESSAGE)}", file=sys.stderr, flush=True)
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed
        pass
