"""What a data set is made of: labels from names, folders and tables; mistakes in a table named."""
import os

import pytest
from test_dataset_run import run

from audio_lrp.dataset_items import Item, read_items
from features.synth import CLASSES


def test_labels_come_from_names_folders_and_tables(tmp_path):
    for name in ("b/12-8-0-1.wav", "siren/x.FLAC", "siren/1-3-0-0.ogg", "a.mp3", ".hidden.wav", "notes.txt",
                 "2021-05-03-1.wav"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    base, items = read_items(tmp_path / "set", CLASSES)
    assert base == (tmp_path / "set").resolve()
    assert [(item.path, item.label) for item in items] == [
        ("2021-05-03-1.wav", None), ("a.mp3", None), ("b/12-8-0-1.wav", 8), ("siren/1-3-0-0.ogg", 3),
        ("siren/x.FLAC", 8)]
    assert read_items(tmp_path / "set", ("cat", "siren"))[1][-1].label == 1
    urban = tmp_path / "urban"
    (urban / "metadata").mkdir(parents=True)
    (urban / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fold,classID,class\n9-2-0-0.wav,10,2,children_playing\n7-1-0-0.wav,2,1,car_horn\n")
    for source in (urban, urban / "metadata" / "UrbanSound8K.csv"):
        base, items = read_items(source, CLASSES)
        assert base == urban.resolve()
        assert items == [Item("audio/fold10/9-2-0-0.wav", 2), Item("audio/fold2/7-1-0-0.wav", 1)]
        assert [item.label for item in items] == [2, 1]


@pytest.mark.parametrize(("text", "message"), [
    ("name,class\nx,siren\n", "column `path`"), ("", "no rows"),
    ("path,class\na.wav,cat\n", "line 2: the model has no class 'cat'"),
    ("path,classID\na.wav,10\n", "'10'"), ("path\na.wav\nb.wav\na.wav\n",
                                           "line 4: a.wav was listed in line 2"),
    ("path,class\n,siren\n", "line 2: the path is empty"), ("slice_file_name,fold\na.wav,one\n", "line 2"),
    ("path\n\xff\n", "UTF-8"),
])
def test_mistakes_in_a_table_are_named(text, message, tmp_path):
    table = tmp_path / "clips.csv"
    table.write_bytes(text.encode("latin-1"))
    result = run(table, "-o", tmp_path / "out")
    assert result.exit_code == 1 and message in result.output and "clips.csv" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_folders_behind_links_are_searched_and_circles_end(tmp_path):
    for name in ("set/siren/a.wav", "elsewhere/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "set" / "dog_bark").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "siren" / "round").symlink_to(tmp_path / "set")
    assert [(item.path, item.label) for item in read_items(tmp_path / "set",
                                                           CLASSES)[1]] == [("dog_bark/b.wav", 3),
                                                                            ("siren/a.wav", 8)]
