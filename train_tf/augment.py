"""What one epoch of training sees: level images varied without changing what is heard, mixtures, and nothing
at all.

Each variation takes away a short cut that the data set offers (`docs/model.md` shows them): where a short
clip ends, how long it was, what its recorder cut off, how loud its background is, which bands its microphone
favours.
"""
import numpy as np

from features.steps import hz_to_mel

MIXED = 1 / 2        # share of images that are mixtures
OUTLIERS = 1 / 10    # images of no class, as a share of the training set
KINDS = ("silence", "noise", "tones", "clicks", "shuffled", "hum", "swelling noise", "gliding tone")


def runs(longest, size, probability, count, rng):
    """A boolean mask [count, size]: one run of 1 to `longest` places in about `probability` of the rows."""
    length = rng.integers(1, longest + 1, count) * (rng.random(count) < probability)
    start = (rng.random(count) * (size - length + 1)).astype(int)
    place = np.arange(size)
    return (place >= start[:, None]) & (place < (start + length)[:, None])


def sounding(level):
    """How many columns come before the digital silence at the end of each image [N, 64, 64] -> [N], at least
    1.

    Silence is what lies at the image's own minimum: our front end gives it level 0, the data set's pictures
    level 2.
    """
    heard = (level > level.min(axis=(1, 2), keepdims=True)).any(axis=1)
    return np.maximum(level.shape[2] - heard[:, ::-1].argmax(axis=1),
                      1) * heard.any(axis=1) + ~heard.any(axis=1)


def repeated(level):
    """Images whose silence after the sound is filled by the sound from its start, as often as it takes."""
    source = np.arange(level.shape[2]) % sounding(level)[:, None]
    return np.take_along_axis(level, source[:, None, :], axis=2)


def end_elsewhere(level, rng):
    """Let the silence after a clip say nothing of its class.

    Half of the images are repeated to the end where silence was; a sixth of all ends after 8 to 64 columns,
    whatever its own length.
    """
    count, _, columns = level.shape
    looped = np.where((rng.random(count) < 1 / 2)[:, None, None], repeated(level), level)
    end = np.where(rng.random(count) < 1 / 6, rng.integers(8, columns + 1, count), columns)
    return np.where(np.arange(columns) < end[:, None, None], looped, level.min(axis=(1, 2), keepdims=True))


def add_noise(level, rng):
    """Raise the floor of half of the images: a background of up to about 40 % of full scale, tilted over the
    bands.
    """
    count, rows, columns = level.shape
    height = rng.uniform(0, 100, (count, 1, 1)) * (rng.random((count, 1, 1)) < 1 / 2)
    tilt = rng.uniform(-0.5, 0.5, (count, 1, 1)) * np.linspace(-1, 1, rows)[:, None]
    floor = height * (1 + tilt) + rng.normal(0, 6, (count, 1, 1)) * (height > 0)
    grain = rng.integers(-8, 9, (count, rows, columns), dtype=np.int8)
    return np.maximum(level, np.clip(floor + grain * (height > 0), 0, 255).astype(np.uint8))


def hide(level, rng):
    """Hide up to 12 columns of half of the images, up to 10 rows of half, and of half the top 1 to 26 rows.

    The top rows are what a recording below 44.1 kHz lacks: 11 rows above 11 kHz, 16 above 8 kHz, 27 above 4
    kHz. What is hidden takes the image's own minimum, which is how silence looks.
    """
    count, rows, columns = level.shape
    top = rng.integers(1, 27, count) * (rng.random(count) < 1 / 2)
    hidden = runs(12, columns, 1 / 2, count, rng)[:, None, :] | runs(10, rows, 1 / 2, count, rng)[:, :, None]
    hidden |= (np.arange(rows) < top[:, None])[:, :, None]
    return np.where(hidden, level.min(axis=(1, 2), keepdims=True), level)


def cut_bands(level, hertz):
    """Level images [N, 64, 64] as a recording without anything above `hertz` would give them: those rows at
    the minimum.

    Row r shows the mels from (63 - r)/64 to (64 - r)/64 of those up to 22,050 Hz; a row that reaches above is
    cut.
    """
    if hertz is None:
        return level
    kept = int(64 * hz_to_mel(hertz) / hz_to_mel(22_050))
    cut = level.copy()
    cut[:, :64 - kept] = level.min(axis=(1, 2), keepdims=True)
    return cut


def shift(level, rng):
    """Move each image in time, what leaves at one side entering at the other."""
    source = (np.arange(level.shape[2]) - rng.integers(0, level.shape[2], (len(level), 1))) % level.shape[2]
    return np.take_along_axis(level, source[:, None, :], axis=2)


def transpose(level, rng):
    """Move half of the images by -3 to 3 rows, the minimum entering: the same sound a little higher or lower.
    """
    count, rows, _ = level.shape
    by = rng.integers(-3, 4, count) * (rng.random(count) < 1 / 2)
    source = np.arange(rows) + by[:, None]
    moved = np.take_along_axis(level, np.clip(source, 0, rows - 1)[:, :, None], axis=1)
    return np.where(((source >= 0) & (source < rows))[:, :, None], moved,
                    level.min(axis=(1, 2), keepdims=True))


def equalise(level, rng):
    """Play half of the images through another microphone: a gain that bends over the bands, 30 levels (9 dB)
    strong.

    The gain is linear between six knots, each drawn from a normal distribution (after FilterAugment, Nam et
    al. 2022). What lies at the image's minimum is silence and stays.
    """
    count, rows, _ = level.shape
    knots = rng.normal(0, 30, (count, 6)) * (rng.random((count, 1)) < 1 / 2)
    place = np.linspace(0, 5, rows)
    before = np.minimum(place.astype(int), 4)
    gain = knots[:, before] * (1 - (place - before)) + knots[:, before + 1] * (place - before)
    return heard_as(level, level + gain[:, :, None].astype(np.float32))


