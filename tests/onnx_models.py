"""Small ONNX models for the tests, and what onnxruntime makes of them."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

import lrp_core
from lrp_core import layers as L
from lrp_core.canonize import final_activation


def draw(*shape, seed=0):
    """Mixed-sign weights that keep the size of what they are multiplied with."""
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 4
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def node(kind, inputs, output="y", **attributes):
    """An ONNX node; inputs as words."""
    return helper.make_node(kind, inputs.split(), [output], name=attributes.pop("name", ""), **attributes)


def make(nodes, constants, shape, *, output="y", batch="n", opset=17, inputs=("x",), kind=TensorProto.FLOAT):
    """An ONNX model whose input is [batch, *shape]."""
    graph = helper.make_graph(
        nodes, "graph", [helper.make_tensor_value_info(name, kind, None if shape is None
                                                       else [batch, *shape]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="test",
                              producer_version="1")
    model.ir_version = 8
    return model


def save(tmp_path, model):
    path = tmp_path / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def batch_of(shape, count=3):
    return np.random.default_rng(5).standard_normal((count, *shape)).astype(np.float32)


def parity(tmp_path, model, shape, *, count=3, tolerance=1e-5, rules=("epsilon", "epsilon_plus"),
           given=None, **options):
    """The network of a model, which takes the model's own input, agrees with onnxruntime and explains itself
    with a ledger that closes. given: from_onnx's shape.
    """
    import onnxruntime as runtime  # the fuzzer makes models without it
    path = save(tmp_path, model)
    x = batch_of(shape, count)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    parts = [x] if source.shape[0] != 1 else [one[None] for one in x]
    expected = np.concatenate([session.run(None, {source.name: part})[0].reshape(len(part), -1)
                               for part in parts])
    network = lrp_core.from_onnx(path, shape=given, **options)
    assert network.input_shape == tuple(shape)
    found = network.forward(x).outputs[network.nodes[-1].name].reshape(count, -1)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
    if final_activation(network)[0] is None:  # else the scores are what comes before it
        np.testing.assert_allclose(network.logits(x).reshape(count, -1), expected, rtol=0,
                                   atol=tolerance * np.abs(expected).max())
    for one in rules:
        found = lrp_core.explain(network, x, one)
        assert found.relevance.shape == x.shape and np.isfinite(found.relevance).all()
        assert {entry.name for entry in found.ledger} <= {*(node.name for node in network.nodes), "scores"}
    return network


def circular(model, name):
    """A function that calls itself."""
    function = model.functions.add(name=name, domain="own", input=["a"], output=["b"])
    function.node.append(helper.make_node(name, ["a"], ["b"], domain="own"))
    model.graph.node.append(helper.make_node(name, ["y"], ["z"], domain="own"))


def kinds(network):
    """The types of the layers, without those that only change the order of axes."""
    return [node.layer.type for node in network.nodes if not isinstance(node.layer, L.Permute)]


MAP, LINE, ROW = (4, 9, 7), (4, 11), (6,)
W2, W1 = draw(6, 4, 3, 2), draw(6, 4, 3)
BN = {"scale": draw(4, seed=1), "shift": draw(4, seed=2), "mean": draw(4, seed=3),
      "variance": draw(4, seed=4) ** 2 + 0.1}
