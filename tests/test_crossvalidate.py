"""The data set's own protocol: folds kept apart, calibration, float16 storage, and a cross-validation that
goes on.
"""
import json

import click.testing
import numpy as np
import pytest
from toy_levels import toy_levels

import lrp_core
from features import FrontEnd
from features.steps import hz_to_mel, mel_to_hz

pytest.importorskip("tensorflow", reason="training and export need TensorFlow: pip install tensorflow joblib")

import keras

from train_tf import augment, calibrate, crossvalidate, export
from train_tf.__main__ import main, parse_folds
from train_tf.export import keras_logits
from train_tf.model import build_cnn

RNG = np.random.default_rng(0)


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def random_cnn():
    """The CNN with random biases: Keras starts them at zero, which would hide an error. The same weights each
    time: rounding others may move a decision.
    """
    keras.utils.set_random_seed(0)
    model = build_cnn()
    model.set_weights([w + 0.1 * RNG.standard_normal(w.shape) if w.ndim == 1 else w
                       for w in model.get_weights()])
    return model


def feature_file(path, data):
    np.savez(path, level=data.level, class_id=data.class_id, fold=data.fold)
    return path


def test_the_temperature_is_found_and_changes_no_decision():
    """Scores drawn so that softmax(z) is the truth's distribution, then multiplied by 3: the temperature is
    3.
    """
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal((20_000, 10))
    truth = (crossvalidate.softmax(z).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert calibrate.fit_temperature(3 * z, truth) == pytest.approx(3, rel=0.02)
    assert calibrate.calibration_error(crossvalidate.softmax(z), truth) < 0.02
    sure = crossvalidate.softmax(3 * z)
    gap = sure.max(axis=1).mean() - (sure.argmax(axis=1) == truth).mean()
    assert calibrate.calibration_error(sure, truth) == pytest.approx(gap, abs=0.01)


def test_the_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.3, 0.7]])
    # Five bins: 0.9 and 0.8 in the last (one of two right), 0.55 in the third (right), 0.7 in the fourth
    # (wrong).
    expected = (2 * abs(0.5 - 0.85) + abs(1 - 0.55) + abs(0 - 0.7)) / 4
    assert calibrate.calibration_error(probabilities, np.array([0, 1, 0, 0]),
                                       bins=5) == pytest.approx(expected)


def test_decisions_that_are_certain_belong_to_the_last_bin():
    """A confidence of exactly 1 lies in the bin that ends there, as one of 0.95 does; one at a border in the
    bin above it.
    """
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [0.95, 0.05], [0.5, 0.5], [0.75, 0.25]])
    count, confidence, accuracy = calibrate.reliability(probabilities, np.array([0, 0, 0, 0, 1]), bins=4)
    assert count.tolist() == [0, 0, 1, 4] and len(confidence) == len(accuracy) == 4
    np.testing.assert_allclose(confidence, [0, 0, 0.5, 3.7 / 4])
    np.testing.assert_allclose(accuracy, [0, 0, 1, 2 / 4])
    # One bin for all: the gap between the mean confidence of 1, 1, 1/2 and being right twice in three times.
    certain = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert calibrate.calibration_error(certain, np.array([0, 1, 1]), bins=1) == pytest.approx(5 / 6 - 2 / 3)
    assert calibrate.calibration_error(np.eye(3), np.array([0, 1, 1])) == pytest.approx(1 / 3)


def test_bands_are_cut_where_a_lower_rate_ends():
    """The highest row that stays ends below the cut, the lowest that goes reaches above it."""
    level = RNG.integers(1, 255, (3, 64, 64)).astype(np.uint8)
    for hertz, rows in ((11_000, 11), (8_000, 16)):
        cut = augment.cut_bands(level, hertz)
        edges = mel_to_hz(np.linspace(0, hz_to_mel(22_050), 65))
        assert edges[64 - rows] <= hertz < edges[65 - rows]
        np.testing.assert_array_equal(cut[:, rows:], level[:, rows:])
        assert (cut[:, :rows] == level.min(axis=(1, 2))[:, None, None]).all()
    assert augment.cut_bands(level, None) is level


