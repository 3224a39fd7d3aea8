"""Models in models, today's architectures as Keras writes them, and refusals that name every layer."""
import numpy as np
import pytest
from test_convert_keras import MAP, ROW, K, holds, keras, randomised, sample, tf

import lrp_core
from train_tf.convert import CALLS, CHAINS, OPERATIONS
from train_tf.export import ExportError, to_network

ops = keras.ops


def inner(shape, name, units=4):
    return keras.Sequential([keras.Input(shape), K.Dense(units, activation="relu", name="dense"),
                             K.Dense(units, name="out")], name=name)


def test_models_in_models_keep_their_names_apart(tmp_path):
    x = keras.Input(ROW)
    y = K.Dense(4, name="dense")(x)
    encoder = inner(ROW, "encoder")
    deep = keras.Sequential([keras.Input(ROW), inner(ROW, "deepest"), K.Dense(2, name="last")], name="deep")
    y = K.Add(name="sum")([encoder(y), encoder(x), inner(ROW, "other")(x)])
    y = K.Dense(3, name="out")(K.Flatten(name="flat")(deep(y)))
    network = holds(keras.Model(x, y), tmp_path)
    assert [node.name for node in network.nodes] == [
        "dense", "encoder/dense", "encoder/dense_relu", "encoder/out", "encoder/dense_2",
        "encoder/dense_relu_2", "encoder/out_2", "other/dense", "other/dense_relu", "other/out", "sum",
        "deep/deepest/dense", "deep/deepest/dense_relu", "deep/deepest/out", "last", "flat", "out"]


def test_models_with_several_inputs_and_outputs(tmp_path):
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    both = keras.Model([a, b], [K.Dense(3)(K.Concatenate()([a, b])), K.Dense(3, activation="tanh")(a)])
    named = keras.Model({"a": a, "b": b}, K.Multiply()([K.Dense(5)(a), K.Dense(5)(b)]))
    x = keras.Input((6,))
    first, second = both([x, K.Dense(4)(x)])
    network = holds(keras.Model(x, K.Dense(3)(K.Concatenate()(
        [K.Subtract()([first, second]), named({"b": K.Dense(4)(x), "a": x})]))), tmp_path)
    assert len(network.nodes) == 12
    unused, kept = both([x, K.Dense(4)(x)])
    assert "concatenate" not in " ".join(node.name for node in to_network(keras.Model(x, kept)).nodes)


def test_a_backbone_without_a_size_takes_that_of_its_input(tmp_path):
    tensor = keras.Input((None, None, 4))
    y = K.GlobalAveragePooling2D()(K.UpSampling2D(2)(K.Conv2D(5, 3, activation="relu")(tensor)))
    x = keras.Input(MAP)
    holds(keras.Model(x, K.Dense(3)(keras.Model(tensor, y)(x))), tmp_path)


def convolved(x, channels, size=3, act="relu", **settings):
    x = K.Conv2D(channels, size, padding="same", use_bias=False, **settings)(x)
    return K.Activation(act)(K.BatchNormalization()(x))


def crnn(recurrent):
    x = keras.Input((16, 12, 1))
    y = K.MaxPooling2D((1, 2))(convolved(x, 4))
    y = K.Reshape((16, 24))(convolved(y, 4))
    y = K.Bidirectional(recurrent(5, return_sequences=True))(y)
    return keras.Model(x, K.Dense(3)(K.GlobalAveragePooling1D()(K.Bidirectional(recurrent(4))(y)[:, None])))


def encoder(y, causal=False):
    """A transformer's block, norms first."""
    z = K.LayerNormalization(epsilon=1e-6)(y)
    y = K.Add()([y, K.MultiHeadAttention(2, 4, dropout=0.1)(z, z, use_causal_mask=causal)])
    z = K.Dense(16, activation="gelu")(K.LayerNormalization(epsilon=1e-6)(y))
    return y + K.Dropout(0.1)(K.Dense(8)(z))


def ast():
    """Patches, a place for the class token and the positions as a constant, two blocks."""
    x = keras.Input((16, 12, 1))
    y = K.Reshape((-1, 8))(K.Conv2D(8, 4, strides=4)(x))
    positions = np.random.default_rng(0).standard_normal((1, 13, 8)).astype(np.float32)
    y = K.ZeroPadding1D((1, 0))(y) + positions
    y = K.LayerNormalization(epsilon=1e-6)(encoder(encoder(y)))
    return keras.Model(x, K.Dense(3)(y[:, 0]))


