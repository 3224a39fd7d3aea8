"""Every command takes every model: networks of six kinds on all commands, and mistakes answered in words."""
import csv
import dataclasses
import json
import re
import sys
import typing

import librosa
import matplotlib.image
import nets
import numpy as np
import pytest
import soundfile
from fast_nets import fully, scaled
from report_pages import Page, run

import audio_lrp
import lrp_core
from features import FrontEnd
from features.steps import AreaResize
from lrp_core import layers as L

RATE, WINDOW = 8_000, 4_000  # what all six take: half a second at 8 kHz
MEL = "log_mel:sr=8000,seconds=0.5,n_fft=256,hop_length=128,n_mels=16,scale=log"
FRONT_END = FrontEnd.log_mel(sr=RATE, seconds=0.5, n_fft=256, hop_length=128, n_mels=16, scale="log")
COMMANDS = ["explain", "listen", "report", "timeline", "ledger"]  # those that take a part of a file
ADDRESS = re.compile(r"""(src|href|action)\s*=\s*["']?(https?:)?//|url\(["']?(https?:)?//|@import|fetch\(""")


# ---- the networks, and what they compute, once more

def network_of(seed, classes, *last, samples=False):
    """Convolution, ReLU, mean, scores: of samples or of a picture; a score alone has no name."""
    rng = np.random.default_rng(seed)
    conv = L.Conv1D(nets.numbers(rng, 16, 1, 8) / 4, nets.numbers(rng, 8) / 10, 8) if samples else (
        scaled(rng, (3, 3), 1, 8, strides=(2, 2), padding="valid"))
    mean = L.GlobalAveragePool1D() if samples else L.GlobalAveragePool2D()
    nodes = [("conv", conv), ("relu", L.ReLU()), ("mean", mean), ("out", fully(rng, 8, classes)), *last]
    return lrp_core.Network(nodes, (WINDOW, 1) if samples else (32, 16, 1),
                            class_names=nets.CLASSES if classes == 3 else None)


def by_hand(network, x):
    """The scores of such a network in double precision, by NumPy alone; x: samples or picture."""
    conv, out = network["conv"].layer, network["out"].layer
    *size, _, channels = conv.kernel.shape
    steps = (slice(None, None, np.max(conv.strides)),) * x.ndim
    seen = np.lib.stride_tricks.sliding_window_view(x, size)[steps]
    z = seen.reshape(-1, np.prod(size)) @ np.float64(conv.kernel).reshape(-1, channels)
    z = np.maximum(z + (0 if conv.bias is None else conv.bias), 0).mean(axis=0)
    return z @ np.float64(out.kernel) + (0 if out.bias is None else out.bias)


def picture_by_hand(y):
    """The log-mel picture [frames, bands] of half a second, by librosa."""
    power = librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=256, hop_length=128, n_mels=16)
    return np.log(power.T + 1e-6)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A model file with the options that it needs; scores: samples [4000] -> what it should say of them."""
    path: typing.Any
    front_end: str | None
    names: tuple
    scores: typing.Callable
    reads: str

    @property
    def asked(self):
        """The options that choose this model."""
        return ["--model", self.path, *(["--front-end", self.front_end] if self.front_end else [])]

    def explain(self, *sound, **how):
        return audio_lrp.explain(*sound, model=self.path, front_end=self.front_end, **how)


def saved(path, network, front_end=None):
    """The Kind of a network, in a file that carries its front end unless there is one to name."""
    network.replace(metadata={} if front_end else {"front_end": FRONT_END.as_dict()}).save(path)
    return Kind(path, front_end, network.class_names or ("output",),
                lambda y: by_hand(network, y if front_end else picture_by_hand(y)),
                "probabilities" if network.nodes[-1].name == "last" else "scores")


def onnx_kind(folder):
    """A convolution over (1, bands, frames) with scores that have no names; said by onnx's own evaluator."""
    pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator
    from onnx_models import draw, make, node, save
    weights = {"w": draw(8, 1, 3, 3), "b": draw(8), "v": draw(8, 4), "d": draw(4)}
    model = make([node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
                  node("GlobalAveragePool", "r", "p"), node("Flatten", "p", "f"), node("Gemm", "f v d")],
                 weights, (1, 16, 32))

    def scores(y):
        picture = picture_by_hand(y).T[None, None].astype(np.float32)
        return ReferenceEvaluator(model).run(None, {"x": picture})[0][0]
    return Kind(save(folder, model), MEL, tuple(f"class {number}" for number in range(4)), scores, "scores")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{kind: Kind}; ONNX's is made where it is asked for."""
    folder = tmp_path_factory.mktemp("models")
    found = {"carried": saved(folder / "carried.npz", network_of(0, 3, ("last", L.Softmax()))),
             "samples": saved(folder / "samples.npz", network_of(1, 3, samples=True), "waveform:8000"),
             "labels": saved(folder / "labels.npz", network_of(2, 3, ("last", L.Sigmoid()))),
             "scores": saved(folder / "scores.npz", network_of(3, 3)),
             "number": saved(folder / "number.npz", network_of(4, 1))}
    return lambda kind: onnx_kind(folder) if kind == "onnx" else found[kind]


