"""A timeline as one page that opens offline: to zoom into, with a cursor that tells what is heard."""
import math
import pathlib

import numpy as np

from features.steps import magma
from lrp_core.files import replacing

from .page import as_json, page
from .report_data import pack, text
from .slide import ENVELOPE
from .ticks import clock, digits_for

ROWS = 500  # events of the table; all of them are in the labels and the .json


def write_page(found, path):
    """Write the page of a Timeline, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(page("timeline.html.j2", ("report.css", "timeline.css"),
                                ("numbers.js", "timeline.js", "timeline_page.js"),
                                data=page_data(found), as_json=as_json), encoding="utf-8")


def page_data(found):
    """What the page holds, as JSON values."""
    chosen, slide = found.shown, found.slide
    digits = digits_for(slide.hop)
    first, step = found.grid
    probabilities = found.reads == "probabilities"
    values = found.values[:, chosen]
    if not probabilities:
        span = max(float(np.ptp(values)), np.finfo(np.float32).tiny)
        values = (values - values.min()) / span
    low, high = found.envelope
    loudest = max(float(np.abs([low, high]).max()), 1e-9)

    def said(value):
        return f"{value:.0%}" if probabilities else f"{value:.3g}"

    def as_bytes(samples):
        return text(np.rint(samples / loudest * 127).astype(np.int8).tobytes())
    return {
        "name": pathlib.PurePath(found.name).name, "explained": found.explained,
        "said": "probability" if probabilities else "score",
        "facts": (f"{clock(slide.length)} in {slide.count} windows of {slide.window:g} s, one every "
                  f"{slide.hop:g} s; relevance by {found.rules}."),
        "start": slide.start, "length": slide.length, "window": slide.window, "hop": slide.hop,
        "digits": digits, "first": slide.start + first, "step": step, "envelope": ENVELOPE, "magma": text(
            np.rint(magma() * 255).astype(np.uint8).tobytes()),
        "classes": [found.names[number] for number in chosen],
        "values": text(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()),
        "texts": [said(value) for value in found.values.max(axis=1)],
        "low": as_bytes(low), "high": as_bytes(high),
        "relevance": [{"name": name, "colour": colour, "plus": pack(plus), "minus": pack(minus)}
                      for name, colour, (plus, minus) in found.rests],
        "events": [{"start": event.start, "end": event.end, "begins": clock(event.start, digits),
                    "stops": clock(event.end, digits), "name": event.class_name, "value": said(event.value),
                    "hertz": "" if event.low is None or math.isnan(event.low)
                    else f"{event.low:,.0f} to {event.high:,.0f}"} for event in found.events[:ROWS]],
        "more": max(len(found.events) - ROWS, 0),
    }