def decoder():
    """Attention with a mask of the future, then the mean."""
    x = keras.Input((9, 5))
    return keras.Model(x, K.Dense(3)(ops.mean(encoder(K.Dense(8)(x), causal=True), axis=1)))


def squeezed(y, act="sigmoid"):
    z = K.GlobalAveragePooling2D(keepdims=True)(y)
    z = K.Conv2D(y.shape[-1], 1, activation=act)(K.Conv2D(3, 1, activation="relu")(z))
    return K.Multiply()([y, z])


def se_resnet():
    x = keras.Input((10, 9, 2))
    y = convolved(x, 6)
    z = squeezed(K.BatchNormalization()(K.Conv2D(6, 3, padding="same")(convolved(y, 6))))
    return keras.Model(x, K.Dense(3, activation="softmax")(
        K.GlobalAveragePooling2D()(K.ReLU()(K.Add()([y, z])))))


def mobilenet_v3():
    x = keras.Input((10, 9, 2))
    y = convolved(K.Rescaling(1 / 127.5, offset=-1)(x), 4, strides=2, act="hard_silu")
    z = convolved(y, 8, 1, act="hard_silu")
    z = K.BatchNormalization()(K.DepthwiseConv2D(3, padding="same", use_bias=False)(z))
    z = squeezed(K.Activation("hard_silu")(z), "hard_sigmoid")
    y = K.Add()([y, K.BatchNormalization()(K.Conv2D(4, 1, use_bias=False)(z))])
    return keras.Model(x, K.Dense(3)(K.Activation("hard_silu")(K.Dense(6)(K.GlobalAveragePooling2D()(y)))))


def convnext():
    x = keras.Input((8, 8, 2))
    y = K.LayerNormalization(epsilon=1e-6)(K.Conv2D(6, 2, strides=2)(x))
    z = K.LayerNormalization(epsilon=1e-6)(K.DepthwiseConv2D(3, padding="same")(y))
    z = K.Dense(6)(K.Dense(12, activation="gelu")(z))
    y = y + z * np.linspace(0.1, 1, 6, dtype=np.float32)
    return keras.Model(x, K.Dense(3)(K.LayerNormalization(epsilon=1e-6)(K.GlobalAveragePooling2D()(y))))


def tcn():
    x = y = keras.Input((20, 3))
    for dilation in (1, 2, 4):
        z = K.Conv1D(5, 3, padding="causal", dilation_rate=dilation, activation="relu")(y)
        z = K.SpatialDropout1D(0.1)(K.LayerNormalization()(z))
        y = K.Activation("relu")(K.Add()([K.Conv1D(5, 1)(y), z]))
    return keras.Model(x, K.Dense(3)(y[:, -1]))


def unet():
    x = keras.Input((12, 8, 2))
    a = convolved(x, 4)
    b = convolved(K.MaxPooling2D()(a), 6)
    c = K.UpSampling2D(2, interpolation="bilinear")(convolved(K.MaxPooling2D()(b), 8))
    b = convolved(K.Concatenate()([b, c]), 6)
    a = convolved(K.Concatenate()([a, K.Conv2DTranspose(4, 2, strides=2)(b)]), 4)
    return keras.Model(x, K.Conv2D(1, 1, activation="sigmoid")(a))


def xvector():
    x = y = keras.Input((20, 4))
    for size, dilation in ((5, 1), (3, 2), (1, 1)):
        y = K.BatchNormalization()(K.Conv1D(6, size, dilation_rate=dilation, activation="relu")(y))
    mean = ops.mean(y, axis=1, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(y - mean), axis=1) + 1e-5)
    return keras.Model(x, K.Dense(3)(K.Dense(6, activation="relu")(
        ops.concatenate([ops.squeeze(mean, 1), deviation, ops.std(y, axis=1)], axis=-1))))


def conformer():
    x = keras.Input((14, 5))
    y = K.Dense(8)(x)
    y = y + 0.5 * K.Dense(8)(K.Dense(16, activation="silu")(K.LayerNormalization()(y)))
    z = K.LayerNormalization()(y)
    y = y + K.MultiHeadAttention(2, 4)(z, z)
    a, b = ops.split(K.Conv1D(16, 1)(K.LayerNormalization()(y)), 2, axis=-1)
    z = K.DepthwiseConv1D(5, padding="same")(a * ops.sigmoid(b))
    y = y + K.Conv1D(8, 1)(K.Activation("silu")(K.BatchNormalization()(z)))
    y = y + 0.5 * K.Dense(8)(K.Dense(16, activation="silu")(K.LayerNormalization()(y)))
    return keras.Model(x, K.Dense(3)(K.GlobalAveragePooling1D()(K.LayerNormalization()(y))))