@pytest.fixture(params=["carried", "samples", "labels", "scores", "onnx", "number"])
def kind(request, made):
    return made(request.param)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with a second of sound: silence first, then, from 0.5 s on, a tone in noise."""
    folder = tmp_path_factory.mktemp("sounds")
    t = np.arange(WINDOW) / RATE
    second = 0.3 * np.sin(2 * np.pi * 900 * t) + 0.05 * np.random.default_rng(0).standard_normal(WINDOW)
    (folder / "siren").mkdir()
    for name, y in (("burst.wav", np.r_[np.zeros(WINDOW), second]), ("noisy.wav", second),
                    ("siren/low.wav", 0.5 * np.sin(2 * np.pi * 90 * t))):
        soundfile.write(folder / name, y, RATE, subtype="FLOAT")
    return folder


def heard(path, start=0):
    """The half second of a file that a model hears."""
    return soundfile.read(path)[0][start:start + WINDOW]


def done(*arguments):
    """What a command said; it has to succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(words, *arguments):
    """A command has to end with these words, " | " between them, and without any of Python's own."""
    result = run(*arguments)
    assert result.exit_code != 0 and isinstance(result.exception, SystemExit), result.output
    assert all(one in result.output for one in words.split(" | ")), result.output
    assert "Traceback" not in result.output and "argument" not in result.output


def output(command, path):
    """The option that says where a command writes; `ledger` only prints."""
    return [] if command == "ledger" else ["-o", path]


# ---- every command, every model

def test_explain_says_what_the_network_computes(kind, sounds, tmp_path):
    said = done("explain", sounds / "noisy.wav", *kind.asked, "-o", tmp_path)
    expected = kind.scores(heard(sounds / "noisy.wav"))
    facts = json.loads((tmp_path / "noisy.json").read_text())
    assert list(facts["logits"]) == list(kind.names)
    np.testing.assert_allclose(list(facts["logits"].values()), expected, rtol=0, atol=1e-4)
    best = kind.names[expected.argmax()]
    assert facts["heard"] == best and best in said and facts["reads"] == kind.reads
    if kind.reads == "probabilities":
        p = 1 / (1 + np.exp(-expected)) if facts["independent_probabilities"] else (
            np.exp(expected) / np.exp(expected).sum())
        np.testing.assert_allclose(list(facts["probabilities"].values()), p, atol=1e-5)
        assert facts["independent_probabilities"] == ("labels" in kind.path.name)
        assert f"{p.max():.1%}" in said
    else:
        assert "probabilities" not in facts and f" {expected.max():.3g}\n" in said
    with np.load(tmp_path / "noisy.npz") as arrays:
        assert arrays["relevance_samples"].shape == (WINDOW,) and arrays["relevance_samples"].any()
    picture = matplotlib.image.imread(tmp_path / "noisy.png")
    assert min(picture.shape[:2]) > 500 and picture[..., :3].std() > 0.1


def test_relevance_of_samples_is_gradient_times_sample_where_nothing_is_kept(made, sounds):
    """By differences of the network computed by hand: without biases, LRP-0 of a ReLU network is that."""
    kind, y = made("samples"), heard(sounds / "noisy.wav")
    network = lrp_core.load(kind.path)
    network = network.replace(nodes=[(one.name, dataclasses.replace(one.layer, bias=None) if one.layer.arrays
                                      else one.layer, one.inputs) for one in network.nodes])
    answer = audio_lrp.explain(y, RATE, model=network, front_end=kind.front_end, rules=lrp_core.Zero())
    target = by_hand(network, y).argmax()
    assert answer.relevance.sum() == pytest.approx(answer.score, rel=1e-8)
    for place in np.argsort(-np.abs(answer.relevance))[[0, 50, 500]]:
        step = 1e-7 * np.eye(1, WINDOW, place)[0]
        slope = (by_hand(network, y + step) - by_hand(network, y - step))[target] / 2e-7
        assert answer.relevance[place] == pytest.approx(y[place] * slope, rel=1e-4)


