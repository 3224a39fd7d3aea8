"""Operations on constants alone, worked out once by onnx's own evaluator: shapes that an exporter computed,
weights that it transposed. How large a result becomes is known before it is made.
"""
import math

import numpy as np

MORE, TIMES = 1 << 24, 6  # numbers that may be made, beside so many times as many as the file holds

# Whose result is at most as large as its inputs together.
PLAIN = {"Abs", "ArgMax", "ArgMin", "Atan", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip",
         "Compress", "Concat", "Cos", "CumSum", "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp",
         "Flatten", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
         "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Log",
         "LogSoftmax", "Mish", "Neg", "NonZero", "Not", "Reciprocal", "ReduceL1", "ReduceL2",
         "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
         "Relu", "Reshape", "Round", "ScatterElements", "ScatterND", "Selu", "Shape", "Sigmoid",
         "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "Split", "Sqrt",
         "Squeeze", "Tan", "Tanh", "Transpose", "Trilu", "Unsqueeze"}
BROADCAST = {"Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
             "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor"}


def _whole(array):
    """The numbers of a constant, for arithmetic that does not overflow."""
    return [int(n) for n in np.reshape(array, -1)]


def _range(attributes, start, limit, delta):
    return max(math.ceil((float(limit) - float(start)) / float(delta)), 0)


def _gather(attributes, x, indices):
    return indices.size * (x.size // max(x.shape[attributes.get("axis", 0)], 1))


def _gather_nd(attributes, x, indices):
    depth = indices.shape[-1] + attributes.get("batch_dims", 0)
    return indices.size // max(indices.shape[-1], 1) * math.prod(x.shape[depth:])


def _conv(attributes, x, kernel, *more):
    return x.size * kernel.size


def _einsum(attributes, *arrays):
    return math.prod(a.size for a in arrays)


def _matmul(attributes, a, b, *more):
    return a.size * (b.size // max(b.shape[-2] if b.ndim > 1 else b.size, 1)) + b.size


def _pad(attributes, x, pads=(), *more):
    return x.size + math.prod(n + sum(map(abs, _whole(pads))) for n in x.shape)


def _mel(attributes, bands, size, *more):
    return int(bands) * int(size)


GROWTH = {
    "ConstantOfShape": lambda attributes, shape: math.prod(_whole(shape)),
    "Expand": lambda attributes, x, shape: math.prod(np.broadcast_shapes(x.shape, tuple(_whole(shape)))),
    "Tile": lambda attributes, x, repeats: x.size * math.prod(_whole(repeats)),
    "OneHot": lambda attributes, x, depth, values: x.size * _whole(depth)[0],
    "EyeLike": lambda attributes, x: x.size,
    "HannWindow": lambda attributes, size: int(size), "HammingWindow": lambda attributes, size: int(size),
    "BlackmanWindow": lambda attributes, size: int(size), "MelWeightMatrix": _mel,
    "Range": _range, "Gather": _gather, "GatherElements": lambda attributes, x, indices: indices.size,
    "GatherND": _gather_nd, "Einsum": _einsum, "Conv": _conv, "MatMul": _matmul, "Gemm": _matmul, "Pad": _pad,
}
FOLDED = {*PLAIN, *BROADCAST, *GROWTH}


class Folder:
    """Works out operations on constants, up to a number of results that grows with the file and no further.
    """

    def __init__(self, onnx, opset, constants):
        self._onnx, self._opset = onnx, opset
        self._left = MORE + TIMES * sum(a.size for a in constants.values())

    @staticmethod
    def knows(kind):
        """Is this an operator that is worked out here?"""
        return kind in FOLDED

    def fold(self, operation, arrays):
        """A list of results for the arrays (None where an input is left out); None for an operator that is
        not worked out here.
        """
        kind = operation.kind
        if kind not in FOLDED:
            return None
        if kind == "Identity":
            return list(arrays)
        try:
            self._left -= self._growth(operation, arrays)
            if self._left >= 0:
                return self._evaluate(operation, arrays)
        except Exception as error:  # whatever the evaluator raises for operations that do not fit
            raise operation.refused(f"cannot be worked out: {type(error).__name__}: {error}") from None
        raise operation.refused("the constants that the model computes are too large")

    @staticmethod
    def _growth(operation, arrays):
        """A bound for the size of the result, known before it is made."""
        given = [a for a in arrays if a is not None]
        if operation.kind in PLAIN:
            return sum(a.size for a in given) * (given[0].ndim if operation.kind == "NonZero" else 1)
        if operation.kind in BROADCAST:
            return math.prod(np.broadcast_shapes(*(a.shape for a in given)))
        return GROWTH[operation.kind](operation.attributes, *given)

    def _evaluate(self, operation, arrays):
        helper, node = self._onnx.helper, operation.proto
        if operation.kind == "CumSum":  # the evaluator wants a number for the axis, exporters write a list
            arrays = [arrays[0], np.reshape(arrays[1], ())]
        feeds = {name: array for name, array in zip(node.input, arrays) if name}
        graph = helper.make_graph(
            [node], "constant", [helper.make_tensor_value_info(name, 1, None) for name in feeds],
            [helper.make_tensor_value_info(name, 1, None) for name in node.output if name])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            found = iter(self._onnx.reference.ReferenceEvaluator(model).run(None, feeds))
        return [np.asarray(next(found)) if name else None for name in node.output]
