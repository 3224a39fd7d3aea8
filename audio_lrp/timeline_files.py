"""A timeline as files: picture, tables, Audacity's labels, arrays."""
import json
import pathlib

import matplotlib.ticker
import numpy as np

from lrp_core.files import replacing

from . import plots
from .slide import ENVELOPE
from .tables import csv_table
from .ticks import clock, round_times

COLUMNS = 1000  # of the picture


def write_windows(found, path):
    """A line for each window: when, what was heard, what was explained and where that rests."""
    share = "probability" if found.reads == "probabilities" else "score"
    columns = ("start_s", "end_s", "heard", share, "explained", "relevant_from_s", "relevant_to_s",
               "relevant_from_hz", "relevant_to_hz", "relevance_for", "relevance_against", "silent")
    names, arrays = found.names, found.arrays
    with csv_table(path, columns) as write:
        for number in range(found.slide.count):
            best, target = int(found.values[number].argmax()), int(arrays["target"][number])
            write((f"{found.starts[number]:.3f}", f"{found.ends[number]:.3f}", names[best],
                   f"{found.values[number, best]:.6g}", names[target] if target >= 0 else "sum",
                   *("" if np.isnan(one) else f"{one:.2f}" for one in (*arrays["seconds"][number],
                                                                        *arrays["hertz"][number])),
                   *(f"{arrays[name][number].sum():.6g}" for name in ("moments_for", "moments_against")),
                   int(arrays["silent"][number])))


def write_labels(found, path):
    """Audacity's label track: start, end and text of each event, and below it the frequencies it rests on."""
    lines = []
    for event in found.events:
        said = f"{event.value:.0%}" if found.reads == "probabilities" else f"{event.value:.3g}"
        lines.append(f"{event.start:.3f}\t{event.end:.3f}\t{event.class_name} {said}")
        if event.low is not None:
            lines.append(f"\\\t{event.low:.1f}\t{event.high:.1f}")
    with replacing(path) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def figure(found):
    """The picture: the sound, what is heard over time, and where it rests."""
    chosen, slide = found.shown, found.slide
    rows = len(chosen)
    name = pathlib.PurePath(found.name).name
    drawn = plots.new_figure(10, 4.2 + 0.28 * rows, f"{name}   {slide.count} windows of {slide.window:g} s")
    sound, heard, rests = drawn.subplots(3, 1, sharex=True, height_ratios=(1, 0.7 + 0.35 * rows, 2))
    low, high = found.envelope
    times = slide.start + (np.arange(len(low)) + 0.5) * (slide.hop / ENVELOPE)
    sound.fill_between(times, low, high, color=plots.GREY, linewidth=0)
    sound.set(yticks=[])
    sound.set_ylabel("sound", rotation=0, ha="right", va="center")
    span = slide.start, slide.start + slide.length
    probabilities = found.reads == "probabilities"
    picture = heard.pcolormesh(found.borders, np.arange(rows + 1), found.values[:, chosen].T, cmap="magma",
                               rasterized=True, **({"vmin": 0, "vmax": 1} if probabilities else {}))
    heard.invert_yaxis()
    heard.set_yticks(np.arange(rows) + 0.5, [found.names[number] for number in chosen], parse_math=False)
    drawn.colorbar(picture, ax=heard, pad=0.01, label="probability" if probabilities else "score")
    edges, _ = found.relevance
    for label, colour, (plus, minus) in found.rests:
        # The highest of the cells that share a pixel column: short peaks of a long recording are seen.
        at = np.arange(0, len(plus), -(-len(plus) // COLUMNS))
        borders = np.append(edges[at], edges[-1])
        rests.stairs(np.maximum.reduceat(plus, at), borders, fill=True, color=colour, alpha=0.8, label=label)
        rests.stairs(np.minimum.reduceat(minus, at), borders, fill=True, color=colour, alpha=0.35)
    rests.axhline(0, color="black", linewidth=0.6)
    rests.locator_params(axis="y", nbins=4)
    rests.set_ylabel("relevance\nfor (up), against")
    rests.legend(loc="upper right", ncols=2, fontsize=9)
    rests.set(xlim=span, xlabel="time in the file")
    rests.xaxis.set_major_locator(matplotlib.ticker.FixedLocator(round_times(*span)))
    rests.xaxis.set_major_formatter(lambda seconds, _: clock(seconds, 3).rstrip("0").rstrip("."))
    return drawn


def write(found, directory, stem, picture="png"):
    """Write STEM-timeline.PICTURE, .csv, .json and .npz, and STEM-labels.txt; returns their names."""
    plots.save(figure(found), directory / f"{stem}-timeline.{picture}")
    write_windows(found, directory / f"{stem}-timeline.csv")
    write_labels(found, directory / f"{stem}-labels.txt")
    edges, relevance = found.relevance
    with replacing(directory / f"{stem}-timeline.json") as partial:
        partial.write_text(json.dumps({
            "file": found.name, "seconds": found.slide.length, "window_s": found.slide.window,
            "hop_s": found.slide.hop, "rules": found.rules, "reads": found.reads,
            "events": [{"start_s": event.start, "end_s": event.end, "class": event.class_name,
                        "value": event.value, "low_hz": event.low, "high_hz": event.high}
                       for event in found.events]}, indent=1))
    with replacing(directory / f"{stem}-timeline.npz") as partial, open(partial, "wb") as file:
        np.savez_compressed(file, starts=found.starts, ends=found.ends, values=found.values,
                            names=np.array(found.names, str), edges=edges,
                            explained=np.array(sorted(relevance)),
                            relevance=np.array([relevance[number] for number in sorted(relevance)]))
    return [f"{stem}-timeline.{picture}", f"{stem}-timeline.csv", f"{stem}-labels.txt",
            f"{stem}-timeline.json", f"{stem}-timeline.npz"]