def test_the_ledger_goes_from_the_score_to_the_samples(kind, sounds):
    """What the command prints, and, in Python, that relevance and what was kept make up the score."""
    said = done("ledger", sounds / "noisy.wav", *kind.asked, "--rules", "epsilon", "--all")
    expected = kind.scores(heard(sounds / "noisy.wav"))
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line}
    assert f"{kind.names[expected.argmax()]}, score" in said and "sound/fit" in rows
    answer = kind.explain(sounds / "noisy.wav", rules="epsilon")
    kept, share = answer.ledger.total, answer.relevance.sum()
    assert answer.relevance.dtype == np.float64 and answer.score == pytest.approx(expected.max(), abs=1e-4)
    assert share + kept.bias + kept.stabilizer + kept.gated == pytest.approx(answer.score, rel=1e-8)
    parts = [answer.score, share, kept.bias, kept.stabilizer, kept.gated]
    np.testing.assert_allclose(np.float64(rows["total"][:5]), parts, rtol=0, atol=6e-5)


def test_listen_takes_the_sound_apart(kind, sounds, tmp_path):
    said = done("listen", sounds / "noisy.wav", *kind.asked, "-o", tmp_path, "--check", 1)
    expected = kind.scores(heard(sounds / "noisy.wav"))
    assert f"{kind.names[expected.argmax()]}: 50%" in said and "of 1 clips" in said
    parts = {name: soundfile.read(tmp_path / f"noisy-{name}.wav")
             for name in ("original", "relevant", "against", "remainder")}
    assert {(len(y), rate) for y, rate in parts.values()} == {(WINDOW, RATE)}
    np.testing.assert_allclose(parts["original"][0], heard(sounds / "noisy.wav"), atol=1e-3)
    assert parts["relevant"][0].any() and not np.array_equal(parts["relevant"][0], parts["original"][0])


def test_the_report_is_a_page_of_its_own(kind, sounds, tmp_path):
    done("report", sounds / "noisy.wav", *kind.asked, "-o", tmp_path / "it.html", "--rules", "epsilon")
    text, expected = (tmp_path / "it.html").read_text("utf-8"), kind.scores(heard(sounds / "noisy.wav"))
    assert not ADDRESS.search(text) and "noisy.wav" in text
    _, (clip,) = Page(text).json()
    order = np.argsort(-expected)
    assert clip["classes"] == [kind.names[number] for number in order] and clip["more"] == 0
    if kind.reads == "scores":
        assert clip["said"] == [f"{expected[number]:.3g}" for number in order]
    assert len(clip["explanations"][0]) == len(kind.names)


def test_a_data_set_is_sorted_by_what_was_heard(kind, sounds, tmp_path):
    done("dataset", sounds, *kind.asked, "-o", tmp_path / "out", "--jobs", 1)
    rows = list(csv.DictReader((tmp_path / "out" / "index.csv").open()))
    assert [row["path"] for row in rows] == ["burst.wav", "noisy.wav", "siren/low.wav"]
    for row in rows:
        expected = kind.scores(heard(sounds / row["path"]))
        best = kind.names[expected.argmax()]
        assert row["predicted"] == best and float(row["logit"]) == pytest.approx(expected.max(), abs=1e-3)
        label = "siren" if row["path"].startswith("siren/") and "siren" in kind.names else ""
        assert row["label"] == label and row["correct"] == (str(int(best == label)) if label else "")
    assert (tmp_path / "out" / "SUMMARY.md").exists() and list((tmp_path / "out" / "classes").glob("*.png"))


def test_the_summary_and_the_check_name_every_layer(kind):
    said = done("summary", "--model", kind.path)
    layers = {node.name: node.layer for node in audio_lrp.models.load(kind.path).nodes}
    assert [line.split("  ")[0] for line in said.splitlines()[3:-2]] == list(layers)
    numbers = sum(getattr(one, name).size for one in layers.values() for name in one.arrays)
    assert said.split()[-1] == str(numbers)
    checked = done("check", kind.path, "--rules", "epsilon")
    assert all(name in checked for name in layers)


