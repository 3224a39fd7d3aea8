"""What the network looks at, class by class, and what it should not: `python -m benchmarks looks`."""
import dataclasses

import numpy as np

import features
import lrp_core
from features.dataset import level_image
from features.steps import Mel, hz_to_mel
from features.synth import CLASSES
from train_tf.augment import repeated

from . import study
from .progress import bar
from .tables import Table

NAME, TITLE, SIZE = "looks", "What the network looks at", (10, 20)
ABOUT = """The embedded network's test fold, whose recordings it never heard. The picture shows for each
class the mean spectrogram, the mean relevance (LRP-flat, red for, blue against) of the clips named right,
and of other clips given its name. The tables ask for short cuts that the data set offers. A region's
density is its share of the absolute relevance over its share of the image: 1 is what chance gives, below 1
it is looked at less than the rest. Then images are changed in ways that change little or nothing of what
sounds; told is how many of the clips that the change concerns are named right with it, and how many
otherwise than without it."""
RULES = "preset_a_flat"
HERTZ = (0, 500, 2000, 8000, 22_050)
SMALL = 32          # side of the mean maps that are kept
COLUMNS = 64 / features.SECONDS
BANDS = Mel(sample_rate=44_100)  # the study's


def rows_of(low, high):
    """A boolean mask [64] of the image's rows, highest first, whose middle lies between two frequencies in
    Hz.
    """
    centres = BANDS.edges[1:-1].reshape(64, 2).mean(axis=1)[::-1]
    return (centres >= low) & (centres < high)


def length_of(duration):
    """Where sounds [N] of so many seconds end, in columns of the image [N, 1]."""
    return (duration * COLUMNS)[:, None]


def ended(level, length):
    """Images [N, 64, 64] with digital silence after column `length` [N, 1]."""
    return np.where((np.arange(64) < length)[:, None, :], level, level.min(axis=(1, 2), keepdims=True))


def around(middle):
    """Boolean columns [N, 64]: those within one and a half of a place [N, 1]; none where that leaves the
    image.
    """
    return (np.abs(np.arange(64) + 0.5 - middle) <= 1.5) & (middle < 62)


def smoothed(level, columns):
    """Images whose chosen columns [N, 64] are drawn as straight lines between their neighbours."""
    made = level.copy()
    for image, chosen in zip(made, columns):
        if chosen.any() and not chosen.all():
            kept = np.flatnonzero(~chosen)
            for row in image:
                row[chosen] = np.interp(np.flatnonzero(chosen), kept, row[kept])
    return made


def regions(fold):
    """{name: boolean masks [N, 64, 64]} of what the front end and the recorder leave in an image.

    silence: after a sound shorter than two seconds, which is played twice. its edge: the columns where it
    begins. seam: the columns where a sound shorter than four seconds begins again. above 11 kHz: what a
    recorder of 22.05 kHz lacks.
    """
    length = length_of(fold.duration)
    columns = {"silence behind the sound": np.arange(64) >= 2 * length, "its edge": around(2 * length),
               "seam of the second time": around(length)}
    masks = {name: np.broadcast_to(mask[:, None, :], fold.level.shape) for name, mask in columns.items()}
    return {**masks, "above 11 kHz": np.broadcast_to(rows_of(11_000, np.inf)[:, None], fold.level.shape)}


def changes(fold):
    """{name: (images changed [N, 64, 64], which clips the change concerns [N])}."""
    level, length = fold.level, length_of(fold.duration)
    all_clips, short, looped = np.full(len(level), True), fold.duration < 1.9, fold.duration < 3.8
    quietest = level.min(axis=(1, 2), keepdims=True)
    return {
        "none": (level, all_clips),
        "silence behind short sounds filled by more of them": (repeated(level), short),
        "short sounds played once": (ended(level, length), looped),
        "seam smoothed over": (smoothed(level, around(length)), looped),
        "as much smoothed over in the sound's middle": (smoothed(level, around(length / 2)), looped),
        "moved by a second, around the end": (np.roll(level, 16, axis=2), all_clips),
        "background of 20 % of full scale": (np.maximum(level, 51), all_clips),
        "nothing above 8 kHz": (np.where(rows_of(8000, np.inf)[:, None], quietest, level), all_clips),
    }


@dataclasses.dataclass(frozen=True)
class Fold:
    """The test fold [N]: images, class numbers, durations in seconds."""
    level: np.ndarray
    truth: np.ndarray
    duration: np.ndarray


