"""A sound on its way through a front end, every stage at hand: what plots and reports show beside relevance.
"""
import dataclasses
import typing

import numpy as np

from lrp_core import Book, Network, Trace, Zero, flow
from lrp_core.cached import cached
from lrp_core.chunks import single_threaded_blas
from lrp_core.text import listing, quote

from .audio import Recording
from .steps import Axes, InverseSTFT, Spectrogram

BEFORE = ("resample", "fit")  # the stages before anything is analysed
PREFIX = "sound/"             # before a stage's name where front end and network are one


def named(name, stages):
    """The stage of that name; raises KeyError that lists those there are."""
    if name not in stages:
        raise KeyError(f"there is no stage {quote(name)}; there are {listing(stages)}")
    return stages[name]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A recording and what a network takes of it.

    recording: as it was read (see `audio.Recording`). front_end: the FrontEnd. sound: [samples] float64, what
    is analysed: mono, at the front end's rate, of the length that the network takes. picture: the last stage
    that is a spectrogram [frames, bands], or None for networks that take samples. input: what the network
    takes, float32.
    """
    recording: Recording
    front_end: typing.Any
    sound: np.ndarray
    picture: np.ndarray | None
    input: np.ndarray

    @property
    def name(self):
        """The file's path, or "array"."""
        return self.recording.name

    @property
    def sample_rate(self):
        """Of the file, in Hz."""
        return self.recording.sample_rate

    @property
    def channels(self):
        """Of the file."""
        return self.recording.channels

    @property
    def duration(self):
        """Of the whole file, in seconds."""
        return self.recording.duration

    @property
    def original(self):
        """The samples [n] float64 that were taken from the file: mono, at its own rate."""
        return self.recording.samples

    @property
    def image(self):
        """`input`, as it is called where it is an image."""
        return self.input

    @property
    def seconds(self):
        """How long the sound is that is analysed."""
        return len(self.sound) / self.front_end.sample_rate

    @property
    def heard(self):
        """How many seconds of the file the network hears."""
        return min(len(self.original) / self.sample_rate, self.seconds)

    @property
    def repeats(self):
        """The seconds at which a short sound begins again, and where silence follows it: (times, end or
        None).
        """
        length, how = self.heard, self.front_end.short
        if length >= self.seconds - 0.005:
            return (), None
        plays = {"twice": 2, "zeros": 1, "loop": int(np.ceil(self.seconds / length))}[how]
        times = tuple(length * play for play in range(1, plays) if length * play < self.seconds)
        end = length * plays
        return times, end if end < self.seconds - 0.005 else None

    @property
    def cut(self):
        """What is not heard, in words; empty where all of the file is heard, to a hundredth of a second."""
        start, end = self.recording.start, self.recording.start + self.heard
        if round(self.duration - self.heard, 2) <= 0:
            return ""
        if start == 0:
            return f"the first {self.heard:.2f} of {self.duration:.2f} s were heard"
        return f"{start:.2f} to {end:.2f} s of {self.duration:.2f} s were heard"

    @property
    def silent(self):
        """Is there nothing to hear or to see: digital silence, a constant, or all below the front end's
        floor?
        """
        return not np.ptp(self.original) or (self.picture is not None and not np.ptp(self.picture))

    @cached
    def below(self) -> Network:
        """The front end's steps for this recording as a network: from its samples to `input`."""
        return self.front_end.network(len(self.original), self.sample_rate)

    @cached
    def trace(self) -> Trace:
        """Every stage by name, [1, ...] float64, and what the steps keep for the way back."""
        with single_threaded_blas:  # the same last bits, however many processors there are
            return self.below.trace(self.original[None])

    def stage(self, name) -> np.ndarray:
        """A stage's output, by its name: "spectrogram", "mel", "decibels", ..."""
        return named(name, self.trace.outputs)[0]

    def axes(self, name) -> Axes:
        """Where the cells of a stage [frames, bands] lie, in seconds and hertz."""
        found, axes = {}, Axes()
        for node in self.below.nodes:
            found[node.name] = axes = node.layer.axes(axes, self.below.shapes[node.inputs[0]])
        return named(name, found)

    @cached
    def bands_stage(self):
        """The name of the stage where power is spread over bands; None where the network takes samples."""
        flat = flat_stages(self.below)
        return next((name for name in reversed(flat) if name in ("spectrogram", "mel", "bins")), None)

    @cached
    def cells(self) -> Spectrogram:
        """The spectrogram step that listening and pictures use: the front end's own, or, for networks that
        take samples, one of frames of about 46 ms, or an eighth of a short sound.
        """
        own = [node.layer for node in self.below.nodes if isinstance(node.layer, Spectrogram)]
        if own:
            return own[0]
        longest = min(0.046 * self.front_end.sample_rate, len(self.sound) / 8)
        size = 1 << max(2, round(np.log2(max(longest, 1))))
        return Spectrogram(size, size // 4, sample_rate=self.front_end.sample_rate)

    @cached
    def spectrum(self):
        """The sound's own transform, by `cells`: [frames, bins] complex."""
        return self.cells.transform(self.sound)

    @cached
    def below_cells(self) -> Network:
        """From the sound's spectra [frames, bins, 2] to `input`: for networks that take samples (see
        `InverseSTFT`).
        """
        step, samples = self.cells, len(self.sound)
        first = InverseSTFT(step.n_fft, step.hop_length, step.win_length, step.window, step.center,
                            step.pad_mode, samples)
        rest = [(node.name, node.layer) for node in self.below.nodes if node.name not in (*BEFORE, "samples")]
        return Network((("cells", first), *rest), (step.count(samples), step.bins, 2))


def flat_stages(below: Network) -> tuple:
    """The names of all stages that are spectrograms [frames, bands], in order."""
    return tuple(node.name for node in below.nodes if len(below.shapes[node.name]) == 2
                 and node.layer.stage != "arrange")


def to_map(below: Network, relevance: np.ndarray) -> np.ndarray:
    """Relevance of a network's inputs [n, ...] at the last stage that is a spectrogram: [n, frames, bands].

    Steps after it move numbers, or make several of one.
    """
    r, last = relevance, flat_stages(below)[-1]
    for node in reversed(below.nodes):
        if node.name == last:
            return r
        x = np.broadcast_to(np.zeros(1, r.dtype), (len(r), *below.shapes[node.inputs[0]]))
        (r,) = flow(node.layer, Zero(), [x], r, r, Book(len(r)))
    raise AssertionError("the last flat stage is one of the nodes")
