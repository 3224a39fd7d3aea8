"""ONNX files as networks: what torch, TensorFlow and others export, explained without them.

    network = lrp_core.from_onnx("crnn.onnx")
    lrp_core.explain(network, x)                    # x: the array that the ONNX model takes

What is read: convolutions and transposed ones (1-D, 2-D), dense layers and matrix products, also of two
tensors; batch, layer, group, instance and RMS normalisation, LRN; pools, reductions over any axes;
activations and functions of single numbers; sums, products and quotients, also with constants; slices,
gathers, padding, repetition, reshapes, transpositions, resizing; LSTM, GRU and RNN; softmax; Fourier
transforms. Shapes and other constants that the model computes are worked out. `convert.OPERATORS` is the
list; whatever else a file holds is refused by name.
"""
import math
from collections.abc import Mapping

import numpy as np

from ..canonize import fold_batch_norm
from ..checks import is_number, is_whole
from ..files import INVALID, ModelFileError
from ..text import listing, quote
from .convert import alive, check_shape, network_of
from .reading import Reader
from .source import inlined, package, parsed

__all__ = ["from_onnx"]


def from_onnx(source, *, input=None, output=None, shape=None, constants=None, class_names=None, fold=True):
    """The Network in an ONNX model of operator set 7 or later.

    source: the path of a file, its weights inside or in files beside it; the file's bytes; a file open for
    reading bytes; or a ModelProto. input: the name of the input that is explained, where there are several.
    output: the name of the value that is explained: an output, or any value inside. shape: the explained
    input's shape without the batch axis, where the file leaves axes open; for an input without a batch
    axis, its whole shape; needed also where the file fixes the first axis to more than 1, to tell which it
    is. constants: {name: array or number} for the other inputs; a number fills its shape. class_names:
    names of the outputs, or None. fold: take batch normalisation into the convolutions and dense layers
    beside it (`fold_batch_norm`), as explanations want it.

    The network takes the array that the ONNX model takes, its axes in the same order, the batch axis first,
    for batches of any size; relevance comes back in that order. Nodes keep their ONNX names; what only
    renames axes needs none.

    Raises ModelFileError (a ValueError) that names the file and all nodes that are not supported, their
    operators and what to do; FileNotFoundError; TypeError where `source` is none of these; ImportError where
    the package onnx is missing.
    """
    onnx = package()
    with parsed(source, onnx) as (model, what):
        try:
            network = _network(Reader(onnx, inlined(model, onnx)), onnx, input, output, shape,
                               named(constants), class_names)
            return fold_batch_norm(network) if fold else network
        except ValueError as error:  # names the node already
            raise ModelFileError(f"{what}: {error}") from None
        except INVALID as error:
            raise ModelFileError(f"{what}: the model is not valid: {error}") from None


def named(constants):
    """The constants by name; ModelFileError where they are none."""
    if constants is None:
        return {}
    if not isinstance(constants, Mapping):
        raise ModelFileError(f"constants must be {{name: value}}, got {quote(constants)}")
    return dict(constants)


def bound_inputs(model, *, input=None, output=None, shape=None, constants=None):
    """(name of the explained input, its whole ONNX shape, {name: array} of the others, name of the output) as
    `from_onnx` understands its arguments.
    """
    onnx = package()
    reader = Reader(onnx, inlined(model, onnx))
    (name, whole, _), output, bound = _bound_graph(reader, onnx, input, output, shape, named(constants))
    return name, whole, bound, output


def _network(reader, onnx, wanted, output, shape, constants, class_names):
    """The Network of what was read, from the input to the output that are explained."""
    source, output, bound = _bound_graph(reader, onnx, wanted, output, shape, constants)
    return network_of(reader.graph, source, output, bound, onnx, reader.opset, reader.facts, class_names)


def _bound_graph(reader, onnx, wanted, output, shape, constants):
    """((name, ONNX shape, declared batch) of the explained input, name of the output, {name: array} of the
    other inputs).
    """
    graph = reader.graph
    output = _output(graph, output)
    needed = set().union({output}, *(operation.reads for operation in alive(graph.operations, [output])))
    declared = {one.name: one for one in reader.declared}
    unknown = [name for name in constants if name not in declared]
    if unknown:
        raise ModelFileError(f"constants: there is no input {quote(unknown[0])}; the inputs are "
                             f"{listing(map(described, reader.declared))}")
    made = {name for operation in graph.operations for name in operation.outputs}
    for operation in alive(graph.operations, [output]):
        for name in sorted(operation.reads - made - {*graph.constants} - {*declared}):
            raise operation.refused(f"reads {quote(name)}, which nothing makes")
    chosen = _chosen(reader.declared, needed, constants, wanted, output)
    bound = {name: _bound(declared[name], value, onnx) for name, value in constants.items()}
    return (chosen.name, *_shape(chosen, shape, onnx)), output, bound


def _output(graph, output):
    """The name of the value that is explained."""
    if output is None:
        if len(graph.outputs) != 1:
            raise ModelFileError(f"the model has {len(graph.outputs)} outputs, "
                                 f"{listing(graph.outputs) or 'none'}: name the one to explain, output=...")
        return graph.outputs[0]
    made = {name for operation in graph.operations for name in operation.outputs if name}
    if output not in made:
        raise ModelFileError(f"output: there is no value {quote(output)}; the outputs are "
                             f"{listing(graph.outputs)}")
    return output


