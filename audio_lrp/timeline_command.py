"""audio-lrp timeline: a recording of any length, window by window."""
import pathlib
import shutil
import sys

import click

from . import EMBEDDED_CLIP
from .common import (
    FORMATS,
    check_engine,
    make_folder,
    model_options,
    options,
    parse_target,
)
from .names import unique_stems
from .terminal import say
from .ticks import clock

INTERRUPTED = 130
LISTED = 20  # events that the terminal shows


@click.command()
@click.argument("recordings", nargs=-1, metavar="[RECORDING ...]")
@options("rules", "target")
@model_options("--model-output")
@click.option("--window", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              show_default="what the model takes", help="How long a window is.")
@click.option("--hop", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              show_default="half a window", help="From one window to the next.")
@options("start", "end", "engine", "dtype")
@click.option("-o", "--output", "directory", default="timelines", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", show_default=True,
              help="The pictures' format.")
def timeline(recordings, rules, target, model, window, hop, start, end, engine, dtype, directory, picture):
    """Explain recordings of any length: what is heard when, and where each decision rests.

    A window slides over each RECORDING. For each one a page to zoom into (-timeline.html), a picture, a table
    of the windows (.csv), the events as labels for Audacity (-labels.txt), and the arrays (.npz, .json) are
    written. Relevance of windows that overlap adds up. Memory does not grow with the length; a run that was
    interrupted goes on where it was when the same command is given again.

    \b
    audio-lrp timeline field.wav                    windows as long as the model takes, half overlapping
    audio-lrp timeline field.flac --hop 1 --start 600 --end 1200
    """
    from .slide import seconds_of, slide_over
    from .timeline_files import write
    from .timeline_page import write_page
    from .windows import timeline as run
    network, front_end = model.open()
    if front_end.seconds is None:
        raise click.ClickException(f"{model.path}: takes sounds of any length: there is nothing to slide")
    try:
        seconds_of(front_end, window, hop)
    except ValueError as error:
        raise click.UsageError(f"--window, --hop: {error}") from None
    target = parse_target(network, target)
    check_engine(engine)
    make_folder(directory)
    paths, failed = recordings or (str(EMBEDDED_CLIP),), 0
    for path, stem in zip(paths, unique_stems(paths, f"-timeline.{picture}")):
        keep, bar = directory / f".{stem}-timeline", None
        part = {"window": window, "hop": hop, "start": start, "end": end}
        try:
            count = slide_over(path, front_end, **part).count
            with click.progressbar(length=count, label=f"explaining {pathlib.PurePath(path).name}",
                                   file=sys.stderr, show_pos=True) as bar:
                found = run(path, network, front_end, rules, target, keep=keep, progress=bar.update,
                            engine=engine, dtype=dtype, **part)
            written = write(found, directory, stem, picture)
            write_page(found, directory / f"{stem}-timeline.html")
            written.insert(0, f"{stem}-timeline.html")
            shutil.rmtree(keep, ignore_errors=True)
        except (ValueError, OSError, ArithmeticError) as error:
            say(f"skipped: {error}", err=True)
            failed += 1
        except KeyboardInterrupt:
            done = f"{bar.pos} of {bar.length} windows are done; " if bar else ""
            say("", f"stopped; {done}the same command goes on from there", err=True)
            raise SystemExit(INTERRUPTED) from None
        else:
            say(*describe(found), f"  -> {directory}: {', '.join(written)}")
    if failed:
        say("", f"{failed} of {len(paths)} files could not be explained", err=True)
        raise SystemExit(1)


def describe(found):
    """A timeline as lines for the terminal: its events."""
    from .windows import rows_of
    lines = [f"{found.name}  ({clock(found.slide.length)}, {found.slide.count} windows)"]
    for start, end, name, said, where in rows_of(found.events[:LISTED], found.reads, found.slide.hop)[1:]:
        lines.append(f"  {start:>10} - {end:<10} {name:<18} {said:>5}{'   ' * bool(where)}{where}")
    if len(found.events) > LISTED:
        lines.append(f"  and {len(found.events) - LISTED} more in the table")
    if not found.events:
        lines.append("  no event: no class reaches one half in any window that sounds"
                     if found.values.shape[1] > 1 else "  one score and no classes: no events")
    return lines
