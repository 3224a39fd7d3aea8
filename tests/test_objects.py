"""Objects that show themselves: a line at a prompt, HTML in a notebook, figures."""
import base64
import dataclasses
import functools
import html.parser
import io
import re
import shutil
import sys

import fast_nets
import matplotlib.image
import nets
import numpy as np
import pytest

import audio_lrp
import lrp_core
from audio_lrp import windows
from lrp_core import Contrast, Entry, Epsilon, Flat, Ledger, Network
from lrp_core import layers as L
from lrp_core.composites import preset_b_flat_until
from lrp_core.gradients import METHODS
from lrp_core.profile_table import Profile, Row

HOSTILE = '<b onclick="x()">&"\n\x1b[2J$^$' + "'"
CLEANED = '<b onclick="x()">&"\\n\\x1b[2J$^$' + "'"
TAGS = {"div", "p", "b", "span", "table", "tr", "th", "td", "details", "summary", "img"}


class Reader(html.parser.HTMLParser):
    """Reads HTML strictly: tags that are known here and closed in order, attributes that run nothing."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.images, self.cells = [], "", [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        assert {name for name, _ in attributes} <= {"style", "title", "colspan", "alt", "src"}, attributes
        if tag == "img":
            self.images.append(dict(attributes))
        else:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open[-1:] in (["td"], ["th"]):
            self.cells[-1][-1] += data


def hostile():
    """A network whose layers and classes have names that a page or a terminal must not obey."""
    rng = np.random.default_rng(0)
    return Network([(f"hidden {HOSTILE}", nets.dense(rng, 6, 5)), (f"relu {HOSTILE}", L.ReLU()),
                    (f"out {HOSTILE}", nets.dense(rng, 5, 3))], (6,), class_names=(HOSTILE, "a", "b"))


def explained(network, count=None, rules="epsilon", target="max", **how):
    """An explanation of one sample, or of a batch."""
    x = nets.inputs(network, count or 1, 5)
    return lrp_core.explain(network, x if count else x[0], rules, target, **how)


def is_short(shown):
    """One line of at most 200 characters, all of them printable, without a place in memory."""
    return len(shown) <= 200 and shown.isprintable() and "0x" not in shown and shown[0] + shown[-1] == "<>"


class Odd:
    """A condition that is an object."""

    def __call__(self, network, node):
        return True


# --- one line at a prompt

@pytest.mark.parametrize("make", [lambda: nets.one_dense(1), lambda: nets.deep(1), nets.wide, fast_nets.vgg,
                                  fast_nets.branching, hostile], ids=range(6))
def test_a_network_and_what_is_made_of_it_are_lines(make):
    network = make()
    one, batch = explained(network), explained(network, 30)
    profile = lrp_core.profile(network, nets.inputs(network, 1)[0], engine="numpy", repeats=1)
    for found in (network, *network.nodes, network.forward(nets.inputs(network, 2)), one, batch, one.ledger,
                  batch.ledger, profile):
        assert is_short(repr(found)), repr(found)
    assert f"{len(network.nodes)} layers" in repr(network) and f"{network.parameters:,}" in repr(network)
    score = float(re.search(r"\(score (\S+)\);", repr(one))[1])
    assert score == pytest.approx(one.ledger.start, abs=0.0051)
    assert "30 samples" in repr(batch) and "27 more" in repr(batch)
    assert str(one.relevance.shape) in repr(one) and f"{len(profile)} steps" in repr(profile)


def test_the_embedded_network_is_a_line(urban_sounds):
    assert repr(urban_sounds) == ("<Network: 24 layers, 1,958,730 parameters, input (64, 64, 3), 10 classes>")


@pytest.mark.parametrize("rules", [*lrp_core.PRESETS, *METHODS])
def test_presets_are_lines(rules):
    assert is_short(repr(lrp_core.composite(rules))) and rules in repr(lrp_core.composite(rules))
    assert repr(lrp_core.composite(rules)).count("...") <= (len(rules) > 16)  # only the longest are cut


def test_conditions_go_by_their_names():
    def mine(network, node):
        return True
    rules = [(mine, Flat()), ("conv*", Epsilon(0.5)), (L.Dense, Flat()), (functools.partial(mine), Flat()),
             (Odd(), Flat()), (lrp_core.up_to("conv2"), Epsilon(0.25))]
    assert repr(lrp_core.composite(rules, gates="half")) == (
        "<Composite: custom: mine -> Flat(); 'conv*' -> Epsilon(epsilon=0.5); Dense, mine, and 1 more -> "
        "Flat(); up_to('conv2') -> Epsilon(epsilon=0.25); gates='half'>")
    cells = Reader(lrp_core.composite(rules)._repr_html_()).cells
    assert cells[1:] == [["mine", "Flat()"], ["'conv*'", "Epsilon(epsilon=0.5)"],
                         ["Dense, mine, Odd", "Flat()"], ["up_to('conv2')", "Epsilon(epsilon=0.25)"]]
    assert "up_to('conv2b')" in repr(preset_b_flat_until("conv2b"))

    @dataclasses.dataclass(frozen=True, repr=False, eq=False)
    class Own(lrp_core.Rule):
        share: object
    shown = repr(lrp_core.composite(Own(mine)))
    assert is_short(shown) and "everywhere -> Own(share=<function test_conditions_go_by" in shown


DRAW = np.random.default_rng(1).standard_normal
LINES = {
    "Dense(3 -> 2)": L.Dense(DRAW((3, 2))),
    "Conv2D(3x5, 32 -> 64, strides=(2, 2), padding='same', groups=2)":
        L.Conv2D(DRAW((3, 5, 16, 64)), None, 2, "same", groups=2),
    "Conv1D(5, 3 -> 4)": L.Conv1D(DRAW((5, 3, 4)), DRAW(4)),
    "DepthwiseConv2D(3x3, 8 -> 16)": L.DepthwiseConv2D(DRAW((3, 3, 8, 2))),
    "Conv2DTranspose(3x3, 2 -> 4)": L.Conv2DTranspose(DRAW((3, 3, 4, 2))),
    "BatchNorm(4)": L.BatchNorm(DRAW(4), DRAW(4)), "Affine(1x5)": L.Affine(DRAW((1, 5))),
    "Projection(3 -> 7)": L.Projection(DRAW((3, 7))), "PReLU(4)": L.PReLU(DRAW(4)),
    "GroupNorm(4, groups=2)": L.GroupNorm(DRAW(4), DRAW(4), groups=2),
    "LSTM(3 -> 4, reverse=True)": L.LSTM(DRAW((3, 16)), DRAW((4, 16)), reverse=True),
    "ReLU()": L.ReLU()}


@pytest.mark.parametrize("shown", LINES)
def test_layers_are_lines_with_sizes_and_no_weights(shown):
    assert repr(LINES[shown]) == shown == repr(LINES[shown].astype(np.float32))


def test_layers_from_outside_are_lines_too():
    """Also one that is no dataclass, and one whose array is not there yet."""
    class Own(L.Dense):
        pass

    class Odd(L.Layer):
        arrays, options = ("kernel",), ("way",)
        way = 1
    odd = Odd()
    assert repr(Own(DRAW((3, 2)))) == "Own(3 -> 2)" and repr(odd) == "Odd()"
    odd.kernel, odd.way = DRAW((2, 5)), "x" * 500
    assert repr(odd).startswith("Odd(2x5, way='xxx") and len(repr(odd)) <= 200


@pytest.mark.parametrize("make", [lambda: nets.deep(1), hostile])
def test_a_check_is_a_line(make):
    found = lrp_core.check(make(), rules=["epsilon", "flat"])
    assert is_short(repr(found)) and "not compared" in repr(found)
    assert f"{len(found.nodes)} layers, 2 presets" in repr(found)
    assert f"{len(found.findings)} findings" in repr(found)


def test_messages_show_who_gave_what():
    """The table in a notebook holds the numbers of the printed one; names are obeyed nowhere."""
    for network, node in ((nets.deep(1), "hidden"), (hostile(), f"hidden {HOSTILE}")):
        e = explained(network, layers=True)
        m = lrp_core.messages(e, node, 2)
        assert is_short(repr(m)) and is_short(repr(lrp_core.Microscope(e).route(node, 2)))
        found = Reader(m._repr_html_())
        printed = [line.split() for line in m.table().split("\n") if not line.startswith("---")]
        assert [" ".join(cells).split() for cells in found.cells] == printed
        assert "Messages of hidden" in found.text and "Dense, Epsilon" in found.text


# --- what was explained

@pytest.mark.parametrize("how", nets.WAYS, ids=lambda how: "-".join(how.values()))
def test_targets_go_by_their_names(how):
    named = nets.deep(2)
    winner = nets.CLASSES[int(named.logits(nets.inputs(named, 1, 5)[0]).argmax())]
    for target, name in (("max", winner), ("drill", "drill"), (2, "siren"), ("sum", "the sum of all scores"),
                         (Contrast("siren", "bark"), "siren against bark"),
                         (Contrast(0, "max"), f"bark against {winner}")):
        found = explained(named, target=target, **how)
        assert found.target_name == name and repr(found).startswith(f"<Explanation: {name} (score ")
        assert explained(named, 2, target=target, **how)[0].target_name == name
    batch = explained(named, 3, target=["siren", Contrast("bark", "drill"), 1], **how)
    assert batch.target_name == ["siren", "bark against drill", "drill"]
    assert [batch[k].target_name for k in range(3)] == batch.target_name
    assert batch[0].other is None and batch[1].other == 1 and batch.other.tolist() == [-2, 1, -2]
    assert explained(named, 3, target=1, **how).other is None
    assert explained(named, start=("conv1", 3), **how).target_name == "channel 3 of conv1"
    assert explained(named, 2, start=("conv1", (0, 1, 3)), **how).target_name == ["conv1 at (0, 1, 3)"] * 2


def test_targets_without_names_are_told_as_they_are_asked_for():
    row = nets.one_dense(3).replace(class_names=None)
    assert explained(row, target=2).target_name == "2"
    image = Network([("conv", L.Conv2D(nets.numbers(np.random.default_rng(3), 3, 3, 2, 4), padding="same"))],
                    (5, 6, 2))
    assert explained(image, target=(4, 0, 3)).target_name == "(4, 0, 3)"
    assert explained(image, 2, target=Contrast((0, 0, 1), (1, 2, 0))).target_name == [
        "(0, 0, 1) against (1, 2, 0)"] * 2


# --- HTML

def test_html_obeys_no_name_and_holds_the_numbers():
    network = hostile()
    one, batch = explained(network, target=0), explained(network, 25, target=0)
    rules = [(HOSTILE.join(("hidden ", "")), Epsilon(0.5)), ("*", Flat())]
    profile = lrp_core.profile(network, nets.inputs(network, 1)[0], engine="numpy", repeats=1)
    objects = {"network": network, "one": one, "batch": batch, "ledger": one.ledger, "mean": batch.ledger}
    shown = {name: Reader(found._repr_html_()) for name, found in objects.items()}
    assert CLEANED[:20] in Reader(profile._repr_html_()).text
    assert "hidden <b onclick" in Reader(lrp_core.composite(rules)._repr_html_()).text
    for found, page in shown.items():
        assert CLEANED[:20] in page.text, found
        assert not set(page.text) & {"\x1b"}
    assert ["hidden " + CLEANED, "Dense", "(5,)", "35"] in shown["network"].cells
    for ledger, page in ((one.ledger, shown["ledger"]), (batch.ledger, shown["mean"])):
        rows = {row[0]: row for row in page.cells}
        for entry in (*ledger, ledger.total):
            if entry.name.startswith(("out", "total")):
                row = rows[entry.name.replace(HOSTILE, CLEANED)]
                for part in ("received", "passed", "bias", "gated"):
                    assert f"{np.mean(getattr(entry, part)) + 0.0:.4f}" in row, (part, row)
        assert ledger.sentence in page.text
    assert one.ledger.sentence in shown["one"].text
    assert f"{float(one.relevance.sum()):.4g}" in shown["one"].text
    assert "and 5 more" in shown["batch"].text
    assert [row[0] for row in shown["batch"].cells if row[0].isdigit()] == [str(n) for n in range(20)]


@pytest.mark.parametrize("shape", [(7, 5, 2), (6, 9), (300, 600, 1), (40,), (1, 2000)], ids=str)
def test_a_notebook_shows_the_map(shape):
    """Decoded by another program: signs as colours, strength as opacity, zero transparent."""
    r = np.random.default_rng(4).standard_normal(shape)
    r[0], r.flat[-1] = 0, -100
    image, = Reader(explanation_of(r)._repr_html_()).images
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))
    flat = r.sum(axis=-1) if len(shape) == 3 and shape[-1] > 1 else r.reshape([n for n in shape if n > 1])
    flat = flat if flat.ndim == 2 else flat[None]
    if max(shape) < 257:
        assert pixels.shape == (*flat.shape, 4)
        strong = pixels[..., 3] > 0.02
        np.testing.assert_array_equal((pixels[..., 0] > pixels[..., 2])[strong], (flat > 0)[strong])
        np.testing.assert_allclose(pixels[..., 3], np.clip(np.abs(flat) / np.quantile(np.abs(flat), 0.995), 0,
                                                           1), atol=0.005)
    assert pixels.shape[0] <= 256 and pixels.shape[1] <= 512
    assert pixels[-1, -1, 3] == 1 and pixels[-1, -1, 2] > pixels[-1, -1, 0]


def explanation_of(relevance):
    """An Explanation of one sample with this relevance."""
    start = float(relevance.sum())
    ledger = Ledger.of([Entry("all", "Dense", "Zero()", start, start)], start, start)
    return lrp_core.Explanation(relevance, np.zeros(3, np.float32), 1, nets.CLASSES, None, ledger,
                                L.Softmax())


def test_what_is_no_picture_is_shown_without_one():
    e = explanation_of(np.ones((2, 3, 4, 5)))
    assert not Reader(e._repr_html_()).images
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\) is no picture"):
        e.plot()


# --- figures

def test_an_explanation_draws_its_map(tmp_path):
    network = nets.deep(6)
    e = explained(network, target="siren", layers=True)
    axes, *_ = e.plot(tmp_path / "map.png").axes
    np.testing.assert_allclose(axes.images[0].get_array(), e.relevance.sum(axis=-1))
    assert axes.get_title(loc="left") == f"siren (score {e.ledger.start:.2f})"
    assert matplotlib.image.imread(tmp_path / "map.png").shape[0] > 200
    inner, *_ = e.plot(node="conv2").axes
    np.testing.assert_allclose(inner.images[0].get_array(), e.layers["conv2"].sum(axis=-1))
    with pytest.raises(ValueError, match="layers=True"):
        e.plot(node="conv9")
    batch = explained(network, 14).plot()
    assert sum(bool(axes.images) for axes in batch.axes) == 12 and "first 12 of 14" in batch.get_suptitle()
    row, = explained(nets.two_dense(6)).plot().axes
    assert row.get_legend_handles_labels()[1] == ["for", "against"]
    channels_first = explanation_of(np.random.default_rng(6).standard_normal((2, 9, 30)))
    assert channels_first.plot().axes[0].images[0].get_array().shape == (9, 30)


@pytest.mark.parametrize("rules", ["epsilon", "preset_b_flat", [("*", Epsilon(2.0))]])
def test_a_ledger_draws_where_the_score_went(rules):
    ledger = explained(nets.deep(7), rules=rules).ledger
    axes, = ledger.plot().axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "score" and names[-1] == "the input" and set(names[1:-1]) <= {e.name for e in ledger}
    first, *steps, last = axes.patches
    assert first.get_width() == pytest.approx(ledger.start)
    assert last.get_width() == pytest.approx(ledger.arrived)
    ends = [step.get_x() + step.get_width() for step in steps]
    assert [step.get_x() for step in steps] == pytest.approx([ledger.start, *ends[:-1]])
    assert ends[-1] == pytest.approx(ledger.arrived, abs=1e-4 * abs(ledger.start))


def test_a_long_ledger_draws_its_largest_layers():
    entries = [Entry(f"layer {k}", "Dense", "Zero()", 100.0 - k, 99.0 - k, bias=1.0, turnover=9.0)
               for k in range(60)]
    figure = Ledger.of(entries, 100.0, 40.0).plot()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == 26 and names[-2] == "37 other layers"


def test_a_profile_draws_the_time_of_each_layer():
    rows = [Row("a", "forward", "x", 0.001, 0), Row("b$^$", "forward", "x", 0.002, 5),
            Row("b$^$", "backward", "NumPy", 0.004, 0, "why"), Row("a", "backward", "x", 0.003, 0)]
    profile = Profile(rows)
    assert profile.by_layer == {"a": {"forward": 0.001, "backward": 0.003},
                                "b$^$": {"forward": 0.002, "backward": 0.004}}
    assert repr(profile) == "<Profile: 4 steps, 10 ms a sample, most in b$^$ backward (40%)>"
    axes, = profile.plot().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b$^$"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([1, 2, 3, 4])
    assert ["b$^$", "backward", "NumPy", "4.000", "40.0%", "", "why"] in Reader(profile._repr_html_()).cells
    many = Profile([Row(f"layer {k}", "forward", "x", 0.001 * k, 0) for k in range(50)]).plot()
    assert len(many.axes[0].get_yticklabels()) == 41
    assert repr(Profile()) == "<Profile: 0 steps, 0 ms a sample>" and "total" in str(Profile())


def test_without_matplotlib_a_figure_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    e = explained(nets.deep(8))
    for found in (e, e.ledger, Profile([Row("a", "forward", "x", 0.1, 0)])):
        with pytest.raises(ImportError, match="pip install matplotlib"):
            found.plot()
        Reader(found._repr_html_())


# --- sounds

@pytest.fixture(scope="module")
def timeline(tmp_path_factory):
    """Of the embedded clip, in a file of a hostile name."""
    path = tmp_path_factory.mktemp("sounds") / "<b>&\n\x1b.flac"
    shutil.copy(audio_lrp.EMBEDDED_CLIP, path)
    return audio_lrp.timeline(path, hop=1.0)


def test_a_timeline_and_an_answer_are_shown(timeline):
    assert is_short(repr(timeline)) and f"{len(timeline.events)} events" in repr(timeline)
    page = Reader(timeline._repr_html_())
    assert len(page.images) == 1 and "<b>&\\n\\x1b.flac" in page.text
    assert page.cells[0] == ["from", "to", "heard", "probability", "rests on"] and timeline.events
    for row, event in zip(page.cells[1:], timeline.events, strict=True):
        assert row[2] == event.class_name and row[3] == f"{event.value:.0%}"
    answer = audio_lrp.explain(timeline.name)
    assert is_short(repr(answer)) and "siren" in repr(answer) and answer.e.target_name == "siren"
    assert answer.notes[0] == answer.e.ledger.sentence.replace("the input", "the sound")
    assert answer.ledger.sentence.replace("the input", "the sound") in answer._repr_html_()


def test_a_timeline_goes_on_with_the_same_rules_only(tmp_path):
    """A composite's line says less than what its answers depend on."""
    def rest_of(condition):
        rules = lrp_core.composite([(condition, Epsilon(0.5)), (lambda network, node: True, Flat())])
        found = audio_lrp.timeline(audio_lrp.EMBEDDED_CLIP, rules=rules, hop=4.0, keep=tmp_path,
                                   engine="numpy")
        return repr(rules), found.arrays["moments_for"].tobytes()
    (one, first), (other, second) = map(rest_of, (lambda network, node: True,
                                                  lambda network, node: node.name != "conv1a"))
    assert one == other and first != second
    rules = [lrp_core.composite([(lambda network, node: True, Epsilon(0.5))]) for _ in range(2)]
    assert repr(rules[0]) == repr(rules[1]) and windows.identity(rules[0]) != windows.identity(rules[1])
    assert windows.identity(rules[0]) == windows.identity(rules[0])
    assert windows.identity(lrp_core.composite("epsilon", gates="half")) != windows.identity(
        lrp_core.composite("epsilon"))
    assert windows.identity("flat") == windows.rules_name("flat") == "flat"
    assert windows.rules_name(lrp_core.composite("flat")) == "preset_a_flat"
