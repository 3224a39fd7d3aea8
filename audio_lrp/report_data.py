"""What a report holds of each clip: the explanations of every class by every preset, packed for JSON."""
import base64
import concurrent.futures
import io

import numpy as np
import soundfile

import lrp_core
from features.clip import PREFIX
from features.listen import audible, strongest
from features.steps import AreaResize, magma
from features.steps.spectrogram import PADS, WINDOWS
from lrp_core.chunks import default_threads, single_threaded_blas
from lrp_core.layers import Sigmoid
from lrp_core.ledger_views import sentence as ledger_sentence

from .answer import HEADINGS, Answer
from .explained import Explained, as_picture, level_of, map_axes, spectrogram
from .models import name_of, reads_as
from .ticks import hertz_ticks

LARGEST = 256, 512         # rows and columns of a picture; finer ones are averaged
CLASSES = 10               # at most so many of the likeliest are explained
# ColorBrewer's RdBu from against to for: blue and red stay apart for the colour-blind, white is zero.
RED_BLUE = ("053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d",
            "b2182b", "67001f")
WAVEFORM = 4096            # pairs of lowest and highest sample that the waveform is drawn with
TINY = float(np.finfo(np.float32).tiny)  # where nothing is relevant, a scale must not be zero
BOOKED = ("received", "passed", "bias", "stabilizer", "gated", "residual")


def text(data):
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def pack(numbers):
    """An array of any shape as {"scale", "data"}: base64 of little-endian int16 that, times scale, are the
    numbers.

    The largest error is half a scale: 1/65534 of the largest |number|.
    """
    scale = max(float(np.abs(numbers).max(initial=0)) / 32767, TINY)
    return {"scale": scale, "data": text(np.rint(numbers / scale).astype("<i2").tobytes())}


