"""Products, quotients, attention, norms, reductions, selections and functions of one number: values, slopes,
transposes and relevance, all held to one table of what every layer computes number by number.
"""
import dataclasses
import itertools
import math
import statistics

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import Epsilon, Gate, Half, Network, SoftmaxTaylor, Zero
from lrp_core import layers as L

RNG = np.random.default_rng(8)
KERNEL, BIAS, MATRIX = RNG.normal(size=4), RNG.normal(size=4), RNG.normal(size=(4, 3))
MASK, NAN, ONES, FOUR = np.array([[1.5, 0, -2, 1]] * 3), float("nan"), np.ones(3, int), np.ones(4)


def over(shape, axes, i):
    """The indices of `shape` that a reduction over `axes` (from 0) brings to output i."""
    free = iter(i)
    fixed = [None if axis in axes else next(free) for axis in range(len(shape))]
    return [j for j in indices(shape) if all(f is None or f == n for f, n in zip(fixed, j))]


def moments(x, i, layer):
    """(mean, σ) over what a normalisation measures number i by."""
    numbers = [x[j] for j in group(i, layer)]
    mean = 0.0 if isinstance(layer, L.RMSNorm) else statistics.fmean(numbers)
    return mean, math.sqrt(statistics.fmean((n - mean) ** 2 for n in numbers) + layer.epsilon)


