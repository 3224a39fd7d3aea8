"""The front end against librosa, matplotlib, loops and the study's own images."""
import librosa
import matplotlib
import numpy as np
import pytest
import scipy.signal
import soundfile
import study

import features
from features import FrontEnd, audio, steps
from features.steps import area_weights, magma, quantise, rate_ratio
from features.synth import synthesize

RNG = np.random.default_rng(0)


def chirp(rate=44_100, seconds=4.0):
    """A sweep from 200 Hz to 3 kHz with a little noise: energy everywhere, nothing symmetric."""
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(1).standard_normal(len(t))
    return 0.5 * np.sin(2 * np.pi * (200 * t + 350 * t * t)) + 0.01 * noise


def test_the_transform_is_the_sum_it_claims_to_be():
    y, window, hop = RNG.standard_normal(50), 16, 6
    spectrum = steps.Frames(window, hop).transform(y)
    for m in range(1 + len(y) // hop):
        for k in range(1 + window // 2):
            expected = 0
            for n in range(window):
                at = m * hop + n - window // 2
                if 0 <= at < len(y):
                    w = (1 - np.cos(2 * np.pi * n / window)) / 2
                    expected += w * y[at] * np.exp(-2j * np.pi * k * n / window)
            assert abs(spectrum[m, k] - expected) < 1e-12
    assert spectrum.shape == (9, 9)


@pytest.mark.parametrize("rate", [44_100, 22_050, 16_000, 48_000])
def test_filters_are_librosas(rate):
    theirs = librosa.filters.mel(sr=rate, n_fft=2048, n_mels=128, dtype=np.float64)
    np.testing.assert_allclose(steps.Mel(float(rate)).kernel.T, theirs, rtol=1e-9, atol=1e-15)


def mel_db(y, rate):
    """Decibels below a sound's maximum at its own rate, laid out as librosa does: [128, frames]."""
    return FrontEnd.log_mel(sr=rate, ref="max", order="ft").run(audio.from_array(y, rate))[2]


def librosas_decibels(y, rate):
    """The oracle."""
    return librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate, n_fft=2048, hop_length=512,
                                                              n_mels=128), ref=np.max)


@pytest.mark.parametrize(("rate", "seconds"), [(44_100, 4.0), (22_050, 4.0), (16_000, 0.7), (48_000, 9.3),
                                               (44_100, 0.01)])
@pytest.mark.parametrize("level", [1.0, 1e-4])
def test_decibels_are_librosas(rate, seconds, level):
    y = level * chirp(rate, seconds)
    assert np.abs(mel_db(y, rate) - librosas_decibels(y, rate)).max() < 1e-4


def test_decibels_of_real_clips_are_librosas(real_clips):
    for path in real_clips:
        y, rate = soundfile.read(path)
        assert np.abs(mel_db(y, rate) - librosas_decibels(y, rate)).max() < 1e-4, path.name


def test_images_of_real_clips_are_the_studys(real_clips, real_levels):
    place = {name: index for index, name in enumerate(real_levels["name"])}
    for path in real_clips:
        index = place[path.stem]
        y, rate = soundfile.read(path)
        level = study.level_of(y[:round(float(real_levels["duration_s"][index]) * rate)], rate)
        # The clips at hand are sampled at 22,050 Hz: rows 0..11, above 11 kHz, exist in the study's images
        # only.
        correlation = np.corrcoef(level[12:].ravel(), real_levels["level"][index][12:].ravel())[0, 1]
        assert correlation >= 0.98, (path.name, correlation)


def bits_of(y, rate):
    """The samples that are analysed, the oracle's way."""
    return study.fitted(study.resampled(np.asarray(y, np.float64)[:int(np.ceil(4 * rate))], rate))


SOUNDS = {"four seconds": (44_100, 4.0, 1.0), "half a rate": (22_050, 4.0, 0.3), "twice": (48_000, 1.3, 1e-3),
          "cut": (16_000, 5.5, 1.0), "short": (44_100, 0.02, 1.0), "odd rate": (11_111, 2.1, 0.5)}