def ecapa():
    """Attentive statistics: a softmax over time weighs mean and deviation."""
    x = keras.Input((14, 5))
    y = K.Conv1D(8, 3, padding="same", activation="relu")(x)
    weights = K.Softmax(axis=1)(K.Conv1D(8, 1)(K.Conv1D(4, 1, activation="tanh")(y)))
    mean = ops.sum(weights * y, axis=1)
    variance = ops.sum(weights * y * y, axis=1) - mean * mean
    return keras.Model(x, K.Dense(3)(ops.concatenate(
        [mean, ops.sqrt(ops.maximum(variance, 1e-4))], axis=-1)))


def backbone():
    """A model of Keras's own as a layer."""
    x = keras.Input((32, 32, 3))
    net = keras.applications.MobileNetV3Small((32, 32, 3), weights=None, include_top=False, minimalistic=True)
    return keras.Model(x, K.Dense(3)(K.GlobalAveragePooling2D()(net(x))))


def keras_convnext():
    """With the layers of Keras's own ConvNeXt that it does not export."""
    module = pytest.importorskip("keras.src.applications.convnext")
    x = keras.Input((8, 8, 4))
    y = K.Dense(4)(K.LayerNormalization()(K.DepthwiseConv2D(3, padding="same")(x)))
    y = K.Add()([x, module.StochasticDepth(0.1)(module.LayerScale(0.5, 4)(y))])
    return keras.Model(x, K.Dense(3)(K.GlobalAveragePooling2D()(y)))


ARCHITECTURES = {
    "crnn gru": lambda: crnn(K.GRU), "crnn lstm": lambda: crnn(K.LSTM), "ast": ast, "decoder": decoder,
    "se-resnet": se_resnet, "mobilenet v3": mobilenet_v3, "convnext": convnext, "tcn": tcn, "unet": unet,
    "x-vector": xvector, "conformer": conformer, "ecapa": ecapa, "backbone": backbone,
    "keras convnext": keras_convnext}


@pytest.mark.parametrize("case", ARCHITECTURES)
def test_an_architecture_scores_and_explains(case, tmp_path):
    holds(ARCHITECTURES[case](), tmp_path)


@pytest.mark.parametrize("case", sorted(set(ARCHITECTURES) - {"unet", "se-resnet", "x-vector"}))
def test_gradients_are_those_of_tensorflow(case):
    """The derivative of every layer on the way; a deviation of 0, as in the x-vector, has none."""
    model = randomised(ARCHITECTURES[case]())
    x = tf.convert_to_tensor(sample(model))
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = tf.reduce_sum(model(x, training=False)[:, 1])
    theirs = tape.gradient(score, x).numpy()
    ours = lrp_core.explain(to_network(model), x.numpy(), "gradient", 1).relevance
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def refused_at_once():
    x = keras.Input((6, 4))
    y = K.LSTM(4, activation="relu", return_sequences=True, name="memory")(x)
    y = K.Conv1D(4, 3, data_format="channels_last", padding="same", name="fine")(y)
    nested = keras.Sequential([keras.Input((6, 4)), K.Masking(name="mask"), K.Dense(4)], name="nested")
    y = K.GRU(4, return_sequences=True, name="states", recurrent_activation="hard_sigmoid")(nested(y))
    y = ops.cumsum(y, axis=1)
    return keras.Model(x, K.Dense(2)(K.MultiHeadAttention(2, 2, name="masked")(
        y, y, attention_mask=np.ones((1, 6, 6), bool))))


def test_all_that_cannot_be_converted_is_named_at_once():
    with pytest.raises(ValueError) as caught:
        to_network(refused_at_once())
    head, *lines, known = str(caught.value).split("\n")
    assert head == "5 layers cannot be converted:" and len(lines) == 5
    for line, words in zip(lines, (
            ("'memory' (LSTM)", "activation='relu'", "only 'tanh'"), ("'mask' (Masking)", "leave it out"),
            ("'states' (GRU)", "recurrent_activation='hard_sigmoid'", "only 'sigmoid'"),
            ("(Cumsum)", "replace it"), ("'masked' (MultiHeadAttention)", "attention_mask"))):
        assert all(word in line for word in words), line
    assert "BatchNormalization" in known and "Transpose" in known


