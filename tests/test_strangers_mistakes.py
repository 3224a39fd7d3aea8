"""What is wrong in layers, functions, rules and lists of rules from outside is refused, and named."""
import dataclasses

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import Network
from lrp_core import layers as L


class Square(L.ReLU):
    """A subclass that changes `forward` alone."""

    def forward(self, x):
        return x * x


class Slope(Square):
    """And one that says how it depends on its input."""

    def derivative(self, x):
        return 2 * x


class Writes(L.Activation):
    def forward(self, x):
        x *= 2
        return x


class WrongShape(L.Activation):
    def forward(self, x):
        return x[:, :2]


def before_dense(layer):
    rng = np.random.default_rng(5)
    return Network([("first", nets.dense(rng, 4, 4)), ("mine", layer), ("out", nets.dense(rng, 4, 3))], (4,))


@nets.every_engine
def test_a_gradient_that_does_not_belong_to_the_forward_pass_is_refused(how):
    network = before_dense(Square())
    x = nets.inputs(network, 2)
    with pytest.raises(ValueError, match=r"'mine' \(Square\).*gradient that of Activation.*derivative"):
        lrp_core.explain(network, x, "gradient", **how)
    network, step = before_dense(Slope()), 1e-3
    scores = network.scoring.forward
    found = lrp_core.explain(network, x, "gradient", 1, **how).relevance
    for place in range(4):
        moved = np.eye(4)[place] * step
        up, down = (scores(x.astype(np.float64) + sign * moved).outputs["out"][:, 1] for sign in (1, -1))
        np.testing.assert_allclose(found[:, place], (up - down) / (2 * step), rtol=1e-4)


@nets.every_engine
@pytest.mark.parametrize(("layer", "words"), [
    (Writes(), "'mine' \\(Writes\\): forward.*read-only"),
    (WrongShape(), "'mine'.*promises \\(4,\\).*returned \\(2,\\)"),
    (L.Activation(), "'mine'.*defines no forward")])
def test_a_wrong_forward_pass_names_the_layer(layer, words, how):
    network = before_dense(layer)
    with pytest.raises(ValueError, match=words):
        lrp_core.explain(network, nets.inputs(network, 2), **how)


@nets.every_engine
@pytest.mark.parametrize(("function", "words"), [
    (lambda layer, rule, xs, y, r, book: None, "return a list of arrays.*got NoneType"),
    (lambda layer, rule, xs, y, r, book: r.__imul__(2), "read-only"),
    (lambda layer, rule, xs, y, r, book: [book.bias.__iadd__(np.zeros((2, 5)))], "broadcast")])
def test_a_wrong_function_names_the_layer(function, words, how):
    class Mine(L.Activation):
        def forward(self, x):
            return 2 * x
    lrp_core.flow.register(Mine)(function)
    network = before_dense(Mine())
    with pytest.raises(ValueError, match=f"layer 'mine' \\(Mine\\).*{words}"):
        lrp_core.explain(network, nets.inputs(network, 2), **how)


@nets.every_engine
@pytest.mark.parametrize("shape", [(2,), (2, 1, 1), (3, 1)])
def test_a_stabilizer_of_a_wrong_shape_is_refused(shape, how):
    @dataclasses.dataclass(frozen=True, repr=False, eq=False)
    class Odd(lrp_core.Epsilon):
        def stabilizer(self, z):
            return np.full(shape, 0.1)
    network = before_dense(L.ReLU())
    with pytest.raises(ValueError, match=r"layer.*Odd.*stabilizer\(z\) must return a number, or.*\(n, 1\)"):
        lrp_core.explain(network, nets.inputs(network, 2), Odd(), **how)


@pytest.mark.parametrize("pattern", ["po*", "re*"])
def test_a_pattern_that_chooses_no_layer_is_refused(pattern):
    """It matches only layers that patterns do not choose among; their exact names do."""
    rng = np.random.default_rng(0)
    network = Network([("conv", nets.conv(rng, (3, 3), 1, 4)), ("relu", L.ReLU()),
                       ("pool", L.AveragePool2D(2)), ("flatten", L.Flatten()),
                       ("out", nets.dense(rng, 16, 3))], (4, 4, 1))
    x = np.ones((4, 4, 1), np.float32)
    with pytest.raises(ValueError, match="exact name"):
        lrp_core.explain(network, x, [(pattern, lrp_core.Epsilon(1)), ("*", lrp_core.Epsilon(1))])
    e = lrp_core.explain(network, x, [("pool", lrp_core.Epsilon(1)), ("*", lrp_core.Epsilon(2))])
    assert e.ledger["pool"].rule == "Epsilon(epsilon=1)"
