"""ONNX graphs: branches, joins, layouts, and operators that exporters spell out."""
import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import BN, LINE, MAP, ROW, draw, ints, kinds, make, node, parity, save

import lrp_core

# --- graphs ---------------------------------------------------------------------------------------

def test_residual_block(tmp_path):
    nodes = [node("Conv", "x w0", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "r"),
             node("Conv", "r w1", "b", pads=[1, 1, 1, 1]),
             node("BatchNormalization", "b scale shift mean variance", "n"),
             node("Add", "n r", "s", name="sum"), node("Relu", "s", "t"),
             node("GlobalAveragePool", "t", "g"), node("Flatten", "g", "f"), node("Gemm", "f k c")]
    constants = {"w0": draw(4, 3, 3, 3), "w1": draw(4, 4, 3, 3), **BN, "k": draw(4, 3), "c": draw(3)}
    network = parity(tmp_path, make(nodes, constants, (3, 6, 5)), (3, 6, 5))
    assert kinds(network) == ["Conv2D", "ReLU", "Conv2D", "Add", "ReLU", "GlobalAveragePool2D", "Dense"]
    assert network["sum"].inputs == ("conv2", "relu1")
    unfolded = parity(tmp_path, make(nodes, constants, (3, 6, 5)), (3, 6, 5), fold=False)
    assert kinds(unfolded).count("BatchNorm") == 1


def test_a_tensor_with_three_readers(tmp_path):
    nodes = [node("Relu", "x", "r"), node("Conv", "r w", "a", pads=[1, 1, 1, 1]),
             node("Conv", "r w v", "b", pads=[1, 1, 1, 1]),
             node("Sub", "a b", "d"), node("Sum", "d r a", "s"), node("Flatten", "s")]
    network = parity(tmp_path, make(nodes, {"w": draw(3, 3, 3, 3), "v": draw(3)}, (3, 6, 5)), (3, 6, 5))
    assert kinds(network) == ["ReLU", "Conv2D", "Conv2D", "Subtract", "Add", "Flatten"]


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concat(axis, tmp_path):
    nodes = [node("Conv", "x w", "a", pads=[1, 1, 1, 1]), node("Relu", "a", "r"),
             node("Concat", "a r x", "s", axis=axis), node("Flatten", "s")]
    network = parity(tmp_path, make(nodes, {"w": draw(3, 3, 3, 3)}, (3, 6, 5)), (3, 6, 5))
    assert kinds(network) == ["Conv2D", "ReLU", "Concatenate", "Flatten"]


def test_two_pools_side_by_side(tmp_path):
    """Vectors after pools are joined as they are; nothing is reshaped."""
    nodes = [node("GlobalAveragePool", "x", "a"), node("GlobalMaxPool", "x", "b"),
             node("Concat", "a b", "s", axis=1),
             node("Conv", "s w", "c"), node("Flatten", "c")]
    network = parity(tmp_path, make(nodes, {"w": draw(5, 8, 1, 1)}, MAP), MAP)
    assert kinds(network) == ["GlobalAveragePool2D", "GlobalMaxPool2D", "Concatenate", "Reshape", "Conv2D",
                              "Flatten"]


def test_means_and_maxima_of_a_spectrogram(tmp_path):
    """As the audio networks of the PANN family end: mean over frequency, then maximum plus mean over time."""
    nodes = [node("Conv", "x w", "a"), node("Relu", "a", "r"),
             node("ReduceMean", "r", "m", axes=[3], keepdims=0),
             node("ReduceMax", "m", "u", axes=[2], keepdims=0),
             node("ReduceMean", "m", "v", axes=[2], keepdims=0),
             node("Add", "u v", "s"), node("Gemm", "s k c", "z"), node("Sigmoid", "z")]
    constants = {"w": draw(4, 1, 3, 3), "k": draw(4, 3), "c": draw(3)}
    parity(tmp_path, make(nodes, constants, (1, 12, 8)), (1, 12, 8))


def test_channels_shuffled(tmp_path):
    nodes = [node("Conv", "x w", "a", group=2), node("Reshape", "a one", "b"),
             node("Transpose", "b", "c", perm=[0, 2, 1, 3, 4]),
             node("Reshape", "c two", "d"), node("Conv", "d w", "e", group=2), node("Flatten", "e")]
    constants = {"w": draw(4, 2, 2, 2), "one": ints(-1, 2, 2, 8, 6), "two": ints(-1, 4, 8, 6)}
    parity(tmp_path, make(nodes, constants, MAP), MAP)


