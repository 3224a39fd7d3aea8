"""A recording on its way through a front end: what was read of it, what is heard, where its cells lie."""
import dataclasses

import librosa
import numpy as np
import pytest
import soundfile

import features
from features import AudioError, FrontEnd, audio, steps

RATE = 10_000


def ramp(seconds, rate=RATE):
    """Samples that tell their own place: the n-th is n / 2^20."""
    return np.arange(round(seconds * rate)) / 2**20


def number(y):
    """The places of a ramp's samples."""
    return np.round(np.asarray(y) * 2**20).astype(int)


ENDINGS = {"wav": {"subtype": "FLOAT"}, "flac": {"subtype": "PCM_24"}, "aiff": {"subtype": "PCM_24"}}
PARTS = [(0.0, None), (0.0, 1.0), (0.5, 1.25), (1.999, 2.0), (1.5, None), (0.25, 99.0), (0.1, 0.4),
         (0.3, 0.9), (0.7, 0.8), (1.1, 1.3), (0.57, None), (1.13, None), (0.57, 1.13)]


def places(start, end, total=2.0):
    """The samples from start to end, by their numbers."""
    return list(range(round(start * RATE), round(min(total, total if end is None else end) * RATE)))


@pytest.mark.parametrize(("start", "end"), PARTS)
def test_a_part_of_samples_is_that_part(start, end):
    y = ramp(2.0)
    for found in (audio.from_array(y, RATE, start=start, end=end),
                  audio.from_array(np.stack([y, y], axis=1), RATE, start=start, end=end),
                  FrontEnd.waveform(RATE).read(y, RATE, start=start, end=end)):
        assert number(found.samples).tolist() == places(start, end)
        assert found.start == pytest.approx(start) and found.duration == 2.0 and found.name == "array"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_part_of_a_file_is_that_part(tmp_path, ending, channels):
    y, path = ramp(2.0), tmp_path / f"a.{ending}"
    soundfile.write(path, np.stack([y] * channels, axis=1), RATE, **ENDINGS[ending])
    for start, end in PARTS:
        found = audio.read(path, start=start, end=end)
        expected = audio.from_array(y, RATE, start=start, end=end).samples
        np.testing.assert_allclose(found.samples, expected, rtol=0, atol=2**-22)
        facts = found.channels, found.sample_rate, found.duration, found.name
        assert facts == (channels, RATE, 2.0, str(path))
        assert found.start == pytest.approx(start)


