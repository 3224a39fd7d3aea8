"""audio-lrp learn: the command, its page, and every number that its text claims, computed by the engine."""

import dataclasses
import html
import pathlib
import re

import click.testing
import numpy as np
import pytest

import lrp_core
from audio_lrp import learn, lesson_data
from audio_lrp.cli import main
from audio_lrp.page import TEMPLATES
from lrp_core import AlphaBeta, Epsilon, Zero, ZPlus
from lrp_core import layers as L

FIRST_TEST_SEED = 10_000  # as train_tf.lesson has it
PICTURES = {
    "rising": [0, 0, 0, 0.9, 0, 0, 0.9, 0, 0, 0.9, 0, 0, 0.9, 0, 0, 0],
    "steady": [0, 0, 0, 0, 0.9, 0.9, 0.9, 0.9, 0, 0, 0, 0, 0, 0, 0, 0],
    "falling": [0.9, 0, 0, 0, 0, 0.9, 0, 0, 0, 0, 0.9, 0, 0, 0, 0, 0.9],
    "noisy": [0.1, 0.3, 0.2, 0.8, 0.2, 0.1, 0.7, 0.3, 0.3, 0.8, 0.1, 0.2, 0.9, 0.2, 0.3, 0.1],
}


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def text():
    return learn.lesson_page()


# ---- the command


def test_it_writes_the_page_and_does_not_open_it(tmp_path, monkeypatch, text):
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened"))
    path = tmp_path / "new" / "lesson.html"
    result = run("learn", "-o", path)
    assert result.exit_code == 0 and str(path) in result.output, result.output
    assert path.read_text(encoding="utf-8") == text and path.stat().st_size < 600_000


