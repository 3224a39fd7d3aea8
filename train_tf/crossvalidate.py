"""UrbanSound8K's own protocol: ten folds, one network for each, chosen and calibrated without its test fold.
"""
import dataclasses
import json
import pathlib

import joblib
import numpy as np
import tensorflow as tf

from features import FrontEnd, colour
from features.dataset import save_arrays
from features.synth import CLASSES
from lrp_core.files import replacing

from . import report as pages
from .augment import cut_bands
from .calibrate import calibration_error, fit_temperature, reliability
from .data import LevelSet
from .export import divide_logits, keras_logits, round_weights, to_network
from .train import train

FOLDS = range(1, 11)
LEAKING = "random"  # the study's split: slices of one recording on both sides
HALF_TOLERANCE = 1e-2  # how far float16 storage may move a logit
CUTS = {"full": None, "11k": 11_000, "8k": 8_000}


@dataclasses.dataclass(frozen=True)
class Split:
    """What one network is trained on, what is watched and fits its temperature (None: nothing), and what it
    is tested on.
    """
    name: str
    training: LevelSet
    validation: LevelSet | None
    test: LevelSet


def fold_split(data, fold):
    """Test on one fold, validate on the next, train on the other eight."""
    validation = fold % 10 + 1
    for number in (fold, validation):
        data.split(number)  # refuses a fold that the data does not have
    rest = (data.fold != fold) & (data.fold != validation)
    if not rest.any():
        raise ValueError(f"the data has the folds {fold} and {validation} only: one is tested on, one "
                         "calibrates, and none is left "
                         "to train on")
    return Split(f"fold{fold:02d}", data.where(rest), data.where(data.fold == validation),
                 data.where(data.fold == fold))


def all_but(data, fold):
    """Test on one fold, train on all nine others."""
    training, test = data.split(fold)
    return Split(f"fold{fold:02d}", training, None, test)


