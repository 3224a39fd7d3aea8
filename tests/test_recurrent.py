"""LSTM, GRU and the plain recurrent layer against their equations, written out in loops over single numbers.

The oracle shares relevance as Arras et al. 2017 and 2019 do: at every step the relevance of h comes from
above and from the next step, sums are shared out by LRP-ε, and gates take nothing.
"""
import dataclasses
import math

import nets
import numpy as np
import pytest

import lrp_core
from lrp_core import Epsilon, Network, Zero
from lrp_core import layers as L

# Every kind of layer: its class, its gates, options of its own.
KINDS = {"rnn": (L.RNN, 1, {}), "lstm": (L.LSTM, 4, {}), "gru": (L.GRU, 3, {"reset_after": True}),
         "gru, reset before": (L.GRU, 3, {"reset_after": False})}
SIZES = [(5, 3, 4), (1, 1, 1), (4, 1, 3), (2, 3, 1)]

every_kind = pytest.mark.parametrize("kind", KINDS)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
both_engines = pytest.mark.parametrize("engine", ["numpy", "numba"])


def make(kind, sizes=SIZES[0], *, seed=0, bias=True, optional=True, reverse=False, scale=0.8):
    """A recurrent layer with random weights; `optional`: with first states, and a GRU's second bias."""
    rng, (_, c, h), (layer, gates, options) = np.random.default_rng(seed), sizes, KINDS[kind]
    numbers = {"kernel": rng.normal(size=(c, gates * h)), "recurrent": rng.normal(size=(h, gates * h)),
               "bias": rng.normal(size=gates * h) * bias, "state": rng.normal(size=h),
               "cell": rng.normal(size=h), "recurrent_bias": rng.normal(size=gates * h) * bias}
    numbers = {name: scale * numbers[name] for name in layer.arrays[:None if optional else 3]}
    return layer(**numbers, **options, reverse=reverse)


def read(layer, sizes=SIZES[0], *, seed=1, bias=True):
    """The network that reads every step of the layer's output with one Dense layer."""
    t, c, h = sizes
    rng = np.random.default_rng(seed)
    dense = L.Dense(rng.normal(size=(t * h, 3)), rng.normal(size=3) * bias)
    return Network([("rnn", layer), ("flat", L.Flatten()), ("out", dense)], (t, c))


# --- the oracle: one sample, one number at a time -------------------------------------------------

def order(layer, x):
    """The numbers of the steps in the order of time."""
    return list(range(len(x)))[::-1] if layer.reverse else list(range(len(x)))


def first_states(layer):
    """(h_0, c_0), zeros where the layer has none."""
    h, c = getattr(layer, "state", None), getattr(layer, "cell", None)
    return [[0.0] * layer.units if s is None else [float(v) for v in s] for s in (h, c)]


def products(numbers, matrix, column):
    """[x_k W_k,column] for every k."""
    return [float(numbers[k]) * float(matrix[k, column]) for k in range(len(numbers))]


def gate_of(layer, number, x, h):
    """A gate's values: σ(W x + U h' + b), in a GRU with b' too."""
    more, found = getattr(layer, "recurrent_bias", None), []
    for column in range(number * layer.units, (number + 1) * layer.units):
        biases = [float(b[column]) for b in (layer.bias, more) if b is not None]
        z = math.fsum([*products(x, layer.kernel, column), *products(h, layer.recurrent, column), *biases])
        found.append(1 / (1 + math.exp(-z)))
    return found


def signal(layer, x, h, r, j):
    """(what every x_k and then every h'_k puts into z_j, what the biases put there): z = W x + U h' + b of h
    (RNN), g (LSTM) or n (GRU; r its reset gate)."""
    column = j + (0 if isinstance(layer, L.RNN) else 2 * layer.units)
    parts, bias = products(x, layer.kernel, column), float(layer.bias[column])
    if not isinstance(layer, L.GRU):
        return parts + products(h, layer.recurrent, column), bias
    more = 0.0 if layer.recurrent_bias is None else float(layer.recurrent_bias[column])
    if layer.reset_after:
        return parts + [r[j] * p for p in products(h, layer.recurrent, column)], bias + r[j] * more
    return parts + products([a * b for a, b in zip(r, h)], layer.recurrent, column), bias + more


