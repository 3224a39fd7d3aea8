"""Training and export, where TensorFlow is installed: augmentation, resumption, and scores equal to Keras's.
"""
import json
import shutil

import click.testing
import numpy as np
import pytest
from toy_levels import toy_levels

import features
import lrp_core

pytest.importorskip("tensorflow", reason="training and export need TensorFlow: pip install tensorflow joblib")

import keras

from train_tf.__main__ import main
from train_tf.data import load_levels
from train_tf.export import ExportError, keras_logits, load_keras, to_network
from train_tf.model import build_cnn
from train_tf.optimizer import ConvMuon, orthogonal
from train_tf.train import train

layers = keras.layers
RNG = np.random.default_rng(0)


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def with_random_biases(model):
    """Keras starts biases at zero, which would hide an error."""
    model.set_weights([w + 0.1 * RNG.standard_normal(w.shape) if w.ndim == 1 else w
                       for w in model.get_weights()])
    return model


SMALL_NETS = {
    "strides and same": ((9, 10, 2), [layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same",
                                                    activation="relu"),
                                      layers.MaxPooling2D(3, strides=2, padding="same"), layers.Flatten(),
                                      layers.Dense(3)]),
    "even kernels, same": ((7, 8, 1), [layers.Conv2D(3, (2, 4), strides=(3, 2), padding="same"),
                                       layers.ReLU(),
                                       layers.AveragePooling2D((2, 3), strides=1, padding="same"),
                                       layers.Flatten(), layers.Dense(4)]),
    "no bias": ((8, 8, 3), [layers.Conv2D(5, 3, use_bias=False, activation="relu"),
                            layers.GlobalAveragePooling2D(),
                            layers.Dense(3, use_bias=False, activation="softmax")]),
    "separate softmax": ((6,), [layers.Dense(7, activation="relu"), layers.Dropout(0.5), layers.Dense(3),
                                layers.Softmax()]),
    "sigmoid of a dense layer": ((6,), [layers.Dense(7, activation="relu"),
                                        layers.Dense(4, activation="sigmoid")]),
    "sigmoid of a map, then moves": ((6, 5, 2),
                                     [layers.Conv2D(3, (6, 5), activation="sigmoid"), layers.Dropout(0.5),
                                                 layers.Reshape((3, 1)), layers.Flatten()]),
    "softmax of one row, then flat": ((4, 4, 2), [layers.Conv2D(3, 4), layers.Softmax(), layers.Flatten()]),
    "activations as layers": ((5, 5, 2), [layers.Conv2D(3, 2, strides=2), layers.Activation("relu"),
                                          layers.Activation("linear"),
                                          layers.AveragePooling2D(2, strides=1), layers.Flatten(),
                                          layers.Dense(2)]),
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
    if "softmax" in name or "sigmoid" in name or name == "no bias":
        np.testing.assert_allclose(network.probabilities(x), probabilities, atol=1e-6)


def test_the_embedded_network_scores_as_tensorflow_on_real_images(urban_sounds, real_levels):
    model = build_cnn()
    model.set_weights([array for node in urban_sounds.nodes for array in
                       (getattr(node.layer, name) for name in node.layer.arrays)])
    x = features.colour(real_levels["level"][real_levels["fold"] == 1][::9])
    theirs = keras_logits(model, x)
    assert (
        len(x) > 90
        and (np.abs(urban_sounds.logits(x) - theirs).max(axis=1) <= 1e-4 * np.abs(theirs).max(axis=1)).all()
    )


def everything():
    """A Functional model with every layer that can be exported and is not in the small nets, branches
    included.
    """
    tensor = keras.Input((12, 12, 3))
    h = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(tensor))
    a = layers.Activation("gelu")(h)
    b = layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="silu")(a)
    h = layers.LeakyReLU()(layers.Add()([a, layers.BatchNormalization(scale=False)(b)]))
    c = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(h)
    d = layers.SpatialDropout2D(0.1)(layers.Conv2D(16, 1, strides=2, groups=4, activation="elu")(h))
    h = layers.Concatenate()([c, d])
    h = layers.Subtract()([h, layers.Conv2D(32, 3, dilation_rate=2, padding="same", activation="tanh")(h)])
    h = layers.Conv2DTranspose(6, 3, strides=2, padding="same",
                               activation="sigmoid")(layers.Rescaling(0.5)(h))
    h = layers.UpSampling2D((1, 2))(layers.ZeroPadding2D(((1, 2), (0, 1)))(layers.Cropping2D(1)(h)))
    h = layers.Permute((2, 1, 3))(layers.ReLU(6)(layers.MaxPooling2D(3, 2, "same")(h)))
    h = layers.ELU()(layers.Conv1D(7, 3, dilation_rate=2, padding="same")(layers.Reshape((-1, 6))(h)))
    h = layers.UpSampling1D(2)(
        layers.Cropping1D((1, 2))(layers.ZeroPadding1D(2)(layers.LayerNormalization()(h)))
    )
    h = layers.MaxPooling1D(3, 2, "same")(layers.AveragePooling1D(2)(h))
    shared = layers.Dense(5, activation="relu6", name="shared")
    h = shared(
        layers.Dense(5)(shared(layers.ReLU(negative_slope=0.1)(layers.Dense(5, activation="leaky_relu")(h))))
    )
    h = layers.Add()([layers.GlobalMaxPooling1D()(h), layers.GlobalAveragePooling1D()(h)])
    return keras.Model(tensor, layers.Dense(4, activation="softmax")(h))


