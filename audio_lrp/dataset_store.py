"""The folder of a data-set run: what lies where, what is written when, and how it is read again batch by
batch.

    run.json           the settings and the digest of the list of clips, fixed by the first call
    arrays.zarr        level [N, rows, columns] uint8, logits [N, classes] and relevance_PRESET [N, rows,
                       columns] float32, rows from the highest band down and a column for each frame of the
                       map; a row for each line of the list of clips, zeros for a clip that could not be read
    batches/00000.json the rest of what is known of a batch's clips; written last: it says that the batch is
                       done
    run.lock           held by the run that is at work (`dataset_lock`), which run.owner.json names meanwhile

A chunk of an array holds one batch: two workers never write to the same file.
"""
import dataclasses
import hashlib
import json
import pathlib
import re
import shutil

import numpy as np

from lrp_core.files import replacing

from .dataset_lock import LOCK, OWNER

DIGESTS = {"clips_sha256": "the clips differ in their names, labels or contents",
           "model_sha256": "the model file is another one"}
UNFINISHED = "part-arrays.zarr"
# What a run leaves that is killed at its very beginning.
BEGINNING = re.compile(rf"{re.escape(LOCK)}|(part-\d+-)?{re.escape(OWNER)}|part-\d+-run\.json")
# as `features.files.replacing` names what it is writing
OURS = re.compile(r"part-\d+-.+\.(json|csv|md|png|svg|pdf|npz)")


