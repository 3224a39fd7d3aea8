"""Is relevance where the sound is? Mixtures with a known answer, and masks that the network hears: `python -m
benchmarks sound`.
"""
import dataclasses

import numpy as np

import features
import lrp_core
from audio_lrp.explained import Explained, spectrogram
from audio_lrp.listen import check_mask
from audio_lrp.report_data import hertz_at, shortest_span
from features.clip import PREFIX
from features.listen import divide
from features.steps import Mel, Spectrogram
from features.synth import synthesize

from .progress import bar
from .style import BLACK, BLUE, GREEN, ORANGE, SKY
from .tables import Table

NAME, TITLE, SIZE = "sound", "Relevance in seconds, hertz and sound", (11, 5)
ABOUT = """Three questions to the embedded network, for each preset. **Where**: two procedural sounds share
a clip, a siren in one half and drilling in the other; each class is explained in turn, and the share of its
positive relevance that lies in its own half is told (chance: 0.5). The first table tells, in seconds and
hertz, the shortest span that holds half of that relevance (medians), beside when the class sounds and the
shortest span of bands that holds half of its power. (Scenes in which a preset leaves a class nothing
positive do not count.) A horn of known partials sounds in noise; told is the share of the positive
relevance of `car_horn` within a third of an octave of its partials and while it sounds, beside the share of
the image that this is. **Heard**: the fewest STFT cells that carry half of the positive relevance are
turned into sound; does the network still name the class, and does it with as many cells drawn at random?
**Books**: relevance on the file's samples plus everything booked on the way, less the logit, as a share of
the relevance that flowed through the front end; the largest of all clips."""
PRESETS = tuple(lrp_core.PRESETS)
# asked what is heard, which takes long
LISTENED = ("epsilon", "preset_a_flat", "preset_b", "epsilon_plus", "epsilon_gamma_box")
SEEDS, DRAWS, SHARE = 8, 5, 0.5
PARTIALS = 420.0 * np.arange(1, 6)
THIRD = 2 ** (1 / 3)
STFT, MEL = Spectrogram(sample_rate=44_100), Mel(sample_rate=44_100).edges[1:-1]  # the study's


@dataclasses.dataclass(frozen=True)
class Scene:
    """A clip, the class to explain, and where in it that class is: booleans over its frames and its mel
    bands, and seconds.
    """
    clip: features.Clip
    target: str
    frames: np.ndarray
    bands: np.ndarray
    seconds: tuple

    @property
    def name(self):
        """The class and when it sounds."""
        return "{}, {:g} to {:g} s".format(self.target.replace("car_", ""), *self.seconds)

    @property
    def hertz(self):
        """(low, high) in Hz of the bands that hold half of the power while the class sounds."""
        return span_hertz((10 ** (spectrogram(self.clip)[0][self.frames] / 10)).sum(axis=0))


def halves(first, second, seed):
    """Two Scenes of one clip: `first` sounds for two seconds, then `second`, equally loud."""
    parts = [synthesize(name, seed, seconds=2.0) for name in (first, second)]
    clip = features.open_clip(np.concatenate([part / np.sqrt((part ** 2).mean()) for part in parts]) / 20,
                              features.SAMPLE_RATE)
    early = np.arange(STFT.count(len(clip.sound))) * STFT.hop < len(parts[0])
    everywhere = np.ones(len(MEL), bool)
    return [Scene(clip, first, early, everywhere, (0, 2)), Scene(clip, second, ~early, everywhere, (2, 4))]


