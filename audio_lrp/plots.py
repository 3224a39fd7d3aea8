"""The picture of an explanation: spectrogram, relevance maps and their overlay, in seconds and hertz."""
import matplotlib
import matplotlib.figure
import numpy as np

import features
from lrp_core.files import replacing
from lrp_core.text import clean_lines

HERTZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
DIVERGING = "RdBu_r"
EXTENT = (0, features.SECONDS, 0, 128)
TITLE = 160  # characters of a line above a figure
# Text stays text; TrueType, for journals refuse Type 3 fonts. The salt makes a figure's bytes the same in
# each run.
PRINT = {"svg.hashsalt": "audio-lrp", "svg.fonttype": "none", "pdf.fonttype": 42}
FOR, AGAINST = "#b2182b", "#2166ac"  # the ends of the map; blue and red stay apart for the colour-blind


def new_figure(width, height, title):
    """An empty figure of width x height inches with a title that may hold any character; it is cleaned."""
    figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    # Names may hold a $, and control characters, which are not allowed in SVG.
    figure.suptitle(clean_lines(title, TITLE), parse_math=False)
    return figure


def save(figure, path):
    """Write a figure in the format of the path's ending, whole or not at all; the same figure gives the same
    bytes.
    """
    with replacing(path) as partial, matplotlib.rc_context(PRINT):
        # A date would make each file differ.
        undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
        figure.savefig(partial, dpi=150, metadata=undated)


def hertz_label(hertz):
    """"500", "4k"."""
    return f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)


def frequency_axis(axes, bands=128):
    """Label the vertical axis, which counts mel bands, in hertz."""
    centres = features.band_edges(features.SAMPLE_RATE, bands)[1:-1]
    axes.set_yticks(np.interp(HERTZ, centres, np.arange(bands) + 0.5), [hertz_label(h) for h in HERTZ])


def scale_of(relevance):
    """The value at which the colours end: all but the strongest 1/2 % of the pixels stay within."""
    return max(float(np.quantile(np.abs(relevance), 0.995)), np.finfo(np.float32).tiny)


def draw_spectrogram(axes, clip, cmap="magma"):
    """The mel spectrogram in decibels, low frequencies at the bottom; returns the picture for a colour bar.
    """
    return axes.imshow(clip.decibels, origin="lower", aspect="auto", extent=EXTENT, cmap=cmap,
                       interpolation="nearest")


def draw_relevance(axes, relevance):
    """Relevance per pixel [64, 64], red for, blue against, white at zero; returns the picture for a colour
    bar.
    """
    limit = scale_of(relevance)
    return axes.imshow(relevance, aspect="auto", extent=EXTENT, cmap=DIVERGING, vmin=-limit, vmax=limit,
                       interpolation="nearest")


def draw_overlay(axes, clip, relevance):
    """Relevance over the grey spectrogram, the more opaque the stronger."""
    draw_spectrogram(axes, clip, cmap="gray")
    opacity = np.clip(np.abs(relevance) / scale_of(relevance), 0, 1)
    axes.imshow(relevance, aspect="auto", extent=EXTENT, cmap=DIVERGING, vmin=-scale_of(relevance),
                vmax=scale_of(relevance),
                alpha=opacity, interpolation="nearest")


def explanation_figure(clip, maps, title):
    """The picture of one clip.

    clip: a features.Clip. maps: {heading: relevance [64, 64]}; the first is the one laid over the
    spectrogram.
    """
    panels = len(maps) + 2
    columns = -(-panels // 2)
    figure = new_figure(5.2 * columns, 7.6, title)
    axes = figure.subplots(2, columns, sharex=True, sharey=True).ravel()
    figure.colorbar(draw_spectrogram(axes[0], clip), ax=axes[0], label="dB below the maximum")
    axes[0].set_title("mel spectrogram")
    for panel, (heading, relevance) in zip(axes[1:], maps.items()):
        figure.colorbar(draw_relevance(panel, relevance), ax=panel, extend="both",
                        label="relevance (red for, blue against)")
        panel.set_title(heading)
    first = next(iter(maps))
    draw_overlay(axes[panels - 1], clip, maps[first])
    axes[panels - 1].set_title(f"{first} over the spectrogram")
    for panel in axes[panels:]:
        panel.set_visible(False)
    for panel in axes[:panels]:
        panel.set(xlim=EXTENT[:2], ylim=EXTENT[2:], xlabel="time in seconds", ylabel="frequency in hertz")
        panel.label_outer()
        frequency_axis(panel)
    return figure