# The layers' formulas that are no one-liners; group: the indices of a row, or of two channels of a map.
indices = lambda shape: list(itertools.product(*map(range, shape)))
group = lambda i, layer: ([j for j in indices((3, 2, 4)) if j[-1] // 2 == i[-1] // 2]
                          if isinstance(layer, L.GroupNorm) else [(*i[:-1], c) for c in range(4)])
normed = lambda x, i, layer: ((x[i] - moments(x, i, layer)[0]) / moments(x, i, layer)[1] * layer.kernel[i[-1]]
                              + layer.bias[i[-1]])
local = lambda x, i, size, alpha, beta, k: x[i] / (k + alpha / size * math.fsum(
    x[(*i[:-1], c)] ** 2 for c in range(4) if -((size - 1) // 2) <= c - i[-1] <= size // 2)) ** beta
log_softmax = lambda x, i: -math.log(math.fsum(math.exp(x[j] - x[i]) for j in group(i, None)))
PLACE = {"constant": lambda n, size: n, "edge": lambda n, size: min(max(n, 0), size - 1),
         "reflect": lambda n, size: size - 1 - abs(size - 1 - abs(n))}
inside = lambda x, at: x[at] if all(0 <= n < size for n, size in zip(at, x.shape)) else 1.5
NORM, RMS = L.LayerNorm(KERNEL, BIAS, 0.1), L.RMSNorm(KERNEL, 0 * BIAS)
GROUP = L.GroupNorm(KERNEL, BIAS, groups=2)
# name: (layer, shapes of its inputs, shape of its output, formula(*inputs, index)).
CASES = {
    "multiply": (L.Multiply(), [(2, 3)] * 2, (2, 3), lambda a, b, i: a[i] * b[i]),
    "divide": (L.Divide(), [(2, 3)] * 2, (2, 3), lambda a, b, i: a[i] / b[i]),
    "matmul": (L.MatMul(), [(2, 3, 4), (2, 4, 3)], (2, 3, 3), lambda a, b, i: math.fsum(
        a[i[0], i[1], k] * b[i[0], k, i[2]] for k in range(4))),
    "maximum": (L.Maximum(), [(2, 3)] * 2, (2, 3), lambda a, b, i: max(a[i], b[i])),
    "minimum": (L.Minimum(), [(2, 3)] * 2, (2, 3), lambda a, b, i: min(a[i], b[i])),
    "softmax": (L.Softmax(), [(3, 4)], (3, 4), lambda x, i: math.exp(log_softmax(x, i))),
    "log softmax": (L.LogSoftmax(), [(3, 4)], (3, 4), log_softmax),
    **{name: (layer, [shape], shape, lambda x, i, layer=layer: normed(x, i, layer))
       for name, layer, shape in (("layer norm", NORM, (3, 4)), ("rms norm", RMS, (3, 4)),
                                  ("group norm", GROUP, (3, 2, 4)))},
    **{f"local {size}": (L.LocalResponseNorm(size, *how), [(2, 4)], (2, 4),
                         lambda x, i, how=(size, *how): local(x, i, *how))
       for size, how in ((2, (0.7, 0.75, 1.0)), (3, (0.5, 0.6, 2.0)))},
    **{f"{layer.__name__.lower()} {axes}": (
        layer(axes), [(2, 3, 4)], tuple(n for a, n in enumerate((2, 3, 4)) if a not in gone) or (1,),
        lambda x, i, gone=gone, f=f: f(x[j] for j in over(x.shape, gone, i)))
       for layer, f in ((L.Sum, math.fsum), (L.Max, max), (L.Mean, statistics.fmean))
       for axes, gone in (((1,), (0,)), ((-1,), (2,)), ((-1, 1), (0, 2)), ((1, 2, 3), (0, 1, 2)))},
    "slice": (L.Slice(1, None, 2, axis=1), [(4, 3)], (2, 3), lambda x, i: x[1 + 2 * i[0], i[1]]),
    "slice down": (L.Slice(None, -4, -1), [(2, 5)], (2, 3), lambda x, i: x[i[0], 4 - i[1]]),
    "gather": (L.Gather((2, 0, 2, 3), axis=-2), [(4, 3)], (4, 3), lambda x, i: x[(2, 0, 2, 3)[i[0]], i[1]]),
    "tile": (L.Tile((2, 3)), [(2, 3)], (4, 9), lambda x, i: x[i[0] % 2, i[1] % 3]),
    **{f"pad {mode}": (L.Pad(((1, 2), (0, 0), (2, 1)), mode, 1.5), [(3, 2, 3)], (6, 2, 6), lambda x, i, to=to:
                       inside(x, (to(i[0] - 1, 3), i[1], to(i[2] - 2, 3)))) for mode, to in PLACE.items()},
    "affine": (L.Affine(MASK, BIAS), [(3, 4)], (3, 4), lambda x, i: x[i] * MASK[i] + BIAS[i[1]]),
    "affine alone": (L.Affine(np.array(2.5)), [(3, 4)], (3, 4), lambda x, i: 2.5 * x[i]),
    "projection": (L.Projection(MATRIX), [(2, 4)], (2, 3), lambda x, i: math.fsum(
        x[i[0], k] * MATRIX[k, i[1]] for k in range(4))),
    "prelu": (L.PReLU(KERNEL), [(3, 4)], (3, 4), lambda x, i: x[i] * (1.0 if x[i] > 0 else KERNEL[i[1]])),
}
MAPS = [name for name in CASES if isinstance(CASES[name][0], L.Linear)]
MOVES = [name for name in CASES if isinstance(CASES[name][0], (L.Slice, L.Gather, L.Tile, L.Pad))]
every_case = pytest.mark.parametrize("name", CASES)


def values(name, *xs):
    """The output of a case by its formula."""
    _, _, made, formula = CASES[name]
    return np.array([formula(*xs, i) for i in indices(made)]).reshape(made)


def matrix(name):
    """(W [outputs, inputs], b) of a case that is a linear map, by unit vectors."""
    _, (shape,), _, _ = CASES[name]
    b = values(name, np.zeros(shape)).ravel()
    units = np.eye(math.prod(shape)).reshape(-1, *shape)
    return np.stack([values(name, unit).ravel() - b for unit in units], axis=1), b


def apart(seed, *shape):
    """Numbers of both signs and not near zero, exact in float32."""
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)).astype(np.float32).astype(np.float64)


def around(layer, shapes):
    """The network that cuts a row of numbers into a layer's inputs, and has a Dense layer read its output."""
    size, reads = math.prod(shapes[0]), [f"x{k}" for k in range(len(shapes))]
    nodes = [node for k, shape in enumerate(shapes) for node in (
        (f"cut{k}", L.Slice(k * size, (k + 1) * size), ("input",)), (f"x{k}", L.Reshape(shape)))]
    kernel = np.random.default_rng(3).normal(size=(math.prod(layer.output_shape(*shapes)), 3))
    return Network([*nodes, ("node", layer, reads), ("flat", L.Flatten()), ("out", L.Dense(kernel))],
                   (len(shapes) * size,))


split = lambda name, x: [part.reshape(shape) for part, shape in
                         zip(np.split(x, len(CASES[name][1])), CASES[name][1])]


def close(found, wanted, tolerance=1e-11):
    """To a part of the largest number."""
    assert found.shape == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(np.abs(wanted).max(), 1e-300))


# --- values and slopes ----------------------------------------------------------------------------

@every_case
def test_forward(name):
    layer, shapes, made, _ = CASES[name]
    xs = [apart(k, 3, *shape) for k, shape in enumerate(shapes)]
    assert layer.output_shape(*shapes) == made
    close(layer.forward(*xs), np.stack([values(name, *parts) for parts in zip(*xs)]), 1e-14)


@every_case
def test_gradient_is_the_finite_difference_of_the_formula(name):
    network, h = around(*CASES[name][:2]), 1e-5
    x, weights = apart(5, *network.input_shape), network["out"].layer.kernel[:, 1]
    steps = h * np.eye(len(x))
    scores = [[math.fsum(values(name, *split(name, x + sign * step)).ravel() * weights) for step in steps]
              for sign in (1, -1)]
    wanted = (np.array(scores[0]) - scores[1]) / (2 * h)
    for method, factor in (("gradient", 1), ("input_x_gradient", x)):
        close(lrp_core.explain(network, x, method, 1).relevance, factor * wanted, 1e-8)


MIXED, ABOVE = (-3.7, -1.2, -0.3, 0.4, 1.6, 5.1), (0.1, 0.7, 2.5)
FUNCTIONS = [*((layer, formula, MIXED) for layer, formula in (
    (L.Exp(), math.exp), (L.Abs(), abs), (L.Sin(), math.sin), (L.Cos(), math.cos), (L.Erf(), math.erf),
    (L.Reciprocal(), lambda x: 1 / x), (L.Softplus(), lambda x: math.log1p(math.exp(x))),
    (L.Softsign(), lambda x: x / (1 + abs(x))), (L.HardSwish(), lambda x: x * min(max(x + 3, 0), 6) / 6),
    (L.Mish(), lambda x: x * math.tanh(math.log1p(math.exp(x)))), (L.Round(), round),
    (L.Sign(), lambda x: math.copysign(1, x)), (L.Floor(), math.floor),
    (L.HardSigmoid(), lambda x: min(max(x / 6 + 0.5, 0), 1)), (L.Clip(-1, 2), lambda x: min(max(x, -1), 2)),
    (L.HardSigmoid(0.2, 0.4), lambda x: min(max(0.2 * x + 0.4, 0), 1)), (L.Power(), lambda x: x * x),
    (L.Power(3.0), lambda x: x * x * x), (L.Power(-2), lambda x: 1 / (x * x)), (L.Clip(), lambda x: x),
    (L.Clip(None, 1), lambda x: min(x, 1)), (L.Clip(0.5), lambda x: max(x, 0.5)),
    (L.Selu(), lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))),
    (L.Selu(1.2, 0.5), lambda x: 0.5 * (x if x > 0 else 1.2 * math.expm1(x))),
    (L.PReLU(np.array(0.2)), lambda x: x if x > 0 else 0.2 * x))),
    (L.Log(), math.log, ABOVE), (L.Sqrt(), math.sqrt, ABOVE), (L.Power(0.5), math.sqrt, ABOVE)]