@pytest.mark.parametrize("ending", ["ogg", "mp3"])
def test_a_part_of_a_lossy_file_is_that_part_of_the_whole(tmp_path, ending):
    path, rng = tmp_path / f"a.{ending}", np.random.default_rng(0)
    soundfile.write(path, rng.standard_normal(3 * 44_100) / 9, 44_100)
    whole = audio.read(path).samples
    for start, end in ((0.5, 1.0), (1.7, None), (2.0, 2.5)):
        found = audio.read(path, start=start, end=end).samples
        expected = whole[round(start * 44_100):None if end is None else round(end * 44_100)]
        np.testing.assert_allclose(found[:len(expected)], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_a_part_has_as_many_samples_as_its_seconds(rate):
    """end - start seconds, in samples, for times in tenths that binary numbers only come near."""
    y, wrong = np.ones(2 * rate), []
    for first in range(19):
        for last in range(first + 1, 20):
            found = len(audio.from_array(y, rate, start=first / 10, end=last / 10).samples)
            if found != rate * last // 10 - rate * first // 10:
                wrong.append((first / 10, last / 10, found))
    assert not wrong


@pytest.mark.parametrize(("part", "message"), [
    ({"start": -1}, "start must be seconds .*-1"), ({"start": float("nan")}, "start must be .*nan"),
    ({"start": float("inf")}, "start must be"), ({"end": float("nan")}, "end must be"),
    ({"end": -1.0}, "end must be"),
    ({"start": 1.0, "end": 1.0}, "from 1 to 1 s is empty"), ({"start": 1.5, "end": 1.0}, "empty"),
    ({"end": 0.0}, "empty"), ({"start": 2.0}, r"ends at 2\.00 s, before the start at 2 s"),
    ({"start": 99}, "ends at")])
def test_parts_that_are_none_are_refused_by_name(tmp_path, part, message):
    soundfile.write(tmp_path / "a.wav", ramp(2.0), RATE)
    with pytest.raises(AudioError, match=rf"a\.wav: .*{message}"):
        audio.read(tmp_path / "a.wav", **part)
    with pytest.raises(AudioError, match=f"the sound: .*{message}"):
        audio.from_array(ramp(2.0), RATE, **part)
    for front_end in (FrontEnd.study(), FrontEnd.waveform(RATE)):
        with pytest.raises(AudioError, match=message):
            front_end.open(ramp(2.0), RATE, **part)


def test_no_more_is_read_than_the_front_end_takes(tmp_path):
    soundfile.write(tmp_path / "a.wav", ramp(20.0), RATE, subtype="FLOAT")
    for front_end, samples in ((FrontEnd.waveform(RATE, 3.0), 3 * RATE), (FrontEnd.study(), 4 * RATE),
                               (FrontEnd.waveform(RATE), 15 * RATE),
                               (FrontEnd.waveform(44_100, 1.5), 15_000)):
        found = front_end.read(tmp_path / "a.wav", start=5.0)
        assert number(found.samples).tolist() == list(range(5 * RATE, 5 * RATE + samples))
        part = front_end.read(tmp_path / "a.wav", start=5.0, end=6.25)
        assert number(part.samples).tolist() == list(range(5 * RATE, round(6.25 * RATE)))


def test_a_start_within_what_a_file_only_promises_is_empty(tmp_path):
    """A header may promise more than there is."""
    data = bytearray()
    soundfile.write(tmp_path / "a.wav", ramp(0.5), RATE, subtype="PCM_16")
    data[:] = (tmp_path / "a.wav").read_bytes()
    data[40:44] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(AudioError, match=r"a\.wav"):
        audio.read(tmp_path / "a.wav", start=0.6)


# ---- what is heard

def clip_of(seconds, short="twice", takes=4.0, rate=RATE, **part):
    return FrontEnd.waveform(RATE, takes, short=short).open(ramp(seconds, rate), rate, **part)


@pytest.mark.parametrize(("seconds", "short", "times", "end"), [
    (4.0, "twice", (), None), (9.0, "twice", (), None), (0.9, "twice", (0.9,), 1.8),
    (1.5, "twice", (1.5,), 3.0),
    (2.0, "twice", (2.0,), None), (2.7, "twice", (2.7,), None), (0.9, "loop", (0.9, 1.8, 2.7, 3.6), None),
    (2.0, "loop", (2.0,), None), (4.0, "loop", (), None), (0.9, "zeros", (), 0.9), (3.999, "zeros", (), None),
    (5.0, "zeros", (), None)])
def test_where_a_short_sound_begins_again_and_where_it_ends(seconds, short, times, end):
    clip = clip_of(seconds, short)
    found, silence = clip.repeats
    assert found == pytest.approx(times)
    assert silence is None if end is None else silence == pytest.approx(end)
    # The sound itself says so: its samples begin anew there, and are zero from there.
    for at in found:
        assert clip.sound[round(at * RATE) + 1] == pytest.approx(1 / 2**20)
    if end is not None:
        assert not clip.sound[round(end * RATE):].any() and clip.sound[round(end * RATE) - 1] > 0


def test_no_repeats_where_any_length_is_taken():
    clip = FrontEnd.waveform(RATE).open(ramp(1.7), RATE)
    assert clip.repeats == ((), None) and clip.seconds == clip.heard == 1.7 and not clip.cut


@pytest.mark.parametrize(("seconds", "part", "heard", "words"), [
    (4.0, {}, 4.0, ""), (0.5, {}, 0.5, ""), (4.004, {}, 4.0, ""),
    (4.02, {}, 4.0, "the first 4.00 of 4.02 s were heard"),
    (37.2, {}, 4.0, "the first 4.00 of 37.20 s were heard"),
    (10.0, {"start": 1.0, "end": 3.0}, 2.0, "1.00 to 3.00 s of 10.00 s were heard"),
    (10.0, {"start": 3.0}, 4.0, "3.00 to 7.00 s of 10.00 s were heard"),
    (10.0, {"start": 8.0}, 2.0, "8.00 to 10.00 s of 10.00 s were heard"),
    (10.0, {"end": 2.5}, 2.5, "the first 2.50 of 10.00 s were heard"),
    (10.0, {"start": 9.5, "end": 20.0}, 0.5, "9.50 to 10.00 s of 10.00 s were heard"),
    (3.0, {"end": 99.0}, 3.0, "")])
def test_what_is_heard_of_a_recording(seconds, part, heard, words):
    clip = clip_of(seconds, **part)
    assert clip.heard == pytest.approx(heard) and clip.cut == words
    assert clip.duration == pytest.approx(seconds) and clip.recording.start == part.get("start", 0.0)
    begins = round(part.get("start", 0.0) * RATE)
    assert number(clip.original)[:3].tolist() == [begins, begins + 1, begins + 2]


@pytest.mark.parametrize("rate", [8_000, 10_000, 44_100])
def test_a_clip_knows_what_it_was_made_of(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([ramp(1.5, rate)] * 2, axis=1), rate, subtype="FLOAT")
    clip = FrontEnd.waveform(RATE, 2.0, short="zeros").open(path)
    assert (clip.name, clip.sample_rate, clip.channels, clip.duration) == (str(path), rate, 2, 1.5)
    assert len(clip.original) == round(1.5 * rate) and len(clip.sound) == 2 * RATE and clip.seconds == 2.0
    assert clip.input.dtype == np.float32 and clip.image is clip.input and clip.picture is None
    np.testing.assert_array_equal(clip.stage("fit"), clip.sound)
    np.testing.assert_array_equal(clip.sound.astype(np.float32), clip.input)
    assert ("resample" in clip.trace.outputs) == (rate != RATE)
    assert not clip.silent and FrontEnd.waveform(RATE).open(np.full(99, 0.5), RATE).silent


# ---- where the cells lie

@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("rate", "n_fft", "hop"), [(22_050, 2048, 512), (16_000, 400, 160),
                                                    (44_100, 1000, 333)])