def test_every_layer_scores_as_keras_does_and_closes_its_book():
    model = everything()
    model.set_weights([np.abs(w + 0.3 * RNG.standard_normal(w.shape)) + 0.1 if w.ndim == 1 else w
                       for w in model.get_weights()])
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
    "an unknown layer": (lambda: keras.Sequential([keras.Input((4, 4, 2)),
                                                   layers.ConvLSTM1D(2, 2, name="memory")]),
                         "'memory'.*ConvLSTM1D"),
    "an unknown activation": (lambda: keras.Sequential([keras.Input((4,)),
                                                        layers.Dense(2, activation="sparsemax", name="d")]),
                              "'d'.*sparsemax"),
    "two slopes": (lambda: keras.Sequential([keras.Input((4,)),
                                             layers.ReLU(max_value=2, negative_slope=0.1, name="r")]),
                   "'r'.*max_value"),
    "channels first": (lambda: keras.Sequential([keras.Input((2, 4, 4)),
                                                 layers.UpSampling2D(data_format="channels_first", name="u"),
                                                 layers.Flatten()]), "'u'.*data_format"),
    "two inputs": (two_inputs, "one input"),
    "no fixed size": (lambda: keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(2, 3),
                                                layers.GlobalAveragePooling2D()]),
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
    model = keras.Sequential([keras.Input(shape),
                              *(type(layer).from_config(layer.get_config()) for layer in stack)])
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


@pytest.mark.parametrize("shape", [(27, 32), (90, 20), (20, 90)])
def test_a_step_of_muon_goes_all_ways_alike(shape):
    """U Vᵀ by NumPy's singular values: the same directions, each about as far."""
    rng = np.random.default_rng(0)
    matrix = (rng.standard_normal(shape) @ np.diag(np.geomspace(1, 0.05, shape[1]))).astype(np.float32)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    found = np.asarray(orthogonal(keras.ops.convert_to_tensor(matrix)), np.float64)
    along = u.T @ found @ v.T
    assert np.diag(along).min() > 0.6 and np.diag(along).max() < 1.3
    assert np.abs(along - np.diag(np.diag(along))).max() < 0.15
    scaled = orthogonal(keras.ops.convert_to_tensor(1000 * matrix))
    np.testing.assert_allclose(np.asarray(scaled), found, atol=0.05)


def test_kernels_take_steps_of_muon_and_all_else_of_adamw():
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape).astype(np.float32) for shape in ((3, 3, 4, 8), (8,), (5, 6))]
    gradients = [[rng.standard_normal(w.shape).astype(np.float32) for w in start] for _ in range(3)]
    mine, theirs = ([keras.Variable(w) for w in start] for _ in range(2))
    muon = ConvMuon(0.01, weight_decay=0.1, muon_ratio=3)
    adamw = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    for step in gradients:
        muon.apply_gradients(list(zip(map(keras.ops.convert_to_tensor, step), mine)))
        adamw.apply_gradients(list(zip(map(keras.ops.convert_to_tensor, step), theirs)))
    for ours, adam in zip(mine[1:], theirs[1:]):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(adam), rtol=1e-6)
    w, mean = start[0].reshape(36, 8), np.zeros((36, 8), np.float32)
    for (gradient, *_) in gradients:
        gradient = gradient.reshape(36, 8)
        mean = 0.95 * mean + 0.05 * gradient
        step = np.asarray(orthogonal(keras.ops.convert_to_tensor(0.95 * mean + 0.05 * gradient)))
        w = w * (1 - 0.01 * 0.1) - 0.01 * 3 * 0.2 * 6 * step
    np.testing.assert_allclose(np.asarray(mine[0]).reshape(36, 8), w, atol=2e-3)
    again = ConvMuon.from_config(muon.get_config())
    assert again.muon_ratio == 3 and again.weight_decay == 0.1


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
    assert {"learning_curves.png", "confusion_matrix.png", "history.json"} <= {p.name
                                                                               for p in tmp_path.iterdir()}


def test_feature_files_of_strangers_are_refused(tmp_path):
    good = {"level": np.zeros((4, 64, 64), np.uint8), "class_id": np.zeros(4, np.uint8),
            "fold": np.ones(4, np.uint8)}
    path = tmp_path / "f.npz"
    for change, message in (({"level": np.zeros((4, 64, 64))}, "uint8"),
                            ({"fold": np.ones(3, np.uint8)}, "one length"),
                            ({"fold": np.ones(4)}, "whole numbers"),
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


def test_training_in_bfloat16_leaves_a_network_in_float32(tmp_path):
    data = toy_levels(40)
    model, history = train(data, data, tmp_path, epochs=1, batch=16, precision="mixed_bfloat16")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"} and len(history) == 1
    saved = keras.models.load_model(tmp_path / "checkpoint.keras")
    assert saved.get_layer("conv1a").compute_dtype == "bfloat16"


def test_a_data_set_that_is_none_is_refused_in_words(tmp_path):
    result = run("train", "--dataset", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1 and isinstance(result.exception,
                                                SystemExit) and "UrbanSound8K.csv" in result.output


@pytest.mark.parametrize("text", ["{}", "no json", "[1]"])
def test_a_record_that_is_none_is_named(tmp_path, text):
    for name in ("history.json", "checkpoint.keras"):
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"history\.json: not the record of a training run"):
        train(*toy_levels().split(1), tmp_path, epochs=1, batch=16)


@pytest.mark.parametrize("text", ["[1, 2]", "not json"])
def test_metadata_that_are_no_facts_are_refused_by_name(tmp_path, text):
    keras.Sequential([keras.Input((3,)), layers.Dense(2)]).save(tmp_path / "m.keras")
    (tmp_path / "facts.json").write_text(text)
    result = run("export", tmp_path / "m.keras", "-o", tmp_path / "net.npz", "--metadata",
                 tmp_path / "facts.json")
    assert result.exit_code == 1 and "facts.json" in result.output and isinstance(result.exception,
                                                                                  SystemExit)
