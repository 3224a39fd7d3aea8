"""The parts of a sound that the report's page makes, against the engine's own; in a real browser."""
import numpy as np
import pytest
from report_pages import PRESETS
from test_report_page import visit, written  # noqa: F401  (fixtures)

import audio_lrp
import features
import lrp_core
from audio_lrp import report_data
from audio_lrp.explained import Explained
from features import steps as S
from features.listen import audible, gain_to, loudness, masked, parts

RATE = 8000
FRAMES = [S.Spectrogram(256, 64), S.Spectrogram(256, 100, center=False),
          S.Spectrogram(255, 80, pad_mode="edge"), S.Spectrogram(128, 128, window="ones"),
          S.Spectrogram(320, 160, 200, "hamming", pad_mode="reflect")]


def in_browser(page, samples, mask, clip):
    """What the page makes of the cells of a mask."""
    return np.array(page.evaluate(
        "([samples, runs, settings]) => Array.from(partOf(samples, keptCells(runs), settings))",
        [samples.tolist(), report_data.text(report_data.run_lengths(mask)), report_data.cells_data(clip)]))


@pytest.mark.parametrize("step", FRAMES, ids=lambda step: f"{step.n_fft}-{step.hop}-{step.pad_mode}")
def test_a_part_is_the_inverse_of_its_cells(visit, step):
    rng, page = np.random.default_rng(3), visit()
    step = S.Spectrogram(step.n_fft, step.hop, step.win_length, step.window, step.center, step.pad_mode,
                         sample_rate=RATE)
    front_end = features.FrontEnd(RATE, 0.25, (step, S.Decibels()))
    clip = front_end.open(0.1 * rng.standard_normal(RATE // 4), RATE)
    for share in (0.01, 0.4, 1):
        mask = rng.random(clip.spectrum.shape) < share
        np.testing.assert_allclose(in_browser(page, clip.sound, mask, clip), masked(clip, mask), atol=2e-5)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999, 1])
def test_masks_come_back_from_their_run_lengths(visit, share):
    mask = np.random.default_rng(5).random((50, 1025)) < share
    packed = report_data.text(report_data.run_lengths(mask))
    assert visit().evaluate("runs => keptCells(runs)", packed) == np.flatnonzero(mask).tolist()
    mask[0, 0] = not mask[0, 0]
    packed = report_data.text(report_data.run_lengths(mask))
    assert visit().evaluate("runs => keptCells(runs)", packed) == np.flatnonzero(mask).tolist()


def heard(page, which, preset, number):
    """The samples that a button plays."""
    return np.array(page.evaluate("""async ([which, preset, number]) => { const {parts} = page.current;
        const found = await parts.get(which, page.current.data.explanations[preset][number]);
        return [...found.getChannelData(0)]; }""", [which, preset, number]))


def test_the_buttons_play_the_original_the_part_and_the_rest(visit, written):
    page, (_, (data, _)) = visit(), written[1].json()
    clip = features.open_clip(audio_lrp.EMBEDDED_CLIP)
    network = lrp_core.load(written[0].parent / "small.npz")
    np.testing.assert_allclose(heard(page, "original", 0, 0), clip.sound, atol=1 / 32_000)
    inner = slice(300, -300)  # `parts` fades both ends
    for preset, number in ((0, 0), (1, 1)):
        e = lrp_core.explain(network, clip.image, PRESETS[preset], data["classes"][number])
        made = parts(clip, Explained(clip, e, PRESETS[preset]).cells, share=0.5)
        part, rest = (heard(page, which, preset, number) for which in ("part", "rest"))
        loudest = np.abs(made.relevant).max()
        np.testing.assert_allclose(part[inner], made.relevant[inner], atol=2e-3 * loudest)
        whole = part / made.gains[0] + rest
        np.testing.assert_allclose(whole[inner], clip.sound[inner], atol=1e-4)
        assert np.abs(rest).max() > 0.1 * np.abs(clip.sound).max()