@dataclasses.dataclass(frozen=True)
class Store:
    """A run's folder. settings: the contents of run.json, see `dataset_run.settings_of`."""
    directory: pathlib.Path
    settings: dict

    @property
    def zarr(self):
        """Where the arrays are."""
        return self.directory / "arrays.zarr"

    @property
    def batches(self):
        """How many batches the clips make."""
        return -(-self.settings["clips"] // self.settings["batch"])

    def rows(self, number):
        """The rows of a batch, as a slice."""
        first = number * self.settings["batch"]
        return slice(first, min(first + self.settings["batch"], self.settings["clips"]))

    def record(self, number):
        """Where a batch's record is once the batch is done."""
        return self.directory / "batches" / f"{number:05d}.json"

    def undone(self):
        """The numbers of the batches that have no record yet."""
        return [number for number in range(self.batches) if not self.record(number).exists()]

    def clips_left(self):
        """How many clips the batches without a record have."""
        return sum(self.rows(number).stop - self.rows(number).start for number in self.undone())

    def shapes(self):
        """{array name: (shape of a row, type)}."""
        shape = tuple(self.settings["map"])
        maps = {f"relevance_{rules}": (shape, "float32") for rules in self.settings["rules"]}
        logits = (len(self.settings["classes"]),), "float32"
        return {"level": (shape, "uint8"), "logits": logits, **maps}

    def write(self, number, arrays, record):
        """Keep a batch: its rows of each array, {name: [n, ...]}, and then its record (JSON values)."""
        import zarr
        for name, values in arrays.items():
            zarr.open_array(str(self.zarr / name), mode="r+")[self.rows(number)] = values
        with replacing(self.record(number)) as partial:
            partial.write_text(json.dumps({**record, "arrays_sha256": digest(arrays)}, indent=1))

    def read(self):
        """Yield (record, {array name: the batch's rows}) for every batch in order: no more than one is in
        memory.

        Raises ValueError that names the record of a batch whose arrays are not what was written.
        """
        import zarr
        arrays = {name: zarr.open_array(str(self.zarr / name), mode="r") for name in self.shapes()}
        for number, record in enumerate(self.records()):
            rows = {name: array[self.rows(number)] for name, array in arrays.items()}
            if record["arrays_sha256"] != digest(rows):
                raise ValueError(f"{self.zarr}: the arrays of batch {number} are damaged; delete "
                                 f"{self.record(number)} and repeat "
                                 "the command, which explains these clips again")
            yield record, rows

    def records(self):
        """Yield the record of every batch in order: {"clips": rows of what could be read, "errors": rows of
        the others}.
        """
        for number in range(self.batches):
            yield self.read_record(number)

    def read_record(self, number):
        """A batch's record; raises ValueError that names the file where it cannot be read."""
        try:
            return json.loads(self.record(number).read_text())
        except ValueError as error:
            raise ValueError(f"{self.record(number)}: damaged ({error}); delete it and repeat the "
                             "command") from None


def open_store(directory, settings):
    """The Store of a folder that is new, empty, or belongs to a run with the same settings.

    The caller holds the folder (`dataset_lock.alone`). Raises ValueError that names what differs. What a
    killed process left half-written is removed.
    """
    store, run = Store(directory, settings), directory / "run.json"
    if run.exists():
        check_same(run, settings)
    else:
        with replacing(run) as partial:
            partial.write_text(json.dumps(settings, indent=1))
    (directory / "batches").mkdir(exist_ok=True)
    tidy(directory)
    if not store.zarr.exists():
        if any(store.record(number).exists() for number in range(store.batches)):
            raise ValueError(f"{store.zarr}: missing, though {directory / 'batches'} says that batches are "
                             "done; put it back, or "
                             "choose another folder with -o")
        create_arrays(store)
    return store


def make_folder_of_run(directory):
    """Make the folder, or refuse one that holds something else and no run: its files might be overwritten."""
    directory.mkdir(parents=True, exist_ok=True)
    others = [path.name for path in directory.iterdir() if not BEGINNING.fullmatch(path.name)]
    if others and not (directory / "run.json").exists():
        raise ValueError(f"{directory}: holds other files ({', '.join(sorted(others)[:3])}) and no run.json; "
                         "choose a new or an "
                         "empty folder with -o")


def check_same(run, settings):
    """Refuse to go on with a run that was begun with other settings."""
    try:
        begun = json.loads(run.read_text())
    except ValueError as error:
        raise ValueError(f"{run}: not the settings of a run ({error}); choose another folder with "
                         "-o") from None
    different = [name for name in settings if begun.get(name) != settings[name]]
    if different:
        changes = "; ".join(DIGESTS.get(name) or f"{name} was {begun.get(name)}, is now {settings[name]}"
                            for name in different)
        raise ValueError(f"{run.parent}: belongs to a run with other settings: {changes}. Repeat the earlier "
                         "call to go on "
                         "with it, or choose another folder with -o")


def tidy(directory):
    """Remove what a killed process was writing: our part-... files and Zarr's ....partial ones."""
    shutil.rmtree(directory / UNFINISHED, ignore_errors=True)
    for path in (*directory.glob("part-*"), *directory.glob("*/part-*"),
                 *directory.glob("arrays.zarr/**/*.partial")):
        if OURS.fullmatch(path.name) or path.suffix == ".partial":
            path.unlink(missing_ok=True)  # a worker that outlived the kill may be renaming it


def create_arrays(store):
    """Create the arrays, empty; the folder gets its name when all of it is there."""
    import zarr
    partial = store.directory / UNFINISHED
    group = zarr.open_group(str(partial), mode="w")
    group.attrs.update(store.settings)
    for name, (shape, dtype) in store.shapes().items():
        zarr.open_array(str(partial / name), mode="w", shape=(store.settings["clips"], *shape), dtype=dtype,
                        fill_value=0,
                        chunks=(store.settings["batch"], *shape))
    partial.rename(store.zarr)


def digest(arrays):
    """The SHA-256 of a batch's arrays {name: [n, ...]}, in the order of their names."""
    total = hashlib.sha256()
    for _, values in sorted(arrays.items()):
        total.update(np.ascontiguousarray(values))
    return total.hexdigest()


def with_gaps(values, kept, count):
    """[count, ...]: `values` in the rows `kept`, zeros in the others."""
    whole = np.zeros((count, *values.shape[1:]), values.dtype)
    whole[kept] = values
    return whole
