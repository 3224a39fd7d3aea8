"""Thousands of damaged and hostile files, made from small valid ones: `python -m tests.fuzz --help`."""
import pathlib
import sys

# What the tests share is imported by its plain name, as pytest does it.
if (tests := str(pathlib.Path(__file__).parents[1])) not in sys.path:
    sys.path.append(tests)
