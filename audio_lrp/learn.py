"""audio-lrp learn: a lesson on relevance as one page that opens offline, computed live in the browser."""

import pathlib
import tempfile
import webbrowser

import click

from lrp_core.files import replacing

from .common import make_folder
from .page import as_json, page
from .terminal import say

STYLES = ("report.css", "learn.css", "learn_widgets.css")
ARITHMETIC = ("lrp.js", "lrp_layers.js", "lrp_sound.js")
SCRIPTS = (
    *ARITHMETIC,
    "pictures.js",
    "learn_parts.js",
    "learn_rules.js",
    "learn_ledger.js",
    "learn_unit.js",
    "learn_neuron.js",
    "learn_noise.js",
    "learn_graph.js",
    "learn_pools.js",
    "learn_wrong.js",
    "learn_sound.js",
    "learn_page.js",
)
CHAPTERS = (
    ("neuron", "One neuron"),
    ("network", "A network"),
    ("negative", "Negative relevance"),
    ("epsilon", "Epsilon and noise"),
    ("rules", "Which rule, and when"),
    ("pools", "Pools and ties"),
    ("ledger", "The ledger"),
    ("sound", "From pixels to the sound"),
    ("wrong", "What can go wrong"),
)


def lesson_page():
    """The text of the lesson; the same each time."""
    from .lesson_data import lesson_data

    common, lesson = lesson_data()
    return page(
        "learn.html.j2", STYLES, SCRIPTS, common=common, lesson=lesson, chapters=CHAPTERS, as_json=as_json
    )


@click.command()
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    show_default="a temporary file, opened in the browser",
    help="The page to write; it is not opened.",
)
def learn(path):
    """Learn how relevance flows: a lesson as one page that opens in any browser, offline.

    Nine short chapters, each with something to touch and questions that the page checks: one neuron, a
    network whose relevance is stepped back layer by layer, the rules and when to use which, the ledger, a
    small network that hears a siren, and what can go wrong. All is computed live in the page; nothing is
    loaded from anywhere.

    \b
    audio-lrp learn                     opens the lesson in your browser
    audio-lrp learn -o lesson.html      writes it
    """
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
