"""Benchmarks: python -m benchmarks throughput. Ratios within one run are what counts; absolute times are the machine's."""
