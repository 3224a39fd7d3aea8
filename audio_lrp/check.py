"""audio-lrp check: can a model be explained, and how far can its explanations be believed?"""
import json
import pathlib
import sys

import click
import numpy as np

import lrp_core

from .common import PRESET_NAMES
from .models import KERAS, constant, load, target_of, whole_numbers
from .terminal import say


@click.command()
@click.argument("model", type=click.Path(dir_okay=False))
@click.option("--input", "input_name", metavar="NAME",
              help="The input to explain, where the model has several.")
@click.option("--output", "output_name", metavar="NAME",
              help="The output to explain, or any value inside the model.")
@click.option("--shape", metavar="N,N,...",
              help="The input's shape without the batch axis, where the file leaves axes open: 3,200,160.")
@click.option("--const", "constants", multiple=True, metavar="NAME=VALUE",
              help="A value for another input: a number, which fills it, or a .npy file. May be repeated.")
@click.option("--data", metavar="FILE.npy", type=click.Path(dir_okay=False),
              help="The input to try.  [default: random numbers, the same every time]")
@click.option("--rules", multiple=True, type=click.Choice(PRESET_NAMES), show_default="all",
              help="The preset to try. May be repeated.")
@click.option("--target", default="max", show_default="the largest score",
              help="What is explained: a class's number, places like 0,3, or 'sum'.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def check(model, input_name, output_name, shape, constants, data, rules, target, as_json):
    """Look a model over before it is explained: an ONNX file, a model file (.npz), or, where TensorFlow is
    installed, a Keras model.

    Shows every layer with its rule and what the compiled engine leaves to NumPy, compares the scores with
    onnxruntime's (where it is installed), tells for each preset what share of the score reaches the input and
    what keeps the rest, and warns of what makes explanations hard to believe.

    Exit code 1: the scores disagree, or the model cannot be read. The model's error names every operator that
    is not supported.

    \b
    audio-lrp check model.onnx
    audio-lrp check aecmos.onnx --shape 3,200,160 --const h0=0
    audio-lrp check silero_vad.onnx --input input --output output --shape 576 --const state=0 --const sr=16000
    """
    names = list(rules) or list(lrp_core.PRESETS)
    try:
        with click.progressbar(length=len(names), label="checking", file=sys.stderr, show_pos=True) as bar:
            source = load(model) if pathlib.Path(model).suffix.lower() in KERAS else model
            found = lrp_core.check(
                source, None if data is None else np.load(data, allow_pickle=False), input=input_name,
                output=output_name, shape=None if shape is None else whole_numbers("--shape", shape),
                constants=dict(map(constant, constants)), target=target_of(target), rules=names,
                progress=bar.update)
    except (ValueError, OSError, ImportError, TypeError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    else:
        say(*str(found).split("\n"))
    if not found.agrees:
        sys.exit(1)