def horn(seed):
    """A Scene of a horn with partials at 420, 840, ... 2,100 Hz in pink noise 20 dB below it."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(features.SECONDS * features.SAMPLE_RATE)) / features.SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6)) / (number + 1) for number,
               hertz in enumerate(PARTIALS))
    tone *= np.clip(20 * np.minimum(time - 0.5, 3.0 - time), 0, 1)
    spectrum = np.fft.rfft(rng.standard_normal(len(time)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20)), len(time))
    clip = features.open_clip(0.1 * tone / tone.std() + 0.01 * noise / noise.std(), features.SAMPLE_RATE)
    centres = MEL[:, None]
    near = ((centres < PARTIALS * THIRD) & (centres > PARTIALS / THIRD)).any(axis=1)
    start, stop = ((seconds * features.SAMPLE_RATE + reach) / STFT.hop for seconds,
                   reach in ((0.5, -STFT.n_fft), (3.0, STFT.n_fft)))
    frames = np.arange(STFT.count(len(clip.sound)))
    return Scene(clip, "car_horn", (frames > start) & (frames < stop), near, (0.5, 3))


def span_hertz(bands):
    """(low, high) in Hz of the fewest neighbouring mel bands that hold half of the weights [bands]."""
    return tuple(float(hertz_at(place, MEL)) for place in shortest_span(bands))


def where(network, scene, preset):
    """(share of a scene's positive relevance that lies where its class sounds, (start, stop, low, high) in
    seconds and Hz of half of it).

    Not a number where nothing is positive: a rule that knows no signs gives all of a score below zero as
    relevance below zero.
    """
    e = lrp_core.explain(network, scene.clip.image, preset, scene.target)
    positive = np.maximum(Explained(scene.clip, e, preset).stage("mel"), 0).T
    if not positive.any():
        return np.nan, (np.nan,) * 4
    share = float(positive[scene.bands][:, scene.frames].sum() / positive.sum())
    seconds = (place * features.SECONDS / positive.shape[1] for place in shortest_span(positive.sum(axis=0)))
    return share, (*seconds, *span_hertz(positive.sum(axis=1)))


def heard(network, clip, preset, rng):
    """(Check of the most relevant cells, how well the whole book closes, share of cells) of one clip."""
    e = lrp_core.explain(network, clip.image, preset)
    found = Explained(clip, e, preset)
    mask = divide(found.cells, share=SHARE)[0]
    turnover = max(entry.turnover for entry in found.ledger if entry.name.startswith(PREFIX))
    error = abs(float(found.ledger.total.residual)) / turnover
    return check_mask(network, clip, mask, e.target, draws=DRAWS, rng=rng), error, float(mask.mean())


def medians(scenes, spans):
    """{scene's name: the median of each number over the scenes of that name}."""
    names = dict.fromkeys(scene.name for scene in scenes)
    return {name: np.nanmedian([span for scene, span in zip(scenes, spans) if scene.name == name],
                               axis=0).tolist() for name in names}


def measure(network, opened, *, presets=PRESETS, listened=LISTENED, seeds=SEEDS):
    """The result: a row for each preset; what is heard for those in `listened`."""
    pairs = [scene for seed in range(seeds) for order in (("siren", "drilling"), ("drilling", "siren"))
             for scene in halves(*order, seed)]
    horns = [horn(seed) for seed in range(seeds)]
    rows = []
    heard_by = [preset for preset in presets if preset in listened]
    with bar(len(presets) * (len(pairs) + len(horns)) + len(heard_by) * len(opened), "sound") as progress:
        def counted(values):
            for value in values:
                progress.update(1)
                yield value
        for preset in presets:
            rng = np.random.default_rng(0)
            shares, spans = zip(*counted(where(network, scene, preset) for scene in (*pairs, *horns)))
            rows.append({"preset": preset, "scenes": seeds * 2, "spans": medians((*pairs, *horns), spans),
                         **{name: float(np.nanmean([share for scene, share in zip(pairs, shares)
                                                    if scene.target == name]))
                            for name in ("siren", "drilling")},
                         "horn": float(np.nanmean(shares[len(pairs):])),
                         "horn_area": float(np.mean([scene.bands.mean() * scene.frames.mean()
                                                     for scene in horns]))})
            if preset in listened:
                checks, errors, cells = zip(*counted(heard(network, clip, preset, rng) for clip in opened))
                rows[-1] |= {"clips": len(opened), "kept": sum(check.kept for check in checks),
                             "random": float(sum(check.random for check in checks)),
                             "without": sum(check.without for check in checks),
                             "cells": float(np.mean(cells)),
                             "error": float(max(errors))}
    truth = medians((*pairs, *horns), [(*scene.seconds, *scene.hertz) for scene in (*pairs, *horns)])
    return {"rows": rows, "truth": truth, "share": SHARE, "draws": DRAWS}


def tables(result):
    """For readers: where, heard, books."""
    rows, listened = result["rows"], [row for row in result["rows"] if "kept" in row]

    def spans(found):
        return ["{:.1f}–{:.1f} s, {:,.0f}–{:,.0f} Hz".format(*found[name]) for name in result["truth"]]
    return [Table("Where half of a class's positive relevance lies, beside the sound itself",
                  ("", *result["truth"]),
                  [["the sound", *spans(result["truth"])],
                   *([row["preset"], *spans(row["spans"])] for row in rows)]),
            Table("Share of a class's positive relevance where it sounds",
                  ("preset", ">siren in its half", ">drilling in its half", ">horn at its partials",
                   ">their share of the image"),
                  [[row["preset"], *(f"{row[name]:.2f}" for name in ("siren", "drilling", "horn",
                                                                     "horn_area"))] for row in rows]),
            Table(f"Clips whose class is kept, by the cells that carry {result['share']:.0%} of the "
                  "relevance",
                  ("preset", ">clips", ">these cells alone", ">as many at random", ">all others",
                   ">share of cells"),
                  [[row["preset"], row["clips"], row["kept"], f"{row['random']:.1f}", row["without"],
                    f"{row['cells']:.2%}"]
                   for row in listened]),
            Table("From the logit to the samples", ("preset", ">largest error"),
                  [[row["preset"], f"{row['error']:.0e}"] for row in listened])]


def draw(result, figure):
    """Bars by preset: shares where the class sounds, and clips kept."""
    shares, kept = figure.subplots(1, 2)
    listened = [row for row in result["rows"] if "kept" in row]
    for axes, rows, series in (
            (shares, result["rows"], (("siren", BLUE, "siren"), ("drilling", ORANGE, "drilling"),
                                      ("horn", GREEN, "horn"))),
            (kept, listened, (("kept", BLUE, "the relevant cells"), ("random", SKY, "as many at random")))):
        place, width = np.arange(len(rows)), 0.8 / len(series)
        for number, (key, colour, label) in enumerate(series):
            axes.barh(place + (number - (len(series) - 1) / 2) * width, [row[key] for row in rows], width,
                      color=colour, label=label)
        axes.set_yticks(place, [row["preset"] for row in rows])
        axes.invert_yaxis()
        axes.legend(frameon=False)
    shares.axvline(0.5, color=BLACK, linestyle="--")
    shares.set(xlabel="share of positive relevance where the class sounds", xlim=(0, 1))
    kept.set(xlabel=f"clips of {listened[0]['clips']} whose class is kept")
