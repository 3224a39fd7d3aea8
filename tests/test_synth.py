"""The procedural sounds: reproducible, well-formed, and each with what makes its class recognisable."""
import numpy as np
import pytest
import scipy.signal

from features.synth import CLASSES, LENGTHS, RATES, Stage, harmonics, synthesize

RATE = 22_050
SEEDS = range(12)


@pytest.fixture(scope="module")
def clips():
    """Twelve clips [n] float64 of every class: {name: [clip, ...]}."""
    return {name: [synthesize(name, seed, sample_rate=RATE).astype(float) for seed in SEEDS]
            for name in CLASSES}


# Measures of a clip y [n] at RATE

def envelope(y, per_second=200):
    """Root mean square of each 1/per_second of the clip."""
    hop = round(RATE / per_second)
    frames = y[:len(y) // hop * hop].reshape(-1, hop)
    return np.sqrt((frames ** 2).mean(axis=1))


def modulation(y):
    """(Hz, depth) of the envelope's strongest modulation above 2 Hz; 1 is full depth."""
    level = envelope(y) / envelope(y).mean() - 1
    depth = np.abs(np.fft.rfft(level * np.hanning(len(level)))) * 4 / len(level)
    hertz = np.fft.rfftfreq(len(level), 1 / 200)
    strongest = np.where(hertz > 2, depth, 0).argmax()
    return hertz[strongest], depth[strongest]


def share(y, low, high):
    """The part of the power between two frequencies."""
    hertz, power = scipy.signal.welch(y, RATE, nperseg=4096)
    return power[(hertz >= low) & (hertz < high)].sum() / power.sum()


def spectrogram(y, window=2048):
    """(Hz [k], power [k, m]) in frames 512 samples apart."""
    hertz, _, power = scipy.signal.spectrogram(y, RATE, nperseg=window, noverlap=window - 512)
    return hertz, power


def peak_span(y):
    """How many octaves the loudest partial between 300 and 3000 Hz moves (5 % to 95 % of the loud moments).
    """
    hertz, power = spectrogram(y)
    voice = (hertz > 300) & (hertz < 3000)
    power = power[voice]
    loud = power.sum(axis=0) > 0.1 * power.sum(axis=0).max()
    peak = np.log2(hertz[voice][power.argmax(axis=0)])[loud]
    return np.percentile(peak, 95) - np.percentile(peak, 5)


def tonality(y):
    """The part of the power that the 40 strongest of 1025 bins hold at loud moments: high for lines, low for
    noise.
    """
    power = spectrogram(y)[1]
    spectrum = np.sort(power[:, power.sum(axis=0) > 0.3 * power.sum(axis=0).max()].mean(axis=1))
    return spectrum[-40:].sum() / spectrum.sum()


def in_tune(y):
    """How well spectral peaks between 200 and 1500 Hz fit one grid of semitones: 0 at random, 1 exactly."""
    hertz, power = spectrogram(y, window=8192)
    peaks = (power[1:-1] > power[:-2]) & (power[1:-1] > power[2:])
    weight = np.sqrt(power[1:-1] * peaks).sum(axis=1)
    middle = hertz[1:-1]
    heard = (middle > 200) & (middle < 1500)
    grid = np.exp(2j * np.pi * 12 * np.log2(middle[heard]))
    return abs((weight[heard] * grid).sum()) / weight[heard].sum()


def held(y):
    """How alike the spectra (400 to 4000 Hz, in dB) of moments 93 ms apart are: median correlation over loud
    ones.
    """
    hertz, power = spectrogram(y)
    power = power[(hertz > 400) & (hertz < 4000)]
    loud = power[:, :-4].sum(axis=0) > 0.1 * power.sum(axis=0).max()
    level = np.log(power + 1e-7 * power.max())
    level -= level.mean(axis=0)
    level /= np.linalg.norm(level, axis=0)
    return np.median((level[:, :-4] * level[:, 4:]).sum(axis=0)[loud])


def pitch(piece):
    """The pitch of a short piece between 110 and 1100 Hz, from its autocorrelation."""
    piece = piece * np.hanning(len(piece))
    same = np.fft.irfft(np.abs(np.fft.rfft(piece, 2 * len(piece))) ** 2)
    lags = np.arange(RATE // 1100, RATE // 110)
    return RATE / lags[same[lags].argmax()]


# The interface

def test_classes_keep_their_order():
    """The ten classes are the data set's, in its order: the index is the network's output."""
    assert CLASSES == ("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling",
                       "engine_idling",
                       "gun_shot", "jackhammer", "siren", "street_music")


@pytest.mark.parametrize("name", CLASSES)
def test_same_arguments_same_bits_other_seed_other_clip(name):
    """A clip depends on its arguments alone, whether the class is given by name or index."""
    first = synthesize(name, 5, sample_rate=16_000, seconds=2.0)
    other = synthesize(name, 6, sample_rate=16_000, seconds=2.0)
    again = synthesize(np.int64(CLASSES.index(name)), np.int64(5), sample_rate=16_000, seconds=2.0)
    assert first.tobytes() == again.tobytes()
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("sample_rate, seconds", [(44_100, 4.0), (8_000, 4.0), (11_025, 0.7), (48_000, 1.37),
                                                  (RATES[0], LENGTHS[0]), (RATES[1], LENGTHS[0]),
                                                  (8_000, LENGTHS[1])])
def test_clips_are_well_formed(name, sample_rate, seconds):
    """Mono float32 of the asked length, finite, within [-1, 1], loud enough to hear, without an offset."""
    y = synthesize(name, 3, sample_rate=sample_rate, seconds=seconds)
    assert y.shape == (round(sample_rate * seconds),) and y.dtype == np.float32
    assert np.isfinite(y).all()
    assert 0.15 < np.abs(y).max() <= 1
    assert y.std() > 1e-3 and abs(y.mean()) < 0.2 * y.std()


def test_levels_vary():
    """Recordings differ in loudness, and so do clips."""
    peaks = [np.abs(synthesize("siren", seed, sample_rate=8_000, seconds=1.0)).max() for seed in SEEDS]
    assert max(peaks) > 2 * min(peaks)


@pytest.mark.parametrize("name", CLASSES)
def test_a_seed_is_one_scene_at_every_rate(name):
    """The clip at 48 kHz that resembles a clip at 16 kHz most, octave by octave and moment by moment, has its
    seed.
    """
    def profile(seed, rate):
        hertz, _, power = scipy.signal.spectrogram(synthesize(name, seed, sample_rate=rate), rate,
                                                   nperseg=rate // 20)
        octaves = np.add.reduceat(power, np.searchsorted(hertz, [100, 200, 400, 800, 1600, 3200]),
                                  axis=0)[:-1]
        level = np.log(octaves + 1e-6 * octaves.max())
        return level - level.mean()
    high = [profile(seed, 48_000) for seed in range(4)]
    for seed in range(4):
        low = profile(seed, 16_000)
        assert np.argmin([np.abs(low - other).mean() for other in high]) == seed


def test_harmonics_do_not_come_back_as_aliases():
    """Of 30 harmonics of 700 Hz at 8 kHz only 700, 1400, ... stay; no power lies anywhere else."""
    rng = np.random.default_rng(0)
    tone = harmonics(Stage(8_000, 1.0, 8_000, rng, rng), np.full(8_000, 700.0), np.ones(30))
    power = np.abs(np.fft.rfft(tone * np.hanning(8_000))) ** 2
    near = np.abs((np.arange(len(power)) + 350) % 700 - 350) < 5  # 1 Hz a bin
    assert power[~near].sum() < 1e-6 * power.sum()


@pytest.mark.parametrize("unknown", ["cat", "Siren", 10, -1, 2.0, None])
def test_unknown_classes_are_named(unknown):
    """The message names what was asked for and lists what there is."""
    with pytest.raises(ValueError, match=repr(unknown).replace(".", r"\.")) as caught:
        synthesize(unknown)
    assert all(name in str(caught.value) for name in CLASSES)


@pytest.mark.parametrize("wrong", [
    {"seed": -1}, {"seed": 1.5}, {"sample_rate": 0}, {"sample_rate": -44_100}, {"sample_rate": 1_000_000},
    {"sample_rate": 8000.5}, {"sample_rate": float("nan")}, {"seconds": 0}, {"seconds": -1.0},
    {"seconds": 61},
    {"seconds": float("nan")}, {"seconds": float("inf")}])
def test_impossible_arguments_are_refused(wrong):
    """Seed, sample rate and duration are checked; the message names the argument and the value."""
    (name, value), = wrong.items()
    with pytest.raises(ValueError, match=name) as caught:
        synthesize("siren", **wrong)
    assert repr(value) in str(caught.value)


# What makes each class recognisable

def test_air_conditioner_is_steady_and_falls_with_frequency(clips):
    """Nothing happens in an air conditioner: a level envelope, most power low, less in every higher octave
    pair.
    """
    for y in clips["air_conditioner"]:
        level = envelope(y, 20)
        assert level.std() < 0.3 * level.mean()
        assert modulation(y)[1] < 0.25
        assert share(y, 0, 600) > share(y, 600, 2400) > share(y, 2400, 9600)


def test_car_horn_stays_on_its_notes(clips):
    """A horn is lines, not noise, and holds its notes: its loudest partial moves less than half as far as a
    siren's.
    """
    assert min(tonality(y) for y in clips["car_horn"]) > 0.8 > max(tonality(y) for y in clips["drilling"])
    horn, siren = (np.median([peak_span(y) for y in clips[name]]) for name in ("car_horn", "siren"))
    assert horn < 0.4 * siren


def test_siren_sweeps(clips):
    """The loudest partial of a siren moves by a fourth at least (hi-lo), mostly by an octave (wail, yelp)."""
    spans = [peak_span(y) for y in clips["siren"]]
    assert min(spans) > 0.35 and np.median(spans) > 0.8


def test_children_are_voices_that_glide(clips):
    """Voices: power between 300 and 5000 Hz, a level that keeps changing, pitches all over and never held for
    long.
    """
    children = clips["children_playing"]
    assert min(envelope(y, 20).std() / envelope(y, 20).mean() for y in children) > 0.15
    assert np.median([share(y, 300, 5000) for y in children]) > 0.5
    assert np.median([peak_span(y) for y in children]) > 1.2
    assert np.median([held(y) for y in children]) < 0.5 < 0.7 * np.median([held(y)
                                                                           for y in clips["street_music"]])


def test_dog_barks_are_bursts_whose_pitch_drops(clips):
    """Silence between barks; 60 ms after its loudest moment a bark's pitch has fallen."""
    drops = []
    for y in clips["dog_bark"]:
        level = envelope(y)
        assert np.percentile(level, 10) < 0.03 * level.max()
        rising = np.flatnonzero((level[1:] > 0.3 * level.max()) & (level[:-1] <= 0.3 * level.max()))
        assert len(rising) >= 2
        loudest, frame = int(level[:-20].argmax() / 200 * RATE), round(0.03 * RATE)
        at, later = (y[max(loudest + round(after * RATE) - frame // 2, 0):][:frame] for after in (0.0, 0.06))
        drops.append(np.log2(pitch(at) / pitch(later)))
    assert np.median(drops) > 0.15 and np.mean(np.array(drops) > 0) > 0.7


def test_drilling_is_sustained_and_bright(clips):
    """A drill roars evenly while it runs, and far more above 1 kHz than an engine or an air conditioner."""
    for y in clips["drilling"]:
        level = envelope(y, 20)
        running = level > 0.5 * np.median(level)
        assert running.mean() > 0.7 and level[running].std() < 0.3 * level[running].mean()
    bright = {name: np.median([share(y, 1000, RATE / 2) for y in ys]) for name, ys in clips.items()}
    assert bright["drilling"] > 0.4 and max(bright["engine_idling"], bright["air_conditioner"]) < 0.2


def test_engine_fires_regularly_and_low(clips):
    """Power below 500 Hz dominates, and the envelope beats at the rate of firing, mostly 15 to 38 times a
    second.

    Four unequal cylinders may beat at a quarter or half of that rate; an air conditioner hardly beats at all.
    """
    hertz, depth = np.transpose([modulation(y) for y in clips["engine_idling"]])
    assert min(share(y, 0, 500) for y in clips["engine_idling"]) > 0.8
    assert np.mean((hertz > 15) & (hertz < 38)) > 0.6
    assert depth.min() > 0.2 and np.median(depth) > 0.3


def test_gun_shot_is_a_sharp_attack_that_dies_away(clips):
    """Out of silence within 10 ms; most energy in a fifth of the clip; half a second on, a tail is 10 dB
    down.
    """
    for y in clips["gun_shot"]:
        level = envelope(y)
        assert np.sort(level ** 2)[-len(level) // 5:].sum() > 0.9 * (level ** 2).sum()
        attack = int((level > 0.3 * level.max()).argmax())
        assert level[:attack - 1].max() < 0.03 * level.max()
        last = int(np.flatnonzero(level > 0.3 * level.max())[-1])
        tail = level[last + 1:last + 1 + (len(level) - last - 1) // 50 * 50].reshape(-1, 50)
        assert (tail[0] ** 2).mean() > 10 * (tail[2] ** 2).mean()


def test_jackhammer_strikes_8_to_20_times_a_second(clips):
    """The envelope's strongest modulation is the rate of the strikes; the impacts reach over all frequencies.
    """
    for y in clips["jackhammer"]:
        hertz, depth = modulation(y)
        assert 5 < hertz < 25 and depth > 0.25
        assert share(y, 1000, RATE / 2) > 0.2


def test_street_music_is_in_tune(clips):
    """Notes lie on one grid of semitones, which gliding voices and machines miss."""
    tuned = {name: np.median([in_tune(y) for y in clips[name]])
             for name in ("street_music", "children_playing", "dog_bark", "siren", "drilling")}
    music = tuned.pop("street_music")
    assert music > 0.3 and music > 4 * max(tuned.values())


def coarse_features(y):
    """16 coarse logarithmic bands: level, spread and change over time in dB; and four facts on rhythm and
    pitch.
    """
    hertz, power = spectrogram(y)
    bands = np.add.reduceat(power, np.searchsorted(hertz, np.geomspace(40, 10_500, 17)), axis=0)[:-1]
    level = 10 * np.log10(bands / bands.max() + 1e-8)
    beat, depth = modulation(y)
    return np.concatenate((level.mean(axis=1), level.std(axis=1), np.abs(np.diff(level)).mean(axis=1),
                           [depth * np.log2(beat), depth, peak_span(y), tonality(y)]))


def test_a_nearest_centroid_classifier_tells_the_classes_apart(clips):
    """Centroids of six seeds of each class name the class of more than 80 % of the other six, and the other
    way round.
    """
    # [class, seed, feature]
    features = np.array([[coarse_features(y) for y in clips[name]] for name in CLASSES])
    right = []
    for learn, check in ((features[:, ::2], features[:, 1::2]), (features[:, 1::2], features[:, ::2])):
        scale = learn.std(axis=1).mean(axis=0)  # how far clips of one class lie apart
        away = np.linalg.norm((check[:, :, None] - learn.mean(axis=1)) / scale, axis=-1)
        right.append(away.argmin(axis=-1) == np.arange(len(CLASSES))[:, None])
    assert np.mean(right) > 0.8, dict(zip(CLASSES, np.mean(right, axis=(0, 2))))
