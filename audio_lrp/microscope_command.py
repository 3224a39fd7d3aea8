"""audio-lrp microscope: one unit or channel of a network, what it got and gave, and what it rests on."""
import dataclasses
import json
import pathlib
import sys
import typing

import click
import numpy as np

import lrp_core
from lrp_core.files import replacing
from lrp_core.messages import indices
from lrp_core.text import clean, table

from . import EMBEDDED_CLIP
from .common import (
    FORMATS,
    check_engine,
    did_you_mean,
    explain_or_complain,
    make_folder,
    model_options,
    open_or_complain,
    options,
    parse_target,
)
from .explained import Explained
from .names import LONGEST_NAME, safe_stem
from .terminal import say, say_blocks

LISTED = 100  # messages that a JSON file holds on each side
ALL = slice(None)


@dataclasses.dataclass(frozen=True)
class Place:
    """What --at names: a node, and a unit of it or None."""
    node: str
    unit: tuple | None

    @property
    def stem(self):
        """For file names: conv3a-7 for a channel, conv3a-4-6-7 for a unit, input-10-20-all for a pixel."""
        parts = list(self.unit or ())
        if parts and all(part == ALL for part in parts[:-1]):
            parts = parts[-1:]
        words = [self.node.replace("/", "_"), *("all" if part == ALL else str(part) for part in parts)]
        return safe_stem("-".join(words), LONGEST_NAME // 2)


def place_of(network, text):
    """The Place that --at names, or a usage error. A node's name may hold commas: the longest counts."""
    shapes, parts = network.scoring.shapes, text.split(",")
    for count in range(len(parts), 0, -1):
        node, rest = ",".join(parts[:count]), [part.strip() for part in parts[count:]]
        if node in shapes and all(part.isdecimal() or part == ":" for part in rest):
            unit = tuple(ALL if part == ":" else int(part) for part in rest) or None
            if unit is not None:
                try:
                    unit = indices(unit, shapes[node], f"node {node!r}")
                except ValueError as error:
                    raise click.BadParameter(str(error), param_hint="--at") from None
            return Place(node, unit)
    node = parts[0]
    if node in shapes:
        raise click.BadParameter(f"{clean(text)!r}: after the node come its indices, whole numbers or ':'; "
                                 "for several nodes repeat --at", param_hint="--at")
    raise click.BadParameter(f"no node is named {clean(node)!r}{did_you_mean(node, list(shapes))}; "
                             "without --at the command lists them", param_hint="--at")


@click.command()
@click.argument("clip", required=False)
@click.option("--at", "places", multiple=True, metavar="NODE[,INDEX...]",
              help="What to look at: a node, a channel of it (conv3a,7), or one unit (conv3a,4,6,7). Repeat "
                   "it for several.")
@options("rules", "target")
@model_options("--model-output")
@options("start", "end", "engine", "dtype")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1),
              help="How many messages, channels or sounds to list.")
@click.option("--dataset", "source", type=click.Path(exists=True), metavar="FOLDER",
              help="Instead of a CLIP, a folder of sounds: lists those in which the channels matter most.")
@click.option("-o", "--output", "directory", default="microscope", show_default=True,
              type=click.Path(file_okay=False, path_type=pathlib.Path), help="The folder to write to.")
@click.option("--format", "picture", type=click.Choice(FORMATS), default="png", show_default=True,
              help="The pictures' format.")
def microscope(clip, places, rules, target, model, start, end, engine, dtype, top, source, directory,
               picture):
    """Look into the network: who gave relevance to a unit, to whom it gives, what it keeps.

    Relevance flows from the score down to the sound. At any unit in between, what arrives from above equals
    what goes on downward and what is kept (by the bias, the stabilizer, ...). This prints both sides, and
    draws the path of the unit's relevance: from the score to it, and from it to the sound.

    \b
    audio-lrp microscope dog.wav                       which nodes there are, and what each carries
    audio-lrp microscope dog.wav --at conv3a           its strongest channels, and what each rests on
    audio-lrp microscope dog.wav --at conv3a,7         channel 7: all its places together
    audio-lrp microscope dog.wav --at conv3a,4,6,7     one unit: row 4, column 6, channel 7
    audio-lrp microscope dog.wav --at input,10,20      a pixel of the input, with all its channels
    audio-lrp microscope --at conv3a --dataset SOUNDS  the sounds in which its channels matter most

    For each place a picture, the numbers (.json) and the arrays (.npz: messages, the path at every node, the
    map) are written; for a data set a table (.csv).
    """
    network, front_end = model.open()
    target = parse_target(network, target)
    check_engine(engine)
    asked = [place_of(network, text) for text in places]
    how = {"engine": engine, "dtype": dtype}
    if source is not None:
        if clip is not None or len(asked) != 1:
            raise click.UsageError("--dataset takes no CLIP, and one --at NODE or --at NODE,CHANNEL")
        make_folder(directory)
        say(*over_dataset(model, network, front_end, source, asked[0], rules, target, top, directory, how))
        return
    opened = open_or_complain(clip or str(EMBEDDED_CLIP), front_end, start=start, end=end)
    if opened is None:
        raise SystemExit(1)
    e = explain_or_complain(model.path, lrp_core.explain, network, opened.input, rules, target, layers=True,
                            **how)
    one, scope = Explained(opened, e, rules), explain_or_complain(model.path, lrp_core.Microscope, e)
    head = (f"{opened.name}: {one.target_name}, score {float(e.ledger.start):.4f}, rules {rules}")
    if not asked:
        say(head, "", *overview(scope), "", "look at one of them with --at NODE")
        return
    make_folder(directory)
    say(head, "")
    say_blocks([explain_or_complain(model.path, look, one, scope, place, top, directory, picture)
                for place in asked])


