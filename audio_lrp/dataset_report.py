"""What a finished data-set run says: the mean maps of each class, the typical and the confused clips, the
tables.

Everything is read batch by batch in the order of the clips, so that memory does not grow with their number,
and sums do not depend on who explained what when.
"""
import dataclasses
import re

import numpy as np

from features import FrontEnd
from features.dataset import save_arrays
from lrp_core.chunks import default_threads

from . import profiles
from .answer import HEADINGS
from .dataset_tables import (
    index_columns,
    index_row,
    said,
    summary_of,
    write_confused,
    write_errors,
    write_summary,
    write_typical,
)
from .explained import places_of
from .names import unique_stems
from .tables import csv_table

MANY = 6                   # classes and outcomes that are drawn by several processes
TYPICAL, CONFUSED = 5, 20  # how many clips of a class, and of all, the lists name
TITLES = {"right": "heard rightly", "wrong": "heard as something else",
          "heard": "without a label, heard as this"}


@dataclasses.dataclass
class Sums:
    """Sums over the clips of one class and outcome.

    level: [rows, columns] int64. relevance: {preset: [3, rows, columns] float64}: all of it, only the
    positive, only the negative.
    """
    count: int
    level: np.ndarray
    relevance: dict

    @classmethod
    def of_nothing(cls, presets, shape):
        """No clips yet."""
        return cls(0, np.zeros(shape, np.int64), {rules: np.zeros((3, *shape)) for rules in presets})

    def add(self, level, relevance):
        """One clip more: level [rows, columns], relevance {preset: [rows, columns]}."""
        self.count += 1
        self.level += level
        for rules, r in relevance.items():
            self.relevance[rules] += (r, np.maximum(r, 0), np.minimum(r, 0))

    def mean_map(self, rules):
        """The mean relevance map [rows, columns] of a preset."""
        return self.relevance[rules][0] / self.count

    def mean_profiles(self, rules, places):
        """The mean of the clips' Profiles: for and against stay apart, they do not cancel between clips."""
        _, positive, negative = (profiles.profiles_of(part[::-1].T / self.count, places)
                                 for part in self.relevance[rules])
        return dataclasses.replace(positive, bands_against=negative.bands_against,
                                   moments_against=negative.moments_against)


def outcome(row):
    """(class number, outcome) that a clip is sorted under: its label, right or wrong; without a label what
    was heard.
    """
    if row["label"] is None:
        return row["predicted"], "heard"
    return row["label"], "right" if row["predicted"] == row["label"] else "wrong"


def clips_of(store):
    """Yield (row, level, {preset: relevance}), pictures [rows, columns], for every clip that could be read,
    in order.
    """
    for number, (record, arrays) in enumerate(store.read()):
        for row in record["clips"]:
            place = row["number"] - store.rows(number).start
            yield row, arrays["level"][place], {rules: arrays[f"relevance_{rules}"][place]
                                                for rules in store.settings["rules"]}


def write_report(store, *, picture="png"):
    """Write all that is told of a finished run into its folder (`dataset_tables.FILES` says what), pictures
    as png, svg or pdf; returns the summary.
    """
    settings, directory = store.settings, store.directory
    classes = len(settings["classes"])
    sums, typical, confused = {}, {}, []
    cut = 0
    counts, unlabelled = np.zeros((classes, classes), int), np.zeros(classes, int)
    with csv_table(directory / "index.csv", index_columns(settings)) as write:
        for row, level, relevance in clips_of(store):
            write(index_row(row, settings))
            cut += row["cut"]
            number, how = outcome(row)
            if (number, how) not in sums:
                sums[number, how] = Sums.of_nothing(settings["rules"], settings["map"])
            sums[number, how].add(level, relevance)
            if how == "heard":
                unlabelled[number] += 1
            else:
                counts[number, row["predicted"]] += 1
            if how == "wrong":
                keep_best(confused, CONFUSED, row["probability"], row)
            else:
                keep_best(typical.setdefault((number, how, said(settings)), []), TYPICAL, row["probability"],
                          row)
    means = {key: one.mean_map(settings["rules"][0]) for key, one in sums.items()}
    for row, _, relevance in clips_of(store):  # once more: the means are known only now
        number, how = outcome(row)
        if how != "wrong":
            value = likeness(relevance[settings["rules"][0]], means[number, how])
            keep_best(typical.setdefault((number, how, "likeness to the mean map"), []), TYPICAL, value, row)
    write_typical(directory / "typical.csv", settings, typical)
    write_confused(directory / "confused.csv", settings, confused)
    errors = write_errors(directory / "errors.csv", settings, store.records())
    write_classes(directory / "classes", settings, sums, picture)
    summary = summary_of(settings, counts, unlabelled, errors, cut)
    write_summary(summary, directory)
    return summary


