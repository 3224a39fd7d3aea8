"""audio-lrp report: explanations as one page that opens offline, to see, hear and compare."""
import pathlib
import sys

import click

import features
import lrp_core
from lrp_core.files import replacing
from lrp_core.gradients import METHODS

from . import EMBEDDED_CLIP, microscope_data
from .common import (
    PRESET_NAMES,
    check_engine,
    explain_or_complain,
    make_folder,
    model_options,
    open_or_complain,
    options,
)
from .explained import Explained
from .names import shortest_names
from .page import as_json, page
from .report_data import CLASSES, clip_data, common_data
from .slide import slide_over
from .terminal import say
from .timeline_page import page_data
from .windows import timeline

PRESETS = ("preset_a_flat", "epsilon", "preset_b")
SCRIPTS = ("numbers.js", "pictures.js", "timeline.js", "microscope.js", "loudness.js", "sound_parts.js",
           "player.js", "report_ledger.js", "report_views.js", "report_gestures.js", "report_files.js",
           "report_link.js", "report.js", "report_page.js")
LOOKED_INTO = 3  # clips at most whose channels are shown without being asked for,
LOOKED_INTO_SIZE = 200_000_000  # by networks of at most so many multiply-adds: it takes a pass a channel


def render(common, clips):
    """The page as text.

    common: of `report_data.common_data`. clips: a list of `report_data.clip_data`. The same data give the
    same text.
    """
    return page("report.html.j2", ("report.css", "timeline.css", "microscope.css"),
                SCRIPTS, common=common, clips=clips, as_json=as_json)


def presets_asked(names):
    """The presets without aliases and repetitions, in the order they were asked for."""
    return list(dict.fromkeys(lrp_core.ALIASES.get(name, name) for name in names))


@click.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@click.option("-o", "--output", "path", default="report.html", show_default=True,
              type=click.Path(dir_okay=False, path_type=pathlib.Path), help="The page to write.")
@click.option("--rules", "names", type=click.Choice(PRESET_NAMES), multiple=True, default=PRESETS,
              show_default=True,
              help="A preset to switch to in the page; repeat the option for several.")
@model_options("--model-output")
@options("start", "end", "engine", "dtype")
@click.option("--share", default=0.5, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="How much of the relevance the part to hear carries.")
@click.option("--microscope/--no-microscope", "looks", default=None,
              show_default=f"for up to {LOOKED_INTO} clips and networks of up to "
              f"{LOOKED_INTO_SIZE / 1e6:g} million multiply-adds",
              help="Show which channels carried the relevance: takes about a second a clip.")
def report(clips, path, names, model, start, end, engine, dtype, share, looks):
    """Write explanations as one page that opens in any browser, offline: to see, to hear, to compare.

    For each CLIP it holds waveform, spectrogram and the relevance of every class by every preset, to zoom
    into and to compare, with a cursor that follows the sound; the original, the relevant part and the rest,
    to hear in turn, whole or what is selected; the relevance per moment and per frequency; the ledger, layer
    by layer, as a table and as a picture; and, for few clips, the channels that carried the relevance, to
    click at. A recording longer than what the model takes gets a timeline, too, by the first preset (see
    `audio-lrp timeline`). From the page, pictures and tables can be saved, and a link holds what is shown.
    Nothing is loaded from anywhere: the one file is all there is (about 1 MB per clip with three presets).
    A file that cannot be read is named and left out; the exit code is then 1.

    \b
    audio-lrp report                                       the embedded clip
    audio-lrp report dog.wav -o dog.html                   a sound of yours
    audio-lrp report *.wav --rules epsilon                 many sounds, one preset: a smaller page
    audio-lrp report dog.wav --rules flat --rules preset_b --share 0.8
    """
    if not share > 0:  # NaN passes click's range
        raise click.BadParameter(f"{share} is no share", param_hint="--share")
    (network, front_end), presets = model.open(), presets_asked(names)
    check_engine(engine)
    # What cannot be written should be known before the work, not after it.
    make_folder(path.parent)
    paths = clips or (str(EMBEDDED_CLIP),)
    if looks is None:
        looks = not (reason := too_much(len(paths), network))
        if reason:
            say(f"no microscope {reason}; --microscope adds it", err=True)
    part = {"start": start, "end": end}
    opened = ((open_or_complain(source, front_end, **part), name, part)
              for source, name in zip(paths, shortest_names(paths)))
    steps = len(presets) * min(network.scores, CLASSES)
    windows = sum(windows_in(source, front_end, part) for source in paths)
    with click.progressbar(length=len(paths) * steps + windows, label="explaining", file=sys.stderr) as bar:
        made, count = explain_or_complain(model.path, page_of, network, opened, presets, share,
                                          bar.update, looks, engine=engine, dtype=dtype)
    if count:
        try:
            with replacing(path) as partial:
                partial.write_bytes(made)
        except OSError as error:
            raise click.ClickException(f"{path}: cannot be written ({error.strerror})") from None
        say(f"{count} clip{'s' * (count > 1)}, {len(presets)} preset{'s' * (len(presets) > 1)}: "
            f"{path} ({len(made) / 1e6:.1f} MB)")
    if count < len(paths):
        say(f"{len(paths) - count} of {len(paths)} files could not be explained", err=True)
        raise SystemExit(1)


