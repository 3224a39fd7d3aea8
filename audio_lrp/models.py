"""Any model with the front end that goes with it: from files and options to (network, FrontEnd)."""
import importlib.util
import inspect
import os
import pathlib
import subprocess
import sys
import tempfile

import click
import numpy as np

import features
import lrp_core
from features import FrontEnd
from features.front_end import level_steps
from lrp_core.canonize import final_activation
from lrp_core.target import told
from lrp_core.text import MESSAGE, clean, quote

# How model files of the first edition name the study's front end.
FIRST_EDITION = "mel64-magma"
NAMES = "study, waveform:RATE, log_mel:sr=16000,n_mels=64,..., spectrogram:sr=16000,... or a JSON file"
KERAS = (".keras", ".h5")  # endings


def load(path, *, input=None, output=None, shape=None, constants=None):
    """The network of a model file (.npz, .onnx, .keras), with class names that can be printed anywhere.

    Raises ValueError or OSError that says what is wrong, and what to do.
    """
    ending = pathlib.Path(path).suffix.lower()
    asked = {"input": input, "output": output, "shape": shape, "constants": constants or None}
    asked = {name: value for name, value in asked.items() if value is not None}
    if ending == ".onnx":
        network = lrp_core.from_onnx(path, **asked)
    elif asked:
        raise ValueError(f"{path}: {', '.join(asked)} are for ONNX models")
    elif ending in KERAS:
        network = from_keras(path)
    else:
        network = lrp_core.load(path)
    return with_names(network, path)


def network_of(model):
    """The network that `model` is, or that lies in its file."""
    return load(model) if isinstance(model, (str, os.PathLike)) else with_names(model, "the network")


def from_keras(path):
    """The network of a Keras model, converted in a process of its own where TensorFlow is installed; else
    ValueError that says how to convert it.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(f"{path}: a Keras model can be read where TensorFlow is installed (pip install "
                         "tensorflow); or convert it on another machine: python -m train_tf export "
                         f"{path} -o net.npz, and give net.npz")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: there is no such file")
    with tempfile.TemporaryDirectory() as folder:
        converted = os.path.join(folder, "net.npz")
        done = subprocess.run([sys.executable, "-m", "train_tf", "export", os.fspath(path), "-o", converted],
                              capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no reason was given"]
            raise ValueError(f"{path}: cannot be converted: {said[-1].removeprefix('Error: ')}")
        return lrp_core.load(converted)


def with_names(network, path):
    """The network with a name for each score of a row, cleaned for a terminal."""
    if len(network.output_shape) != 1:
        return network
    names = network.class_names or ([f"class {number}" for number in range(network.scores)]
                                    if network.scores > 1 else ["output"])
    try:
        return network.replace(class_names=[clean(name, MESSAGE) for name in names])
    except ValueError as error:  # two names that differ only in characters that cannot be shown
        raise ValueError(f"{path}: {error}") from None


def front_end_of(network, asked=None):
    """The FrontEnd for a network, fitted to it: the one asked for, the one in its file, or the study's for
    its images.

    asked: None, a FrontEnd, a JSON file's path, or a name with settings (see NAMES). Raises ValueError.
    """
    found = network.metadata.get("front_end")
    if asked is not None:
        front_end = asked if isinstance(asked, FrontEnd) else named(asked)
    elif isinstance(found, dict) and "front_end" in found:
        front_end = FrontEnd.from_dict(found)
    elif (isinstance(found, dict) and found.get("image") == FIRST_EDITION) or (
            found is None and network.input_shape == features.IMAGE_SHAPE):
        front_end = FrontEnd.study()
    else:
        raise ValueError(f"the model takes inputs of shape {network.input_shape}, and its file does not say "
                         f"how a sound becomes one: give a front end ({NAMES})")
    return front_end.fitting(network.input_shape)


def named(text):
    """The FrontEnd that a name with settings, or a JSON file, stands for."""
    name, _, settings = os.fspath(text).partition(":")
    makers = {"study": FrontEnd.study, "waveform": FrontEnd.waveform, "log_mel": FrontEnd.log_mel,
              "spectrogram": FrontEnd.spectrogram}
    if name not in makers:
        if os.path.isfile(text):
            return FrontEnd.load(text)
        raise ValueError(f"no front end is called {quote(text)}, nor is there such a file; there are {NAMES}")
    known = settings_of(makers[name])
    pairs = [setting(part, *known[:1]) for part in settings.split(",") if part]
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ValueError(f"the front end {name}: {quote(settings)} says a setting twice")
    unknown = [quote(one) for one in given if one not in known]
    if unknown:
        raise ValueError(f"the front end {name} has no setting {', '.join(unknown)}; it has "
                         f"{', '.join(known) or 'none'}")
    if name == "waveform" and "rate" not in given:
        raise ValueError("the front end waveform needs its sample rate: waveform:16000")
    return makers[name](**given)


def settings_of(maker):
    """The names of the settings that a front end's maker takes, in order."""
    own = list(inspect.signature(maker).parameters)
    levels = [one for one in inspect.signature(level_steps).parameters if one != "power"]
    return [*own[:-1], *levels] if "levels" in own else own


def setting(text, first="rate"):
    """(name, value) of "n_mels=64"; a number alone is a sample rate, the `first` setting."""
    name, equals, value = text.partition("=")
    if not equals:
        name, value = first, text
    known = {"true": True, "false": False, "none": None}
    if value.lower() in known:
        return name, known[value.lower()]
    for parts in ([value], value.split("/")):
        try:
            numbers = tuple(map(number, parts))
        except ValueError:
            continue
        return name, numbers if len(numbers) > 1 else numbers[0]
    if "/" in value:
        raise ValueError(f"{name}={value}: numbers stand on both sides of a /")
    return name, value


def number(text):
    """A whole number where the text is one, else a float; raises ValueError."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def reads_as(network):
    """"probabilities" where the network ends in a softmax or sigmoid, else "scores"."""
    return "scores" if final_activation(network)[0] is None else "probabilities"


def name_of(network_or_explanation, number):
    """What a score is called: its class, or its place."""
    names = network_or_explanation.class_names
    shape = getattr(network_or_explanation, "output_shape", None) or network_or_explanation.logits.shape
    said = told(number, names, shape)
    return f"output {said}" if names is None and number >= 0 else said


def whole_numbers(option, text):
    """Numbers with commas between them as a tuple."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{option} takes whole numbers with commas between them, got "
                                 f"{text!r}") from None


def constant(text):
    """(name, number or array) of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"--const takes NAME=VALUE, got {text!r}")
    if value.endswith(".npy"):
        return name, np.load(value, allow_pickle=False)
    try:
        return name, float(value)
    except ValueError:
        raise click.BadParameter(f"--const {name}: the value must be a number or a .npy file, got "
                                 f"{value!r}") from None


def target_of(text):
    """A target as `explain` takes it: "max", "sum", a class's name or number, or a tuple of places."""
    parts = text.split(",")
    if all(part.strip().isdecimal() for part in parts):
        numbers = tuple(int(part) for part in parts)
        return numbers if len(numbers) > 1 else numbers[0]
    return text