def overview(scope):
    """The nodes that relevance crosses as a table: what arrives, and the strongest channel."""
    rows = [("node", "type", "output", "relevance", "strongest channel")]
    for name in [*[step.node.name for step in reversed(scope.crossed)], scope.asked.stop or "input"]:
        r = scope.relevance[name]
        sums = r.reshape(-1, r.shape[-1]).sum(axis=0)
        most = int(np.abs(sums).argmax())
        kind = scope.network[name].layer.type if name in scope.network.positions else ""
        rows.append((name, kind, str(r.shape[1:]), f"{r.sum():.4f}", f"{most}: {sums[most]:.4f}"))
    return table(rows, "<<<><").split("\n")


def look(one, scope, place, top, directory, picture):
    """Write what one place shows; returns it as lines for the terminal."""
    stem = f"{safe_stem(pathlib.PurePath(one.clip.name).stem, LONGEST_NAME // 2 - 10)}-{place.stem}"
    lines, figure, data, arrays = (channels if place.unit is None else unit)(one, scope, place, top)
    from . import plots
    plots.save(figure, directory / f"{stem}.{picture}")
    facts = {"clip": one.clip.name, "target": one.target_name, "score": float(one.e.ledger.start),
             "rules": one.rules, "node": place.node}
    with replacing(directory / f"{stem}.json") as partial:
        partial.write_text(json.dumps({**facts, **data}, indent=1))
    with replacing(directory / f"{stem}.npz") as partial:
        np.savez_compressed(partial, **arrays, seconds=one.axes.seconds, hertz=one.axes.hertz)
    written = ", ".join(f"{stem}.{ending}" for ending in (picture, "json", "npz"))
    return [*lines, f"-> {directory}: {written}"]


def unit(one, scope, place, top):
    """(lines, figure, JSON values, arrays) of one unit or channel."""
    from .microscope_data import part_of, paths_through
    from .microscope_plots import path_figure
    m, route = scope.messages(place.node, place.unit), scope.route(place.node, place.unit)
    below = m.relevance and route.below.get("input")
    if place.node == "input":
        below = scope.relevance["input"][0] * scope.place("input", place.unit)[1][0]
    part = None
    if below is not None and np.any(below):
        part = part_of(one.clip, one.e, below, one.rules, m.name)
    rests = [] if part is None else [rests_on(part)]
    title = (f"{clean(pathlib.PurePath(one.clip.name).name)}   {m.name}: relevance {m.relevance:.4g} of "
             f"{float(one.e.ledger.start):.4g} for {one.target_name}")
    found = paths_through(scope, place.node, place.unit)
    figure = path_figure(found, one, part, title, place.node, rests)
    data = {"unit": written_unit(m.unit), "type": m.type, "rule": m.rule, "relevance": m.relevance,
            "began": m.began, "stays": m.stays, "dropped": m.dropped, "absorbed": m.absorbed,
            "residual": m.residual, "received": listed(m, "received"), "given": listed(m, "given"),
            "path": dataclasses.asdict(found), "rests_on": rests}
    arrays = {f"{side}/{name}": r for side, group in (
        ("received", m.received), ("given", m.given), ("above", route.above), ("below", route.below))
        for name, r in group.items()}
    if part is not None:
        arrays["map"] = part.map
    lines = [f"{m.name} ({m.type}{', ' if m.rule else ''}{m.rule})", *m.table(top).split("\n"), "",
             *path_lines(found, one.e), *[""] * bool(rests), *rests]
    return lines, figure, data, arrays


def path_lines(found, e):
    """The path of a unit as lines: at every layer the channels that carry most of its relevance."""
    from .microscope_plots import label
    rows = [("path", "relevance", "strongest channels")]
    for number, column in enumerate(found.columns):
        named = [f"{label(column, channel, e, number)}: {r:.3g}"
                 for channel, r in zip(column.channels[:4], column.relevance)]
        rows.append((column.node, f"{column.total:.4g}", "   ".join(named)))
    return table(rows, "<><").split("\n")


