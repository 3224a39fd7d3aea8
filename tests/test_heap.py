"""Freed memory that stays with the process."""
import platform
import subprocess
import sys

import pytest

AGAIN = """
import resource
import numpy as np
import features
if {asked}:
    features.STUDY(np.zeros(4410), 44_100)
def arrays():
    return [np.ones(1 << 18) for _ in range(10)]  # ten of two megabytes
for call in range(3):
    arrays()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for call in range(10)))
"""


def page_faults(asked):
    """How many pages the system clears each time at least, in a process that has, or has not, made an image.

    At least: it may also take pages away by itself, where memory is scarce.
    """
    found = subprocess.run([sys.executable, "-c", AGAIN.format(asked=asked)], check=True, capture_output=True)
    return float(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory as it likes")
def test_arrays_after_the_first_clip_take_the_memory_of_those_before():
    assert page_faults(True) < 100 < 1000 < page_faults(False)
