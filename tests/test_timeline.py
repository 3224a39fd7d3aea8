"""Recordings of any length: windows, what is heard in them and where it rests; tables, labels, the page."""
import csv
import dataclasses
import html
import json

import click.testing
import numpy as np
import pytest
import soundfile

import audio_lrp
import features
import lrp_core
from audio_lrp import slide as sliding
from audio_lrp import windows
from audio_lrp.cli import main
from features import FrontEnd
from features.synth import synthesize
from lrp_core import layers as L

RATE = 8_000
STEP = 128 / RATE  # seconds from a frame to the next
FRONT_END = FrontEnd.log_mel(sr=RATE, seconds=1.0, n_fft=256, hop_length=128, n_mels=16, order="ftc")


@pytest.fixture(scope="module")
def network():
    """A small network with a front end in its file: three classes."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return (0.3 * rng.standard_normal(shape)).astype(np.float32)
    return lrp_core.Network([
        ("conv", L.Conv2D(normal(3, 3, 1, 4), normal(4))), ("relu", L.ReLU()),
        ("pool", L.GlobalAveragePool2D()),
        ("scores", L.Dense(normal(4, 3), normal(3))), ("softmax", L.Softmax())],
        FRONT_END.network().output_shape, class_names=("a", "b", "c"),
        metadata={"front_end": FRONT_END.as_dict()})


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """(path, samples) of 7.3 s at another rate than the network's, in two channels."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    y = np.random.default_rng(1).standard_normal((87_600, 2)) * np.linspace(0, 0.3, 87_600)[:, None]
    soundfile.write(path, y, 12_000, subtype="FLOAT")
    return path, soundfile.read(path)[0].mean(axis=1)


@pytest.mark.parametrize(("window", "hop", "start", "end"), [
    (None, None, 0.0, None), (1.0, 0.3, 0.0, None), (0.5, 0.5, 1.2, 4.0), (0.25, 0.1, 6.9, None)])
def test_windows_are_the_parts_of_the_file(sound, window, hop, start, end):
    """Each one the samples that stand there in the file, however the reading went."""
    path, y = sound
    slide = sliding.slide_over(path, FRONT_END, window, hop, start, end)
    last = 7.3 if end is None else end
    found = list(sliding.recordings(path, slide, range(slide.count)))
    for number, recording in enumerate(found):
        begin = start + number * slide.hop
        part = y[round(begin * 12_000):round(min(begin + slide.window, last) * 12_000)]
        np.testing.assert_allclose(recording.samples, part, atol=1e-7)
        assert recording.start == pytest.approx(begin, abs=1e-4)
    # nothing at the end is left out, and no window more than that takes
    assert start + (slide.count - 1) * slide.hop + slide.window >= last - 1e-9
    assert slide.count == 1 or start + (slide.count - 2) * slide.hop + slide.window < last


def test_each_window_is_explained_as_a_file_of_its_own(sound, network):
    path, y = sound
    found = audio_lrp.timeline(path, model=network, hop=0.4)
    assert found.values.shape == (found.slide.count, 3)
    for number in (0, 3, found.slide.count - 1):
        begin = number * 0.4
        part = y[round(begin * 12_000):round((begin + 1) * 12_000)]
        answer = audio_lrp.explain(part, 12_000, model=network)
        np.testing.assert_allclose(found.values[number], answer.values, atol=1e-6)
        assert found.arrays["target"][number] == answer.e.target
        sums = answer.main.map.sum(axis=1)
        sums[answer.main.axes.seconds >= len(part) / 12_000] = 0  # of the silence that fills the last window
        both = found.arrays["moments_for"][number] + found.arrays["moments_against"][number]
        np.testing.assert_allclose(both, sums, atol=1e-9 * np.abs(sums).max())


