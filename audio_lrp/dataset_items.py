"""What a data set is made of: its sound files in a fixed order, each with the label it brings."""
import csv
import dataclasses
import os
import pathlib
import re

from features.dataset import URBAN_COLUMNS, URBAN_TABLE, urban_path

SOUNDS = {".wav", ".flac", ".ogg", ".mp3"}
# recording-class-occurrence-slice, as UrbanSound8K names its clips
URBAN_NAME = re.compile(r"\d+-(\d)-\d+-\d+")


@dataclasses.dataclass(frozen=True, order=True)
class Item:
    """One clip: its path relative to the data set's base folder, with "/", and its class number or None."""
    path: str
    label: int | None = dataclasses.field(compare=False)


def read_items(source, class_names):
    """(base folder, items sorted by path) of a folder of sounds, an UrbanSound8K folder, or a CSV table.

    source: a path. class_names: the model's. Raises ValueError that says what was found and what to do, or
    OSError.
    """
    source = pathlib.Path(source)
    urban_table = source / URBAN_TABLE
    if source.is_file():
        base, items = from_table(source, class_names)
    elif urban_table.is_file():
        base, items = from_table(urban_table, class_names)
    else:
        base, items = source, from_folder(source, class_names)
    return base.resolve(), sorted(items)


def from_folder(folder, class_names):
    """The sounds anywhere below a folder; hidden files (macOS leaves "._x.wav" beside x.wav) are left out."""
    found = []
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if os.path.realpath(place) in seen:  # links may go in circles
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        for name in names:
            path = pathlib.Path(place, name)
            if path.suffix.lower() in SOUNDS and not name.startswith("."):
                found.append(Item(path.relative_to(folder).as_posix(), label_of_path(path, class_names)))
    if not found:
        raise ValueError(f"{folder}: holds no sounds ({', '.join(sorted(SOUNDS))}), not in its subfolders "
                         "either")
    return found


def label_of_path(path, class_names):
    """The class number that UrbanSound8K's file name tells, or else the folder's name; None where neither is
    a class.
    """
    match = URBAN_NAME.fullmatch(path.stem)
    if match:
        from features.synth import CLASSES  # the ten classes by UrbanSound8K's numbers
        if CLASSES[int(match[1])] in class_names:
            return class_names.index(CLASSES[int(match[1])])
    return class_names.index(path.parent.name) if path.parent.name in class_names else None


def from_table(table, class_names):
    """(base folder, items) of a CSV table with a column `path`, or UrbanSound8K's `slice_file_name` and
    `fold`.

    A `path` is relative to the table. `class` (a name) or else `classID` (the model's number) is the label;
    empty: none.
    """
    with table.open(newline="", encoding="utf-8-sig") as lines:
        try:
            rows = list(csv.DictReader(lines))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{table}: not a CSV table in UTF-8 ({error})") from None
    columns = list(rows[0]) if rows else []
    urban = set(columns) >= URBAN_COLUMNS
    if "path" not in columns and not urban:
        raise ValueError(f"{table}: a table of clips needs a column `path`, or `slice_file_name` and `fold`; "
                         f"found {', '.join(map(str, columns)) or 'no rows'}")
    items, seen = [], {}
    for line, row in enumerate(rows, start=2):
        try:
            path = row["path"] if "path" in columns else urban_path(row)
            path = path and path.strip()
            if not path:
                raise ValueError("the path is empty")
            path = pathlib.PurePath(path).as_posix()
            if path in seen:
                raise ValueError(f"{path} was listed in line {seen[path]} already; keep one of the two")
            items.append(Item(path, label_of_row(row, class_names)))
        # TypeError: a line that is too short has None in its last columns
        except (ValueError, TypeError) as error:
            raise ValueError(f"{table}, line {line}: {error}") from None
        seen[path] = line
    # UrbanSound8K keeps its table in a folder beside the sounds'.
    beside = "path" not in columns and table.resolve().parent.name == URBAN_TABLE.parent.name
    return (table.resolve().parent.parent if beside else table.parent), items


def label_of_row(row, class_names):
    """The class number of a table's row, or None; raises ValueError for a class that the model does not have.
    """
    name, number = (row.get("class") or "").strip(), (row.get("classID") or "").strip()
    unknown = (f"the model has no class {name or number!r}: it knows {', '.join(class_names)}, by `classID` "
               f"0..{len(class_names) - 1}; leave the label empty where there is none")
    if name:
        if name not in class_names:
            raise ValueError(unknown)
        return class_names.index(name)
    if number:
        if not (number.isdecimal() and int(number) < len(class_names)):
            raise ValueError(unknown)
        return int(number)
    return None
