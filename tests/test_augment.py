"""What training sees: images varied without changing what is heard, mixtures, and images of no class."""
import numpy as np
import pytest

from features.steps import hz_to_mel, mel_to_hz
from train_tf import augment


def ramps(count):
    """Images whose columns rise from 60 to 123, so that a column tells its own place."""
    return np.repeat(np.arange(60, 124, dtype=np.uint8)[None, None, :], count, axis=0).repeat(64, axis=1)


def test_a_shift_turns_all_rows_of_an_image_together():
    out = augment.shift(ramps(300), np.random.default_rng(0))
    by = out[:, 0].argmax(axis=1)
    for image, place in zip(out, by):
        np.testing.assert_array_equal(image, np.roll(ramps(1)[0], place - 63, axis=1))
    assert len(set(by)) > 55, "every shift happens"


@pytest.mark.parametrize(("longest", "size"), [(1, 4), (3, 5), (5, 5)])
def test_runs_begin_and_end_everywhere(longest, size):
    """Each length is as likely as any other, and of each length each place, from the first to the last."""
    count = 60_000
    mask = augment.runs(longest, size, 1 / 2, count, np.random.default_rng(0))
    lengths = mask.sum(axis=1)
    assert (np.abs(np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))),
                           axis=1)).sum(axis=1) == 2 * (lengths > 0)).all(), "one run, or none"
    assert (lengths == 0).mean() == pytest.approx(1 / 2, abs=0.01) and set(lengths) == set(range(longest + 1))
    for length in range(1, longest + 1):
        begins = mask[lengths == length].argmax(axis=1)
        assert len(begins) / count == pytest.approx(1 / 2 / longest, abs=0.01)
        places = size - length + 1
        np.testing.assert_allclose(np.bincount(begins, minlength=places) / len(begins),
                                   np.full(places, 1 / places), atol=0.02)


def test_rows_and_columns_are_hidden_at_the_minimum():
    out = augment.hide(ramps(600), np.random.default_rng(0))
    dark = out == 60
    rows, columns = dark.all(axis=2), dark[:, :, 1:].all(axis=1)
    np.testing.assert_array_equal(np.where(dark, 0, out), np.where(dark, 0, ramps(600)),
                                  "what is not hidden stays")
    np.testing.assert_array_equal(dark[:, :, 1:], rows[:, :, None] | columns[:, None, :],
                                  "whole rows and columns only")
    top = rows.argmin(axis=1)
    assert top.max() <= 26 + 10 and 0.45 < (top > 0).mean() < 0.62, (
        "half of the images lose top rows, some to the band in between"
    )
    assert 0.4 < columns.any(axis=1).mean() < 0.6 and columns.sum(axis=1).max() <= 12


@pytest.mark.parametrize("silence", [0, 2])  # our front end's, and that of the data set's pictures
def test_silence_after_a_clip_says_nothing(silence):
    """Images that sound for 20 columns only: half are repeated over the silence, some are cut short, some
    left alone.
    """
    level = ramps(900)
    level[:, :, 20:] = silence
    flat = np.full((1, 64, 64), silence, np.uint8)
    np.testing.assert_array_equal(augment.sounding(np.concatenate((level[:2], flat))), [20, 20, 1])
    np.testing.assert_array_equal(augment.repeated(level), level[:, :, np.arange(64) % 20])
    out = augment.end_elsewhere(level, np.random.default_rng(0))
    length = augment.sounding(out)
    looped = (out == level[:, :, np.arange(64) % 20]).all(axis=(1, 2))
    assert 0.36 < looped.mean() < 0.48 and (length[looped] == 64).all()
    for image, sounds in zip(out[~looped], length[~looped]):
        expected = np.where(np.arange(64) < sounds, level[0][:, np.arange(64) % 20], silence)
        np.testing.assert_array_equal(image, expected)
    assert (length[~looped] == 20).mean() > 0.6 and len(set(length[~looped])) > 10