def test_splits_keep_folds_apart():
    data = toy_levels(100)
    for fold in range(1, 11):
        split = crossvalidate.fold_split(data, fold)
        assert set(split.test.fold) == {fold} and len(set(split.validation.fold)) == 1
        assert not ({fold} | set(split.validation.fold)) & set(split.training.fold)
        assert len(split.training.level) + len(split.validation.level) + len(split.test.level) == 100
        whole = crossvalidate.all_but(data, fold)
        assert (set(whole.test.fold) == {fold} and len(set(whole.training.fold)) == 9
                and whole.validation is None)
        assert len(whole.training.level) + len(whole.test.level) == 100
    leaking = crossvalidate.random_split(data, 0)
    assert (len(leaking.training.level), len(leaking.validation.level), len(leaking.test.level)) == (
        70,
        10,
        20,
    )


def test_a_calibrated_network_says_softmax_of_z_over_t():
    model = random_cnn()
    x = RNG.random((3, 64, 64, 3), np.float32)
    before = keras_logits(model, x)
    export.divide_logits(model, 2.5)
    assert relative_error(keras_logits(model, x), before / 2.5) <= 1e-5
    export.round_weights(model)
    assert relative_error(keras_logits(model, x), before / 2.5) <= 2e-3
    for array in model.get_weights():
        np.testing.assert_array_equal(array, array.astype(np.float16))


@pytest.mark.parametrize("nudge, stored", [(0, True), (1, False)])
def test_half_storage_is_taken_only_if_no_decision_changes(nudge, stored, monkeypatch):
    def flip(model, rounded=export.round_weights):
        rounded(model)
        *before, bias = model.get_weights()
        bias[3] += nudge * 1e3  # as if rounding had moved a decision
        model.set_weights([*before, bias])
    monkeypatch.setattr(crossvalidate, "round_weights", flip)
    model = random_cnn()
    exact = model.get_weights()
    facts, logits = crossvalidate.examine(model, crossvalidate.fold_split(toy_levels(50), 1))
    assert facts["float16"]["stored"] is stored and (facts["float16"]["other_decisions"] == 0) is stored
    halves = np.array_equal(model.get_weights()[0], exact[0].astype(np.float16))
    assert halves is stored and np.array_equal(model.get_weights()[0], exact[0]) is not stored


def test_a_crossvalidation_goes_on_where_it_stopped_and_tells_every_fold(tmp_path, monkeypatch):
    data = toy_levels(100)
    path = feature_file(tmp_path / "f.npz", data)
    options = ("crossvalidate", "--features", path, "-o", tmp_path / "out", "--folds", "1,3", "--epochs", 1,
               "--batch", 16)
    result = run(*options)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["folds"]) == ["fold01", "fold03"] and summary["leaking"]["clips"] == 20
    with np.load(tmp_path / "out" / "fold03" / "logits.npz") as stored:
        right = (stored["8k"].argmax(axis=1) == stored["truth"]).mean()
        np.testing.assert_array_equal(stored["truth"], data.class_id[data.fold == 3])
    assert summary["folds"]["fold03"]["accuracy"]["8k"] == pytest.approx(right)
    assert summary["mean"]["8k"] == pytest.approx(np.mean([summary["folds"][name]["accuracy"]["8k"]
                                                           for name in ("fold01", "fold03")]))
    assert np.sum(summary["confusion"]) == 20
    page = (tmp_path / "out" / "CROSSVALIDATION.md").read_text()
    assert "fold 3 (10 clips)" in page and "leaking" in page and {"reliability.png",
                                                                  "confusion_matrix.png"} <= {
        file.name for file in (tmp_path / "out").iterdir()}

    def never(*arguments, **settings):
        raise AssertionError("a finished fold is examined again")
    monkeypatch.setattr("train_tf.crossvalidate.examine", never)
    again = run(*options)
    assert again.exit_code == 0 and (tmp_path / "out" / "CROSSVALIDATION.md").read_text() == page
    for folds in ("1-x", "3-1"):
        refused = run("crossvalidate", "--features", path, "-o", tmp_path / "out", "--folds", folds)
        assert refused.exit_code == 1 and folds in refused.output
    assert parse_folds("1,1-3") == [1, 2, 3]


