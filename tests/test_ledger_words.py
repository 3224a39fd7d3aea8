"""The ledger as people read it: a sentence that says what the columns add up to, a table without gaps."""
import math
import re

import fast_nets
import nets
import numpy as np
import pytest
from test_cli import run
from test_explain import ROOT
from test_objects import explained, is_short

import audio_lrp
from lrp_core import Contrast, Entry, Epsilon, Ledger
from lrp_core.ledger import ABSORBED

# --- the ledger in a sentence

def columns(ledger):
    """{column: Σ over the layers, the mean over the samples}, summed here."""
    return {name: math.fsum(float(np.mean(getattr(entry, name))) for entry in ledger) for name in ABSORBED}


def percents(text):
    return [float(number) / 100 for number in re.findall(r"(-?\d+)%", text)]


@pytest.mark.parametrize("count", [None, 1, 4])
@pytest.mark.parametrize("target", [0, 1, 2, "sum", Contrast(0, 2)], ids=str)
@pytest.mark.parametrize("rules", ["epsilon", "preset_a_flat", [("*", Epsilon(3.0))]], ids=str)
def test_the_sentence_says_what_the_columns_add_up_to(rules, target, count):
    """Signs, too: scores below zero, parts that biases add."""
    ledger = explained(nets.deep(9), count, rules, target).ledger
    start, arrived, parts = np.mean(ledger.start), np.mean(ledger.arrived), columns(ledger)
    text = ledger.sentence
    assert text.startswith("Mean of 4 samples: ") == (count == 4) and text.endswith(".")
    if max(map(abs, (arrived, *parts.values()))) > 10 * abs(start):
        assert "%" not in text and f"{arrived:.2f} reaches the input" in text
        return
    assert f"of the score {start:.2f} reaches the input" in text
    assert percents(text)[0] == pytest.approx(arrived / start, abs=0.0051)
    for column, keeps, adds in (("bias", "biases keep", "biases add"),
                                ("stabilizer", "the stabilizer keeps", "the stabilizer adds")):
        share = parts[column] / start
        said = re.search(f"({keeps}|{adds}) (\\d+)%", text)
        assert bool(said) == (abs(share) >= 0.005), (column, share, text)
        if said:
            assert (said[1] == keeps) == (share > 0)
            assert float(said[2]) / 100 == pytest.approx(abs(share), abs=0.0051)
    if named := re.search(r"most in (\w+): (\d+)%", text):
        sign = np.sign(parts["bias"] / start)
        shares = {entry.name: sign * float(np.mean(entry.bias)) / start for entry in ledger}
        assert named[1] == max(shares, key=shares.get)
        assert float(named[2]) / 100 == pytest.approx(shares[named[1]], abs=0.0051)


def ledger_of(start, arrived, *entries, **facts):
    """A ledger with a layer for each {column: number}."""
    made = [Entry(f"layer{k}", "Dense", "Zero()", 0.0, 0.0, **parts) for k, parts in enumerate(entries)]
    found = Ledger.of(made, start, arrived)
    return Ledger(found.pages, found.numbers, start, arrived, **facts)


@pytest.mark.parametrize("ledger, text", [
    (ledger_of(4.0, 2.4, {"bias": 0.84, "stabilizer": 0.44}, {"bias": 0.32}),
     "60% of the score 4.00 reaches the input; biases keep 29% (most in layer0: 21%); the stabilizer keeps "
     "11%."),
    (ledger_of(-4.0, -2.0, {"bias": -2.0}),
     "50% of the score -4.00 reaches the input; biases keep 50% (all in layer0)."),
    (ledger_of(2.0, 0.0, {"bias": 2.0}), "0% of the score 2.00 reaches the input; biases keep 100% (all in "
                                         "layer0)."),
    (ledger_of(2.0, 2.5, {"bias": -1.0}, {"bias": 0.5}),
     "125% of the score 2.00 reaches the input; biases add 25% (most in layer0: 50%)."),
    # the largest part is told only where it says something: not as 0%, nor as the whole once more
    (ledger_of(100.0, 99.0, {"bias": 0.4}, {"bias": 0.35}, {"bias": 0.25}),
     "99% of the score 100.00 reaches the input; biases keep 1%."),
    (ledger_of(100.0, 101.0, {"bias": -0.4}, {"bias": -0.35}, {"bias": -0.25}),
     "101% of the score 100.00 reaches the input; biases add 1%."),
    (ledger_of(100.0, 70.0, {"bias": 29.8}, {"bias": 0.2}),
     "70% of the score 100.00 reaches the input; biases keep 30%."),
    (ledger_of(100.0, 70.0, {"bias": 29.2}, {"bias": 0.8}),
     "70% of the score 100.00 reaches the input; biases keep 30% (most in layer0: 29%)."),
    (ledger_of(0.001, -19.0, {"bias": 18.999}, {"bias": 0.002}),
     "Of the score 0.001, -19.00 reaches the input; biases keep 19.00."),
    (ledger_of(0.0, 0.0, {}), "The score is 0: there is nothing to share out."),
    (ledger_of(0.0, -1.5, {"bias": 1.5}),
     "Of the score 0.00, -1.50 reaches the input; biases keep 1.50 (all in layer0)."),
    (ledger_of(0.001, -30.0, {"gated": 10.0, "bias": 20.001}),
     "Of the score 0.001, -30.00 reaches the input; biases keep 20.00 (all in layer0); "
     "10.00 finds no input to go to (gated)."),
    (ledger_of(1.0, 0.2, {"by_rule": 0.1, "softmax": -0.3, "state": 1.0}),
     "20% of the score 1.00 reaches the input; the rules keep 10%; softmaxes add 30%; 100% goes to initial "
     "states."),
    (ledger_of(1.0, 1.0, {}, what="output", end="conv1"), "100% of the output 1.00 reaches conv1."),
    (ledger_of(1.0, 6.0, {"gated": -5.0}, what="gradient"),
     "A gradient begins with 1 at the score and is not conserved: it adds up to 6.00 at the input."),
])
def test_sentences_by_hand(ledger, text):
    assert ledger.sentence == text
    assert str(ledger).startswith(f"{text}\n\n") and text[:90] in repr(ledger) and is_short(repr(ledger))