def test_without_a_file_it_opens_the_browser(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("learn")
    assert result.exit_code == 0 and len(opened) == 1 and opened[0].startswith("file://"), result.output
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert "no browser could be opened" in run("learn").output


def test_a_place_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("learn", "-o", tmp_path / "file" / "lesson.html")
    assert result.exit_code == 1 and "cannot be made" in result.output and "Traceback" not in result.output


def test_nothing_else_may_run_and_nothing_is_loaded(text):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy
    assert not re.findall(r"""(?:src|href)=["']?(?!#|data:)[\w/.]+[:/]""", text.partition("<script>")[0])
    assert " style=" not in text.partition("<script>")[0], "the policy would refuse it"


# ---- what the text claims


def neuron(x, w, b, rule=None, R=None):
    """(z, relevance of the inputs, the ledger's line) of one neuron; R: what arrives, by default z."""
    network = lrp_core.Network(
        [("neuron", L.Dense(np.array(w, float)[:, None], np.array([b], float)))], (len(x),)
    )
    e = lrp_core.explain(network, np.array(x, float), rule or Zero(), 0)
    z, line = float(e.ledger.start), e.ledger["neuron"]
    scale = 1 if R is None else R / z
    return (
        z,
        e.relevance * scale,
        {name: getattr(line, name) * scale for name in ("bias", "stabilizer", "gated", "passed")},
    )


def tones(picture, rule=None, target="max", bias=0.0, only=None, awake=0.0):
    """A picture explained by the network of chapter 2; bias: added to its scores' biases, or set for one."""
    network = lrp_core.load(lesson_data.TONES)
    *nodes, last = network.nodes
    b = last.layer.bias + bias if only is None else np.where(np.arange(3) == only, bias, last.layer.bias)
    kernel = last.layer.kernel + awake * (np.arange(6) == 4)[:, None]
    network = network.replace(
        nodes=[
            *((n.name, n.layer, n.inputs) for n in nodes),
            (last.name, dataclasses.replace(last.layer, kernel=kernel, bias=b), last.inputs),
        ]
    )
    return lrp_core.explain(network, np.array(picture, float), rule or Zero(), target)


def claims():
    """{name: what the engine says}, each as the text should print it."""
    z, R, line = neuron([1, 2, -1], [1, 0.5, 1], 0.5)
    found = {"neuron.z": z, "neuron.inputs": R.sum(), "neuron.bias": line["bias"]}
    z, R, _ = neuron([2, 1.5], [2, -2], 0)
    found |= {
        "negative.for": 2.0 * 2,
        "negative.against": 1.5 * -2,
        "negative.z": z,
        "negative.first": R[0],
        "negative.second": R[1],
    }
    found["epsilon.half"] = neuron([1], [0.5], 0, Epsilon(0.5), 1)[2]["stabilizer"]
    z, R, line = neuron([1, 1, 0.3], [1, -1, 1], 0, Epsilon(0.3), 1)
    found |= {
        "epsilon.z": z,
        "epsilon.arrives": line["passed"],
        "epsilon.first": R[0],
        "epsilon.plain": neuron([1, 1, 0.3], [1, -1, 1], 0, Zero(), 1)[1][0],
    }
    e = tones(PICTURES["rising"])
    network = lrp_core.load(lesson_data.TONES)
    found |= {
        "tones.score": e.ledger.start,
        "tones.arrives": e.relevance.sum(),
        "tones.bias": e.ledger.total.bias,
        "tones.units": 16 + sum(len(n.layer.bias) for n in network.nodes if isinstance(n.layer, L.Dense)),
        "tones.parameters": parameters(network),
    }

    def part(column, rule):
        total = tones(PICTURES["noisy"], rule).ledger.total
        return f"{100 * getattr(total, column) / total.received:.0f} %"

    found |= {
        "ledger.bias": part("bias", Zero()),
        "ledger.alpha": part("bias", AlphaBeta(2, 1, "whole")),
        "ledger.split": part("gated", AlphaBeta(2, 1, "split")),
        "ledger.large": part("stabilizer", Epsilon(5)),
    }
    e = tones(PICTURES["noisy"], [("scores", Zero()), ("*", AlphaBeta(2, 1, "split"))])
    found |= {"rules.score": e.ledger.start, "rules.alphabeta": e.relevance.sum()}
    sounds, _ = lesson_data.sound_network()
    found |= {
        "sounds.parameters": parameters(sounds),
        "sounds.rows": sounds.input_shape[0],
        "sounds.columns": sounds.input_shape[1],
        "sounds.clips": 400,
        "sounds.accuracy": f"{100 * sounds.metadata['test_accuracy']:.1f} %",
    }
    found |= {
        "shift.before": tones(PICTURES["steady"]).ledger.start,
        "shift.after": tones(PICTURES["steady"], bias=-10.0).ledger.start,
    }
    e = tones(PICTURES["falling"], target=0, bias=40.0, only=0)
    return found | {"biased.bias": 40.0, "biased.score": e.ledger.start, "biased.arrives": e.relevance.sum()}


def parameters(network):
    return sum(np.size(getattr(n.layer, name)) for n in network.nodes for name in n.layer.arrays)


def printed(value):
    """A number as the lesson prints it."""
    if isinstance(value, str):
        return value.replace("-", "−")
    return (f"{value:,}" if isinstance(value, int) else f"{value:.2f}").replace("-", "−")


def chapter(number):
    return TEMPLATES.joinpath(f"learn_{number}.html.j2").read_text(encoding="utf-8")


def test_every_number_of_the_text_is_the_engines(text):
    wanted = {name: printed(value) for name, value in claims().items()}
    found = dict(re.findall(r'<span data-claim="([^"]+)">([^<]*)</span>', text))
    assert found == wanted


def test_no_number_of_the_text_is_left_out():
    """Decimals and percentages outside of claims stand in questions and instructions only."""
    for number in range(1, 10):
        prose = re.sub(
            r"\{\{.*?\}\}|\{%.*?%\}|<[^>]*>",
            "",
            chapter(number).partition("<h2>Questions")[0],
            flags=re.DOTALL,
        )
        prose = re.sub(r"x\s*at 1\.3 and then at 1\.5|z = 0\.5 and ε = 0\.5", "", prose)
        prose = re.sub(r"Put x2 at 1\.3 and then at 1\.5", "", prose)
        assert not re.findall(r"\d+[.,]\d+|\d+ %", prose), (number, re.findall(r"\d+[.,]\d+|\d+ %", prose))


ANSWERS = {
    "q1-share": lambda: neuron([2, 1], [3, -1], 0, Zero(), 10)[1][0],
    "q2-sum": lambda: 0.4 - 0.1 + 0.3,
    "q3-cancel": lambda: neuron([1, 1], [10, -9], 0, Zero(), 1)[1][1],
    "q4-take": lambda: neuron([1, 1], [1.5, 0.5], 0, Epsilon(0.5), 1)[2]["passed"],
    "q5-alpha": lambda: neuron([1, 1, 1], [3, 1, -2], 0, AlphaBeta(2, 1, "ignore"), 1)[1][0],
    "q6-average": lambda: average_pool([1, 3, 0, 4])[3],
    "q7-residual": lambda: 5 - 3.2 - 0.8 - 0.6,
}


def average_pool(window):
    """The relevance of four cells whose average gets R = 1."""
    network = lrp_core.Network([("pool", L.AveragePool2D(2)), ("flatten", L.Flatten())], (2, 2, 1))
    e = lrp_core.explain(network, np.reshape(np.array(window, float), (2, 2, 1)), Zero(), 0)
    return e.relevance.ravel() / float(e.ledger.start)


def test_the_answers_that_the_page_takes_are_the_engines(text):
    found = dict(re.findall(r'id="(q\d-\w+)">\s*<legend>[^<]*(?:<[^f][^<]*)*?data-answer="([-\d.]+)"', text))
    asked = re.findall(r'data-answer="([-\d.]+)"', text)
    assert len(asked) == len(ANSWERS)
    assert sorted(map(float, asked)) == pytest.approx(sorted(float(f()) for f in ANSWERS.values()))
    assert found.keys() <= ANSWERS.keys()
    for name, answer in found.items():
        assert float(answer) == pytest.approx(float(ANSWERS[name]())), name


def test_each_chapter_ends_in_questions_with_an_explanation_for_each_answer(text):
    page = text.partition("<script")[0]
    for part in page.split('<article class="chapter"')[1:]:
        questions = part.split('<fieldset class="question"')[1:]
        assert len(questions) >= 3
        for question in questions:
            if 'class="answer"' in question:
                assert question.count("data-right") == 1
            assert all(
                len(html.unescape(why)) > 20 for why in re.findall(r'data-(?:why|hint)="([^"]*)"', question)
            )


def test_claims_of_the_choices():
    """What explanations of answers say without a number."""
    total = tones(PICTURES["rising"], target="falling")
    assert total.ledger.start < 0 and total.relevance.sum() < 0
    assert tones(PICTURES["steady"], ZPlus(), bias=-10.0, target=1).relevance.sum() < 0
    before, after = (tones(PICTURES["steady"], bias=c, target=1).relevance for c in (0.0, 7.0))
    assert np.allclose(before, after), "LRP-0: the bias takes all of c"
    assert tones(PICTURES["steady"], target=1, awake=-2.0).relevance.sum() < 0 < before.sum()
    gated = neuron([0, 0], [1, 1], 1, ZPlus(), 1)[2]
    assert gated["gated"] == pytest.approx(1)


def test_the_networks_hear_what_they_should():
    """A few clips of the test set that the accuracy in the text was measured on."""
    from features.synth import synthesize

    network, front_end = lesson_data.sound_network()
    right = [
        network.class_names[
            int(
                network.logits(
                    front_end(synthesize(name, seed, sample_rate=8_000, seconds=front_end.seconds), 8_000)
                ).argmax()
            )
        ]
        == name
        for name in network.class_names
        for seed in range(FIRST_TEST_SEED, FIRST_TEST_SEED + 10)
    ]
    assert np.mean(right) > 0.9 and network.metadata["test_accuracy"] > 0.9
    assert lrp_core.load(lesson_data.TONES).metadata["test_accuracy"] > 0.9
    assert all(seed >= FIRST_TEST_SEED for seed in lesson_data.SEEDS.values())


def test_the_arithmetic_needs_no_page():
    """lrp.js, lrp_layers.js and lrp_sound.js touch neither the document nor the window."""
    for name in learn.ARITHMETIC:
        source = pathlib.Path(str(TEMPLATES.joinpath(name))).read_text(encoding="utf-8")
        assert not re.search(
            r"\b(document|globalThis|querySelector|lesson\.|sessionStorage|fetch)\b", source
        ), name


def test_scripts_are_readable():
    for name in {*learn.SCRIPTS, *learn.STYLES}:
        lines = TEMPLATES.joinpath(name).read_text(encoding="utf-8").split("\n")
        assert len(lines) <= 400, name
        assert all(len(line) <= 132 for line in lines), name
