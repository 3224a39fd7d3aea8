"""The picture of an explanation, in seconds and hertz: how it sounds, what the network sees, what it rests
on.
"""
import base64
import html
import io
import textwrap

import matplotlib
import matplotlib.figure
import numpy as np

from features.steps import hz_to_mel
from lrp_core.files import replacing
from lrp_core.text import clean, clean_lines

from .explained import spectrogram
from .ticks import hertz_label, hertz_ticks

DIVERGING = "RdBu_r"
TITLE = 160  # characters of a line above a figure
# Text stays text; TrueType, for journals refuse Type 3 fonts. The salt makes a figure's bytes the same in
# each run.
PRINT = {"svg.hashsalt": "audio-lrp", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 11,
         "axes.titlesize": 12, "figure.titlesize": 13}
FOR, AGAINST = "#b2182b", "#2166ac"  # the ends of the map; blue and red stay apart for the colour-blind
GREY = "#555555"
SCALE = "relevance (own scale)"


def new_figure(width, height, title, layout="constrained"):
    """An empty figure of width x height inches with a title that may hold any character; it is cleaned."""
    with matplotlib.rc_context(PRINT):
        figure = matplotlib.figure.Figure(figsize=(width, height), layout=layout)
        # Names may hold a $, and control characters, which are not allowed in SVG.
        place = {} if layout else {"y": 1 - 0.08 / height, "va": "top"}
        figure.suptitle(wrapped(clean_lines(title, 4 * TITLE), width * 9.5), parse_math=False, **place)
    return figure


def wrapped(lines, width):
    """Lines of text, broken where they would be longer than `width` characters."""
    return "\n".join(part for line in lines.split("\n")
                     for part in textwrap.wrap(line, int(width), replace_whitespace=False) or [""])


def save(figure, path):
    """Write a figure in the format of the path's ending, whole or not at all; the same figure gives the same
    bytes.
    """
    with replacing(path) as partial, matplotlib.rc_context(PRINT):
        # A date would make each file differ.
        undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
        figure.savefig(partial, dpi=150, metadata=undated)


def html_picture(figure, words):
    """A figure as an HTML image; words: what it shows."""
    picture = io.BytesIO()
    with matplotlib.rc_context(PRINT):
        figure.savefig(picture, dpi=90, format="png")
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{data}">'


def frequency_axis(axes, hertz):
    """Label the vertical axis, which counts bands, in hertz."""
    ticks = hertz_ticks(hertz)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])


def extent_of(places):
    """(left, right, bottom, top) of an array [frames, bands] whose cells lie at `places`, an Axes."""
    seconds = places.seconds
    half = (seconds[-1] - seconds[0]) / max(len(seconds) - 1, 1) / 2 or 0.5
    return seconds[0] - half, seconds[-1] + half, 0, len(places.hertz)


def scale_of(relevance):
    """The value at which the colours end: all but the strongest 1/2 % of the pixels stay within."""
    return max(float(np.quantile(np.abs(relevance), 0.995)), np.finfo(np.float32).tiny)


def show(axes, values, places, **style):
    """An array [frames, bands] as a picture, the lowest band at the bottom; returns it for a colour bar."""
    return axes.imshow(values.T, origin="lower", aspect="auto", extent=extent_of(places),
                       interpolation="nearest", **style)


def draw_relevance(axes, relevance, places):
    """Relevance [frames, bands], red for, blue against, white at zero; colours end at the map's own scale."""
    return show(axes, relevance / scale_of(relevance), places, cmap=DIVERGING, vmin=-1, vmax=1)


def draw_overlay(axes, level, level_places, relevance, places):
    """Relevance over the grey spectrogram, the more opaque the stronger; returns the picture of relevance."""
    show(axes, level, level_places, cmap="gray")
    values = relevance / scale_of(relevance)
    opacity = np.clip(np.abs(values), 0, 1).T
    extent = (*extent_of(places)[:2], 0, len(level_places.hertz))  # heights count the spectrogram's bands
    return axes.imshow(values.T, origin="lower", aspect="auto", cmap=DIVERGING, vmin=-1, vmax=1,
                       alpha=opacity, extent=extent, interpolation="nearest")


