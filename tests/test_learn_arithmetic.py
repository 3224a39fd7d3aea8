"""The lesson's arithmetic in a real browser against the engine in double precision, to 1e-9."""

import numpy as np
import pytest
from lesson_pages import COLUMNS, ledger_of, near, written  # noqa: F401  (fixtures)

import lrp_core
from audio_lrp import lesson_data
from lrp_core import AlphaBeta, Epsilon, Flat, Gamma, Zero, ZPlus
from lrp_core import layers as L
from lrp_core.numpy_engine import propagate
from lrp_core.steps import plan

RULES = {
    "Zero()": Zero(),
    "Epsilon(1e-7)": Epsilon(1e-7),
    "Epsilon(0.5)": Epsilon(0.5),
    "Gamma(0)": Gamma(0),
    "Gamma(0.25)": Gamma(0.25),
    "Gamma(5)": Gamma(5),
    "ZPlus()": ZPlus(),
    "ZPlus('split')": ZPlus("split"),
    "Flat()": Flat(),
    **{
        f"AlphaBeta({a}, {a - 1}, '{bias}')": AlphaBeta(a, a - 1, bias)
        for a in (1, 2.5)
        for bias in ("whole", "split", "ignore")
    },
}

ASK = """([x, k]) => {
    const network = [LAYERS_ASKED], chosen = RULE;
    const e = explain(network, x, k, layer => ["dense", "conv"].includes(layer.type) ? chosen : Zero());
    return {scores: [...e.scores], relevance: e.relevance.map(R => [...R]),
            ledger: e.ledger.map(
                line => [line.received, line.passed, line.bias, line.stabilizer, line.gated]),
            total: [e.total.received, e.total.passed, e.total.bias, e.total.stabilizer, e.total.gated],
            wrong: e.ledger.some(isWrong)}; }"""


@pytest.fixture(scope="module")
def page(browser, written):
    """The lesson, opened once: these tests only ask its functions."""
    opened = browser.new_page()
    opened.goto(written.as_uri())
    yield opened
    opened.close()


def numbers(array):
    return f"Float64Array.of({', '.join(map(repr, np.ravel(array).tolist()))})"


def in_javascript(layer, name, shape):
    """A layer of the engine as an expression of lrp_layers.js."""
    if isinstance(layer, L.Dense):
        bias = "null" if layer.bias is None else numbers(layer.bias)
        inputs, outputs = layer.kernel.shape
        return f"Dense('{name}', {numbers(layer.kernel)}, {bias}, {inputs}, {outputs})"
    if isinstance(layer, L.Conv2D):
        kernel, bias = numbers(layer.kernel), numbers(layer.bias)
        return f"Conv('{name}', {kernel}, {bias}, {list(shape)}, {layer.kernel.shape[3]})"
    return {
        L.ReLU: f"Relu('{name}')",
        L.Flatten: None,
        L.GlobalAveragePool2D: f"Mean('{name}', {list(shape)})",
        L.MaxPool2D: f"MaxPool('{name}', {list(shape)}, 2, {getattr(layer, 'strides', (2,))[0]})",
        L.AveragePool2D: f"AveragePool('{name}', {list(shape)}, 2, {getattr(layer, 'strides', (2,))[0]})",
    }[type(layer)]


def random(rng, *shape):
    """Normal numbers that single precision holds exactly, as the engine takes inputs and weights."""
    return rng.normal(size=shape).astype(np.float32).astype(np.float64)


def in_double(network, sound):
    """The output of a front end's steps, in double precision."""
    y = sound[None]
    for node in network.nodes:
        y = node.layer.forward(y)
    return y[0]


