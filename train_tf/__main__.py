"""python -m train_tf: train the study's CNN, and export Keras models for the framework-free engine."""
import json
import os
import pathlib

import click

DATA_CREDIT = "UrbanSound8K (Salamon, Jacoby and Bello 2014, A dataset and taxonomy for urban sound research)"
DATA_LICENCE = ("weights trained on UrbanSound8K, which is licensed CC BY-NC 3.0: non-commercial use, crediting its authors "
                "J. Salamon, C. Jacoby and J. P. Bello and the recordists of freesound.org.")


def need_tensorflow():
    """Import TensorFlow's Keras, or say how to get it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow  # noqa: F401  (Keras finds its backend only with TensorFlow installed)
    except ImportError as error:
        raise click.ClickException(f"training and export need TensorFlow ({error}): pip install 'audio-lrp[train]'") from None
    return keras


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Train the study's CNN with TensorFlow and export its weights to a model file that needs no framework."""


def feature_file(features, dataset, clips_per_class, directory):
    """(path of the level images, what the data is, licence): a file, a data set, or sounds made for want of both."""
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
    return path, "procedural sounds made by features.synth: for trying the road, not for use", "MIT, as the program."


@main.command()
@click.option("--features", type=click.Path(exists=True, dir_okay=False), help="Level images: .npz with level, class_id, fold.")
@click.option("--dataset", type=click.Path(exists=True, file_okay=False), help="An UrbanSound8K folder; images are made first.")
@click.option("--synthetic", is_flag=True, help="Neither at hand: train on procedural sounds.")
@click.option("--clips-per-class", default=100, show_default=True, type=click.IntRange(10), help="With --synthetic.")
@click.option("--test-fold", default=1, show_default=True, type=click.IntRange(1, 10), help="The fold held out.")
@click.option("-o", "--output", "directory", required=True, type=click.Path(file_okay=False, path_type=pathlib.Path),
              help="Folder for checkpoints, history, pictures, model.keras and net.npz.")
@click.option("--epochs", default=24, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=32, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=1e-3, show_default=True, type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--seed", default=0, show_default=True, type=int)
def train(features, dataset, synthetic, clips_per_class, test_fold, directory, epochs, batch, rate, seed):
    """Train the study's CNN with one fold held out.

    Give one of --features, --dataset or --synthetic. Run the same command again to go on after an interruption.
    The last epoch's weights are exported to net.npz beside a model card, learning curves and a confusion matrix.
    """
    if sum(map(bool, (features, dataset, synthetic))) != 1:
        raise click.UsageError("give exactly one of --features, --dataset and --synthetic")
    need_tensorflow()
    from features.files import replacing
    from features.image import colour
    from features.synth import CLASSES

    from . import report
    from .data import load_levels
    from .export import to_network
    from .train import predict
    from .train import train as run
    directory.mkdir(parents=True, exist_ok=True)
    path, data, licence = feature_file(features, dataset, clips_per_class, directory)
    try:
        training, test = load_levels(path).split(test_fold)
        model, history = run(training, test, directory, epochs=epochs, batch=batch, rate=rate, seed=seed, report=click.echo)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    counts = report.confusion(test.class_id, predict(model, test.level).argmax(axis=1), len(CLASSES))
    source = "--synthetic" if synthetic else "--features FILE.npz" if features else "--dataset DIR"
    facts = {"command": f"python -m train_tf train {source} --test-fold {test_fold} --epochs {epochs} --batch {batch} "
                        f"--rate {rate:g} --seed {seed} -o DIR",
             "data": data, "licence": licence, "test_fold": test_fold, "training_clips": len(training.level),
             "held_out_clips": len(test.level), "held_out_accuracy": counts.trace() / counts.sum(),
             "parameters": model.count_params(), "epochs": epochs, "batch": batch, "rate": rate, "seed": seed}
    report.learning_curves(history, directory / "learning_curves.png")
    report.confusion_matrix(counts, CLASSES, directory / "confusion_matrix.png")
    (directory / "MODEL_CARD.md").write_text(report.model_card(facts, counts, CLASSES))
    with replacing(directory / "model.keras") as partial:
        model.save(partial)
    front_end = {"image": "mel64-magma", "sample_rate": 44_100, "seconds": 4, "window": 2048, "hop": 512, "bands": 128}
    metadata = {"front_end": front_end, "training": facts, "licence": licence, "credit": data}
    reference = colour(test.level[::max(len(test.level) // 2, 1)][:2]) if synthetic else None
    to_network(model, class_names=CLASSES, metadata=metadata, reference_input=reference).save(directory / "net.npz")
    click.echo(report.per_class(counts, CLASSES))
    click.echo(f"held-out accuracy (fold {test_fold}): {counts.trace() / counts.sum():.3f}; {directory / 'net.npz'} written")


@main.command()
@click.argument("model", type=click.Path(exists=True))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The model file to write (.npz).")
@click.option("--class-names", help="Names of the outputs, separated by commas.")
@click.option("--metadata", type=click.Path(exists=True, dir_okay=False), help="A JSON file of facts to keep in the model file.")
def export(model, output, class_names, metadata):
    """Turn a Keras MODEL (.keras or .h5) into a model file and check that its scores agree with Keras's.

    Sequential and Functional models, branches included, of dense layers, convolutions, pools, normalisation, sums,
    concatenation, reshapes, padding and common activations; whatever is not supported is refused by name.
    """
    need_tensorflow()
    from .export import ExportError, load_keras, to_network
    try:
        facts = json.loads(pathlib.Path(metadata).read_text()) if metadata else None
        network = to_network(load_keras(model), class_names=class_names.split(",") if class_names else None, metadata=facts)
    except (ExportError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    network.save(output)
    click.echo(network.summary())
    click.echo(f"{output} written: scores agree with Keras's")


if __name__ == "__main__":
    main(prog_name="python -m train_tf")
