"""Front ends against librosa, setting by setting, and against torchaudio's formulas written out."""
import math
import warnings

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features
from features import FrontEnd, audio

seeded = settings(max_examples=60, derandomize=True, deadline=None, database=None)


def sound(rate=16_000, seconds=1.1, seed=0):
    """A sweep in noise that swells: something in every band, nothing symmetric."""
    rng, t = np.random.default_rng(seed), np.arange(round(rate * seconds)) / rate
    sweep = np.sin(2 * np.pi * (100 * t + 0.2 * rate * t * t / seconds))
    return 0.5 * (0.1 + t / seconds) * sweep + 0.02 * rng.standard_normal(len(t))


def made(front_end, y):
    """What a front end makes of samples, in double precision: [frames, bands]."""
    return front_end.run(audio.from_array(y, front_end.sample_rate))[2]


def relative(found, expected):
    """The largest difference, over the range of what is expected."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.ptp(expected)


def in_decibels(bands, power=2.0, ref=1.0, amin=None, top_db=80.0):
    """librosa's decibels of what it made."""
    amin = {} if amin is None else {"amin": amin}
    way = librosa.power_to_db if power == 2 else librosa.amplitude_to_db
    return way(bands, ref=np.max if ref == "max" else ref, top_db=top_db, **amin)