def compare(page, network, x, rule, k=0):
    """Explain in the page and by the engine, and compare all there is."""
    shape, made, name = network.input_shape, [], next(key for key, one in RULES.items() if one == rule)
    for node in network.nodes:
        made.append(in_javascript(node.layer, node.name, shape))
        shape = node.layer.output_shape(tuple(shape))
    source = ASK.replace("LAYERS_ASKED", ", ".join(filter(None, made))).replace("RULE", name)
    found = page.evaluate(source, [x.ravel().tolist(), k])
    e = lrp_core.explain(network, x, rule, k, layers=True)
    near(found["scores"], e.logits, 1e-6)  # the engine hands scores out in single precision
    near(found["relevance"][0], e.relevance)
    skipped = {node.name for node in network.nodes if isinstance(node.layer, L.Flatten)}
    near(found["ledger"], [row for row, line in zip(ledger_of(e), e.ledger) if line.name not in skipped])
    near(
        found["total"],
        [getattr(e.ledger.total, name) for name in ("received", "passed", "bias", "stabilizer", "gated")],
    )
    assert not found["wrong"]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_on_random_networks(page, rule):
    rng = np.random.default_rng(0)
    for trial in range(4):
        mlp = lrp_core.Network(
            [
                ("one", L.Dense(random(rng, 6, 9), random(rng, 9))),
                ("relu", L.ReLU()),
                ("two", L.Dense(random(rng, 9, 5), random(rng, 5) if trial % 2 else None)),
                ("relu2", L.ReLU()),
                ("three", L.Dense(random(rng, 5, 3), random(rng, 3))),
            ],
            (6,),
        )
        x = random(rng, 6) if trial < 3 else np.zeros(6)
        compare(page, mlp, x, rule, trial % 3)
    cnn = lrp_core.Network(
        [
            ("conv", L.Conv2D(random(rng, 3, 3, 2, 3), random(rng, 3), padding="same")),
            ("relu", L.ReLU()),
            ("pool", L.MaxPool2D(2)),
            ("conv2", L.Conv2D(random(rng, 3, 3, 3, 4), random(rng, 4), padding="same")),
            ("relu2", L.ReLU()),
            ("mean", L.GlobalAveragePool2D()),
            ("out", L.Dense(random(rng, 4, 3), random(rng, 3))),
        ],
        (7, 8, 2),
    )
    compare(page, cnn, random(rng, 7, 8, 2), rule, 1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pool", [L.MaxPool2D, L.AveragePool2D])
def test_pools_with_ties_and_silence(page, pool, stride):
    kernel = random(np.random.default_rng(1), 4 if stride == 2 else 9, 2)
    network = lrp_core.Network(
        [("pool", pool(2, stride)), ("flatten", L.Flatten()), ("out", L.Dense(kernel))], (4, 4, 1)
    )
    for x in (np.zeros(16), [1, 3, 2, 2, 0, 2, 2, 1, 0, 0, 4, 0, 0, 0, 1, 3], np.ones(16)):
        compare(page, network, np.reshape(np.array(x, float), (4, 4, 1)), RULES["Zero()"])


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_messages_add_up_to_what_units_get(page, rule):
    rng = np.random.default_rng(2)
    W, b, x, R = random(rng, 7, 4), random(rng, 4), random(rng, 7), random(rng, 4)
    layer = in_javascript(L.Dense(W, b), "layer", (7,))
    name = next(key for key, one in RULES.items() if one == rule)
    found = page.evaluate(
        f"""([x, R]) => {{ const layer = {layer}, y = output(layer, x);
        const sent = messages(layer, {name}, Float64Array.from(x), y, R);
        return [[...sent], [...throughLinear(layer, {name}, Float64Array.from(x), y, R).R]]; }}""",
        [x.tolist(), R.tolist()],
    )
    sent = np.reshape(found[0], (7, 4))
    near(sent.sum(axis=1), found[1])
    # One message is what arrives when only one output has relevance.
    book = lrp_core.Book(1)
    for j in range(4):
        only = np.where(np.arange(4) == j, R, 0.0)[None]
        (alone,) = lrp_core.flow(L.Dense(W, b), rule, [x[None]], x[None] @ W + b, only, book)
        near(sent[:, j], alone)


# Each sound is explained by some rule; the siren by two.
CLIPS = {
    "Zero()": ["siren"],
    "Epsilon(0.5)": ["car_horn"],
    "Gamma(0.25)": ["siren"],
    "AlphaBeta(2.5, 1.5, 'split')": ["dog_bark"],
    "ZPlus()": ["jackhammer"],
}

SOUND = """([name, k]) => {
    const y = samplesOf(name), heard = hear(y, SETTINGS, FILTERS);
    const ruleOf = layer => layer.type !== "conv" ? Zero() : layer.name === FIRST ? Flat() : RULE;
    const e = explain(SOUNDS, heard.picture, k, ruleOf);
    const {cells, samples, ledger} = intoSound(heard, SETTINGS, y, e.relevance[0]);
    const lines = [...e.ledger, ...ledger];
    return {y: [...y], picture: [...heard.picture], scores: [...e.scores], map: [...e.relevance[0]],
            cells: [...cells], samples: [...samples], wrong: lines.some(isWrong),
            ledger: lines.map(line => [line.received, line.passed, line.bias, line.stabilizer, line.gated]),
            names: lines.map(line => line.name)}; }"""

SILENCE = """() => {
    const y = samplesOf("siren").map((value, n) => n < 8000 ? 0 : value), heard = hear(y, SETTINGS, FILTERS);
    const {cells, samples, ledger} = intoSound(heard, SETTINGS, y, ones(heard.picture));
    return {cells: [...cells], samples: [...samples], wrong: ledger.some(isWrong),
            ledger: ledger.map(
                line => [line.received, line.passed, line.bias, line.stabilizer, line.gated])}; }"""


@pytest.mark.parametrize(
    "rule, flat",
    [
        ("Zero()", False),
        ("Epsilon(0.5)", False),
        ("Gamma(0.25)", False),
        ("AlphaBeta(2.5, 1.5, 'split')", True),
        ("ZPlus()", False),
    ],
)
def test_from_the_samples_to_the_score_and_back(page, rule, flat):
    """The whole way of chapter 8: sound, spectrogram, network, rules, cells, samples, and the ledger."""
    network, front_end = lesson_data.sound_network()
    whole = front_end.before(network)
    rules = [*([("conv1", Flat())] if flat else []), ("conv*", RULES[rule]), ("*", Zero())]
    for name in CLIPS[rule]:
        k = network.class_names.index(name)
        found = page.evaluate(
            SOUND.replace("FIRST", '"conv1"' if flat else "null").replace("RULE", rule), [name, k]
        )
        sound = lesson_data.clip_samples(name) / 32768
        assert np.array_equal(found["y"], sound)
        e = lrp_core.explain(whole, sound, rules, k, layers=True)
        near(found["scores"], e.logits, 1e-6)
        near(found["picture"], in_double(front_end.network(), sound))
        near(found["map"], e.layers["sound/arrange"])
        near(found["cells"], e.layers["sound/spectrogram"])
        near(found["samples"], e.relevance)
        near(sum(found["samples"]), e.ledger.arrived)
        lines = dict(zip((line.name.removeprefix("sound/") for line in e.ledger), ledger_of(e)))
        near(found["ledger"], [lines[name] for name in found["names"]])
        steps = ["fit", "decibels", "standardize", "arrange"]  # these hand on what they get
        assert set(lines) == {*found["names"], *steps} and not np.any([lines[name][2:] for name in steps])
        assert not found["wrong"] and network.class_names[int(np.argmax(found["scores"]))] == name


def test_relevance_of_silence_is_gated(page):
    """A second of digital silence, and a relevance of 1 everywhere: what lies on it is gated."""
    _, front_end = lesson_data.sound_network()
    found = page.evaluate(SILENCE)
    sound = lesson_data.clip_samples("siren") / 32768
    sound[:8000] = 0
    below = front_end.network()
    trace, steps = below.trace(sound[None]), plan(below, lrp_core.composite(Zero()).rules_for(below))
    begin = below.nodes[-1].name, np.ones((1, *below.output_shape))
    relevance, ledger = propagate(steps, trace, begin, keep={}, layers=True)
    near(found["samples"], relevance["input"])
    near(found["cells"], relevance["spectrogram"])
    lines = [[getattr(ledger[name], column)[0] for column in COLUMNS] for name in ("mel", "spectrogram")]
    near(found["ledger"], lines)
    assert not found["wrong"] and lines[0][-1] > 0, "gated"


def test_the_inverse_gives_the_sound_back_and_parts_add_up(page):
    _, front_end = lesson_data.sound_network()
    found = page.evaluate("""() => {
        const y = samplesOf("siren"), {spectra, power} = hear(y, SETTINGS, FILTERS);
        const chosen = strongest(power, 0.5), all = inverse(spectra, SETTINGS, y.length);
        const of = keep => inverse(spectra, SETTINGS, y.length, cell => chosen[cell] === keep);
        const part = keep => [...of(keep)];
        return {all: [...all], part: part(1), rest: part(0),
            chosen: [...chosen], power: [...power]}; }""")
    sound = lesson_data.clip_samples("siren") / 32768
    near(found["all"], sound)
    near(np.add(found["part"], found["rest"]), sound)
    from features.listen import strongest

    spectrogram = front_end.steps[0]
    power = spectrogram.forward(sound[None])[0]
    near(found["power"], power)
    mask = np.reshape(found["chosen"], power.shape).astype(bool)
    assert np.array_equal(mask, strongest(power, 0.5))
    near(found["part"], spectrogram.inverse(spectrogram.transform(sound) * mask, len(sound)))


def test_a_broken_rule_is_caught(page):
    """Each mistake of chapter 9 leaves a residual, and the right rule does not."""
    found = page.evaluate("""() => Object.keys(MISTAKES).map(kind =>
        [kind, explain(TONES, PICTURES.rising, 1, () => Zero(), mistaken(kind)).ledger.some(isWrong)])""")
    assert found == [["none", False], ["forgotten", True], ["absolute", True], ["scaled", True]]