@pytest.mark.parametrize("layer, formula, places", FUNCTIONS, ids=lambda v: getattr(v, "type", ""))
def test_functions_of_one_number(layer, formula, places):
    x, h = np.array([places]), 1e-5
    close(layer.forward(x), [[formula(v) for v in places]], 1e-14)
    slopes = np.array([[(formula(v + h) - formula(v - h)) / (2 * h) for v in places]])
    np.testing.assert_allclose(layer.derivative(x), slopes, rtol=1e-8, atol=1e-9)
    layer, x = layer.astype(np.float32), x.astype(np.float32)
    assert layer.forward(x).dtype == layer.derivative(x).dtype == np.float32


# --- relevance against the formulas ---------------------------------------------------------------

def by_matmul(a, v, r, to_a, to_v):
    """O = A V: A_ik V_kj of each O_ij's relevance, with ε = 1e-7; a part of it to A and one to V."""
    r_a, r_v = np.zeros(a.shape), np.zeros(v.shape)
    for (n, i, j), k in itertools.product(indices(r.shape), range(4)):
        o = math.fsum(a[n, i, m] * v[n, m, j] for m in range(4))
        part = a[n, i, k] * v[n, k, j] * r[n, i, j] / (o + math.copysign(1e-7, o))
        r_a[n, i, k] += to_a * part
        r_v[n, k, j] += to_v * part
    return [r_a, r_v]