def run(layer, x):
    """{t: the numbers of step t by name}, each a list of h: the equations of the docstrings."""
    (h, c), steps, units = first_states(layer), {}, range(layer.units)
    for t in order(layer, x):
        at = steps[t] = {"h'": h, "c'": c, "r": gate_of(layer, 1, x[t], h) if layer.gates == 3 else None}
        at["z"] = [math.fsum([*parts, bias]) for parts, bias in (signal(layer, x[t], h, at["r"], j)
                                                                 for j in units)]
        n = at["n"] = [math.tanh(z) for z in at["z"]]
        if isinstance(layer, L.LSTM):
            i, f, o = at["i"], at["f"], at["o"] = [gate_of(layer, number, x[t], h) for number in (0, 1, 3)]
            at["c"] = c = [f[j] * c[j] + i[j] * n[j] for j in units]
            h = [o[j] * math.tanh(c[j]) for j in units]
        elif isinstance(layer, L.GRU):
            u = at["u"] = gate_of(layer, 0, x[t], h)
            h = [(1 - u[j]) * n[j] + u[j] * h[j] for j in units]
        else:
            h = n
        at["h"] = h
    return steps


def score(network, x, target=1):
    """The network's score of one sample."""
    steps, dense = run(network["rnn"].layer, x), network["out"].layer
    h = [number for _, at in sorted(steps.items()) for number in at["h"]]
    return math.fsum([*products(h, dense.kernel, target), float(dense.bias[target])])


def share(parts, bias, r, epsilon, book):
    """[what each part gets] of r by LRP-ε: p / (z + ε·sign z) · r with z = Σ p + b and sign(0) = +1."""
    z = math.fsum([*parts, bias])
    moved = epsilon if z >= 0 else -epsilon
    book["bias"] += r * bias / (z + moved)
    book["stabilizer"] += r * moved / (z + moved)
    return [r * part / (z + moved) for part in parts]


def step_back(layer, at, x, r_h, r_c, *book):
    """(R_x, R_h', R_c') of one step from the relevance of its h and c."""
    r_in, r_before, r_cell = [0.0] * (len(x) + layer.units), [0.0] * layer.units, [0.0] * layer.units
    for j in range(layer.units):
        r = r_h[j]
        if isinstance(layer, L.LSTM):
            r_cell[j], r = share([at["f"][j] * at["c'"][j], at["i"][j] * at["n"][j]], 0.0, r + r_c[j], *book)
        if isinstance(layer, L.GRU):
            r_before[j], r = share([at["u"][j] * at["h'"][j], (1 - at["u"][j]) * at["n"][j]], 0.0, r, *book)
        r_in = [a + b for a, b in zip(r_in, share(*signal(layer, x, at["h'"], at["r"], j), r, *book))]
    return r_in[:len(x)], [a + b for a, b in zip(r_before, r_in[len(x):])], r_cell


def relevance(network, x, epsilon=1e-6, target=1):
    """(R of x [t, c], the recurrent layer's line of the ledger) of one sample."""
    layer, dense = network["rnn"].layer, network["out"].layer
    steps, size = run(layer, x), layer.units
    parts = products([v for t in range(len(x)) for v in steps[t]["h"]], dense.kernel, target)
    bias = float(dense.bias[target])
    above = share(parts, bias, math.fsum([*parts, bias]), 1e-7, {"bias": 0.0, "stabilizer": 0.0})
    book = {"received": math.fsum(above), "bias": 0.0, "stabilizer": 0.0, "gated": 0.0}
    r_in, r_h, r_c = np.zeros(x.shape), [0.0] * size, [0.0] * size
    for t in order(layer, x)[::-1]:
        r_h = [above[t * size + j] + r_h[j] for j in range(size)]
        r_in[t], r_h, r_c = step_back(layer, steps[t], x[t], r_h, r_c, epsilon, book)
    return r_in, {**book, "state": math.fsum([*r_h, *r_c]), "passed": math.fsum(r_in.ravel())}


def close(found, wanted, tolerance=1e-11):
    """To a part of the largest number."""
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(np.abs(wanted).max(), 1e-300))


# --- forward and back against the loops -----------------------------------------------------------

