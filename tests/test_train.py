"""Training and export, where TensorFlow is installed: augmentation, resumption, and scores equal to Keras's."""
import json
import shutil

import click.testing
import numpy as np
import pytest

import features
import lrp_core
from features.mel import hz_to_mel, mel_to_hz

pytest.importorskip("tensorflow", reason="training and export need TensorFlow: pip install 'audio-lrp[train]'")

import keras

from train_tf import augment, calibrate, crossvalidate, export
from train_tf.__main__ import main, parse_folds
from train_tf.data import LevelSet, load_levels
from train_tf.export import ExportError, keras_logits, load_keras, to_network
from train_tf.model import build_cnn
from train_tf.train import train

layers = keras.layers
RNG = np.random.default_rng(0)


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def with_random_biases(model):
    """Keras starts biases at zero, which would hide an error."""
    model.set_weights([w + 0.1 * RNG.standard_normal(w.shape) if w.ndim == 1 else w for w in model.get_weights()])
    return model


SMALL_NETS = {
    "strides and same": ((9, 10, 2), [layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu"),
                                      layers.MaxPooling2D(3, strides=2, padding="same"), layers.Flatten(), layers.Dense(3)]),
    "even kernels, same": ((7, 8, 1), [layers.Conv2D(3, (2, 4), strides=(3, 2), padding="same"), layers.ReLU(),
                                       layers.AveragePooling2D((2, 3), strides=1, padding="same"), layers.Flatten(), layers.Dense(4)]),
    "no bias": ((8, 8, 3), [layers.Conv2D(5, 3, use_bias=False, activation="relu"), layers.GlobalAveragePooling2D(),
                            layers.Dense(3, use_bias=False, activation="softmax")]),
    "separate softmax": ((6,), [layers.Dense(7, activation="relu"), layers.Dropout(0.5), layers.Dense(3), layers.Softmax()]),
    "activations as layers": ((5, 5, 2), [layers.Conv2D(3, 2, strides=2), layers.Activation("relu"), layers.Activation("linear"),
                                          layers.AveragePooling2D(2, strides=1), layers.Flatten(), layers.Dense(2)]),
}


@pytest.mark.parametrize("name", SMALL_NETS)
@pytest.mark.parametrize("functional", [False, True])
def test_exported_networks_score_as_keras_does(name, functional):
    shape, stack = SMALL_NETS[name]
    stack = [type(layer).from_config(layer.get_config()) for layer in stack]
    if functional:
        value = tensor = keras.Input(shape)
        for layer in stack:
            value = layer(value)
        model = keras.Model(tensor, value)
    else:
        model = keras.Sequential([keras.Input(shape), *stack])
    x = RNG.standard_normal((6, *shape)).astype(np.float32)
    network = to_network(with_random_biases(model))
    assert relative_error(network.logits(x), keras_logits(model, x)) <= 1e-5
    probabilities = np.asarray(model(x))
    if network.nodes[-1].layer.type == "Softmax":
        np.testing.assert_allclose(network.probabilities(x), probabilities, atol=1e-6)


def test_the_embedded_network_scores_as_tensorflow_on_real_images(urban_sounds, real_levels):
    model = build_cnn()
    model.set_weights([array for node in urban_sounds.nodes for array in
                       (getattr(node.layer, name) for name in node.layer.arrays)])
    x = features.colour(real_levels["level"][real_levels["fold"] == 1][::9])
    theirs = keras_logits(model, x)
    assert len(x) > 90 and (np.abs(urban_sounds.logits(x) - theirs).max(axis=1) <= 1e-4 * np.abs(theirs).max(axis=1)).all()