@pytest.mark.parametrize("case", SOUNDS)
def test_images_are_the_formulas(case):
    """The same bits as the study's front end written out: filters, decibels, stretch, area, colours."""
    rate, seconds, level = SOUNDS[case]
    y = level * chirp(rate, seconds)
    clip = features.open_clip(y, rate)
    np.testing.assert_allclose(clip.sound, bits_of(y, rate), rtol=0, atol=1e-14)
    np.testing.assert_allclose(clip.stage("decibels").T, study.mel_db(bits_of(y, rate)), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(study.level_of(y, rate), study.level(y, rate))
    np.testing.assert_array_equal(clip.image, features.colour(study.level(y, rate)))
    assert clip.image.dtype == np.float32 and clip.image.shape == features.IMAGE_SHAPE == (64, 64, 3)


def test_images_of_real_clips_are_the_formulas(real_clips):
    for path in real_clips:
        y, rate = soundfile.read(path, always_2d=True)
        expected = features.colour(study.level(y.mean(axis=1), rate))
        np.testing.assert_array_equal(features.clip_image(path), expected, path.name)


@pytest.mark.parametrize("name", ["siren", "gun_shot", "street_music"])
def test_images_of_procedural_sounds_are_the_formulas(name):
    y = synthesize(name, 3)
    np.testing.assert_array_equal(study.level_of(y, 44_100), study.level(y, 44_100))


def test_silence_is_zero_decibels_and_a_dark_image():
    assert (mel_db(np.zeros(5000), 44_100) == 0).all()
    clip = features.open_clip(np.zeros(1000), 44_100)
    assert clip.silent and (clip.picture == 0).all() and (clip.image == magma()[0]).all()
    assert features.open_clip(np.full(1000, 0.25), 44_100).silent
    hiss = features.open_clip(np.random.default_rng(0).standard_normal(176_400) * 1e-9, 44_100)
    assert (hiss.image == magma()[0]).all() and hiss.silent, "below what decibels tell"


def test_the_colour_map_is_matplotlibs_magma():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    theirs = matplotlib.colormaps["magma"](levels)[..., :3]
    np.testing.assert_allclose(features.colour(levels), theirs, atol=1e-6)


@pytest.mark.parametrize(("size", "cells"), [(4, 4), (4, 8), (3, 7), (64, 345), (5, 3)])
def test_area_averaging_is_an_integral(size, cells):
    values = RNG.random(cells)
    fine = np.repeat(values, size * 1000)  # a step function, sampled so finely that means are integrals
    expected = fine.reshape(size, -1).mean(axis=1)
    np.testing.assert_allclose(area_weights(size, cells) @ values, expected, rtol=1e-12)


def test_low_frequencies_and_late_moments_lie_where_they_should():
    rate = 44_100
    t = np.arange(4 * rate) / rate
    tone = np.sin(2 * np.pi * 300 * t) * (t > 2)
    level = study.level_of(tone, rate).astype(float)
    row, column = np.unravel_index(level.argmax(), level.shape)
    edges = steps.Mel(rate).edges
    np.testing.assert_allclose(edges, study.band_edges(rate), rtol=1e-12)
    assert edges[2 * (63 - row)] < 300 < edges[2 * (63 - row) + 3]
    assert column >= 31
    assert level[:, :30].max() < level.max() / 2


def test_a_quantised_level_is_floor_of_256_and_never_256():
    decibels = np.linspace(-80, 0, 128) * np.ones((64, 1))
    y = decibels[None]
    for step in (steps.Stretch(), steps.AreaResize(64, 64), steps.Arrange("-ft")):
        y = step.forward(y)
    level = quantise(y[0])[::-1, 0]
    means = np.arange(128).reshape(64, 2).mean(axis=1) / 127
    np.testing.assert_array_equal(level, np.floor(means * 256))
    np.testing.assert_array_equal(quantise(y[0]), study.level_of_decibels(decibels.T))
    assert quantise(np.eye(64)).max() == 255


def fit(y, samples, short="twice"):
    return steps.Fit(samples, short).forward(y[None])[0]


def test_short_sounds_play_twice_and_then_fall_silent():
    y = RNG.standard_normal(10)
    np.testing.assert_array_equal(fit(y, 25), [*y, *y, *np.zeros(5)])
    np.testing.assert_array_equal(fit(y, 15), [*y, *y[:5]])
    np.testing.assert_array_equal(fit(y, 7), y[:7])


def test_short_sounds_loop_or_fall_silent_at_once():
    y = RNG.standard_normal(10)
    np.testing.assert_array_equal(fit(y, 25, "loop"), [*y, *y, *y[:5]])
    np.testing.assert_array_equal(fit(y, 25, "zeros"), [*y, *np.zeros(15)])
    for short in ("loop", "zeros"):
        np.testing.assert_array_equal(fit(y, 10, short), y)
        np.testing.assert_array_equal(fit(y, 7, short), y[:7])


def resample(y, rate):
    return steps.Resample(rate, 44_100).forward(y[None])[0]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 32_000, 48_000, 96_000, 44_099, 11_111])