def test_relevance_of_overlapping_windows_adds_up(sound, network):
    """All of it is there, on the axis of the whole recording, and where its windows were."""
    path, _ = sound
    found = audio_lrp.timeline(path, model=network, hop=0.25, rules="epsilon")
    edges, relevance = found.relevance
    assert edges[0] == 0 and edges[-1] >= 7.3
    for target, sums in relevance.items():
        mine = found.arrays["target"] == target
        for row, name in enumerate(("moments_for", "moments_against")):
            assert sums[row].sum() == pytest.approx(found.arrays[name][mine].sum(), rel=1e-9)
    only = audio_lrp.timeline(path, model=network, start=4.0, end=5.0, rules="epsilon")
    edges, relevance = only.relevance
    assert only.slide.count == 1 and edges[0] == pytest.approx(4.0) and len(relevance) == 1
    (sums,) = relevance.values()
    np.testing.assert_allclose(sums[0][:-1], only.arrays["moments_for"][0][:sums.shape[1] - 1], atol=1e-12)


@pytest.mark.parametrize("short", ["zeros", "twice", "loop"])
@pytest.mark.parametrize("window, length", [(1.0, 0.3), (1.0, 1.6), (0.39, 1.2)])
def test_relevance_of_a_short_window_lies_where_it_was_played_first(network, tmp_path, short, window, length):
    """What is played again is added there; what falls on the silence after it is left out."""
    front_end = dataclasses.replace(FRONT_END, short=short)
    y = 0.1 * np.random.default_rng(0).standard_normal(round(length * RATE))
    soundfile.write(tmp_path / "y.wav", y, RATE, subtype="FLOAT")
    found = windows.timeline(tmp_path / "y.wav", network, front_end, "epsilon", window=window)
    expected = {}
    for number, start in enumerate(found.starts):
        end = min(start + window, length)
        answer = audio_lrp.explain(y[round(start * RATE):round(end * RATE)], RATE, model=network,
                                   front_end=front_end, rules="epsilon")
        plays = {"zeros": 1, "twice": 2, "loop": 99}[short]
        sums = expected.setdefault(answer.e.target, np.zeros((2, 200)))
        for seconds, cells in zip(answer.main.axes.seconds, answer.main.map):
            if end - start > 0.99 or seconds < plays * (end - start):
                at = start + (seconds if end - start > 0.99 else seconds % (end - start))
                sums[:, round(at / STEP)] += cells.sum()
        assert number == 0 or answer.e.target in found.relevance[1]
    edges, relevance = found.relevance
    assert edges[0] == 0 and edges[-1] == pytest.approx(length)
    for target, (plus, minus) in relevance.items():
        wanted = expected[target][0]
        scale = np.abs(wanted).sum()
        assert (plus + minus).sum() == pytest.approx(wanted.sum(), abs=1e-6 * scale)
        # A frame that is played again lies between two cells: it may be counted in the neighbour.
        np.testing.assert_allclose(np.cumsum(plus + minus), np.cumsum(wanted)[:len(plus)], atol=0.1 * scale)
    last = found.arrays["seconds"][-1]
    assert np.isnan(last).all() or last[1] <= length + STEP


def test_frames_and_cells_are_one_to_one(sound, network):
    """No cell without a frame in the middle of a recording, and none with two of one window."""
    path, _ = sound
    found = audio_lrp.timeline(path, model=network, hop=0.8, rules="epsilon")
    first, step = found.grid
    assert (first, step) == (pytest.approx(-STEP / 2), pytest.approx(STEP))
    ones = {name: np.ones_like(values) if name.startswith("moments") else values
            for name, values in found.arrays.items()}
    sums = sum(plus for plus, _ in dataclasses.replace(found, arrays=ones).relevance[1].values())
    assert set(sums[1:-1]) <= {1.0, 2.0}


