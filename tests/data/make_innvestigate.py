"""Store what iNNvestigate computes for six networks, as an independent reference for
tests/test_innvestigate.py.

iNNvestigate (Alber et al. 2019, https://github.com/albermax/innvestigate) is the framework the presets agree
with. This script runs where it runs, Python 3.10 and TensorFlow 2.14, and imports nothing of this project but
the tiny `study_net` beside it. To make the environment and run it, from the project's root:

    python3.10 -m venv innvestigate-env
    innvestigate-env/bin/pip install "tensorflow==2.14.1" "numpy==1.26.4" "innvestigate==2.1.2"
    innvestigate-env/bin/python tests/data/make_innvestigate.py

Beside it, or in --out, it writes for every network

    innvestigate_NAME.npz       x [n, h, w, c]; logits [n, classes]; winner [n]; for every method METHOD/max, the
                                relevance of x for the winning class, and METHOD/index, for class INDEX;
                                versions
    innvestigate_NAME_net.npz   the network as a model file of this project (format: lrp_core/weights.py)

For `study` neither x nor the network is stored: `study_net` draws both from their seeds, and the reference
holds `seeds` and `checksums` of (weights, images) instead. Everything is seeded and runs on one thread: on
the same kind of processor a second run writes the same bytes. It takes about three minutes.
"""
import argparse
import importlib.metadata
import itertools
import json
import math
import os
import pathlib
import platform
import typing

# TensorFlow's default on x86, made explicit: oneDNN's convolution adds in the same order everywhere in the
# map, so that equal windows have equal sums and ties in the pools stay ties. TensorFlow's other convolution
# breaks some in float32.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import innvestigate  # noqa: E402
import numpy as np  # noqa: E402
import study_net  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow import keras  # noqa: E402

METHODS = ("lrp.z", "lrp.epsilon", "lrp.flat", "lrp.w_square",
           "lrp.alpha_2_beta_1", "lrp.alpha_2_beta_1_IB", "lrp.alpha_1_beta_0", "lrp.alpha_1_beta_0_IB",
           "lrp.sequential_preset_a", "lrp.sequential_preset_b",
           "lrp.sequential_preset_a_flat", "lrp.sequential_preset_b_flat")
# Flat up to and including a layer, which iNNvestigate gives by its number: for networks that begin with two
# convolutions.
UNTIL, UNTIL_LAYER, UNTIL_NETS = "lrp.sequential_preset_b_flat_until_idx", 1, ("strides", "global", "study")
INDEX = 1
SAMPLES = 8

# Of the weights and of the images. Where the last bit of a float32 decides who wins in a pool, right answers
# differ, in
# every method alike: in these two images the best two of every window are equal or at least 1e-6 (relative)
# apart.
STUDY_SEEDS, STUDY_SAMPLES = (2021, 10), 2


class Net(typing.NamedTuple):
    """A network in the words of the model file; a ReLU behind a convolution or dense layer is fused in Keras.
    """
    input_shape: tuple
    layers: tuple  # (name, type, options) in order
    kernels: dict  # name -> shape of the kernel
    seed: int | None = None  # of weights and inputs; chosen so that different classes win
    bias: bool = True


def conv(number, strides=(1, 1), padding="valid"):
    """A convolution with its ReLU."""
    return (f"conv{number}", "Conv2D", {"strides": strides, "padding": padding}), (f"relu_conv{number}",
                                                                                   "ReLU", {})


def pool(number, kind, size, strides, padding="valid"):
    """A max-pool or average pool."""
    return (f"pool{number}", kind, {"pool_size": size, "strides": strides, "padding": padding}),


def hidden(number):
    """A dense layer with its ReLU."""
    return (f"dense{number}", "Dense", {}), (f"relu_dense{number}", "ReLU", {})


FLATTEN, LOGITS = (("flatten", "Flatten", {}),), (("logits", "Dense", {}),)

