"""The command line: audio-lrp explain, summary, ledger."""
import functools
import pathlib
import sys

import click

import features
import lrp_core
from lrp_core.target import resolve

from . import EMBEDDED_CLIP, EMBEDDED_MODEL
from .results import bottom_line, explain_clips, write

BATCH = 32
PRESET_NAMES = [*lrp_core.PRESETS, *lrp_core.ALIASES]


def options(*names):
    """The options that several commands share."""
    made = {
        "model": click.option("--model", "model_path", type=click.Path(dir_okay=False), default=str(EMBEDDED_MODEL),
                              show_default="the embedded urban-sound network", help="The model file (.npz) to ask."),
        "rules": click.option("--rules", type=click.Choice(PRESET_NAMES), default="epsilon", show_default=True,
                              help="The preset that shares relevance out; 'flat' is the study's LRP-flat."),
        "target": click.option("--target", default="max", show_default="the winning class",
                               help="The class to explain, by name or number."),
    }
    return lambda command: functools.reduce(lambda done, name: made[name](done), reversed(names), command)


def load_model(path):
    """The network, or an error for people."""
    try:
        network = lrp_core.load(path)
    except (lrp_core.ModelFileError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if network.class_names is None:
        classes = network.shapes[network.nodes[-1].name][0]
        network = network.replace(class_names=[f"class {number}" for number in range(classes)])
    return network


def explain_or_complain(path, work, *arguments):
    """The result of `work(*arguments)`; what the engine refuses in the model becomes an error for people."""
    try:
        return work(*arguments)
    except (ValueError, lrp_core.ConservationError) as error:
        raise click.ClickException(f"{path}: {error}") from None


def check_image_model(network, path):
    """Refuse a model that does not take the images `features` makes."""
    if network.input_shape != (64, 64, 3):
        raise click.ClickException(f"{path}: the model takes inputs of shape {network.input_shape}; "
                                   "sounds become (64, 64, 3) images")


def parse_target(network, target):
    """A class name or number as `explain` takes it, or a usage error."""
    target = int(target) if target.isdecimal() and target not in network.class_names else target
    try:
        resolve(target, 1, network)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--target") from None
    return target


def open_or_complain(path):
    """A Clip, or None after naming on stderr what is wrong with the file."""
    try:
        return features.open_clip(path)
    except (features.AudioError, OSError) as error:
        click.echo(f"skipped: {error}", err=True)
        return None


def unique_stems(paths):
    """A different file stem for every path, in order."""
    stems, taken = [], set()
    for path in paths:
        stem = base = pathlib.Path(path).stem
        number = 2
        while stem in taken:
            stem, number = f"{base}-{number}", number + 1
        taken.add(stem)
        stems.append(stem)
    return stems


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
    lines = [f"{clip.name}  ({clip.duration:.2f} s, {clip.sample_rate:g} Hz, {clip.channels} channel{'s' * (clip.channels > 1)})"]
    lines += [f"  warning: {warning}" for warning in result.warnings]
    for index in e.logits.argsort()[::-1][:3]:
        share = float(e.probabilities[index])
        lines.append(f"  {e.class_names[index]:<18}{bar_character() * round(share * 40):<41}{share:6.1%}")
    lines.append(f"  explained: {e.class_names[e.target]} by {next(iter(result.explanations))}")
    lines.append(f"  {bottom_line(e.ledger)}")
    lines.append(f"  -> {places}")
    return "\n".join(lines)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="audio-lrp")
def main():
    """Which part of a sound made a neural network decide what it decided.

    \b
    audio-lrp explain                  the embedded clip, by the embedded network
    audio-lrp explain dog.wav -o out   a sound of yours: picture, numbers, arrays
    audio-lrp ledger dog.wav           where every part of the relevance went
    audio-lrp summary                  the network, layer by layer
    """


@main.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@options("rules", "target", "model")
@click.option("-o", "--output", "directory", default="explanations", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
def explain(clips, rules, target, model_path, directory):
    """Explain sound files (WAV, FLAC, OGG, MP3): what the network hears, and where in the sound it hears it.

    For each CLIP a picture (.png: spectrogram, LRP maps, overlay), the numbers (.json: probabilities, relevance
    totals, ledger) and the arrays (.npz) are written. Without a CLIP the embedded one is explained. A file that
    cannot be read is named and left out; the exit code is then 1.
    """
    network = load_model(model_path)
    check_image_model(network, model_path)
    target = parse_target(network, target)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{directory}: cannot be made or written to ({error.strerror})") from None
    paths = clips or (str(EMBEDDED_CLIP),)
    todo = list(zip(paths, unique_stems(paths)))
    answers, failed = [], 0
    with click.progressbar(length=len(todo), label="explaining", file=sys.stderr, hidden=len(todo) == 1) as bar:
        for start in range(0, len(todo), BATCH):
            opened = [(open_or_complain(path), stem) for path, stem in todo[start:start + BATCH]]
            good = [(clip, stem) for clip, stem in opened if clip is not None]
            failed += len(opened) - len(good)
            bar.update(len(opened) - len(good))
            if not good:
                continue
            results = explain_or_complain(model_path, explain_clips, network, [clip for clip, _ in good], rules, target)
            for result, (_, stem) in zip(results, good):
                try:
                    write(result, directory, stem)
                except OSError as error:
                    click.echo(f"not written: {directory / stem}: {error}", err=True)
                    failed += 1
                else:
                    answers.append(describe(result, f"{directory / stem}.png .json .npz"))
                bar.update(1)
    click.echo("\n\n".join(answers))
    if failed:
        click.echo(f"\n{failed} of {len(todo)} files could not be explained", err=True)
        raise SystemExit(1)


@main.command()
@options("model")
def summary(model_path):
    """Print the network layer by layer, with output shapes and parameter counts."""
    click.echo(load_model(model_path).summary())


@main.command()
@click.argument("clip", required=False)
@options("rules", "target", "model")
def ledger(clip, rules, target, model_path):
    """Print where every part of the relevance of CLIP (by default the embedded one) went, layer by layer.

    R out arrives at a layer's output, R in is handed to its input; the difference was absorbed by the bias, by the
    rule's stabilizer, or gated (nobody to give it to). The residual is what rounding leaves.
    """
    network = load_model(model_path)
    check_image_model(network, model_path)
    opened = open_or_complain(clip or str(EMBEDDED_CLIP))
    if opened is None:
        raise SystemExit(1)
    target = parse_target(network, target)
    e = explain_or_complain(model_path, lrp_core.explain, network, opened.image, rules, target)
    click.echo(f"{opened.name}: {e.class_names[e.target]}, logit {e.logits[e.target]:.4f}, rules {rules}\n")
    click.echo(str(e.ledger))