def channels(one, scope, place, top):
    """(lines, figure, JSON values, arrays) of the strongest channels and units of a node."""
    from .microscope_plots import channels_figure
    r = scope.relevance[place.node] if place.node in scope.relevance else scope.place(place.node, 0)
    rows = r.reshape(-1, r.shape[-1])
    sums, plus, minus = rows.sum(axis=0), np.maximum(rows, 0).sum(axis=0), np.minimum(rows, 0).sum(axis=0)
    order = np.argsort(-np.abs(sums), kind="stable")
    whole = float(sums.sum())
    lines = [("channel", "relevance", "share", "for", "against", "strongest unit")]
    for channel in order[:top]:
        index = (*np.unravel_index(np.abs(r[0, ..., channel]).argmax(), r.shape[1:-1]), channel)
        lines.append((str(channel), f"{sums[channel]:.4f}", f"{sums[channel] / whole:.1%}" if whole else "",
                      f"{plus[channel]:.4f}", f"{minus[channel]:.4f}",
                      f"{r[0][index]:.4f} at {','.join(map(str, index))}"))
    ranked = [(int(channel), float(sums[channel])) for channel in order]
    title = (f"{clean(pathlib.PurePath(one.clip.name).name)}   {place.node}: its strongest channels for "
             f"{one.target_name}")
    data = {"relevance": whole, "channels": [
        {"channel": channel, "relevance": value, "for": float(plus[channel]),
         "against": float(minus[channel])} for channel, value in ranked[:max(top, LISTED)]]}
    head = f"{place.node}: {len(sums)} channels carry {whole:.4f}"
    figure = channels_figure(scope, one, place.node, ranked, title)
    return ([head, *table(lines, "<>>>><").split("\n")], figure, data,
            {"relevance": r[0], "by_channel": sums})


def written_unit(unit):
    """An index as JSON has it: null for all places."""
    return [None if isinstance(place, slice) else place for place in unit]


def listed(m, side):
    """The largest messages of a side as JSON values."""
    return [{"node": name, "unit": written_unit(unit), "relevance": r}
            for name, unit, r in m.strongest(side, LISTED)]


def rests_on(part):
    """In words: where in the sound half of the relevance lies that went through a unit."""
    from .report_data import hertz_at, round_hertz, shortest_span
    profiles = part.profiles
    positive = float(part.e.relevance.sum()) >= 0
    moments, bands = ((profiles.moments_for, profiles.bands_for) if positive
                      else (-profiles.moments_against, -profiles.bands_against))
    if not moments.any():
        return "nothing of the sound's relevance goes through it"
    seconds = profiles.seconds
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else 0
    first, last = shortest_span(moments)
    low, high = (round_hertz(hertz_at(place, profiles.hertz)) for place in shortest_span(bands))
    word = "for" if positive else "against"
    return (f"half of what speaks {word} {part.target_name} through it lies between "
            f"{max(seconds[first] - half, 0):.2f} and {seconds[last - 1] + half:.2f} s, and half between "
            f"{low} and {high} Hz")


def over_dataset(model, network, front_end, source, place, rules, target, top, directory, how):
    """The sounds of a data set in which a node's channels matter most: lines, after writing the table."""
    from .dataset_items import read_items
    from .exciting import exciting
    channel = one_channel(place)
    base, items = explain_or_complain(source, read_items, source, network.class_names or ())
    paths: typing.Any = [base / item.path for item in items]
    with click.progressbar(length=len(paths), label="explaining", file=sys.stderr) as bar:
        found = explain_or_complain(model.path, exciting, network, front_end, paths, place.node, channel,
                                    rules=rules, target=target, top=top, progress=bar.update,
                                    skipped=lambda words: say(f"skipped: {words}", err=True), **how)
    path = directory / f"{place.stem}-sounds.csv"
    write_sounds(found, base, path)
    return [*describe_sounds(found, base), f"-> {path}"]


def one_channel(place):
    """The channel that a Place names, or None for all; a usage error for single units."""
    if place.unit is None:
        return None
    if any(part != ALL for part in place.unit[:-1]) or place.unit[-1] == ALL:
        raise click.UsageError("--dataset looks at whole channels: --at NODE or --at NODE,CHANNEL")
    return place.unit[-1]


def describe_sounds(found, base):
    """An `Exciting` as lines for the terminal."""
    lines = [f"{found.node}: {found.count} sounds; channels by the size of their relevance"]
    for channel in dict.fromkeys(channel for channel, _ in found.found):
        lines += ["", f"channel {channel}: relevance {found.mean[channel]:.4f} on average"]
        rows = [("by", "value", "second", "explained", "sound")]
        rows += [(one.kind, f"{one.value:.4f}", "" if one.second is None else f"{one.second:.2f}", one.target,
                  pathlib.Path(one.path).relative_to(base).as_posix())
                 for kind in ("relevance", "activation") for one in found.found[channel, kind]]
        lines += [f"  {line}" for line in table(rows, "<>><<").split("\n")]
    return lines


def write_sounds(found, base, path):
    """An `Exciting` as a table for other programs."""
    from .tables import csv_table
    with csv_table(path, ("node", "channel", "by", "rank", "value", "second", "explained", "sound")) as write:
        for (channel, kind), rows in found.found.items():
            for rank, one in enumerate(rows, 1):
                write((found.node, channel, kind, rank, f"{one.value:.8g}",
                       "" if one.second is None else f"{one.second:.4f}", one.target,
                       pathlib.Path(one.path).relative_to(base).as_posix()))
