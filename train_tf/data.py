"""Training data: mel level images with folds and labels, and where they come from."""
import dataclasses
import zipfile

import numpy as np

from features.dataset import level_image, save_arrays
from features.synth import CLASSES, synthesize


@dataclasses.dataclass(frozen=True)
class LevelSet:
    """Level images [N, 64, 64] uint8 (row 0 = highest band) with class numbers and folds [N]."""
    level: np.ndarray
    class_id: np.ndarray
    fold: np.ndarray

    def where(self, chosen):
        """The subset for which the boolean array `chosen` [N] holds."""
        return LevelSet(self.level[chosen], self.class_id[chosen], self.fold[chosen])

    def split(self, test_fold):
        """(training set, test set) with the clips of one fold held out; both must be non-empty."""
        held_out = self.fold == test_fold
        if not held_out.any() or held_out.all():
            raise ValueError(f"fold {test_fold} cannot be held out: the data has the folds "
                             f"{np.unique(self.fold).tolist()}")
        return self.where(~held_out), self.where(held_out)


def load_levels(path):
    """Read a feature file (.npz with `level`, `class_id`, `fold`); raises ValueError that names what is
    wrong.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("level", "class_id", "fold") if name in file.files}
    except (OSError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a readable .npz feature file ({error})") from None
    missing = {"level", "class_id", "fold"} - set(arrays)
    if missing:
        raise ValueError(f"{path}: the feature file lacks {', '.join(sorted(missing))}")
    if any(arrays[name].dtype.kind not in "iu" for name in ("class_id", "fold")):
        raise ValueError(f"{path}: class_id and fold must be whole numbers")
    data = LevelSet(arrays["level"], arrays["class_id"].astype(np.int64), arrays["fold"].astype(np.int64))
    if data.level.dtype != np.uint8 or data.level.shape[1:] != (64, 64):
        raise ValueError(f"{path}: `level` must be uint8 [N, 64, 64], found {data.level.dtype} "
                         f"{data.level.shape}")
    if not len(data.level) == len(data.class_id) == len(data.fold) or not len(data.level):
        raise ValueError(f"{path}: level, class_id and fold must have one length above 0, found "
                         f"{len(data.level)}, {len(data.class_id)}, {len(data.fold)}")
    if data.class_id.min() < 0 or data.class_id.max() >= len(CLASSES):
        raise ValueError(f"{path}: class_id must lie in 0..{len(CLASSES) - 1}")
    return data


def synthesize_levels(path, clips_per_class, *, progress=None):
    """Write a feature file of procedural sounds: `clips_per_class` seeds for each class, spread over ten
    folds.
    """
    class_id = np.repeat(np.arange(len(CLASSES)), clips_per_class)
    seed = np.tile(np.arange(clips_per_class), len(CLASSES))
    level = np.empty((len(seed), 64, 64), np.uint8)
    for n in range(len(seed)):
        level[n] = level_image(synthesize(int(class_id[n]), int(seed[n])), 44_100)
        if progress:
            progress(1)
    save_arrays(path, level=level, class_id=class_id.astype(np.uint8), fold=(seed % 10 + 1).astype(np.uint8))
