"""python -m tests.fuzz: thousands of damaged files; ends with 1 where one does what no file may do."""
import argparse
import pathlib
import sys
import time

from .run import run, summary
from .targets import TARGETS
from .worker import Cases

ENDINGS = {ending: kind for kind, (_, _, ending) in TARGETS.items()}


def main():
    """Read the options, try the files, print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__ + " " + __doc__)
    for kind, count in (("models", 20_000), ("onnx", 20_000), ("sounds", 10_000)):
        parser.add_argument(f"--{kind}", type=int, default=count, help=f"how many (default {count:,})")
    parser.add_argument("--seed", type=int, default=0, help="other files for each seed (default 0)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("fuzz-failures"),
                        help="folder for files that fail")
    parser.add_argument("--make", metavar="KIND:NUMBER",
                        help="write the file of that number to --keep, and try nothing")
    parser.add_argument("--replay", type=pathlib.Path,
                        help="try this file alone, here, and show what it raises")
    options = parser.parse_args()
    if options.make:
        kind, number = options.make.split(":")
        options.keep.mkdir(parents=True, exist_ok=True)
        path = options.keep / f"{kind}-{number}.{TARGETS[kind][2]}"
        path.write_bytes(Cases(options.seed)(kind, int(number)))
        print(path)
        return 0
    if options.replay:
        kind, _, number = options.replay.stem.partition("-")
        kind = kind if kind in TARGETS else ENDINGS[options.replay.suffix[1:]]
        print(TARGETS[kind][0](options.replay, int(number) if number.isdecimal() else 0))
        return 0
    start = time.monotonic()
    counts = {kind: getattr(options, kind) for kind in TARGETS}
    tallies = run(counts, options.seed, processes=options.processes, folder=options.keep)
    print(summary(tallies))
    failures = [(kind, *failure) for kind, tally in tallies.items() for failure in tally.failures]
    for kind, number, outcome in failures[:50]:
        print(f"FAILED {kind}:{number} {outcome}")
    print(f"{sum(counts.values()):,} files, seed {options.seed}, {time.monotonic() - start:.0f} s, "
          f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
