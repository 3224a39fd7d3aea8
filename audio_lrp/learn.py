"""audio-lrp learn: layer-wise relevance propagation, by writing it."""
import pathlib
import shlex

import click

from .exercises import names, write_exercises
from .terminal import say


@click.command()
@click.option("--exercises", "directory", required=True, metavar="DIR",
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Write the exercises to this folder.")
def learn(directory):
    """Learn LRP by writing it: eleven exercises, from one dense layer to a sound.

    Each is a Python file with gaps; `python check.py` in the folder says which are solved, and what is wrong
    with the first that is not. Files that are already in the folder are left as they are: to start an
    exercise again, delete its file and give the same command.

    \b
    audio-lrp learn --exercises lrp-exercises
    """
    say(*exercises_in(directory))


def exercises_in(directory):
    """Write the exercises to a folder; the lines to tell what was done and what comes next."""
    try:
        written = write_exercises(directory)
    except OSError as error:
        raise click.ClickException(f"{directory}: cannot be made or written to ({error.strerror})") from None
    kept = [name for name in names() if pathlib.Path(directory, name) not in written]
    lines = []
    if kept:
        lines.append(f"left as they are, for they were there already: "
                     f"{', '.join(kept) if written else 'all of them'}")
    if written:
        lines.append(f"{len(written)} file{'s' * (len(written) > 1)} written to {directory}")
    return [*lines, "Begin with README.md and ex01_zero.py. To check what you wrote:", "",
            f"    cd {shlex.quote(str(directory))}", "    python check.py"]