def test_a_sound_beyond_full_scale_has_parts_as_loud_as_it_is_heard(visit, urban_sounds):
    """It is heard softer, with its peak at 0.99; the gain is of the cells of what is heard."""
    y = 3 * np.sin(np.arange(4 * 44_100) ** 1.1 / 9)
    clip = features.open_clip(y, 44_100)
    one = Explained(clip, lrp_core.explain(urban_sounds, clip.image, "epsilon"), "epsilon")
    data, _ = report_data.explanation_data(one, 0.5, "")
    file = report_data.text(report_data.flac(audible(clip.sound), 44_100))
    found = np.array(visit().evaluate("""async ([file, settings, explained]) => {
        const found = await new Parts(file, settings).get("part", explained);
        return [...found.getChannelData(0)]; }""", [file, report_data.cells_data(clip), data]))
    expected = parts(clip, one.cells, share=0.5).relevant
    np.testing.assert_allclose(found[300:-300], expected[300:-300], atol=2e-3)


def sounds_of_many_kinds():
    """[(name, rate, samples)]: noise loud and faint, clicks, silence with a burst, shorter than a block."""
    rng = np.random.default_rng(7)
    noise = rng.standard_normal(30_000)
    clicks, burst = np.zeros(40_000), np.zeros(40_000)
    clicks[1000::4000] = 0.5
    burst[9000:15_000] = 0.3 * noise[:6000]
    return [("noise", 8000, 0.1 * noise), ("faint", 8000, 1e-4 * noise), ("inaudible", 8000, 1e-7 * noise),
            ("clicks", 22_050, clicks), ("burst", 16_000, burst), ("short", 44_100, 0.2 * noise[:3000]),
            ("silence", 8000, np.zeros(8000)), ("tone", 48_000, np.sin(np.arange(96_000) / 8)),
            ("odd", 11_025, 0.3 * noise[:12_345])]


@pytest.mark.parametrize("rate, y", [case[1:] for case in sounds_of_many_kinds()],
                         ids=[case[0] for case in sounds_of_many_kinds()])
def test_the_page_finds_the_loudness_and_the_gains_of_the_engine(visit, rate, y):
    """Of the standard's meter in Python, pyloudnorm's, and of `features.listen.gain_to`."""
    page = visit()
    loud = page.evaluate("([y, rate]) => [loudness(Float64Array.from(y), rate)].map(String)[0]",
                         [y.tolist(), rate])
    assert float(loud.replace("Infinity", "inf")) == pytest.approx(loudness(y, rate), abs=1e-9)
    for target in (-80.0, -45.0, -23.0, -3.0):
        found = page.evaluate("([target, y, rate]) => gainTo(target, Float64Array.from(y), rate)",
                              [target, y.tolist(), rate])
        assert found == pytest.approx(gain_to(target, y, rate), rel=1e-9)


@pytest.mark.parametrize("loop", [False, True])
def test_what_is_played_is_the_stretch_to_the_sample(visit, loop):
    """A ramp from 0.5 to 0.75 s, begun at 0.55 s, as the browser would send it to the speakers."""
    heard = np.array(visit().evaluate("""async loop => {
        speakers = new OfflineAudioContext(1, 8000, 8000);
        speakers.resume = () => {};
        const buffer = new AudioBuffer({length: 8000, sampleRate: 8000});
        buffer.copyToChannel(Float32Array.from({length: 8000}, (_, n) => n / 8000), 0);
        new Player(() => {}).start(buffer, 0.55, [0.5, 0.75], loop);
        return [...(await speakers.startRendering()).getChannelData(0)]; }""", loop))
    n = np.arange(8000)
    ramp = (4000 + (400 + n) % 2000) / 8000 if loop else np.where(n < 1600, (4400 + n) / 8000, 0)
    faded = (n < 41) | (not loop) & (abs(n - 1600) < 41)  # 5 ms
    np.testing.assert_allclose(heard[~faded], ramp[~faded], atol=1e-5)
    assert heard[0] == 0 and (heard >= 0).all() and heard[20] < 0.6 * ramp[20]