def test_the_picture_shows_what_is_heard_where_its_events_are():
    values = np.array([[2, -1, -1], [-1, 3, -1], [-1, 3, -1], [-1, -1, 4]], np.float32)
    found = with_scores(values, L.Softmax())
    assert found.borders.tolist() == [0.0, 0.75, 1.25, 1.75, 2.5]
    assert [(event.start, event.end) for event in found.events] == [(0, 0.75), (0.75, 1.75), (1.75, 2.5)]


def test_a_run_goes_on_where_it_was(sound, network, tmp_path, monkeypatch):
    path, _ = sound
    monkeypatch.setattr(windows, "BATCH", 4)
    whole, done = audio_lrp.timeline(path, model=network, hop=0.25), []
    keep = tmp_path / "kept"

    def stop(count):
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        audio_lrp.timeline(path, model=network, hop=0.25, keep=keep, progress=stop)
    assert len(list(keep.glob("*.npz"))) == 3
    calls, explain = [], windows.explain_windows
    monkeypatch.setattr(windows, "explain_windows", lambda *a, **k: calls.append(a[4]) or explain(*a, **k))
    again = audio_lrp.timeline(path, model=network, hop=0.25, keep=keep)
    assert calls[0][0] == 12 and sum(map(len, calls)) == whole.slide.count - 12
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    calls.clear()
    audio_lrp.timeline(path, model=network, hop=0.5, keep=keep)  # other settings: nothing of before is used
    assert sum(map(len, calls)) == sliding.slide_over(path, FRONT_END, hop=0.5).count


@pytest.mark.parametrize(("part", "words"), [
    ({"window": 1.5}, "takes up to 1 s"), ({"hop": 2.0}, "leave out parts"),
    ({"start": 9.0}, "ends at 7.30 s"), ({"start": 3.0, "end": 3.0}, "is empty")])
def test_what_cannot_slide_is_refused(sound, network, part, words):
    with pytest.raises(ValueError, match=words):
        audio_lrp.timeline(sound[0], model=network, **part)