def everything():
    """A Functional model with every layer that can be exported and is not in the small nets, branches included."""
    tensor = keras.Input((12, 12, 3))
    h = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(tensor))
    a = layers.Activation("gelu")(h)
    b = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="silu")(a)
    h = layers.LeakyReLU()(layers.Add()([a, layers.BatchNormalization(scale=False)(b)]))
    c = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(h)
    d = layers.SpatialDropout2D(0.1)(layers.Conv2D(16, 1, strides=2, groups=4, activation="elu")(h))
    h = layers.Concatenate()([c, d])
    h = layers.Subtract()([h, layers.Conv2D(32, 3, dilation_rate=2, padding="same", activation="tanh")(h)])
    h = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="sigmoid")(layers.Rescaling(0.5)(h))
    h = layers.UpSampling2D((1, 2))(layers.ZeroPadding2D(((1, 2), (0, 1)))(layers.Cropping2D(1)(h)))
    h = layers.Permute((2, 1, 3))(layers.ReLU(6)(layers.MaxPooling2D(3, 2, "same")(h)))
    h = layers.ELU()(layers.Conv1D(7, 3, dilation_rate=2, padding="same")(layers.Reshape((-1, 6))(h)))
    h = layers.UpSampling1D(2)(layers.Cropping1D((1, 2))(layers.ZeroPadding1D(2)(layers.LayerNormalization()(h))))
    h = layers.MaxPooling1D(3, 2, "same")(layers.AveragePooling1D(2)(h))
    shared = layers.Dense(5, activation="relu6", name="shared")
    h = shared(layers.Dense(5)(shared(layers.ReLU(negative_slope=0.1)(layers.Dense(5, activation="leaky_relu")(h)))))
    h = layers.Add()([layers.GlobalMaxPooling1D()(h), layers.GlobalAveragePooling1D()(h)])
    return keras.Model(tensor, layers.Dense(4, activation="softmax")(h))


def test_every_layer_scores_as_keras_does_and_closes_its_book():
    model = everything()
    model.set_weights([np.abs(w + 0.3 * RNG.standard_normal(w.shape)) + 0.1 if w.ndim == 1 else w for w in model.get_weights()])
    network, x = to_network(model), RNG.standard_normal((3, 12, 12, 3)).astype(np.float32)
    assert relative_error(network.logits(x), keras_logits(model, x)) <= 1e-5
    folded = lrp_core.fold_batch_norm(network)
    assert len(folded.nodes) == len(network.nodes) - 1, "one of the two follows a convolution directly"
    for rules in ("epsilon", "preset_b_flat", "epsilon_gamma_box", "epsilon_plus", "gradient"):
        e = lrp_core.explain(folded, x, rules)
        for entry in (*e.ledger, e.ledger.total):
            assert (np.abs(entry.residual) <= 1e-12 * entry.turnover).all(), entry.name


def two_inputs():
    tensors = keras.Input((4,)), keras.Input((4,))
    return keras.Model(tensors, layers.Dense(2)(layers.Add()(list(tensors))))


REFUSED = {
    "an unknown layer": (lambda: keras.Sequential([keras.Input((4, 2)), layers.LSTM(2, name="memory")]), "'memory'.*LSTM"),
    "an unknown activation": (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="softplus", name="d")]), "'d'.*softplus"),
    "causal": (lambda: keras.Sequential([keras.Input((9, 2)), layers.Conv1D(2, 3, padding="causal", name="c")]), "'c'.*causal"),
    "relu2": (lambda: keras.Sequential([keras.Input((4,)), layers.ReLU(max_value=2, name="r")]), "'r'.*max_value"),
    "bilinear": (lambda: keras.Sequential([keras.Input((4, 4, 2)), layers.UpSampling2D(interpolation="bilinear", name="u"),
                                           layers.Flatten()]), "'u'.*interpolation"),
    "two inputs": (two_inputs, "one input"),
    "no fixed size": (lambda: keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()]),
                      "not fixed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_is_refused_by_name(case):
    build, message = REFUSED[case]
    with pytest.raises(ExportError, match=message):
        to_network(build())


def test_scores_that_differ_are_refused(monkeypatch):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    monkeypatch.setattr("train_tf.export.keras_logits", lambda model, x: keras_logits(model, x) + 0.01)
    with pytest.raises(ExportError, match="differ"):
        to_network(model)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_the_command_exports_a_file(tmp_path, ending):
    shape, stack = SMALL_NETS["no bias"]
    model = keras.Sequential([keras.Input(shape), *(type(layer).from_config(layer.get_config()) for layer in stack)])
    model.save(tmp_path / f"m.{ending}")
    result = run("export", tmp_path / f"m.{ending}", "-o", tmp_path / "net.npz", "--class-names", "a,b,c")
    assert result.exit_code == 0, result.output
    network = lrp_core.load(tmp_path / "net.npz")
    x = RNG.random((3, *shape), np.float32)
    assert relative_error(network.logits(x), keras_logits(model, x)) <= 1e-5
    assert network.class_names == ("a", "b", "c") and network.reference is not None
    (tmp_path / f"bad.{ending}").write_bytes(b"nothing")
    result = run("export", tmp_path / f"bad.{ending}", "-o", tmp_path / "bad.npz")
    assert result.exit_code == 1 and "bad." in result.output and not (tmp_path / "bad.npz").exists()


