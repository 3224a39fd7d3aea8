"""The steps of a front end one by one: transposes, SciPy's resampler, inverses, what happens at the edges."""
import fractions

import librosa
import numpy as np
import pytest
import scipy.signal
from carried import cross
from hypothesis import given, settings
from hypothesis import strategies as st

from features import steps
from features.steps import AreaResize, Arrange, Frames, InverseSTFT, Mel, Resample, Spectrogram

seeded = settings(max_examples=60, derandomize=True, deadline=None, database=None)
WINDOWS, PADS = ["hann", "hamming", "blackman", "ones"], ["constant", "reflect", "edge", "replicate"]


def rng(seed=0):
    return np.random.default_rng(seed)


def adjoint_error(layer, shape, seed=0):
    """|<A x, s> - <x, Aᵀ s>| over the size of its terms, for random x [*shape] and s, two of each."""
    x = rng(seed).standard_normal((2, *shape))
    y = layer.forward(x)
    assert y.shape[1:] == layer.output_shape(shape)
    s = rng(seed + 1).standard_normal(y.shape)
    back = layer.adjoint(s, layer.kernel, shape)
    assert back.shape == x.shape
    return abs((y * s).sum() - (x * back).sum()) / (np.abs(y * s).sum() + np.abs(x * back).sum())


# ---- resampling

PAIRS = [(8_000, 16_000), (16_000, 8_000), (44_100, 16_000), (16_000, 44_100), (22_050, 44_100),
         (48_000, 16_000), (48_000, 44_100), (44_100, 48_000), (96_000, 22_050), (11_025, 16_000),
         (192_000, 8_000), (32_000, 24_000), (44_099, 16_000),
         (11_111, 22_050), (7_350, 44_100), (768_000, 1_000), (44_100.5, 16_000)]


@pytest.mark.parametrize("rates", PAIRS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 5, 63, 64, 65, 1_000, 5_003])
def test_resampling_is_scipys_and_its_transpose(rates, length):
    layer = Resample(*rates)
    ratio = fractions.Fraction(rates[1] / rates[0]).limit_denominator(2_000)
    y = rng(length).standard_normal(length)
    theirs = scipy.signal.resample_poly(y, ratio.numerator, ratio.denominator, window=("kaiser", 5.0))
    (ours,) = layer.forward(y[None])
    assert ours.shape == theirs.shape == layer.output_shape((length,))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(y).max())
    assert adjoint_error(layer, (length,)) <= 1e-13


@pytest.mark.parametrize("rates", PAIRS[:9], ids=str)
def test_resampling_back_is_the_matrix_transposed(rates):
    layer, length = Resample(*rates), 150
    matrix = layer.forward(np.eye(length)).T
    s = rng(1).standard_normal((3, len(matrix)))
    np.testing.assert_allclose(layer.adjoint(s, None, (length,)), s @ matrix, rtol=0, atol=1e-12)


def test_equal_rates_change_nothing():
    y = rng().standard_normal((2, 50))
    layer = Resample(16_000, 16_000)
    np.testing.assert_array_equal(layer.forward(y), y)
    np.testing.assert_array_equal(layer.adjoint(y, None, (50,)), y)
    for rate in (0, 500, 1e6, float("nan"), "8000"):
        with pytest.raises(ValueError, match="Resample: source"):
            Resample(rate, 16_000)


@pytest.mark.parametrize("rates", PAIRS[:8], ids=str)
def test_resampling_in_single_precision(rates):
    y = rng().standard_normal((1, 3_000))
    found = Resample(*rates).forward(y.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, Resample(*rates).forward(y), rtol=0, atol=1e-5)


# ---- mel bands and areas

@pytest.mark.filterwarnings("ignore:Empty filters")
@pytest.mark.parametrize("mel", [Mel(), Mel(44_100), Mel(16_000, 400, 80),
                                 Mel(16_000, 512, 40, 60.0, 7_600.0, True, None), Mel(8_000, 256, 200),
                                 Mel(16_000, 511, 1), Mel(16_000, 512, 17, htk=True)], ids=str)
