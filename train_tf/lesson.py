"""The two networks of `audio-lrp learn`: one small enough to draw, one that hears four kinds of sound.

Both are trained on procedural data alone, from fixed seeds: no recordings, no licence to mind.
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from features import FrontEnd
from features.synth import synthesize
from lrp_core.files import replacing

from .export import to_network

TONES = ("rising", "steady", "falling")
SOUNDS = ("siren", "car_horn", "dog_bark", "jackhammer")
RATE, SECONDS = 8_000, 3.04
FIRST_TEST_SEED = 10_000  # clips of the test set have seeds from here, those of the training set from 0
NOISE = 0.15  # of a picture's pixels


def front_end():
    """Sound to what the network takes: 32 mel bands of 96 frames, the loudest 60 dB of the clip as 0 to 1."""
    return FrontEnd.log_mel(
        sr=RATE,
        seconds=SECONDS,
        n_fft=512,
        hop_length=256,
        n_mels=32,
        fmin=50.0,
        ref="max",
        top_db=60,
        normalize=(-60.0, 60.0),
        order="-ftc",
    )


def tone_pictures(count, rng):
    """(pictures [n, 16], class numbers [n]): a tone in 4 bands (the highest first) over 4 moments, and noise.

    A tone at the height h of the rows 0..3 gives row k the level max(0, 1 - |k - h|).
    """
    class_id = np.arange(count) % len(TONES)
    slope = np.array([-1.0, 0.0, 1.0])[class_id] * rng.uniform(0.5, 1.0, count)
    middle = rng.uniform(0, 3, count)
    reach = np.minimum(1.5 * np.abs(slope), 1.5)  # the tone stays within the picture
    middle = np.clip(middle, reach, 3 - reach)
    height = middle[:, None] + slope[:, None] * (np.arange(4) - 1.5)
    level = np.maximum(0, 1 - np.abs(np.arange(4)[None, :, None] - height[:, None, :]))
    level *= rng.uniform(0.6, 1.0, (count, 1, 1))
    pictures = np.clip(level + rng.uniform(0, NOISE, level.shape), 0, 1)
    return pictures.reshape(count, 16).astype(np.float32), class_id


def sound_pictures(clips, first_seed, progress):
    """(inputs [n, 32, 96, 1], class numbers [n]) of `clips` procedural sounds of each class."""
    to_input, found = front_end(), []
    for name in SOUNDS:
        for seed in range(first_seed, first_seed + clips):
            found.append(to_input(synthesize(name, seed, sample_rate=RATE, seconds=SECONDS), RATE))
            progress(1)
    return np.stack(found), np.repeat(np.arange(len(SOUNDS)), clips)


def tone_model():
    """33 units: 16 inputs, 8 and 6 hidden ones, 3 scores."""
    dense = keras.layers.Dense
    return keras.Sequential(
        [
            keras.layers.Input((16,)),
            dense(8, name="hidden1"),
            keras.layers.ReLU(name="relu1"),
            dense(6, name="hidden2"),
            keras.layers.ReLU(name="relu2"),
            dense(len(TONES), name="scores"),
        ]
    )


def sound_model():
    """2,768 parameters: three 3x3 convolutions, two max-pools, the mean of each channel, four scores."""
    L = keras.layers
    stack = [L.Input((32, 96, 1))]
    for block, filters in enumerate((8, 12, 16), start=1):
        stack += [L.Conv2D(filters, 3, padding="same", name=f"conv{block}"), L.ReLU(name=f"relu{block}")]
        if block < 3:
            stack.append(L.MaxPooling2D(2, name=f"pool{block}"))
    return keras.Sequential(
        [*stack, L.GlobalAveragePooling2D(name="mean"), L.Dense(len(SOUNDS), name="scores")]
    )


def fit(model, inputs, class_id, *, epochs, rate, seed, batch=32, report=None):
    """Train with AdamW on a cosine schedule, in an order that the seed gives."""
    steps = epochs * -(-len(inputs) // batch)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(rate, steps), weight_decay=0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(inputs))
        found = model.fit(inputs[order], class_id[order], batch_size=batch, shuffle=False, verbose=0).history
        if report and (epoch + 1) % 10 == 0:
            report(
                f"epoch {epoch + 1}/{epochs}: loss {found['loss'][0]:.3f}, training accuracy "
                f"{found['accuracy'][0]:.3f}"
            )


def accuracy(network, inputs, class_id):
    """How many of the inputs the network names right, 0 to 1."""
    return float((network.logits(inputs).argmax(axis=1) == class_id).mean())


def round_to(model, digits):
    """Round every weight, in place: numbers that are to be read."""
    model.set_weights([np.round(w, digits) for w in model.get_weights()])


def exported(model, names, test, **facts):
    """The model as a Network whose metadata say what it is and how often it is right on `test`."""
    network = to_network(model, class_names=names)
    return network.replace(
        metadata={
            **facts,
            "test_accuracy": round(accuracy(network, *test), 4),
            "command": "python -m train_tf lesson",
            "data": "procedural, made by the command; no recordings",
            "licence": "MIT, as the program",
        }
    )


def lesson(
    directory,
    *,
    clips=300,
    test_clips=100,
    pictures=3_000,
    epochs=60,
    seed=0,
    report=print,
    progress=lambda count: None,
):
    """Train both networks and write lesson.npz and lesson-tones.npz to `directory`; returns them.

    clips, test_clips: procedural sounds of each class. pictures: of tones. report: gets lines. progress:
    called with the number of sounds made since the last call.
    """
    keras.utils.set_random_seed(seed)
    tones = tone_model()
    shown = tone_pictures(pictures, np.random.default_rng([seed, 1]))
    fit(tones, *shown, epochs=min(40, epochs), rate=5e-3, seed=seed)
    round_to(tones, 2)
    made = {"lesson-tones": exported(tones, TONES, tone_pictures(pictures, np.random.default_rng([seed, 2])))}
    inputs, class_id = sound_pictures(clips, 0, progress)
    test = sound_pictures(test_clips, FIRST_TEST_SEED, progress)
    keras.utils.set_random_seed(seed)
    sounds = sound_model()
    fit(sounds, inputs, class_id, epochs=epochs, rate=4e-3, seed=seed, report=report)
    made["lesson"] = exported(sounds, SOUNDS, test, front_end=front_end().as_dict())
    for name, network in made.items():
        path = pathlib.Path(directory) / f"{name}.npz"
        with replacing(path) as partial:
            network.replace(reference=None).save(partial)
        report(f"{path}: {network.metadata['test_accuracy']:.1%} of its test set")
    return made