def test_a_file_shorter_than_its_header_says(sound, network, tmp_path):
    data = sound[0].read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[:len(data) // 2])
    found = audio_lrp.timeline(tmp_path / "cut.wav", model=network)  # libsndfile measures the file
    assert found.slide.length < 4


def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["timeline", *map(str, arguments)])


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Twenty seconds of noise with a siren from 8 to 12 s."""
    path = tmp_path_factory.mktemp("street") / "street.wav"
    y = 0.003 * np.random.default_rng(0).standard_normal(20 * 44_100)
    y[8 * 44_100:12 * 44_100] += 0.5 * synthesize("siren", 5)
    soundfile.write(path, y, 44_100)
    return path


def test_the_command_finds_a_siren_and_writes_what_it_says(street, tmp_path):
    result = run(street, "-o", tmp_path, "--hop", "1")
    assert result.exit_code == 0, result.output
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"street-timeline.html", "street-timeline.png", "street-timeline.csv",
                     "street-labels.txt", "street-timeline.json", "street-timeline.npz"}
    assert all(name in result.output for name in names)
    events = json.loads((tmp_path / "street-timeline.json").read_text())["events"]
    sirens = [event for event in events if event["class"] == "siren"]
    assert len(sirens) == 1 and sirens[0]["start_s"] < 10 < sirens[0]["end_s"] and sirens[0]["low_hz"] > 400
    assert "siren" in result.output
    rows = list(csv.DictReader((tmp_path / "street-timeline.csv").open()))
    assert len(rows) == 17 and float(rows[3]["start_s"]) == 3
    at = min(rows, key=lambda row: abs(float(row["start_s"]) - 8))
    assert at["heard"] == "siren" and 8 <= float(at["relevant_from_s"]) < float(at["relevant_to_s"]) <= 12
    assert float(at["relevant_from_hz"]) < float(at["relevant_to_hz"])
    labels = (tmp_path / "street-labels.txt").read_text().splitlines()
    start, end, text = next(line for line in labels if "siren" in line).split("\t")
    assert float(start) == pytest.approx(sirens[0]["start_s"]) and text.startswith("siren ")
    assert any(line.startswith("\\\t") for line in labels)
    with np.load(tmp_path / "street-timeline.npz") as arrays:
        assert arrays["values"].shape == (17, 10) and len(arrays["edges"]) - 1 == arrays["relevance"].shape[2]
    page = html.unescape((tmp_path / "street-timeline.html").read_text())
    assert "default-src 'none'" in page and "siren" in page and "src=\"" not in page


def test_silence_is_no_event(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(44_100 * 9), 44_100)
    found = audio_lrp.timeline(tmp_path / "silence.wav")
    assert found.arrays["silent"].all() and found.events == []
    assert "0 events" in repr(found)


def test_a_bad_file_is_named_and_the_others_are_explained(street, tmp_path):
    (tmp_path / "bad.wav").write_text("no sound")
    result = run(tmp_path / "bad.wav", street, "-o", tmp_path / "out", "--hop", "4")
    assert result.exit_code == 1 and "bad.wav: not a sound file" in result.output
    assert (tmp_path / "out" / "street-timeline.png").exists()


def test_a_network_that_takes_samples(sound, tmp_path):
    rng = np.random.default_rng(2)
    network = lrp_core.Network([
        ("conv", L.Conv1D((0.2 * rng.standard_normal((32, 1, 4))).astype(np.float32), strides=8)),
        ("relu", L.ReLU()), ("pool", L.GlobalAveragePool1D()),
        ("scores", L.Dense(rng.standard_normal((4, 2)).astype(np.float32)))], (4000, 1))
    found = audio_lrp.timeline(sound[0], model=network, front_end="waveform:8000")
    assert found.slide.window == 0.5 and found.reads == "scores" and len(found.events) >= 1
    found.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_memory_does_not_grow_with_the_length(network, monkeypatch):
    """What is held while reading is one window, wherever in the file."""
    held = []
    mixed = sliding.mixed

    def counted(file, count):
        held.append(count)
        return mixed(file, count)
    monkeypatch.setattr(sliding, "mixed", counted)
    assert issubclass(features.AudioError, ValueError)
    path = audio_lrp.EMBEDDED_CLIP
    slide = sliding.slide_over(path, FRONT_END, hop=0.1)
    for recording in sliding.recordings(path, slide, range(slide.count)):
        assert len(recording.samples) <= slide.size
    assert max(held) <= slide.size and sum(held) <= 1.01 * slide.length * slide.rate


@pytest.mark.parametrize("seconds, hop", [(5.0, 0.5), (4.3, 0.7), (1.0, 0.5), (0.4, 1.0), (3.0, 1.0)])
def test_the_envelope_reaches_from_the_first_sample_to_the_last(network, tmp_path, seconds, hop):
    """Every stretch holds the extremes of its own samples, whatever window told them; after the last window's
    hop the stretches may be longer.
    """
    y = np.random.default_rng(0).uniform(-1, 1, round(seconds * RATE))
    y *= np.linspace(0.1, 0.9, len(y))
    soundfile.write(tmp_path / "y.wav", y, RATE, subtype="FLOAT")
    found = windows.timeline(tmp_path / "y.wav", network, FRONT_END, "epsilon", hop=hop)
    low, high = found.envelope
    step = hop / sliding.ENVELOPE * RATE
    assert len(low) == len(high) == np.ceil(len(y) / step - 1e-9)
    assert (low.min(), high.max()) == (pytest.approx(y.min()), pytest.approx(y.max()))
    own = found.slide.count * sliding.ENVELOPE
    for place, (least, most) in enumerate(zip(low, high)):
        reach = 3 if place < own else 3 + step * np.ceil(1 / hop - 1)
        first, last = max(int(place * step - reach), 0), int((place + 1) * step + reach)
        assert y[first:last].min() - 1e-6 <= least < 0 < most <= y[first:last].max() + 1e-6
        inner = y[int(place * step) + 2:int((place + 1) * step) - 2]
        if place < own and len(inner):
            assert least - 1e-6 <= inner.min() and inner.max() <= most + 1e-6


def with_scores(values, activation):
    """A Timeline of windows that say these values [windows, scores], one of one second each half."""
    network = lrp_core.Network([("scores", L.Dense(np.eye(values.shape[1], dtype=np.float32))),
                                *[("end", activation)] * (activation is not None)], (values.shape[1],),
                               class_names=tuple("abcdefghijkl"[:values.shape[1]]))
    arrays = {"logits": values, "target": values.argmax(axis=1), "silent": np.zeros(len(values), bool),
              "hertz": np.full((len(values), 2), np.nan)}
    slide = sliding.Slide(1.0, 0.5, 0.0, 0.5 * len(values) + 0.5, RATE)
    return windows.Timeline("made.wav", slide, network, FRONT_END, "epsilon", arrays)


def test_labels_that_hold_together_have_events_of_their_own():
    values = np.array([[2, 3, -1], [2, -1, -1], [-1, -1, -1], [-1, 4, -2]], np.float32)
    found = with_scores(values, L.Sigmoid()).events
    assert [(event.class_name, event.start, event.end) for event in found] == [
        ("a", 0.0, 1.25), ("b", 0.0, 0.75), ("b", 1.75, 2.5)]
    assert found[1].value == pytest.approx(1 / (1 + np.exp(-3)))
    one = with_scores(values, L.Softmax()).events
    assert [event.class_name for event in one] == ["b", "a", "b"]
    assert one[0].end <= one[1].start


def test_what_was_explained_is_drawn_whatever_was_heard(sound, network, tmp_path):
    """A class that never wins, all scores together, and more classes than there are rows."""
    path, _ = sound
    heard = audio_lrp.timeline(path, model=network, rules="epsilon")
    rare = int(np.bincount(heard.arrays["target"], minlength=3).argmin())
    for target, name in ((rare, "abc"[rare]), ("sum", "sum of all scores")):
        found = audio_lrp.timeline(path, model=network, rules="epsilon", target=target)
        ((label, _, (plus, minus)),) = found.rests
        assert label == name and (plus + minus).sum() == pytest.approx(sum(
            found.arrays[f"moments_{way}"].sum() for way in ("for", "against")))
        assert found.explained in (name, f"the {name}", "the class that won")
        found.plot(tmp_path / "picture.png")
    values = np.eye(12)
    found = with_scores(values, L.Softmax())
    arrays = found.arrays | {f"moments_{way}": np.ones((12, 63)) for way in ("for", "against")}
    rests = dataclasses.replace(found, arrays=arrays).rests
    assert len(rests) == windows.CLASSES + 1 and rests[-1][0] == "4 other classes"


def test_a_single_score_has_no_events_and_says_so():
    from audio_lrp.timeline_command import describe
    found = with_scores(np.array([[0.3], [2.0]], np.float32), None)
    assert found.events == [] and "no events" in describe(found)[-1]


def test_a_report_goes_without_the_timeline_that_cannot_be_had(network, tmp_path):
    """A number that is none, five seconds into a recording whose first window is sound."""
    y = 0.1 * np.random.default_rng(0).standard_normal(8 * RATE)
    y[5 * RATE] = np.nan
    soundfile.write(tmp_path / "broken.wav", y, RATE, subtype="FLOAT")
    network.save(tmp_path / "model.npz")
    found = click.testing.CliRunner().invoke(main, ["report", str(tmp_path / "broken.wav"), "--rules", "flat",
                                                    "--model", str(tmp_path / "model.npz"),
                                                    "-o", str(tmp_path / "page.html")])
    assert found.exit_code == 0, found.output
    assert "no timeline" in found.stderr and "NaN" in found.stderr
    assert '"timeline":null' in (tmp_path / "page.html").read_text(encoding="utf-8")