def held_out(network, real=study.REAL):
    """(Fold, what it is): the fold the network was not trained on, or procedural sounds where the data set is
    not at hand.
    """
    if not real.exists():
        level = np.stack([level_image(study.synthesize(n % 10, n), 44_100)
                          for n in range(study.CLIPS)])
        return Fold(level, np.arange(study.CLIPS) % 10,
                    np.full(study.CLIPS, 4.0)), f"{study.CLIPS} procedural sounds"
    number = int(network.metadata["training"]["name"].removeprefix("fold"))
    with np.load(real) as arrays:
        chosen = arrays["fold"] == number
        level, truth, duration = (arrays[name][chosen] for name in ("level", "class_id", "duration_s"))
    return Fold(level, truth.astype(int), duration), f"fold {number} of UrbanSound8K ({chosen.sum()} clips)"


def relevance_of(network, level, progress):
    """(relevance [N, 64, 64] of each winning class by RULES, logits [N, classes])."""
    found = []
    for start in range(0, len(level), 32):
        e = lrp_core.explain(network, features.colour(level[start:start + 32]), RULES, dtype="float32")
        found.append((e.relevance.sum(axis=-1, dtype=np.float64), e.logits))
        progress.update(len(e.logits))
    return [np.concatenate(arrays) for arrays in zip(*found)]


def density(relevance, mask):
    """Share of absolute relevance in a mask over the mask's share of the image, over all images that have
    such a place.
    """
    some = mask.any(axis=(1, 2)) & ~mask.all(axis=(1, 2)) & relevance.any(axis=(1, 2))
    strength = np.abs(relevance[some])
    shares = (
        (strength * mask[some]).sum(axis=(1, 2)) / strength.sum(axis=(1, 2)) / mask[some].mean(axis=(1, 2))
    )
    return {"clips": int(some.sum()), "area": float(mask[some].mean()) if some.any() else 0.0,
            "density": float(shares.mean()) if some.any() else 0.0}


