"""Our explanations inside other tools."""
import numpy as np
import pytest

import lrp_core
from lrp_core import layers as L


@pytest.fixture
def network():
    rng = np.random.default_rng(0)
    return lrp_core.Network([
        ("conv", L.Conv2D(rng.standard_normal((3, 3, 1, 4)).astype(np.float32))), ("relu", L.ReLU()),
        ("flat", L.Flatten()), ("out", L.Dense(rng.standard_normal((144, 3)).astype(np.float32)))], (8, 8, 1))


def test_the_function_gives_what_explain_gives_in_the_shape_of_its_inputs(network):
    x = np.random.default_rng(1).standard_normal((4, 8, 8, 1)).astype(np.float32)
    expected = lrp_core.explain(network, x, "epsilon", [0, 2, 1, 1]).relevance
    found = lrp_core.quantus_explain_func(network, "epsilon")(None, x, np.array([0, 2, 1, 1]),
                                                              device="cpu")
    np.testing.assert_array_equal(found, expected)
    as_maps = lrp_core.quantus_explain_func(network)(model=None, inputs=x.reshape(4, 1, 8, 8),
                                                            targets=[0, 2, 1, 1])
    np.testing.assert_array_equal(as_maps, expected.reshape(4, 1, 8, 8))


def test_quantus_itself_takes_it(network):
    """A metric that asks for explanations of disturbed inputs, with the scores as torch would give them."""
    quantus = pytest.importorskip("quantus", reason="quantus is in the bench extra")
    torch = pytest.importorskip("torch", reason="torch is in the bench extra")

    class Model(torch.nn.Module):
        def forward(self, x):
            return torch.from_numpy(network.logits(x.detach().numpy().reshape(-1, 8, 8, 1)))

    x = np.random.default_rng(1).standard_normal((4, 1, 8, 8)).astype(np.float32)
    metric = quantus.LocalLipschitzEstimate(nr_samples=3, display_progressbar=False,
                                            disable_warnings=True)
    scores = metric(model=Model(), x_batch=x, y_batch=np.array([0, 1, 2, 0]), a_batch=None,
                    channel_first=True, explain_func=lrp_core.quantus_explain_func(network, "epsilon"))
    assert len(scores) == 4 and np.isfinite(scores).all() and np.min(scores) > 0