def draw_waveform(axes, result):
    """How the sound swings, as the lowest and highest sample of each bin, coloured by the bin's relevance."""
    y, r, bins = result.clip.sound, result.stage("sound"), min(400, max(len(result.clip.sound) // 4, 1))
    edges = np.linspace(0, len(y), bins + 1).astype(int)[:-1]
    seconds = (edges + len(y) / bins / 2) / result.clip.front_end.sample_rate
    peak = max(float(np.abs(y).max()), 1e-6)
    low, high = np.minimum.reduceat(y, edges), np.maximum.reduceat(y, edges)
    shape = axes.fill_between(seconds, low - peak / 100, high + peak / 100, color="#999999", linewidth=0)
    values = np.add.reduceat(r, edges)
    values = np.clip(values / scale_of(values), -1, 1)[None]
    drawn = axes.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, alpha=np.abs(values), aspect="auto",
                        extent=(0, result.clip.seconds, -1.1 * peak, 1.1 * peak), zorder=3)
    drawn.set_clip_path(shape.get_paths()[0], axes.transData)
    axes.set(ylim=(-1.1 * peak, 1.1 * peak), yticks=[])
    axes.set_ylabel("sound", rotation=0, ha="right", va="center")


def mark_repeats(panels, clip):
    """Lines where a short sound begins again, and where silence follows it."""
    times, end = clip.repeats
    for panel in panels:
        for time in times:
            panel.axvline(time, color="#1a7f37", linestyle="--", linewidth=1)
        if end is not None:
            panel.axvline(end, color="#1a7f37", linestyle=":", linewidth=1)
    words = [(time, " begins again") for time in times[:1]] + ([(end, " silence")] if end is not None else [])
    for time, word in words:
        panels[0].annotate(word, (time, 1.02), xycoords=("data", "axes fraction"), va="bottom", fontsize=9,
                           color="#1a7f37")


def stacked(figure, heights, top, bottom, left=0.85, right=1.35, gap=0.36):
    """Axes over one time axis, one below the other; all lengths in inches. Fixed places: looking for good
    ones takes matplotlib as long as drawing.
    """
    width, height = figure.get_size_inches()
    unit = (height - top - bottom - gap * (len(heights) - 1)) / sum(heights)
    panels, above = [], height - top
    for one in heights:
        above -= one * unit
        place = (left / width, above / height, (width - left - right) / width, one * unit / height)
        panels.append(figure.add_axes(place, sharex=panels[0] if panels else None))
        above -= gap
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    return panels


def bar_beside(figure, panels, drawn, label, **options):
    """A colour bar to the right of panels that stand one below the other."""
    boxes = [panel.get_position() for panel in panels]
    low, high = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
    width = figure.get_size_inches()[0]
    axes = figure.add_axes((boxes[0].x1 + 0.18 / width, low, 0.12 / width, high - low))
    return figure.colorbar(drawn, cax=axes, label=label, **options)


def explanation_figure(results, title, notes=()):
    """The picture of one clip: its waveform, its spectrogram, and relevance by each rule, over one time axis.

    results: {heading: Explained}, the one that was asked for first. notes: sentences below the picture.
    """
    first = next(iter(results.values()))
    clip, (level, places) = first.clip, spectrogram(first.clip)
    heights, notes = [1, 3, *[3] * len(results)], [wrapped(clean(note, 4 * TITLE), 105) for note in notes]
    lines, titles = sum(note.count("\n") + 1 for note in notes), title.count("\n") + 1 + len(title) // 80
    top, bottom = 0.28 + 0.24 * titles, 0.62 + 0.21 * lines
    inner = 0.62 * sum(heights) + 0.36 * (len(heights) - 1)
    figure = new_figure(8.6, top + bottom + inner, title, layout=None)
    panels = stacked(figure, heights, top, bottom)
    draw_waveform(panels[0], first)
    bar_beside(figure, panels[1:2], show(panels[1], level, places, cmap="magma"), "dB below max")
    panels[1].set_title("spectrogram", loc="left")
    drawn = None
    for number, (panel, (heading, result)) in enumerate(zip(panels[2:], results.items())):
        drawn = (draw_relevance(panel, result.map, result.axes) if number
                 else draw_overlay(panel, level, places, result.map, result.axes))
        panel.set_title(f"{heading}{'' if number else ' over the spectrogram'}", loc="left", parse_math=False)
        frequency_axis(panel, result.axes.hertz if number else places.hertz)
    frequency_axis(panels[1], places.hertz)
    bar = bar_beside(figure, panels[2:], drawn, SCALE, extend="both", ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["against", "0", "for"])
    for panel in panels[1:]:
        panel.set_ylabel("hertz")
    panels[-1].set(xlim=(0, clip.seconds), xlabel=time_label(clip))
    mark_repeats(panels, clip)
    figure.text(0.02, 0.08 / figure.get_size_inches()[1], "\n".join(notes), fontsize=9.5, color=GREY,
                va="bottom", parse_math=False)
    return figure


def time_label(clip):
    """What the time axis counts."""
    start = clip.recording.start
    return f"seconds after {start:g} s of the file" if start else "seconds"


def mel_scale(axes, hertz):
    """Let a horizontal axis follow the mel scale: linear up to 1 kHz, logarithmic above."""
    # matplotlib takes the width of the linear part, in decades, times 0.9.
    decades = float(hz_to_mel(1000) / (hz_to_mel(10_000) - hz_to_mel(1000)))
    axes.set_xscale("symlog", linthresh=1000, linscale=0.9 * decades)
    ticks = [one for one in (500, 1000, 2000, 4000, 8000, 16000) if hertz[0] <= one <= hertz[-1]]
    axes.set_xticks(ticks, [hertz_label(one) for one in ticks])
    axes.minorticks_off()
