"""Benchmarks of the engine, beside its peers: `python -m benchmarks --help`."""
import os

# Before NumPy is loaded: these settings of older processors halve the matrix product on newer ones.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
