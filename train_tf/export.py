"""A Keras model becomes our model file: its graph, its weights, and scores to check the file against."""
import keras
import numpy as np

import lrp_core
from lrp_core.canonize import ONLY_MOVED

from .convert import ExportError, convert

TOLERANCE = 1e-4


def calls(model):
    """Every use of a layer in a Sequential or Functional model, inputs first: (layer, its input tensors, its
    output).
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ExportError(f"model {model.name!r}: one input and one output are supported, "
                          f"found {len(model.inputs)} and {len(model.outputs)}")
    if isinstance(model, keras.Sequential):
        tensor = model.inputs[0]
        for layer in model.layers:
            if not isinstance(layer, keras.layers.InputLayer):
                # in a chain any marker will do for what lies between two layers
                before, tensor = tensor, object()
                yield layer, [before], tensor
        return
    if not hasattr(model, "_nodes_by_depth"):
        raise ExportError(f"model {model.name!r} ({type(model).__name__}): only Sequential and Functional "
                          "models are supported")
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                yield node.operation, node.input_tensors, node.outputs[0]


def to_nodes(model):
    """Our (name, layer, inputs) for every layer of a Keras model."""
    nodes, used = [], set()
    # the tensor is kept so that its id stays its own
    known = {id(model.inputs[0]): (lrp_core.network.INPUT, model.inputs[0])}
    for layer, tensors, output in calls(model):
        inputs = tuple(known[id(tensor)][0] for tensor in tensors)
        for suffix, ours in convert(layer):
            name, number = f"{layer.name}{suffix}", 2
            while name in used:  # a layer that is used twice
                name, number = f"{layer.name}{suffix}_{number}", number + 1
            used.add(name)
            nodes.append((name, ours, inputs))
            inputs = (name,)
        known[id(output)] = inputs[0], output
    return nodes


def keras_logits(model, x):
    """The model's scores before a softmax or sigmoid at its end, as Keras computes them."""
    steps = list(calls(model))  # keeps the tensors, so that their ids stay their own
    made_by = {id(output): (layer, inputs) for layer, inputs, output in steps}
    layer, inputs, _ = steps[-1]
    moves = []
    while all(isinstance(ours, ONLY_MOVED) for _, ours in convert(layer)) and id(inputs[0]) in made_by:
        moves.insert(0, layer)
        layer, inputs = made_by[id(inputs[0])]
    kinds = [ours.type for _, ours in convert(layer)]
    if kinds[-1:] not in (["Softmax"], ["Sigmoid"]):
        return keras.ops.convert_to_numpy(model(x, training=False))
    scores = keras.Model(model.inputs[0], layer.input)(x, training=False)
    if len(kinds) > 1:  # a layer with weights and the activation in one
        linear = type(layer).from_config({**layer.get_config(), "activation": "linear", "name": "scores"})
        linear.build(scores.shape)
        linear.set_weights(layer.get_weights())
        scores = linear(scores)
    for move in moves:
        scores = move(scores)
    return keras.ops.convert_to_numpy(scores)


def to_network(model, *, class_names=None, metadata=None, reference_input=None):
    """A Keras Sequential or Functional model as a Network whose logits agree with Keras's.

    reference_input: inputs on which the scores are compared and which travel with the file; by default two
    drawn from [0, 1]. Raises ExportError that names the layer or says by how much the scores differ.
    """
    shape = tuple(model.inputs[0].shape[1:]) if len(model.inputs) == 1 else ()
    if None in shape:
        raise ExportError(f"the input's shape {shape} is not fixed: build the model with a size")
    nodes = to_nodes(model)
    x = np.random.default_rng(0).random((2, *shape)) if reference_input is None else reference_input
    x = np.asarray(x, np.float32)
    theirs = keras_logits(model, x)
    network = lrp_core.Network(nodes, shape, class_names=class_names, metadata=metadata,
                               reference=(x, theirs))
    error = np.abs(network.logits(x) - theirs).max() / max(np.abs(theirs).max(), 1e-30)
    if not error <= TOLERANCE:
        raise ExportError(f"the exported network's scores differ from Keras's by {error:.2e} of the largest "
                          "score "
                          f"(at most {TOLERANCE:g} is accepted)")
    return network


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
