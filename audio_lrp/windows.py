"""A recording of any length, window by window: what the network hears when, and where each decision rests.

    windows     read one after the other, explained a batch at a time, each batch kept in a file of its own
    Timeline    all of it: probabilities of every window, and relevance added up over the windows, on one axis
"""
import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import math
import os
import pathlib

import numpy as np

import lrp_core
from features import FrontEnd
from lrp_core.chunks import default_threads, single_threaded_blas
from lrp_core.files import replacing
from lrp_core.gradients import GradientMethod
from lrp_core.layers import Sigmoid
from lrp_core.show import block, html_table, line
from lrp_core.text import clean

from .explained import Explained, map_axes, places_of
from .models import name_of, reads_as
from .report_data import hertz_at, shortest_span
from .slide import ENVELOPE, Slide, extremes, recordings, slide_over
from .ticks import clock, digits_for

BATCH = 32   # windows that are explained and kept together, at most,
WORK = 2e11  # and the multiply-adds of their forward passes: an interrupt should lose seconds only
FORMAT = 2
CLASSES = 8  # rows of a picture at most
# Paul Tol's bright scheme: they stay apart for the colour-blind.
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#994f00", "#777777")
OTHERS = "#bbbbbb"  # all classes that have no row of their own
LISTED = 20  # events that a notebook lists


def explain_windows(network, front_end, path, slide, numbers, rules, target, **how):
    """{name: array [windows, ...]} of a run of windows.

    logits: the scores. target: the number of the score that was explained, below 0 for their sum.
    moments_for, moments_against: its relevance over the frames of the map, of what was played (`played`).
    seconds: where half of what speaks for it lies, from the recording's beginning; hertz: the same in
    frequency. silent: nothing sounded. low, high: the lowest and highest samples of its first hop; low_after,
    high_after: of what follows.
    """
    with concurrent.futures.ThreadPoolExecutor(default_threads()) as pool, single_threaded_blas:
        opened = functools.partial(front_end.clip, dtype=how.get("dtype", "float64"))
        clips = list(pool.map(opened, recordings(path, slide, numbers)))
    e = lrp_core.explain(network, np.stack([clip.input for clip in clips]), rules, target, **how)
    found = {name: [] for name in ("moments_for", "moments_against", "seconds", "hertz", "silent", "low",
                                   "high", "low_after", "high_after")}
    hop = slide.hop * slide.rate
    for place, clip in enumerate(clips):
        axes = map_axes(clip)
        r = played(clip, Explained(clip, e[place], rules_name(rules)).map, axes.seconds)
        positive, negative = np.maximum(r, 0), np.minimum(r, 0)
        found["moments_for"].append(positive.sum(axis=1))
        found["moments_against"].append(negative.sum(axis=1))
        seconds, hertz = span_of(positive, axes)
        found["seconds"].append(np.add(seconds, clip.recording.start))
        found["hertz"].append(hertz)
        found["silent"].append(clip.silent)
        for after, first, last in (("", 0, hop), ("_after", hop, (1 + slide.hops_after) * hop)):
            for name, values in zip(("low", "high"), extremes(clip.original, first, last)):
                found[f"{name}{after}"].append(values)
    arrays = {name: np.array(values) for name, values in found.items()}
    return {"logits": e.logits.reshape(len(clips), -1), "target": np.asarray(e.target), **arrays}


def played(clip, r, seconds):
    """Relevance r [frames, bands] where the clip was played first: what a short one repeats is added there,
    what falls on the silence after it is left out. seconds: the frames' middles.
    """
    times, end = clip.repeats
    if not times and end is None:
        return r
    step = seconds[1] - seconds[0] if len(seconds) > 1 else clip.seconds
    first = np.rint((seconds % clip.heard - seconds[0]) / step).clip(0, len(seconds) - 1).astype(int)
    kept = seconds < (clip.seconds if end is None else end)
    found = np.zeros_like(r)
    np.add.at(found, first[kept], r[kept])
    return found