def by_map(w, b, x, r):
    """LRP-0 of y = W x + b."""
    s = r.ravel() / (w @ x.ravel() + b)
    return [x.ravel() * [math.fsum(column * s) for column in w.T]]


def by_norm(x, r, layer):
    """LRP-0 of y_i = γ_i/σ (x_i - mean x) + β_i, with σ a constant."""
    w, b, at = np.zeros((x.size, x.size)), layer.bias[np.arange(x.size) % 4], indices(x.shape)
    for (k, i), (m, j) in itertools.product(enumerate(at), enumerate(at)):
        of, centred = group(i, layer), not isinstance(layer, L.RMSNorm)
        w[k, m] = layer.kernel[i[-1]] / moments(x, i, layer)[1] * ((i == j) - centred * (j in of) / len(of))
    return by_map(w, b, x, r)


def by_max(name, x, r):
    """To the first of the largest."""
    found, gone = np.zeros(x.shape), [axis - 1 for axis in CASES[name][0].gone(x.shape)]
    for i in indices(r.shape):
        found[max(over(x.shape, gone, i), key=lambda j: x[j])] += r[i]
    return [found]


# (case, rule, relevance of the inputs by the formula, column of the ledger that has what they did not get).
PARTS = {Gate(0): (0, 1), Gate(1): (1, 0), Half(): (0.5, 0.5)}
SHARES = [
    *((name, rule, lambda a, b, r, to=to: [to[0] * r, to[1] * r], "")
      for name in ("multiply", "divide") for rule, to in PARTS.items()),
    *(("matmul", rule, lambda *xs, to=to: by_matmul(*xs, *to), "stabilizer") for rule, to in PARTS.items()),
    ("maximum", None, lambda a, b, r: [r * (a >= b), r * (a < b)], ""),
    ("minimum", None, lambda a, b, r: [r * (a <= b), r * (a > b)], ""),
    ("softmax", None, lambda x, r: [x * (r - values("softmax", x) * r.sum(1, keepdims=True))], "softmax"),
    ("log softmax", None, lambda x, r: [x * r / values("log softmax", x)], "softmax"),
    *((f"{name} norm", None, lambda x, r, layer=layer: by_norm(x, r, layer), "bias")
      for name, layer in (("layer", NORM), ("rms", RMS), ("group", GROUP))),
    *((name, None, lambda x, r: [r], "") for name in ("local 3", "local 2", "prelu")),
    *((name, None, lambda x, r, name=name: [matrix(name)[0].T @ r.ravel()], "gated") for name in MOVES),
    *((name, None, lambda x, r, name=name: by_map(*matrix(name), x, r), "bias") for name in MAPS),
    *((name, None, lambda x, r, name=name: by_max(name, x, r), "") for name in CASES if "max (" in name)]