def test_mel_and_its_transpose(mel):
    shape = (7, mel.n_fft // 2 + 1)
    assert adjoint_error(mel, shape) <= 1e-13
    x = rng(2).standard_normal((2, *shape))
    np.testing.assert_allclose(mel.forward(x), x @ mel.kernel, rtol=0, atol=1e-12)
    theirs = librosa.filters.mel(sr=mel.sample_rate, n_fft=mel.n_fft, n_mels=mel.n_mels, fmin=mel.fmin,
                                 fmax=mel.fmax, htk=mel.htk, norm=mel.norm, dtype=np.float64)
    np.testing.assert_allclose(mel.kernel.T, theirs, rtol=1e-9, atol=1e-13)
    # With other weights, as rules take them: absolute values, another precision.
    other = np.abs(mel.kernel) + 0.1
    np.testing.assert_allclose(mel.linear(x, other, None), x @ other, rtol=1e-12)
    np.testing.assert_allclose(mel.adjoint(x @ other, other, shape), x @ other @ other.T, rtol=1e-11)


@pytest.mark.parametrize("htk", [False, True])
def test_scales_are_librosas(htk):
    hertz = np.array([0.0, 1.0, 200.0, 999.9, 1000.0, 1000.1, 4_000.0, 22_050.0])
    np.testing.assert_allclose(steps.hz_to_mel(hertz, htk), librosa.hz_to_mel(hertz, htk=htk), rtol=1e-12)
    mel = np.linspace(0, 60, 50) * (50 if htk else 1)
    np.testing.assert_allclose(steps.mel_to_hz(mel, htk), librosa.mel_to_hz(mel, htk=htk), rtol=1e-12)
    again = steps.mel_to_hz(steps.hz_to_mel(hertz, htk), htk)
    np.testing.assert_allclose(again, hertz, rtol=1e-12, atol=1e-12)


@seeded
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))
def test_area_resize_and_its_transpose(frames, bands, high, wide):
    layer = AreaResize(frames, bands)
    assert adjoint_error(layer, (high, wide)) <= 1e-13
    whole = layer.forward(np.ones((1, high, wide)))
    np.testing.assert_allclose(whole, 1.0, rtol=1e-12)


# ---- frames and transform

@st.composite
def framings(draw):
    """(Frames, the length of a sound that they can take)."""
    n_fft = draw(st.integers(2, 40))
    hop = draw(st.one_of(st.integers(1, 6), st.integers(1, 50)))
    frames = Frames(n_fft, hop, draw(st.one_of(st.none(), st.integers(2, n_fft))),
                    draw(st.sampled_from(WINDOWS)), draw(st.booleans()), draw(st.sampled_from(PADS)))
    return frames, draw(st.integers(n_fft, 150))


def explicit(frames, length):
    """The transform of a sound as a matrix [frames, bins, length] of complex numbers, by its definition."""
    n_fft, pad = frames.n_fft, frames.n_fft // 2 if frames.center else 0
    mode = {"replicate": "edge"}.get(frames.pad_mode, frames.pad_mode)
    padded = np.pad(np.eye(length), ((0, 0), (pad, pad)), mode=mode) if pad else np.eye(length)
    size = frames.win_length or n_fft
    window = np.zeros(n_fft)
    window[(n_fft - size) // 2:][:size] = scipy.signal.get_window(frames.window, size, fftbins=True)
    n, count = np.arange(n_fft), 1 + (length + 2 * pad - n_fft) // frames.hop
    wave = window * np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), n) / n_fft)
    return np.stack([wave @ padded[:, m * frames.hop:m * frames.hop + n_fft].T for m in range(count)])


@seeded
@given(framings(), st.integers(0, 10**6))
def test_the_transform_and_its_transpose_by_their_definition(case, seed):
    """Y = A y, and <A y, W> = <y, A* W> with the real parts of complex products, for every way to pad."""
    frames, length = case
    y, matrix = rng(seed).standard_normal(length), explicit(*case)
    spectrum = frames.transform(y)
    np.testing.assert_allclose(spectrum, matrix @ y, rtol=0, atol=1e-11)
    weight = rng(seed).standard_normal((2, *spectrum.shape))
    weight = weight[0] + 1j * weight[1]
    expected = np.einsum("mkn,mk->n", matrix.conj(), weight).real
    # An imaginary part at frequency 0, and at the highest of an even number, is of no sound.
    found = frames.adjoint([weight[:2].copy(), weight[2:].copy()], length)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    inner, back = (spectrum * weight.conj()).real.sum(), y @ found
    assert abs(inner - back) <= 1e-12 * (np.abs(spectrum * weight).sum() + np.abs(y * found).sum())


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(("n_fft", "hop", "length"), [(16, 3, 50), (15, 2, 31), (16, 1, 9), (16, 20, 90)])
def test_every_way_to_pad_is_transposed_at_both_ends(pad, n_fft, hop, length):
    frames = Frames(n_fft, hop, pad_mode=pad)
    matrix = explicit(frames, length)
    weight = rng(length).standard_normal(matrix.shape[:2])
    expected = np.einsum("mkn,mk->n", matrix.conj(), weight).real
    np.testing.assert_allclose(frames.adjoint([weight.astype(complex)], length), expected, rtol=0, atol=1e-11)