def test_layers_with_channels_last_inside(tmp_path):
    """Dense layers over channels between two transpositions cost no permutation."""
    nodes = [node("Conv", "x w", "a"), node("Transpose", "a", "b", perm=[0, 2, 3, 1]),
             node("MatMul", "b k", "c"), node("Add", "c v", "d"),
             node("Gelu", "d", "e"), node("Transpose", "e", "f", perm=[0, 3, 1, 2]),
             node("GlobalAveragePool", "f", "g"), node("Flatten", "g")]
    constants = {"w": draw(4, 4, 2, 2), "k": draw(4, 6), "v": draw(6)}
    network = parity(tmp_path, make(nodes, constants, MAP, opset=20), MAP)
    assert kinds(network) == ["Conv2D", "Dense", "GELU", "GlobalAveragePool2D"]
    assert network["matmul1"].layer.bias is not None


def test_an_input_with_channels_last_stays(tmp_path):
    """As TensorFlow's converter writes it."""
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "a", auto_pad="SAME_UPPER"),
             node("Flatten", "a")]
    network = parity(tmp_path, make(nodes, {"w": draw(4, 3, 3, 3)}, (8, 6, 3)), (8, 6, 3))
    assert network.input_shape == (8, 6, 3) and kinds(network) == ["Conv2D", "Flatten"]


def test_a_matrix_that_is_not_read_by_channels_stays(tmp_path):
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", transB=1)]
    assert parity(tmp_path, make(nodes, {"w": draw(3, 30)}, (6, 5)), (6, 5)).input_shape == (6, 5)
    nodes = [node("Unsqueeze", "x axes", "u"), node("Conv", "u w", "a"), node("Flatten", "a")]
    network = parity(tmp_path, make(nodes, {"w": draw(3, 1, 2, 3), "axes": ints(1)}, (6, 5)), (6, 5))
    assert kinds(network) == ["Reshape", "Conv2D", "Flatten"]


def test_a_normalised_input(tmp_path):
    """(x - mean) / deviation before the first convolution becomes part of it, as it has no padding."""
    nodes = [node("Sub", "x m", "a"), node("Div", "a d", "b"), node("Conv", "b w", "c"), node("Flatten", "c")]
    constants = {"m": draw(1, 3, 1, 1), "d": draw(1, 3, 1, 1) ** 2 + 0.5, "w": draw(4, 3, 3, 3)}
    network = parity(tmp_path, make(nodes, constants, (3, 6, 5)), (3, 6, 5))
    assert kinds(network) == ["Conv2D", "Flatten"]


def test_one_dimensional_convolutions_in_groups_stay_maps_of_one_row(tmp_path):
    nodes = [node("Conv", "x w", "a", group=2), node("BatchNormalization", "a scale shift mean variance",
                                                     "n"), node("Conv", "n w", "b", group=2),
             node("MaxPool", "b", "p", kernel_shape=[2]), node("Flatten", "p")]
    network = parity(tmp_path, make(nodes, {"w": draw(4, 2, 3), **BN}, LINE), LINE)
    assert kinds(network) == ["Reshape", "Conv2D", "Conv2D", "Reshape", "MaxPool1D", "Flatten"]


@pytest.mark.parametrize("factors", ["Mul x s", "Mul s x"])
def test_silu_is_one_layer(factors, tmp_path):
    kind, *inputs = factors.split()
    network = parity(tmp_path, make([node("Sigmoid", "x", "s"), node(kind, " ".join(inputs), "m"),
                                     node("Flatten", "m")], {}, MAP), MAP)
    assert kinds(network) == ["SiLU", "Flatten"]


ROOT = {"root": np.float32(2 ** 0.5), "inverse": np.float32(0.5 ** 0.5), "one": np.float32(1),
        "half": np.float32(0.5), "two": np.float32(2)}
GELU = {
    "torch": [("Div", "x root", "a"), ("Erf", "a", "b"), ("Add", "b one", "c"), ("Mul", "x c", "d"),
              ("Mul", "d half", "m")],
    "half first": [("Mul", "x inverse", "a"), ("Mul", "half x", "h"), ("Erf", "a", "b"),
                   ("Add", "one b", "c"), ("Mul", "h c", "m")],
    "half in between": [("Mul", "inverse x", "a"), ("Erf", "a", "b"), ("Add", "b one", "c"),
                        ("Div", "c two", "d"), ("Mul", "d x", "m")],
}