class Own(keras.Layer):
    def call(self, x):
        return x


def one(shape, *stack):
    return lambda: keras.Sequential([keras.Input(shape), *stack])


class OwnModel(keras.Model):
    def call(self, x):
        return x


def called(function, shape=ROW):
    def build():
        x = keras.Input(shape)
        return keras.Model(x, function(x))
    return build


REFUSED = {
    "own": (one(ROW, Own(name="own")), "'own' .Own.*class of its own"),
    "own model": (one(ROW, OwnModel(name="m"), K.Dense(2)), "'m'.*Functional"),
    "never built": (lambda: keras.Sequential([K.Dense(2)]), "built"),
    "lambda": (one(ROW, K.Lambda(lambda x: x, name="l")), "'l' .Lambda.*keras.ops"),
    "conv3d": (one((4, 4, 4, 2), K.Conv3D(2, 2, name="c")), "'c' .Conv3D.*replace"),
    "cell": (one(ROW, K.RNN(K.LSTMCell(3), name="r")), "'r' .RNN.*use LSTM"),
    "stateful": (lambda: keras.Sequential([keras.Input(batch_shape=(1, *ROW)), K.GRU(3, stateful=True,
                                                                                     name="s")]), "stateful"),
    "state": (called(lambda x: K.GRU(3, return_state=True, name="s")(x)[0]), "'s'.*return_state"),
    "initial state": (called(lambda x: K.GRU(4, name="s")(x, initial_state=K.Dense(4)(x[:, 0]))),
                      "'s'.*initial_state"),
    "rnn activation": (one(ROW, K.SimpleRNN(3, activation="relu", name="r")), "'r'.*'relu'.*'tanh'"),
    "both ways": (one(ROW, K.Bidirectional(K.LSTM(3, activation="relu"), name="b")), "'b'.*'relu'.*'tanh'"),
    "times lstm": (one((3, *ROW), K.TimeDistributed(K.LSTM(3), name="t")), "'t'.*LSTM.*not supported"),
    "times group norm": (one((3, *ROW), K.TimeDistributed(K.GroupNormalization(2), name="t")), "GroupNorm"),
    "times average same": (one((3, 5, 5, 2), K.TimeDistributed(K.AveragePooling2D(2, padding="same"),
                                                               name="t")), "'t'.*valid"),
    "times a model": (one((3, *ROW), K.TimeDistributed(keras.Sequential([
        keras.Input(ROW), K.Dense(3), Own(name="own")]), name="t")), "'t' .TimeDistributed.*'own'"),
    "training": (called(lambda x: K.Dropout(0.5, name="d")(x, training=True)), "'d'.*training"),
    "batch axis": (called(lambda x: ops.mean(x, axis=0, keepdims=True)), "Mean.*batch"),
    "batch moved": (called(lambda x: K.Dense(2)(ops.reshape(x, (-1, 4)))), "Reshape.*batch"),
    "ranks": (called(lambda x: x + ops.mean(x, axis=1)[:, :1]), "Add.*batch"),
    "exponent": (called(lambda x: x ** x), "Power.*exponent"),
    "glu": (one(ROW, K.Dense(4, activation="glu", name="g")), "'g'.*glu"),
    "einsum": (one(ROW, K.EinsumDense("abc,bcd->abd", (11, 3), name="e")), "'e'.*equation"),
    "dot normed": (called(lambda x: K.Dot(2, normalize=True, name="d")([x, x])), "'d'.*UnitNorm"),
    "two axes of attention": (called(lambda x: K.MultiHeadAttention(2, 2, name="m")(x, x), (3, *ROW)),
                              "'m'.*several axes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_supported_is_refused_by_name(case):
    build, message = REFUSED[case]
    with pytest.raises(ExportError, match=message):
        to_network(build())


def test_the_tables_hold_each_layer_once():
    assert not set(CHAINS) & set(CALLS)
    assert all(issubclass(cls, keras.Layer) for cls in (*CHAINS, *CALLS)) and "Add" in OPERATIONS


def test_weights_are_not_changed_by_looking_at_scores():
    model = randomised(keras.Sequential([keras.Input((4,)), K.Dense(3, activation="softmax")]))
    x, before = sample(model), [np.array(w) for w in model.get_weights()]
    to_network(model)
    assert model.layers[-1].activation is keras.activations.softmax
    np.testing.assert_allclose(model.predict(x, verbose=0).sum(axis=1), 1, rtol=1e-5)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))
