"""Pictures of the microscope: the path of a unit from the score down, and what of the sound it rests on."""
import numpy as np

from lrp_core.text import clean

from . import plots
from .explained import spectrogram
from .microscope_data import part_of

LARGEST = 420  # points² of the largest circle
MOST = 6  # channels whose maps are drawn beside each other


def path_figure(found, one, part, title, mark, notes=()):
    """The path of a unit above, and below it what of the sound it rests on.

    found: microscope_data.Paths. one: the Explained. part: of the relevance that went through the unit, or
    None where none reached the input. mark: the unit's node. notes: sentences below the picture.
    """
    shown = max(len(column.channels) for column in found.columns)
    words = [plots.wrapped(clean(note, 4 * plots.TITLE), 118) for note in notes]
    # inches, from the bottom: sentences, the map, the path, the title
    foot = 0.6 + 0.21 * sum(word.count("\n") + 1 for word in words)
    below, height = 2.5 if part is not None else 0, 0.85 + 0.42 * shown
    total = foot + below + height + 0.35 + 0.24 * (title.count("\n") + 1 + len(title) // 90)
    figure = plots.new_figure(9.2, total, title, layout=None)
    draw_paths(figure.add_axes((0.02, (foot + below) / total, 0.96, height / total)), found, one.e, mark)
    if part is not None:
        panel = figure.add_axes((0.09, foot / total, 0.76, (below - 0.4) / total))
        draw_map(figure, panel, one, part)
        panel.set_title("what of the sound goes through it", loc="left")
    figure.text(0.02, 0.08 / total, "\n".join(words), fontsize=9.5, color=plots.GREY, va="bottom",
                parse_math=False)
    return figure


def draw_paths(axes, found, e, mark):
    """Columns of channels from the score at the left to the input at the right, joined by what each gives."""
    largest = max((abs(r) for column in found.columns for r in column.relevance), default=0) or 1
    widest = max((abs(link[-1]) for link in found.links), default=0) or 1
    for x, from_place, to_x, to_place, r in found.links:
        axes.plot((x, to_x), (-from_place, -to_place), color=plots.FOR if r > 0 else plots.AGAINST,
                  linewidth=0.3 + 5 * abs(r) / widest, alpha=0.15 + 0.5 * abs(r) / widest, zorder=1,
                  solid_capstyle="butt")
    for x, column in enumerate(found.columns):
        axes.annotate(clean(column.node, 14), (x, 0.75), ha="center", fontsize=9, weight="bold",
                      parse_math=False)
        for place, (channel, r) in enumerate(zip(column.channels, column.relevance)):
            axes.scatter([x], [-place], s=30 + LARGEST * abs(r) / largest, zorder=2, linewidth=1.4,
                         color=plots.FOR if r > 0 else plots.AGAINST,
                         edgecolor="black" if column.node == mark else "white")
            axes.annotate(f"{label(column, channel, e, x)}  {r:.3g}", (x, -place), xytext=(0, 10.5),
                          textcoords="offset points", ha="center", fontsize=7.5, parse_math=False)
    deepest = max(len(column.channels) for column in found.columns)
    axes.set(xlim=(-0.6, len(found.columns) - 0.4), ylim=(0.4 - deepest, 1.2))
    axes.set_axis_off()


def label(column, channel, e, x):
    """What a channel is called: its number, or the class's name at the scores."""
    if channel < 0:
        return "all"
    named = x == 0 and e.class_names is not None and len(e.class_names) == column.size
    return clean(e.class_names[channel], 14) if named else str(channel)


def draw_map(figure, panel, one, part):
    """The relevance of a part over the spectrogram, with its axes and colours."""
    level, places = spectrogram(one.clip)
    drawn = plots.draw_overlay(panel, level, places, part.map, part.axes)
    plots.frequency_axis(panel, places.hertz)
    panel.set(ylabel="hertz", xlabel=plots.time_label(one.clip), xlim=(0, one.clip.seconds))
    if figure is not None:
        bar = plots.bar_beside(figure, [panel], drawn, plots.SCALE, extend="both", ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["against", "0", "for"])


def channels_figure(scope, one, node, ranked, title):
    """The maps of the strongest channels of a node beside each other: what of the sound goes through each.

    ranked: [(channel, relevance)], the strongest first.
    """
    shown = [(channel, r) for channel, r in ranked[:MOST] if r] or ranked[:1]
    rows = -(-len(shown) // 2)
    figure = plots.new_figure(9.2, 0.7 + 2.4 * rows, title)
    panels = np.atleast_1d(figure.subplots(rows, 2, squeeze=False)).ravel()
    for panel, (channel, r) in zip(panels, shown):
        arrived = scope.route(node, channel).below.get("input")
        if node == "input":
            arrived = scope.relevance[node][0] * scope.place(node, channel)[1][0]
        panel.set_title(f"channel {channel}: {r:.3g}", loc="left")
        if arrived is not None:
            draw_map(None, panel, one, part_of(one.clip, one.e, arrived, one.rules, node))
    for panel in panels[len(shown):]:
        panel.set_visible(False)
    return figure