NETS = {
    "strides": Net(
        (13, 11, 3),
        (*conv(1, (2, 1), "same"), *conv(2, (2, 2)), *pool(1, "MaxPool2D", (3, 3), (2, 2), "same"),
         *FLATTEN, *hidden(1), *LOGITS),
        {"conv1": (5, 3, 3, 6), "conv2": (3, 3, 6, 8), "dense1": (48, 20), "logits": (20, 5)}, seed=7),
    "average": Net(
        (12, 12, 2),
        (*conv(1, padding="same"), *pool(1, "AveragePool2D", (3, 3), (2, 2), "same"),
         *conv(2), *pool(2, "AveragePool2D", (2, 2), (2, 2)), *FLATTEN, *LOGITS),
        {"conv1": (3, 3, 2, 6), "conv2": (2, 2, 6, 8), "logits": (32, 5)}, seed=92),
    "global": Net(
        (10, 14, 3),
        (*conv(1), *conv(2, padding="same"), *pool(1, "MaxPool2D", (3, 3), (2, 2)), *conv(3, padding="same"),
         ("mean", "GlobalAveragePool2D", {}), *LOGITS),
        {"conv1": (3, 3, 3, 6), "conv2": (3, 3, 6, 8), "conv3": (3, 3, 8, 10), "logits": (10, 5)}, seed=11),
    "nobias": Net(
        (10, 10, 2),
        (*conv(1), *pool(1, "MaxPool2D", (2, 2), (2, 2)), *FLATTEN, *hidden(1), *LOGITS),
        {"conv1": (3, 3, 2, 6), "dense1": (96, 16), "logits": (16, 5)}, seed=3, bias=False),
    "mlp": Net(
        (6, 5, 1), (*FLATTEN, *hidden(1), *hidden(2), *LOGITS),
        {"dense1": (30, 24), "dense2": (24, 16), "logits": (16, 5)}, seed=4),
    "study": Net(study_net.INPUT_SHAPE, study_net.LAYERS, study_net.KERNELS),
}


def draw(net):
    """({name: (kernel, bias or None)}, inputs of both signs), float32: He-normal kernels, biases ±(0.1 to
    0.3).
    """
    rng = np.random.default_rng(net.seed)
    weights = {}
    for name, shape in net.kernels.items():
        kernel = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[:-1]))
        bias = rng.choice((-1, 1), shape[-1]) * rng.uniform(0.1, 0.3, shape[-1])
        weights[name] = kernel.astype(np.float32), bias.astype(np.float32) if net.bias else None
    return weights, rng.standard_normal((SAMPLES, *net.input_shape)).astype(np.float32)


POOLS = {"MaxPool2D": keras.layers.MaxPooling2D, "AveragePool2D": keras.layers.AveragePooling2D,
         "GlobalAveragePool2D": keras.layers.GlobalAveragePooling2D}


def keras_layer(net, node, activation, label):
    """The Keras layer of one node, named `label`; `activation` is None or the ReLU fused into it."""
    name, kind, options = node
    if kind == "Conv2D":
        *size, _, filters = net.kernels[name]
        return keras.layers.Conv2D(filters, size, use_bias=net.bias, activation=activation, name=label,
                                   **options)
    if kind == "Dense":
        return keras.layers.Dense(net.kernels[name][-1], use_bias=net.bias, activation=activation, name=label)
    if kind == "Flatten":
        return keras.layers.Flatten(name=label)
    return POOLS[kind](name=label, **options)


builds = itertools.count()


def keras_model(net, weights):
    """The network in Keras, with names of its own in a session of its own: iNNvestigate mixes up what is left
    over.
    """
    keras.backend.clear_session()
    build = next(builds)
    model = keras.Sequential([keras.layers.Input(net.input_shape, name=f"build{build}_input")])
    for node, following in zip(net.layers, (*net.layers[1:], None)):
        name, kind, _ = node
        if kind != "ReLU":
            fused = "relu" if following and following[1] == "ReLU" else None
            model.add(keras_layer(net, node, fused, f"build{build}_{name}"))
        if name in weights:
            model.layers[-1].set_weights([array for array in weights[name] if array is not None])
    return model