def too_much(clips, network):
    """Why the channels are not shown without being asked for; "" where they are."""
    if clips > LOOKED_INTO:
        return f"for more than {LOOKED_INTO} clips"
    if network.multiply_adds > LOOKED_INTO_SIZE:
        return (f"for a network of {network.multiply_adds / 1e6:,.0f} million multiply-adds, more than "
                f"{LOOKED_INTO_SIZE / 1e6:g} million")
    return ""


def windows_in(path, front_end, part):
    """How many windows a timeline has of a part of a file; 0 where one window holds all of it."""
    try:
        count = 0 if front_end.seconds is None else slide_over(path, front_end, **part).count
    except (features.AudioError, OSError, ValueError):
        return 0  # whoever opens the file says what is wrong with it
    return count if count > 1 else 0


def page_of(network, opened, presets, share, progress, looks, **how):
    """(the page as bytes, how many clips it has) of (Clip or None, name, part) triples; None are left out.

    part: {"start", "end"} of the clip's file, over which a timeline reaches where it is longer than a window;
    None: no file. progress: called with the number of explanations done since the last call. looks: show the
    channels. how: as of `lrp_core.explain`.
    """
    found, pages, shown = [], {}, None
    for clip, name, part in opened:
        if clip is None:
            progress(len(presets) * min(network.scores, CLASSES))
            continue
        data, pages = clip_data(network, clip, name, presets, share, lambda: progress(1), **how)
        data["timeline"] = left_out(f"{clip.name}: no timeline", timeline_of, network, clip, presets[0], part,
                                    progress, **how)
        data["microscope"] = left_out(f"{clip.name}: no microscope", paths_of, network, clip, presets[0],
                                      **how) if looks else None
        found.append(data)
        shown = clip
    return (render(common_data(network, pages, share, shown), found).encode() if found else b""), len(found)


def left_out(what, work, *arguments, **options):
    """The result of `work(*arguments, **options)`; None after saying on stderr why it cannot be had: the rest
    of the page can.
    """
    try:
        return work(*arguments, **options)
    except (ValueError, OSError, ArithmeticError) as error:
        say(f"{what}: {error}", err=True)
        return None


def timeline_of(network, clip, preset, part, progress, **how):
    """The timeline of a recording that is longer than a window, as data for the page; None of others."""
    path, front_end = clip.recording.name, clip.front_end
    if part is None or not windows_in(path, front_end, part):
        return None
    return page_data(timeline(path, network, front_end, preset, progress=progress, **part, **how))


def paths_of(network, clip, preset, **how):
    """How the relevance of the class that is heard goes through the channels, as data for the page; None for
    a gradient, of which no layer keeps a share.
    """
    if preset in METHODS:
        return None
    e = lrp_core.explain(network, clip.input, preset, layers=True, **how)
    return microscope_data.page_data(Explained(clip, e, preset))


def write_page(path, network, clips, presets, share):
    """Write the page of (Clip, name) pairs to `path`, whole or not at all; returns the path."""
    made, _ = page_of(network, [(*one, None) for one in clips], presets, share, lambda count: None,
                      True)
    with replacing(path) as partial:
        partial.write_bytes(made)
    return path
