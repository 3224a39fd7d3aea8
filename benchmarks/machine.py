"""The machine and the software in general terms: enough to judge a number by, nothing that tells whose
machine it is.
"""
import datetime
import importlib.metadata
import os
import platform

import llvmlite.binding
import numpy as np

from lrp_core.chunks import default_threads

from .peers.protocol import time_calls

PACKAGES = ("numpy", "numba")
# The features of a processor, widest vectors first, and how many float32 numbers such a vector holds.
VECTORS = (("avx512f", "AVX-512", 16), ("avx2", "AVX2", 8), ("avx", "AVX", 8), ("neon", "NEON", 4),
           ("sse2", "SSE2", 4))


def product_rate(dtype=np.float32, size=2048):
    """GFLOP/s of a large square matrix product: the machine's practical limit for this type."""
    a = np.ones((size, size), dtype)
    return 2 * size ** 3 / time_calls(lambda: a @ a, least=0.5) / 1e9


def vector_width():
    """(lanes, name) of the processor's widest vectors, in float32 numbers."""
    features = llvmlite.binding.get_host_cpu_features()
    return next(((lanes, name) for feature, name, lanes in VECTORS if features.get(feature)),
                (1, "no vectors"))


def machine():
    """What the numbers depend on, as JSON values."""
    lanes, name = vector_width()
    return {"cores": default_threads(), "lanes": lanes, "vectors": name, "sgemm": product_rate()}


def versions():
    """Versions of Python and of what computes here."""
    return {"Python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES}}


def busy():
    """A warning where other programs are at work, which makes every number of a benchmark worth less; else
    None.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    return (f"WARNING: the machine is busy (load {load:.1f}); times will be off and vary" if load > 0.5
            else None)


def circumstances(command):
    """What every result begins with: the command that makes it, the date, the machine, the versions."""
    return {"command": command, "date": datetime.date.today().isoformat(), "machine": machine(),
            "versions": versions()}


def described(result):
    """The circumstances of a result in a sentence or two."""
    at, peers = result["machine"], result.get("peers", {})
    software = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    others = "".join(f" {peer}: " + ", ".join(f"{name} {version}" for name, version in found.items()) + "."
                     for peer, found in peers.items())
    return (f"Measured on {result['date']} with {at['cores']} cores, {at['lanes']} lanes ({at['vectors']}), "
            f"{at['sgemm']:.0f} GFLOP/s in sgemm over all cores. {software}.{others}")
