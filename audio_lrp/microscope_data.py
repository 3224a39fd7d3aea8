"""How relevance goes through the channels of a network: what the microscope's picture and a page draw.

`page_data` gives plain JSON values:

    {"columns": [               from the score down; the network's input is the last
       {"node": "conv3a", "type": "Conv2D", "size": 128,       channels there are
        "total": 5.21, "rest": 0.84,                           relevance there; of the channels not listed
        "channels": [                                          the strongest by |relevance|
          {"channel": 7, "name": "7", "relevance": 0.61,
           "map": {"scale": s, "data": base64}}]}],            the input's relevance that came through it
     "links": [[column, place, column, place, relevance]],     from a channel to one below: what it gave it;
                                                               places count the listed channels
     "rows": 16, "across": 32,                                 of the maps, the highest band first; each
     "map": {"scale": s, "data": base64},                      number is the sum over its part; of all of it
     "seconds": 4.0, "hertz": [["1k", 0.4]],                   length; ticks, heights from 0 (low) to 1
     "target": "siren", "rules": "preset_b", "score": 5.54}

"data" is base64 of little-endian int16 that, times scale, are the numbers. The input's column has one
entry, all of it, without a map. Maps of one column add up to `map` where all relevance crosses it and all
channels are listed. Everything is exact to the packing, for the relevance of one explanation.
"""
import concurrent.futures
import dataclasses
import math

import numpy as np

import lrp_core
from lrp_core import layers as L
from lrp_core.chunks import default_threads, single_threaded_blas
from lrp_core.ledger import Entry, Ledger
from lrp_core.network import INPUT

from .explained import Explained, as_picture, maps_of
from .report_data import pack, ticks

TOP = 6  # channels of a layer that are shown
COLUMNS = 12  # layers that are shown
ROWS, ACROSS = 16, 32  # of the maps, at most
CACHED = 1 << 19  # numbers of a layer's output, for all channels that are carried down together


@dataclasses.dataclass(frozen=True)
class Column:
    """The strongest channels of a node. channels: their numbers; -1 stands for all of the input. relevance:
    of each. total: of all channels. size: how many there are.
    """
    node: str
    type: str
    channels: tuple
    relevance: tuple
    total: float
    size: int

    @property
    def rest(self):
        """The relevance of the channels that are not listed."""
        return self.total - sum(self.relevance)


@dataclasses.dataclass(frozen=True)
class Paths:
    """columns: from the score down. links: (column, place, column below, place there, relevance given)."""
    columns: tuple
    links: tuple


def columns_of(scope, also=None):
    """The nodes to show, from where relevance begins down to where it ends: layers with weights, at most
    COLUMNS of them; and `also`.
    """
    crossed = [step.node for step in scope.crossed]
    names = [node.name for node in crossed if isinstance(node.layer, (L.Weighted, L.Recurrent))
             and node.name != scope.asked.start]
    if len(names) > COLUMNS:
        names = [names[k] for k in sorted({round(k) for k in np.linspace(0, len(names) - 1, COLUMNS)})]
    end = scope.asked.stop or INPUT
    wanted = {*names, scope.asked.start, *([also] if also else [])} - {end}
    return [*reversed([node.name for node in crossed if node.name in wanted]), end]


def sums(name, r):
    """Relevance [n, *shape] of each channel: [n, channels]; the input counts as one."""
    return r.reshape(len(r), -1, 1 if name == INPUT else r.shape[-1]).sum(axis=1)


def column(scope, name, r, top):
    """The Column of relevance r [1, *shape] at a node."""
    (by_channel,) = sums(name, r)
    chosen = np.argsort(-np.abs(by_channel), kind="stable")[:top]
    chosen = chosen[by_channel[chosen] != 0] if by_channel.any() else chosen[:1]
    kind = scope.network[name].layer.type if name in scope.network.positions else "input"
    numbers = (-1,) if name == INPUT else tuple(map(int, chosen))
    return Column(name, kind, numbers, tuple(map(float, by_channel[chosen])), float(by_channel.sum()),
                  len(by_channel))


def alone(channels, r):
    """Relevance r [1, *shape] at a node, of each of some channels by itself: [channels, *shape], 0 elsewhere.
    """
    found = np.zeros((len(channels), *r.shape[1:]))
    for row, channel in zip(found, channels):
        row[..., channel] = r[0, ..., channel]
    return found