@seeded
@given(framings(), st.integers(0, 10**6))
def test_relevance_of_cells_is_conserved_for_every_way_to_pad(case, seed):
    """R_n = y_n (Aᵀ c Y)_n, c = R / |Y|², by the explicit matrix: padding hands on to what it copies."""
    frames, length = case
    y, matrix = rng(seed).standard_normal(length), explicit(*case)
    spectrum = matrix @ y
    r = rng(seed + 1).standard_normal(spectrum.shape) * (np.abs(spectrum) > 1e-6)
    layer = Spectrogram(frames.n_fft, frames.hop_length, frames.win_length, frames.window, frames.center,
                        frames.pad_mode)
    found, book = cross(layer, y, r)
    c = np.divide(r, np.abs(spectrum) ** 2, out=np.zeros_like(r), where=r != 0)
    expected = y * np.einsum("mkn,mk->n", matrix.conj(), c * spectrum).real
    scale = np.abs(r).sum() + np.abs(expected).sum()
    assert np.abs(found - expected).max() <= 1e-11 * max(scale, 1e-300)
    assert abs(found.sum() - r.sum()) <= 1e-11 * scale and abs(book.gated[0]) <= 1e-12 * scale


INVERSES = [(InverseSTFT(64, 16, window=window, pad_mode=pad, samples=length), length)
            for window in WINDOWS for pad in ("constant", "reflect") for length in (64, 333)]
INVERSES += [(InverseSTFT(n_fft, hop, size, samples=length), length) for n_fft, hop, size, length in (
    (63, 15, None, 200), (64, 32, None, 200), (64, 10, 50, 131), (2048, 512, None, 5_000),
    (64, None, None, 40), (64, None, None, 1))]


