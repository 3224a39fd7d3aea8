"""Small versions of today's audio architectures, exported by torch both ways (data/make_architectures.py)."""
import pathlib

import numpy as np
import pytest

pytest.importorskip("onnx")

import lrp_core

FOLDER = pathlib.Path(__file__).parent / "data" / "architectures"
FILES = sorted(FOLDER.glob("*.onnx"))


@pytest.fixture(params=FILES, ids=lambda path: path.name[:-5])
def made(request):
    """(network, input, torch's scores)."""
    with np.load(request.param.with_name(f"{request.param.name.split('.')[0]}.npz")) as stored:
        return lrp_core.from_onnx(request.param), stored["x"], stored["y"]


def test_scores_agree_with_torch(made):
    network, x, y = made
    assert network.input_shape == x.shape[1:]
    assert np.abs(network.logits(x) - y).max() <= 1e-6 * np.abs(y).max()


@pytest.mark.parametrize("rules", ["epsilon", "preset_a_flat", "preset_b", "epsilon_plus",
                                   "epsilon_gamma_box", lrp_core.composite("epsilon", attention="attnlrp",
                                                                             gates="half")],
                         ids=lambda rules: rules if isinstance(rules, str) else "epsilon with half gates")
def test_explanations_close_on_both_engines(made, rules):
    network, x, y = made
    target = "max" if y.ndim == 2 else "sum"
    readable, compiled = (lrp_core.explain(network, x, rules, target, engine=engine)
                          for engine in ("numpy", "numba"))
    for found in (readable, compiled):
        assert found.relevance.shape == x.shape
        total = found.ledger.total
        assert np.all(np.abs(total.residual) <= 1e-9 * total.turnover)
    scale = np.abs(readable.relevance).max()
    assert np.abs(readable.relevance - compiled.relevance).max() <= 1e-9 * scale
    single = lrp_core.explain(network, x, rules, target, engine="numba", dtype="float32")
    assert np.isfinite(single.relevance).all()


def test_a_sample_is_the_same_alone(made):
    network, x, y = made
    target = "max" if y.ndim == 2 else "sum"
    for engine in ("numpy", "numba"):
        whole = lrp_core.explain(network, x, "epsilon", target, engine=engine)
        np.testing.assert_array_equal(whole[1].relevance, lrp_core.explain(
            network, x[1], "epsilon", target, engine=engine).relevance)


def test_a_model_file_keeps_the_network(made, tmp_path):
    network, x, _ = made
    network.save(tmp_path / "net.npz")
    again = lrp_core.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(again.logits(x), network.logits(x))
    assert again.summary() == network.summary()


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:-5])
def test_relevance_is_what_others_make_of_it(path, engine):
    """LRP-0 by torch's autograd, and attention by lxt's explicit rules (data/make_relevance.py)."""
    network = lrp_core.from_onnx(path)
    with np.load(path.with_name(f"{path.name.split('.')[0]}.npz")) as stored:
        theirs = {key: stored[key] for key in ("x", "y", "zero", "attnlrp") if key in stored}
    target = "max" if theirs.pop("y").ndim == 2 else "sum"
    x = theirs.pop("x")
    for name, expected in theirs.items():
        rules = lrp_core.composite(lrp_core.Zero(), attention="attnlrp" if name == "attnlrp" else "cp")
        found = lrp_core.explain(network, x, rules, target, engine=engine).relevance
        assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
