"""A Keras model as the calls it is made of: layers and operations with what they are called with."""
import keras

from .keras_layers.base import ExportError


def is_model(layer):
    """Is a layer a model of layers, Sequential or Functional?"""
    return isinstance(layer, keras.Model)


def graph_of(model):
    """What holds a model's calls; refuses models that have none."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ExportError(f"model {model.name!r} ({type(model).__name__}): only Sequential models that were "
                          "built and Functional models are supported")
    return graph


def layer_names(model):
    """The names of a model's layers and operations."""
    return [operation.name for operation in graph_of(model).operations]


def walk(model, inputs, visit):
    """Go through a model's calls, inputs first; returns its outputs.

    inputs: something for each of its input tensors. visit(layer or operation, arguments, keywords, shapes of
    the outputs without the batch axis) returns something for each output tensor; Keras's tensors in arguments
    and keywords are replaced by it.
    """
    graph = graph_of(model)
    known = {id(tensor): found for tensor, found in zip(graph.inputs, inputs)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input:
                arguments, keywords = node.arguments.fill_in(known)
                shapes = [tuple(tensor.shape[1:]) or (1,) for tensor in node.outputs]
                found = visit(node.operation, arguments, keywords, shapes)
                known.update(zip(map(id, node.outputs), keras.tree.flatten(found)))
    return [known[id(tensor)] for tensor in graph.outputs]
