"""The report: its numbers against independent computation, its words, its bytes."""
import base64
import hashlib
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import soundfile
import study
from report_pages import HOSTILE, PRESETS, Page, last_layer, run, small_model, sound_of, unpack, write_report

import audio_lrp
import features
import lrp_core
from audio_lrp import page as pages
from audio_lrp import plots, report, report_data, ticks
from audio_lrp.explained import Explained
from audio_lrp.names import shortest_names


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def written(tmp_path_factory, small):
    return write_report(tmp_path_factory.mktemp("report"), small[1])


@pytest.fixture(scope="module")
def embedded_clip():
    return features.open_clip(audio_lrp.EMBEDDED_CLIP)


# ---- What it says is what was computed


@pytest.mark.parametrize("rules", PRESETS)
def test_every_class_is_explained_as_lrp_core_does(written, embedded_clip, small, rules):
    network, (common, (data, _)) = small[0], written[1].json()
    assert [preset["name"]
            for preset in common["presets"]] == list(PRESETS), "'flat' is an alias and asked for twice"
    probabilities = lrp_core.explain(network, embedded_clip.image, rules).probabilities
    order = sorted(range(3), key=lambda index: -probabilities[index])
    assert data["classes"] == [network.class_names[index] for index in order] and data["more"] == 0
    np.testing.assert_allclose(data["widths"], probabilities[order], rtol=1e-6)
    assert data["said"] == [f"{probabilities[index]:.1%}" for index in order] and data["heard"] == [0]
    for target in (0, network.class_names.index("siren")):
        e = lrp_core.explain(network, embedded_clip.image, rules, target)
        found = data["explanations"][PRESETS.index(rules)][order.index(target)]
        pixels = e.relevance.sum(axis=-1, dtype=np.float64)
        np.testing.assert_allclose(unpack(found["map"]).reshape(64, 64), pixels,
                                   atol=np.abs(pixels).max() / 60_000)
        assert found["for"] == pytest.approx(pixels[pixels > 0].sum(), rel=1e-6)
        assert found["against"] == pytest.approx(pixels[pixels < 0].sum(), rel=1e-6, abs=1e-9)
        assert found["limit"] == pytest.approx(plots.scale_of(pixels))
        one = Explained(embedded_clip, e, rules)
        mel, ledger = one.stage("mel"), one.ledger
        sums = {f"{name}_{side}": part.sum(axis=axis) for name, axis in (("moments", 1), ("bands", 0))
                for side, part in (("for", np.maximum(mel, 0)), ("against", np.minimum(mel, 0)))}
        for name, expected in sums.items():
            np.testing.assert_allclose(unpack(found[name]), expected, atol=np.abs(expected).max() / 60_000)
        expected = [[getattr(entry, name) for name in report_data.BOOKED]
                    for entry in (*ledger, ledger.total)]
        np.testing.assert_allclose([*found["ledger"], found["total"]], expected, rtol=1e-5, atol=1e-14)
        for received, passed, bias, stabilizer, gated, residual in found["ledger"]:
            assert abs(received - passed - bias - stabilizer - gated - residual) < 1e-4 * max(
                1, abs(received)
            )
    level = np.frombuffer(base64.b64decode(data["level"]), np.uint8).reshape(64, 64)
    np.testing.assert_array_equal(level, study.level_of(audio_lrp.EMBEDDED_CLIP))
    assert (common["rows"], common["columns"], common["seconds"], common["top"]) == (64, 64, 4, 22_050)
    fine = study.band_edges()[1:-1]
    assert common["hertz"] == [round(float(hertz)) for hertz in fine]
    assert common["row_hertz"] == pytest.approx((fine[::-2] + fine[-2::-2]) / 2, abs=0.051)


@pytest.mark.parametrize("rules", PRESETS)
def test_every_row_of_every_ledger_bears_its_own_name(written, small, rules):
    """The two sounds have different rates: only one of them is resampled on its way to the network."""
    _, clips = written[1].json()
    for data, path in zip(clips, (audio_lrp.EMBEDDED_CLIP, written[0].parent / HOSTILE)):
        clip = features.open_clip(path)
        one = Explained(clip, lrp_core.explain(small[0], clip.image, rules), rules)
        assert len(data["explanations"][PRESETS.index(rules)][0]["ledger"]) == len(one.ledger.pages)
        pages = [tuple(page) for page in data["pages"][PRESETS.index(rules)]]
        assert pages == list(one.ledger.pages), path