@every_kind
@both_ways
@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_forward(kind, sizes, optional, reverse):
    layer = make(kind, sizes, optional=optional, reverse=reverse)
    x = np.random.default_rng(2).normal(size=(2, *sizes[:2]))
    y = layer.forward(x)
    assert y.shape[1:] == layer.output_shape(sizes[:2])
    for k in range(2):
        steps = run(layer, x[k])
        close(y[k], [steps[t]["h"] for t in range(sizes[0])], 1e-13)


@every_kind
@both_ways
@nets.every_engine
@pytest.mark.parametrize("sizes", SIZES[:3], ids=str)
def test_relevance_and_ledger(kind, sizes, reverse, how):
    """Every number of the relevance, every column of the ledger's line."""
    network = read(make(kind, sizes, reverse=reverse), sizes)
    x, tolerance = nets.inputs(network, 3), 1e-11 if how["dtype"] == "float64" else 1e-5
    found = lrp_core.explain(network, x, rules="epsilon", target=1, **how)
    for k in range(3):
        wanted, book = relevance(network, x[k])
        entry = found.ledger.sample(k)["rnn"]
        np.testing.assert_allclose(found.relevance[k], wanted, rtol=0, atol=tolerance * entry.turnover)
        assert abs(book["state"]) > 1e-5 * entry.turnover  # so that the column is looked at
        for column, number in book.items():
            assert abs(getattr(entry, column) - number) <= tolerance * entry.turnover, column
        assert abs(entry.received - entry.passed - entry.bias - entry.stabilizer - entry.gated
                   - entry.by_rule - entry.softmax - entry.state) <= 0.1 * tolerance * entry.turnover


@every_kind
@pytest.mark.parametrize("epsilon", [1e-9, 0.3, 5.0])
def test_the_rule_of_a_condition(kind, epsilon):
    """A condition that names the layer, or its class, sets ε; one for all layers with weights does not."""
    network = read(make(kind, optional=False))
    x = nets.inputs(network, 1)[0]
    for condition in ("rnn", type(network["rnn"].layer), L.Recurrent):
        rules = [(condition, Epsilon(epsilon)), ("*", Epsilon(1e-7))]
        close(lrp_core.explain(network, x, rules, 1).relevance, relevance(network, x, epsilon)[0])
    found = lrp_core.explain(network, x, [("*", Epsilon(1e-7))], 1)
    close(found.relevance, relevance(network, x, 1e-6)[0])
    assert found.ledger["rnn"].rule == "Epsilon(epsilon=1e-06)"


# --- with Zero() it is the gradient of a frozen linear map, times the input ------------------------

def frozen_score(network, steps, x, h, c, target=1):
    """The score as a linear function of x, h_0 and c_0: every gate, tanh(z)/z and tanh(c)/c is the constant
    that it was in `steps`; bias-free."""
    layer, out, units = network["rnn"].layer, {}, range(network["rnn"].layer.units)
    for t in order(layer, x):
        at = steps[t]
        z = [math.fsum(signal(layer, x[t], h, at["r"], j)[0]) for j in units]
        n = [at["n"][j] / at["z"][j] * z[j] for j in units]
        if isinstance(layer, L.LSTM):
            c = [at["f"][j] * c[j] + at["i"][j] * n[j] for j in units]
            h = [at["h"][j] / at["c"][j] * c[j] for j in units]
        elif isinstance(layer, L.GRU):
            h = [(1 - at["u"][j]) * n[j] + at["u"][j] * h[j] for j in units]
        else:
            h = n
        out[t] = h
    return math.fsum(products([v for _, h in sorted(out.items()) for v in h], network["out"].layer.kernel,
                              target))


@every_kind
@both_ways
@both_engines
def test_zero_is_the_gradient_of_the_frozen_map_times_the_input(kind, reverse, engine):
    network = read(layer := make(kind, bias=False, reverse=reverse), bias=False)
    x = nets.inputs(network, 1)[0].astype(np.float64)
    steps, still, wanted = run(layer, x), [0.0] * layer.units, np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[i] = 1.0
        wanted[i] = x[i] * frozen_score(network, steps, unit, still, still)
    found = lrp_core.explain(network, x, [(type(layer), Zero()), ("*", Zero())], 1, engine=engine)
    close(found.relevance, wanted)
    by_states = frozen_score(network, steps, np.zeros(x.shape), *first_states(layer))
    assert found.ledger["rnn"].state == pytest.approx(by_states, rel=1e-10)
    assert found.relevance.sum() + by_states == pytest.approx(score(network, x), rel=1e-10)


