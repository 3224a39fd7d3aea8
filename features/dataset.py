"""A folder laid out as UrbanSound8K is -> one array file of level images; resumable, a bad clip is listed and
left out.
"""
import concurrent.futures
import csv
import dataclasses
import pathlib
import shutil

import numpy as np

from lrp_core.chunks import single_threaded_blas
from lrp_core.files import replacing

from .audio import AudioError
from .front_end import FrontEnd
from .steps import Arrange, quantise

STUDY = FrontEnd.study()
# The study's front end without its colours: what is stored are the indices of its 256 colours.
LEVELS = dataclasses.replace(STUDY, steps=(*STUDY.steps[:-2], Arrange("-ft")))
LEVEL_SHAPE = LEVELS.network().output_shape
PART = 256
# Where UrbanSound8K keeps its table, and what names a clip there.
URBAN_TABLE, URBAN_COLUMNS = pathlib.PurePath("metadata", "UrbanSound8K.csv"), {"slice_file_name", "fold"}


@dataclasses.dataclass(frozen=True)
class Item:
    """One clip of a data set: its file, name, fold (1..10) and class number."""
    path: pathlib.Path
    name: str
    fold: int
    class_id: int


def urban_path(row):
    """The path of a clip below UrbanSound8K's folder, with "/", from its row of the table."""
    return f"audio/fold{int(row['fold'])}/{row['slice_file_name']}"


def items(folder):
    """The clips of an UrbanSound8K folder (metadata/UrbanSound8K.csv, audio/fold1..fold10), in the table's
    order.

    Raises FileNotFoundError or ValueError that says what is missing.
    """
    folder = pathlib.Path(folder)
    table = folder / URBAN_TABLE
    if not table.is_file():
        raise FileNotFoundError(f"{table}: there is no such table; {folder} should hold metadata/ and audio/ "
                                "as UrbanSound8K does")
    found = []
    with table.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                path = folder / urban_path(row)
                found.append(Item(path, path.stem, int(row["fold"]), int(row["classID"])))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {number}: not a row of UrbanSound8K's table "
                                 f"({error!r})") from None
    if not found:
        raise ValueError(f"{table}: the table is empty")
    return found


def save_arrays(path, **arrays):
    """Write a compressed .npz, whole or not at all."""
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def level_image(path_or_array, sample_rate=None):
    """The study's image of a sound as magma indices: uint8 [64, 64], the highest band first.

    Arguments and errors as of `open_clip`.
    """
    return quantise(LEVELS.run(LEVELS.read(path_or_array, sample_rate))[2])


def level_or_error(item):
    """(level image [64, 64], "") of a clip, or (zeros, what is wrong with it)."""
    try:
        return level_image(item.path), ""
    except (AudioError, OSError) as error:
        return np.zeros(LEVEL_SHAPE, np.uint8), str(error)


def extract(folder, path, *, progress=None):
    """Write the level images of an UrbanSound8K folder to `path` (.npz: level, name, fold, class_id).

    Every 256 clips a part is written beside `path`; an interrupted call goes on after the last part. Returns
    the list of messages about clips that could not be read and were left out. progress: called with the
    number of clips done since the last call.
    """
    todo, parts = items(folder), pathlib.Path(f"{path}.parts")
    parts.mkdir(parents=True, exist_ok=True)
    batches = [todo[start:start + PART] for start in range(0, len(todo), PART)]
    with concurrent.futures.ThreadPoolExecutor() as executor, single_threaded_blas:
        for number, batch in enumerate(batches):
            part = parts / f"{number:05d}.npz"
            if not part.exists():
                levels, errors = zip(*executor.map(level_or_error, batch))
                save_arrays(part, level=np.stack(levels), error=np.array(errors),
                            name=np.array([item.name for item in batch]))
            if progress:
                progress(len(batch))
    read = [dict(np.load(parts / f"{number:05d}.npz", allow_pickle=False)) for number in range(len(batches))]
    level, error, name = (np.concatenate([part[key] for part in read]) for key in ("level", "error", "name"))
    if list(name) != [item.name for item in todo]:
        raise ValueError(f"{parts}: the parts belong to another table; delete the folder and start again")
    good = error == ""
    save_arrays(path, level=level[good], name=name[good],
                fold=np.array([item.fold for item in todo], np.uint8)[good],
                class_id=np.array([item.class_id for item in todo], np.uint8)[good])
    shutil.rmtree(parts)
    return [str(message) for message in error[~good]]
