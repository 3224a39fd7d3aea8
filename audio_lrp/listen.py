"""audio-lrp listen: the part of a sound that a decision rests on, to hear; and whether the network agrees."""
import dataclasses
import io
import math
import pathlib
import sys

import click
import numpy as np
import soundfile

from features.listen import audible, masked
from lrp_core.files import replacing
from lrp_core.layers import Sigmoid

from . import EMBEDDED_CLIP
from .answer import answers
from .common import (
    check_engine,
    explain_or_complain,
    make_folder,
    model_options,
    open_or_complain,
    options,
    parse_target,
)
from .names import unique_stems
from .terminal import say, say_blocks

PARTS = ("relevant", "against", "remainder")


@dataclasses.dataclass(frozen=True)
class Check:
    """What the network hears in the parts of one clip.

    kept: does the relevant part alone keep what was explained? without: does the sound keep it without that
    part? random: how often random masks with the same share of cells keep it, 0..1.
    """
    kept: bool
    without: bool
    random: float


def compete(network):
    """Do classes compete for a sound, so that one of them wins?"""
    return math.prod(network.output_shape) > 1 and not isinstance(network.activation, Sigmoid)


def check_mask(network, clip, mask, target, *, draws, rng, least=None):
    """Ask the network what it hears in the masked cells, in all the others, and in as many cells drawn at
    random: a Check.

    least: None where the target has to win to be kept; else what its score has to be at least.
    """
    def keeps(chosen):
        heard = clip.front_end(masked(clip, chosen), clip.front_end.sample_rate)
        scores = np.ravel(network.logits(heard))
        if least is None:
            return int(scores.argmax()) == target
        return float(scores.sum() if target < 0 else scores[target]) >= least
    drawn = [keeps(rng.permutation(mask.ravel()).reshape(mask.shape)) for _ in range(draws)]
    return Check(keeps(mask), keeps(~mask), float(np.mean(drawn)))


def place_of(directory, stem, name):
    """The file of a part."""
    return directory / f"{stem}-{name}.wav"


def refuse_to_overwrite(paths, stems, directory):
    """A usage error where a part would be written over one of the sounds that are to be taken apart."""
    sources = {pathlib.Path(path).resolve(): path for path in paths}
    for stem in stems:
        for name in ("original", *PARTS):
            source = sources.get(place_of(directory, stem, name).resolve())
            if source is not None:
                raise click.UsageError(f"{source} would be overwritten by a part of another sound; choose "
                                       "another "
                                       "folder with -o")


def write_parts(clip, made, directory, stem):
    """Write the original and its parts as 16-bit WAV files; returns their names."""
    names = []
    for name, y in (("original", audible(clip.sound)), *((name, getattr(made, name)) for name in PARTS)):
        path = place_of(directory, stem, name)
        with replacing(path) as partial:
            file = io.BytesIO()  # soundfile itself insists on names in UTF-8
            soundfile.write(file, np.clip(y, -1, 1), clip.front_end.sample_rate, format="WAV",
                            subtype="PCM_16")
            partial.write_bytes(file.getvalue())
        names.append(path.name)
    return names


def describe(answer, made, share):
    """What was found in one clip, as lines for the terminal."""
    cells, against, _ = made.masks.mean(axis=(1, 2))
    parts = [f"{share:.0%} of what speaks for it lies in {cells:.2%} of the cells" if cells else
             "nothing speaks for it",
             f"of what speaks against it in {against:.2%}" if cells and against else
             f"{share:.0%} of what speaks against it lies in {against:.2%} of the cells" if against else
             "nothing speaks against it"]
    return [answer.clip.name, *(f"  warning: {warning}" for warning in answer.warnings),
            f"  {answer.target_name}: {', '.join(parts)}"]


def summary_line(checks, draws, wins):
    """The checks of all clips in a sentence."""
    how = "is heard as the class of" if wins else "keeps half of the score of"
    return (f"the relevant part alone {how} {sum(c.kept for c in checks)} of {len(checks)} clips; as many "
            f"cells drawn at random, of {sum(c.random for c in checks):.1f} ({draws} draws each); all but "
            f"the relevant part, of {sum(c.without for c in checks)}")


@click.command()
@click.argument("clips", nargs=-1, metavar="[CLIP ...]")
@options("rules", "target")
@model_options("--model-output")
@options("start", "end", "engine", "dtype")
@click.option("--share", default=0.5, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="How much of the relevance the part carries: fewer cells are fewer sounds.")
@click.option("--check", "draws", default=0, type=click.IntRange(0), metavar="DRAWS",
              help="Ask the network what it hears in the part alone, beside DRAWS random masks of as many "
                   "cells: the same class, or, with --target and where classes do not compete, at least half "
                   "of the score.")
@click.option("-o", "--output", "directory", default="heard", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
def listen(clips, rules, target, model, start, end, engine, dtype, share, draws, directory):
    """Hear what a decision rests on: each CLIP taken apart by relevance.

    Relevance is carried down to the cells of the short-time Fourier transform. The fewest cells that carry
    --share of the positive relevance become CLIP-relevant.wav; those that carry as much of the negative
    CLIP-against.wav; all others CLIP-remainder.wav. They are as loud as CLIP-original.wav, so that they can
    be compared, where their peaks allow it and 40 dB suffice. A file that cannot be read is named and left
    out; the exit code is then 1.

    \b
    audio-lrp listen                          the embedded clip
    audio-lrp listen dog.wav --share 0.8      more of it
    audio-lrp listen *.wav --check 5          does the network still hear the same in the part alone?
    """
    if not share > 0:  # NaN passes click's range
        raise click.BadParameter(f"{share} is no share", param_hint="--share")
    network, front_end = model.open()
    target, rng = parse_target(network, target), np.random.default_rng(0)
    wins = target == "max" and compete(network)
    check_engine(engine)
    paths = clips or (str(EMBEDDED_CLIP),)
    stems = unique_stems(paths, "-remainder.wav")
    refuse_to_overwrite(paths, stems, directory)
    make_folder(directory)
    told, checks, failed = [], [], 0
    with click.progressbar(list(zip(paths, stems)), label="listening", file=sys.stderr,
                           hidden=len(paths) == 1) as bar:
        for path, stem in bar:
            clip = open_or_complain(path, front_end, start=start, end=end)
            if clip is None:
                failed += 1
                continue
            (answer,) = explain_or_complain(model.path, answers, network, [clip], [rules], target,
                                            engine=engine, dtype=dtype)
            made = explain_or_complain(model.path, answer.listen, share)
            try:
                written = write_parts(clip, made, directory, stem)
            except OSError as error:
                say(f"not written: {directory / stem}: {error}", err=True)
                failed += 1
                continue
            told.append([*describe(answer, made, share), f"  -> {directory}: {', '.join(written)}"])
            if draws and made.masks[0].any() and (wins or answer.score > 0):
                checks.append(check_mask(network, clip, made.masks[0], answer.e.target, draws=draws, rng=rng,
                                         least=None if wins else answer.score / 2))
                told[-1].append(f"  {summary_line(checks[-1:], draws, wins)}")
            elif draws:
                told[-1].append("  not checked: nothing speaks for it, or its score is not above zero")
    say_blocks(told)
    if len(checks) > 1:
        say("", f"all clips: {summary_line(checks, draws, wins)}")
    if failed:
        say("", f"{failed} of {len(paths)} files could not be taken apart", err=True)
        raise SystemExit(1)