def librosas_log_mel(y, sr=22_050, ref=1.0, amin=None, top_db=80.0, power=2.0, **more):
    """melspectrogram and decibels: [frames, bands]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of filters that see no bin
        bands = librosa.feature.melspectrogram(y=y, sr=sr, power=power, **more)
    return in_decibels(bands, power, ref, amin, top_db).T


LOG_MEL = [
    {},
    {"sr": 16_000},
    {"sr": 44_100, "hop_length": 441},
    {"sr": 8_000, "n_fft": 256, "hop_length": 80},
    {"n_fft": 1024, "hop_length": 256, "n_mels": 64},
    {"n_fft": 512, "win_length": 400, "hop_length": 160, "sr": 16_000, "n_mels": 40},
    {"n_fft": 512, "win_length": 301, "hop_length": 77},
    {"n_fft": 511, "hop_length": 100, "n_mels": 30},
    {"n_fft": 600, "hop_length": 600, "n_mels": 32},
    {"n_fft": 256, "hop_length": 400, "n_mels": 20},
    {"window": "hamming"},
    {"window": "blackman", "n_fft": 1024},
    {"window": "ones", "n_fft": 1024},
    {"window": "hamming", "win_length": 800, "n_fft": 1024, "center": False},
    {"center": False},
    {"center": False, "hop_length": 333, "n_fft": 1000},
    {"pad_mode": "reflect"},
    {"pad_mode": "reflect", "n_fft": 777, "hop_length": 300},
    {"pad_mode": "edge", "n_fft": 1024},
    {"power": 1.0},
    {"power": 1.0, "ref": "max", "pad_mode": "reflect"},
    {"power": 1.0, "amin": 1e-3, "top_db": None, "ref": 0.1},
    {"n_mels": 23, "fmin": 60.0, "fmax": 7_600.0, "sr": 16_000},
    {"fmin": 20.0, "fmax": 8_000.0, "htk": True},
    {"fmax": 11_025.0, "n_mels": 200, "n_fft": 512},
    {"htk": True, "norm": None},
    {"norm": None},
    {"htk": True, "norm": None, "pad_mode": "reflect", "sr": 16_000, "n_fft": 400, "hop_length": 160,
     "n_mels": 80},
    {"ref": "max"},
    {"ref": "max", "top_db": None},
    {"ref": 1e-4, "top_db": 40.0},
    {"ref": 1e-12},
    {"amin": 1e-5},
    {"amin": 1e-30, "top_db": None},
    {"top_db": 0.0, "n_mels": 16},
]


def named(options):
    return "-".join(f"{name}={value}" for name, value in options.items()) or "defaults"


def exact_and_usual(made_of):
    """(the oracle with filters in double precision, the oracle as it is)."""
    return made_of(dtype=np.float64), made_of()


@pytest.mark.parametrize("options", LOG_MEL, ids=named)
def test_log_mel_is_librosas(options):
    """To 1e-10 of the range with its filters in double precision, to 1e-5 with its usual ones."""
    rate = options.get("sr", 22_050)
    y = sound(rate)
    found = made(FrontEnd.log_mel(**options), y)
    exact, usual = exact_and_usual(lambda **more: librosas_log_mel(y, **options, **more))
    assert np.ptp(exact) > 0 or options.get("top_db") == 0
    scale = np.ptp(exact) or 1.0
    assert np.abs(found - exact).max() <= 1e-10 * scale and np.abs(found - usual).max() <= 1e-5 * scale
    assert found.shape == usual.shape and found.dtype == np.float64


@pytest.mark.parametrize("options", [{}, {"sr": 16_000, "pad_mode": "reflect", "power": 1.0}], ids=named)
def test_scales_that_are_no_decibels(options):
    """The natural logarithm, the one to base 10, one plus, and none."""
    y, power = sound(options.get("sr", 22_050)), options.get("power", 2.0)
    sr = options.get("sr", 22_050)
    bands = librosa.feature.melspectrogram(y=y, sr=sr, dtype=np.float64, power=power,
                                           pad_mode=options.get("pad_mode", "constant")).T
    for scale, expected in (({"scale": None}, bands), ({"scale": "log"}, np.log(bands + 1e-6)),
                            ({"scale": "log10", "offset": 1e-9}, np.log10(bands + 1e-9)),
                            ({"scale": "log", "offset": 1.0}, np.log1p(bands))):
        assert relative(made(FrontEnd.log_mel(**options, **scale), y), expected) <= 1e-10, scale


SPECTROGRAM = [
    {},
    {"sr": 16_000, "n_fft": 512},
    {"n_fft": 1024, "hop_length": 256, "win_length": 1000},
    {"n_fft": 512, "win_length": 300},
    {"n_fft": 400, "hop_length": 160, "window": "hamming", "sr": 16_000},
    {"n_fft": 401, "hop_length": 99, "window": "blackman"},
    {"n_fft": 512, "center": False, "hop_length": 200},
    {"n_fft": 512, "pad_mode": "reflect"},
    {"n_fft": 512, "pad_mode": "edge", "power": 1.0},
    {"power": 1.0, "ref": "max"},
    {"power": 1.0, "top_db": None, "amin": 1e-4},
    {"n_fft": 512, "fmin": 100.0, "fmax": 4_000.0},
    {"n_fft": 512, "fmin": 1_234.5, "sr": 48_000},
    {"n_fft": 512, "fmax": 3_999.0, "sr": 8_000, "ref": "max"},
]


def librosas_spectrogram(y, sr=22_050, power=2.0, fmin=0.0, fmax=math.inf, ref=1.0, amin=None, top_db=80.0,
                         **more):
    """The transform's magnitudes in decibels, the bins between fmin and fmax: [frames, bins]."""
    hertz = librosa.fft_frequencies(sr=sr, n_fft=more.get("n_fft", 2048))
    magnitude = np.abs(librosa.stft(y, **more)) ** power
    return in_decibels(magnitude[(hertz >= fmin) & (hertz <= fmax)], power, ref, amin, top_db).T


@pytest.mark.parametrize("options", SPECTROGRAM, ids=named)
def test_spectrogram_is_librosas(options):
    y = sound(options.get("sr", 22_050))
    assert relative(made(FrontEnd.spectrogram(**options), y), librosas_spectrogram(y, **options)) <= 1e-9


@pytest.mark.parametrize(("sr", "n_fft"), [(8_000, 300), (16_000, 512), (16_000, 400), (11_025, 600),
                                           (44_100, 2048)])
