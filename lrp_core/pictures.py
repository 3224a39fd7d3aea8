"""Relevance as a picture: a PNG made here for notebooks, and figures where Matplotlib is installed.

Matplotlib is imported where a figure is asked for, and nowhere else in this package.
"""
import base64
import math
import struct
import zlib

import numpy as np

from .files import replacing
from .show import escaped
from .text import clean

FOR, AGAINST = (178, 24, 43), (33, 102, 172)  # of ColorBrewer's RdBu: also for the colour-blind
FINEST = 256        # rows and columns of a notebook's picture; finer ones are added up
STRIP = 512         # columns of one for a row of numbers
PANELS = 12         # samples of a batch that a figure shows
CHANNELS = 4        # an axis as short as this holds channels


def new_figure(width, height):
    """An empty Matplotlib figure of width x height inches; raises ImportError that says what to install."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("plot() needs the package matplotlib: pip install matplotlib") from error
    return matplotlib.figure.Figure(figsize=(width, height), layout="constrained")


def title(axes, text):
    """A title, which may hold any character."""
    axes.set_title(clean(text, 80), loc="left", fontsize=11, parse_math=False)


def finished(figure, path):
    """The figure, written to `path` where there is one, whole or not at all."""
    if path is not None:
        with replacing(path) as partial:
            figure.savefig(partial, dpi=150)
    return figure


def limit_of(r):
    """Where the colours end: all but the strongest 1/2 % of the numbers stay within."""
    return max(float(np.quantile(np.abs(r), 0.995)), float(np.finfo(np.float32).tiny))


def flat(relevance, inner=False):
    """One sample's relevance as a picture [rows, columns] or a row of numbers [n]: channels are added up.

    Of three axes the last holds the channels; the first, where it has at most 4 numbers and the last has
    more. inner: of a node inside the network, where it is always the last. Axes of one number are dropped.
    Raises ValueError for more axes.
    """
    shape = tuple(size for size in relevance.shape if size > 1)
    r = np.asarray(relevance, np.float64).reshape(shape or (1,))
    if r.ndim == 3:
        r = r.sum(axis=0 if r.shape[0] <= CHANNELS < r.shape[-1] and not inner else -1)
    if r.ndim > 2:
        raise ValueError(f"relevance of the shape {relevance.shape} is no picture: add up all axes but two")
    return r


def coarser(r, most):
    """An array with at most `most` places along each axis; neighbours are added up."""
    for axis, size in enumerate(r.shape):
        if size > most:
            r = np.add.reduceat(r, np.linspace(0, size, most + 1).astype(int)[:-1], axis=axis)
    return r


def png(pixels):
    """The bytes of a PNG file of pixels [rows, columns, 4], uint8: red, green, blue, opacity."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate((np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)), axis=1)  # no filter

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(lines.tobytes())) + chunk(b"IEND", b""))


def html_map(relevance, words):
    """One sample's relevance as an HTML image: red for, blue against, the more opaque the stronger, so that
    zero is the page's own colour; "" for what is no picture. words: what it shows.
    """
    try:
        r = flat(relevance)
    except ValueError:
        return ""
    r = coarser(r, FINEST if r.ndim == 2 else STRIP)
    values = np.clip(r / limit_of(r), -1, 1)
    values = values if r.ndim == 2 else values[None]
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] >= 0, np.uint8(FOR), np.uint8(AGAINST))
    pixels[..., 3] = np.rint(255 * np.abs(values))
    size = "width:512px;height:2.5em" if r.ndim == 1 else "min-width:256px;max-width:100%"
    data = base64.b64encode(png(pixels)).decode("ascii")
    return (f'<img alt="{escaped(words, 200)}" style="{size};image-rendering:pixelated;'
            f'border:1px solid rgba(128,128,128,.5)" src="data:image/png;base64,{data}">')


def map_figure(maps, titles, more, inner=False):
    """A figure of relevance, a panel for each sample, each in colours that end at its own scale.

    maps: of each sample, as `explain` gives it. titles: one for each. more: how many samples are left out.
    inner: as of `flat`.
    """
    maps = [flat(one, inner) for one in maps]
    columns = min(len(maps), 4)
    rows = math.ceil(len(maps) / columns)
    figure = new_figure(max(4.6, 3.2 * columns), (2.6 if maps[0].ndim == 1 else 3.4) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, r, text in zip(panels, maps, titles):
        title(axes, text)
        if r.ndim == 1:
            draw_row(axes, r)
            continue
        limit = limit_of(r)
        drawn = axes.imshow(r, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest",
                            aspect="auto" if max(r.shape) > 4 * min(r.shape) else "equal")
        figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0, 0.05, 1)), extend="both", label="relevance")
    for axes in panels[len(maps):]:
        axes.set_axis_off()
    if more:
        figure.suptitle(f"the first {len(maps)} of {len(maps) + more:,} samples", fontsize=11)
    return figure


def draw_row(axes, r):
    """A row of numbers: what speaks for the target above the line, what speaks against it below."""
    places = np.arange(len(r))
    for part, (red, green, blue), label in ((np.maximum(r, 0), FOR, "for"),
                                            (np.minimum(r, 0), AGAINST, "against")):
        axes.fill_between(places, part, step="mid", color=(red / 255, green / 255, blue / 255), label=label)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.margins(x=0)
    axes.set(xlabel="number of the input", ylabel="relevance")
    axes.legend(fontsize=9)