def test_axes_are_librosas(rate, n_fft, hop, center):
    front_end = FrontEnd.log_mel(sr=rate, n_fft=n_fft, hop_length=hop, n_mels=40, fmin=30.0, fmax=7_000.0,
                                 center=center, ref="max")
    clip = front_end.open(np.random.default_rng(0).standard_normal(rate), rate)
    seconds = librosa.frames_to_time(np.arange(len(clip.picture)), sr=rate, hop_length=hop,
                                     n_fft=None if center else n_fft)
    spectrogram, mel, decibels = (clip.axes(name) for name in ("spectrogram", "mel", "decibels"))
    for axes in (spectrogram, mel, decibels):
        np.testing.assert_allclose(axes.seconds, seconds, rtol=0, atol=1e-12)
    np.testing.assert_allclose(spectrogram.hertz, librosa.fft_frequencies(sr=rate, n_fft=n_fft), atol=1e-9)
    centres = librosa.mel_frequencies(n_mels=42, fmin=30.0, fmax=7_000.0)[1:-1]
    np.testing.assert_allclose(mel.hertz, centres, rtol=1e-9)
    np.testing.assert_array_equal(decibels.hertz, mel.hertz)
    assert clip.stage("mel").shape == (len(mel.seconds), len(mel.hertz)) and clip.bands_stage == "mel"
    with pytest.raises(KeyError):
        clip.axes("nowhere")


def test_axes_of_htk_bands_and_of_some_bins():
    y = np.random.default_rng(0).standard_normal(16_000)
    clip = FrontEnd.log_mel(sr=16_000, n_mels=30, htk=True, norm=None).open(y, 16_000)
    expected = librosa.mel_frequencies(n_mels=32, fmin=0.0, fmax=8_000.0, htk=True)[1:-1]
    np.testing.assert_allclose(clip.axes("mel").hertz, expected, rtol=1e-9)
    clip = FrontEnd.spectrogram(sr=16_000, n_fft=512, fmin=1_000.0, fmax=2_000.0).open(y, 16_000)
    hertz = librosa.fft_frequencies(sr=16_000, n_fft=512)
    np.testing.assert_allclose(clip.axes("bins").hertz, hertz[(hertz >= 1_000) & (hertz <= 2_000)])
    assert clip.bands_stage == "bins" and clip.cells is clip.below["spectrogram"].layer


