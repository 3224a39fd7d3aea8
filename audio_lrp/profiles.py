"""Relevance per frequency band and per moment: as numbers for a table, and as a figure."""
import dataclasses

import numpy as np

import features
from features.mel import BANDS, hz_to_mel

from .tables import csv_table


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Sums of a relevance map over one of its axes; float64.

    hertz: [bands], the centre of each mel band, low to high. bands_for, bands_against: [bands], the positive
    and the negative relevance in it. seconds: [frames], the middle of each frame. moments_for,
    moments_against: [frames].
    """
    hertz: np.ndarray
    bands_for: np.ndarray
    bands_against: np.ndarray
    seconds: np.ndarray
    moments_for: np.ndarray
    moments_against: np.ndarray


def profiles_of(mel):
    """The Profiles of relevance per mel band and frame [bands, frames], low bands first, over the four
    seconds of a clip.

    A clip's own are those of `SoundRelevance.mel`; a class's those of a mean map: profiles_of(mean_map[::-1])
    for an image.
    """
    bands, frames = mel.shape
    positive, negative = np.maximum(mel, 0), np.minimum(mel, 0)
    # A row of an image holds two of the 128 bands: its middle lies between theirs.
    every = features.band_edges(features.SAMPLE_RATE, BANDS)[1:-1]
    centres = np.interp((np.arange(bands) + 0.5) * (BANDS / bands), np.arange(BANDS) + 0.5, every)
    return Profiles(centres, positive.sum(axis=1), negative.sum(axis=1),
                    (np.arange(frames) + 0.5) * (features.SECONDS / frames),
                    positive.sum(axis=0), negative.sum(axis=0))


def write_csv(profiles, path):
    """Write the profiles as a table: axis (frequency or time), position in hertz or seconds, for, against,
    sum.
    """
    with csv_table(path, ("axis", "unit", "position", "for", "against", "sum")) as write:
        for axis, unit, places, plus, minus in (
                ("frequency", "Hz", profiles.hertz, profiles.bands_for, profiles.bands_against),
                ("time", "s", profiles.seconds, profiles.moments_for, profiles.moments_against)):
            for place, positive, negative in zip(places, plus, minus):
                write((axis, unit, f"{place:.6g}", f"{positive:.8g}", f"{negative:.8g}",
                       f"{positive + negative:.8g}"))


def draw(profiles, title):
    """A figure of both profiles: what speaks for the class above the line, what speaks against it below."""
    from .plots import AGAINST, FOR, HERTZ, hertz_label, new_figure
    figure = new_figure(10, 3.6, title)
    frequency, time = figure.subplots(1, 2)
    for axes, places, plus, minus in ((frequency, profiles.hertz, profiles.bands_for, profiles.bands_against),
                                      (time, profiles.seconds, profiles.moments_for,
                                       profiles.moments_against)):
        axes.fill_between(places, plus, step="mid", color=FOR, label="for")
        axes.fill_between(places, minus, step="mid", color=AGAINST, label="against")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.margins(x=0)
    # The mel scale: linear up to 1 kHz, logarithmic above. matplotlib takes the width of the linear part, in
    # decades, times 0.9.
    decades = float(hz_to_mel(1000) / (hz_to_mel(10_000) - hz_to_mel(1000)))
    frequency.set_xscale("symlog", linthresh=1000, linscale=0.9 * decades)
    frequency.set_xticks(HERTZ[1:], [hertz_label(hertz) for hertz in HERTZ[1:]])  # 250 Hz would touch 500
    frequency.minorticks_off()
    frequency.set(xlabel="frequency in hertz", ylabel="relevance per band")
    time.set(xlabel="time in seconds", ylabel="relevance per frame")
    time.legend()
    return figure
