"""A Keras model becomes our model file: its graph, its weights, and scores to check the file against."""
import keras
import numpy as np

import lrp_core
from lrp_core.canonize import final_activation
from lrp_core.network import INPUT

from .convert import Builder, ExportError, Tensor, converted_model, supported
from .graph import graph_of, is_model, walk
from .keras_layers.activations import unactivated

TOLERANCE = 1e-4


def converted(model, facts=None):
    """(the Network of a Keras model, the number of the call that made each of its nodes)."""
    inputs = graph_of(model).inputs
    if len(inputs) != 1 or len(graph_of(model).outputs) != 1:
        raise ExportError(f"model {model.name!r}: one input and one output are supported, "
                          f"found {len(inputs)} and {len(graph_of(model).outputs)}")
    shape = tuple(inputs[0].shape[1:])
    if None in shape:
        raise ExportError(f"the input's shape {shape} is not fixed: build the model with a size")
    build = Builder()
    output = converted_model(build, model, [Tensor(INPUT, shape)])[0]
    if build.refused:
        raise ExportError(listed(build))
    return lrp_core.Network(build.needed(output), shape, **(facts or {})), build.owners


def listed(build):
    """What all that was refused is, one to a line."""
    refused = list(dict.fromkeys(build.refused))
    head = f"{len(refused)} layers cannot be converted:\n  " if len(refused) > 1 else ""
    return head + "\n  ".join(refused) + (f"\nSupported are {supported()}" if build.unknown else "")


def keras_logits(model, x):
    """The model's scores before a softmax or sigmoid at its end, as Keras computes them."""
    network, owners = converted(model)
    return scores(model, x, *call_of_activation(network, owners))


def call_of_activation(network, owners):
    """(the number of the call that makes probabilities of the scores, or None; has it no other nodes?)."""
    last, _ = final_activation(network)
    call = None if last is None else owners[last.name]
    made = [node.layer for node in network.nodes if owners[node.name] == call]
    return call, not any(isinstance(layer, lrp_core.layers.Weighted) for layer in made)


def scores(model, x, last, alone):
    """What Keras computes when it skips an activation: that of call `last`, or all of the call if `alone`."""
    calls = 0

    def visit(layer, arguments, keywords, shapes):
        nonlocal calls
        if is_model(layer):
            return walk(layer, keras.tree.flatten(arguments), visit)
        calls += 1
        if calls != last:
            return layer(*arguments, **keywords)
        if alone:
            return arguments[0]
        with unactivated(layer):
            return layer(*arguments, **keywords)
    return keras.ops.convert_to_numpy(walk(model, [keras.ops.convert_to_tensor(x)], visit)[0])


def to_network(model, *, class_names=None, metadata=None, reference_input=None):
    """A Keras Sequential or Functional model as a Network whose logits agree with Keras's.

    reference_input: inputs on which the scores are compared and which travel with the file; by default two
    drawn from [0, 1]. Raises ExportError that names every layer that cannot be converted, or says by how much
    the scores differ.
    """
    network, _ = converted(model, {"class_names": class_names, "metadata": metadata})
    shape = network.input_shape
    x = np.random.default_rng(0).random((2, *shape)) if reference_input is None else reference_input
    x = np.asarray(x, np.float32)
    theirs = keras_logits(model, x).reshape(-1, *network.output_shape)
    error = np.abs(network.logits(x) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
    if not error <= TOLERANCE:
        raise ExportError(f"the exported network's scores differ from Keras's by {error:.2e} of the largest "
                          "score "
                          f"(at most {TOLERANCE:g} is accepted)")
    return network.replace(reference=(x, theirs))


def divide_logits(model, temperature):
    """Calibrate a classifier in place: its last dense layer over T, so that its plain softmax is softmax(z /
    T).
    """
    *before, kernel, bias = model.get_weights()
    model.set_weights([*before, kernel / temperature, bias / temperature])


def round_weights(model):
    """Give every weight, in place, the value that float16 storage will leave it."""
    model.set_weights([w.astype(np.float16).astype(np.float32) for w in model.get_weights()])


def load_keras(path):
    """Read a .keras or .h5 model without running code from it; raises ExportError that names the file."""
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"{path}: not a Keras model that can be read ({error})") from error