@pytest.mark.parametrize("name, rule, formula, column", SHARES, ids=lambda v: v if isinstance(v, str) else "")
@nets.every_engine
def test_relevance_and_ledger(name, rule, formula, column, how):
    """From the relevance at the layer's output to that at its inputs, and every column of its line."""
    network, digits = around(*CASES[name][:2]), 1e-11 if how["dtype"] == "float64" else 1e-5
    x = apart(7, 3, *network.input_shape)
    x = np.round(x) if name.startswith(("max", "min")) else x      # many ties
    rules = [("*", Epsilon(0.01))] if rule is None else [("node", rule), ("*", Epsilon(0.01))]
    found = lrp_core.explain(network, x, rules, 1, layers=True, **how)
    for k in range(3):
        entry, r = found.ledger.sample(k)["node"], found.layers["node"][k].astype(np.float64)
        wanted = formula(*split(name, x[k]), r)
        for number, one in enumerate(wanted):
            error = np.abs(found.layers[f"x{number}"][k].ravel() - one.ravel()).max()
            assert error <= digits * entry.turnover
        rest = {column: r.sum() - sum(one.sum() for one in wanted)}
        for found_in in ("", "bias", "stabilizer", "gated", "softmax", "by_rule", "state"):
            error = getattr(entry, found_in, 0) - rest.get(found_in, 0)
            assert abs(error) <= digits * entry.turnover, found_in
        assert abs(entry.residual) <= 0.1 * digits * entry.turnover


@every_case
@pytest.mark.parametrize("how", [*nets.WAYS, {"rules": "gradient"}], ids=str)
def test_neither_batch_nor_threads_change_a_bit(name, how):
    network = around(*CASES[name][:2])
    x = apart(9, 19, *network.input_shape)
    whole = lrp_core.explain(network, x, target=1, threads=1, **how)
    for count, threads in ((1, 1), (2, 1), (19, 2)):
        part = lrp_core.explain(network, x[:count], target=1, threads=threads, **how)
        np.testing.assert_array_equal(part.relevance, whole.relevance[:count])
        np.testing.assert_array_equal(part.ledger.numbers, whole.ledger.numbers[..., :count])


def test_a_softmax_notices_shifts_on_the_way_back_only():
    """x + 3 has the same softmax; R_i moves by 3 (R_i - s_i Σ R), and the sum of a row stays."""
    x, one = apart(11, 12), around(*CASES["softmax"][:2])
    shift = [("shift", L.Affine(np.array(1.0), np.array(3.0))), ("node", L.Softmax())]
    other = one.replace(nodes=[*one.nodes[:2], *shift, *one.nodes[3:]])
    before, after = (lrp_core.explain(net, x, target=1, layers=True).layers for net in (one, other))
    r, move = before["node"], after["shift"] - before["x0"]
    close(move, 3 * (r - values("softmax", x.reshape(3, 4)) * r.sum(axis=1, keepdims=True)), 1e-10)
    assert np.abs(move).max() > 0.01 and np.abs(move.sum(axis=1)).max() < 1e-12


@pytest.mark.parametrize("name", [*MAPS, *MOVES])
def test_the_way_back_is_the_transpose(name):
    """Of the matrix that unit vectors show, for a batch of two."""
    layer, (shape,), made, _ = CASES[name]
    r = np.random.default_rng(1).integers(-9, 9, (2, *made)).astype(float)
    back = layer.adjoint(r, layer.kernel, shape) if name in MAPS else layer.back(r, shape)[0]
    close(back.reshape(2, -1), np.stack([matrix(name)[0].T @ one.ravel() for one in r]), 1e-14)


# --- which operand is the gate --------------------------------------------------------------------

def rule_at(nodes, name="node", **options):
    network = Network([*((n, L.Dense(np.eye(4)), ("input",)) for n in "abc"), *nodes], (3, 4))
    return lrp_core.composite("epsilon", **options).rule_for(network, network[name])


def chain(layers, first):
    """Nodes that put one layer on top of another; the last is "g"."""
    names = [first, *(f"g{k}" for k in range(len(layers) - 1)), "g"]
    return [(name, layer, (before,)) for before, name, layer in zip(names, names[1:], layers)]


SIGMOID, TURN, MIX = L.Sigmoid(), L.Slice(None, None, -1), L.Dense(np.eye(4))
BETWEEN = [TURN, L.Affine(MASK), L.BatchNorm(KERNEL, BIAS), L.Pad(((0, 0), (0, 0))), L.Dropout()]
BOTH = ["take-all", "half"]