def ramps(count):
    """Images whose columns rise from 60 to 123, so that a column tells its own place."""
    return np.repeat(np.arange(60, 124, dtype=np.uint8)[None, None, :], count, axis=0).repeat(64, axis=1)


def test_a_shift_turns_all_rows_of_an_image_together():
    out = augment.shift(ramps(300), np.random.default_rng(0))
    by = out[:, 0].argmax(axis=1)
    for image, place in zip(out, by):
        np.testing.assert_array_equal(image, np.roll(ramps(1)[0], place - 63, axis=1))
    assert len(set(by)) > 55, "every shift happens"


def test_rows_and_columns_are_hidden_at_the_minimum():
    out = augment.hide(ramps(600), np.random.default_rng(0))
    dark = out == 60
    rows, columns = dark.all(axis=2), dark[:, :, 1:].all(axis=1)
    np.testing.assert_array_equal(np.where(dark, 0, out), np.where(dark, 0, ramps(600)), "what is not hidden stays")
    np.testing.assert_array_equal(dark[:, :, 1:], rows[:, :, None] | columns[:, None, :], "whole rows and columns only")
    top = rows.argmin(axis=1)
    assert top.max() <= 26 + 10 and 0.45 < (top > 0).mean() < 0.62, "half of the images lose top rows, some to the band in between"
    assert 0.4 < columns.any(axis=1).mean() < 0.6 and columns.sum(axis=1).max() <= 12


@pytest.mark.parametrize("silence", [0, 2])  # our front end's, and that of the data set's pictures
def test_silence_after_a_clip_says_nothing(silence):
    """Images that sound for 20 columns only: half are repeated over the silence, some are cut short, some left alone."""
    level = ramps(900)
    level[:, :, 20:] = silence
    flat = np.full((1, 64, 64), silence, np.uint8)
    np.testing.assert_array_equal(augment.sounding(np.concatenate((level[:2], flat))), [20, 20, 1])
    np.testing.assert_array_equal(augment.repeated(level), level[:, :, np.arange(64) % 20])
    out = augment.end_elsewhere(level, np.random.default_rng(0))
    length = augment.sounding(out)
    looped = (out == level[:, :, np.arange(64) % 20]).all(axis=(1, 2))
    assert 0.36 < looped.mean() < 0.48 and (length[looped] == 64).all()
    for image, sounds in zip(out[~looped], length[~looped]):
        expected = np.where(np.arange(64) < sounds, level[0][:, np.arange(64) % 20], silence)
        np.testing.assert_array_equal(image, expected)
    assert (length[~looped] == 20).mean() > 0.6 and len(set(length[~looped])) > 10


def test_noise_only_raises_the_floor():
    out = augment.add_noise(ramps(400), np.random.default_rng(0)).astype(int)
    raised = (out != ramps(400)).any(axis=(1, 2))
    assert (out >= ramps(400)).all() and 0.2 < raised.mean() < 0.55
    loud = np.full((50, 64, 64), 200, np.uint8)
    np.testing.assert_array_equal(augment.add_noise(loud, np.random.default_rng(0)), loud)