# --- properties -----------------------------------------------------------------------------------

@every_kind
@both_ways
@both_engines
@pytest.mark.parametrize("rules", ["epsilon", "gradient"])
def test_what_comes_after_the_step_that_is_read_gets_nothing(kind, reverse, engine, rules):
    layer, (t, c, h) = make(kind, reverse=reverse), SIZES[0]
    at = 3 if reverse else 1
    network = Network([("rnn", layer), ("step", L.Slice(at, at + 1, axis=1)), ("flat", L.Flatten()),
                       ("out", nets.dense(np.random.default_rng(3), h, 3))], (t, c))
    found = lrp_core.explain(network, nets.inputs(network, 2), rules, 1,
                             engine="numpy" if rules == "gradient" else engine).relevance
    past = [n for n in range(t) if (n >= at if reverse else n <= at)]
    assert found[:, past].all() and not np.delete(found, past, axis=1).any()


@every_kind
@both_engines
def test_a_reversed_sequence_has_mirrored_relevance(kind, engine):
    (t, c, h), dense = SIZES[0], nets.dense(np.random.default_rng(3), 20, 3)
    mirrored = L.Dense(dense.kernel.reshape(t, h, 3)[::-1].reshape(t * h, 3).copy(), dense.bias)
    one, other = (Network([("rnn", make(kind, reverse=reverse)), ("flat", L.Flatten()), ("out", out)], (t, c))
                  for reverse, out in ((False, dense), (True, mirrored)))
    x = nets.inputs(one, 2)
    for rules in ("epsilon", "gradient"):
        way = {"engine": "numpy" if rules == "gradient" else engine, "target": 1}
        straight = lrp_core.explain(one, x, rules, **way).relevance
        close(lrp_core.explain(other, x[:, ::-1], rules, **way).relevance[:, ::-1], straight, 1e-12)


@every_kind
@both_engines
def test_scaling(kind, engine):
    """A score times 4 has 4 times the relevance; inputs times 4 that are read with a quarter of the weights
    have the same. Powers of two, so bit by bit."""
    network = read(layer := make(kind))
    x, dense = nets.inputs(network, 2), network["out"].layer
    louder = dataclasses.replace(layer, kernel=layer.kernel / 4)
    larger = L.Dense(4 * dense.kernel, 4 * dense.bias)

    def found(first, last, x):
        net = Network([("rnn", first), ("flat", L.Flatten()), ("out", last)], x.shape[1:])
        return lrp_core.explain(net, x, Zero(), 1, engine=engine).relevance

    np.testing.assert_array_equal(found(layer, larger, x), 4 * found(layer, dense, x))
    np.testing.assert_array_equal(found(louder, dense, 4 * x), found(layer, dense, x))


@every_kind
@both_engines
def test_silent_steps_get_nothing(kind, engine):
    """x = 0 puts nothing into any sum: all of it goes to the states, the biases and ε."""
    network = read(make(kind))
    x = nets.inputs(network, 1)[0]
    x[[0, 2]] = 0
    found = lrp_core.explain(network, x, target=1, engine=engine).relevance
    assert not found[[0, 2]].any() and found[[1, 3, 4]].all()
    entry = lrp_core.explain(network, 0 * x, target=1, engine=engine).ledger["rnn"]
    assert entry.passed == 0
    assert entry.bias + entry.stabilizer + entry.state == pytest.approx(entry.received, rel=1e-12)


@every_kind
@pytest.mark.parametrize("how", [*nets.WAYS, {"rules": "gradient"}], ids=str)
def test_neither_batch_nor_threads_change_a_bit(kind, how):
    """An odd width, so that BLAS has odd rows left over, and more samples than a chunk holds."""
    sizes = (7, 5, 11)
    network = read(make(kind, sizes), sizes)
    x = nets.inputs(network, 19)
    found = lrp_core.explain(network, x, target=1, threads=1, **how)
    for count, threads in ((1, 1), (2, 1), (3, 2), (19, 2)):
        part = lrp_core.explain(network, x[:count], target=1, threads=threads, **how)
        np.testing.assert_array_equal(part.relevance, found.relevance[:count])
        np.testing.assert_array_equal(part.ledger.numbers, found.ledger.numbers[..., :count])