@pytest.mark.parametrize("layers, other, gated", [
    *((layers, "b", ["take-all"]) for layers in ([SIGMOID], [L.HardSigmoid(), L.Scale(2.0)], [L.ReLU6()],
                                                 [L.Clip(0, 1)], [L.Softmax()], [SIGMOID, *BETWEEN])),
    *((layers, "b", []) for layers in ([L.ReLU()], [L.Clip(0)], [SIGMOID, MIX], [L.Power(0.5)])),
    ([SIGMOID], "bounded", []), ([SIGMOID], "g", []), ([L.Exp()], "g", []),
    *((layers, "a", BOTH) for layers in (
        [SIGMOID], [L.Scale(1.7), SIGMOID, L.Affine(MASK)], [L.Softplus(), L.Tanh()])),
    *((layers, "a", ["take-all"]) for layers in ([MIX, SIGMOID], [TURN, SIGMOID])),
    *((layers, other, BOTH) for layers in ([L.Reciprocal()], [L.Power(-0.5), TURN])
      for other in ("b", "bounded"))], ids=str)
def test_which_operand_of_a_product_is_held_fixed(layers, other, gated):
    """g, made of a, times another tensor, in either order; `gated`: the choices for which g is the gate."""
    nodes = [*chain(layers, "a"), ("bounded", SIGMOID, ("c",))]
    for number, names in enumerate((("g", other), (other, "g"))):
        product, quotient = ([*nodes, ("node", layer, names)] for layer in (L.Multiply(), L.Divide()))
        for gates in BOTH:
            assert rule_at(product, gates=gates) == (Gate(number) if gates in gated else Half())
            assert rule_at(quotient, gates=gates) == Gate(1)
        assert rule_at(product) == rule_at(product, gates="take-all")


@pytest.mark.parametrize("layers, cp", [
    ([L.Softmax()], True), ([L.Softmax(), L.Permute((2, 1))], True), ([L.Softmax(), L.Scale(2.0)], True),
    ([SIGMOID], False), ([L.Scale(0.5)], False)], ids=str)
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_attention(layers, cp, engine):
    """softmax(Q K^T) V with the softmax on either side: the rules, and that every line adds up."""
    nodes = [("keys", L.Permute((2, 1)), ("b",)), ("a.b", L.MatMul(), ("a", "keys")),
             *chain(layers, "a.b"), ("turned", L.Permute((2, 1)), ("c",))]
    for number, names in enumerate((("g", "c"), ("turned", "g"))):
        attended = [*nodes, ("node", L.MatMul(), names)]
        assert rule_at(attended, attention="cp") == rule_at(attended) == (Gate(number) if cp else Half())
        assert rule_at(attended, attention="attnlrp") == rule_at(attended, "a.b") == Half()
        first = [(n, nets.dense(np.random.default_rng(k), 4, 4), ("input",)) for k, n in enumerate("abc")]
        network = Network([*first, *attended, ("flat", L.Flatten()), ("out", nets.dense(RNG, 12, 3))], (3, 4))
        for attention in ("cp", "attnlrp"):
            rules = lrp_core.composite("epsilon", attention=attention)
            found = lrp_core.explain(network, nets.inputs(network, 2), rules, 1, engine=engine, layers=True)
            found.ledger.check(1e-12)
            assert found.layers["keys"].any() == found.layers["a"].any() == (not cp or attention == "attnlrp")
            softmax = isinstance(layers[0], L.Softmax) and attention == "attnlrp"
            assert (found.ledger.total.softmax != 0).all() == softmax


# --- files, and what is refused -------------------------------------------------------------------

NUMPY = [L.Gather(np.array([0, 2])), L.Tile(np.array([2])), L.Pad(((1, 1),), value=np.float32(1)),
         L.Mean(np.int64(1)), L.Slice(np.int64(1)), L.Power(np.float32(3)), L.LocalResponseNorm(np.int64(2))]
