"""Benchmarks: python -m benchmarks --help. Ratios within one run are what counts; absolute times are the
machine's.
"""
