"""The largest resident size of a fresh process that explains a batch:

    python -m benchmarks.peak_memory images.npy CLIPS [PRESET]

prints bytes. With 0 clips it imports everything and explains nothing.
"""
import pathlib
import resource
import sys

import numpy as np

import lrp_core
from audio_lrp import EMBEDDED_MODEL

STATUS = pathlib.Path("/proc/self/status")


def peak():
    """The largest resident size so far, in bytes.

    Linux hands ru_maxrss of the process that started this one down to it, and so may tell the size of the
    benchmark; VmHWM counts this program alone. Elsewhere ru_maxrss has to do (in bytes on macOS, in kilobytes
    otherwise).
    """
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(path, clips, preset="epsilon"):
    if int(clips):
        images = np.load(path)
        lrp_core.explain(lrp_core.load(EMBEDDED_MODEL), images[np.arange(int(clips)) % len(images)], preset,
                         dtype="float32")
    print(peak())


if __name__ == "__main__":
    main(*sys.argv[1:])