@pytest.mark.parametrize(("layer", "length"), INVERSES, ids=str)
def test_the_inverse_of_a_sounds_transform_is_the_sound(layer, length):
    y = rng(length).standard_normal((2, length))
    spectra = np.stack([layer.transform(one) for one in y])
    cells = np.stack((spectra.real, spectra.imag), axis=-1)
    assert layer.output_shape(cells.shape[1:]) == (length,)
    np.testing.assert_allclose(layer.forward(cells), y, rtol=0, atol=1e-11)
    np.testing.assert_allclose(layer.inverse(spectra[0], length), y[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize(("layer", "length"), INVERSES, ids=str)
def test_the_inverse_and_its_transpose(layer, length):
    shape = (layer.count(length), layer.bins, 2)
    assert adjoint_error(layer, shape) <= 1e-12
    if np.prod(shape) < 2_000:
        matrix = layer.forward(np.eye(np.prod(shape)).reshape(-1, *shape)).T
        s = rng(1).standard_normal((1, length))
        found = layer.adjoint(s, None, shape)
        np.testing.assert_allclose(found.ravel(), (s @ matrix).ravel(), rtol=0, atol=1e-12)


def test_without_a_centre_the_inverse_is_the_sound_where_a_window_reaches():
    layer, y = InverseSTFT(64, 16, center=False, samples=200), rng().standard_normal(200)
    spectrum = layer.transform(y)
    found = layer.forward(np.stack((spectrum.real, spectrum.imag), axis=-1)[None])[0]
    assert layer.count(200) == 9, "the last frame begins at 128, and ends before sample 192"
    np.testing.assert_allclose(found[1:192], y[1:192], rtol=0, atol=1e-9)
    assert found[0] == 0 and not found[192:].any(), "the window is zero there, or none is"
    assert adjoint_error(layer, (9, 33, 2)) <= 1e-12


@pytest.mark.parametrize("frames", [Frames(64, 16), Frames(64, 16, window="hamming", win_length=50)])
def test_least_squares_of_a_spectrum_that_no_sound_has(frames):
    """Griffin and Lim's equation 6: no other sound's transform comes nearer, as 50 neighbours show."""
    spectrum = rng().standard_normal((2, frames.count(100), frames.bins))
    spectrum = spectrum[0] + 1j * spectrum[1]
    y = frames.inverse(spectrum, 100)
    inner = np.full(frames.bins, 2.0)  # each inner bin stands for two of the whole transform
    inner[[0, -1]] = 1

    def distance(sound):
        return (inner * np.abs(frames.transform(sound) - spectrum) ** 2).sum()
    assert all(distance(y) < distance(y + 1e-3 * rng(k).standard_normal(100)) for k in range(50))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", [1, 2, 3, 8, 401])
def test_windows_are_scipys(window, length):
    """Periodic, in the middle of the frame; of a single sample, too."""
    w = Frames(402, win_length=length, window=window).w
    left = (402 - length) // 2
    theirs = scipy.signal.get_window(window, length, fftbins=True)
    np.testing.assert_allclose(w, np.pad(theirs, (left, 402 - length - left)), rtol=0, atol=1e-14)


def test_frames_that_cannot_be_are_refused():
    for frames, samples, message in ((Frames(64, center=False), 63, "63 samples are too few"),
                                     (Frames(64, pad_mode="reflect"), 32, "32 samples .* reflected over 32")):
        with pytest.raises(ValueError, match=message):
            frames.count(samples)
        with pytest.raises(ValueError, match=message):
            Spectrogram(64, center=frames.center, pad_mode=frames.pad_mode).output_shape((samples,))
    assert Frames(64, pad_mode="reflect").count(33) == 1 and Frames(64).count(1) == 1
    with pytest.raises(ValueError, match="InverseSTFT of 100 samples takes spectra"):
        InverseSTFT(64, 16, samples=100).output_shape((6, 33, 2))


# ---- levels and moves: relevance stays

@pytest.mark.parametrize("step", [steps.Decibels(), steps.Decibels("max", kind="amplitude"), steps.Log(),
                                  steps.Stretch(), steps.Standardize(), steps.Standardize(1.0, 2.0)], ids=str)
def test_levels_pass_relevance_and_are_monotone(step):
    x, r = rng().random((5, 6)), rng(1).standard_normal((5, 6))
    found, book = cross(step, x, r)
    np.testing.assert_array_equal(found, r)
    assert not book.gated.any()
    y = step.forward(x[None])[0]
    np.testing.assert_array_equal(np.argsort(y, axis=None), np.argsort(x, axis=None))


@pytest.mark.parametrize("step", [steps.Decibels(), steps.Decibels("max"), steps.Log(),
                                  steps.Log(1.0, 0.01, 10.0),
                                  steps.Stretch(), steps.Standardize(), steps.Colours()], ids=str)
def test_levels_of_a_clip_do_not_depend_on_its_batch(step):
    x = rng().random((4, 5, 6)) * np.array([1, 1e-3, 0, 7])[:, None, None]
    together = step.forward(x / 7)
    for alone, one in zip(x, together):
        np.testing.assert_array_equal(step.forward(alone[None] / 7)[0], one)
    assert np.isfinite(together).all()


ORDERS = {(5, 6): ["tf", "ft", "-ft", "t-f", "ftc", "-ftc", "ctf", "cft"],
          (5, 6, 3): ["tfc", "ftc", "c-ft", "ctf"], (7,): ["t", "tc", "ct"]}
ARRANGED = [(Arrange(order, channels), shape) for shape, orders in ORDERS.items() for order in orders
            for channels in ((1, 3) if "c" in order else (1,))]


@pytest.mark.parametrize(("step", "shape"), ARRANGED, ids=str)
def test_arranging_back_is_the_transpose(step, shape):
    size = np.prod(shape)
    matrix = step.forward(np.eye(size).reshape(size, *shape)).reshape(size, -1)
    r = rng().standard_normal(step.output_shape(shape))
    found, book = cross(step, rng(1).standard_normal(shape), r)
    np.testing.assert_allclose(found.ravel(), matrix @ r.ravel(), rtol=0, atol=1e-14)
    assert not book.gated.any()


def test_bins_hand_back_what_they_took():
    step, x = steps.Bins(2, 5), rng().standard_normal((1, 4, 9))
    np.testing.assert_array_equal(step.forward(x), x[..., 2:5])
    r = rng(1).standard_normal((4, 3))
    found, _ = cross(step, x[0], r)
    np.testing.assert_array_equal(found[:, 2:5], r)
    assert not np.delete(found, [2, 3, 4], axis=1).any() and steps.Bins(3).output_shape((4, 9)) == (4, 6)
