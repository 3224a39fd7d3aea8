"""python -m train_tf lesson: makes what the lesson loads, and the same each time."""

import click.testing
import numpy as np
import pytest

import lrp_core
from audio_lrp import lesson_data

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install tensorflow joblib")

from train_tf import lesson
from train_tf.__main__ import main


def weights(network):
    return np.concatenate(
        [np.ravel(getattr(node.layer, name)) for node in network.nodes for name in node.layer.arrays]
    )


def test_it_makes_both_networks_the_same_each_time(tmp_path):
    few = {"clips": 2, "test_clips": 2, "pictures": 90, "epochs": 1}
    first, second = (lesson.lesson(tmp_path, **few, report=lambda line: None) for _ in range(2))
    for name, shipped in (("lesson", lesson_data.SOUNDS), ("lesson-tones", lesson_data.TONES)):
        loaded, ours = lrp_core.load(tmp_path / f"{name}.npz"), lrp_core.load(shipped)
        assert np.array_equal(weights(first[name]), weights(second[name]))
        assert np.array_equal(weights(loaded), weights(second[name]))
        assert [(n.name, n.layer.type) for n in loaded.nodes] == [(n.name, n.layer.type) for n in ours.nodes]
        assert loaded.class_names == ours.class_names
    tones = weights(second["lesson-tones"])
    assert np.allclose(tones, np.round(tones, 2), atol=1e-6), "two decimals: they are read"
    assert lesson.front_end().as_dict() == lrp_core.load(lesson_data.SOUNDS).metadata["front_end"]


def test_pictures_show_what_their_class_says():
    pictures, class_id = lesson.tone_pictures(300, np.random.default_rng(0))
    rows = pictures.reshape(-1, 4, 4).argmax(axis=1).astype(int)
    climb = rows[:, 0] - rows[:, -1]  # row 0 is the highest band
    by_class = [climb[class_id == lesson.TONES.index(name)] for name in ("rising", "steady", "falling")]
    assert (by_class[0] > 0).mean() > 0.95 and (by_class[2] < 0).mean() > 0.95
    assert np.abs(by_class[1]).max() <= 1, "noise may tip a tone between two bands"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    result = click.testing.CliRunner().invoke(main, ["lesson", "-o", str(tmp_path / "file" / "x")])
    assert result.exit_code == 1 and "Traceback" not in result.output