def carried(scope, columns, sent, found_of, ends=()):
    """{node: [what is found of each listed channel]}, of its relevance carried down from there.

    sent: {node: relevance}. found_of: called with a column and {node: [n, *shape]}, what arrived of n of its
    channels; returns a list of n things. ends: nodes at which relevance stays.
    """
    together = max(1, CACHED // max(map(math.prod, scope.network.shapes.values())))
    parts = [(column, column.channels[first:first + together]) for column in columns
             for first in range(0, len(column.channels), together)]

    def work(part):
        column, channels = part
        return found_of(column, scope.spread(column.node, alone(channels, sent[column.node]), ends))
    found = {column.node: [] for column in columns}
    with single_threaded_blas, concurrent.futures.ThreadPoolExecutor(default_threads()) as pool:
        for (column, _), some in zip(parts, pool.map(work, parts)):
            found[column.node] += some
    return found


def paths(scope, sent, weights, top=TOP):
    """The Paths of relevance over the nodes of `sent`.

    scope: an lrp_core.Microscope. sent: {node: relevance [1, *shape] that is carried down from there}, from
    the score down. weights: {node: which part counts of what arrives at its units}.
    """
    columns = [column(scope, name, r * weights[name], top) for name, r in sent.items()]
    place = {one.node: number for number, one in enumerate(columns)}

    def given_by(one, arrived):
        """[(column below, place there, relevance given) of all links] of each channel."""
        counted = {name: sums(name, r * weights.get((one.node, name), weights[name]))
                   for name, r in arrived.items() if name in place and name != one.node}
        rows = max(map(len, counted.values()), default=0)
        return [[(place[name], to_place, float(given[row, max(to, 0)])) for name, given in counted.items()
                 for to_place, to in enumerate(columns[place[name]].channels)] for row in range(rows)]
    given = carried(scope, columns[:-1], sent, given_by, ends=sent)
    links = ((place[name], from_place, *link) for name, channels in given.items()
             for from_place, some in enumerate(channels) for link in some)
    return Paths(tuple(columns), tuple(link for link in links if link[-1]))


def all_paths(scope, top=TOP):
    """The Paths of all relevance of an explanation."""
    names = columns_of(scope)
    return paths(scope, {name: scope.relevance[name] for name in names}, dict.fromkeys(names, 1.0), top)


def paths_through(scope, node, unit, top=TOP):
    """The Paths of the relevance that goes through one unit, or channel, of a node."""
    _, mask = scope.place(node, unit)
    part, below = scope.upward(node, mask), scope.spread(node, scope.relevance[node] * mask)
    names = [name for name in columns_of(scope, node) if name in part or name in below]
    sent = {name: below[name] if name in below else scope.relevance[name] for name in names}
    weights = {name: 1.0 if name in below else part[name] for name in names}
    # What nodes above give to the unit's own node counts where it arrives at the unit; what goes past it does
    # not.
    for name in names:
        for other in names:
            if name not in below and other in below:
                weights[name, other] = mask if other == node else 0.0
    return paths(scope, sent, weights, top)


def part_of(clip, e, relevance, rules, name):
    """An Explained of a part of an explanation: `relevance` of the input, which came through `name`."""
    total, turnover = float(relevance.sum()), 2 * float(np.abs(relevance).sum())
    line = Entry(name, "", "through it", total, total, turnover=turnover)
    part = dataclasses.replace(e, relevance=relevance, layers=None, ledger=Ledger.of((line,), total, total),
                               asked=None)
    return Explained(clip, part, rules)


def pooled(picture, rows=ROWS, across=ACROSS):
    """Sums over the parts of a picture: at most rows x across of them."""
    for axis, count in enumerate((rows, across)):
        edges = np.linspace(0, picture.shape[axis], min(count, picture.shape[axis]) + 1).astype(int)[:-1]
        picture = np.add.reduceat(picture, edges, axis=axis)
    return picture


def maps_through(scope, one, columns):
    """{node: [picture of what of the input came through each listed channel]}, [rows, across] each."""
    def pictures(column, arrived):
        parts = [part_of(one.clip, one.e, r, one.rules, column.node).e for r in arrived[INPUT]]
        return [pooled(as_picture(picture)) for picture in maps_of(one.clip, parts)]
    return carried(scope, columns, scope.relevance, pictures)


def page_data(one, top=TOP):
    """What a page needs to show how relevance goes through the channels (the module's text has the shape).

    one: an Explained whose explanation kept its layers. top: channels of a layer. Takes a pass from each
    channel down to the input.
    """
    scope = lrp_core.Microscope(one.e)
    found, names = all_paths(scope, top), one.e.class_names
    maps = maps_through(scope, one, found.columns[:-1])

    def channel_data(column, place):
        relevance = significant(column.relevance[place])
        if column.node == INPUT:
            return {"channel": 0, "name": "input", "relevance": relevance, "map": None}
        channel = column.channels[place]
        named = column.node == scope.asked.start and names is not None and len(names) == column.size
        return {"channel": channel, "name": names[channel] if named else str(channel), "relevance": relevance,
                "map": pack(maps[column.node][place])}
    columns = [{"node": column.node, "type": column.type, "size": column.size,
                "total": significant(column.total), "rest": significant(column.rest),
                "channels": [channel_data(column, place) for place in range(len(column.channels))]}
               for column in found.columns]
    whole = pooled(as_picture(one.map))
    return {"columns": columns, "links": [[*link[:-1], significant(link[-1])] for link in found.links],
            "rows": whole.shape[0], "across": whole.shape[1], "map": pack(whole),
            "seconds": one.clip.seconds, "hertz": ticks(one.axes.hertz), "target": one.target_name,
            "rules": one.rules, "score": significant(float(one.e.ledger.start))}


def significant(r):
    """Six digits that count."""
    return float(f"{r:.6g}")