@pytest.mark.parametrize("number", [0, 1])
def test_the_original_is_what_the_network_hears(written, number):
    """At the front end's rate whatever the file's, to 16 bits; and the waveform reaches as far as it does."""
    data, path = written[1].json()[1][number], (audio_lrp.EMBEDDED_CLIP, written[0].parent / HOSTILE)[number]
    sound = features.open_clip(path).sound
    y, rate = sound_of(data["original"])
    assert rate == 44_100 and len(y) == len(sound)
    np.testing.assert_allclose(y, sound, atol=1 / 32_000)
    low, high = (np.frombuffer(base64.b64decode(data[name]), np.int8) for name in ("low", "high"))
    for column in (0, 1234, 4095):
        part = sound[int(column * len(sound) / 4096):int((column + 1) * len(sound) / 4096)]
        step = np.abs(sound).max() / 127
        assert [low[column] * step, high[column] * step] == pytest.approx([part.min(), part.max()], abs=step)


def test_the_spectrogram_is_as_fine_as_it_is_analysed(written, embedded_clip):
    common, (data, _) = written[1].json()
    power = embedded_clip.stage("mel").T[::-1]
    level = np.maximum(10 * np.log10(np.maximum(power, 1e-10) / power.max()), -80)
    sharp = np.frombuffer(base64.b64decode(data["sharp"]), np.uint8).reshape(common["sharp"])
    assert sharp.shape == level.shape == (128, 345) and data["decibels"] == pytest.approx(level.min())
    np.testing.assert_allclose(data["decibels"] * (1 - sharp / 255), level, atol=0.2)


def test_the_axes_and_colours_are_those_of_the_pictures():
    expected = 255 * matplotlib.colormaps[plots.DIVERGING](np.arange(256))[:, :3]
    np.testing.assert_allclose(report_data.diverging(), expected, atol=0.51)
    for hertz in (study.band_edges()[1:-1], np.linspace(0, 4000, 257), study.band_edges(16_000, 40)[1:-1]):
        found, bands = report_data.ticks(hertz), len(hertz)
        assert len(found) >= 3 and [label for label, _ in found] == [label for _, label in
                                                                     ticks.hertz_ticks(hertz)]
        for label, height in found:
            named = float(label.replace("k", "000"))
            below = int(np.flatnonzero(hertz <= named)[-1])  # its band is between these two middles
            assert below + 0.495 <= height * bands <= below + 1.5
        heights = [height for _, height in found]
        assert min(np.diff(heights)) > 0.07, "labels do not cover each other"
        assert report_data.hertz_at(31.5, hertz) == pytest.approx(hertz[31])
    style = (audio_lrp.HERE / "templates" / "report.css").read_text(encoding="utf-8")
    assert plots.FOR in style and plots.AGAINST in style


@pytest.mark.parametrize("seconds, hop, said", [
    (3723.46, 2.0, "1:02:03.5"), (3.96, 0.5, "0:04.0"), (59.96, 1.0, "1:00.0"),
    (0.048, 0.032, "0:00.05"), (0.048, 0.004, "0:00.048")])
def test_moments_have_the_digits_that_tell_windows_apart(seconds, hop, said):
    assert ticks.clock(seconds, ticks.digits_for(hop)) == said


@pytest.mark.parametrize("seed", range(8))
def test_the_shortest_span_is_the_shortest(seed):
    rng = np.random.default_rng(seed)
    weights = np.maximum(rng.standard_normal(rng.integers(1, 40)), 0).round(1)
    weights[rng.integers(len(weights))] += 0.5
    first, end = report_data.shortest_span(weights)
    enough = [(j - i, i) for i in range(len(weights)) for j in range(i + 1, len(weights) + 1)
              if weights[i:j].sum() >= weights.sum() / 2 + 1e-9]
    assert weights[first:end].sum() >= weights.sum() / 2 - 1e-9 and end - first <= min(enough)[0]
    exact = [(j - i, i) for i in range(len(weights)) for j in range(i + 1, len(weights) + 1)
             if weights[i:j].sum() >= weights.sum() / 2 - 1e-9]
    assert end - first >= min(exact)[0]