def _chosen(declared, needed, constants, wanted, output):
    """The input that is explained: the one named, or the only one that is read and not bound."""
    names = {one.name: one for one in declared}
    if wanted is not None and wanted not in names:
        raise ModelFileError(f"input: there is no input {quote(wanted)}; the inputs are "
                             f"{listing(map(described, declared))}")
    if wanted is not None and wanted in constants:
        raise ModelFileError(f"the input {quote(wanted)} is to be explained, and bound to a constant")
    free = [one for one in declared if one.name in needed and one.name not in constants]
    if wanted is None and len(free) == 1:
        return free[0]
    if wanted is not None and wanted not in needed:
        raise ModelFileError(f"the output {quote(output)} does not depend on the input {quote(wanted)}")
    others = [one for one in free if one.name != wanted]
    if wanted is not None and not others:
        return names[wanted]
    if not free:
        raise ModelFileError(f"the output {quote(output)} does not depend on an input of the model, or all "
                             "its inputs are bound to constants")
    if wanted is None:
        raise ModelFileError(f"the model reads {len(free)} inputs, {listing(map(described, free))}: name the "
                             "one to explain, input=..., and give the others values, constants={name: value}")
    raise ModelFileError(f"the other inputs {listing(map(described, others))} need values: "
                         "constants={name: value}")


def described(one):
    """An input with its shape, as errors show it."""
    return f"{one.name} {'(shape not declared)' if one.shape is None else list(one.shape)}"


def _shape(one, given, onnx):
    """(the whole ONNX shape of the explained input, its batch axis of extent 1; the declared batch)."""
    what, kinds, batch = f"the input {quote(one.name)}", onnx.TensorProto, 1
    if one.kind not in (kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE):
        raise ModelFileError(f"{what} must be floating point; convert whole numbers before the network, or "
                             "bind it: constants={name: value}")
    if given is not None:
        wanted = given
        given = (given,) if is_whole(given) else () if isinstance(given, str) else tuple(given)
        if not given or not all(is_whole(n) and n > 0 for n in given):
            raise ModelFileError(f"shape must be whole numbers above 0, without the batch axis, got "
                                 f"{quote(wanted)}")
    if one.shape is None:
        if given is None:
            raise ModelFileError(f"{what} is no tensor of declared shape: give it, without the batch axis, "
                                 "shape=(...)")
        shape = (1, *given)
    elif given is not None and len(given) == len(one.shape) and _fits(given, one.shape):
        shape = tuple(given)
    else:
        shape = _batched(what, one.shape, given)
        batch = one.shape[0] if is_whole(one.shape[0]) else 1
    check_shape(what, shape)
    return tuple(map(int, shape)), batch


def _batched(what, declared, given):
    """The shape with a batch axis of 1 and the open axes filled."""
    if len(declared) < 2:
        raise ModelFileError(f"{what} needs a batch axis and at least one more, it is declared as "
                             f"{list(declared)}; for one without a batch axis give its whole shape, "
                             "shape=(...)")
    if given is None:
        comma = "," * (len(declared) == 2)
        if is_whole(declared[0]) and declared[0] > 1:
            rest = ", ".join(str(n or "?") for n in declared[1:])
            raise ModelFileError(f"{what} is declared as {list(declared)}: if its first axis is no batch, "
                                 f"give its whole shape, shape=({declared[0]}, {rest}); if it is one, export "
                                 f"the model for batches of 1, or of any size, or try shape=({rest}{comma})")
        told = ", ".join(str(extent) if is_whole(extent) else "N" for extent in declared[1:])
        for axis, extent in enumerate(declared[1:], 1):
            if not is_whole(extent):
                raise ModelFileError(f"{what} leaves axis {axis} open ({quote(extent or 'unnamed')}) of "
                                     f"{list(declared)}: fix it, without the batch axis: "
                                     f"shape=({told}{comma}), or --shape {told.replace(' ', '')}, with "
                                     "numbers for N")
        return (1, *declared[1:])
    if not _fits(given, declared[1:]):
        raise ModelFileError(f"shape {given} does not fit {what}, declared as {list(declared)}: it is "
                             "without the batch axis")
    return (1, *given)


def _fits(shape, declared):
    return len(shape) == len(declared) and all(not is_whole(n) or n == m for n, m in zip(declared, shape))


def _bound(one, value, onnx):
    """The array of an input that is bound to a constant; a number fills its shape, open axes being 1."""
    what = f"the constant {quote(one.name)}"
    if one.kind not in onnx.TensorProto.DataType.values() or one.shape is None:
        raise ModelFileError(f"{what}: its type or shape is not declared")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(one.kind)
    if is_number(value) or isinstance(value, (bool, np.bool_)):
        shape = tuple(n if is_whole(n) else 1 for n in one.shape)
        if math.prod(shape):
            check_shape(what, shape or (1,))
        return np.full(shape, value, dtype)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim != len(one.shape) or not _fits(array.shape, one.shape):
        raise ModelFileError(f"{what} must fit {list(one.shape)}, got {array.dtype} of shape {array.shape}")
    return array.astype(dtype)
