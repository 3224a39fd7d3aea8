"""What a benchmark leaves: NAME.json and NAME.svg in the results folder, and the page RESULTS.md of
all of them.
"""
import json
import pathlib

import click

from lrp_core.files import replacing

from . import arrival, files, layers, looks, memory, networks, scaling, sound, startup, throughput
from .machine import described
from .progress import say
from .style import write_plot

RESULTS = pathlib.Path(__file__).parent / "results"
BENCHMARKS = {module.NAME: module for module in (throughput, networks, layers, startup, memory, scaling,
                                                 files, sound, arrival, looks)}

INTRODUCTION = """# How fast, and how well

`python -m benchmarks NAME` made each part of this page, from `NAME.json` in the results folder; `python -m
benchmarks all` makes them all anew. A time is a median, the numbers after it are the quartiles. Absolute
times are the machine's: compare within one part only, where everything was measured in turn in one run. The
last three parts measure no time."""


def publish(result, output=RESULTS):
    """Print a result's tables, store it with its plot, and write the page of all results anew."""
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    benchmark = BENCHMARKS[result["name"]]
    click.echo("\n\n".join(table.text() for table in benchmark.tables(result)))
    write_text(output / f"{benchmark.NAME}.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    write_plot(output / f"{benchmark.NAME}.svg", lambda figure: benchmark.draw(result, figure),
               benchmark.SIZE)
    write_text(page_path(output), page(output))
    say(f"written: {benchmark.NAME}.json and {benchmark.NAME}.svg in {output}, and {page_path(output)}")


def stored(name, output=RESULTS):
    """The result of that name that lies in a folder, or {}."""
    path = pathlib.Path(output) / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def page_path(output):
    """RESULTS.md: beside this program for its own results folder, in any other folder itself."""
    return output.parent / "RESULTS.md" if output.resolve() == RESULTS.resolve() else output / "RESULTS.md"


def page(output):
    """The page of all results that lie in a folder."""
    beside = f"{output.name}/" if page_path(output).parent != output else ""
    parts = [INTRODUCTION]
    for name, benchmark in BENCHMARKS.items():
        if result := stored(name, output):
            parts += [f"## {benchmark.TITLE}", benchmark.ABOUT, f"```sh\n{result['command']}\n```",
                      *(table.markdown() for table in benchmark.tables(result)),
                      f"![{benchmark.TITLE}]({beside}{name}.svg)", described(result)]
    return "\n\n".join(parts) + "\n"


def write_text(path, text):
    """Write a text file whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
