"""audio-lrp learn: a lesson on relevance as one page that opens offline, and exercises in writing LRP."""
import pathlib
import shlex
import tempfile
import webbrowser

import click

from lrp_core.files import replacing

from .common import make_folder
from .exercises import names, write_exercises
from .page import as_json, page
from .terminal import say

STYLES = ("report.css", "learn.css", "learn_widgets.css")
ARITHMETIC = ("lrp.js", "lrp_layers.js", "lrp_sound.js")
SCRIPTS = (*ARITHMETIC, "numbers.js", "pictures.js", "learn_parts.js", "learn_rules.js", "learn_ledger.js",
           "learn_unit.js", "learn_neuron.js", "learn_noise.js", "learn_graph.js", "learn_pools.js",
           "learn_wrong.js", "learn_sound.js", "learn_page.js")
CHAPTERS = (("neuron", "One neuron"), ("network", "A network"), ("negative", "Negative relevance"),
            ("epsilon", "Epsilon and noise"), ("rules", "Which rule, and when"), ("pools", "Pools and ties"),
            ("ledger", "The ledger"), ("sound", "From pixels to the sound"), ("wrong", "What can go wrong"))


def lesson_page():
    """The text of the lesson; the same each time."""
    from .lesson_data import lesson_data
    common, lesson = lesson_data()
    return page("learn.html.j2", STYLES, SCRIPTS, common=common, lesson=lesson, chapters=CHAPTERS,
                as_json=as_json)


@click.command()
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=pathlib.Path),
              show_default="a temporary file, opened in the browser",
              help="The page to write; it is not opened.")
@click.option("--exercises", "directory", metavar="DIR",
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Write exercises to this folder instead: Python files with gaps, and checks.")
def learn(path, directory):
    """Learn how relevance flows: a lesson as one page that opens in any browser, offline.

    Nine short chapters, each with something to touch and questions that the page checks: one neuron, a
    network whose relevance is stepped back layer by layer, the rules and when to use which, the ledger, a
    small network that hears a siren, and what can go wrong. All is computed live in the page; nothing is
    loaded from anywhere.

    Then write LRP yourself: `--exercises` makes eleven Python files with gaps, from one dense layer to a
    sound; `python check.py` in their folder says which are solved, and what is wrong with the first that is
    not. Files that are already there are left as they are: to start an exercise again, delete its file and
    give the same command.

    \b
    audio-lrp learn                            opens the lesson in your browser
    audio-lrp learn -o lesson.html             writes it
    audio-lrp learn --exercises lrp-exercises  writes the exercises
    """
    if directory is not None:
        say(*exercises_in(directory))
    if directory is None or path is not None:
        write_lesson(path)


def write_lesson(path):
    """Write the lesson to `path`; without one to a temporary folder, and open it in the browser."""
    asked = path is not None
    if asked:
        make_folder(path.parent)
    else:
        path = pathlib.Path(tempfile.mkdtemp(prefix="audio-lrp-")) / "lesson.html"
    made = lesson_page().encode()
    try:
        with replacing(path) as partial:
            partial.write_bytes(made)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror})") from None
    say(f"the lesson: {path} ({len(made) / 1e6:.1f} MB)")
    if not asked and not webbrowser.open(path.as_uri()):
        say("no browser could be opened: open that file in one")


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
