"""ONNX files made to fill the memory, to take forever, or to write on a terminal."""
import time

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx_models import circular, draw, ints, make, node, save

import lrp_core
from lrp_core.protobuf import check_fields

ESCAPE = "\x1b[2J" + "n" * 60_000


def varint(number):
    """A number as protobuf writes it."""
    out = b""
    while number > 127:
        out, number = out + bytes([number % 128 + 128]), number // 128
    return out + bytes([number])


def message(field, content):
    """A field of bytes."""
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def empty_parts(kind, count):
    """A model with `count` empty nodes, initializers or attributes: two bytes each, a hundred once they are
    read.
    """
    graph = {"nodes": lambda: message(1, b"") * count, "initializers": lambda: message(5, b"") * count,
             "attributes": lambda: message(1, message(5, b"") * count),
             "groups": lambda: b"\x0b\x0c" + message(1, b"") * count}[kind]()
    return b"\x08\x08" + message(7, graph)


@pytest.mark.parametrize("kind", ["nodes", "initializers", "attributes", "groups"])
def test_files_of_nothing_but_empty_parts_are_not_unpacked(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("lrp_core.protobuf.MAX_FIELDS", 50_000)
    read = []
    monkeypatch.setattr(onnx.ModelProto, "ParseFromString", lambda self, data: read.append(data),
                        raising=False)
    with pytest.raises(lrp_core.ModelFileError, match=r"model\.onnx: more than 50,000 entries"):
        lrp_core.from_onnx(save(tmp_path, empty_parts(kind, 50_000)))
    assert not read


def test_entries_are_counted_as_the_parser_finds_them():
    """As many as protobuf itself knows, in a model with nested messages of every kind of field."""
    model = make([node("Conv", "x w b", "a", name="conv", pads=[1, 1, 1, 1]),
                  node("Elu", "a", "r", alpha=0.5), node("Flatten", "r")],
                 {"w": draw(2, 1, 3, 3), "b": draw(2)}, (1, 4, 5))
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("graph", model.graph))
    model.graph.initializer[0].float_data.extend([1.0, 2.0])

    def entries(part):
        found = 0
        for field, value in part.ListFields():
            repeated = isinstance(value, (list, tuple)) or type(value).__name__.startswith("Repeated")
            if not field.message_type:
                packed = repeated and not isinstance(value[0], (str, bytes))
                found += 1 if packed or not repeated else len(value)
                found += len(value) - 1 if packed and not field.GetOptions().packed else 0
                continue
            for one in value if repeated else [value]:
                found += 1 + entries(one)
        return found
    data, count = model.SerializeToString(), entries(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrp_core.protobuf.MAX_FIELDS", count)
        check_fields(data, model.DESCRIPTOR)
        patch.setattr("lrp_core.protobuf.MAX_FIELDS", count - 1)
        with pytest.raises(lrp_core.ModelFileError):
            check_fields(data, model.DESCRIPTOR)


def test_what_is_damaged_is_left_to_the_parser():
    """Any bytes are counted to their end, without an error."""
    rng = np.random.default_rng(0)
    whole = make([node("Relu", "x")], {}, (4,)).SerializeToString()
    for length in range(len(whole)):
        check_fields(whole[:length], onnx.ModelProto.DESCRIPTOR)
    for _ in range(300):
        check_fields(rng.integers(0, 256, rng.integers(1, 200), np.uint8).tobytes(),
                     onnx.ModelProto.DESCRIPTOR)


def test_very_many_nodes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lrp_core.onnx.reading.MAX_NODES", 9)
    model = make([node("Relu", f"v{k}" if k else "x", f"v{k + 1}" if k < 9 else "y") for k in range(10)], {},
                 (4,))
    with pytest.raises(lrp_core.ModelFileError, match="10 nodes: too many"):
        lrp_core.from_onnx(save(tmp_path, model))


def dims(model, values):
    model.graph.initializer[0].dims[:] = values
    return model


MANY = {
    "a reshape": (lambda: make([node("Reshape", "x s")], {"s": np.full(200_000, 2**62)}, (4,)),
                  "'reshape1'.*200,000 axes"),
    "new axes": (lambda: make([node("Unsqueeze", "x s")], {"s": np.arange(1, 200_000)}, (4,)),
                 "'unsqueeze1'.*200,001 axes"),
    "an input": (lambda: make([node("Relu", "x")], {}, (2**40,) * 20_000),
                 "'x' is declared with 20,001 axes"),
    "weights": (lambda: dims(make([node("Gemm", "x w")], {"w": draw(6, 5)}, (6,)), [2**62] * 20_000),
                "'w' is declared as .*too large"),
    "an axis": (lambda: make([node("Relu", "x")], {}, (2**62,)), "'x'.*too large"),
    "positions in a window": (lambda: make([node("AveragePool", "x", kernel_shape=[1024, 1024],
                                                 auto_pad="SAME_UPPER")], {}, (1, 1024, 1024)),
                              "'averagepool1'.*windows|'averagepool1'.*positions"),
    "padding": (lambda: make([node("Conv", "x w", auto_pad="NOTSET", pads=[60_000] * 4,
                                   strides=[60_000] * 2)], {"w": draw(1, 1, 1, 1)}, (1, 8, 8)),
                "'conv1'.*padding around it"),
}


@pytest.mark.parametrize("case", MANY)
def test_absurd_shapes_are_refused_at_once(tmp_path, case):
    build, match = MANY[case]
    path = save(tmp_path, build())
    start = time.process_time()
    with pytest.raises(lrp_core.ModelFileError, match=match) as raised:
        lrp_core.from_onnx(path)
    assert time.process_time() - start < 2 and len(str(raised.value)) < 2500


def named(change):
    """A model with something renamed."""
    model = make([node("Gemm", "x w", name="gemm")], {"w": draw(6, 5)}, (6,))
    change(model)
    return model


def attribute(model):
    model.graph.node[0].attribute.append(onnx.helper.make_attribute(ESCAPE, 1))


NAMES = {
    "a node": lambda m: (
        setattr(m.graph.node[0], "name", ESCAPE),
        setattr(m.graph.node[0], "op_type", "LSTM"),
    ),
    "an operator": lambda m: setattr(m.graph.node[0], "op_type", ESCAPE),
    "an operator without a name": lambda m: (
        m.graph.node[0].ClearField("name"),
        setattr(m.graph.node[0], "op_type", ESCAPE),
    ),
    "a domain": lambda m: setattr(m.graph.node[0], "domain", ESCAPE),
    "an input": lambda m: setattr(m.graph.input[0], "name", ESCAPE),
    "an output": lambda m: setattr(m.graph.output[0], "name", ESCAPE),
    "a value": lambda m: m.graph.node[0].input.__setitem__(0, ESCAPE),
    "a weight": lambda m: (
        setattr(m.graph.initializer[0], "name", ESCAPE),
        m.graph.initializer[0].dims.__setitem__(0, 7),
    ),
    "an attribute": attribute,
    "an attribute's value": lambda m: m.graph.node[0].attribute.append(
        onnx.helper.make_attribute("alpha", ESCAPE)
    ),
    "a function": lambda m: circular(m, ESCAPE),
    "inputs": lambda m: (
        m.graph.input.extend([onnx.helper.make_tensor_value_info(f"{ESCAPE}{k}", 1, [1, 6])
                              for k in range(100)]),
        m.graph.node.insert(0, onnx.helper.make_node("Sum", [f"{ESCAPE}{k}" for k in range(100)], ["x2"])),
        m.graph.node[1].input.__setitem__(0, "x2"),
    ),
    "an open axis": lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_param", ESCAPE),
    "a constant": lambda m: m.graph.node.insert(
        0, onnx.helper.make_node("Constant", [], ["c"], **{ESCAPE: 1})
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_text_from_files_is_shortened_and_cleaned_in_messages(tmp_path, case):
    with pytest.raises(lrp_core.ModelFileError, match=r"model\.onnx: ") as raised:
        lrp_core.from_onnx(save(tmp_path, named(NAMES[case])))
    assert str(raised.value).isprintable() and len(str(raised.value)) < 2500


def test_names_of_operators_do_not_reach_the_network(tmp_path):
    """What has no name is called by its operator, of a model that can be read: constants are left, and
    shapes.
    """
    model = make([node("Relu", "x", "r", name="\x1b[2J\u202eevil"), node("Gemm", "r w")],
                 {"w": draw(6, 5), "unused": ints(1)}, (6,))
    network = lrp_core.from_onnx(save(tmp_path, model))
    assert [one.name for one in network.nodes] == ["_[2J_evil", "gemm1"] and network.summary().replace(
        "\n", ""
    ).isprintable()
