"""Relevance per frequency band and per moment: as numbers for a table, and as a figure."""
import dataclasses

import numpy as np

from .tables import csv_table


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Sums of a relevance map over one of its axes; float64.

    hertz: [bands], the centre of each band, low to high. bands_for, bands_against: [bands], the positive
    and the negative relevance in it. seconds: [frames], the middle of each frame. moments_for,
    moments_against: [frames].
    """
    hertz: np.ndarray
    bands_for: np.ndarray
    bands_against: np.ndarray
    seconds: np.ndarray
    moments_for: np.ndarray
    moments_against: np.ndarray


def profiles_of(relevance, axes):
    """The Profiles of relevance [frames, bands] whose cells lie at `axes` (`features.steps.Axes`)."""
    positive, negative = np.maximum(relevance, 0), np.minimum(relevance, 0)
    return Profiles(axes.hertz, positive.sum(axis=0), negative.sum(axis=0),
                    axes.seconds, positive.sum(axis=1), negative.sum(axis=1))


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


def draw(profiles, title, time_label="seconds"):
    """A figure of both profiles: what speaks for the class above the line, what speaks against it below.

    time_label: what the time axis counts.
    """
    from .plots import AGAINST, FOR, mel_scale, new_figure
    figure = new_figure(9, 3.9, title, layout=None)
    figure.subplots_adjust(left=0.1, right=0.98, bottom=0.15, top=0.82, wspace=0.28)
    frequency, time = figure.subplots(1, 2)
    for axes, places, plus, minus in ((frequency, profiles.hertz, profiles.bands_for, profiles.bands_against),
                                      (time, profiles.seconds, profiles.moments_for,
                                       profiles.moments_against)):
        axes.fill_between(places, plus, step="mid", color=FOR, label="for")
        axes.fill_between(places, minus, step="mid", color=AGAINST, label="against")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.margins(x=0)
        axes.locator_params(axis="y", nbins=4)
    mel_scale(frequency, profiles.hertz)
    frequency.set(xlabel="frequency in hertz", ylabel="relevance per band")
    time.set(xlabel=time_label, ylabel="relevance per frame")
    time.legend()
    return figure