def test_a_timeline_explains_each_window_as_a_sound(kind, sounds, tmp_path):
    done("timeline", sounds / "burst.wav", *kind.asked, "-o", tmp_path)
    expected = [kind.scores(heard(sounds / "burst.wav", start)) for start in (0, 2_000, 4_000)]
    with np.load(tmp_path / "burst-timeline.npz") as arrays:
        values = arrays["values"]
    assert values.argmax(axis=1).tolist() == np.argmax(expected, axis=1).tolist()
    page = (tmp_path / "burst-timeline.html").read_text(encoding="utf-8")
    assert not ADDRESS.search(page) and all(name in page for name in kind.names)
    if kind.reads == "scores":
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)
        events = json.loads((tmp_path / "burst-timeline.json").read_text())["events"]
        last = [(event["class"], event["end_s"]) for event in events[-1:]]  # a single score has none
        assert last == [(kind.names[np.argmax(expected[-1])], 1)] * (len(kind.names) > 1)


# ---- the part of a file

def test_start_and_end_choose_what_is_heard(kind, sounds, tmp_path):
    """A burst in the second half: a quarter of a second from there is heard."""
    done("explain", sounds / "burst.wav", *kind.asked, "--start", 0.5, "--end", 0.75, "-o", tmp_path)
    facts = json.loads((tmp_path / "burst.json").read_text())
    y = np.pad(heard(sounds / "burst.wav", WINDOW)[:2_000], (0, 2_000))
    np.testing.assert_allclose(list(facts["logits"].values()), kind.scores(y), rtol=0, atol=1e-4)
    assert (facts["start_s"], facts["heard_s"], facts["duration_s"]) == (0.5, 0.25, 1.0)
    assert not any("silent" in words for words in facts["warnings"])
    with np.load(tmp_path / "burst.npz") as arrays:
        assert arrays["relevance_samples"].shape == (2_000,) and arrays["relevance_samples"].any()


def test_silence_is_not_told_to_carry_the_score(made, sounds):
    """What the network made of digital silence reaches its input, but no sample of the sound."""
    for start, share in ((0.0, "0%"), (0.5, None)):
        answer = made("carried").explain(sounds / "burst.wav", start=start)
        share = share or f"{answer.relevance.sum() / answer.score:.0%}"
        assert answer.notes[0].startswith(f"{share} of the score {answer.score:.2f} reaches the sound")
        assert ("(gated)" in answer.notes[0]) == (start == 0)
        assert any("silent" in words for words in answer.warnings) == (start == 0)


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_the_other_commands_hear_the_same_part(command, made, sounds, tmp_path):
    kind, where = made("samples"), tmp_path / ("page.html" if command == "report" else "")
    late = kind.scores(heard(sounds / "burst.wav", WINDOW))
    said = done(command, sounds / "burst.wav", *kind.asked, "--start", 0.5, *output(command, where))
    if command == "listen":
        y, _ = soundfile.read(tmp_path / "burst-original.wav")
        np.testing.assert_allclose(y, heard(sounds / "burst.wav", WINDOW), atol=1e-3)
    elif command == "timeline":
        found = np.load(tmp_path / "burst-timeline.npz")["values"]
        np.testing.assert_allclose(found, [late], rtol=0, atol=1e-4)
    elif command == "report":
        assert f'"{late.max():.3g}"' in where.read_text(encoding="utf-8")
    else:
        assert f"score {late.max():.4f}" in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("part", "words"), [(("--start", 2), "before the start at 2 s"), (
    ("--start", 0.5, "--end", 0.25), "from 0.5 to 0.25 s is empty")])
def test_a_part_beyond_the_end_is_refused(command, part, words, made, sounds, tmp_path):
    refused(words, command, sounds / "burst.wav", *made("carried").asked, *part,
            *output(command, tmp_path / "out"))


# ---- mistakes

