"""ONNX files: every operator against onnxruntime, and graphs that branch and join."""
import numpy as np
import pytest

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto  # noqa: E402
from onnx_models import BN, LINE, MAP, ROW, W1, W2, batch_of, draw, ints, kinds, make, node, parity, save  # noqa: E402

import lrp_core  # noqa: E402
from lrp_core import layers as L  # noqa: E402

# name: (input shape, operator, inputs, constants, attributes, [opset])
OPERATORS = {
    "conv": (MAP, "Conv", "x w b", {"w": W2, "b": draw(6)}, {}),
    "conv without bias": (MAP, "Conv", "x w", {"w": W2}, {"kernel_shape": [3, 2]}),
    "conv, every option": (MAP, "Conv", "x w b", {"w": draw(6, 2, 3, 2), "b": draw(6)},
                           {"strides": [2, 1], "pads": [2, 0, 1, 1], "dilations": [1, 2], "group": 2}),
    "conv, same": (MAP, "Conv", "x w", {"w": W2}, {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    "conv, same with a gap": (MAP, "Conv", "x w", {"w": draw(6, 4, 1, 2)},
                              {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "conv, valid": (MAP, "Conv", "x w", {"w": W2}, {"auto_pad": "VALID"}),
    "conv, notset": (MAP, "Conv", "x w", {"w": W2}, {"auto_pad": "NOTSET", "pads": [1, 1, 1, 1]}),
    "conv, depthwise": (MAP, "Conv", "x w b", {"w": draw(4, 1, 3, 3), "b": draw(4)},
                        {"group": 4, "pads": [1, 1, 1, 1]}),
    "conv, depthwise with a multiplier": (MAP, "Conv", "x w b", {"w": draw(12, 1, 3, 3), "b": draw(12)},
                                          {"group": 4, "strides": [2, 2], "dilations": [2, 1]}),
    "conv 1-D": (LINE, "Conv", "x w b", {"w": W1, "b": draw(6)}, {}),
    "conv 1-D, every option": (LINE, "Conv", "x w b", {"w": W1, "b": draw(6)},
                               {"strides": [2], "pads": [3, 1], "dilations": [2]}),
    "conv 1-D, same": (LINE, "Conv", "x w", {"w": W1}, {"auto_pad": "SAME_UPPER", "strides": [2]}),
    "conv 1-D, groups": (LINE, "Conv", "x w b", {"w": draw(6, 2, 3), "b": draw(6)},
                         {"group": 2, "pads": [1, 2], "strides": [2]}),
    "conv 1-D, depthwise": (LINE, "Conv", "x w", {"w": draw(4, 1, 3)}, {"group": 4}),
    "conv transpose": (MAP, "ConvTranspose", "x w b", {"w": draw(4, 5, 3, 2), "b": draw(5)},
                       {"strides": [2, 2]}),
    "conv transpose, padded": (MAP, "ConvTranspose", "x w b", {"w": draw(4, 5, 4, 3), "b": draw(5)},
                               {"strides": [2, 1], "pads": [1, 0, 1, 2]}),
    "conv transpose, output padding": (MAP, "ConvTranspose", "x w b", {"w": draw(4, 5, 3, 3), "b": draw(5)},
                                       {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 0]}),
    "conv transpose, gaps": (MAP, "ConvTranspose", "x w b", {"w": draw(4, 5, 2, 1), "b": draw(5)},
                             {"strides": [3, 2]}),
    "conv transpose of a pixel": ((4, 1, 1), "ConvTranspose", "x w", {"w": draw(4, 5, 4, 3)},
                                  {"strides": [2, 1], "pads": [1, 0, 1, 0]}),
    "conv transpose 1-D": (LINE, "ConvTranspose", "x w b", {"w": draw(4, 5, 4), "b": draw(5)},
                           {"strides": [2], "pads": [1, 1]}),
    "gemm": (ROW, "Gemm", "x w b", {"w": draw(6, 5), "b": draw(5)}, {}),
    "gemm, transposed": (ROW, "Gemm", "x w b", {"w": draw(5, 6), "b": draw(5)}, {"transB": 1}),
    "gemm, scaled": (ROW, "Gemm", "x w b", {"w": draw(6, 5), "b": draw(1, 5)}, {"alpha": 0.5, "beta": 2.0}),
    "gemm, one bias for all": (ROW, "Gemm", "x w b", {"w": draw(6, 5), "b": draw(1)}, {}),
    "gemm without bias": (ROW, "Gemm", "x w", {"w": draw(6, 5)}, {}),
    "matmul": (ROW, "MatMul", "x w", {"w": draw(6, 5)}, {}),
    "matmul on the last axis of a map": (MAP, "MatMul", "x w", {"w": draw(7, 5)}, {}),
    "batch norm": (MAP, "BatchNormalization", "x scale shift mean variance", BN, {"epsilon": 1e-3}),
    "batch norm 1-D": (LINE, "BatchNormalization", "x scale shift mean variance", BN, {}),
    "batch norm of a row": ((4,), "BatchNormalization", "x scale shift mean variance", BN, {}),
    "relu": (MAP, "Relu", "x", {}, {}),
    "relu 6": (MAP, "Clip", "x low high", {"low": np.float32(0), "high": np.float32(6)}, {}),
    "relu as a clip": (MAP, "Clip", "x low", {"low": np.float32(0)}, {}),
    "leaky relu": (MAP, "LeakyRelu", "x", {}, {"alpha": 0.1}),
    "leaky relu as it comes": (MAP, "LeakyRelu", "x", {}, {}),
    "prelu": (MAP, "PRelu", "x slope", {"slope": np.full((1, 1, 1), 0.2, np.float32)}, {}),
    "elu": (MAP, "Elu", "x", {}, {"alpha": 0.7}),
    "gelu": (MAP, "Gelu", "x", {}, {}, 20),
    "gelu, tanh": (MAP, "Gelu", "x", {}, {"approximate": "tanh"}, 20),
    "sigmoid": (MAP, "Sigmoid", "x", {}, {}),
    "tanh": (MAP, "Tanh", "x", {}, {}),
    "negative": (MAP, "Neg", "x", {}, {}),
    "times a number": (MAP, "Mul", "c x", {"c": np.float32(-1.5)}, {}),
    "divided by a number": (MAP, "Div", "x c", {"c": np.full((1, 1, 1, 1), 3, np.float32)}, {}),
    "plus a number": (MAP, "Add", "x c", {"c": np.float32(0.5)}, {}),
    "minus channels": (MAP, "Sub", "x c", {"c": draw(1, 4, 1, 1)}, {}),
    "a number minus": (MAP, "Sub", "c x", {"c": np.float32(1)}, {}),
    "times channels": (MAP, "Mul", "x c", {"c": draw(4, 1, 1)}, {}),
    "divided by channels": (MAP, "Div", "x c", {"c": draw(4, 1, 1) + 2}, {}),
    "plus columns": (MAP, "Add", "c x", {"c": draw(7)}, {}),
    "plus rows": (MAP, "Add", "c x", {"c": draw(9, 1)}, {}),
    "plus itself": (MAP, "Add", "x x", {}, {}),
    "sum": (MAP, "Sum", "x x x", {}, {}),
    "max pool": (MAP, "MaxPool", "x", {}, {"kernel_shape": [3, 2]}),
    "max pool, every option": (MAP, "MaxPool", "x", {},
                               {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 1, 2]}),
    "max pool, rounded up": (MAP, "MaxPool", "x", {},
                             {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "max pool, rounded up and padded": (MAP, "MaxPool", "x", {},
                                        {"kernel_shape": [3, 3], "strides": [3, 2], "pads": [1, 1, 1, 1],
                                         "ceil_mode": 1}),
    "max pool, same": (MAP, "MaxPool", "x", {},
                       {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "max pool 1-D": (LINE, "MaxPool", "x", {}, {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
    "max pool 1-D, rounded up": (LINE, "MaxPool", "x", {},
                                 {"kernel_shape": [3], "strides": [3], "ceil_mode": 1}),
    "average pool": (MAP, "AveragePool", "x", {}, {"kernel_shape": [3, 2], "strides": [2, 2]}),
    "average pool, padded": (MAP, "AveragePool", "x", {},
                             {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 1, 2]}),
    "average pool, padding counts": (MAP, "AveragePool", "x", {},
                                     {"kernel_shape": [3, 3], "strides": [2, 1], "pads": [1, 0, 1, 2],
                                      "count_include_pad": 1}),
    "average pool, same": (MAP, "AveragePool", "x", {},
                           {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "average pool, same, padding counts": (MAP, "AveragePool", "x", {},
                                           {"kernel_shape": [3, 4], "strides": [2, 2],
                                                                         "auto_pad": "SAME_UPPER",
                                                                         "count_include_pad": 1}),
    "average pool, rounded up": (MAP, "AveragePool", "x", {},
                                 {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1,
                                  "pads": [1, 1, 1, 1]}),
    "average pool, rounded up, padding counts": (MAP, "AveragePool", "x", {}, {
        "kernel_shape": [3, 4], "strides": [2, 2], "ceil_mode": 1, "pads": [0, 1, 0, 1],
        "count_include_pad": 1}, 19),
    "average pool 1-D": (LINE, "AveragePool", "x", {}, {"kernel_shape": [4], "strides": [2], "pads": [1, 2]}),
    "average pool 1-D, padding counts": (LINE, "AveragePool", "x", {},
                                         {"kernel_shape": [4], "strides": [3], "pads": [1, 2],
                                                                        "count_include_pad": 1}),
    "global average pool": (MAP, "GlobalAveragePool", "x", {}, {}),
    "global average pool 1-D": (LINE, "GlobalAveragePool", "x", {}, {}),
    "global max pool": (MAP, "GlobalMaxPool", "x", {}, {}),
    "global max pool 1-D": (LINE, "GlobalMaxPool", "x", {}, {}),
    "mean over the map": (MAP, "ReduceMean", "x", {}, {"axes": [2, 3], "keepdims": 0}),
    "mean over the map, axes from the end": (MAP, "ReduceMean", "x", {}, {"axes": [-1, -2]}),
    "mean over the map, axes as input": (MAP, "ReduceMean", "x axes", {"axes": ints(2, 3)}, {"keepdims": 0},
                                         18),
    "mean over columns": (MAP, "ReduceMean", "x", {}, {"axes": [3], "keepdims": 0}),
    "mean over rows": (MAP, "ReduceMean", "x", {}, {"axes": [2]}),
    "mean over channels": (MAP, "ReduceMean", "x", {}, {"axes": [1], "keepdims": 0}),
    "maximum over a line": (LINE, "ReduceMax", "x", {}, {"axes": [2], "keepdims": 0}),
    "maximum over columns": (MAP, "ReduceMax", "x", {}, {"axes": [3]}),
    "flatten": (MAP, "Flatten", "x", {}, {}),
    "flatten from the end": (MAP, "Flatten", "x", {}, {"axis": -3}),
    "flatten a row of pixels": ((4, 1, 7), "Flatten", "x", {}, {}),
    "reshape": (MAP, "Reshape", "x shape", {"shape": ints(-1, 2, 9, 14)}, {}),
    "reshape, sizes kept": (MAP, "Reshape", "x shape", {"shape": ints(0, 0, -1)}, {}),
    "transpose": (MAP, "Transpose", "x", {}, {"perm": [0, 3, 1, 2]}),
    "squeeze": ((1, 9, 7), "Squeeze", "x axes", {"axes": ints(1)}, {}),
    "unsqueeze": (LINE, "Unsqueeze", "x axes", {"axes": ints(-1, 2)}, {}),
    "pad": (MAP, "Pad", "x pads", {"pads": ints(0, 0, 1, 2, 0, 0, 3, 0)}, {}),
    "pad of chosen axes": (MAP, "Pad", "x pads value axes",
                           {"pads": ints(1, 2), "value": np.float32(0), "axes": ints(-1)}, {}, 18),
    "pad 1-D": (LINE, "Pad", "x pads", {"pads": ints(0, 0, 1, 0, 0, 3)}, {"mode": "constant"}),
    "pad by nothing": (MAP, "Pad", "x pads", {"pads": ints(*[0] * 8)}, {"mode": "reflect"}),
    "resize": (MAP, "Resize", "x region scales",
               {"region": np.zeros(0, np.float32), "scales": np.array([1, 1, 2, 3], np.float32)},
               {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    "resize to sizes": (MAP, "Resize", "x region none sizes",
                        {"region": np.zeros(0, np.float32), "none": np.zeros(0, np.float32),
                                                              "sizes": ints(27, 14)},
                                                              {"mode": "nearest", "axes": [2, 3]}, 18),
    "dropout": (MAP, "Dropout", "x", {}, {}),
    "identity": (MAP, "Identity", "x", {}, {}),
    "cast": (MAP, "Cast", "x", {}, {"to": TensorProto.FLOAT}),
    "softmax": (ROW, "Softmax", "x", {}, {"axis": -1}),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_operators_agree_with_onnxruntime(case, tmp_path):
    shape, kind, inputs, constants, attributes, *opset = OPERATORS[case]
    # A scaling before and, after, a row: the operator stands in the middle of a network.
    nodes = [node("Mul", "x two", "a"), node(kind, inputs.replace("x", "a", 1) if inputs != "x x x"
                                             else "a a a", "m", **attributes)]
    nodes = nodes if inputs != "x x" else [nodes[0], node(kind, "a a", "m")]
    nodes.append(node("Identity", "m") if kind == "Softmax" else node("Flatten", "m"))
    model = make(nodes, {"two": np.float32(2), **constants}, shape, opset=opset[0] if opset else 17)
    network = parity(tmp_path, model, shape)
    assert network.metadata["source"]["producer"] == "test 1"


@pytest.mark.parametrize("opset", [13, 14, 15, 16, 17, 18, 19, 20, 21])
def test_every_operator_set_from_13(opset, tmp_path):
    axes = {"axes": ints(2, 3)} if opset >= 18 else {}
    nodes = [node("Conv", "x w b", "a", pads=[1, 1, 1, 1]),
             node("BatchNormalization", "a scale shift mean variance", "n"),
             node("Relu", "n", "r"), node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2],
                                          ceil_mode=1),
             node("Pad", "p pads", "q"), node("AveragePool", "q", "v", kernel_shape=[2, 2]),
             node("Dropout", "v", "d"),
             node("ReduceMean", "d axes" if axes else "d", "g", keepdims=0,
                  **({} if axes else {"axes": [2, 3]})),
             node("Gemm", "g k c", transB=1)]
    constants = {"w": draw(4, 3, 3, 3), "b": draw(4), **BN, "pads": ints(0, 0, 1, 0, 0, 0, 0, 1),
                 "k": draw(5, 4), "c": draw(5), **axes}
    network = parity(tmp_path, make(nodes, constants, (3, 9, 7), opset=opset), (3, 9, 7))
    assert not any(isinstance(node.layer, L.BatchNorm) for node in network.nodes)


def test_convolutional_network(tmp_path):
    nodes = [node("Conv", "x w1 b1", "c1", name="/features/0/Conv", pads=[1, 1, 1, 1]),
             node("Relu", "c1", "r1", name="/features/1/Relu"),
             node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p1", "f"),
             node("Gemm", "f w2 b2", "h", transB=1), node("Relu", "h", "r2"),
             node("Gemm", "r2 w3 b3", "z", transB=1),
             node("LogSoftmax", "z")]
    constants = {"w1": draw(5, 3, 3, 3), "b1": draw(5), "w2": draw(8, 60), "b2": draw(8), "w3": draw(3, 8),
                 "b3": draw(3)}
    path = save(tmp_path, make(nodes, constants, (3, 8, 6)))
    network = lrp_core.from_onnx(path, class_names=["cat", "dog", "owl"])
    assert network.input_shape == (3, 8, 6) and network.class_names == ("cat", "dog", "owl")
    assert kinds(network) == ["Conv2D", "ReLU", "MaxPool2D", "Flatten", "Dense", "ReLU", "Dense",
                              "LogSoftmax"]
    assert [node.name for node in network.nodes] == [
        "features/0/Conv/permute", "features/0/Conv", "features/1/Relu", "maxpool1", "flatten1/permute",
        "flatten1", "gemm1", "relu2", "gemm2", "logsoftmax1"]
    x = batch_of((3, 8, 6))
    expected = runtime.InferenceSession(path).run(None, {"x": x})[0]
    np.testing.assert_allclose(np.log(network.probabilities(x)), expected, rtol=1e-5)
    network.save(tmp_path / "network.npz")
    again = lrp_core.load(tmp_path / "network.npz")
    np.testing.assert_array_equal(again.logits(x[0]),
                                  network.logits(x[0]))
    assert again.summary() == network.summary()