@pytest.mark.parametrize("spelling", GELU)
def test_gelu_is_one_layer(spelling, tmp_path):
    nodes = [node(*parts) for parts in GELU[spelling]]
    network = parity(tmp_path, make([*nodes, node("Flatten", "m")], ROOT, MAP), MAP)
    assert kinds(network) == ["GELU", "Flatten"]


def test_a_product_that_is_read_twice_is_not_joined(tmp_path):
    """MatMul's result is read before the bias, too: they stay two layers."""
    nodes = [node("MatMul", "x w", "a"), node("Identity", "a", "i"), node("Add", "i b", "c"),
             node("Add", "a c")]
    network = parity(tmp_path, make(nodes, {"w": draw(6, 5), "b": draw(5)}, ROW), ROW)
    assert kinds(network) == ["Dense", "BatchNorm", "Add"]


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_shapes_that_the_file_computes(batch, tmp_path):
    """x.view(x.size(0), -1), as torch writes it."""
    nodes = [node("Conv", "x w", "a"), node("Shape", "a", "s"), node("Gather", "s zero", "b", axis=0),
             node("Unsqueeze", "b axes", "c"),
             helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
             node("Concat", "c rest", "d", axis=0), node("Reshape", "a d")]
    model = make(nodes, {"w": draw(4, 4, 2, 2), "zero": np.array(0, np.int64), "axes": ints(0)}, MAP,
                 batch=batch)
    network = parity(tmp_path, model, MAP, count=batch if isinstance(batch, int) else 3,
                     given=MAP if batch == 4 else None)
    assert kinds(network) == ["Conv2D", "Flatten"]


@pytest.mark.parametrize("bias, joined", [((5,), True), ((1, 5), True), ((5, 1), False), ((4, 1, 1), False),
                                          ((1,), True)], ids=str)
@pytest.mark.parametrize("factors", ["a b", "b a"])
def test_what_is_added_to_a_product(bias, joined, factors, tmp_path):
    """Along the product's 5 columns, [5] or [1, 5], it is the bias; along its 5 rows, [5, 1], or its
    channels, it is not.
    """
    nodes = [node("MatMul", "x w", "a"), node("Add", factors, "s"), node("Flatten", "s")]
    network = parity(tmp_path, make(nodes, {"w": draw(7, 5), "b": draw(*bias)}, (4, 5, 7)), (4, 5, 7))
    assert (network["matmul1"].layer.bias is not None) == joined


def test_weights_that_the_file_computes(tmp_path):
    nodes = [node("Transpose", "w", "v", perm=[1, 0]), node("Mul", "v two", "u"), node("MatMul", "x u", "a"),
             node("Add", "a b")]
    network = parity(tmp_path, make(nodes, {"w": draw(5, 6), "two": np.float32(2), "b": draw(5)}, ROW), ROW)
    assert kinds(network) == ["Dense"]


def test_other_precisions_and_old_files_whose_weights_are_inputs(tmp_path):
    model = make([node("Flatten", "x", "f"), node("Gemm", "f w")], {"w": draw(30, 4).astype(np.float16)},
                 (6, 5, 1), kind=TensorProto.FLOAT16)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT16, [30, 4]))
    network = lrp_core.from_onnx(save(tmp_path, model))
    assert network["gemm1"].layer.kernel.dtype == np.float32


def test_what_nobody_reads_is_left_out(tmp_path):
    nodes = [node("LSTM", "x x x", "unread"), node("Relu", "x", "a"), node("Flatten", "a")]
    assert kinds(lrp_core.from_onnx(save(tmp_path, make(nodes, {}, MAP)))) == ["ReLU", "Flatten"]


def test_names_are_unique_and_readable(tmp_path):
    names = ["", "a", "a", "input", "/b/", "\x00c\n", "y/permute", "relu1", "n" * 5000]
    nodes = [node("Relu", f"v{k}" if k else "x", f"v{k + 1}", name=name) for k, name in enumerate(names)]
    network = lrp_core.from_onnx(save(tmp_path,
                                      make([*nodes, node("Flatten", f"v{len(names)}", name="y")], {}, MAP)))
    assert [node.name for node in network.nodes] == ["relu1", "a", "a_2", "input_2", "b", "_c_", "y/permute",
                                                     "relu1_2", "n" * 200, "y"]