LAYERS = [case[:2] for case in CASES.values()] + [(row[0], [(4,)]) for row in [*FUNCTIONS, *zip(NUMPY)]]


@pytest.mark.parametrize("layer, shapes", LAYERS, ids=lambda v: getattr(v, "type", ""))
def test_a_model_file_keeps_it(layer, shapes, tmp_path):
    """Options as Python's numbers and as NumPy's; arrays of any rank."""
    around(layer := layer.astype(np.float32), shapes).save(tmp_path / "net.npz")
    again = lrp_core.load(tmp_path / "net.npz")["node"].layer
    for field in dataclasses.fields(layer):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(layer, field.name))


@pytest.mark.parametrize("type, arguments", [(type, a) for types, several in (
    ("Slice", [(0, 1, 0), (0, 1, 1, 0), (1.5,), (0, "1")]),
    ("Gather", [((-1,),), ((0,), 0)]), ("Gather Tile", [((),), ((0.5,),), ("2",), (3,)]),
    ("Pad", [(((1, 2, 3),),), (((-1, 0),),), (3,), (((1, 1),), "wavy"), (((1, 1),), "edge", NAN)]),
    ("Sum Mean Max", [((),), ((0,),), ("1",), ((1.5,),), (1.5,)]),
    ("LayerNorm RMSNorm GroupNorm", [(MATRIX, MATRIX), (FOUR, ONES), (FOUR, NAN * FOUR), (FOUR, FOUR, 0)]),
    ("GroupNorm", [(FOUR, FOUR, 1e-3, groups) for groups in (3, 0, 2.0)]), ("Tile", [((0,),)]),
    ("LocalResponseNorm", [(0,), (2.0,), (3, -1), (3, 1, NAN), (3, 1, 1, 0)]),
    ("Affine Projection PReLU", [(MATRIX * NAN,), (ONES,)]), ("Projection", [(FOUR,)]),
    ("Power HardSigmoid Selu Clip", [("2",), (NAN,), (True,)]), ("Half", [(0,), (-1,), ("1",), (NAN,)]),
    ("Gate", [(2,), (True,), (0, 0), (0, NAN)])) for type in types.split() for a in several])
def test_options_that_do_not_fit_are_refused(type, arguments):
    with pytest.raises(ValueError, match=type):
        getattr(L, type, getattr(lrp_core, type, None))(*arguments)


@pytest.mark.parametrize("layer, inputs", [
    *((layer, 1) for layer in (
        L.Slice(4, axis=1), L.Slice(axis=3), L.Gather((4,)), L.Tile((2,)), L.Pad(((1, 1),)), L.Mean((3,)),
        L.Pad(((3, 0), (0, 0)), "reflect"), L.Max((2, -1)), L.LayerNorm(MATRIX[0], MATRIX[0]), L.Multiply(),
        L.Affine(MASK[:2]), L.Affine(np.ones((1, 3, 4))), L.Projection(MATRIX.T), L.PReLU(np.ones(3)))),
    (L.MatMul(), 2), (L.Divide(), 3), (L.Maximum(), 1)], ids=lambda v: getattr(v, "type", v))
def test_shapes_that_do_not_fit_are_refused_by_name(layer, inputs):
    with pytest.raises(ValueError, match="'odd'"):
        Network([("odd", layer, ("input",) * inputs)], (3, 4))


@pytest.mark.parametrize("name, rule", [
    ("multiply", Zero()), ("matmul", Epsilon()), ("divide", lrp_core.Pass()), ("softmax", Gate()),
    ("multiply", SoftmaxTaylor()), ("layer norm", Half()), ("affine", Gate(1)), ("max (1,)", Gate())])
def test_rules_that_do_not_fit_are_refused_by_name(name, rule):
    network = around(*CASES[name][:2])
    with pytest.raises(ValueError, match=f"'node' \\({CASES[name][0].type}"):
        lrp_core.explain(network, np.ones(network.input_shape), [("node", rule), ("*", Epsilon())])
    for wrong in ("attention", "gates"):
        with pytest.raises(ValueError, match=wrong):
            lrp_core.composite("epsilon", **{wrong: "third"})