def test_noise_only_raises_the_floor():
    out = augment.add_noise(ramps(400), np.random.default_rng(0)).astype(int)
    raised = (out != ramps(400)).any(axis=(1, 2))
    assert (out >= ramps(400)).all() and 0.2 < raised.mean() < 0.55
    loud = np.full((50, 64, 64), 200, np.uint8)
    np.testing.assert_array_equal(augment.add_noise(loud, np.random.default_rng(0)), loud)


def test_mixtures_carry_the_labels_of_both():
    labels = np.eye(10, dtype=np.float32)[np.arange(500) % 10]
    level = np.broadcast_to((np.arange(500) % 10 * 25)[:, None, None], (500, 64, 64)).astype(np.uint8)
    images, mixed = augment.mix(level, labels, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    expected = mixed @ (np.arange(10) * 25)
    np.testing.assert_allclose(images[:, 3, 5], expected, atol=0.51)
    assert 0.3 < (mixed.max(axis=1) < 1).mean() < 0.6


def test_outliers_belong_to_no_class_and_an_epoch_is_seeded():
    labels = np.eye(10, dtype=np.float32)[np.arange(100) % 10]
    images, mixed = augment.epoch(ramps(100), labels, np.random.default_rng(0))
    assert len(images) == 110 and images.dtype == np.uint8
    assert (np.abs(mixed - 0.1) < 1e-6).all(axis=1).sum() == 10
    again, _ = augment.epoch(ramps(100), labels, np.random.default_rng(0))
    other, _ = augment.epoch(ramps(100), labels, np.random.default_rng(1))
    assert np.array_equal(images, again) and not np.array_equal(images, other)


def test_each_kind_of_outlier_is_what_its_name_says():
    count = len(augment.KINDS)
    made = dict(
        zip(
            augment.KINDS,
            augment.outliers(ramps(3), count * 6, np.random.default_rng(0))
            .reshape(6, count, 64, 64)
            .swapaxes(0, 1),
        )
    )
    made = {kind: images.astype(int) for kind, images in made.items()}
    assert not made["silence"].any() and all(images.std(axis=(1, 2)).min() > 1 for kind,
                                             images in made.items() if kind != "silence")
    np.testing.assert_array_equal(np.sort(made["shuffled"][0], axis=None), np.sort(ramps(1), axis=None),
                                  "parts of a real image, shuffled")
    for image in made["tones"]:
        assert 1 <= (image.min(axis=1) >= 150).sum() <= 4
    for image in made["clicks"]:
        assert 1 <= (image.min(axis=0) >= 119).sum() <= 8
    for image in made["hum"]:  # steady, and loudest in the row of its first tone, in the lowest rows
        assert image.mean(axis=1).argmax() >= 54 and image.max(axis=1)[:20].max() < 200
    for image in made["swelling noise"]:
        moments, steady = image.mean(axis=0), made["noise"][0].mean(axis=0)
        assert moments.std() > 4 * steady.std()
    for image in made["gliding tone"]:  # one row at a moment, another one later
        assert ((image >= 150).sum(axis=0) == 1).all() and len(set(image.argmax(axis=0))) > 10


@pytest.mark.parametrize("hertz", [50, 120, 300])
def test_a_hum_stands_where_its_overtones_are(hertz):
    class Drawn:  # a generator that draws what it is told
        def integers(self, low, high):
            return 9

        def uniform(self, low, high):
            return np.log(hertz) if low > 2 else 1.0
    level = augment.hum(64, Drawn())
    edges = mel_to_hz(np.linspace(0, hz_to_mel(22_050), 65))[::-1]
    loud = 255 - 20 * np.log10(np.arange(1, 9)) * 255 / 80
    for row in range(64):
        inside = (hertz * np.arange(1, 9) > edges[row + 1]) & (hertz * np.arange(1, 9) <= edges[row])
        assert level[row] == pytest.approx(loud[inside].max() if inside.any() else 0), row


def squares(count, silence=0):
    """Images at `silence` but for a square of level 100 in rows 20-29, columns 30-49, and one of 255 in its
    corner.
    """
    level = np.full((count, 64, 64), silence, np.uint8)
    level[:, 20:30, 30:50] = 100
    level[:, 20:22, 30:32] = 255
    return level


def test_a_transposed_image_is_the_same_some_rows_away():
    level = squares(700, 2)
    out = augment.transpose(level, np.random.default_rng(0))
    by = (out == 255).any(axis=2).argmax(axis=1) - 20
    for image, rows in zip(out, by):
        np.testing.assert_array_equal(image, np.roll(level[0], rows, axis=0))
    assert set(by) == set(range(-3, 4)) and 0.5 < (by == 0).mean() < 0.65
    edge = np.full((300, 64, 64), 7, np.uint8)
    edge[:, [0, 63]] = 200
    out = augment.transpose(edge, np.random.default_rng(0))
    assert {tuple(column) for column in np.delete(out, [0, 63], axis=1)[:, :, 0]} <= {
        tuple(np.delete(np.roll(np.where(np.arange(-10, 74) == end, 200, 7), by)[10:74], [0, 63]))
        for by in range(-3, 4) for end in (0, 63)}
    assert ((out == 200).sum(axis=(1, 2)) <= 128).all(), "what leaves at one side does not enter at the other"


def test_a_microphone_bends_bands_and_leaves_silence():
    level = np.full((800, 64, 64), 120, np.uint8)
    level[:, :, 40:] = 3
    out = augment.equalise(level, np.random.default_rng(0)).astype(int)
    assert (out[:, :, 40:] == 3).all() and (out[:, :, :40] == out[:, :, :1]).all(), (
        "one gain for a band, none for silence"
    )
    gain = out[:, :, 0] - 120
    bent = (gain != 0).any(axis=1)
    assert 0.4 < bent.mean() < 0.6 and 25 < gain[bent][:, [0, 63]].std() < 35
    # Straight between the six knots: no second difference but at a knot, and rounding.
    bends = np.abs(np.diff(gain[bent & (np.abs(gain).max(axis=1) < 100)], 2, axis=1))
    inside = [row for row in range(62) if not any(row <= 63 * knot / 5 <= row + 2 for knot in range(6))]
    assert (bends[:, inside] <= 2).all() and bends.max() > 4


def test_a_stretched_image_begins_alike_and_goes_on_faster_or_slower():
    out = augment.stretch(ramps(600), np.random.default_rng(0)).astype(int) - 60
    assert (out == out[:, :1]).all()
    step = out[:, 0, 40] / 40
    assert (0.4 < (np.abs(step - 1) > 0.02).mean() < 0.6 and 0.75 < step.min() < 0.85
            and 1.2 < step.max() < 1.32)
    for row in out[:, 0]:
        turns, place = np.unwrap(row, period=64) + 0.5, np.arange(64) + 0.5
        np.testing.assert_allclose(turns, place * (turns.sum() / place.sum()), atol=1)


def test_a_range_is_widened_from_the_loudest_down():
    out = augment.compress(squares(600, 2), np.random.default_rng(0)).astype(int)
    assert (out[:, 0, 0] == 2).all() and (out[:, 20, 30] == 255).all()
    factor = (255 - out[:, 25, 40]) / 155
    assert (0.4 < (np.abs(factor - 1) > 0.01).mean() < 0.6 and 0.68 < factor.min() < 0.75
            and 1.25 < factor.max() < 1.32)
    assert augment.compress(np.full((50, 64, 64), 9, np.uint8), np.random.default_rng(0)).max() == 9


@pytest.mark.parametrize("silence", [0, 2])
def test_silence_stays_silence_through_all_of_it(silence):
    flat = np.full((200, 64, 64), silence, np.uint8)
    out = augment.vary(flat, np.random.default_rng(0))
    assert out.dtype == np.uint8 and 0.3 < (out == silence).all(axis=(1, 2)).mean() < 0.7, (
        "but for the noise that half of the images get"
    )
