"""Does the network hear the same, however the sound arrives? Rates, channels, loudness, MP3: `python -m
benchmarks arrival`.
"""
import pathlib
import tempfile

import numpy as np
import soundfile

import features
from features.steps import Resample
from train_tf.augment import cut_bands

from . import study
from .progress import bar
from .style import BLACK, BLUE, ORANGE
from .tables import Table

NAME, TITLE, SIZE = "arrival", "However the sound arrives", (9, 4.2)
ABOUT = """The same clips as files of other rates, channels, levels and formats, read back and named by the
embedded network: how many it names right, how many as it names the file as found, and how far the
probability of that name moves on average. A rate of 16 kHz takes away what lies above 8 kHz. The network's
test fold as a whole is there as images: their bands above 11 and 8 kHz are taken away instead."""


def resampled(y, rate, target):
    """Samples [n] at another rate."""
    return Resample(float(rate), float(target)).forward(np.asarray(y, float)[None])[0]


CUTS = {"full": None, "nothing above 11 kHz": 11_000, "nothing above 8 kHz": 8_000}


def wav(y, rate, path, subtype="PCM_16"):
    """Write a 16-bit WAV file."""
    soundfile.write(path.with_suffix(".wav"), np.clip(y, -1, 1), rate, subtype=subtype)
    return path.with_suffix(".wav")


def mp3(y, rate, path):
    """Write two channels, the second a little later and softer, at 64 kbit/s, both together."""
    path = path.with_suffix(".mp3")
    # The level runs from 0 for 320 kbit/s to 1 for 32 kbit/s.
    soundfile.write(path, stereo(resampled(y, rate, 44_100)), 44_100, format="MP3", subtype="MPEG_LAYER_III",
                    bitrate_mode="CONSTANT", compression_level=(320 - 64) / (320 - 32))
    return path


def stereo(y):
    """Two channels [n, 2], the second 10 samples later and half as loud, as of a source to one side."""
    return np.stack((y, np.roll(y, 10) / 2), axis=1)


WAYS = {
    "as found": lambda y, rate, path: wav(y, rate, path, "FLOAT"),
    "16 kHz": lambda y, rate, path: wav(resampled(y, rate, 16_000), 16_000, path),
    "22.05 kHz": lambda y, rate, path: wav(resampled(y, rate, 22_050), 22_050, path),
    "44.1 kHz": lambda y, rate, path: wav(resampled(y, rate, 44_100), 44_100, path),
    "48 kHz": lambda y, rate, path: wav(resampled(y, rate, 48_000), 48_000, path),
    "stereo": lambda y, rate, path: wav(stereo(y), rate, path),
    "quiet: 40 dB below full scale": lambda y, rate, path: wav(y / np.abs(y).max() / 100, rate, path),
    "loud: clipped by 6 dB": lambda y, rate, path: wav(y / np.abs(y).max() * 2, rate, path),
    "MP3 of 64 kbit/s, stereo": mp3,
}


def measure(network, clips, *, real=study.REAL):
    """The result: a row for each way to arrive, and one for each cut of the test fold where the data set is
    at hand.
    """
    truth, rows, reference = np.array([number for _, _, number in clips]), [], None
    with tempfile.TemporaryDirectory() as folder, bar(len(WAYS) * len(clips), "arrival") as progress:
        for way, write in WAYS.items():
            images, size = [], 0
            for number, (y, rate, _) in enumerate(clips):
                path = write(y, rate, pathlib.Path(folder) / f"{number}")
                size += path.stat().st_size
                images.append(features.clip_image(path))
                progress.update(1)
            p = network.probabilities(np.stack(images))
            reference = p if reference is None else reference
            heard, before = p.argmax(axis=1), reference.argmax(axis=1)
            place = np.arange(len(p))
            rows.append({"way": way, "clips": len(p), "right": int((heard == truth).sum()),
                         "same": int((heard == before).sum()),
                         "change": float(np.abs(p[place, before] - reference[place, before]).mean()),
                         "bytes": size / len(clips)})
    return {"rows": rows, "fold": whole_fold(network, real)}


def whole_fold(network, real):
    """Accuracy on the network's test fold without its upper bands: a row for each cut, or [] without the data
    set.
    """
    if not real.exists():
        return []
    with np.load(real) as arrays:
        chosen = arrays["fold"] == int(network.metadata["training"]["name"].removeprefix("fold"))
        level, truth = arrays["level"][chosen], arrays["class_id"][chosen]
    return [{"cut": name, "clips": len(truth), "accuracy": float(
        (network.logits(features.colour(cut_bands(level, hertz))).argmax(axis=1) == truth).mean())} for name,
        hertz in CUTS.items()]


def tables(result):
    """For readers: the ways to arrive, and the whole fold."""
    made = [Table("Clips that arrive in another way",
                  ("way", ">clips", ">right", ">as before", ">change of probability", ">KB"),
                  [[row["way"], row["clips"], row["right"], row["same"], f"{row['change']:.3f}",
                    f"{row['bytes'] / 1e3:.0f}"]
                   for row in result["rows"]])]
    if result["fold"]:
        made.append(Table("The whole test fold, as images", ("bands", ">clips", ">accuracy"),
                          [[row["cut"], row["clips"], f"{row['accuracy']:.1%}"] for row in result["fold"]]))
    return made


def draw(result, figure):
    """Bars by way: clips named right, and named as before."""
    axes, rows = figure.subplots(), result["rows"]
    place = np.arange(len(rows))
    axes.barh(place - 0.2, [row["same"] for row in rows], 0.38, color=ORANGE, label="named as before")
    axes.barh(place + 0.2, [row["right"] for row in rows], 0.38, color=BLUE, label="named right")
    axes.axvline(rows[0]["clips"], color=BLACK, linestyle="--")
    axes.set_yticks(place, [row["way"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel=f"clips of {rows[0]['clips']}")
    axes.legend(frameon=False, loc="lower left")