def small(images):
    """The mean of images [n, 64, 64] over n and over squares of pixels: {"limit": the largest, "rows": 32
    texts of numbers
    in 1/127 of it}, or None for n = 0."""
    if not len(images):
        return None
    mean = images.mean(axis=0, dtype=np.float64).reshape(SMALL, 64 // SMALL, SMALL,
                                                         64 // SMALL).mean(axis=(1, 3))
    limit = float(np.abs(mean).max())
    whole = np.rint(127 * mean / max(limit, 1e-30)).astype(int)
    return {"limit": limit, "rows": [" ".join(map(str, row)) for row in whole]}


def as_array(stored):
    """The mean map [32, 32] that `small` stored."""
    return np.array([row.split() for row in stored["rows"]], float) * (stored["limit"] / 127)


def ask(network, fold, progress):
    """What one network does on the fold: regions, changes, classes."""
    relevance, logits = relevance_of(network, fold.level, progress)
    plain = logits.argmax(axis=1)
    found = {"regions": {name: density(relevance, mask) for name, mask in regions(fold).items()},
             "changes": {}, "classes": []}
    for name, (level, chosen) in changes(fold).items():
        heard = (network.logits(features.colour(level[chosen])).argmax(axis=1) if chosen.any()
                 else plain[chosen])
        progress.update(1)
        found["changes"][name] = {"clips": int(chosen.sum()), "right": share(heard == fold.truth[chosen]),
                                  "right_without": share(plain[chosen] == fold.truth[chosen]),
                                  "other": share(heard != plain[chosen])}
    right, positive = plain == fold.truth, np.maximum(relevance, 0)
    for number, name in enumerate(CLASSES):
        mine = fold.truth == number
        bands = [positive[mine & right][:, rows_of(low, high)].sum() for low, high in zip(HERTZ, HERTZ[1:])]
        # Each clip counts alike in a mean map, whatever its logit.
        alike = relevance / np.maximum(np.abs(relevance).sum(axis=(1, 2), keepdims=True), 1e-30)
        found["classes"].append({
            "class": name, "clips": int(mine.sum()), "right": int((mine & right).sum()),
            "bands": [float(band / max(sum(bands), 1e-30)) for band in bands],
            "onset": rise(positive[mine & right], fold.level[mine & right]),
            "spectrogram": small(fold.level[mine]), "map_right": small(alike[mine & right]),
            "map_wrong": small(alike[(plain == number) & ~right])})
    return found


def share(which):
    """The mean of booleans, 0 for none."""
    return float(which.mean()) if len(which) else 0.0


def rise(positive, level):
    """How much more positive relevance lies on columns that are louder than the one before than chance would
    put there.
    """
    loud = level.mean(axis=1, dtype=np.float64)
    rising = np.diff(loud, axis=1, prepend=loud[:, :1]) > 4
    some = rising.any(axis=1) & positive.any(axis=(1, 2))
    moments = positive[some].sum(axis=1)
    shares = (moments * rising[some]).sum(axis=1) / moments.sum(axis=1) / rising[some].mean(axis=1)
    return float(shares.mean()) if some.any() else 0.0


def measure(network, fold, *, before=None):
    """The result for the network, and for an older one beside it if there is one."""
    networks = {"now": network, **({"before": before} if before else {})}
    with bar(len(networks) * (len(fold.level) + len(changes(fold))), "looks") as progress:
        return {"rules": RULES, "networks": {name: ask(one, fold, progress) for name,
                                             one in networks.items()}}


def tables(result):
    """For readers: short cuts, changes, classes."""
    networks = dict(reversed(result["networks"].items()))  # the older one first
    now = result["networks"]["now"]
    shown = list(networks)
    return [
        Table("Density of relevance where no sound is",
              ("region", ">clips", ">share of the image", *(f">{name}" for name in shown)),
              [[region, row["clips"], f"{row['area']:.2f}",
                *(f"{networks[name]['regions'][region]['density']:.2f}" for name in shown)]
               for region, row in now["regions"].items()]),
        Table("Named right without and with a change, and named otherwise than without it",
              ("change", ">clips", *(f">right {name}" for name in shown),
               *(f">otherwise {name}" for name in shown)),
              [[change, row["clips"], *(right(networks[name]["changes"][change]) for name in shown),
                *(f"{networks[name]['changes'][change]['other']:.1%}" for name in shown)] for change,
                row in now["changes"].items()]),
        Table("Where the positive relevance of the clips named right lies",
              ("class", ">clips", *(f">right {name}" for name in shown),
               *(f">{low:,}-{high:,} Hz" for low, high in zip(HERTZ, HERTZ[1:])), ">density on rising sound"),
              [[row["class"], row["clips"], *(networks[name]["classes"][number]["right"] for name in shown),
                *(f"{band:.0%}" for band in row["bands"]), f"{row['onset']:.2f}"] for number,
                row in enumerate(now["classes"])])]


def right(row):
    """A change's effect in a cell of the table."""
    return f"{row['right_without']:.1%} → {row['right']:.1%}"


def draw(result, figure):
    """A row for each class: mean spectrogram, and mean relevance of the clips named right and of others named
    so.
    """
    now, before = (result["networks"].get(name) for name in ("now", "before"))
    columns = [(now, "spectrogram", "mean spectrogram"), (now, "map_right", "relevance, named right"),
               (now, "map_wrong", "relevance, others named so")]
    if before:
        columns.insert(1, (before, "map_right", "named right, before"))
    grid = figure.subplots(len(now["classes"]), len(columns), sharex=True, sharey=True)
    hertz = np.array([500, 2000, 8000])
    heights = 64 * hz_to_mel(hertz) / hz_to_mel(features.SAMPLE_RATE / 2)
    for number, (panels, row) in enumerate(zip(grid, now["classes"])):
        for panel, (network, key, title) in zip(panels, columns):
            panel.set(xlim=(0, features.SECONDS), ylim=(0, 64), title="" if number else title)
            panel.grid(False)
            stored = network["classes"][number][key]
            if stored is None:
                panel.text(features.SECONDS / 2, 32, "none", ha="center")
                continue
            limit = stored["limit"]
            look = {"cmap": "magma", "vmin": 0} if key == "spectrogram" else {"cmap": "RdBu_r",
                                                                              "vmin": -limit}
            panel.imshow(as_array(stored), extent=(0, features.SECONDS, 0, 64), aspect="auto", vmax=limit,
                         interpolation="nearest",
                         **look)
        panels[0].set_yticks(heights, ["500", "2k", "8k"])
        panels[0].set_ylabel(f"{row['class']}\nhertz")
    for panel in grid[-1]:
        panel.set_xlabel("time in seconds")