def stretch(level, rng):
    """Play half of the images faster or slower, by at most a factor of e^(1/4).

    What a faster one lacks at its end is its beginning, so that silence after a short sound then lies in its
    middle.
    """
    count, _, columns = level.shape
    speed = np.where(rng.random(count) < 1 / 2, np.exp(rng.uniform(-0.25, 0.25, count)), 1)
    source = ((np.arange(columns) + 0.5) * speed[:, None]).astype(int) % columns
    return np.take_along_axis(level, source[:, None, :], axis=2)


def compress(level, rng):
    """Widen or narrow the range of levels of half of the images, below the loudest, by at most 30 %."""
    count = len(level)
    factor = np.where(rng.random(count) < 1 / 2, rng.uniform(0.7, 1.3, count), 1).astype(np.float32)
    return heard_as(level, 255 - (255 - level.astype(np.float32)) * factor[:, None, None])


def heard_as(level, changed):
    """The images with other levels, which stay between the image's minimum and 255; what lies at the minimum
    is silence and stays.
    """
    lowest = level.min(axis=(1, 2), keepdims=True)
    return np.where(level > lowest, np.clip(changed, lowest, 255).astype(np.uint8), level)


def vary(level, rng):
    """Vary level images [N, 64, 64] uint8 without changing what is heard; returns new images of the same
    shape.
    """
    for change in (transpose, stretch, equalise, compress, end_elsewhere, shift, add_noise, hide):
        level = change(level, rng)
    return level


def mix(level, labels, rng):
    """Mixup (Zhang et al. 2018): half of the images become λ·a + (1 - λ)·b, and so do their labels; λ from
    Beta(0.4, 0.4).
    """
    count = len(level)
    other = rng.permutation(count)
    share = np.where(rng.random(count) < MIXED, rng.beta(0.4, 0.4, count), 1).astype(np.float32)
    images = share[:, None, None] * level + (1 - share[:, None, None]) * level[other]
    return (images + 0.5).astype(np.uint8), share[:, None] * labels + (1 - share[:, None]) * labels[other]


def outliers(level, count, rng):
    """Images [count, 64, 64] of no class: silence, noises, tones, clicks, hums, swelling noises, gliding
    tones, and real
    images with their parts shuffled."""
    rows, columns = level.shape[1:]
    made = np.zeros((count, rows, columns), np.float64)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        if kind in ("noise", "swelling noise"):  # with a spectrum of its own
            made[number] = (
                160 + np.cumsum(rng.normal(0, 6, rows))[:, None] + rng.normal(0, 14, (rows, columns))
            )
        elif kind in ("tones", "clicks", "hum", "gliding tone"):
            made[number] = rng.uniform(0, 60) + rng.normal(0, 4, (rows, columns))
        if kind == "swelling noise":
            turns = rng.uniform(1, 20) * np.arange(columns) / columns + rng.random()
            made[number] -= rng.uniform(20, 120) * (1 + np.sin(2 * np.pi * turns))
        elif kind == "tones":
            made[number, rng.integers(0, rows, rng.integers(1, 5))] = rng.uniform(150, 255)
        elif kind == "clicks":
            made[number][:, rng.integers(0, columns, rng.integers(1, 9))] = rng.uniform(120, 255)
        elif kind == "hum":
            made[number] = np.maximum(made[number],
                                      hum(rows, rng)[:, None] + rng.normal(0, 3, (rows, columns)))
        elif kind == "gliding tone":
            place = np.linspace(*rng.uniform(0, rows, 2), columns) * rng.integers(1, 6) % rows
            made[number, place.astype(int), np.arange(columns)] = rng.uniform(150, 255)
        # squares of 16 x 16 cells of a real image in another order, some upside down
        elif kind == "shuffled":
            tiles = level[rng.integers(len(level))].reshape(4, 16, 4, 16).swapaxes(1, 2).reshape(16, 16, 16)
            tiles = tiles[rng.permutation(16)]
            tiles[::2] = tiles[::2, ::-1]
            made[number] = tiles.reshape(4, 4, 16, 16).swapaxes(1, 2).reshape(rows, columns)
    return np.clip(made, 0, 255).astype(np.uint8)


def hum(rows, rng):
    """A level for each row [rows] of a steady tone of 40 to 300 Hz with overtones that fall by 3 to 9 dB an
    octave.
    """
    overtone = np.arange(1, rng.integers(4, 25))
    hertz = np.exp(rng.uniform(np.log(40), np.log(300))) * overtone
    loud = 255 - rng.uniform(0.5, 1.5) * 20 * np.log10(overtone) * 255 / 80
    level = np.zeros(rows)
    np.maximum.at(level, rows - 1 - (rows * hz_to_mel(hertz) / hz_to_mel(22_050)).astype(int), loud)
    return level


def epoch(level, labels, rng):
    """One epoch: (images [M, 64, 64] uint8, labels [M, classes] float32) in random order, outliers' labels
    equal for all classes.
    """
    images, mixed = mix(vary(level, rng), labels, rng)
    strangers = vary(outliers(level, round(len(level) * OUTLIERS), rng), rng)
    images = np.concatenate((images, strangers))
    mixed = np.concatenate((mixed, np.full((len(strangers), labels.shape[1]), 1 / labels.shape[1],
                                           np.float32)))
    order = rng.permutation(len(images))
    return images[order], mixed[order].astype(np.float32)