def test_mixtures_carry_the_labels_of_both():
    labels = np.eye(10, dtype=np.float32)[np.arange(500) % 10]
    level = np.broadcast_to((np.arange(500) % 10 * 25)[:, None, None], (500, 64, 64)).astype(np.uint8)
    images, mixed = augment.mix(level, labels, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    expected = mixed @ (np.arange(10) * 25)
    np.testing.assert_allclose(images[:, 3, 5], expected, atol=0.51)
    assert 0.3 < (mixed.max(axis=1) < 1).mean() < 0.6


def test_outliers_belong_to_no_class_and_an_epoch_is_seeded():
    labels = np.eye(10, dtype=np.float32)[np.arange(100) % 10]
    images, mixed = augment.epoch(ramps(100), labels, np.random.default_rng(0))
    assert len(images) == 105 and images.dtype == np.uint8
    assert (np.abs(mixed - 0.1) < 1e-6).all(axis=1).sum() == 5
    again, _ = augment.epoch(ramps(100), labels, np.random.default_rng(0))
    other, _ = augment.epoch(ramps(100), labels, np.random.default_rng(1))
    assert np.array_equal(images, again) and not np.array_equal(images, other)
    made = augment.outliers(ramps(3), 10, np.random.default_rng(0))
    assert not made[0].any() and all(made[kind].std() > 1 for kind in range(1, 5))
    np.testing.assert_array_equal(np.sort(made[4], axis=None), np.sort(ramps(1), axis=None), "parts of a real image, shuffled")


def toy_levels(count=40):
    rng = np.random.default_rng(0)
    return LevelSet(rng.integers(0, 256, (count, 64, 64)).astype(np.uint8), rng.integers(0, 10, count), np.arange(count) % 10 + 1)


def test_an_interrupted_training_ends_where_an_undisturbed_one_does(tmp_path):
    training, test = toy_levels().split(1)
    whole, history = train(training, test, tmp_path / "whole", epochs=2, batch=16, report=lambda line: None)

    class Stop(Exception):
        pass

    def stop_in_second_epoch(line):
        if line.startswith("epoch 2"):
            raise Stop
    with pytest.raises(Stop):
        train(training, test, tmp_path / "cut", epochs=2, batch=16, report=stop_in_second_epoch)
    assert len(json.loads((tmp_path / "cut" / "history.json").read_text())["epochs"]) == 1
    shutil.copy(tmp_path / "cut" / "checkpoint.keras", tmp_path / "first.keras")
    lines = []
    resumed, again = train(training, test, tmp_path / "cut", epochs=2, batch=16, report=lines.append)
    assert "resuming after epoch 1 of 2" in lines
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert [epoch["loss"] for epoch in again] == pytest.approx([epoch["loss"] for epoch in history], rel=1e-4)
    with pytest.raises(ValueError, match="other settings"):
        train(training, test, tmp_path / "cut", epochs=3, batch=16)
    with pytest.raises(ValueError, match="other settings"):
        train(*toy_levels().split(2), tmp_path / "whole", epochs=2, batch=16)  # as many clips, but others
    # Interrupted between record and checkpoint: the record is an epoch ahead, and that epoch is run again.
    record = tmp_path / "whole" / "history.json"
    ahead = json.loads(record.read_text())
    (tmp_path / "ahead").mkdir()
    shutil.copy(tmp_path / "first.keras", tmp_path / "ahead" / "checkpoint.keras")
    (tmp_path / "ahead" / "history.json").write_text(json.dumps(ahead))
    lines.clear()
    again, _ = train(training, test, tmp_path / "ahead", epochs=2, batch=16, report=lines.append)
    assert lines[0] == "resuming after epoch 1 of 2"
    for ours, theirs in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_training_runs_with_no_data_set_at_hand(tmp_path):
    result = run("train", "--synthetic", "--clips-per-class", 10, "--epochs", 1, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    network = lrp_core.load(tmp_path / "net.npz")
    assert network.parameters == 1_958_730 and network.class_names == features.synth.CLASSES
    model = load_keras(tmp_path / "model.keras")
    x = RNG.random((4, 64, 64, 3), np.float32)
    assert relative_error(network.logits(x), keras_logits(model, x)) <= 1e-4
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert f"{network.metadata['training']['accuracy']['full']:.1%}" in card and "procedural" in card
    assert {"learning_curves.png", "confusion_matrix.png", "history.json"} <= {p.name for p in tmp_path.iterdir()}


def test_feature_files_of_strangers_are_refused(tmp_path):
    good = {"level": np.zeros((4, 64, 64), np.uint8), "class_id": np.zeros(4, np.uint8), "fold": np.ones(4, np.uint8)}
    path = tmp_path / "f.npz"
    for change, message in (({"level": np.zeros((4, 64, 64))}, "uint8"), ({"fold": np.ones(3, np.uint8)}, "one length"), ({"fold": np.ones(4)}, "whole numbers"),
                            ({"class_id": np.full(4, 10)}, "class_id")):
        np.savez(path, **{**good, **change})
        with pytest.raises(ValueError, match=message):
            load_levels(path)
    np.savez(path, level=good["level"])
    with pytest.raises(ValueError, match="lacks"):
        load_levels(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"f\.npz"):
        load_levels(path)
    np.savez(path, **good)
    with pytest.raises(ValueError, match="fold 1"):
        load_levels(path).split(1)
    result = run("train", "--features", path, "-o", tmp_path / "out")
    assert result.exit_code == 1 and "fold 1" in result.output
    assert run("train", "-o", tmp_path / "out").exit_code == 2


def test_the_temperature_is_found_and_changes_no_decision():
    """Scores drawn so that softmax(z) is the truth's distribution, then multiplied by 3: the temperature is 3."""
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal((20_000, 10))
    truth = (crossvalidate.softmax(z).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    assert calibrate.fit_temperature(3 * z, truth) == pytest.approx(3, rel=0.02)
    assert calibrate.calibration_error(crossvalidate.softmax(z), truth) < 0.02
    sure = crossvalidate.softmax(3 * z)
    assert calibrate.calibration_error(sure, truth) == pytest.approx(sure.max(axis=1).mean() - (sure.argmax(axis=1) == truth).mean(), abs=0.01)


def test_the_calibration_error_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.3, 0.7]])
    # Five bins: 0.9 and 0.8 in the last (one of two right), 0.55 in the third (right), 0.7 in the fourth (wrong).
    expected = (2 * abs(0.5 - 0.85) + abs(1 - 0.55) + abs(0 - 0.7)) / 4
    assert calibrate.calibration_error(probabilities, np.array([0, 1, 0, 0]), bins=5) == pytest.approx(expected)


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
    leaking = crossvalidate.random_split(data, 0)
    assert (len(leaking.training.level), len(leaking.validation.level), len(leaking.test.level)) == (70, 10, 20)