def test_axes_of_a_tone_and_a_click_are_where_they_are():
    """The loudest cell of every stage lies within one step of the tone's pitch and of the click's moment."""
    rate, t = 44_100, np.arange(4 * 44_100) / 44_100
    tone, click = np.sin(2 * np.pi * 3_000 * t), (np.arange(len(t)) == round(2.5 * rate)).astype(float)
    front_end = dataclasses.replace(FrontEnd.study(), steps=FrontEnd.study().steps[:-2])
    for y, axis, at in ((tone, "hertz", 3_000), (click, "seconds", 2.5)):
        clip = front_end.open(y, rate)
        for name in ("spectrogram", "mel", "decibels", "resize"):
            where, level = getattr(clip.axes(name), axis), clip.stage(name)
            profile = level.sum(axis=1 if axis == "seconds" else 0)
            loudest = int(profile.argmax())
            step = np.diff(where)[max(loudest - 2, 0):loudest + 2].max()
            assert abs(where[loudest] - at) <= step, (name, where[loudest])
            assert (np.diff(where) > 0).all() and len(where) == len(profile)


def test_axes_after_a_resize_are_the_means_of_what_was_averaged():
    clip = FrontEnd.log_mel(sr=16_000, n_mels=40, resize=(8, 10), seconds=1.0).open(ramp(1.0, 16_000), 16_000)
    fine, coarse = clip.axes("mel"), clip.axes("resize")
    np.testing.assert_allclose(coarse.seconds, fine.seconds.reshape(8, 4).mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(coarse.hertz, [np.interp(4 * band + 1.5, np.arange(40), fine.hertz) for band in
                                              range(10)], rtol=1e-12)


# ---- cells of sounds that a network takes as they are

@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("samples", [5, 300, 20_000])
def test_cells_of_a_waveform(rate, samples):
    """Frames of about 46 ms, or shorter where the sound is; from them the sound comes back."""
    y = np.random.default_rng(0).standard_normal(samples)
    clip = FrontEnd.waveform(rate).open(y, rate)
    assert clip.bands_stage is None and clip.picture is None
    size = clip.cells.n_fft
    assert clip.spectrum.shape == (clip.cells.count(samples), size // 2 + 1)
    assert samples < 20_000 or 0.03 < size / rate < 0.065
    np.testing.assert_allclose(clip.cells.inverse(clip.spectrum, samples), y, rtol=0, atol=1e-10)
    assert clip.cells.sample_rate == rate and isinstance(clip.cells, steps.Spectrogram)


def test_every_stage_of_a_clip_is_at_hand():
    clip = features.open_clip(ramp(1.3, 22_050), 22_050)
    names = [node.name for node in clip.below.nodes]
    assert names == ["resample", "fit", "spectrogram", "mel", "decibels", "stretch", "resize", "colours",
                     "arrange"]
    for name in names:
        assert clip.stage(name).shape == clip.below.shapes[name] and clip.stage(name).dtype == np.float64
    np.testing.assert_array_equal(clip.stage("resize"), clip.picture)
    np.testing.assert_array_equal(clip.stage("arrange").astype(np.float32), clip.input)
    np.testing.assert_array_equal(clip.stage("input"), clip.original)


@pytest.mark.parametrize("front_end", [features.STUDY, features.FrontEnd.log_mel(16_000, seconds=1.0),
                                       features.FrontEnd.spectrogram(8000, seconds=0.5),
                                       features.FrontEnd.waveform(8000, 0.5)],
                         ids=["study", "log-mel", "spectrogram", "waveform"])
def test_single_precision_gives_nearly_the_same(front_end):
    """What the network takes differs by less than 1e-4 of its range; the sound to listen to stays double."""
    y = np.sin(np.arange(40_000) ** 1.2 / 50)
    single, double = (front_end.open(y, 22_050, dtype=dtype) for dtype in ("float32", "float64"))
    assert single.sound.dtype == np.float64 and single.input.dtype == np.float32
    np.testing.assert_allclose(single.input, double.input, rtol=0, atol=1e-4 * np.ptp(double.input))


@pytest.mark.parametrize("dtype", ["int16", "float16", "complex128", "single"])
def test_a_front_end_computes_in_two_precisions_only(dtype):
    with pytest.raises(ValueError, match="dtype must be one of"):
        features.STUDY.open(np.zeros(8000), 8000, dtype=dtype)
