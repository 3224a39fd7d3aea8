"""Windows that slide over a recording of any length: where they lie, and the samples of each."""
import dataclasses
import math
import os

import numpy as np

import features
from features import Recording
from features.audio import check_samples, mixed, opened, part_of

ENVELOPE = 16  # pairs of lowest and highest sample that a hop is drawn with


@dataclasses.dataclass(frozen=True)
class Slide:
    """How windows slide over a recording: seconds of a window, from one to the next, and of the whole part.
    """
    window: float
    hop: float
    start: float
    length: float
    rate: float

    @property
    def count(self):
        """How many windows: the last one may reach beyond the end."""
        return 1 + max(math.ceil((self.length - self.window) / self.hop - 1e-9), 0)

    @property
    def hops_after(self):
        """The hops that a window is longer than one, rounded up."""
        return math.ceil(self.window / self.hop - 1 - 1e-9)

    def begin(self, number):
        """The first sample of a window, counted from the recording's."""
        return round((self.start + number * self.hop) * self.rate)

    @property
    def size(self):
        """Samples of a window."""
        return math.ceil(self.window * self.rate)


def seconds_of(front_end, window=None, hop=None):
    """(window, hop) in seconds, with the defaults of `slide_over`; raises ValueError for what cannot be."""
    own = front_end.seconds
    window = own if window is None else window
    hop = window / 2 if hop is None else hop
    if not 0 < window <= own + 1e-9:
        raise ValueError(f"a window of {window:g} s: the network takes up to {own:g} s at a time")
    if not 0 < hop <= window:
        raise ValueError(f"a hop of {hop:g} s would leave out parts between windows of {window:g} s: at most "
                         f"{window:g}")
    return window, hop


def slide_over(path, front_end, window=None, hop=None, start=0.0, end=None):
    """The Slide for a file: by default windows of what the network takes, half overlapping.

    Raises ValueError for a window that is longer than what the network takes, or a hop longer than that.
    """
    window, hop = seconds_of(front_end, window, hop)
    with opened(path) as file:
        first, count = part_of(file.samplerate, max(file.frames, 0), None, start, end, os.fspath(path))
        rate = file.samplerate
    if not count:
        raise features.AudioError(f"{path}: holds no samples")
    return Slide(window, hop, first / rate, count / rate, rate)


def recordings(path, slide, numbers):
    """Yield the Recording of each window, in order; memory holds one window."""
    with opened(path) as file:
        held, at = np.zeros(0), slide.begin(numbers[0])  # samples that were read, and where they begin
        file.seek(min(at, file.frames))
        stop = slide.begin(0) + round(slide.length * slide.rate)
        for number in numbers:
            first = slide.begin(number)
            last = min(first + slide.size, stop)
            held, at = held[first - at:], first
            missing = last - at - len(held)
            if missing > 0:
                held = np.concatenate((held, mixed(file, missing)))
            y = held[:last - at]
            if not len(y):
                raise features.AudioError(f"{path}: ends before {first / slide.rate:.2f} s, earlier than its "
                                          "header says")
            yield Recording(os.fspath(path), slide.rate, 1, slide.length, first / slide.rate,
                            check_samples(y, f"{path} from {first / slide.rate:.2f} s"))


def extremes(y, first, last):
    """(lowest, highest) samples of y [n] in ENVELOPE equal stretches from `first` to `last`; 0 beyond its
    end.
    """
    edges = np.linspace(first, last, ENVELOPE + 1).astype(int)
    y, edges = y[:max(edges[-1], edges[-2] + 1)], edges[:-1]
    edges = edges[edges < len(y)]
    low, high = np.zeros(ENVELOPE), np.zeros(ENVELOPE)
    if len(edges):
        low[:len(edges)], high[:len(edges)] = (np.minimum.reduceat(y, edges), np.maximum.reduceat(y, edges))
    return low, high
