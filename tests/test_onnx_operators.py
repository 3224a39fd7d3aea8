"""Operators beyond plain convolutional networks, each against onnxruntime, and operator sets of old."""
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper
from onnx_models import LINE, MAP, ROW, draw, ints, make, node, parity, save

import lrp_core


def number(value):
    return np.float32(value)


# name: (input shape, operator, inputs, constants, attributes, [opset])
OPERATORS = {
    "slice": (MAP, "Slice", "x s e a t", {"s": ints(1, -1), "e": ints(4, -99), "a": ints(1, 3),
                                          "t": ints(2, -1)}, {}),
    "slice of the last rows": (MAP, "Slice", "x s e a", {"s": ints(-3), "e": ints(2**62), "a": ints(2)}, {}),
    "gather": (MAP, "Gather", "x i", {"i": ints(2, 0, 2, -1)}, {"axis": 2}),
    "gather one": (MAP, "Gather", "x i", {"i": np.array(1)}, {"axis": 1}),
    "gather frames": (LINE, "Gather", "x i", {"i": np.arange(4)[:, None] + ints(0, 1, 2)}, {"axis": 2}),
    "expand": ((4, 1, 7), "Expand", "x s", {"s": ints(4, 9, 1)}, {}),
    "expand to more axes": (ROW, "Expand", "x s", {"s": ints(3, 1, 6)}, {}),
    "tile": (MAP, "Tile", "x r", {"r": ints(1, 2, 1, 3)}, {}),
    "pad": (MAP, "Pad", "x p", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)}, {}),
    "pad with ones": (MAP, "Pad", "x p v", {"p": ints(0, 1, 1, 2, 0, 0, 3, 0), "v": number(1)}, {}),
    "pad by reflection": (LINE, "Pad", "x p", {"p": ints(0, 0, 4, 0, 0, 6)}, {"mode": "reflect"}),
    "pad with the edge": (LINE, "Pad", "x p", {"p": ints(0, 1, 2, 0, 2, 3)}, {"mode": "edge"}),
    "pad less than nothing": (LINE, "Pad", "x p", {"p": ints(0, 0, -2, 0, 0, 3)}, {}),
    "pad some axes": (LINE, "Pad", "x p v a", {"p": ints(2, 1), "v": number(0), "a": ints(-1)}, {}, 18),
    "power": (MAP, "Pow", "x c", {"c": number(2)}, {}),
    "cube": (MAP, "Pow", "x c", {"c": number(3)}, {}),
    "power of a constant": (ROW, "Pow", "c x", {"c": number(2)}, {}),
    "exp": (ROW, "Exp", "x", {}, {}),
    "abs": (ROW, "Abs", "x", {}, {}),
    "reciprocal": (ROW, "Reciprocal", "x", {}, {}),
    "a number divided": (ROW, "Div", "c x", {"c": number(3)}, {}),
    "max with a number": (ROW, "Max", "x c", {"c": number(0.3)}, {}),
    "min with a number": (ROW, "Min", "c x", {"c": number(0.3)}, {}),
    "clip": (ROW, "Clip", "x a b", {"a": number(-0.5), "b": number(0.7)}, {}),
    "where": (MAP, "Where", "m x c", {"m": np.arange(63).reshape(9, 7) % 3 == 0, "c": number(2)}, {}),
    "where otherwise": (MAP, "Where", "m c x", {"m": np.arange(63).reshape(9, 7) % 3 == 0, "c": number(2)},
                        {}),
    "mean over an axis": (MAP, "ReduceMean", "x", {}, {"axes": [2], "keepdims": 1}),
    "mean over channels and rows": (MAP, "ReduceMean", "x", {}, {"axes": [1, -2], "keepdims": 0}),
    "mean over all but the batch": (MAP, "ReduceMean", "x", {}, {"axes": [1, 2, 3]}),
    "sum": (MAP, "ReduceSum", "x a", {"a": ints(1, 3)}, {"keepdims": 0}),
    "max over all but the batch": (MAP, "ReduceMax", "x", {}, {"axes": [1, 2, 3]}),
    "max over channels": (MAP, "ReduceMax", "x", {}, {"axes": [1], "keepdims": 0}),
    "min over columns": (MAP, "ReduceMin", "x", {}, {"axes": [3]}),
    "norm": (MAP, "ReduceL2", "x", {}, {"axes": [1], "keepdims": 0}),
    "sum of absolutes": (MAP, "ReduceL1", "x", {}, {"axes": [3]}),
    "sum of squares": (MAP, "ReduceSumSquare", "x", {}, {"axes": [2, 3]}),
    "unit length": (MAP, "LpNormalization", "x", {}, {"axis": 1}),
    "times itself": (MAP, "Mul", "x x", {}, {}),
    "by itself": (ROW, "Div", "x x", {}, {}),
    "plus a map": (MAP, "Add", "x c", {"c": draw(4, 9, 7)}, {}),
    "times a map": (MAP, "Mul", "c x", {"c": draw(1, 4, 1, 7)}, {}),
    "plus a map that enlarges": ((4, 1, 7), "Add", "x c", {"c": draw(1, 4, 9, 1)}, {}),
    "a product with itself": ((4, 5, 5), "MatMul", "x x", {}, {}),
    "a matrix from the left": (MAP, "MatMul", "w x", {"w": draw(5, 9)}, {}),
    "a vector from the right": (MAP, "MatMul", "x w", {"w": draw(7)}, {}),
    "softmax of old": (MAP, "Softmax", "x", {}, {"axis": 2}, 11),
    "layer norm": (MAP, "LayerNormalization", "x g b", {"g": draw(7), "b": draw(7)}, {}),
    "layer norm over two axes": (MAP, "LayerNormalization", "x g b", {"g": draw(9, 7), "b": draw(9, 7)},
                                 {"axis": 2, "epsilon": 1e-3}),
    "layer norm without bias": (MAP, "LayerNormalization", "x g", {"g": draw(7)}, {}),
    "rms norm": (MAP, "RMSNormalization", "x g", {"g": draw(7)}, {}, 23),
    "instance norm": (MAP, "InstanceNormalization", "x g b", {"g": draw(4), "b": draw(4, seed=1)}, {}),
    "instance norm 1-D": (LINE, "InstanceNormalization", "x g b", {"g": draw(4), "b": draw(4, seed=1)}, {}),
    "group norm": (MAP, "GroupNormalization", "x g b", {"g": draw(4), "b": draw(4)}, {"num_groups": 2}, 21),
    "lrn": (MAP, "LRN", "x", {}, {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 2.0}),
    "hard sigmoid": (MAP, "HardSigmoid", "x", {}, {"alpha": 0.3}),
    "hard swish": (MAP, "HardSwish", "x", {}, {}),
    "mish": (MAP, "Mish", "x", {}, {}, 18),
    "softplus": (MAP, "Softplus", "x", {}, {}),
    "softsign": (MAP, "Softsign", "x", {}, {}),
    "several slopes": (MAP, "PRelu", "x s", {"s": draw(4, 1, 1)}, {}),
    "selu": (MAP, "Selu", "x", {}, {}),
    "celu": (MAP, "Celu", "x", {}, {"alpha": 1.5}),
    "error function": (MAP, "Erf", "x", {}, {}),
    "sine": (MAP, "Sin", "x", {}, {}),
    "conv transpose, groups": (MAP, "ConvTranspose", "x w b", {"w": draw(4, 3, 3, 2), "b": draw(6)},
                               {"group": 2, "strides": [2, 1]}),
    "conv transpose, dilated": (MAP, "ConvTranspose", "x w", {"w": draw(4, 3, 3, 2)}, {"dilations": [2, 3]}),
    "conv transpose, stated": (MAP, "ConvTranspose", "x w", {"w": draw(4, 3, 3, 3)},
                               {"strides": [2, 2], "output_shape": [18, 14]}),
    "conv, same lower": (MAP, "Conv", "x w", {"w": draw(6, 4, 4, 2)},
                         {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
    "cumulative sum": (MAP, "CumSum", "x a", {"a": np.array(2)}, {}),
    "cumulative sum from the end": (MAP, "CumSum", "x a", {"a": np.array(-1)},
                                    {"exclusive": 1, "reverse": 1}),
    "resize, linear": (MAP, "Resize", "x r s", {"r": draw(0), "s": np.array([1, 1, 2, 1.5], np.float32)},
                       {"mode": "linear"}),
    "resize, linear, smaller": (MAP, "Resize", "x r s z", {"r": draw(0), "s": draw(0), "z": ints(1, 4, 5, 6)},
                                {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    "resize, cubic": (MAP, "Resize", "x r s", {"r": draw(0), "s": np.array([1, 1, 2, 3], np.float32)},
                      {"mode": "cubic"}),
    "resize, nearest, by a fraction": (MAP, "Resize", "x r s",
                                       {"r": draw(0), "s": np.array([1, 1, 1.5, 0.5], np.float32)},
                                       {"coordinate_transformation_mode": "asymmetric",
                                        "nearest_mode": "floor"}),
    "upsample of old": (MAP, "Upsample", "x s", {"s": np.array([1, 1, 2, 3], np.float32)}, {}, 9),
    "depth to space": ((8, 3, 5), "DepthToSpace", "x", {}, {"blocksize": 2}),
    "depth to space, by columns": ((8, 3, 5), "DepthToSpace", "x", {}, {"blocksize": 2, "mode": "CRD"}),
    "space to depth": ((2, 4, 6), "SpaceToDepth", "x", {}, {"blocksize": 2}),
    "arctangent": (ROW, "Atan", "x", {}, {}),
    "hyperbolic cosine": (ROW, "Cosh", "x", {}, {}),
    "ceiling": (MAP, "Ceil", "x", {}, {}),
    "max with a map": (MAP, "Max", "x c", {"c": draw(9, 1)}, {}),
    "threshold": (MAP, "ThresholdedRelu", "x", {}, {"alpha": 0.4}),
    "log of a sum of exponentials": (MAP, "ReduceLogSumExp", "x", {}, {"axes": [1], "keepdims": 0}),
    "lower triangle": ((2, 5, 5), "Trilu", "x k", {"k": np.array(-1)}, {"upper": 0}),
    "pad by wrapping": (LINE, "Pad", "x p", {"p": ints(0, 0, 4, 0, 0, 6)}, {"mode": "wrap"}, 19),
    "gather elements": (MAP, "GatherElements", "x i", {"i": np.arange(24).reshape(1, 4, 2, 3) % 7},
                        {"axis": 3}),
    "gather at places": (MAP, "GatherND", "x i", {"i": ints(0, 1, 2, 0, 3, 4, 0, 0, 0).reshape(3, 3)}, {}),
    "scatter a row": (MAP, "ScatterND", "x i u", {"i": ints(0, 1, 2, 0, 3, 4).reshape(2, 3),
                                                  "u": draw(2, 7)}, {}),
    "scatter elements": (MAP, "ScatterElements", "x i u", {"i": np.array([[[[3], [0]]]]),
                                                           "u": draw(1, 1, 2, 1)}, {"axis": 3}),
    "scatter into zeros": (ROW, "ScatterElements", "z i x", {"z": np.zeros((1, 9), np.float32),
                                                             "i": ints(8, 0, 2, 4, 5, 6)[None]}, {"axis": 1}),
    "reverse a sequence": ((5, 3), "ReverseSequence", "x n", {"n": ints(4)},
                           {"batch_axis": 0, "time_axis": 1}),
    "einsum with a matrix": (MAP, "Einsum", "x w", {"w": draw(9, 5)}, {"equation": "bchw,hk->bkcw"}),
    "einsum of two": ((3, 4, 5), "Einsum", "x x", {}, {"equation": "bhid,bhjd->bhij"}),
    "einsum that sums": (MAP, "Einsum", "x", {}, {"equation": "bchw->bwc"}),
    "einsum with a stack": ((3, 4, 5), "Einsum", "x w", {"w": draw(3, 5, 2)}, {"equation": "bhid,hde->bhie"}),
    "a stack of matrices": ((3, 4, 5), "MatMul", "x w", {"w": draw(3, 5, 2)}, {}),
    "a stack of matrices from the left": ((3, 4, 5), "MatMul", "w x", {"w": draw(3, 2, 4)}, {}),
    "a stack for one matrix": ((1, 4, 5), "MatMul", "x w", {"w": draw(3, 5, 2)}, {}),
    "resize by odd factors": ((2, 10, 13), "Resize", "x r s",
                              {"r": draw(0), "s": np.array([1, 1, 0.7, 1.3], np.float32)}, {}),
    "a flatten of samples": (MAP, "Flatten", "x", {}, {"axis": 3}),
    "stft": ((64, 1), "STFT", "x t w n", {"t": np.array(8), "w": np.hanning(16).astype(np.float32),
                                         "n": np.array(16)}, {}),
    "dft": ((16, 1), "DFT", "x", {}, {"axis": 1, "onesided": 1}),
    "dft of complex numbers": ((16, 2), "DFT", "x", {}, {"axis": 1, "inverse": 1}),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_operators_agree_with_onnxruntime(case, tmp_path):
    shape, kind, inputs, constants, attributes, *opset = OPERATORS[case]
    model = make([node(kind, inputs, **attributes)], constants, shape, batch=1, opset=(opset or [17])[0])
    parity(tmp_path, model, shape, rules=("epsilon",))


RECURRENT = {"LSTM": 4, "GRU": 3, "RNN": 1}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("output", [0, 1])
def test_recurrent_operators_agree_with_onnxruntime(kind, direction, output, tmp_path):
    gates, h, c = RECURRENT[kind], 5, 3
    count = 2 if direction == "bidirectional" else 1
    constants = {"w": draw(count, gates * h, c), "r": draw(count, gates * h, h),
                 "b": draw(count, 2 * gates * h), "h0": draw(count, 1, h), "c0": draw(count, 1, h, seed=3)}
    inputs = ["t", "w", "r", "b", "", "h0", *(["c0"] if kind == "LSTM" else [])]
    more = {"linear_before_reset": 1} if kind == "GRU" and direction != "reverse" else {}
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]),
             helper.make_node(kind, inputs, ["y", "y2"][:1] if not output else ["", "y"], hidden_size=h,
                              direction=direction, **more)]
    parity(tmp_path, make(nodes, constants, (7, c), batch=1), (7, c), rules=("epsilon",))


OLD = {  # operator sets where these were attributes
    "squeeze": (7, [node("Squeeze", "x", "a", axes=[2]), node("Relu", "a")], {}, (4, 1, 7)),
    "unsqueeze": (9, [node("Unsqueeze", "x", "a", axes=[1]), node("Relu", "a")], {}, ROW),
    "slice": (9, [node("Slice", "x", starts=[1], ends=[3], axes=[2])], {}, MAP),
    "pad": (10, [node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 3], value=1.5)], {}, MAP),
    "clip": (10, [node("Clip", "x", min=-0.5, max=0.5)], {}, MAP),
    "clip without bounds": (7, [node("Clip", "x", min=-3.4028234663852886e38)], {}, MAP),
    "split": (11, [helper.make_node("Split", ["x"], ["a", "b"], axis=1, split=[1, 3]), node("Relu", "b")], {},
              MAP),
    "sum": (11, [node("ReduceSum", "x", axes=[1])], {}, MAP),
    "resize": (10, [node("Resize", "x s", mode="nearest")], {"s": np.array([1, 1, 2, 2], np.float32)}, MAP),
    "dropout": (7, [node("Dropout", "x", "a", ratio=0.5), node("Relu", "a")], {}, MAP),
    "batch norm": (8, [node("BatchNormalization", "x g g g v", momentum=0.9)],
                   {"g": draw(4), "v": draw(4) ** 2 + 1}, MAP),
}