def relevance(net, weights, x, method, mode):
    """iNNvestigate's relevance of x: of the winning class (mode "max") or of class INDEX (mode "index")."""
    model = keras_model(net, weights)
    options = {"until_layer_idx": UNTIL_LAYER} if method == UNTIL else {}
    if mode == "max":
        return innvestigate.create_analyzer(method, model, neuron_selection_mode="max_activation",
                                            **options).analyze(x)
    analyzer = innvestigate.create_analyzer(method, model, neuron_selection_mode="index", **options)
    return analyzer.analyze(x, neuron_selection=INDEX)


def write_network(net, weights, path):
    """Write the network as a model file: JSON that describes it under `network`, arrays as NODE/kernel and
    NODE/bias.
    """
    arrays, nodes, before = {}, [], "input"
    for name, kind, options in net.layers:
        own = {key: array for key, array in zip(("kernel", "bias"), weights.get(name, ()))
               if array is not None}
        arrays.update({f"{name}/{key}": array for key, array in own.items()})
        nodes.append({"name": name, "type": kind, "inputs": [before], "options": options,
                      "arrays": {key: array.shape for key, array in own.items()}})
        before = name
    description = {"format": "audio-lrp-network", "version": 1, "input_shape": net.input_shape,
                   "nodes": nodes,
                   "class_names": None, "metadata": {}, "reference": 0}
    np.savez_compressed(path, network=np.array(json.dumps(description)), **arrays)


def make(name, out):
    """Compute and write the reference of one network."""
    net = NETS[name]
    if name == "study":
        drawn, x = study_net.study_weights(STUDY_SEEDS[0]), study_net.study_images(STUDY_SEEDS[1],
                                                                                   STUDY_SAMPLES)
        weights = {layer: (kernel, bias) for layer, kernel, bias in drawn}
        sums = [study_net.checksum(*(array for pair in weights.values() for array in pair)),
                study_net.checksum(x)]
        stored = {"seeds": np.array(STUDY_SEEDS), "checksums": np.array(sums)}
    else:
        weights, x = draw(net)
        stored = {"x": x}
        write_network(net, weights, out / f"innvestigate_{name}_net.npz")
    stored["logits"] = keras_model(net, weights).predict_on_batch(x)
    stored["winner"] = stored["logits"].argmax(axis=1)
    for method in (*METHODS, *((UNTIL,) if name in UNTIL_NETS else ())):
        print(f"{name}: {method}", flush=True)
        for mode in ("max", "index"):
            stored[f"{method}/{mode}"] = relevance(net, weights, x, method, mode).astype(np.float32)
    versions = [f"{package} {importlib.metadata.version(package)}"
                for package in ("innvestigate", "tensorflow", "numpy")]
    stored["versions"] = np.array(", ".join([*versions, f"Python {platform.python_version()}"]))
    np.savez_compressed(out / f"innvestigate_{name}.npz", **stored)


def main():
    parser = argparse.ArgumentParser(description="Store iNNvestigate's relevance as a reference for the "
                                                 "tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"networks to make (all): {', '.join(NETS)}")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent,
                        help="where to write")
    parser.add_argument("--float64", action="store_true",
                        help="let iNNvestigate compute in double precision, to tell "
                        "its rounding from a disagreement (the stored reference is float32)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NETS)
    if unknown:
        parser.error(f"unknown network: {', '.join(sorted(unknown))}")
    tf.compat.v1.disable_eager_execution()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.backend.set_floatx("float64" if arguments.float64 else "float32")
    for name in arguments.names or NETS:
        make(name, arguments.out)


if __name__ == "__main__":
    main()
