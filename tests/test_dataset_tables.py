"""The tables of a data-set run against its index, where labels and predictions have other totals; and each
table by hand.
"""
import json

import numpy as np
import pytest
from test_dataset_run import model, rows, run, sounds, undisturbed  # noqa: F401

from audio_lrp import dataset_tables as tables
from features.synth import CLASSES

pytest.importorskip("zarr", reason="a data-set run needs zarr")


def markdown_rows(path, names):
    """{class name: the cells of its line in a table of SUMMARY.md whose lines begin with these names}."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in path.read_text(encoding="utf-8").splitlines()
             if line.startswith("|")]
    return {name: next(line[1:] for line in cells if line[0] == name) for name in names}


def test_the_summary_counts_each_class_by_its_label(undisturbed):
    """What has the label, how much of it was heard rightly: not what was heard as the class."""
    index, summary = rows(undisturbed / "index.csv"), json.loads((undisturbed / "summary.json").read_text())
    heard = [sum(row["predicted"] == name for row in index) for name in CLASSES]
    labelled = [sum(row["label"] == name for row in index) for name in CLASSES]
    assert heard != labelled, "a network that is wrong often enough to tell rows from columns"
    said = markdown_rows(undisturbed / "SUMMARY.md", CLASSES)
    for number, name in enumerate(CLASSES):
        right = sum(row["label"] == row["predicted"] == name for row in index)
        assert summary["classes"][name] == {"labelled": labelled[number], "right": right,
                                            "heard_without_label": 0}
        assert said[name] == [str(labelled[number]), str(right), f"{right / labelled[number]:.1%}"
                              if labelled[number] else "", "0"]
    confusion = markdown_rows(undisturbed / "SUMMARY.md",
                              [f"{number} {name}" for number, name in enumerate(CLASSES)])
    for number, name in enumerate(CLASSES):
        counted = [sum(row["label"] == name and row["predicted"] == other for row in index)
                   for other in CLASSES]
        assert confusion[f"{number} {name}"] == [str(count or "·") for count in counted]


def test_every_list_says_of_a_clip_what_the_index_says(undisturbed):
    index = {row["number"]: row for row in rows(undisturbed / "index.csv")}
    confused, typical = rows(undisturbed / "confused.csv"), rows(undisturbed / "typical.csv")
    assert confused
    for rank, row in enumerate(confused, start=1):
        same = index[row["number"]]
        assert row == {"rank": str(rank), **{name: same[name] for name in ("label", "predicted",
                                                                           "probability", "number", "path")}}
        assert row["label"] != row["predicted"]
    for row in typical:
        same = index[row["number"]]
        assert (row["path"] == same["path"] and row["outcome"] == "right"
                and row["class"] == same["label"] == same["predicted"])
        assert row["why"] != "probability" or row["value"] == same["probability"]


# --- by hand: three classes, labels (2, 1, 0) in number, predictions (0, 1, 2)
# --------------------------------------------

SETTINGS = {"classes": ["cat", "dog", "owl"], "rules": ["epsilon", "flat"], "clips": 6, "target": "max",
            "model_sha256": "abc"}
COUNTS = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])     # rows: the label


def row(number, label, predicted, **others):
    """What a run's record says of a clip."""
    return {"number": number, "path": f"{number}.wav", "label": label, "predicted": predicted,
            "probability": 0.75, "target": predicted,
            "logit": -1.5, "relevance_epsilon": 0.25, "relevance_flat": -2.0, "duration_s": 9.5,
            "heard_s": 4.0, "sample_rate": 8000.0, "warnings": [],
            **others}


def test_the_figures_by_hand():
    summary = tables.summary_of(SETTINGS, COUNTS, np.array([0, 2, 0]), 1, 2)
    assert (summary["clips"], summary["explained"], summary["errors"], summary["cut"], summary["labelled"],
            summary["right"]) == (6, 5, 1, 2, 3, 0)
    assert summary["accuracy"] == 0 and summary["confusion"] == {"rows": "label", "columns": "predicted",
                                                                 "counts": COUNTS.tolist()}
    assert summary["classes"] == {"cat": {"labelled": 2, "right": 0, "heard_without_label": 0},
                                  "dog": {"labelled": 1, "right": 0, "heard_without_label": 2},
                                  "owl": {"labelled": 0, "right": 0, "heard_without_label": 0}}
    right = tables.summary_of(SETTINGS, np.diag([3, 0, 1]) + COUNTS, np.zeros(3, int), 0, 0)
    assert right["accuracy"] == 4 / 7 and right["classes"]["cat"] == {"labelled": 5, "right": 3,
                                                                      "heard_without_label": 0}


def test_lines_by_hand(tmp_path):
    """Label and prediction in their columns; `correct` is empty where there is no label."""
    columns = tables.index_columns(SETTINGS)
    wrong, right, unknown = (dict(zip(columns, tables.index_row(one, SETTINGS))) for one in (
        row(4, 0, 2), row(5, 1, 1, warnings=["silent", "short"]), row(6, None, 2)))
    assert (wrong["label"], wrong["predicted"], wrong["target"], wrong["correct"]) == ("cat", "owl", "owl", 0)
    assert (right["label"], right["predicted"], right["correct"], right["warnings"]) == (
        "dog",
        "dog",
        1,
        "silent; short",
    )
    assert (unknown["label"], unknown["predicted"], unknown["correct"]) == ("", "owl", "")
    assert (wrong["probability"], wrong["logit"], wrong["relevance_epsilon"], wrong["relevance_flat"],
            wrong["duration_s"],
            wrong["heard_s"], wrong["sample_rate"]) == ("0.75", "-1.5", "0.25", "-2", "9.5", "4", "8000")
    tables.write_confused(tmp_path / "confused.csv", SETTINGS, [(0.9, row(4, 0, 2)), (0.8, row(2, 1, 0))])
    assert [tuple(line.values()) for line in rows(tmp_path / "confused.csv")] == [
        ("1", "cat", "owl", "0.9", "4", "4.wav"), ("2", "dog", "cat", "0.8", "2", "2.wav")]
    tables.write_typical(tmp_path / "typical.csv", SETTINGS, {(1, "heard", "b"): [(0.5, row(3, None, 1))],
                                                              (0, "right", "a"): [(0.7, row(1, 0, 0))]})
    assert [tuple(line.values()) for line in rows(tmp_path / "typical.csv")] == [
        ("cat", "right", "a", "1", "0.7", "1", "1.wav"), ("dog", "heard", "b", "1", "0.5", "3", "3.wav")]
    errors = [{"errors": [{"number": 7, "path": "7.wav", "label": 2, "error": "torn"}]}, {"errors": []},
              {"errors": [{"number": 9, "path": "9.wav", "label": None, "error": "empty"}]}]
    assert tables.write_errors(tmp_path / "errors.csv", SETTINGS, errors) == 2
    assert [tuple(line.values()) for line in rows(tmp_path / "errors.csv")] == [("7", "7.wav", "owl", "torn"),
                                                                                ("9", "9.wav", "", "empty")]
