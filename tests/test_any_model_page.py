"""docs/any-model.md does what it says: its Python and its commands, on small models of the names it uses."""
import pathlib
import re
import shlex

import numpy as np
import pytest
import soundfile
from fast_nets import fully, scaled
from report_pages import run

import lrp_core
from features import synth
from lrp_core import layers as L

pytest.importorskip("onnx")
PAGE = pathlib.Path(__file__).parents[1] / "docs" / "any-model.md"


def write_models(folder):
    """What the page's files could be: pictures, samples, a detector with a state, a map, a regression."""
    from onnx import TensorProto, helper, numpy_helper
    from onnx_models import draw, make, node

    def keep(name, model):
        (folder / name).write_bytes(model.SerializeToString())

    keep("model.onnx", make([node("Conv", "x w b", "c", strides=[4, 4]), node("Relu", "c", "r"),
                             node("GlobalAveragePool", "r", "p"), node("Flatten", "p", "f"),
                             node("Gemm", "f v d")],
                            {"w": draw(8, 1, 4, 4), "b": draw(8), "v": draw(8, 4), "d": draw(4)},
                            (1, 64, 101)))
    keep("crepe.onnx", make([node("Gemm", "x w b", "h"), node("Relu", "h", "r"), node("Gemm", "r v d")],
                            {"w": draw(1024, 16), "b": draw(16), "v": draw(16, 4), "d": draw(4)}, (1024,)))
    keep("separation.onnx", make([node("Conv", "x w b", kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
                                 {"w": draw(2, 1, 3, 3), "b": draw(2)}, (1, 25, 8)))
    keep("quality.onnx", make([node("Gemm", "x w b")], {"w": draw(6, 1), "b": np.float32([3])}, (6,)))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", "samples"]),
              helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", 4]),
              helper.make_tensor_value_info("sr", TensorProto.INT64, [])]
    graph = helper.make_graph(
        [node("Gemm", "input w b", "h"), node("Add", "h state", "a"), node("Cast", "sr", "rate", to=1),
         node("Div", "a rate", "q"), node("Relu", "q", "r"), node("Gemm", "r v", "s"),
         node("Sigmoid", "s", "output")], "detector", inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in
         {"w": draw(576, 4), "b": draw(4), "v": draw(4, 1)}.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    keep("vad.onnx", model)
    rng = np.random.default_rng(0)
    nodes = [("conv", scaled(rng, (3, 3), 1, 4, strides=(3, 3), padding="valid")), ("relu", L.ReLU()),
             ("mean", L.GlobalAveragePool2D()), ("out", fully(rng, 4, 3))]
    lrp_core.Network(nodes, (64, 101, 1), class_names=("a", "b", "c")).save(folder / "net.npz")
    dog = synth.synthesize("dog_bark", 0, sample_rate=16_000, seconds=1.0)
    soundfile.write(folder / "dog.wav", dog, 16_000)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder, names, [(command, its result)]) of the page, from top to bottom."""
    folder, patch = tmp_path_factory.mktemp("any-model"), pytest.MonkeyPatch()
    patch.chdir(folder)
    write_models(folder)
    names, commands = {}, []
    try:
        blocks = re.findall(r"```(python|sh)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        for number, (kind, code) in enumerate(blocks):
            if kind == "python":
                exec(compile(code, f"any-model.md, block {number}", "exec"), names)
            commands += [(line, run(*shlex.split(line)[1:])) for line in code.splitlines()
                         if kind == "sh" and line.startswith("audio-lrp")]
    finally:
        patch.undo()
    return folder, names, commands


def test_its_python_runs(done):
    _, names, _ = done
    assert names["network"].input_shape == (1, 64, 101) and names["detector"].input_shape == (576,)
    assert names["answer"].relevance.any() and names["e"].relevance.shape == (1, 64, 101)
    e = lrp_core.explain(names["quality"], names["x"], target=0, reference=3.0)
    assert e.ledger.start == pytest.approx(float(e.logits[0]) - 3, abs=1e-5)


def test_its_commands_run(done):
    folder, _, commands = done
    assert [line.split()[1] for line, _ in commands] == ["check", "explain", "explain", "report"]
    for line, result in commands:
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert list(folder.glob("**/dog.png")) and list(folder.glob("*.html"))