def test_networks_trained_side_by_side_are_those_trained_in_turn(tmp_path):
    """Two processes of one thread: the same figures but for the rounding of sums that threads share out."""
    path = feature_file(tmp_path / "f.npz", toy_levels(60))
    options = ("crossvalidate", "--features", path, "--folds", "2,5", "--no-leaking", "--epochs", 1,
               "--batch", 16)
    for jobs in (1, 2):
        result = run(*options, "-o", tmp_path / f"jobs{jobs}", "--jobs", jobs)
        assert result.exit_code == 0, result.output
    for fold in ("fold02", "fold05"):
        first, second = (tmp_path / jobs / fold / "logits.npz" for jobs in ("jobs1", "jobs2"))
        with np.load(first) as one, np.load(second) as two:
            np.testing.assert_allclose(one["full"], two["full"], rtol=1e-2, atol=1e-3)
    again = run(*options, "-o", tmp_path / "jobs2", "--jobs", 2)
    assert again.exit_code == 0 and (tmp_path / "jobs1" / "CROSSVALIDATION.md").read_text().count(
        "fold"
    ) == again.output.count("fold")


def test_the_network_to_use_learns_nine_folds_and_takes_the_temperature_of_eight(tmp_path, monkeypatch):
    data, trained_on = toy_levels(100), []

    def remember(training, watched, directory, **settings):
        directory.mkdir(parents=True, exist_ok=True)
        trained_on.append((set(training.fold.tolist()), watched is not None and set(watched.fold.tolist())))
        return random_cnn(), [{"loss": 1.0, "accuracy": 0.1,
                               **({"watched_accuracy": 0.1} if watched else {})}]
    monkeypatch.setattr(crossvalidate, "train", remember)
    origin = {"data": "procedural toys", "licence": "none", "command": "a command"}
    facts, logits, _ = crossvalidate.run_all_but(data, 4, tmp_path, report=lambda line: None, origin=origin,
                                                 epochs=1, batch=16,
                                                 rate=1e-3, seed=0, precision="float32")
    assert trained_on == [(set(range(1, 11)) - {4, 5}, {5}), (set(range(1, 11)) - {4}, False)]
    first = json.loads((tmp_path / "calibration" / "result.json").read_text())
    assert (facts["temperature"] == first["temperature"] and facts["training_clips"] == 90
            and first["training_clips"] == 80)
    right = logits["full"].argmax(axis=1) == data.class_id[data.fold == 4]
    assert facts["accuracy"]["full"] == right.mean()
    said = lrp_core.load(tmp_path / "net.npz").metadata["front_end"]
    assert FrontEnd.from_dict(said) == FrontEnd.study(), "the file says what its network takes"
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "90 clips of the other folds" in card and "the temperature is that of" in card
    assert "10 others calibrated" in (tmp_path / "calibration" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("command", ["train", "crossvalidate"])
def test_too_few_folds_are_refused_in_words(tmp_path, command):
    data = toy_levels(40)
    path = feature_file(tmp_path / "f.npz", data.where(data.fold <= 2))
    result = run(command, "--features", path, "-o", tmp_path / "out", "--epochs", 1)
    assert (result.exit_code == 1 and "none is left to train on" in result.output
            and isinstance(result.exception, SystemExit))


def test_the_command_that_is_told_is_the_one_that_ran(tmp_path, monkeypatch):
    """With the folds, the leaking split and the jobs that were asked for, where they are not the usual ones.
    """
    monkeypatch.setattr("train_tf.crossvalidate.run_split", lambda split, directory, **_: (
        {"name": split.name, "clips": 1, "accuracy": dict.fromkeys(crossvalidate.CUTS, 1.0),
         "calibration_error": {"after": 0.0}},
        {"truth": np.array([1]), **dict.fromkeys(crossvalidate.CUTS, np.eye(10)[[1]])}, []))
    path = feature_file(tmp_path / "f.npz", toy_levels(40))
    assert run("crossvalidate", "--features", path, "-o", tmp_path / "out", "--folds", "2,4",
               "--no-leaking").exit_code == 0
    page = (tmp_path / "out" / "CROSSVALIDATION.md").read_text()
    assert "--folds 2,4 --no-leaking --jobs 1 --epochs" in page
    assert run("crossvalidate", "--features", path, "-o", tmp_path / "out").exit_code == 0
    page = (tmp_path / "out" / "CROSSVALIDATION.md").read_text()
    assert "FILE.npz --jobs 1 --epochs" in page and "random split, **leaking**" in page