def test_resampling_keeps_a_tone_in_pitch_and_level(rate):
    y = resample(np.sin(2 * np.pi * 1000 * np.arange(rate) / rate), rate)
    middle = y[10_000:30_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    assert abs(spectrum.argmax() * 44_100 / (1 << 18) - 1000) < 0.5
    assert abs(np.abs(scipy.signal.hilbert(middle))[1000:-1000].mean() - 1) < 0.01


def write(path, y, rate, **options):
    soundfile.write(path, y, rate, **options)
    return path


@pytest.mark.parametrize(("ending", "options"), [
    ("wav", {"subtype": "PCM_U8"}), ("wav", {"subtype": "PCM_16"}), ("wav", {"subtype": "PCM_24"}),
    ("wav", {"subtype": "PCM_32"}), ("wav", {"subtype": "FLOAT"}), ("wav", {"subtype": "DOUBLE"}),
    ("flac", {}), ("ogg", {}), ("mp3", {}), ("aiff", {})])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_gives_the_same_image(tmp_path, ending, options, channels):
    y = chirp(44_100, 4.0)
    expected = study.level_of(y, 44_100).astype(float)
    path = write(tmp_path / f"a.{ending}", np.stack([y] * channels, axis=1), 44_100, **options)
    found = study.level_of(path).astype(float)
    assert features.clip_image(path).dtype == np.float32
    if options.get("subtype") in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        assert np.abs(found - expected).max() <= 1
    else:  # coarse and lossy formats change what lies far below the maximum; the sweep itself must stay
        loud = expected > 170
        assert loud.sum() > 20 and np.abs(found - expected)[loud].max() < 16


def test_samples_of_any_type_mean_the_same():
    y = chirp(44_100, 1.0)
    whole = (y * 2**15).astype(np.int16)
    expected = study.level_of(whole / 2**15, 44_100)
    for same in (whole, whole.astype(np.int32) << 16, (whole.astype(np.int32) + 2**15).astype(np.uint16),
                 np.stack([whole, whole], axis=1)):
        np.testing.assert_array_equal(study.level_of(same, 44_100), expected)


@pytest.mark.parametrize(("whole", "scale"), [(np.int8, 2**7), (np.int16, 2**15), (np.int32, 2**31),
                                              (np.uint8, 2**7), (np.uint16, 2**15)])
def test_whole_numbers_are_parts_of_full_scale(whole, scale, tmp_path):
    """-2^(bits - 1) is -1, 2^(bits - 2) is one half, and the largest number is a step below 1; so are a
    file's samples.
    """
    limits = np.iinfo(whole)
    middle = 0 if limits.min < 0 else scale
    numbers = np.array([limits.min, middle, middle + scale // 2, middle + 1, limits.max], whole)
    expected = [-1, 0, 0.5, 1 / scale, 1 - 1 / scale]
    np.testing.assert_array_equal(audio.to_mono(numbers), expected)
    np.testing.assert_array_equal(features.open_clip(numbers, 44_100).sound[:5], expected)
    if whole in (np.int16, np.int32):
        soundfile.write(tmp_path / "a.wav", numbers, 44_100, subtype=f"PCM_{limits.bits}")
        np.testing.assert_array_equal(features.open_clip(tmp_path / "a.wav").sound[:5], expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
                                  64_000, 88_200, 96_000, 176_400, 192_000,
                                  352_800, 384_000, 705_600])
def test_the_ratio_of_every_common_rate_is_exact(rate):
    up, down = rate_ratio(rate, 44_100)
    assert up * rate == down * 44_100
    assert (
        len(resample(np.ones(rate), rate)) == 44_100
        and len(resample(np.ones(rate + 1), rate)) >= 44_100
    )


@pytest.mark.parametrize("rate", [1_000, 9_999, 44_099, 44_101, 191_999, 768_000, 44_100.5])
def test_the_ratio_of_an_odd_rate_is_near(rate):
    """Off by less than one part in ten thousand, with a filter of bearable length."""
    up, down = rate_ratio(rate, 44_100)
    assert abs(up * rate / (down * 44_100) - 1) < 1e-4 and down <= 2_000


def test_channels_are_averaged(tmp_path):
    left, right = chirp(), chirp()[::-1]
    clip = features.open_clip(write(tmp_path / "s.wav", np.stack([left, right], axis=1), 44_100,
                                    subtype="DOUBLE"))
    np.testing.assert_allclose(clip.sound, (left + right) / 2, atol=1e-12)
    assert clip.channels == 2


def test_only_the_first_four_seconds_count_and_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "long.wav", np.concatenate([chirp(), np.zeros(44_100 * 300)]), 44_100)
    read = []
    blocks = soundfile.SoundFile.blocks
    monkeypatch.setattr(soundfile.SoundFile, "blocks", lambda self, *a,
                        **k: (read.append(len(b)) or b for b in blocks(self, *a, **k)))
    clip = features.open_clip(path)
    assert sum(read) == 4 * 44_100 and clip.duration == 304
    expected = features.clip_image(soundfile.read(path, frames=4 * 44_100)[0], 44_100)
    np.testing.assert_array_equal(clip.image, expected)


@pytest.mark.parametrize("samples", [1, 2, 3, 511, 2049])
@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_very_short_sounds_have_an_image(tmp_path, samples, rate):
    path = write(tmp_path / "short.wav", np.linspace(0.1, 1, samples), rate)
    found = features.clip_image(path)
    assert found.shape == (64, 64, 3) and np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


BAD_ARRAYS = {
    "no samples": (np.zeros(0), 44_100, "no samples"),
    "NaN": (np.array([0, np.nan]), 44_100, "NaN"),
    "infinity": (np.array([0, np.inf]), 44_100, "infinity"),
    "absurd": (np.array([0, 1e200]), 44_100, "beyond"),
    "three axes": (np.zeros((2, 2, 2)), 44_100, "shape"),
    "a number": (np.array(1.0), 44_100, "shape"),
    "text": (np.array(["a"]), 44_100, "numbers"),
    "no full scale": (np.arange(9), 44_100, "full scale"),
    "complex": (np.zeros(3, complex), 44_100, "numbers"),
    "channels first": (np.zeros((2, 44_100)), 44_100, "transpose"),
    "rate 0": (np.ones(9), 0, "sample rate"),
    "rate NaN": (np.ones(9), float("nan"), "sample rate"),
    "rate 2**31": (np.ones(9), 2**31, "sample rate"),
    "rate as text": (np.ones(9), "44100", "sample rate"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_samples_are_refused_by_name(case):
    y, rate, message = BAD_ARRAYS[case]
    with pytest.raises(features.AudioError, match=message):
        features.clip_image(y, rate)


def test_bad_files_are_refused_by_name(tmp_path):
    path = tmp_path / "x.wav"
    with pytest.raises(FileNotFoundError, match=r"x\.wav"):
        features.clip_image(path)
    with pytest.raises(features.AudioError, match="not a file"):
        features.clip_image(tmp_path)
    good = write(tmp_path / "good.wav", chirp(8_000, 1.0), 8_000).read_bytes()
    for content in (b"", b"RIFF", b"\0" * 1000, good[:30], b"no sound at all" * 100):
        path.write_bytes(content)
        with pytest.raises(features.AudioError, match=r"x\.wav"):
            features.clip_image(path)
    soundfile.write(path, np.zeros(0), 8_000)
    with pytest.raises(features.AudioError, match="no samples"):
        features.clip_image(path)
    soundfile.write(path, np.array([0.0, np.nan, 0.0]), 8_000, subtype="FLOAT")
    with pytest.raises(features.AudioError, match=r"x\.wav.*NaN"):
        features.clip_image(path)


def test_a_truncated_file_is_heard_as_far_as_it_goes(tmp_path):
    y = chirp(44_100, 1.0)
    whole = write(tmp_path / "whole.wav", y, 44_100).read_bytes()
    half = tmp_path / "half.wav"
    half.write_bytes(whole[:44 + 44_100])
    heard = soundfile.read(tmp_path / "whole.wav")[0][:22_050]
    np.testing.assert_array_equal(study.level_of(half), study.level(heard, 44_100))


def test_a_header_that_lies_about_rate_or_length_costs_nothing(tmp_path):
    data = bytearray(write(tmp_path / "a.wav", chirp(8_000, 0.5), 8_000).read_bytes())
    data[24:28] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(features.AudioError, match=r"a\.wav.*sample rate"):
        features.clip_image(tmp_path / "a.wav")
    data[24:28] = (8_000).to_bytes(4, "little")
    data[40:44] = (2**32 - 1).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    assert np.isfinite(features.clip_image(tmp_path / "a.wav")).all()


def test_a_rate_belongs_to_samples_and_not_to_files(tmp_path):
    with pytest.raises(TypeError, match="sample_rate"):
        features.clip_image(np.ones(10))
    with pytest.raises(TypeError, match="sample rate"):
        features.clip_image(write(tmp_path / "a.wav", chirp(8_000, 1.0), 8_000), 8_000)
