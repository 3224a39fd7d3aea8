"""python -m train_tf: train the study's CNN, and export Keras models for the framework-free engine."""
import json
import os
import pathlib

import click

DATA_CREDIT = "UrbanSound8K (Salamon, Jacoby and Bello 2014, A dataset and taxonomy for urban sound research)"
DATA_LICENCE = ("weights trained on UrbanSound8K, which is licensed CC BY-NC 3.0: non-commercial use, "
                "crediting its authors "
                "J. Salamon, C. Jacoby and J. P. Bello and the recordists of freesound.org.")

PRECISION = click.option("--precision", default="float32", show_default=True,
                         type=click.Choice(["float32", "mixed_bfloat16"]),
                         help="What training computes in; mixed_bfloat16 takes half the time where the CPU "
                              "has it.")


def need_tensorflow():
    """Import TensorFlow's Keras, or say how to get it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow  # noqa: F401  (Keras finds its backend only with TensorFlow installed)
    except ImportError as error:
        raise click.ClickException(f"training and export need TensorFlow ({error}): pip install tensorflow "
                                   "joblib") from None
    return keras


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Train the study's CNN with TensorFlow and export its weights to a model file that needs no framework.
    """


def feature_file(features, dataset, clips_per_class, directory):
    """(path of the level images, what the data is, licence): a file, a data set, or sounds made for want of
    both.
    """
    from features.dataset import extract, items

    from .data import synthesize_levels
    if features:
        return features, DATA_CREDIT, DATA_LICENCE
    path = directory / ("features.npz" if dataset else f"synthetic-{clips_per_class}.npz")
    if path.exists():
        click.echo(f"using the features in {path}")
    elif dataset:
        with click.progressbar(length=len(items(dataset)), label="sound to images") as bar:
            for message in extract(dataset, path, progress=bar.update):
                click.echo(f"left out: {message}", err=True)
    else:
        with click.progressbar(length=clips_per_class * 10, label="making sounds") as bar:
            synthesize_levels(path, clips_per_class, progress=bar.update)
    if dataset:
        return path, DATA_CREDIT, DATA_LICENCE
    return (path, "procedural sounds made by features.synth: for trying the road, not for use",
            "MIT, as the program.")


@main.command()
@click.option("--features", type=click.Path(exists=True, dir_okay=False),
              help="Level images: .npz with level, class_id, fold.")
@click.option("--dataset", type=click.Path(exists=True, file_okay=False),
              help="An UrbanSound8K folder; images are made first.")
@click.option("--synthetic", is_flag=True, help="Neither at hand: train on procedural sounds.")
@click.option("--clips-per-class", default=100, show_default=True, type=click.IntRange(10),
              help="With --synthetic.")
@click.option("--test-fold", default=1, show_default=True, type=click.IntRange(1, 10),
              help="The fold held out.")
@click.option("-o", "--output", "directory", required=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Folder for checkpoints, history, pictures, model.keras and net.npz; in calibration/ "
                   "those of the first network.")
@click.option("--epochs", type=click.IntRange(1),
              help="How often every clip is seen.  [default: the recipe's]")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True),
              help="Highest learning rate.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@PRECISION
def train(features, dataset, synthetic, clips_per_class, test_fold, directory, epochs, batch, rate, seed,
          precision):
    """Train the study's CNN on all folds but one: the network to use.

    Give one of --features, --dataset or --synthetic. Two networks are trained alike: one on eight folds,
    whose probabilities the ninth calibrates, and then the one to use, on all nine. The fold held out is
    tested on once. Run the same command again to go on after an interruption. The last epoch's weights are
    exported to net.npz beside a model card, learning curves, a confusion matrix and a reliability diagram.
    """
    if sum(map(bool, (features, dataset, synthetic))) != 1:
        raise click.UsageError("give exactly one of --features, --dataset and --synthetic")
    need_tensorflow()
    from .crossvalidate import run_all_but
    from .data import load_levels
    from .train import EPOCHS
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path, data, licence = feature_file(features, dataset, clips_per_class, directory)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    source = (f"--synthetic --clips-per-class {clips_per_class}" if synthetic else "--features FILE.npz"
              if features else "--dataset DIR")
    settings = {"epochs": epochs or EPOCHS, "batch": batch, "rate": rate, "seed": seed,
                "precision": precision}
    origin = {"data": data, "licence": licence,
              "command": command_line("train", f"{source} --test-fold {test_fold}", settings)}
    try:
        facts, _, _ = run_all_but(load_levels(path), test_fold, directory, report=click.echo, origin=origin,
                                  **settings)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo((directory / "MODEL_CARD.md").read_text())
    click.echo(f"held-out accuracy (fold {test_fold}): {facts['accuracy']['full']:.3f}; "
               f"{directory / 'net.npz'} written")


def command_line(command, source, settings):
    """The command that makes a run again."""
    return (f"python -m train_tf {command} {source} "
            f"{' '.join(f'--{name} {value}' for name, value in settings.items())} -o DIR")


@main.command(name="crossvalidate")
@click.option("--features", required=True, type=click.Path(exists=True, dir_okay=False),
              help="Level images: .npz with level, class_id, fold.")
@click.option("-o", "--output", "directory", required=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Folder: a folder for each fold, and the summary.")
@click.option("--folds", default="1-10", show_default=True, help="Which folds to test on: 1-10, 1,4,7, ...")
@click.option("--leaking/--no-leaking", default=True, show_default=True,
              help="Also the study's random split, for comparison.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1),
              help="Networks trained at the same time, each in a process of one thread and about 1.5 GB; as "
                   "many as there are "
              "cores is fastest.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each network.  [default: the recipe's]")
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True),
              help="Highest learning rate.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@PRECISION
