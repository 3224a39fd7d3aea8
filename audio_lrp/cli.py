"""The command line: audio-lrp explain, summary, ledger, and the commands that have files of their own."""
import pathlib
import sys

import click

from lrp_core.ledger_views import sentence

from . import EMBEDDED_CLIP
from .answer import answers, presets_for, write
from .check import check
from .common import (
    FORMATS,
    check_engine,
    explain_or_complain,
    make_folder,
    model_options,
    open_or_complain,
    options,
    parse_target,
)
from .dataset import dataset
from .learn import learn
from .listen import listen
from .microscope_command import microscope
from .models import name_of
from .names import unique_stems
from .report import report
from .terminal import Commands, say, say_blocks
from .timeline_command import timeline

BATCH = 32
LISTED = 10  # classes that the terminal lists at most


def bar_character():
    """A full block where the terminal can show one."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def describe(answer, places):
    """One clip's answer as lines for the terminal."""
    e, clip = answer.e, answer.clip
    channels = f"{clip.channels} channel{'s' * (clip.channels > 1)}"
    lines = [f"{clip.name}  ({clip.duration:.2f} s, {clip.sample_rate:g} Hz, {channels})"]
    lines += [f"  warning: {warning}" for warning in answer.warnings]
    shown = max(3, min(len(answer.heard), LISTED))
    for index in answer.order[:shown]:
        bar = ""
        if answer.reads == "probabilities":
            bar = f"{bar_character() * round(float(answer.values[index]) * 40):<41}"
        lines.append(f"  {name_of(e, index):<18}{bar}{answer.value(index):>6}")
    if len(answer.heard) > shown:
        lines.append(f"  and {len(answer.heard) - shown:,} more that reach one half")
    lines.append(f"  explained: {answer.target_name} by {answer.main.rules}")
    lines += [f"  {note}" for note in answer.notes]
    lines.append(f"  -> {places}")
    return lines


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="audio-lrp")
def main():
    """Which part of a sound made a neural network decide what it decided.

    \b
    audio-lrp explain                  the embedded clip, by the embedded network
    audio-lrp explain dog.wav -o out   a sound of yours: picture, numbers, arrays
    audio-lrp listen dog.wav           the part it rests on, to hear
    audio-lrp timeline field.wav       a recording of any length: what is heard when
    audio-lrp dataset FOLDER -o out    a whole data set: index, arrays, mean maps of each class
    audio-lrp report dog.wav           all of it as one page, to see and hear in a browser
    audio-lrp ledger dog.wav           where every part of the relevance went
    audio-lrp microscope dog.wav       one unit or channel: what it got, what it gave
    audio-lrp summary                  the network, layer by layer
    audio-lrp check model.onnx         any model: can it be explained, and how far believed?
    audio-lrp learn                    a lesson, to touch and to hear; with --exercises DIR, exercises
    """


@main.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@options("rules", "target")
@model_options("--model-output")
@options("start", "end", "engine", "dtype")
@click.option("-o", "--output", "directory", default="explanations", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", show_default=True,
              help="The pictures' format.")
def explain(clips, rules, target, model, start, end, engine, dtype, directory, picture):
    """Explain sound files (WAV, FLAC, OGG, MP3): what the network hears, and where in the sound it hears it.

    For each CLIP a picture (spectrogram, LRP maps, overlay), the numbers (.json: probabilities, relevance
    totals, ledger), the arrays (.npz) and the relevance per frequency and per moment (-profiles, as a picture
    and .csv) are written. Without a CLIP the embedded one is explained. A file that
    cannot be read is named and left out; the exit code is then 1.
    """
    network, front_end = model.open()
    target = parse_target(network, target)
    check_engine(engine)
    make_folder(directory)
    paths = clips or (str(EMBEDDED_CLIP),)
    todo = list(zip(paths, unique_stems(paths, f"-profiles.{picture}")))
    told, failed, part = [], 0, {"start": start, "end": end}
    with click.progressbar(length=len(todo), label="explaining", file=sys.stderr,
                           hidden=len(todo) == 1) as bar:
        for first in range(0, len(todo), BATCH):
            opened = [(open_or_complain(path, front_end, **part), stem)
                      for path, stem in todo[first:first + BATCH]]
            good = [(clip, stem) for clip, stem in opened if clip is not None]
            failed += len(opened) - len(good)
            bar.update(len(opened) - len(good))
            if not good:
                continue
            found = explain_or_complain(model.path, answers, network, [clip for clip, _ in good],
                                        presets_for(rules), target, engine=engine, dtype=dtype)
            for answer, (_, stem) in zip(found, good):
                try:
                    written = write(answer, directory, stem, picture)
                except OSError as error:
                    say(f"not written: {directory / stem}: {error}", err=True)
                    failed += 1
                else:
                    told.append(describe(answer, f"{directory}: {', '.join(written)}"))
                bar.update(1)
    say_blocks(told)
    if failed:
        say("", f"{failed} of {len(todo)} files could not be explained", err=True)
        raise SystemExit(1)


main.add_command(check)
main.add_command(learn)
main.add_command(listen)
main.add_command(dataset)
main.add_command(microscope)
main.add_command(report)
main.add_command(timeline)
main.add_command(learn)


@main.command()
@model_options(front_end=False)
def summary(model):
    """Print the network layer by layer, with output shapes and parameter counts."""
    say(*model.network().summary().split("\n"))


@main.command()
@click.argument("clip", required=False)
@options("rules", "target")
@model_options()
@options("start", "end", "engine", "dtype")
@click.option("--all", "every", is_flag=True, help="A row for every layer, also for those that pass all on.")
def ledger(clip, rules, target, model, start, end, engine, dtype, every):
    """Print where every part of the relevance of CLIP (by default the embedded one) went, layer by layer.

    R out arrives at a layer's output, R in is handed to its input; the difference was absorbed by the bias,
    by the rule's stabilizer, or gated (no input to give it to). The residual is what rounding leaves. Layers
    that pass all on share a line.
    """
    network, front_end = model.open()
    opened = open_or_complain(clip or str(EMBEDDED_CLIP), front_end, start=start, end=end)
    if opened is None:
        raise SystemExit(1)
    target = parse_target(network, target)
    check_engine(engine)
    (answer,) = explain_or_complain(model.path, answers, network, [opened], [rules], target, engine=engine,
                                    dtype=dtype)
    whole = explain_or_complain(model.path, lambda: answer.ledger)
    say(f"{opened.name}: {answer.target_name}, score {answer.score:.4f}, rules {rules}",
        *(f"warning: {warning}" for warning in answer.warnings), sentence(whole, "the sound"), "",
        *whole.table(all=every).split("\n"))
