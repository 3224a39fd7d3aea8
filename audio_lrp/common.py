"""What the commands share: options, a model or a clip opened with errors for people."""
import dataclasses
import difflib
import functools
import os
import shlex

import click

import features
import lrp_core
from features import FrontEnd
from lrp_core.target import resolve

from . import EMBEDDED_MODEL
from .models import NAMES, constant, front_end_of, load, target_of, whole_numbers
from .terminal import say

FORMATS = ("png", "svg", "pdf")
PRESET_NAMES = [*lrp_core.PRESETS, *lrp_core.ALIASES]
LEADING = "preset_a_flat"  # the rule whose picture reads best: it draws what sounds, epsilon noise


@dataclasses.dataclass(frozen=True)
class Asked:
    """The model that a command was asked to use. inputs: of an ONNX model, as `models.load` takes them."""
    path: str
    front_end: str | None
    inputs: dict

    def network(self):
        """The network, or an error for people."""
        try:
            return load(self.path, **self.inputs)
        except (ValueError, OSError, ImportError, TypeError) as error:
            raise self.complaint(error) from None

    def open(self) -> tuple[lrp_core.Network, FrontEnd]:
        """(network, front end), or an error for people."""
        network = self.network()
        try:
            return network, front_end_of(network, self.front_end)
        except (ValueError, OSError) as error:
            raise self.complaint(error) from None

    def complaint(self, error):
        """An error for people that names the model."""
        message = str(error)
        return click.ClickException(message if self.path in message else f"{self.path}: {message}")


INPUTS = (
    click.option("--input", "input_name", metavar="NAME",
                 help="ONNX: the input that takes the sound, where the model has several."),
    click.option("--output", "output_name", metavar="NAME",
                 help="ONNX: the output to explain, or any value inside the model."),
    click.option("--shape", metavar="N,N,...",
                 help="ONNX: the input's shape without the batch axis, where the file leaves axes open."),
    click.option("--const", "constants", multiple=True, metavar="NAME=VALUE",
                 help="ONNX: a value for another input: a number, which fills it, or a .npy file."),
)
MODEL = click.option("--model", "model_path", type=click.Path(dir_okay=False), default=str(EMBEDDED_MODEL),
                     show_default="the embedded urban-sound network",
                     help="The model to ask: .npz, .onnx, or .keras where TensorFlow is installed.")
FRONT_END = click.option("--front-end", metavar="FILE|NAME", show_default="what the model's file says",
                         help=f"How a sound becomes what the model takes: {NAMES}.")


def model_options(*outputs, front_end=True):
    """The options that choose a model; the command gets them as one argument, `model`: an Asked.

    outputs: what the option for an ONNX model's output is called; --model-output, and --output where that
    means nothing else.
    """
    renamed = click.option(*outputs or ("--output", "--model-output"), "output_name", metavar="NAME",
                           help="ONNX: the output to explain, or any value inside the model.")

    def decorate(command):
        @functools.wraps(command)
        def run(*arguments, model_path, input_name, output_name, shape, constants, front_end=None, **options):
            inputs = {"input": input_name, "output": output_name,
                      "shape": None if shape is None else whole_numbers("--shape", shape),
                      "constants": dict(map(constant, constants)) or None}
            return command(*arguments, model=Asked(model_path, front_end, inputs), **options)
        made = [MODEL, *([FRONT_END] if front_end else []), INPUTS[0], renamed, *INPUTS[2:]]
        return functools.reduce(lambda done, one: one(done), reversed(made), run)
    return decorate


def options(*names):
    """The options that several commands share."""
    made = {
        "rules": click.option("--rules", type=click.Choice(PRESET_NAMES), default=LEADING,
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
                               help="What to explain: a class by name or number, places like 0,3, or 'sum'."),
        "start": click.option("--start", type=click.FloatRange(0), default=0.0, metavar="SECONDS",
                              help="Where in the file to begin."),
        "end": click.option("--end", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
                            show_default="the end, or what the model takes",
                            help="Where in the file to stop."),
    }
    return lambda command: functools.reduce(lambda done, name: made[name](done), reversed(names), command)


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
    """A target as `explain` takes it, or a usage error."""
    names = network.class_names or ()
    target = target if target in names else target_of(target)
    try:
        resolve(target, 1, network)
    except ValueError as error:
        message = f"{error}{did_you_mean(str(target), names)}"
        raise click.BadParameter(message, param_hint="--target") from None
    return target


def did_you_mean(name, known):
    """"; did you mean ...?" with the names that are most like it, or that hold it; empty where none is."""
    alike = difflib.get_close_matches(name, known, n=3)
    alike = alike or [one for one in known if name and name.casefold() in one.casefold()]
    return f"; did you mean {' or '.join(alike[:3])}?" if alike else ""


def open_or_complain(path, front_end, **part):
    """A Clip, or None after naming on stderr what is wrong with the file. part: start and end, in seconds."""
    if os.path.isdir(path):
        command = f"audio-lrp dataset {shlex.quote(os.fspath(path))} -o OUTPUT"
        say(f"skipped: {path}: is a folder: `{command}` explains all of it", err=True)
        return None
    try:
        return front_end.open(path, **part)
    except (features.AudioError, OSError, ValueError) as error:
        say(f"skipped: {error}", err=True)
        return None
