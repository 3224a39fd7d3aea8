"""The sounds of a data set in which the channels of a layer matter most: by relevance, and by activation."""
import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

import lrp_core
from features import AudioError
from lrp_core.network import INPUT

from .explained import map_axes, maps_of
from .microscope_data import part_of
from .models import name_of

TOGETHER = 4  # sounds at work at a time
KINDS = ("relevance", "activation")


@dataclasses.dataclass(frozen=True)
class Found:
    """A sound in which a channel is strong. kind: "relevance" or "activation". value: the channel's
    relevance, or its largest activation. target: the class that was explained. second: of the recording,
    where the channel is strongest; None where nothing tells.
    """
    channel: int
    kind: str
    path: str
    value: float
    target: str
    second: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class Exciting:
    """What `exciting` found. node: its name. count: sounds that were read. mean, size: [channels], relevance
    of each channel, and its absolute value, on average. found: {(channel, kind): [Found, ...]}, the strongest
    first.
    """
    node: str
    count: int
    mean: np.ndarray
    size: np.ndarray
    found: dict


def exciting(network: lrp_core.Network, front_end, paths: Sequence, node: str,
             channel: int | None = None, *, rules="preset_a_flat", target: lrp_core.Targets = "max",
             channels: int = 5, top: int = 5, progress: Callable[[int], object] = lambda count: None,
             skipped: Callable[[str], object] = lambda words: None, **how) -> Exciting:
    """For the strongest channels of a node, or the one asked for, the `top` sounds where each matters most.

    paths: of sounds. channels: how many are listed. progress: called with the number of sounds done since
    the last call. skipped: called with what is wrong with a sound that cannot be read. how: as of
    `lrp_core.explain`. Memory does not grow with the number of sounds. Raises ValueError for a node or
    channel that is not there, or where no sound can be read.
    """
    size = check(network, node, channel)
    best = {kind: Best(size, top) for kind in KINDS}
    mean, absolute, count = np.zeros(size), np.zeros(size), 0
    for first in range(0, len(paths), TOGETHER):
        numbers = range(first, min(first + TOGETHER, len(paths)))
        clips = {number: opened(front_end, paths[number], skipped) for number in numbers}
        clips = {number: clip for number, clip in clips.items() if clip is not None}
        if clips:
            r, y = at_node(network, [clip.input for clip in clips.values()], node, rules, target, how)
            mean, absolute, count = mean + r.sum(axis=0), absolute + np.abs(r).sum(axis=0), count + len(clips)
            best["relevance"].offer(r, list(clips))
            best["activation"].offer(y, list(clips))
        progress(len(numbers))
    if not count:
        raise ValueError("none of the sounds can be read")
    chosen = [channel] if channel is not None else np.argsort(-absolute, kind="stable")[:channels].tolist()
    found = located(network, front_end, paths, node, chosen, best, rules, target, how)
    return Exciting(node, count, mean / count, absolute / count, found)


def check(network, node, channel):
    """How many channels a node has; raises ValueError for one that relevance cannot be stopped at."""
    scored = network.scoring
    if node not in scored.shapes:
        known = ", ".join(list(scored.shapes)[:20])
        raise ValueError(f"no node is named {node!r}; there are {known}")
    if node == scored.nodes[-1].name:
        raise ValueError(f"node {node!r} holds the scores themselves: name a node below it")
    size = scored.shapes[node][-1]
    if channel is not None and not 0 <= channel < size:
        raise ValueError(f"node {node!r} has the channels 0..{size - 1}, there is no {channel}")
    return size


def opened(front_end, path, skipped):
    """A Clip, or None where the file cannot be read."""
    try:
        return front_end.open(path)
    except (AudioError, OSError, ValueError) as error:
        skipped(str(error))
        return None


def at_node(network, inputs, node, rules, target, how):
    """(relevance of each channel, its largest activation), [n, channels] each."""
    x = np.stack(inputs)
    e = lrp_core.explain(network, x, rules, target, stop=None if node == INPUT else node, **how)
    scored = network.scoring
    y = scored.forward(x.astype(np.float64)).outputs[node]
    rows = e.relevance.reshape(len(x), -1, y.shape[-1])
    return rows.sum(axis=1, dtype=np.float64), y.reshape(len(x), -1, y.shape[-1]).max(axis=1)


class Best:
    """For each channel the largest `top` of the values that were offered, and the numbers of their sounds."""

    def __init__(self, channels, top):
        self.values = np.full((channels, top), -np.inf)
        self.numbers = np.full((channels, top), -1)

    def offer(self, values, numbers):
        """values: [n, channels], of the sounds with these numbers."""
        top = self.values.shape[1]
        every = np.concatenate([self.values, values.T], axis=1)
        named = np.concatenate([self.numbers, np.tile(numbers, (len(self.values), 1))], axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :top]
        self.values = np.take_along_axis(every, order, axis=1)
        self.numbers = np.take_along_axis(named, order, axis=1)


def located(network, front_end, paths, node, channels, best, rules, target, how):
    """{(channel, kind): [Found ...]}: each of the sounds is opened once more, to tell where in it."""
    wanted = {}
    for kind in KINDS:
        for channel in channels:
            for place, (number, value) in enumerate(zip(best[kind].numbers[channel],
                                                        best[kind].values[channel])):
                if number >= 0:
                    wanted.setdefault(int(number), []).append((channel, kind, place, float(value)))
    found = {(channel, kind): {} for channel in channels for kind in KINDS}
    for number, asked in wanted.items():
        clip = front_end.open(paths[number])
        e = lrp_core.explain(network, clip.input, rules, target, layers=True, **how)
        scope = lrp_core.Microscope(e)
        where = seconds(scope, clip, e, node, [(channel, kind) for channel, kind, *_ in asked])
        for (channel, kind, place, value), moment in zip(asked, where):
            found[channel, kind][place] = Found(channel, kind, os.fspath(paths[number]), value,
                                                name_of(e, e.target), moment)
    return {key: [rows[place] for place in sorted(rows)] for key, rows in found.items()}


def seconds(scope, clip, e, node, asked):
    """Where in the sound each of the (channel, kind) asked for is strong: the moment that most of its
    relevance comes from, or that its largest activation comes from by the same rules; None where there is
    none.
    """
    r = np.concatenate([start(scope, node, *one) for one in asked])
    arrived = scope.spread(node, r, ()).get(INPUT, np.zeros(0))
    if not arrived.any():
        return [None] * len(asked)
    maps = maps_of(clip, [part_of(clip, e, one, "", node).e for one in arrived])
    return [peak(clip, picture) if one.any() else None for one, picture in zip(arrived, maps)]


def start(scope, node, channel, kind):
    """Relevance [1, *shape] of a channel, or its largest activation; 0 elsewhere."""
    if kind == "relevance" and node in scope.relevance:
        return scope.relevance[node] * scope.place(node, channel)[1]
    y = scope.trace.outputs[node]
    r = np.zeros_like(y)
    rows, only = y.reshape(-1, y.shape[-1])[:, channel], r.reshape(-1, y.shape[-1])
    only[rows.argmax(), channel] = rows.max()
    return r


def peak(clip, picture) -> float:
    """The second of the recording at which the relevance of a map is largest, over all bands."""
    moments = np.abs(picture.sum(axis=1)) if picture.ndim == 2 else np.abs(picture)
    places = np.asarray(map_axes(clip).seconds)
    return float(places[int(moments.argmax())]) + clip.recording.start