def test_half_of_what_speaks_for_it_lies_where_the_sentence_says(written, embedded_clip, small):
    _, (data, _) = written[1].json()
    e = lrp_core.explain(small[0], embedded_clip.image, "epsilon", "siren")
    mel = np.maximum(Explained(embedded_clip, e, "epsilon").stage("mel"), 0).T
    words = data["explanations"][0][data["classes"].index("siren")]["words"]
    assert words.startswith(f"siren by epsilon (score {e.logits[e.target]:.2f}, "
                            f"{e.probabilities[e.target]:.1%})")
    start, end, low, high = (float(number.replace(",", "")) for number in re.findall(
        r"between ([\d.,]+) and ([\d.,]+) ", words)[0]
        + re.findall(r"between ([\d.,]+) and ([\d.,]+) Hz", words)[0])
    seconds, hertz = (np.arange(345) + 0.5) * 4 / 345, study.band_edges()[1:-1]
    assert mel[:, (seconds > start) & (seconds < end)].sum() == pytest.approx(mel.sum() / 2, rel=0.03)
    assert mel[(hertz > 0.98 * low) & (hertz < 1.02 * high)].sum() == pytest.approx(mel.sum() / 2, rel=0.15)


# ---- The file


def test_the_page_holds_all_it_needs(written):
    path, page = written
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 2 * 900_000
    for _, attributes in page.tags:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    policy = next(a["content"] for a, _ in page.all("meta")
                  if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy
    (style,), script = [text for _, text in page.all("style")], page.all("script")[-1][1]
    for content in (style, script):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in policy
    assert "url(" not in style and "@import" not in style
    assert set(re.findall(r"https?://[^\s\"'<>]*",
                          text)) <= {"http://www.w3.org/2000/svg"}, "a name, no place"


def test_a_hostile_name_stays_a_name(written):
    _, page = written
    assert [text for _, text in page.all("h2")] == [audio_lrp.EMBEDDED_CLIP.name, HOSTILE]
    assert not any(tag == "b" for tag, attributes in page.tags
                   if attributes) and page.json()[1][1]["name"] == HOSTILE
    assert [text for _, text in page.all("a")] == [audio_lrp.EMBEDDED_CLIP.name, HOSTILE]
    assert "<" not in pages.as_json({"name": "</script><script>alert(1)</script><!--"})
    assert str(audio_lrp.EMBEDDED_CLIP.parent) not in written[0].read_text(encoding="utf-8"), (
        "folders are no one's business")


def test_a_presets_button_names_the_rules_of_its_layers(written):
    """Not those of the front end, which are the same for all."""
    said = [text.strip() for _, text in written[1].all("small")][:2]
    assert said == [
        "the study's LRP-epsilon; Epsilon(epsilon=1e-07)",
        "the study's LRP-flat; Epsilon(epsilon=0.1), AlphaBeta(alpha=1.0, beta=0.0, bias='whole'), Flat()"]


def test_two_runs_give_the_same_bytes(tmp_path, small):
    name = tmp_path / "{{ 1 }}\n.wav"
    soundfile.write(name, np.sin(np.arange(22_050) ** 1.2), 22_050)
    pages = []
    for number in range(2):
        result = run("report", name, "-o", tmp_path / "deep" / f"{number}.html", "--rules", "epsilon",
                     "--share", "0.3",
                     "--model", small[1])
        assert result.exit_code == 0, result.output
        pages.append((tmp_path / "deep" / f"{number}.html").read_bytes())
    assert pages[0] == pages[1]
    common, (data,) = Page(pages[0].decode()).json()
    assert data["name"] == "{{ 1 }}\\n.wav" and common["share"] == 0.3
    assert "hears it twice" in data["facts"]
    assert [path.name for path in sorted((tmp_path / "deep").iterdir())] == ["0.html", "1.html"]


def test_what_cannot_be_read_is_named_and_the_others_are_shown(tmp_path, small):
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    soundfile.write(tmp_path / "silence.wav", np.zeros(44_100), 44_100)
    result = run("report", tmp_path / "bad.wav", tmp_path / "silence.wav", "-o", tmp_path / "page.html",
                 "--rules", "flat",
                 "--model", small[1])
    assert result.exit_code == 1 and "bad.wav" in result.stderr and "1 of 2" in result.stderr
    page = Page((tmp_path / "page.html").read_text())
    _, (data,) = page.json()
    assert data["name"] == "silence.wav" and any("silent" in warning for warning in data["warnings"])
    assert all(words["words"].endswith("nothing in this sound speaks for it.")
               for words in data["explanations"][0])
    assert data["explanations"][0][0]["cells"] == 0 and not sound_of(data["original"])[0].any()
    assert run("report", tmp_path / "bad.wav", "-o", tmp_path / "none.html").exit_code == 1
    assert not (tmp_path / "none.html").exists()
    (tmp_path / "file").touch()
    result = run("report", "-o", tmp_path / "file" / "page.html")
    assert result.exit_code != 0 and "cannot be made" in result.output and "Traceback" not in result.output


def test_files_of_one_name_are_told_apart_by_their_folders():
    paths = ["set/a/x.wav", "set/b/x.wav", "y.wav", "other/a/x.wav", "set/a/x.wav"]
    assert shortest_names(paths) == ["set/a/x.wav", "b/x.wav", "y.wav", "other/a/x.wav", "set/a/x.wav"]
    assert shortest_names(["x.wav", "a/x.wav"]) == ["x.wav", "a/x.wav"]


def test_an_unsure_network_is_said_to_be_unsure(small, embedded_clip):
    network = last_layer(small[0], lambda kernel, bias: (kernel * np.float32(0.01), 0 * bias))
    name, = shortest_names(["\udcff.wav"])  # bytes that are no text in UTF-8
    data, pages = report_data.clip_data(network, embedded_clip, name, ["epsilon"], 0.5, lambda: None)
    assert not data["sure"] and max(data["widths"]) < 0.5 and "unsure" in data["warnings"][0]
    page = report.render(report_data.common_data(network, pages, 0.5, embedded_clip), [data])
    assert "<strong>Unsure</strong>" in page and "\\udcff.wav" in page and page.encode()


def test_without_a_clip_it_shows_the_embedded_one_and_leaves_matplotlib_alone(tmp_path, small):
    code = ("import sys; from audio_lrp.cli import main; main(sys.argv[1:], standalone_mode=False); "
            "sys.exit('matplotlib' in sys.modules)")
    subprocess.run([sys.executable, "-c", code, "report", "-o", tmp_path / "r.html", "--model", small[1],
                    "--rules", "epsilon"],
                   check=True, capture_output=True)
    _, (data,) = Page((tmp_path / "r.html").read_text(encoding="utf-8")).json()
    assert data["name"] == audio_lrp.EMBEDDED_CLIP.name
    assert data["explanations"][0][0]["words"].startswith("siren by epsilon")


@pytest.mark.parametrize("name, limit, option, said", [
    ("LOOKED_INTO", 0, None, "no microscope for more than 0 clips; --microscope adds it"),
    ("LOOKED_INTO_SIZE", 1_000_000, None,
     "no microscope for a network of 146 million multiply-adds, more than 1 million; --microscope adds it"),
    ("LOOKED_INTO", 0, "--no-microscope", ""), ("LOOKED_INTO", 0, "--microscope", None),
    ("LOOKED_INTO", 1, None, None)])
def test_where_the_microscope_is_left_out_it_is_said(tmp_path, small, monkeypatch, name, limit, option, said):
    """said: on stderr, with no microscope in the page; None: the page has one, and nothing is said."""
    monkeypatch.setattr(report, name, limit)
    result = run("report", "-o", tmp_path / "r.html", "--model", small[1], "--rules", "epsilon",
                 *([option] if option else []))
    assert result.exit_code == 0, result.output
    _, (data,) = Page((tmp_path / "r.html").read_text(encoding="utf-8")).json()
    assert (data["microscope"] is None) == (said is not None)
    assert (said or "") in result.stderr and ("no microscope" in result.stderr) == bool(said)


def test_what_keeps_the_microscope_away_is_said(tmp_path, small, monkeypatch):
    """An error in it costs the page nothing else."""
    def fail(one):
        raise ValueError("rule R is not linear")
    monkeypatch.setattr(report.microscope_data, "page_data", fail)
    result = run("report", "-o", tmp_path / "r.html", "--model", small[1], "--rules", "epsilon")
    assert result.exit_code == 0, result.output
    assert f"{audio_lrp.EMBEDDED_CLIP}: no microscope: rule R is not linear" in result.stderr
    _, (data,) = Page((tmp_path / "r.html").read_text(encoding="utf-8")).json()
    assert data["microscope"] is None and data["explanations"][0][0]["words"].startswith("siren by epsilon")


def test_the_help_teaches():
    text = run("report", "--help").output
    assert "audio-lrp report dog.wav -o dog.html" in text and "--share" in text and "offline" in text
