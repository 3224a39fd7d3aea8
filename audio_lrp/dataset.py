"""audio-lrp dataset: a whole data set explained, sorted into right and wrong by class; interrupted at will.
"""
import dataclasses
import importlib.util
import pathlib
import sys

import click

from lrp_core import ALIASES
from lrp_core.chunks import default_threads

from .common import (
    FORMATS,
    LEADING,
    PRESET_NAMES,
    check_engine,
    model_options,
    options,
)
from .terminal import say

CLUSTERS = {"dask": ("dask", "distributed"), "ray": ("ray",)}  # the packages that each needs
BATCH = 32
INTERRUPTED = 130  # the exit code of a command that Ctrl-C ended


def check_installed(backend):
    """Refuse to start without the packages that this work needs beyond those of `audio-lrp explain`."""
    needed = ("joblib", "zarr", "filelock", *CLUSTERS.get(backend, ()))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(f"this needs {', '.join(missing)}, which is not installed: "
                                   f"pip install {' '.join(missing)}")


def open_classifier(model):
    """(network, front end) of a model with one row of scores, or an error for people."""
    network, front_end = model.open()
    if network.class_names is None:
        raise click.ClickException(f"{model.path}: its output has the shape {network.output_shape}; a data "
                                   "set is sorted by the classes of one row of scores")
    return network, front_end


def read_or_complain(source, network, target):
    """(base folder, items) of a data set, or an error for people."""
    from .dataset_items import read_items
    try:
        base, items = read_items(source, network.class_names)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    unlabelled = [item.path for item in items if item.label is None]
    if target == "true" and unlabelled:
        raise click.ClickException(f"{source}: --target true explains the class of the label, but "
                                   f"{len(unlabelled)} of "
                                   f"{len(items)} clips have none ({unlabelled[0]}, ...); label them in a "
                                   "CSV table or leave "
                                   "--target out")
    say(f"{source}: {len(items)} clips, {len(items) - len(unlabelled)} with a label", err=True)
    return base, items


@click.command()
@click.argument("source", metavar="FOLDER_OR_CSV", type=click.Path(exists=True, path_type=pathlib.Path))
@click.option("-o", "--output", "directory", required=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="The folder to write to: new, empty, or of the run to go on with.")
@click.option("--rules", "presets", multiple=True, type=click.Choice(PRESET_NAMES), default=(LEADING,),
              show_default=True,
              help="A preset that shares relevance out; may be given several times. The first one decides "
                   "what is typical.")
@click.option("--target", type=click.Choice(["max", "true"]), default="max", show_default=True,
              help="Explain the winning class, or the class of the label.")
@model_options("--model-output")
@options("engine", "dtype")
@click.option("--jobs", type=click.IntRange(1), default=default_threads, show_default="all processors",
              help="How many workers explain at a time. Results do not depend on it.")
@click.option("--backend", type=click.Choice(["loky", "threading", *CLUSTERS]), default="loky",
              show_default=True,
              help="joblib's backend: processes (loky) or threads of this machine, or a cluster (ray tells "
                   "no progress).")
@click.option("--scheduler", metavar="ADDRESS",
              help="The cluster's address, as in tcp://10.0.0.1:8786 for Dask; without "
              "it --backend dask and ray start a cluster of --jobs workers on this machine. Every machine "
              "must see the sounds, "
              "the model and the output under the same path.")
@click.option("--batch", type=click.IntRange(1), default=BATCH, show_default=True,
              help="Clips in a batch: what a killed run loses at most for each worker, and what a chunk of "
                   "the arrays holds.")
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", show_default=True,
              help="The pictures' format.")
def dataset(source, directory, presets, target, model, engine, dtype, jobs, backend, scheduler, batch,
            picture):
    """Explain a whole data set: features, predictions and relevance of every clip, and what each class looks
    like.

    FOLDER_OR_CSV is a folder of sounds (searched with its subfolders), a folder laid out as UrbanSound8K, or
    a CSV table with a column `path` and, if known, `class` or `classID`. In a folder, labels come from file
    names as UrbanSound8K has them, or from a subfolder's name that is a class; clips without a label are
    sorted by what was heard.

    \b
    In the output folder:
    index.csv       a line per clip: label, prediction, what was explained, relevance
    errors.csv      the clips that could not be read, and why; the exit code is then 1
    arrays.zarr     spectrograms as the network sees them, logits, relevance of every clip, in the index's
    order classes/        mean spectrogram, mean relevance map and profiles of each class,
                    for right and for wrong decisions
    typical.csv     the clips that stand for each class
    confused.csv    the wrong decisions the network was surest of
    SUMMARY.md      counts and confusions; the same as numbers in summary.json

    A run that was stopped or killed goes on where it was when the same command is given again. One run at a
    time works in a folder; another one is refused and names it.

    \b
    audio-lrp dataset UrbanSound8K -o explained --rules flat --rules epsilon
    audio-lrp dataset clips.csv -o explained --backend dask --jobs 2
    """
    check_installed(backend)
    check_engine(engine)
    if scheduler and backend not in CLUSTERS:
        raise click.UsageError("--scheduler is the address of a cluster: give --backend dask or ray with it")
    from .dataset_lock import alone
    from .dataset_report import write_report
    from .dataset_run import Work, coordinator_of, forget_mended, settings_of
    from .dataset_store import make_folder_of_run, open_store
    from .dataset_tables import headline
    network, front_end = open_classifier(model)
    base, items = read_or_complain(source, network, target)
    rules = list(dict.fromkeys(ALIASES.get(name, name) for name in presets))
    settings = settings_of(base, items, network, front_end, model, rules, target, batch, engine=engine,
                           dtype=dtype)
    folder = directory.resolve()
    try:
        make_folder_of_run(folder)
        with alone(folder):
            store = open_store(folder, settings)
            if forgotten := forget_mended(store, base):
                say(f"a clip can be read now that could not be before: {forgotten} clips are explained again",
                    err=True)
            threads = 1 if jobs > 1 or backend in CLUSTERS else None
            work = Work(store, base, dataclasses.replace(model, path=str(pathlib.Path(model.path).resolve())),
                        threads, coordinator_of(backend))
            explain_all(work, items, jobs, backend, scheduler)
            say("writing tables and pictures", err=True)
            summary = write_report(store, picture=picture)
    except (ValueError, OSError, ArithmeticError) as error:
        raise click.ClickException(str(error)) from None
    # what joblib raises when one of its processes was killed, for want of memory perhaps
    except RuntimeError as error:
        raise click.ClickException(f"a worker ended ({error}); the same command goes on from there, with "
                                   "fewer --jobs if "
                                   "memory is short") from None
    say(f"{directory}: {headline(summary)}")
    if summary["errors"]:
        raise SystemExit(1)


def explain_all(work, items, jobs, backend, scheduler):
    """Explain what is not explained yet, with a progress bar on stderr; Ctrl-C ends the command with a word
    on how to go on.
    """
    from .dataset_run import work_through, workers
    left = work.store.clips_left()
    if left < len(items):
        say(f"{len(items) - left} clips were done before, {left} are left", err=True)
    if not left:
        return
    try:
        with workers(backend, jobs, scheduler) as parallel, \
             click.progressbar(length=left, label="explaining", file=sys.stderr, show_pos=True) as bar:
            work_through(work, items, parallel, bar.update)
    except KeyboardInterrupt:
        done = len(items) - work.store.clips_left()
        say("", f"stopped; {done} of {len(items)} clips are done. The same command goes on from there.",
            err=True)
        raise SystemExit(INTERRUPTED) from None
