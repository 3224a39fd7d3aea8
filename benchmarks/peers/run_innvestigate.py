"""iNNvestigate on TensorFlow: methods are its analyzers' names, such as lrp.epsilon. With the argument
`float64` after the
study's file it computes in double precision, as a reference."""
import time

BEGUN = time.perf_counter()
import os  # noqa: E402
import sys  # noqa: E402

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # TensorFlow's default on x86, made explicit: the fast convolutions
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import innvestigate  # noqa: E402
import protocol  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow import keras  # noqa: E402

IMPORTED = time.perf_counter()


def keras_layer(layer):
    """One layer of the network, its ReLU fused into it."""
    activation = "relu" if getattr(layer, "relu", False) else None
    if layer.type == "Conv2D":
        return keras.layers.Conv2D(layer.kernel.shape[-1], layer.kernel.shape[:2], activation=activation)
    if layer.type == "Dense":
        return keras.layers.Dense(layer.kernel.shape[-1], activation=activation)
    if layer.type == "MaxPool2D":
        return keras.layers.MaxPool2D(layer.size, layer.strides, layer.padding)
    return keras.layers.Flatten()


class Tool:
    """The network in Keras, and an analyzer for each method that was asked for."""

    def __init__(self, study):
        tf.compat.v1.disable_eager_execution()  # as iNNvestigate wants it
        self.dtype = sys.argv[2] if len(sys.argv) > 2 else "float32"
        keras.backend.set_floatx(self.dtype)
        self.model = keras.Sequential([keras.layers.Input(study.x.shape[1:]),
                                       *map(keras_layer, study.layers)])
        self.model.set_weights([array for layer in study.layers if hasattr(layer, "kernel")
                                for array in (layer.kernel, layer.bias)])
        self.analyzers = {}

    def prepare(self, method, x):
        if method not in self.analyzers:
            self.analyzers[method] = innvestigate.create_analyzer(method, self.model)
        images = x.astype(self.dtype)
        return lambda: self.analyzers[method].analyze(images)

    def to_numpy(self, relevance):
        return relevance


if __name__ == "__main__":
    protocol.serve(Tool, ("innvestigate", "tensorflow", "numpy"), IMPORTED - BEGUN)