def span_of(positive, axes):
    """((start, end) in seconds, (low, high) in hertz) of half of the positive relevance [frames, bands]; NaN
    where there is none.
    """
    if not positive.any():
        return (np.nan, np.nan), (np.nan, np.nan)
    first, last = shortest_span(positive.sum(axis=1))
    half = (axes.seconds[1] - axes.seconds[0]) / 2 if len(axes.seconds) > 1 else 0.0
    low, high = shortest_span(positive.sum(axis=0))
    return ((max(axes.seconds[first] - half, 0.0), axes.seconds[last - 1] + half),
            (float(hertz_at(low, axes.hertz)), float(hertz_at(high, axes.hertz))))


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """What a network hears in a recording, window by window.

    name: the file. slide: how the windows lie. front_end, network, rules: what was asked, and how. arrays: of
    `explain_windows`, for all windows.
    """
    name: str
    slide: Slide
    network: lrp_core.Network
    front_end: FrontEnd
    rules: str
    arrays: dict

    @property
    def starts(self):
        """Where the windows begin in the recording, in seconds [windows]."""
        return self.slide.start + np.arange(self.slide.count) * self.slide.hop

    @property
    def ends(self):
        """Where they end: the last one with the recording."""
        return np.minimum(self.starts + self.slide.window, self.slide.start + self.slide.length)

    @property
    def borders(self):
        """Where each window's verdict begins and the last one's ends, in seconds [windows + 1]: it holds for
        the window's middle, half a hop to each side; the first and the last one's up to the recording's ends.
        """
        inner = self.starts[1:] + (self.slide.window - self.slide.hop) / 2
        return np.concatenate(([self.slide.start], inner, [self.slide.start + self.slide.length]))

    @functools.cached_property
    def envelope(self):
        """(lowest, highest) samples of stretches of hop / ENVELOPE seconds each, over the whole recording."""
        slide, step = self.slide, self.slide.hop / ENVELOPE
        count = max(math.ceil(slide.length / step - 1e-9), 1)
        # Each window tells of its first hop; the last one of what follows, too.
        index = np.arange(count - ENVELOPE * slide.count) // max(slide.hops_after, 1)
        return tuple(np.concatenate((self.arrays[name].ravel()[:count],
                                     self.arrays[f"{name}_after"][-1][index])) for name in ("low", "high"))

    @property
    def reads(self):
        """"probabilities" or "scores"."""
        return reads_as(self.network)

    @property
    def independent(self):
        """Does each class have a probability of its own, so that several may be heard at once?"""
        return self.reads == "probabilities" and isinstance(self.network.activation, Sigmoid)

    @functools.cached_property
    def values(self):
        """What the network says of each window: probabilities, or scores, [windows, scores]."""
        logits = self.arrays["logits"]
        if self.reads == "scores":
            return logits
        shaped = logits.reshape(len(logits), *self.network.output_shape)
        return self.network.activation.forward(shaped).reshape(len(logits), -1)

    @property
    def names(self):
        """The scores' names."""
        return [name_of(self.network, number) for number in range(self.values.shape[1])]

    @property
    def shown(self):
        """The numbers of the classes that a picture shows: those explained, then those heard, the most often
        first, then the likeliest.
        """
        explained, heard = (np.bincount(numbers[numbers >= 0], minlength=self.values.shape[1])
                            for numbers in (self.arrays["target"], self.values.argmax(axis=1)))
        return np.lexsort((-self.values.max(axis=0), -heard, -explained))[:CLASSES].tolist()

    @property
    def explained(self):
        """What was explained, in words."""
        target = self.arrays["target"]
        if (target == self.values.argmax(axis=1)).all():
            return "the class that won" if self.values.shape[1] > 1 else "the score"
        (number, *others) = np.unique(target).tolist()
        return "several classes" if others else "the sum of all scores" if number < 0 else self.names[number]

    @property
    def rests(self):
        """[(name, colour, (for, against) [cells])] of the relevance that a picture shows: for each class
        shown, and for all others that were explained together.
        """
        _, relevance = self.relevance
        found = [(self.names[number], colour, relevance[number])
                 for number, colour in zip(self.shown, COLOURS) if number in relevance]
        others = [number for number in relevance if number not in self.shown]
        if others:
            name = ("sum of all scores" if others[0] < 0 else f"{len(others)} other classes"
                    if len(others) > 1 else self.names[others[0]])
            found.append((name, OTHERS, sum(relevance[number] for number in others)))
        return found

    @functools.cached_property
    def grid(self):
        """(where the first cell of `relevance` begins, how long a cell is), in seconds from the recording's
        start: a frame's middle is a cell's, and a cell is as long as a frame is from the next.
        """
        inside = places_of(self.front_end).seconds
        step = inside[1] - inside[0] if len(inside) > 1 else self.front_end.seconds
        return float(inside[0] % step - step / 2), float(step)

    @functools.cached_property
    def relevance(self):
        """(seconds [cells + 1], {class number: (for, against) [cells]}): relevance over the whole recording.

        Each window's relevance is added where it lies in time (see `grid`); windows that overlap add up.
        """
        inside, slide, (first, step) = places_of(self.front_end).seconds, self.slide, self.grid
        cells = max(math.ceil((slide.length - first) / step - 1e-6), 1)
        found: dict[int, np.ndarray] = {}
        for number, target in enumerate(self.arrays["target"].tolist()):
            index = np.clip((number * slide.hop + inside - first) / step + 1e-6, 0, cells - 1).astype(int)
            sums = found.setdefault(target, np.zeros((2, cells)))
            for row, name in enumerate(("moments_for", "moments_against")):
                np.add.at(sums[row], index, self.arrays[name][number])
        return slide.start + np.clip(first + np.arange(cells + 1) * step, 0, slide.length), found

    @functools.cached_property
    def events(self):
        """[Event]: runs of windows in which the same is heard, in order.

        A window speaks for its middle: an event reaches from half a hop before the first one's to half a hop
        after the last one's. Silent windows are no event, nor where classes have probabilities those of which
        none reaches one half. Where several classes may be heard at once, each has its own events. A network
        of a single score has none.
        """
        values, scores = self.values, range(self.values.shape[1])
        if len(scores) == 1 and self.reads == "scores":
            return []
        sure = np.ones(values.shape, bool) if self.reads == "scores" else values >= 0.5
        if not self.independent:
            sure = sure & (np.arange(len(scores)) == values.argmax(axis=1)[:, None])
        heard = sure & ~self.arrays["silent"][:, None]
        events = [self._event(first, last, number) for number in scores
                  for first, last in runs(heard[:, number])]
        return sorted(events, key=lambda event: event.start)

    def _event(self, first, last, number):
        slide, whole = self.slide, self.slide.start + self.slide.length
        reach = (slide.window - slide.hop) / 2
        start = slide.start if first == 0 else self.starts[first] + reach
        end = whole if last == slide.count else min(self.starts[last - 1] + slide.window - reach, whole)
        hertz = self.arrays["hertz"][first:last][self.arrays["target"][first:last] == number]
        hertz = hertz[np.isfinite(hertz).all(axis=1)]
        low, high = (float(hertz[:, 0].min()), float(hertz[:, 1].max())) if len(hertz) else (None, None)
        return Event(float(start), float(end), name_of(self.network, number),
                     float(self.values[first:last, number].max()), low, high)

    @property
    def _facts(self):
        return (f"{clean(self.name)}, {self.slide.length:.1f} s in {self.slide.count:,} windows of "
                f"{self.slide.window:g} s, {len(self.events):,} events")

    def __repr__(self):
        return line("Timeline", self._facts)

    def _repr_html_(self):
        """For notebooks: the picture, and the events as a table."""
        from . import plots
        rows = rows_of(self.events[:LISTED], self.reads, self.slide.hop)
        more = [f"... and {len(self.events) - LISTED:,} more"] * (len(self.events) > LISTED)
        return block(f"Timeline: {self._facts}", plots.html_picture(self.plot(), self._facts),
                     html_table([*rows, *more], ">><><"))

    def plot(self, path=None):
        """The picture; a Matplotlib figure, written to `path` if there is one."""
        from . import plots, timeline_files
        figure = timeline_files.figure(self)
        if path is not None:
            plots.save(figure, pathlib.Path(path))
        return figure