def run_crossvalidate(features, directory, folds, leaking, jobs, epochs, batch, rate, seed, precision):
    """Test the study's CNN on each fold of UrbanSound8K in turn, as the data set's authors ask.

    Slices of one recording lie in one fold, so that no network is tested on a recording it has heard. Each
    network is trained on eight folds; a ninth, which follows the test fold, is watched and calibrates its
    probabilities. Run the same command again to go on after the last epoch. At the end: summary.json,
    CROSSVALIDATION.md, a confusion matrix and a reliability diagram of all folds together.
    """
    need_tensorflow()
    from .data import load_levels
    from .train import EPOCHS
    epochs = epochs or EPOCHS
    try:
        numbers = parse_folds(folds)
        data = load_levels(features)
        directory.mkdir(parents=True, exist_ok=True)
        write_crossvalidation(data, directory, numbers, leaking, jobs, epochs=epochs, batch=batch, rate=rate,
                              seed=seed,
                              precision=precision)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def parse_folds(text):
    """"1-3,7" -> [1, 2, 3, 7]."""
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.strip().isdecimal() or (last and not last.strip().isdecimal()):
            raise ValueError(f"--folds {text!r}: give numbers and ranges as 1-10 or 1,4,7")
        if last and int(last) < int(first):
            raise ValueError(f"--folds {text!r}: {part} runs backwards; give numbers and ranges as 1-10 or "
                             "1,4,7")
        numbers += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(numbers))


def write_crossvalidation(data, directory, folds, leaking, jobs, **settings):
    """Run the cross-validation; write and print what it found."""
    import numpy as np

    from features.synth import CLASSES
    from lrp_core.files import replacing

    from . import report
    from .calibrate import reliability
    from .crossvalidate import crossvalidate, summarise
    told = "" if folds == list(range(1, 11)) else f" --folds {','.join(map(str, folds))}"
    command = command_line("crossvalidate", f"--features FILE.npz{told}{'' if leaking else ' --no-leaking'} "
                                            f"--jobs {jobs}", settings)
    origin = {"data": DATA_CREDIT, "licence": DATA_LICENCE, "command": command}
    results = list(crossvalidate(data, directory, folds=folds, leaking=leaking, jobs=jobs, report=click.echo,
                                 origin=origin,
                                 **settings))
    summary, probabilities, truth = summarise(results)
    summary["command"] = command
    page = report.crossvalidation(summary, CLASSES, summary["command"])
    for name, text in (("summary.json", json.dumps(summary, indent=1)), ("CROSSVALIDATION.md", page)):
        with replacing(directory / name) as partial:
            partial.write_text(text)
    report.confusion_matrix(np.array(summary["confusion"]), CLASSES, directory / "confusion_matrix.png")
    report.reliability_diagram(reliability(probabilities, truth), summary["calibration_error"],
                               directory / "reliability.png")
    click.echo(page)


@main.command()
@click.argument("model", type=click.Path(exists=True))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False),
              help="The model file to write (.npz).")
@click.option("--class-names", help="Names of the outputs, separated by commas.")
@click.option("--metadata", type=click.Path(exists=True, dir_okay=False),
              help="A JSON file of facts to keep in the model file.")
@click.option("--front-end", type=click.Path(exists=True, dir_okay=False),
              help="A JSON file that says how a sound becomes what the model takes (features.FrontEnd.save).")
def export(model, output, class_names, metadata, front_end):
    """Turn a Keras MODEL (.keras or .h5) into a model file and check that its scores agree with Keras's.

    Sequential and Functional models, branches and models within models included: dense layers, convolutions
    of all kinds, pools, normalisation, recurrent layers, attention, TimeDistributed and Bidirectional, sums
    and products, reshapes, padding, activations, arithmetic by keras.ops. All that is not supported is named
    at once.
    """
    need_tensorflow()
    from .export import ExportError, load_keras, to_network
    try:
        facts = read_facts(metadata) if metadata else {}
        if front_end:
            from features import FrontEnd
            facts["front_end"] = FrontEnd.load(front_end).as_dict()
        network = to_network(load_keras(model), class_names=class_names.split(",") if class_names else None,
                             metadata=facts)
        network.save(output)
    except (ExportError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(network.summary())
    click.echo(f"{output} written: scores agree with Keras's")


@main.command()
@click.option("-o", "--output", "directory", required=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="The folder for lesson.npz and lesson-tones.npz.")
@click.option("--clips", default=300, show_default=True, type=click.IntRange(2),
              help="Procedural sounds of each class to train on.")
@click.option("--epochs", default=60, show_default=True, type=click.IntRange(1),
              help="How often every sound is seen.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def lesson(directory, clips, epochs, seed):
    """Train the two small networks of `audio-lrp learn` on procedural sounds, and export them."""
    need_tensorflow()
    from .lesson import SOUNDS
    from .lesson import lesson as run
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with click.progressbar(length=(clips + 100) * len(SOUNDS), label="making sounds") as bar:
            run(directory, clips=clips, epochs=epochs, seed=seed, report=click.echo, progress=bar.update)
    except OSError as error:
        raise click.ClickException(str(error)) from None


def read_facts(path):
    """The JSON object in a file; raises ValueError that names the file."""
    try:
        facts = json.loads(pathlib.Path(path).read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: metadata must be a JSON object of facts, found {type(facts).__name__}")
    return facts


if __name__ == "__main__":
    main(prog_name="python -m train_tf")
