"""ONNX files with fields of their messages changed."""
from onnx import ModelProto, helper

from .mutate import NUMBERS, TEXTS, altered, damaged, pick

OPERATORS = ("Relu", "Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Sum", "Concat",
             "Reshape", "Transpose", "Flatten", "Squeeze",
             "Unsqueeze", "Pad", "Resize", "MaxPool", "AveragePool", "GlobalMaxPool", "ReduceMean",
             "ReduceMax", "Softmax", "Identity", "Dropout", "Cast",
             "Shape", "Gather", "Slice", "Constant", "BatchNormalization", "PRelu", "Erf", "LSTM", "If")
PLAIN = ("Relu", "Sigmoid", "Tanh", "Softmax", "Flatten", "GlobalAveragePool", "Identity", "Neg", "Transpose",
         "LogSoftmax", "Gelu", "Sqrt", "Shape")


def onnx(rng, data, others):
    """An ONNX file with one to three things changed; most of them leave it readable, or nearly so."""
    model = ModelProto()
    model.ParseFromString(data)
    for _ in range(rng.integers(1, 4)):
        try:
            if rng.random() < 0.6:
                _plausible(rng, model.graph)
            else:
                _change(rng, *pick(rng, list(_fields(model))), model)
        except (ValueError, TypeError, IndexError, OverflowError):  # what the field cannot hold, or is gone
            continue
    changed = model.SerializeToString()
    return changed if rng.random() < 0.9 else damaged(rng, changed, others)


def _plausible(rng, graph):
    """Change the graph as a person might write it: numbers of a weight, an attribute, an input, a node more
    or fewer.
    """
    what, at = rng.integers(6), int(rng.integers(len(graph.node)))
    if what < 2:
        tensor = pick(rng, graph.initializer)
        tensor.raw_data = altered(rng, tensor.raw_data, "<i8" if tensor.data_type == 7 and rng.random() < 0.3
                                  else "<f4")
    elif what == 2:
        attributes = [one for node in graph.node for one in node.attribute]
        one = pick(rng, attributes)
        one.i, one.ints[:] = one.i + pick(rng, (-1, 1)), [n + pick(rng, (-1, 0, 0, 1)) for n in one.ints]
    elif what == 3:
        made = [graph.input[0].name, *(node.output[0] for node in graph.node[:at])]
        graph.node[at].input[0] = pick(rng, made)
    elif what == 4:
        for node in graph.node[at + 1:]:
            node.input[:] = ["between" if name == graph.node[at].output[0] else name for name in node.input]
        graph.node.insert(at + 1, helper.make_node(pick(rng, PLAIN), [graph.node[at].output[0]], ["between"]))
    else:
        shape = graph.input[0].type.tensor_type.shape.dim
        pick(rng, shape[1:]).dim_value *= pick(rng, (1, 2, 3, 1000))


def _fields(message):
    for field, value in message.ListFields():
        yield message, field
        if field.message_type:
            for one in value if _is_repeated(field) else [value]:
                yield from _fields(one)


def _is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _change(rng, message, field, model):
    name, value = field.name, getattr(message, field.name)
    if _is_repeated(field):
        at, what = int(rng.integers(len(value))), rng.integers(5)
        if what == 0:
            del value[at]
        elif what == 1:
            value.extend([value[at]] * int(rng.integers(1, 5)))
        elif what == 2 and not field.message_type:
            value[:] = list(value)[::-1]
        elif field.message_type:
            value[at].CopyFrom(pick(rng, value))
        else:
            value[at] = _other(rng, value[at], model)
    elif field.message_type or rng.random() < 0.1:
        message.ClearField(name)
    elif name == "op_type":
        message.op_type = pick(rng, OPERATORS)
    else:
        setattr(message, name, _other(rng, value, model))


def _other(rng, value, model):
    """Another value of the same kind."""
    if isinstance(value, bytes):
        return bytes(damaged(rng, value, [value]))
    if isinstance(value, str):
        names = [name for one in model.graph.node for name in (*one.input, *one.output)]
        return pick(rng, (*TEXTS, *names, *names, *names))
    number = pick(rng, [n for n in NUMBERS if n is not None])
    return type(value)(number if rng.random() < 0.6 else value + pick(rng, (-1, 1)))