def keep_best(best, size, value, row):
    """Insert (value, row) into the list of the `size` largest, largest first, equal ones in the clips' order.
    """
    best.append((value, row))
    best.sort(key=lambda pair: (-pair[0], pair[1]["number"]))
    del best[size:]


def likeness(r, mean):
    """The cosine between two maps, -1..1; 0 where one of them is all zero."""
    r = r.astype(np.float64)
    norm = np.sqrt((r * r).sum() * (mean * mean).sum())
    return float((r * mean).sum() / norm) if norm else 0.0


def title_of(settings, number, how, count):
    """What a class's picture is called; a class that lost says what its relevance speaks for: not for the
    class, by default.
    """
    title = f"{settings['classes'][number]}, {TITLES[how]}: mean of {count} clip{'s' * (count > 1)}"
    if how == "wrong":
        title += "; relevance of the class " + ("that won instead" if settings["target"] == "max"
                                                else "of the label")
    return title


def write_classes(directory, settings, sums, picture):
    """The mean maps, as pictures and arrays, and the profiles of every class and outcome that has clips: by
    several processes where there are many.
    """
    import joblib
    directory.mkdir(exist_ok=True)
    places = places_of(FrontEnd.from_dict(settings["front_end"]))
    endings = [f"-heard-{rules}-profiles.{picture}" for rules in settings["rules"]]
    stems = unique_stems([re.sub(r"[^\w-]", "_", name) for name in settings["classes"]],
                         max(endings, key=len))
    jobs = [joblib.delayed(write_class)(directory / f"{stems[number]}-{how}",
                                        title_of(settings, number, how, one.count), one, places, picture)
            for (number, how), one in sorted(sums.items())]
    joblib.Parallel(n_jobs=default_threads() if len(jobs) >= MANY else 1)(jobs)


def write_class(start, title, one, places, picture):
    """The files of one class and outcome, whose names begin with the path `start`."""
    from . import plots

    def named(ending):
        return start.with_name(f"{start.name}{ending}")
    plots.save(mean_figure(one, title, places), named(f".{picture}"))
    save_arrays(named(".npz"), count=one.count, level=one.level / one.count,
                **{f"relevance_{rules}": one.mean_map(rules) for rules in one.relevance})
    for rules in one.relevance:
        mean_profiles = one.mean_profiles(rules, places)
        profiles.write_csv(mean_profiles, named(f"-{rules}-profiles.csv"))
        plots.save(profiles.draw(mean_profiles, f"{title}   {HEADINGS.get(rules, rules)}"),
                   named(f"-{rules}-profiles.{picture}"))


def mean_figure(one, title, places):
    """The picture of one Sums: the mean spectrogram, and beside it the mean relevance map of each preset."""
    from . import plots
    figure = plots.new_figure(5.2 * (1 + len(one.relevance)), 4.2, title)
    axes = figure.subplots(1, 1 + len(one.relevance), sharex=True, sharey=True)
    level = one.level[::-1].T / (255 * one.count)
    spectrogram = plots.show(axes[0], level, places, cmap="magma", vmin=0, vmax=1)
    figure.colorbar(spectrogram, ax=axes[0], label="level (0: quietest, 1: loudest)")
    axes[0].set_title("mean spectrogram")
    for panel, rules in zip(axes[1:], one.relevance):
        drawn = plots.draw_relevance(panel, one.mean_map(rules)[::-1].T, places)
        panel.set_title(f"mean {HEADINGS.get(rules, rules)}")
    bar = figure.colorbar(drawn, ax=list(axes[1:]), extend="both", ticks=[-1, 0, 1], label=plots.SCALE)
    bar.ax.set_yticklabels(["against", "0", "for"])
    for panel in axes:
        panel.set(xlim=plots.extent_of(places)[:2], ylim=(0, len(places.hertz)), xlabel="seconds",
                  ylabel="hertz")
        panel.label_outer()
        plots.frequency_axis(panel, places.hertz)
    return figure