def runs(flags):
    """[(first, end)] of the runs of neighbours that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


@dataclasses.dataclass(frozen=True)
class Event:
    """A stretch of the recording in which one class is heard, and the frequencies it rests on (None:
    unknown).
    """
    start: float
    end: float
    class_name: str
    value: float
    low: float | None
    high: float | None


def rows_of(events, reads, hop):
    """The cells of a table of events: from, to, what is heard, how surely, which frequencies it rests on.

    hop: seconds from one window to the next, which the digits of the times tell apart.
    """
    digits = digits_for(hop)
    rows = [("from", "to", "heard", "probability" if reads == "probabilities" else "score", "rests on")]
    for event in events:
        said = f"{event.value:.0%}" if reads == "probabilities" else f"{event.value:.3g}"
        where = "" if event.low is None else f"{event.low:,.0f} to {event.high:,.0f} Hz"
        rows.append((clock(event.start, digits), clock(event.end, digits), event.class_name, said, where))
    return rows


def timeline(path, network, front_end, rules="preset_a_flat", target="max", *, window=None, hop=None,
             start=0.0, end=None, keep=None, progress=None, **how):
    """The Timeline of a sound file.

    keep: a folder for what was found so far; a later call with the same settings goes on from there.
    progress: called with the number of windows done since the last call. how: engine, dtype, threads, as of
    `lrp_core.explain`. Raises FileNotFoundError, or ValueError that names what is wrong.
    """
    slide = slide_over(path, front_end, window, hop, start, end)
    settings = {"format": FORMAT, "file": fingerprint(path), "slide": dataclasses.asdict(slide),
                "front_end": front_end.as_dict(), "network": digest(network), "rules": identity(rules),
                "target": str(target), "how": {name: str(value) for name, value in sorted(how.items())}}
    if keep is not None:
        open_folder(pathlib.Path(keep), settings)
    parts, batch = [], max(min(BATCH, int(WORK // max(network.multiply_adds, 1))), 1)
    for first in range(0, slide.count, batch):
        numbers = range(first, min(first + batch, slide.count))
        kept = None if keep is None else pathlib.Path(keep) / f"{first:08d}.npz"
        if kept is not None and kept.exists():
            with np.load(kept, allow_pickle=False) as arrays:
                parts.append(dict(arrays))
        else:
            parts.append(explain_windows(network, front_end, path, slide, numbers, rules, target, **how))
            if kept is not None:
                with replacing(kept) as partial, open(partial, "wb") as file:
                    np.savez(file, **parts[-1])
        if progress:
            progress(len(numbers))
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Timeline(os.fspath(path), slide, network, front_end, rules_name(rules), arrays)


def rules_name(rules):
    """What rules are called."""
    return rules if isinstance(rules, str) else lrp_core.composite(rules).name


def identity(rules):
    """A text that differs for rules that differ. Functions are told apart by their place in memory: with some
    among the conditions, no later process takes up the work.
    """
    if isinstance(rules, (lrp_core.Composite, GradientMethod)):
        return repr([getattr(rules, field.name) for field in dataclasses.fields(rules)])
    return str(rules)


def open_folder(keep, settings):
    """Make the folder of a run, or refuse one of a run with other settings."""
    keep.mkdir(parents=True, exist_ok=True)
    record = keep / "settings.json"
    if record.exists() and json.loads(record.read_text()) != json.loads(json.dumps(settings)):
        for part in (*keep.glob("*.npz"), record):
            part.unlink()
    if not record.exists():
        with replacing(record) as partial:
            partial.write_text(json.dumps(settings))


def fingerprint(path):
    """[size, digest of the first and last 64 KiB] of a file."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        ends = file.read(1 << 16)
        file.seek(max(size - (1 << 16), 0))
        return [size, hashlib.sha256(ends + file.read(1 << 16)).hexdigest()]


def digest(network):
    """A digest of a network's layers and weights."""
    total = hashlib.sha256()
    for node in network.nodes:
        total.update(repr((node.name, node.layer.type, node.inputs)).encode())
        for name in node.layer.arrays:
            array = getattr(node.layer, name)
            total.update(b"" if array is None else np.ascontiguousarray(array))
    return total.hexdigest()
