"""What each Keras layer and each operation of keras.ops becomes: nodes of ours. All families in one table."""
import inspect

import keras

from .graph import is_model, layer_names, walk
from .keras_layers import (
    activations,
    arithmetic,
    attention,
    merges,
    moves,
    norms,
    pools,
    rearranging,
    recurrent,
    times,
    weighted,
)
from .keras_layers.base import ExportError, Refusal
from .keras_layers.builder import Builder, Tensor

__all__ = ["CALLS", "CHAINS", "OPERATIONS", "Builder", "ExportError", "Tensor", "convert", "converted_model",
           "supported"]

K = keras.layers


def convert(build, layer, arguments, keywords):
    """Add the nodes of one call to `build`; returns the Tensors that come out of it.

    layer: a Keras layer, a model used as one, or an operation of keras.ops. Raises ValueError that says what
    is not supported.
    """
    if is_model(layer):
        return converted_model(build, layer, keras.tree.flatten(arguments))
    keywords = {name: value for name, value in keywords.items()
                if value is not None and (name, value) != ("training", False)}
    function = function_for(layer)
    try:
        inspect.signature(function).bind(build, layer, *arguments, **keywords)
    except TypeError:
        given = ", ".join(sorted(keywords)) or f"{len(arguments)} inputs"
        raise Refusal(f"called with {given}, which is not supported: leave it out") from None
    return function(build, layer, *arguments, **keywords)


def function_for(layer):
    """The function that converts a layer or an operation; refuses those that have none."""
    if chain_for(layer):
        return chained
    found = (CALLS.get(type(layer)) if isinstance(layer, keras.Layer)
             else OPERATIONS.get(type(layer).__name__))
    if found is None:
        raise Unknown(hint(layer))
    return found


def chained(build, layer, x):
    """The nodes of a layer of one input, one after another."""
    if not isinstance(x, Tensor):
        raise Refusal("its input is a constant: add or multiply it by keras.ops")
    return build.chain(layer.name, chain_for(layer)(layer, x.shape), x)


def chain_for(layer):
    """The function that gives the nodes of a layer of one input, or None."""
    if type(layer).__module__ == "keras.src.applications.convnext":  # classes that Keras does not export
        return moves.OF_CONVNEXT.get(type(layer).__name__)
    return CHAINS.get(type(layer))


def converted_model(build, model, inputs):
    """The nodes of a model's calls; one that cannot be converted is noted, and the rest goes on."""
    def visit(layer, arguments, keywords, shapes):
        if not is_model(layer):
            build.begin(layer.name, shapes)
        try:
            return convert(build, layer, arguments, keywords)
        except ValueError as error:
            build.refused.append(f"layer {layer.name!r} ({type(layer).__name__}): {error}")
            build.unknown |= isinstance(error, Unknown)
            return [Tensor("", tuple(1 if n is None else n for n in shape)) for shape in shapes]
    with build.inside(model.name, layer_names(model)):
        return walk(model, inputs, visit)


class Unknown(Refusal):
    """A layer of a type that is in no table."""


HINTS = {
    "Lambda": "write it with keras.ops in a Functional model",
    "Masking": "cut or pad what is heard to one length, and leave it out",
    "Embedding": "let the embedded numbers be the model's input",
    "RNN": "use LSTM, GRU or SimpleRNN",
    "Einsum": "write it with matmul and transpose",
}


def hint(layer):
    """What to do about a layer that is in no table."""
    kind, module = type(layer).__name__, type(layer).__module__
    if kind in HINTS:
        return f"not supported: {HINTS[kind]}"
    if not module.startswith("keras."):
        return "not supported: it is a class of its own; write it with Keras's layers and keras.ops"
    return "not supported: replace it by layers that are, or leave it out"


def supported():
    """The names of all that can be converted."""
    layers = sorted({cls.__name__ for cls in (*CHAINS, *CALLS)})
    return f"{', '.join(layers)}, models in models, and of keras.ops {', '.join(sorted(OPERATIONS))}"


CHAINS = {**activations.CHAINS, **weighted.CHAINS, **norms.CHAINS, **pools.CHAINS, **moves.CHAINS}
CALLS = {**merges.CALLS, **recurrent.CALLS, **attention.CALLS, K.TimeDistributed: times.distributed(convert)}
OPERATIONS = {**arithmetic.OPERATIONS, **rearranging.OPERATIONS}
