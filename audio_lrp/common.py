"""What the commands share: options, a model or a clip opened with errors for people."""
import difflib
import functools
import os
import shlex

import click

import features
import lrp_core
from lrp_core.target import resolve
from lrp_core.text import MESSAGE, clean

from . import EMBEDDED_MODEL
from .terminal import say

FORMATS = ("png", "svg", "pdf")
PRESET_NAMES = [*lrp_core.PRESETS, *lrp_core.ALIASES]


def options(*names):
    """The options that several commands share."""
    made = {
        "model": click.option("--model", "model_path", type=click.Path(dir_okay=False),
                              default=str(EMBEDDED_MODEL),
                              show_default="the embedded urban-sound network",
                              help="The model file (.npz) to ask."),
        "rules": click.option("--rules", type=click.Choice(PRESET_NAMES), default="epsilon",
                              show_default=True,
                              help="The preset that shares relevance out; 'flat' is the study's LRP-flat."),
        "engine": click.option("--engine", type=click.Choice(lrp_core.ENGINES), default="auto",
                               show_default=True,
                               help="What computes: compiled kernels (numba), readable NumPy, or what suits "
                                    "the network (auto)."),
        "dtype": click.option("--dtype", type=click.Choice(lrp_core.DTYPES), default="float64",
                              show_default=True,
                              help="The precision: double (float64), or single, about twice as fast "
                                   "(float32)."),
        "target": click.option("--target", default="max", show_default="the winning class",
                               help="The class to explain, by name or number."),
    }
    return lambda command: functools.reduce(lambda done, name: made[name](done), reversed(names), command)


def load_model(path):
    """The network with class names that can be printed anywhere, or an error for people."""
    try:
        network = lrp_core.load(path)
    except (lrp_core.ModelFileError, OSError) as error:
        raise click.ClickException(str(error)) from None
    names = network.class_names or [f"class {number}" for number in range(network.scores)]
    try:
        return network.replace(class_names=[clean(name, MESSAGE) for name in names])
    except ValueError as error:  # two names that differ only in characters that cannot be shown
        raise click.ClickException(f"{path}: {error}") from None


def load_image_model(path):
    """The network, or an error for people; refused if it does not take the images `features` makes."""
    network = load_model(path)
    if network.input_shape != features.IMAGE_SHAPE:
        raise click.ClickException(f"{path}: the model takes inputs of shape {network.input_shape}; "
                                   f"sounds become {features.IMAGE_SHAPE} images")
    return network


def make_folder(directory):
    """Make a folder to write to, or an error for people."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{directory}: cannot be made or written to ({error.strerror})") from None


def explain_or_complain(path, work, *arguments, **options):
    """The result of `work(*arguments, **options)`; what the engine refuses in the model becomes an error for
    people.
    """
    try:
        return work(*arguments, **options)
    except (ValueError, lrp_core.ConservationError) as error:
        raise click.ClickException(f"{path}: {error}") from None


def check_engine(engine):
    """Refuse an engine that is not installed, before any work."""
    try:
        lrp_core.check_engine(engine)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--engine") from None


def parse_target(network, target):
    """A class name or number as `explain` takes it, or a usage error."""
    target = int(target) if target.isdecimal() and target not in network.class_names else target
    try:
        resolve(target, 1, network)
    except ValueError as error:
        message = f"{error}{did_you_mean(str(target), network.class_names)}"
        raise click.BadParameter(message, param_hint="--target") from None
    return target


def did_you_mean(name, known):
    """"; did you mean ...?" with the names that are most like it, or that hold it; empty where none is."""
    alike = difflib.get_close_matches(name, known, n=3)
    alike = alike or [one for one in known if name and name.casefold() in one.casefold()]
    return f"; did you mean {' or '.join(alike[:3])}?" if alike else ""


def open_or_complain(path):
    """A Clip, or None after naming on stderr what is wrong with the file."""
    if os.path.isdir(path):
        command = f"audio-lrp dataset {shlex.quote(os.fspath(path))} -o OUTPUT"
        say(f"skipped: {path}: is a folder: `{command}` explains all of it", err=True)
        return None
    try:
        return features.open_clip(path)
    except (features.AudioError, OSError) as error:
        say(f"skipped: {error}", err=True)
        return None