def test_a_calibrated_network_says_softmax_of_z_over_t():
    model = with_random_biases(build_cnn())
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
    model = with_random_biases(build_cnn())
    exact = model.get_weights()
    facts, logits = crossvalidate.examine(model, crossvalidate.fold_split(toy_levels(50), 1))
    assert facts["float16"]["stored"] is stored and (facts["float16"]["other_decisions"] == 0) is stored
    halves = np.array_equal(model.get_weights()[0], exact[0].astype(np.float16))
    assert halves is stored and np.array_equal(model.get_weights()[0], exact[0]) is not stored


def test_training_in_bfloat16_leaves_a_network_in_float32(tmp_path):
    data = toy_levels(40)
    model, history = train(data, data, tmp_path, epochs=1, batch=16, precision="mixed_bfloat16")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"} and len(history) == 1
    assert keras.models.load_model(tmp_path / "checkpoint.keras").get_layer("conv1a").compute_dtype == "bfloat16"


def test_a_crossvalidation_goes_on_where_it_stopped_and_tells_every_fold(tmp_path, monkeypatch):
    data = toy_levels(100)
    path = tmp_path / "f.npz"
    np.savez(path, level=data.level, class_id=data.class_id, fold=data.fold)
    options = ("crossvalidate", "--features", path, "-o", tmp_path / "out", "--folds", "1,3", "--epochs", 1, "--batch", 16)
    result = run(*options)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["folds"]) == ["fold01", "fold03"] and summary["leaking"]["clips"] == 20
    with np.load(tmp_path / "out" / "fold03" / "logits.npz") as stored:
        right = (stored["8k"].argmax(axis=1) == stored["truth"]).mean()
        np.testing.assert_array_equal(stored["truth"], data.class_id[data.fold == 3])
    assert summary["folds"]["fold03"]["accuracy"]["8k"] == pytest.approx(right)
    assert summary["mean"]["8k"] == pytest.approx(np.mean([summary["folds"][name]["accuracy"]["8k"] for name in ("fold01", "fold03")]))
    assert np.sum(summary["confusion"]) == 20
    page = (tmp_path / "out" / "CROSSVALIDATION.md").read_text()
    assert "fold 3 (10 clips)" in page and "leaking" in page and {"reliability.png", "confusion_matrix.png"} <= {
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


def test_a_data_set_that_is_none_is_refused_in_words(tmp_path):
    result = run("train", "--dataset", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and "UrbanSound8K.csv" in result.output