@pytest.mark.parametrize("command", [*COMMANDS, "dataset"])
@pytest.mark.parametrize("name", ["samples", "onnx"])
def test_without_a_front_end_the_remedy_is_named(command, name, made, sounds, tmp_path):
    kind = made(name)
    source = sounds if command == "dataset" else sounds / "noisy.wav"
    shape = "(4000, 1)" if name == "samples" else "(1, 16, 32)"
    refused(f"{kind.path.name} | {shape} | give a front end | waveform:RATE | log_mel:sr=16000 | JSON file",
            command, source, "--model", kind.path, *output(command, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("asked", "words"), [
    ("mel:8000", "no front end is called 'mel:8000' | log_mel:"), ("none.json", "nor is there such a file"),
    ("", "no front end is called"), (f"{MEL},n_melz=3", "no setting 'n_melz' | n_mels"),
    (MEL.replace("s=16", "s=x"), "n_mels must be | 'x'"), (f"{MEL},normalize=a/b", "normalize=a/b | numbers"),
    ("waveform", "waveform:16000"), ("waveform:fast", "must be | 'fast'"), ("study:8000", "no setting"),
    ("waveform:8000,normalize=loud", "normalize must be"), (MEL.replace("s=16", "s=17"), "(32, 17)"),
    (MEL.replace("0.5", "none").replace("s=16", "s=17"), "(63, 17)"),
    ("study", "(32, 16, 1) | (64, 64, 3)"), ("waveform:8000", "(32, 16, 1) | (8000,)"),
    ('{"front_end": 1', "not a front end"), ("RIFF\xff", "not a front end"), ("[1]", 'no "front_end"'),
    ('{"front_end": 2}', "format 2 | known is 1"), ('{"front_end": 1, "rate": 8000}', "no setting 'rate'"),
    ('{"front_end": 1, "sample_rate": 8000, "steps": [{"step": "Mell"}]}', "Mell | Spectrogram")])
def test_a_front_end_that_cannot_be_is_refused(asked, words, made, sounds, tmp_path):
    """By its name, its settings, its shape, or what its file holds."""
    if asked.startswith(("{", "[", "RIFF")):
        (tmp_path / "mine.json").write_text(asked, encoding="latin-1")
        asked, words = tmp_path / "mine.json", f"mine.json: not a front end | {words}"
    refused(words, "explain", sounds / "noisy.wav", "--model", made("carried").path, "--front-end", asked,
            "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_front_end_is_the_same_by_every_way_it_comes(made, sounds, tmp_path):
    """In the model, as a file, by a name with settings, as an object; the sample rate as a number alone."""
    FRONT_END.save(tmp_path / "mine.json")
    answers = [audio_lrp.explain(sounds / "noisy.wav", model=made("carried").path, front_end=one)
               for one in (None, tmp_path / "mine.json", str(tmp_path / "mine.json"), MEL, FRONT_END)]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.relevance, answers[0].relevance)
    assert audio_lrp.models.named(MEL.replace("sr=8000", "8000")) == FRONT_END
    assert audio_lrp.models.named(f"{MEL},resize=8/4").steps[-1] == AreaResize(8, 4)


@pytest.mark.parametrize("command", ["explain", "summary"])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_keras_model_without_tensorflow(command, ending, sounds, tmp_path, monkeypatch):
    """The remedy is named: where it can be read, and how it is converted."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    path = tmp_path / f"net.{ending}"
    path.write_bytes(b"any")
    sound = [sounds / "noisy.wav", "-o", tmp_path / "out"] if command == "explain" else []
    refused(f"pip install tensorflow | python -m train_tf export {path} -o net.npz", command, *sound,
            "--model", path)


# ---- in Python

def test_an_answer_has_all_by_name(kind, sounds, tmp_path):
    y = heard(sounds / "noisy.wav")
    answer = kind.explain(np.stack([y, y], axis=1), RATE, rules=["epsilon", "preset_b"])
    assert list(answer.explained) == ["epsilon", "preset_b"] and answer.main.rules == "epsilon"
    best = int(kind.scores(y).argmax())
    assert answer.class_name == answer.target_name == kind.names[best] and answer.e.target == best
    np.testing.assert_array_equal(answer.stage("sound"), answer.relevance)
    if kind.front_end != "waveform:8000":
        assert answer.stage("spectrogram").shape == (32, 129) and answer.stage("mel").shape == (32, 16)
    alone = kind.explain(sounds / "noisy.wav", rules="preset_b")
    np.testing.assert_allclose(answer.explained["preset_b"].samples, alone.relevance, rtol=0,
                               atol=1e-9 * np.abs(alone.relevance).max())
    assert "\n" not in repr(answer) and kind.names[best] in repr(answer) and "epsilon" in repr(answer)
    page = answer._repr_html_()
    assert "data:image/png" in page and "<audio" in page and not ADDRESS.search(page)
    assert answer.plot(tmp_path / "it.png").axes and matplotlib.image.imread(tmp_path / "it.png").std() > 0.05
    assert answer.listen().relevant.shape == (WINDOW,) and answer.listen().relevant.any()
    assert answer.report(tmp_path / "it.html") == tmp_path / "it.html"
    assert kind.names[best] in (tmp_path / "it.html").read_text(encoding="utf-8")
    with pytest.raises(TypeError, match="sample_rate"):
        kind.explain(y)