def test_sentences_know_where_relevance_begins_and_ends():
    for how in nets.WAYS:
        network = nets.deep(10)
        assert "reaches conv2" in explained(network, stop="conv2", **how).ledger.sentence
        assert "of the output" in explained(network, 2, start=("conv2", 1), **how)[1].ledger.sentence
    assert explained(network, rules="gradient").ledger.sentence.startswith("A gradient begins with 1")


# --- the folded table

@pytest.mark.parametrize("count", [None, 3])
@pytest.mark.parametrize("make", [nets.deep, lambda seed: fast_nets.branching(), lambda seed: nets.wide()])
@pytest.mark.parametrize("rules", ["epsilon", "preset_b_flat"])
def test_the_folded_table_leaves_out_no_layer_and_adds_up(make, rules, count):
    ledger = explained(make(11), count, rules).ledger
    lines = ledger.table().splitlines()
    body = lines[2:-2]
    joined = re.sub(r"\n    ", " ", "\n".join(body)).splitlines()
    named = []
    for line in joined:
        if run := re.fullmatch(r"\.\.\. (\d+) layers pass all on: (.*)", line):
            names = run[2].split(", ")
            assert len(names) == int(run[1])
        elif one := re.fullmatch(r"\.\.\. (.*) passes all on", line):
            names = [one[1]]
        else:
            names = [re.split(r"  +", line)[0]]
        for name in names:
            if line.startswith("..."):
                for column in ABSORBED:
                    assert np.all(np.abs(getattr(ledger[name], column)) <= 1e-6 * np.abs(ledger.start))
        named += names
    assert named == [entry.name for entry in ledger]
    rows = [[float(cell) for cell in re.split(r"  +", line)[2:]] for line in joined if line[:3] != "..."]
    total = [float(cell) for cell in lines[-1].split()[1:]]
    bound = 6e-5 * (len(rows) + 1) + 1e-6 * len(named) * abs(total[0])
    for column in range(2, len(total) - 1):
        assert math.fsum(row[column] for row in rows) == pytest.approx(total[column], abs=bound)
    assert total[0] - total[1] == pytest.approx(sum(total[2:-1]), abs=3e-4)
    every = ledger.table(all=True).splitlines()
    assert len(every) == len(ledger.pages) + 4 and len({len(line) for line in every}) == 1
    assert {" ".join(line.split()) for line in every[2:-2]} >= {" ".join(line.split()) for line in joined
                                                                if line[:3] != "..."}


def test_a_layer_that_does_something_in_one_sample_keeps_its_row():
    entries = [Entry("quiet", "ReLU", "Pass()", *np.ones((2, 2))),
               Entry("loud", "Dense", "Zero()", np.ones(2), np.float64([1, 0.9]), bias=np.float64([0, 0.1]))]
    zero = np.zeros(2)
    full = [Entry(e.name, e.type, e.rule, e.received, e.passed, bias=zero + e.bias, turnover=zero + 1,
                  **dict.fromkeys(("stabilizer", "gated", "by_rule", "softmax", "state"), zero))
            for e in entries]
    table = Ledger.of(full, np.ones(2), np.float64([1, 0.9])).table()
    assert "... quiet passes all on" in table and re.search(r"^loud +Zero\(\)", table, re.MULTILINE)


def test_long_runs_are_broken_between_names():
    names = [f"a layer-with-a-name {k}" for k in range(40)]
    entries = [Entry("first", "Dense", "Zero()", 2.0, 1.0, bias=1.0),
               *(Entry(name, "ReLU", "Pass()", 1.0, 1.0) for name in names)]
    lines = Ledger.of(entries, 2.0, 1.0).table().splitlines()
    assert max(map(len, lines)) <= max(len(lines[1]), 60)
    assert all("\n".join(lines).count(f"{name},") == 1 for name in names[:-1]) and names[-1] in lines[-3]


# --- on the command line

def test_the_command_tells_folds_and_unfolds():
    """The sentence of the whole ledger, from the score to the samples; every layer's row where that is asked
    for.
    """
    ledger = audio_lrp.explain(audio_lrp.EMBEDDED_CLIP).ledger
    folded, every = run("ledger"), run("ledger", "--all")
    assert folded.exit_code == every.exit_code == 0
    for output in (folded.stdout, every.stdout):
        assert ledger.sentence.replace("the input", "the sound") in output.splitlines()
    assert folded.stdout.endswith(f"\n\n{ledger.table()}\n")
    assert "... 5 layers pass all on: sound/stretch, sound/decibels, " in folded.stdout
    assert every.stdout.endswith(f"\n\n{ledger.table(all=True)}\n") and " pass" not in every.stdout
    assert len(every.stdout.splitlines()) > len(folded.stdout.splitlines()) + 8


def test_the_page_shows_what_is_printed():
    """Line by line; the last digits of what rounding leaves are the machine's own."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown, = re.findall(r"```\n(\d+% of the score.*?)```", page, re.DOTALL)

    def without_residual(line):
        return re.sub(r" +\S+e[+-]\d+$", "", line)
    printed = [without_residual(line) for line in run("ledger").stdout.splitlines()]
    lines = [without_residual(line) for line in shown.splitlines() if line and line != "[...]"]
    assert len(lines) > 10 and [line for line in printed if line in lines] == lines