def test_bounds_at_a_bins_own_frequency_keep_that_bin(sr, n_fft):
    """fmin and fmax are part of the range, as rounded as librosa writes them."""
    hertz = librosa.fft_frequencies(sr=sr, n_fft=n_fft)
    wrong = []
    for k in range(1, n_fft // 2 - 1):
        try:
            low, high = float(hertz[k]), float(hertz[k + 1])
            bins = FrontEnd.spectrogram(sr, n_fft=n_fft, fmin=low, fmax=high).steps[1]
            wrong += [(k, bins.first, bins.last)] * ((bins.first, bins.last) != (k, k + 2))
        except ValueError as error:
            wrong.append((k, str(error)))
    assert not wrong


@st.composite
def any_settings(draw):
    """Settings of a log-mel front end, and the length of a sound that it can take."""
    n_fft, pad_mode = draw(st.integers(16, 300)), draw(st.sampled_from(["constant", "reflect", "edge"]))
    high = draw(st.one_of(st.none(), st.floats(1_500.0, 8_000.0)))
    options = {
        "sr": 16_000, "n_fft": n_fft, "hop_length": draw(st.integers(1, 400)),
        "win_length": draw(st.one_of(st.none(), st.integers(2, n_fft))), "pad_mode": pad_mode,
        "window": draw(st.sampled_from(["hann", "hamming", "blackman", "ones"])),
        "center": draw(st.booleans()), "power": draw(st.sampled_from([1.0, 2.0])),
        "n_mels": draw(st.integers(1, 40)),
        "fmin": draw(st.floats(0.0, 1_000.0)), "fmax": high, "htk": draw(st.booleans()),
        "norm": draw(st.sampled_from(["slaney", None])), "ref": draw(st.sampled_from([1.0, "max", 0.01])),
        "top_db": draw(st.sampled_from([None, 80.0, 20.0]))}
    return options, draw(st.integers(n_fft + 1, 900))


@seeded
@given(any_settings(), st.integers(0, 10**6))
def test_any_settings_are_librosas(case, seed):
    options, length = case
    y = np.random.default_rng(seed).standard_normal(length)
    expected = librosas_log_mel(y, **options, dtype=np.float64)
    np.testing.assert_allclose(made(FrontEnd.log_mel(**options), y), expected, rtol=0, atol=1e-7)


# ---- torchaudio, which is not installed here: its documented formulas

def torchaudios_mel(y, sr, n_fft, hop, n_mels, f_min=0.0, f_max=None, power=2.0):
    """MelSpectrogram(sr, n_fft, hop_length=hop, n_mels=n_mels), reflected, with a periodic Hann window, HTK's
    scale and no norm: [frames, n_mels].
    """
    f_max = float(sr // 2) if f_max is None else f_max
    padded = np.pad(y, n_fft // 2, mode="reflect")
    n = np.arange(n_fft)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / n_fft)
    dft = np.exp(-2j * np.pi * np.outer(n, np.arange(n_fft // 2 + 1)) / n_fft)
    frames = np.stack([padded[start:start + n_fft] for start in range(0, len(padded) - n_fft + 1, hop)])
    spectrogram = np.abs((frames * window) @ dft) ** power
    all_freqs = np.linspace(0, sr // 2, n_fft // 2 + 1)
    m_min, m_max = 2595.0 * math.log10(1.0 + f_min / 700.0), 2595.0 * math.log10(1.0 + f_max / 700.0)
    f_pts = 700.0 * (10.0 ** (np.linspace(m_min, m_max, n_mels + 2) / 2595.0) - 1.0)
    f_diff, slopes = np.diff(f_pts), f_pts[None] - all_freqs[:, None]
    down, up = -slopes[:, :-2] / f_diff[:-1], slopes[:, 2:] / f_diff[1:]
    return spectrogram @ np.maximum(0.0, np.minimum(down, up))


def torchaudios_db(x, top_db=None, multiplier=10.0, amin=1e-10):
    """AmplitudeToDB("power", top_db)."""
    db = multiplier * np.log10(np.maximum(x, amin)) - multiplier * math.log10(max(amin, 1.0))
    return db if top_db is None else np.maximum(db, db.max() - top_db)


TORCHAUDIO = [(16_000, 400, 200, 128, {}), (16_000, 512, 160, 64, {"f_min": 20.0, "f_max": 7_600.0}),
              (44_100, 1024, 512, 64, {}), (22_050, 400, 100, 40, {"power": 1.0})]


@pytest.mark.parametrize(("sr", "n_fft", "hop", "n_mels", "more"), TORCHAUDIO)
def test_torchaudios_mel_spectrogram(sr, n_fft, hop, n_mels, more):
    y = sound(sr, 0.7)
    bands = torchaudios_mel(y, sr, n_fft, hop, n_mels, **more)
    own = {"fmin": more.get("f_min", 0.0), "fmax": more.get("f_max"), "power": more.get("power", 2.0)}
    for scale, expected in (({"scale": "log", "offset": 1e-6}, np.log(bands + 1e-6)),
                            ({"scale": None}, bands), ({"top_db": None}, torchaudios_db(bands)),
                            ({"top_db": 80.0}, torchaudios_db(bands, 80.0))):
        if own["power"] == 1 and "top_db" in scale:  # AmplitudeToDB("magnitude") is 20 log10
            expected = torchaudios_db(bands, scale["top_db"], 20.0, 1e-5)
        front_end = FrontEnd.log_mel(sr=sr, n_fft=n_fft, hop_length=hop, n_mels=n_mels, htk=True, norm=None,
                                     pad_mode="reflect", **own, **scale)
        assert relative(made(front_end, y), expected) <= 1e-9, scale


# ---- the other options

@pytest.mark.parametrize(("normalize", "way"), [
    (None, lambda x: x), ("standard", lambda x: (x - x.mean()) / x.std()),
    ("stretch", lambda x: (x - x.min()) / (x.max() - x.min())), ((-4.27, 4.57), lambda x: (x + 4.27) / 4.57),
    ((list(range(20)), [2.0] * 20), lambda x: (x - np.arange(20)) / 2)])
def test_normalisations(normalize, way):
    y, options = sound(), {"sr": 16_000, "n_fft": 512, "n_mels": 20}
    plain, found = (made(FrontEnd.log_mel(**options, normalize=one), y) for one in (None, normalize))
    assert relative(found, way(plain)) <= 1e-11
    wave = made(FrontEnd.waveform(16_000, normalize=normalize if isinstance(normalize, str) else None), y)
    np.testing.assert_allclose(wave, way(y) if isinstance(normalize, str) else y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("order", ["tf", "ft", "-ft", "ftc", "tfc", "cft", "ctf", "-ftc", "t-f", "c-ft"])
def test_orders_of_axes(order):
    y, options = sound(), {"sr": 16_000, "n_fft": 512, "n_mels": 20}
    plain = made(FrontEnd.log_mel(**options), y)
    found = made(FrontEnd.log_mel(**options, order=order, channels=3 if "c" in order else 1), y)
    letters = order.replace("-", "")
    back = np.flip(found, letters.index("f")) if "-" in order else found
    same = np.moveaxis(back, letters.index("c"), 0) if "c" in letters else back[None]
    assert len(same) == (3 if "c" in order else 1)
    for one in same:
        np.testing.assert_array_equal(one.T if letters.replace("c", "") == "ft" else one, plain)


def test_resize_is_the_mean_over_area():
    y = sound()
    plain = made(FrontEnd.log_mel(sr=16_000, n_mels=40), y)
    found = made(FrontEnd.log_mel(sr=16_000, n_mels=40, resize=(16, 10)), y)
    fine = plain.repeat(16, axis=0).reshape(16, len(plain), 10, 4).mean(axis=(1, 3))
    assert relative(found, fine) <= 1e-12
    assert made(FrontEnd.log_mel(sr=16_000, resize=(64, 64), channels=3), y).shape == (64, 64, 3)


def test_what_a_call_gives_is_float32_and_of_any_source(tmp_path):
    """Files, samples, other rates, several channels: the same input."""
    import soundfile
    y = np.round(sound(48_000) * 2**15) / 2**15
    front_end = FrontEnd.log_mel(sr=16_000, n_mels=32, seconds=1.0)
    soundfile.write(tmp_path / "a.wav", np.stack([y, y], axis=1), 48_000, subtype="PCM_16")
    x = front_end(y, 48_000)
    assert x.dtype == np.float32 and x.shape == front_end.network().output_shape == (32, 32)
    for same in (front_end(tmp_path / "a.wav"), front_end(np.stack([y, y], axis=1), 48_000),
                 front_end.open(str(tmp_path / "a.wav")).input,
                 features.open_clip(y, 48_000, front_end=front_end).input):
        np.testing.assert_array_equal(same, x)