def flac(y, rate):
    """Samples [n] in -1 ... 1 as a mono FLAC of 16 bits: every browser decodes it to the same samples."""
    file = io.BytesIO()
    soundfile.write(file, y, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def run_lengths(mask):
    """A boolean mask as bytes: how many cells in a row are left out, kept, left out, ..., each number in
    base 128, the lowest digit first, 128 added to all digits but the last.
    """
    flat = np.concatenate(([False], mask.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    found = bytearray()
    for number in np.diff(edges, prepend=0, append=mask.size).tolist():
        while number >= 128:
            found.append(number % 128 + 128)
            number //= 128
        found.append(number)
    return bytes(found)


def waveform(y):
    """{"low", "high"}: the lowest and the highest sample of each of up to WAVEFORM stretches of a sound,
    int8 of the loudest.
    """
    edges = np.linspace(0, len(y), min(WAVEFORM, len(y)) + 1).astype(int)[:-1]
    scale = 127 / max(float(np.abs(y).max(initial=0)), TINY)
    return {name: text(np.rint(scale * most.reduceat(y, edges)).astype(np.int8).tobytes())
            for name, most in (("low", np.minimum), ("high", np.maximum))}


def diverging():
    """The 256 colours of matplotlib's RdBu_r map, [256, 3] uint8: against, zero, for."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in RED_BLUE], float)
    at = np.linspace(0, len(stops) - 1, 256)
    return np.rint(np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T],
                            axis=1)).astype(np.uint8)


def hertz_at(place, hertz):
    """The frequency at a height of a picture, in bands from the bottom: band k lies between k and k + 1."""
    return np.interp(place, np.arange(len(hertz)) + 0.5, hertz)


def ticks(hertz):
    """[(label, height 0..1 from the bottom)] for the axis of frequencies."""
    return [(label, round(place / len(hertz), 5)) for place, label in hertz_ticks(hertz)]


def shortest_span(weights, share=0.5):
    """(first, end): the shortest run of neighbours that holds `share` of the sum of weights >= 0, the
    earliest of equals.
    """
    total = np.concatenate(([0.0], np.cumsum(weights)))
    end = np.searchsorted(total, total[:-1] + share * total[-1])
    length = np.where(end < len(total), end - np.arange(len(weights)), len(total))
    first = int(length.argmin())
    return first, first + int(length[first])


def round_hertz(hertz):
    """"480", "2,300": two digits that count, as people name frequencies."""
    return f"{float(f'{hertz:.2g}'):,.0f}"


def sentence(one, value):
    """In words: what is explained, and where half of the relevance that speaks for it lies."""
    profiles = one.profiles
    head = f"{one.target_name} by {one.rules} (score {float(one.e.ledger.start):.2f}{value})"
    if not profiles.moments_for.any():
        return f"{head}: nothing in this sound speaks for it."
    seconds = profiles.seconds
    half = (seconds[1] - seconds[0]) / 2 if len(seconds) > 1 else 0
    first, last = shortest_span(profiles.moments_for)
    low, high = (round_hertz(hertz_at(place, profiles.hertz)) for place in shortest_span(profiles.bands_for))
    return (f"{head}: half of what speaks for it lies between {max(seconds[first] - half, 0):.2f} and "
            f"{seconds[last - 1] + half:.2f} s, and half between {low} and {high} Hz.")


def row(entry):
    """An entry of the ledger as numbers in the order of BOOKED, six digits each."""
    return [float(f"{getattr(entry, name):.6g}") for name in BOOKED]


def explanation_data(one, share, value):
    """One class by one preset; and the whole ledger it came with."""
    profiles, ledger = one.profiles, one.ledger
    mask = strongest(one.cells, share)
    picture = shrunk(as_picture(one.map))
    return {
        "words": sentence(one, value),
        "map": pack(picture),
        # The colours end where plots end them: all but the strongest 1/2 % of the pixels stay within.
        "limit": max(float(np.quantile(np.abs(picture), 0.995)), TINY),
        "for": float(np.maximum(picture, 0).sum()), "against": float(np.minimum(picture, 0).sum()),
        **{name: pack(getattr(profiles, name))
           for name in ("bands_for", "bands_against", "moments_for", "moments_against")},
        "ledger": [row(entry) for entry in ledger], "total": row(ledger.total),
        "book": ledger_sentence(ledger, "the samples of the sound"),
        "part": text(run_lengths(mask)), "cells": float(mask.mean()),
    }, ledger


def small_shape(shape):
    """(rows, columns) of a picture of this shape as a page holds it: at most LARGEST."""
    return tuple(min(size, most) for size, most in zip(shape, LARGEST))


def averaged(picture):
    """A picture [rows, columns] no larger than LARGEST, by means over area."""
    shape = small_shape(picture.shape)
    return picture if shape == picture.shape else AreaResize(*shape).forward(picture[None])[0]


def shrunk(picture):
    """A picture [rows, columns] no larger than LARGEST, by sums over area: relevance adds up as before."""
    found = averaged(picture)
    return found * (picture.size / found.size)


def pictures(clip):
    """{"level", "sharp", "decibels"}: what the network sees and the spectrogram, uint8, as pictures; and how
    far the latter reaches down.
    """
    decibels = spectrogram(clip)[0]
    low = float(decibels.min())
    sharp = averaged(as_picture((decibels - low) / max(-low, TINY)))
    level = averaged(level_of(clip).astype(float))
    return {"decibels": low, "sharp": text(np.rint(255 * sharp).astype(np.uint8).tobytes()),
            "level": text(np.rint(level).astype(np.uint8).tobytes())}


def facts(clip):
    """What kind of file it was, and what of it the network hears."""
    found = (f"{clip.duration:.2f} s, {clip.sample_rate:,g} Hz, {clip.channels} "
             f"channel{'s' * (clip.channels > 1)}")
    if clip.cut:
        return f"{found}; {clip.cut}"
    times, end = clip.repeats
    if times and end is not None:
        return f"{found}; the network hears it twice, then silence up to {clip.seconds:g} s"
    if times:
        return f"{found}; the network hears it begin again, up to {clip.seconds:g} s"
    return f"{found}; silence follows, up to {clip.seconds:g} s" if end is not None else found


def clip_data(network, clip, name, presets, share, progress, **how):
    """(data, pages): all that a report shows of one clip, and {preset: (name, type, rule) of each entry of
    its ledger}.

    name: what the page calls it. presets: names. progress: called after each class and preset. how: engine
    and dtype, as of `lrp_core.explain`, which says what is raised.
    """
    first = lrp_core.explain(network, clip.input, presets[0], **how)
    answer = Answer(clip, network, {presets[0]: Explained(clip, first, presets[0])})
    chosen = answer.order[:CLASSES]
    clip.trace  # noqa: B018  (made once, before threads ask for it)

    def work(job):
        preset, number, e = job
        value = f", {answer.value(number)}" if answer.reads == "probabilities" else ""
        found = explanation_data(Explained(clip, e, preset), share, value)  # all its stages: freed at once
        progress()
        return found
    jobs = [(preset, number, e) for preset in presets
            for number, e in zip(chosen, lrp_core.explain_each(network, clip.input, preset, chosen, **how))]
    with concurrent.futures.ThreadPoolExecutor(default_threads()) as pool, single_threaded_blas:
        found = list(pool.map(work, jobs))
    by_preset = [[data for data, _ in found[start:start + len(chosen)]]
                 for start in range(0, len(found), len(chosen))]
    pages = {preset: found[number * len(chosen)][1].pages for number, preset in enumerate(presets)}
    parts = answer.values[chosen]
    widths = parts if answer.reads == "probabilities" else np.clip(parts / max(np.abs(parts).max(), TINY),
                                                                   0, 1)
    return {
        "name": name, "facts": facts(clip), "warnings": answer.warnings,
        "notes": answer.notes[1:],  # the first, of the ledger, stands with each explanation
        "sure": answer.sure,
        "heard": [chosen.index(number) for number in answer.heard if number in chosen],
        "classes": [name_of(first, number) for number in chosen], "more": len(answer.order) - len(chosen),
        "said": [answer.value(number) for number in chosen], "widths": [float(width) for width in widths],
        "timeline": None, "microscope": None,  # `report.page_of` adds them
        **pictures(clip), **waveform(clip.sound),
        "original": text(flac(audible(clip.sound), clip.front_end.sample_rate)),
        "explanations": by_preset, "pages": [[list(page) for page in found] for found in pages.values()],
    }, pages


def rules_of(preset, pages):
    """What a preset does, in a few words for its button: the rules of the network's layers with weights, and
    the study's name of it.
    """
    written = list(dict.fromkeys(rule for name, _, rule in pages if not name.startswith(PREFIX)
                                 and rule not in ("Pass()", "winner takes all")))
    study = [f"the study's {HEADINGS[preset]}"] if preset in HEADINGS else []
    return "; ".join([*study, ", ".join(written)])


def cells_data(clip):
    """How the sound is cut into the cells that parts are made of, for `templates/sound_parts.js`."""
    step = clip.cells
    return {"size": step.n_fft, "hop": step.hop, "pad": step.pad, "mode": PADS[step.pad_mode],
            "terms": WINDOWS[step.window], "length": step.win_length or step.n_fft,
            "bins": step.bins, "frames": step.count(len(clip.sound)),
            "rate": clip.front_end.sample_rate}


def common_data(network, pages, share, clip):
    """What all clips of a report share: presets with their rules, axes, colours. pages: of any clip, {preset:
    (name, type, rule) of each entry}. clip: any.
    """
    places, fine = map_axes(clip), clip.axes(clip.bands_stage) if clip.bands_stage else map_axes(clip)
    rows, columns = small_shape((len(places.hertz), len(places.seconds)))
    middles = (np.arange(rows)[::-1] + 0.5) * len(places.hertz) / rows
    return {
        "independent": isinstance(network.activation, Sigmoid) and reads_as(network) == "probabilities",
        "share": share, "seconds": clip.seconds, "ticks": ticks(places.hertz),
        "rows": rows, "columns": columns, "top": clip.front_end.sample_rate / 2,
        "hertz": [round(float(hertz)) for hertz in fine.hertz],
        "row_hertz": [round(float(hertz), 1) for hertz in hertz_at(middles, places.hertz)],
        "sharp": list(small_shape((len(fine.hertz), len(fine.seconds)))), "cells": cells_data(clip),
        "presets": [{"name": name, "words": rules_of(name, found)} for name, found in pages.items()],
        "magma": text(np.rint(magma() * 255).astype(np.uint8).tobytes()),
        "diverging": text(diverging().tobytes()),
    }
