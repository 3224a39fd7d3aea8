"""Train the study's CNN with one fold held out: seeded, checkpointed each epoch, resumable."""
import hashlib
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from features.steps import magma
from features.synth import CLASSES
from lrp_core.files import replacing

from .augment import OUTLIERS
from .augment import epoch as one_epoch
from .model import build_cnn
from .optimizer import ConvMuon

EPOCHS = 20
# raised when the augmentation changes, so that an interrupted run is not resumed under another one
RECIPE = 6


def batches(level, labels, batch):
    """A tf.data pipeline of (image [n, 64, 64, 3] float32 in [0, 1], labels [n, 10]) from level images."""
    colours = tf.constant(magma())
    return (tf.data.Dataset.from_tensor_slices((level, labels)).batch(batch)
            .map(lambda levels, labels: (tf.gather(colours, tf.cast(levels, tf.int32)), labels)).prefetch(2))


def compile_cnn(steps, rate, precision):
    """The CNN with its optimizer on a cosine schedule over `steps` (after a short warm-up) and label
    smoothing.
    """
    model = build_cnn(len(CLASSES), precision)
    warmup = steps // 20
    schedule = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, alpha=0.01, warmup_target=rate,
                                                      warmup_steps=warmup)
    model.compile(ConvMuon(schedule, weight_decay=0.1),
                  keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
                  # on CPUs oneDNN's convolutions are faster than XLA's
                  metrics=["accuracy"], jit_compile=False)
    return model


def fingerprint(data):
    """A short digest of a LevelSet, by which a run knows its own training set again."""
    digest = hashlib.sha256()
    for array in (data.level, data.class_id, data.fold):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def seed_dropout(model, seed, epoch):
    """Give every dropout layer the random state of an epoch, which checkpoints do not hold."""
    for number, layer in enumerate(model.layers):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign(
                np.random.default_rng([seed, epoch, number]).integers(0, 2**31, 2)
            )


def read_record(path):
    """The record of a run; raises ValueError that names the file where it is none."""
    try:
        found = json.loads(path.read_text())
        if {"settings", "epochs"} <= set(found):
            return found
        reason = "it lacks settings or epochs"
    except (ValueError, TypeError) as error:
        reason = str(error)
    raise ValueError(f"{path}: not the record of a training run ({reason}): delete it, and the checkpoint "
                     "beside it, to begin anew")


def predict(model, level, batch=256):
    """Class probabilities [N, 10] of level images."""
    return np.concatenate([model(images, training=False).numpy()
                           for images, _ in batches(level, np.zeros(len(level), np.float32), batch)])


def resume(directory, settings, steps):
    """(model, history) of the run that `directory` holds, or None; ValueError where its settings differ.

    steps: optimizer steps of an epoch.
    """
    checkpoint, record = directory / "checkpoint.keras", directory / "history.json"
    if not (checkpoint.exists() and record.exists()):
        return None
    found = read_record(record)
    if found["settings"] != settings:
        raise ValueError(f"{directory} holds a run with other settings ({found['settings']} against "
                         f"{settings}): choose another directory or delete it")
    model = keras.models.load_model(checkpoint)
    # The record is written before the checkpoint: what it says beyond the checkpoint's own count is run
    # again.
    return model, found["epochs"][:model.optimizer.iterations.numpy() // steps]


def train(training, watched, directory, *, epochs=EPOCHS, batch=32, rate=1e-3, seed=0, precision="float32",
          progress=True,
          report=print):
    """Train on one LevelSet, watch another (None: none); returns (model, history).

    `directory` receives `checkpoint.keras` and `history.json` after every epoch; a later call with the same
    settings resumes after the last complete epoch. Nothing is chosen by what is watched: the weights are the
    last epoch's. precision: see `build_cnn`; the model that is returned computes in float32 whatever it was
    trained in.
    progress: show a bar for each epoch; `report` gets a line for each in any case.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    checkpoint, record = directory / "checkpoint.keras", directory / "history.json"
    steps = -(-(len(training.level) + round(len(training.level) * OUTLIERS)) // batch)
    settings = {"recipe": RECIPE, "epochs": epochs, "batch": batch, "rate": rate, "seed": seed,
                "precision": precision,
                "clips": len(training.level),
                "data": fingerprint(training)}
    found = resume(directory, settings, steps)
    if found:
        model, history = found
        report(f"resuming after epoch {len(history)} of {epochs}")
    else:
        keras.utils.set_random_seed(seed)
        model, history = compile_cnn(epochs * steps, rate, precision), []

    for epoch in range(len(history), epochs):
        seed_dropout(model, seed, epoch)
        rng = np.random.default_rng([seed, epoch])
        data = batches(*one_epoch(training.level, np.eye(len(CLASSES), dtype=np.float32)[training.class_id],
                                  rng), batch)
        fit = model.fit(data, initial_epoch=epoch, epochs=epoch + 1, verbose="auto" if progress else 0,
                        shuffle=False).history
        history.append({"loss": fit["loss"][0], "accuracy": fit["accuracy"][0]})
        line = (f"epoch {epoch + 1}/{epochs}: loss {fit['loss'][0]:.3f}, training accuracy "
                f"{fit['accuracy'][0]:.3f}")
        if watched is not None:
            right = float((predict(model, watched.level).argmax(1) == watched.class_id).mean())
            history[-1]["watched_accuracy"] = right
            line += f", watched accuracy {right:.3f}"
        report(line)
        with replacing(record) as partial:
            partial.write_text(json.dumps({"settings": settings, "epochs": history}))
        with replacing(checkpoint) as partial:
            model.save(partial)
    plain = build_cnn(len(CLASSES))
    plain.set_weights(model.get_weights())
    return plain, history
