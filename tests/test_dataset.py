"""A folder laid out as UrbanSound8K: extraction, resumption, bad clips."""
import numpy as np
import pytest
import soundfile
import study

import features
from features import FrontEnd, dataset
from features.synth import synthesize


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten short clips in two folds, the fourth of them broken; parts of three clips."""
    monkeypatch.setattr(dataset, "PART", 3)
    rng, rows = np.random.default_rng(0), ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for number in range(10):
        fold, name = 1 + number % 2, f"{number}-{number % 3}-0-0.wav"
        place = tmp_path / "audio" / f"fold{fold}"
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / name, rng.standard_normal(2000) * 0.1, 8_000)
        if number == 3:
            (place / name).write_bytes(b"not a sound")
        rows.append(f"{name},1,0,1,1,{fold},{number % 3},x")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "UrbanSound8K.csv").write_text("\n".join(rows))
    return tmp_path


def test_images_labels_and_folds_are_the_clips(folder, tmp_path):
    done = []
    errors = dataset.extract(folder, tmp_path / "f.npz", progress=done.append)
    assert sum(done) == 10
    assert len(errors) == 1 and "3-0-0-0.wav" in errors[0]
    with np.load(tmp_path / "f.npz") as arrays:
        assert list(arrays["name"]) == [f"{n}-{n % 3}-0-0" for n in range(10) if n != 3]
        assert list(arrays["class_id"]) == [n % 3 for n in range(10) if n != 3]
        assert list(arrays["fold"]) == [1 + n % 2 for n in range(10) if n != 3]
        for index, number in ((0, 0), (1, 1), (8, 9)):
            name = f"fold{1 + number % 2}/{number}-{number % 3}-0-0.wav"
            y, rate = soundfile.read(folder / "audio" / name)
            np.testing.assert_array_equal(arrays["level"][index], study.level(y, rate))
        assert arrays["level"].shape == (9, 64, 64) and arrays["level"].dtype == np.uint8
    assert not (tmp_path / "f.npz.parts").exists()


def test_an_interrupted_extraction_goes_on_where_it_stopped(folder, tmp_path, monkeypatch):
    dataset.extract(folder, tmp_path / "undisturbed.npz")

    def stop_after_two_parts(clips, calls=[]):  # noqa: B006  (the list counts the calls)
        calls.append(clips)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.extract(folder, tmp_path / "f.npz", progress=stop_after_two_parts)
    opened, level_image = [], dataset.level_image
    monkeypatch.setattr(dataset, "level_image", lambda path: opened.append(path.name) or level_image(path))
    dataset.extract(folder, tmp_path / "f.npz")
    assert sorted(opened) == [f"{n}-{n % 3}-0-0.wav" for n in range(6, 10)]
    with np.load(tmp_path / "f.npz") as ours, np.load(tmp_path / "undisturbed.npz") as theirs:
        for name in theirs.files:
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_levels_are_the_studys_images_before_the_colours():
    """For samples and files alike, whatever their rate; the front end of levels says so as data, too."""
    y = synthesize("siren", 1, sample_rate=22_050, seconds=2.5)
    level = dataset.level_image(y, 22_050)
    np.testing.assert_array_equal(level, study.level(y, 22_050))
    np.testing.assert_array_equal(features.colour(level), features.clip_image(y, 22_050))
    assert FrontEnd.study() == dataset.STUDY and dataset.LEVEL_SHAPE == (64, 64)
    assert FrontEnd.from_dict(dataset.LEVELS.as_dict()) == dataset.LEVELS
    with pytest.raises(TypeError, match="sample rate"):
        dataset.level_image("a.wav", 8_000)


def test_a_folder_of_another_layout_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"UrbanSound8K\.csv"):
        dataset.items(tmp_path / "audio")
    table = folder / "metadata" / "UrbanSound8K.csv"
    table.write_text("slice_file_name,fold,classID\na.wav,one,2\n")
    with pytest.raises(ValueError, match="line 2"):
        dataset.items(folder)
    table.write_text("slice_file_name,fold,classID\n")
    with pytest.raises(ValueError, match="empty"):
        dataset.items(folder)