@both_engines
def test_two_directions_on_top_of_each_other(engine):
    """A bidirectional pair under another layer: what one line hands on the next receives, and all add up."""
    up, down, top = make("lstm"), make("gru", seed=5, reverse=True), make("rnn", (5, 8, 3), seed=6)
    network = Network([("up", up), ("down", down, ("input",)), ("both", L.Concatenate(), ("up", "down")),
                       ("top", top), ("flat", L.Flatten()),
                       ("out", nets.dense(np.random.default_rng(3), 15, 3))], (5, 3))
    ledger = lrp_core.explain(network, nets.inputs(network, 4), target=1, engine=engine).ledger
    ledger.check(1e-12)
    np.testing.assert_allclose(ledger["up"].received + ledger["down"].received, ledger["both"].passed,
                               rtol=1e-12)
    np.testing.assert_allclose(ledger["up"].passed + ledger["down"].passed, ledger.arrived, rtol=1e-12)


# --- gradients ------------------------------------------------------------------------------------

@every_kind
@both_ways
@pytest.mark.parametrize("optional", [True, False])
def test_gradients_are_the_finite_differences_of_the_loops(kind, reverse, optional):
    """No ReLU here: guided backprop and the deconvnet are the gradient too."""
    network, h = read(make(kind, optional=optional, reverse=reverse)), 1e-5
    x = nets.inputs(network, 1)[0]
    wanted = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.astype(np.float64), x.astype(np.float64)
        up[i] += h
        down[i] -= h
        wanted[i] = (score(network, up) - score(network, down)) / (2 * h)
    for name in ("gradient", "guided_backprop", "deconvnet"):
        close(lrp_core.explain(network, x, name, 1).relevance, wanted, 1e-8)
    close(lrp_core.explain(network, x, "input_x_gradient", 1).relevance, x * wanted, 1e-8)


# --- files, and what is refused -------------------------------------------------------------------

@every_kind
@both_ways
@pytest.mark.parametrize("optional", [True, False])
def test_a_model_file_keeps_it(kind, reverse, optional, tmp_path):
    network = read(make(kind, optional=optional, reverse=reverse).astype(np.float32))
    network.save(tmp_path / "net.npz")
    before, after = network["rnn"].layer, lrp_core.load(tmp_path / "net.npz")["rnn"].layer
    for field in dataclasses.fields(before):
        np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name))


WRONG = [(name, np.ones(shape)) for name, shape in (
    ("kernel", (3,)), ("kernel", (3, 5)), ("kernel", (3, 4, 4)), ("recurrent", (4,)), ("recurrent", (5, 4)),
    ("recurrent", (4, 5)), ("bias", (5,)), ("bias", (4, 1)), ("state", (5,)), ("cell", (3,)),
    ("recurrent_bias", (4,)))]
WRONG += [("kernel", np.full((3, 4), np.nan)), ("state", np.full(4, np.inf)), ("bias", np.ones(4, int)),
          ("kernel", None), ("reverse", 1), ("reverse", None), ("reset_after", "yes")]


@every_kind
@pytest.mark.parametrize("name, value", WRONG, ids=lambda value: repr(value)[:30])
def test_parameters_that_do_not_fit_are_refused(kind, name, value):
    layer = make(kind)
    if name in (*layer.arrays, *layer.options):
        with pytest.raises(ValueError, match=f"{layer.type}.*{'kernel|' * (name == 'recurrent')}{name}"):
            dataclasses.replace(layer, **{name: value})


@every_kind
def test_inputs_and_rules_that_do_not_fit_are_refused_by_name(kind):
    layer = make(kind)
    for shape in ((5, 4), (5,), (5, 3, 1)):
        with pytest.raises(ValueError, match=f"odd.*{layer.type}"):
            Network([("odd", layer)], shape)
    network = read(layer)
    x = nets.inputs(network, 1)
    for rule in (lrp_core.Gamma(), lrp_core.Pass(), lrp_core.Gate(), lrp_core.SoftmaxTaylor()):
        with pytest.raises(ValueError, match=f"rnn.*{layer.type}"):
            lrp_core.explain(network, x, [("rnn", rule), ("*", Zero())], 1)