@pytest.mark.parametrize("case", OLD)
def test_older_operator_sets(case, tmp_path):
    opset, nodes, constants, shape = OLD[case]
    parity(tmp_path, make(nodes, constants, shape, batch=1, opset=opset), shape, rules=("epsilon",))


GRAPHS = {
    "a split": ([helper.make_node("Split", ["x", "s"], ["a", "b", "c"], axis=1),
                 node("Concat", "c a", axis=1)], {"s": ints(1, 2, 1)}, MAP),
    "a gate": ([node("Sigmoid", "x", "s"), node("Relu", "x", "r"), node("Mul", "r s")], {}, MAP),
    "a gate for each channel": ([node("GlobalAveragePool", "x", "g"), node("HardSigmoid", "g", "s"),
                                 node("Mul", "x s")], {}, MAP),
    "a quotient": ([node("Softplus", "x", "s"), node("Div", "x s")], {}, MAP),
    "a sum that repeats": ([node("GlobalAveragePool", "x", "g"), node("Add", "x g")], {}, MAP),
    "a difference that repeats": ([node("GlobalAveragePool", "x", "g"), node("Sub", "g x")], {}, MAP),
    "the larger of two": ([node("Neg", "x", "n"), node("Max", "x n")], {}, MAP),
    "the smaller of two": ([node("Tanh", "x", "n"), node("Min", "x n")], {}, MAP),
    "a mean of two": ([node("Tanh", "x", "n"), node("Mean", "x n")], {}, MAP),
    "a choice of two": ([node("Tanh", "x", "n"), node("Where", "m x n")], {"m": np.arange(7) % 2 == 0}, MAP),
    "a mask of minus infinity": ([node("Where", "m x c", "a"), node("Softmax", "a", "b"), node("Mul", "b b")],
                                 {"m": np.arange(7) < 5, "c": np.float32(-np.inf)}, MAP),
    "attention": ([node("MatMul", "x q", "a"), node("MatMul", "x k", "b"), node("MatMul", "x v", "c"),
                   node("Transpose", "b", "t", perm=[0, 1, 3, 2]), node("MatMul", "a t", "s"),
                   node("Softmax", "s", "p"), node("MatMul", "p c")],
                  {"q": draw(7, 5), "k": draw(7, 5, seed=1), "v": draw(7, 5, seed=2)}, MAP),
    "softmax over channels at the end": ([node("Neg", "x", "a"), node("Softmax", "a", axis=1)], {}, MAP),
    "softmax over rows inside": ([node("Softmax", "x", "a", axis=2), node("Neg", "a")], {}, MAP),
    "log-softmax over rows": ([node("LogSoftmax", "x", "a", axis=2), node("Neg", "a")], {}, MAP),
    "a token put first": ([node("Concat", "t x", "a", axis=1), node("Relu", "a")], {"t": draw(1, 1, 7)},
                          (4, 7)),
    "constants all around": ([node("Concat", "t x u x v", axis=1)],
                             {"t": draw(1, 1, 7), "u": draw(1, 2, 7), "v": draw(1, 1, 7, seed=1)}, (4, 7)),
    "several sequences at once": ([node("Reshape", "x s", "a"), node("Conv", "a w", "b"),
                                   node("MaxPool", "b", "c", kernel_shape=[2]), node("Reshape", "c e")],
                                  {"s": ints(4, 1, 63), "w": draw(3, 1, 5), "e": ints(1, -1)}, MAP),
    "swish of another slope": ([node("Mul", "x c", "a"), node("Sigmoid", "a", "s"), node("Mul", "x s")],
                               {"c": np.float32(1.702)}, MAP),
    "mish spelled out": ([node("Softplus", "x", "a"), node("Tanh", "a", "s"), node("Mul", "x s")], {}, MAP),
    "layer norm spelled out": ([node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"),
                                node("Pow", "d two", "q"), node("ReduceMean", "q", "v", axes=[-1]),
                                node("Add", "v e", "w"), node("Sqrt", "w", "r"), node("Div", "d r", "n"),
                                node("Mul", "n g", "h"), node("Add", "h b")],
                               {"two": np.float32(2), "e": np.float32(1e-3), "g": draw(7), "b": draw(7)},
                               MAP),
    "maps at once": ([node("Reshape", "x s", "a"), node("Conv", "a w", "b", pads=[1, 1, 1, 1]),
                      node("BatchNormalization", "b g g g v", "c"), node("Relu", "c", "d"),
                      node("MaxPool", "d", "e", kernel_shape=[2, 2]), node("Reshape", "e z")],
                     {"s": ints(4, 1, 9, 7), "w": draw(3, 1, 3, 3), "g": draw(3), "v": draw(3) ** 2 + 1,
                      "z": ints(1, -1)}, MAP),
    "a choice by a comparison": ([node("Greater", "x c", "m"), node("Tanh", "x", "t"),
                                  node("Where", "m t k")], {"c": np.float32(0.1), "k": np.float32(-2)}, MAP),
    "a mask by a comparison": ([node("LessOrEqual", "c x", "m"), node("Cast", "m", "f", to=1),
                                node("Mul", "x f")], {"c": draw(4, 1, 1)}, MAP),
    "not a number where nothing is": ([node("IsNaN", "x", "m"), node("Where", "m c x", "a"),
                                       node("Relu", "a")], {"c": np.float32(0)}, MAP),
    "infinity that the model replaces": ([node("Relu", "x", "r"), node("Log", "r", "l"),
                                          node("IsInf", "l", "m"), node("Where", "m c l")],
                                         {"c": np.float32(-3)}, MAP),
    "comparisons together": ([node("Greater", "x c", "m"), node("Less", "x d", "n"), node("And", "m n", "o"),
                              node("Not", "o", "p"), node("Cast", "p", "q", to=1), node("Mul", "q x")],
                             {"c": np.float32(-0.5), "d": np.float32(0.5)}, MAP),
    "numbers scattered into others": ([node("Neg", "x", "a"), node("Slice", "x s e t", "b"),
                                       node("ScatterND", "a i b")],
                                      {"s": ints(0), "e": ints(2), "t": ints(2),
                                       "i": np.stack(np.meshgrid([0], range(4), [8, 3], range(7),
                                                                 indexing="ij"), -1)}, MAP),
    "is it another number than 0": ([node("Relu", "x", "r"), node("Cast", "r", "b", to=9),
                                     node("Not", "b", "n"), node("Cast", "n", "f", to=1),
                                     node("Mul", "x f")], {}, MAP),
    "plus a product of constants": ([node("Gemm", "a b x", alpha=0.5, beta=2.0)],
                                    {"a": draw(1, 4), "b": draw(4, 6)}, ROW),
    "plus a convolved constant": ([node("Conv", "c w", "k", pads=[1, 1, 1, 1]), node("Add", "x k")],
                                  {"c": draw(1, 2, 9, 7), "w": draw(4, 2, 3, 3)}, MAP),
    "clip by a tensor": ([node("ReduceMax", "x", "m", axes=[0, 1, 2, 3], keepdims=0),
                          node("Sub", "m c", "l"), node("Clip", "x l")], {"c": np.float32(1.5)}, MAP),
    "log of a sum of exponentials of large numbers": (
        [node("Mul", "x c", "a"), node("ReduceLogSumExp", "a", axes=[3])], {"c": np.float32(500)}, MAP),
    "sequences at once": ([node("Reshape", "x s", "t"),
                           helper.make_node("LSTM", ["t", "w", "r", "", "", "h"], ["a", "b"], hidden_size=5,
                                            direction="bidirectional"),
                           node("ReduceMean", "a", "c", axes=[0, 1], keepdims=0), node("Add", "c b")],
                          {"s": ints(9, 4, 7), "w": draw(2, 20, 7), "r": draw(2, 20, 5),
                           "h": draw(2, 4, 5)}, MAP),
    "constants that only the evaluator knows": (
        [node("Shape", "x", "s"), node("ConstantOfShape", "s", "o", value=helper.make_tensor(
            "v", 1, [1], [2.0])), node("Mul", "x o", "a"), node("Range", "zero n one", "i"),
         node("Gather", "a i", axis=3)],
        {"zero": np.array(0), "n": np.array(5), "one": np.array(2)}, MAP),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_agree_with_onnxruntime(case, tmp_path):
    nodes, constants, shape = GRAPHS[case]
    parity(tmp_path, make(nodes, constants, shape, batch=1), shape, rules=("epsilon",))


def test_all_that_is_unsupported_is_named_at_once(tmp_path):
    nodes = [node("Det", "x", "a", name="/encoder/first/Det"), node("Relu", "x", "b"),
             node("NonZero", "b", "c", name="second"), node("Hardmax", "b", "d", name="third"),
             node("Add", "a d")]
    with pytest.raises(lrp_core.ModelFileError) as raised:
        lrp_core.from_onnx(save(tmp_path, make(nodes, {}, (4, 4))))
    text = str(raised.value)
    assert "2 operations are not supported" in text and "(Hardmax" in text and "'second'" not in text
    assert "'encoder/first/Det' (Det, in encoder.first)" in text


def body(nodes, inputs, outputs):
    """A loop's body; inputs: (name, type, shape)."""
    def value(name, kind=TensorProto.FLOAT, shape=None):
        return helper.make_tensor_value_info(name, kind, shape)
    return helper.make_graph(nodes, "body", [value(*one) for one in inputs], [value(*one) for one in outputs])


TURN, GO = ("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, [])


def test_a_loop_is_unrolled(tmp_path):
    """As converters write recurrence: a step read by number, a state carried along, outputs stacked."""
    inner = body([node("Gather", "steps i", "x_t", axis=0), node("MatMul", "x_t w", "a"),
                  node("MatMul", "h u", "b"), node("Add", "a b", "z"), node("Tanh", "z", "h2"),
                  node("Identity", "h2", "row"), node("Less", "i last", "more")],
                 [TURN, GO, ("h", 1, [1, 5])], [("more", TensorProto.BOOL, []), ("h2",), ("row",)])
    nodes = [node("Transpose", "x", "steps", perm=[1, 0, 2]),
             helper.make_node("Loop", ["count", "yes", "h0"], ["h_n", "rows"], body=inner),
             node("ReduceMean", "rows", "mean", axes=[0], keepdims=0), node("Add", "mean h_n")]
    constants = {"count": np.array(100), "yes": np.array(True), "h0": draw(1, 5), "w": draw(3, 5),
                 "u": draw(5, 5), "last": np.array(5)}
    network = parity(tmp_path, make(nodes, constants, (7, 3), batch=1), (7, 3), rules=("epsilon",))
    assert sum(one.layer.type == "Tanh" for one in network.nodes) == 6


def test_a_scan_is_unrolled(tmp_path):
    inner = body([node("MatMul", "x_t w", "a"), node("Add", "a h", "z"), node("Tanh", "z", "h2"),
                  node("Identity", "h2", "row")], [("h", 1, [1, 5]), ("x_t", 1, [1, 3])], [("h2",), ("row",)])
    nodes = [node("Transpose", "x", "steps", perm=[1, 0, 2]),
             helper.make_node("Scan", ["h0", "steps"], ["h_n", "rows"], body=inner, num_scan_inputs=1,
                              scan_input_directions=[1], scan_output_directions=[1]),
             node("Squeeze", "rows one")]
    constants = {"h0": draw(1, 5), "w": draw(3, 5), "one": ints(1)}
    parity(tmp_path, make(nodes, constants, (7, 3), batch=1), (7, 3), rules=("epsilon",))


@pytest.mark.parametrize("count, message", [(10**9, "more than 4096 turns"), (3000, "once its loops")])
def test_loops_without_end_are_refused(count, message, tmp_path):
    inputs, outputs = [TURN, GO, ("c", 1, [])], [("g", TensorProto.BOOL, []), ("d", 1, [])]
    deep = body([node("Add", "c one", "d"), node("Identity", "go", "g")], inputs, outputs)
    outer = body([helper.make_node("Loop", ["count", "yes", "c"], ["d"], body=deep),
                  node("Identity", "go", "g")], inputs, outputs)
    nodes = [helper.make_node("Loop", ["count", "yes", "zero"], ["s"], body=outer), node("Mul", "x s")]
    constants = {"count": np.array(count), "yes": np.array(True), "zero": np.float32(0),
                 "one": np.float32(1)}
    with pytest.raises(lrp_core.ModelFileError, match=message):
        lrp_core.from_onnx(save(tmp_path, make(nodes, constants, ROW)))


def test_a_first_axis_that_may_be_time_is_not_taken_for_a_batch(tmp_path):
    nodes = [helper.make_node("GRU", ["x", "w", "r"], ["", "h"], hidden_size=5), node("Squeeze", "h axes")]
    constants = {"w": draw(1, 15, 8), "r": draw(1, 15, 5), "axes": ints(0)}
    path = save(tmp_path, make(nodes, constants, (1, 8), batch=20))
    with pytest.raises(lrp_core.ModelFileError, match=r"no batch, give its whole shape, shape=\(20, 1, 8\)"):
        lrp_core.from_onnx(path)
    assert lrp_core.from_onnx(path, shape=(20, 1, 8)).input_shape == (20, 1, 8)
