"""Operations of keras.ops in Functional models: scores as Keras's own, explanations that close."""
import numpy as np
import pytest
from test_convert_keras import MAP, ROW, K, holds, keras, randomised, sample

import lrp_core
from train_tf.export import to_network

ops = keras.ops
MATRIX = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)


def computed(function, shape, *, inputs=1):
    """A model that puts a layer before and after an operation on one or two tensors of `shape`."""
    x = keras.Input(shape)
    tensors = [K.Dense(shape[-1], activation=act)(x) for act in (None, "tanh")[:inputs]]
    return keras.Model(x, K.Dense(3)(K.Flatten()(function(*tensors))))


UNARY = {
    "negative": ops.negative, "square": ops.square, "abs": ops.abs, "exp": ops.exp, "relu": ops.relu,
    "relu6": ops.relu6, "sigmoid": ops.sigmoid, "tanh": ops.tanh, "silu": ops.silu, "gelu": ops.gelu,
    "softplus": ops.softplus, "elu": ops.elu, "leaky_relu": ops.leaky_relu, "hard_silu": ops.hard_silu,
    "hard_sigmoid": ops.hard_sigmoid, "selu": ops.selu, "log_sigmoid": ops.log_sigmoid, "sin": ops.sin,
    "celu": lambda x: ops.celu(x, 0.5), "erf": ops.erf, "expm1": ops.expm1, "cast": lambda x: ops.cast(
        x, "float32"),
    "sqrt": lambda x: ops.sqrt(ops.square(x) + 1), "log": lambda x: ops.log(ops.exp(x) + 1),
    "rsqrt": lambda x: ops.rsqrt(x * x + 1), "log1p": lambda x: ops.log1p(ops.abs(x)),
    "log10": lambda x: ops.log10(ops.square(x) + 1), "reciprocal": lambda x: ops.reciprocal(x ** 2 + 1),
    "softmax": ops.softmax, "softmax axis": lambda x: ops.softmax(x, axis=1), "clip": lambda x: ops.clip(
        x, -0.5, 0.7),
    "log_softmax": ops.log_softmax, "normalize": lambda x: ops.normalize(x, axis=1),
    "plus a number": lambda x: x + 2, "a number minus": lambda x: 1.5 - x, "minus": lambda x: x - 0.5,
    "times": lambda x: 3 * x, "over": lambda x: x / 4, "one over": lambda x: 2 / (x * x + 1),
    "power": lambda x: (x * x + 1) ** 1.5, "maximum": lambda x: ops.maximum(x, 0.2),
    "minimum": lambda x: ops.minimum(0.2, x), "plus an array": lambda x: x + MATRIX[0],
    "times a batch of one": lambda x: x * MATRIX[None, :1], "matrix": lambda x: ops.matmul(x, MATRIX),
    "matrix first": lambda x: ops.matmul(np.ones((2, 11), np.float32), x),
    "mean": lambda x: ops.mean(x, axis=1), "mean kept": lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "sum": lambda x: ops.sum(x, axis=(1, 2), keepdims=True), "max": lambda x: ops.max(x, axis=1),
    "min": lambda x: ops.min(x, axis=-1), "amax": lambda x: ops.amax(x, axis=1, keepdims=True),
    "var": lambda x: ops.var(x, axis=1), "std": lambda x: ops.std(x, axis=1, keepdims=True),
    "all but the batch": lambda x: ops.expand_dims(ops.mean(x, axis=(1, 2)), -1),
    "reshape": lambda x: ops.reshape(x, (-1, 22, 2)), "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "moveaxis": lambda x: ops.moveaxis(x, 1, -1), "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "expand, squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 2) * 2, 2), "flip": lambda x: ops.flip(x, 1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)), "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "take": lambda x: ops.take(x, [3, 0, -1], axis=1), "take one": lambda x: ops.take(x, 2, axis=1),
    "split": lambda x: ops.concatenate(ops.split(x, 2, axis=-1)[::-1], axis=1),
    "split at": lambda x: ops.split(x, (3, 7), axis=1)[1], "stack": lambda x: ops.stack([x, 2 * x], axis=2),
    "unstack": lambda x: ops.unstack(x, axis=2)[1], "pad": lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0))),
    "pad reflect": lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0)), mode="reflect"),
    "item": lambda x: x[:, 2], "slice": lambda x: x[:, 1:-1:2, ::-1], "last": lambda x: x[:, -1:],
    "dots": lambda x: x[..., 0], "new axis": lambda x: x[:, None, :, 1],
}


@pytest.mark.parametrize("case", UNARY)
def test_an_operation_scores_and_explains(case, tmp_path):
    holds(computed(UNARY[case], ROW), tmp_path)


BINARY = {
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "maximum": ops.maximum,
    "minimum": ops.minimum, "divide": lambda a, b: a / (b * b + 1),
    "matmul": lambda a, b: ops.matmul(a, ops.transpose(b, (0, 2, 1))),
    "concatenate": lambda a, b: ops.concatenate([a, b], axis=1),
    "broadcast": lambda a, b: a * ops.mean(b, axis=1, keepdims=True) + ops.max(a, axis=2, keepdims=True),
}


@pytest.mark.parametrize("case", BINARY)
def test_an_operation_on_two_tensors_scores_and_explains(case, tmp_path):
    holds(computed(BINARY[case], ROW, inputs=2), tmp_path)


def test_many_axes(tmp_path):
    holds(computed(lambda x: ops.mean(x, axis=(1, 2)) + ops.std(x, axis=(1, 2)), MAP), tmp_path)


def test_a_matrix_product_is_repeated_where_it_is_one(tmp_path):
    def function(a, b):
        return ops.matmul(a, ops.swapaxes(b[:, :1], 2, 3))
    holds(computed(function, MAP, inputs=2), tmp_path)


def test_a_softmax_at_the_end_is_left_out():
    x = keras.Input((5,))
    model = randomised(keras.Model(x, ops.softmax(K.Dense(3)(x))))
    batch = sample(model)
    np.testing.assert_allclose(to_network(model).probabilities(batch), model.predict(batch, verbose=0),
                               atol=1e-6)


def test_a_model_that_was_stored_converts_as_before(tmp_path):
    """Loading turns tuples into lists, among others."""
    x = keras.Input(MAP)
    y = ops.transpose(ops.mean(K.Conv2D(4, 3)(x), axis=(1,)), (0, 2, 1))
    y = ops.concatenate([y[:, 1:], ops.reshape(y[:, 0], (-1, 1, 5)) ** 2], axis=1) * 0.5
    model = randomised(keras.Model(x, K.Dense(3)(K.LSTM(4)(ops.pad(y, ((0, 0), (1, 0), (0, 0)))))))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    batch = sample(model)
    np.testing.assert_array_equal(to_network(again).logits(batch), to_network(model).logits(batch))
    assert isinstance(to_network(again), lrp_core.Network)