def random_split(data, seed):
    """The study's random split: 20 % tested, 10 % validated, the rest trained on, with no regard to
    recordings.
    """
    order = np.random.default_rng([seed, 80, 20]).permutation(len(data.level))
    test, validation, training = np.split(order, [len(order) // 5, len(order) * 3 // 10])
    return Split(LEAKING, data.where(training), data.where(validation), data.where(test))


def softmax(logits):
    """exp(z_c) / Σ_j exp(z_j)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def logits_of(model, level, batch=256):
    """Scores [N, 10] below the softmax, of level images [N, 64, 64]."""
    return np.concatenate([keras_logits(model, colour(level[start:start + batch]))
                           for start in range(0, len(level), batch)])


def examine(model, split, *, temperature=None):
    """Calibrate a trained network, ready it for storage, and ask what it does on the test fold.

    The model is changed: its last layer contains the temperature, and its weights are rounded to float16 if
    that moves no logit of the test fold by more than 1e-2 and changes no decision. Returns (facts, {cut:
    logits [N, 10]}).
    temperature: by default what fits the split's validation clips.
    """
    truth, plain = split.test.class_id, logits_of(model, split.test.level)
    if temperature is None:
        temperature = fit_temperature(logits_of(model, split.validation.level), split.validation.class_id)
    divide_logits(model, temperature)
    exact, weights = logits_of(model, split.test.level), model.get_weights()
    round_weights(model)
    half = logits_of(model, split.test.level)
    change, other = float(np.abs(half - exact).max()), int((half.argmax(1) != exact.argmax(1)).sum())
    stored = change <= HALF_TOLERANCE and not other
    if not stored:
        model.set_weights(weights)
    logits = {name: logits_of(model, cut_bands(split.test.level, hertz)) for name, hertz in CUTS.items()}
    return {"name": split.name, "clips": len(truth), "training_clips": len(split.training.level),
            "validation_clips": len(split.validation.level) if split.validation else 0,
            "temperature": temperature,
            "accuracy": {name: float((z.argmax(1) == truth).mean()) for name, z in logits.items()},
            "calibration_error": {"before": calibration_error(softmax(plain), truth),
                                  "after": calibration_error(softmax(logits["full"]), truth)},
            "float16": {"largest_change": change, "other_decisions": other, "stored": stored}}, logits


def run_split(split, directory, *, report, origin, temperature=None, progress=True, **settings):
    """Train, examine and export one network, or read what an earlier call found; returns (facts, {cut:
    logits}, history).

    `directory` holds afterwards, beside the run's checkpoint and history: net.npz, model.keras,
    MODEL_CARD.md, result.json, logits.npz, learning curves, confusion matrix and reliability diagram. origin:
    what the model card and
    the file say of the data: {"data", "licence", "command"}. temperature: see `examine`.
    progress, settings: see `train`.
    """
    directory = pathlib.Path(directory)
    model, history = train(split.training, split.validation, directory, report=report, progress=progress,
                           **settings)
    if not (directory / "result.json").exists():
        facts, logits = examine(model, split, temperature=temperature)
        save_arrays(directory / "logits.npz", truth=split.test.class_id, **logits)
        facts = {**facts, **origin, **settings, "parameters": model.count_params()}
        publish(model, facts, split, softmax(logits["full"]), history, directory)
        with replacing(directory / "result.json") as partial:  # last: it says that all else is there
            partial.write_text(json.dumps(facts, indent=1))
    with np.load(directory / "logits.npz", allow_pickle=False) as stored:
        logits = {name: stored[name] for name in ("truth", *CUTS)}
    return json.loads((directory / "result.json").read_text()), logits, history


def run_all_but(data, fold, directory, *, report, **settings):
    """The network to use: trained on all folds but one, with the temperature of a twin, fitted on clips that
    the twin had not seen.

    A network trained on eight folds, in `directory`/calibration, gives the temperature; one trained alike on
    all nine takes it. Arguments and what comes back as of `run_split`.
    """
    calibration, _, _ = run_split(fold_split(data, fold), pathlib.Path(directory) / "calibration",
                                  report=lambda line: report(f"eight folds, to calibrate: {line}"),
                                  **settings)
    return run_split(all_but(data, fold), directory, temperature=calibration["temperature"],
                     report=lambda line: report(f"all nine folds: {line}"), **settings)


def publish(model, facts, split, probabilities, history, directory):
    """Write what a trained network leaves for people and for the engine."""
    counts = pages.confusion(split.test.class_id, probabilities.argmax(1), len(CLASSES))
    pages.learning_curves(history, directory / "learning_curves.png")
    pages.confusion_matrix(counts, CLASSES, directory / "confusion_matrix.png")
    pages.reliability_diagram(reliability(probabilities, split.test.class_id),
                              facts["calibration_error"]["after"],
                              directory / "reliability.png")
    (directory / "MODEL_CARD.md").write_text(pages.model_card(facts, counts, CLASSES))
    with replacing(directory / "model.keras") as partial:
        model.save(partial)
    metadata = {"front_end": FrontEnd.study().as_dict(), "training": facts, "licence": facts["licence"],
                "credit": facts["data"]}
    reference = None
    if "procedural" in facts["data"]:  # sounds of others do not travel with the file
        reference = colour(split.test.level[::max(len(split.test.level) // 2, 1)][:2])
    network = to_network(model, class_names=CLASSES, metadata=metadata, reference_input=reference)
    network.save(directory / "net.npz", storage="float16" if facts["float16"]["stored"] else "float32")


def crossvalidate(data, directory, *, folds=FOLDS, leaking=True, jobs=1, seed=0, report=print, **settings):
    """Train and examine a network for each fold, then one on the leaking split; yields what `run_split`
    returns.

    jobs: networks trained at the same time, each in a process of its own on one thread; 1: here, on all
    threads.
    """
    splits = [fold_split(data, fold) for fold in folds]
    if leaking:
        splits.append(random_split(data, seed))

    def one(split):
        if jobs > 1:
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        return run_split(split, pathlib.Path(directory) / split.name, seed=seed, progress=jobs == 1,
                         **settings,
                         report=lambda line: report(f"{split.name}: {line}"))
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(one)(split)
                                                                   for split in splits)


def summarise(results):
    """The figures of a cross-validation: mean and spread over folds, the leaking split beside them, the
    pooled confusion.
    """
    honest = [(facts, logits) for facts, logits, _ in results if facts["name"] != LEAKING]
    accuracies = {cut: np.array([facts["accuracy"][cut] for facts, _ in honest]) for cut in CUTS}
    counts = np.zeros((len(CLASSES), len(CLASSES)), int)
    for _, logits in honest:
        np.add.at(counts, (logits["truth"], logits["full"].argmax(1)), 1)
    probabilities = np.concatenate([softmax(logits["full"]) for _, logits in honest])
    truth = np.concatenate([logits["truth"] for _, logits in honest])
    return {"folds": {facts["name"]: facts for facts, _ in honest},
            "mean": {cut: float(values.mean()) for cut, values in accuracies.items()},
            "spread": {cut: float(values.std(ddof=1)) if len(values) > 1 else 0.0 for cut,
                       values in accuracies.items()},
            "leaking": next((facts for facts, _, _ in results if facts["name"] == LEAKING), None),
            "calibration_error": calibration_error(probabilities, truth),
            "confusion": counts.tolist()}, probabilities, truth
