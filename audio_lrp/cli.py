"""The command line: audio-lrp explain, summary, ledger, and the commands that have files of their own."""
import pathlib
import sys

import click

import lrp_core

from . import EMBEDDED_CLIP
from .check import check
from .common import (
    FORMATS,
    check_engine,
    explain_or_complain,
    load_image_model,
    load_model,
    make_folder,
    open_or_complain,
    options,
    parse_target,
)
from .dataset import dataset
from .journey import down_to_sound
from .listen import listen
from .names import unique_stems
from .report import report
from .results import Result, bottom_line, explain_clips, heard, write
from .terminal import Commands, say, say_blocks

BATCH = 32


def bar_character():
    """A full block where the terminal can show one."""
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def describe(result, places):
    """One clip's answer as lines for the terminal."""
    e, clip = result.main, result.clip
    channels = f"{clip.channels} channel{'s' * (clip.channels > 1)}"
    lines = [f"{clip.name}  ({clip.duration:.2f} s, {clip.sample_rate:g} Hz, {channels})"]
    lines += [f"  warning: {warning}" for warning in result.warnings]
    for index in e.logits.argsort()[::-1][:max(3, len(heard(e)))]:
        share = float(e.probabilities[index])
        lines.append(f"  {e.class_names[index]:<18}{bar_character() * round(share * 40):<41}{share:6.1%}")
    lines.append(f"  explained: {e.class_names[e.target]} by {next(iter(result.explanations))}")
    lines.append(f"  {bottom_line(e.ledger)}")
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
    audio-lrp dataset FOLDER -o out    a whole data set: index, arrays, mean maps of each class
    audio-lrp report dog.wav           all of it as one page, to see and hear in a browser
    audio-lrp ledger dog.wav           where every part of the relevance went
    audio-lrp summary                  the network, layer by layer
    audio-lrp check model.onnx         any model: can it be explained, and how far believed?
    """


@main.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@options("rules", "target", "model", "engine", "dtype")
@click.option("-o", "--output", "directory", default="explanations", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", show_default=True,
              help="The pictures' format.")
def explain(clips, rules, target, model_path, engine, dtype, directory, picture):
    """Explain sound files (WAV, FLAC, OGG, MP3): what the network hears, and where in the sound it hears it.

    For each CLIP a picture (spectrogram, LRP maps, overlay), the numbers (.json: probabilities, relevance
    totals, ledger), the arrays (.npz) and the relevance per frequency and per moment (-profiles, as a picture
    and .csv) are written. Without a CLIP the embedded one is explained. A file that
    cannot be read is named and left out; the exit code is then 1.
    """
    network = load_image_model(model_path)
    target = parse_target(network, target)
    check_engine(engine)
    make_folder(directory)
    paths = clips or (str(EMBEDDED_CLIP),)
    todo = list(zip(paths, unique_stems(paths, f"-profiles.{picture}")))
    answers, failed = [], 0
    with click.progressbar(length=len(todo), label="explaining", file=sys.stderr,
                           hidden=len(todo) == 1) as bar:
        for start in range(0, len(todo), BATCH):
            opened = [(open_or_complain(path), stem) for path, stem in todo[start:start + BATCH]]
            good = [(clip, stem) for clip, stem in opened if clip is not None]
            failed += len(opened) - len(good)
            bar.update(len(opened) - len(good))
            if not good:
                continue
            results = explain_or_complain(model_path, explain_clips, network, [clip for clip, _ in good],
                                          rules, target,
                                          engine=engine, dtype=dtype)
            for result, (_, stem) in zip(results, good):
                try:
                    written = write(result, directory, stem, picture)
                except OSError as error:
                    say(f"not written: {directory / stem}: {error}", err=True)
                    failed += 1
                else:
                    answers.append(describe(result, f"{directory}: {', '.join(written)}"))
                bar.update(1)
    say_blocks(answers)
    if failed:
        say("", f"{failed} of {len(todo)} files could not be explained", err=True)
        raise SystemExit(1)


main.add_command(check)
main.add_command(listen)
main.add_command(dataset)
main.add_command(report)


@main.command()
@options("model")
def summary(model_path):
    """Print the network layer by layer, with output shapes and parameter counts."""
    say(*load_model(model_path).summary().split("\n"))


@main.command()
@click.argument("clip", required=False)
@options("rules", "target", "model", "engine", "dtype")
def ledger(clip, rules, target, model_path, engine, dtype):
    """Print where every part of the relevance of CLIP (by default the embedded one) went, layer by layer.

    R out arrives at a layer's output, R in is handed to its input; the difference was absorbed by the bias,
    by the rule's stabilizer, or gated (no input to give it to). The residual is what rounding leaves.
    """
    network = load_image_model(model_path)
    opened = open_or_complain(clip or str(EMBEDDED_CLIP))
    if opened is None:
        raise SystemExit(1)
    target = parse_target(network, target)
    check_engine(engine)
    e = explain_or_complain(model_path, lrp_core.explain, network, opened.image, rules, target, engine=engine,
                            dtype=dtype)
    _, whole = down_to_sound(opened, e)
    say(f"{opened.name}: {e.class_names[e.target]}, logit {e.logits[e.target]:.4f}, rules {rules}",
        *(f"warning: {warning}" for warning in Result(opened, {rules: e}).warnings), "",
        *str(whole).split("\n"))
