"""What the commands share: options, a model or a clip opened with errors for people, names for what is written."""
import functools
import pathlib
import re

import click

import features
import lrp_core
from lrp_core.target import resolve

from . import EMBEDDED_MODEL

FORMATS = ("png", "svg", "pdf")
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


def load_image_model(path):
    """The network, or an error for people; refused if it does not take the images `features` makes."""
    network = load_model(path)
    if network.input_shape != (64, 64, 3):
        raise click.ClickException(f"{path}: the model takes inputs of shape {network.input_shape}; "
                                   "sounds become (64, 64, 3) images")
    return network


def make_folder(directory):
    """Make a folder to write to, or an error for people."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{directory}: cannot be made or written to ({error.strerror})") from None


def explain_or_complain(path, work, *arguments):
    """The result of `work(*arguments)`; what the engine refuses in the model becomes an error for people."""
    try:
        return work(*arguments)
    except (ValueError, lrp_core.ConservationError) as error:
        raise click.ClickException(f"{path}: {error}") from None


def parse_target(network, target):
    """A class name or number as `explain` takes it, or a usage error."""
    target = int(target) if target.isdecimal() and target not in network.class_names else target
    try:
        resolve(target, 1, network)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--target") from None
    return target


def printable(text):
    """Text for people: a file name may hold bytes that are no text; they become question marks."""
    return text.encode("utf-8", "replace").decode()


def open_or_complain(path):
    """A Clip, or None after naming on stderr what is wrong with the file."""
    try:
        return features.open_clip(path)
    except (features.AudioError, OSError) as error:
        click.echo(f"skipped: {printable(str(error))}", err=True)
        return None


def shortest_names(paths):
    """What to call each file: its name, with as many of its folders as it takes to tell it from files of the same name."""
    tails = []
    for path in paths:
        parts = pathlib.Path(path).parts
        others = [pathlib.Path(other).parts for other in paths if other != path]
        length = next((n for n in range(1, len(parts)) if all(other[-n:] != parts[-n:] for other in others)), len(parts))
        tails.append(printable(str(pathlib.Path(*parts[-length:]))))
    return tails


def unique_stems(paths):
    """A different file stem for every path, in order; bytes in a name that are no text become "_".

    They differ by more than case, which some systems ignore, and none is another one's with "-profiles".
    """
    stems, taken = [], set()
    for path in paths:
        stem = base = re.sub("[\ud800-\udfff]", "_", pathlib.Path(path).stem)
        number = 2
        while {stem.casefold(), f"{stem}-profiles".casefold()} & taken:
            stem, number = f"{base}-{number}", number + 1
        taken |= {stem.casefold(), f"{stem}-profiles".casefold()}
        stems.append(stem)
    return stems
