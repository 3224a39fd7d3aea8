"""What a report holds of each clip: the explanations of every class by every preset, packed for JSON."""
import base64
import concurrent.futures
import io

import numpy as np
import soundfile

import lrp_core
from features.clip import PREFIX
from features.listen import audible, fade, gain_to, loudness, masked, strongest
from features.steps import AreaResize, Resample, magma
from lrp_core.chunks import default_threads, single_threaded_blas
from lrp_core.layers import Sigmoid
from lrp_core.ledger_views import sentence as ledger_sentence

from .answer import HEADINGS, UNSURE, Answer
from .explained import Explained, as_picture, level_of, map_axes, spectrogram
from .models import name_of, reads_as
from .ticks import hertz_ticks

LARGEST = 256, 512         # rows and columns of a picture; finer ones are averaged
CLASSES = 10               # at most so many of the likeliest are explained
MP3_RATES = (32_000, 44_100, 48_000)  # those of MPEG 1: of others the length is not exact
# ColorBrewer's RdBu from against to for: blue and red stay apart for the colour-blind, white is zero.
RED_BLUE = ("053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d",
            "b2182b", "67001f")
# per second, mono; there is one original and a part for each class and preset
ORIGINAL_KBITS, PART_KBITS = 96, 64
LOUDEST_KBITS, QUIETEST_KBITS = 320, 32  # what libsndfile makes of its compression levels 0 and 1 for MP3
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


def mp3(y, rate, kbits, found=None):
    """Samples [n] as a mono MP3 of constant rate, which every browser plays and seeks in exactly.

    Written at the lowest rate of MP3 that keeps all there is: not more than the sound's own rate, nor than
    that of the file it was `found` in.
    """
    needed = min(rate, found or rate)
    own = next((one for one in MP3_RATES if one >= needed), MP3_RATES[-1])
    if own != rate:
        y, rate = Resample(float(rate), float(own)).forward(np.asarray(y, np.float64)[None])[0], own
    file = io.BytesIO()
    level = (LOUDEST_KBITS - kbits) / (LOUDEST_KBITS - QUIETEST_KBITS)
    with soundfile.SoundFile(file, "w", rate, 1, format="MP3", subtype="MPEG_LAYER_III",
                             bitrate_mode="CONSTANT", compression_level=level) as out:
        out.write(np.clip(y, -1, 1))
    return file.getvalue()


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


def relevant_part(clip, cells, share, target):
    """(sound [samples], fraction of cells): the part that carries `share` of what speaks for a class, made
    `target` LUFS loud.
    """
    mask, rate = strongest(cells, share), clip.front_end.sample_rate
    y = fade(masked(clip, mask), rate)
    return gain_to(target, y, rate) * y, float(mask.mean())


def explanation_data(one, share, value, loud):
    """One class by one preset; and the whole ledger it came with. loud: of the original, in LUFS."""
    profiles, ledger = one.profiles, one.ledger
    part, cells = relevant_part(one.clip, one.cells, share, loud)
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
        "part": text(mp3(part, one.clip.front_end.sample_rate, PART_KBITS, one.clip.sample_rate)),
        "cells": cells,
    }, ledger


def small_shape(shape):
    """(rows, columns) of a picture of this shape as a page holds it: at most LARGEST."""
    return tuple(min(size, most) for size, most in zip(shape, LARGEST))


def shrunk(picture):
    """A picture [rows, columns] no larger than LARGEST, by sums over area: relevance adds up as before."""
    shape = small_shape(picture.shape)
    if shape == picture.shape:
        return picture
    return AreaResize(*shape).forward(picture[None])[0] * (picture.size / (shape[0] * shape[1]))


def level_picture(clip):
    """What the network sees, uint8, no larger than LARGEST."""
    level = level_of(clip)
    shape = small_shape(level.shape)
    return level if shape == level.shape else np.rint(AreaResize(*shape).forward(level[None].astype(float))[0]
                                                      ).astype(np.uint8)


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
    loud = loudness(audible(clip.sound), clip.front_end.sample_rate)
    clip.trace, clip.spectrum  # noqa: B018  (made once, before threads ask for them)

    def work(job):
        one, number = job
        value = f", {answer.value(number)}" if answer.reads == "probabilities" else ""
        found = explanation_data(one, share, value, loud)
        progress()
        return found
    jobs = [(Explained(clip, e, preset), number) for preset in presets
            for number, e in zip(chosen, lrp_core.explain_each(network, clip.input, preset, chosen, **how))]
    with concurrent.futures.ThreadPoolExecutor(default_threads()) as pool, single_threaded_blas:
        found = list(pool.map(work, jobs))
    by_preset = [[data for data, _ in found[start:start + len(chosen)]]
                 for start in range(0, len(found), len(chosen))]
    pages = {preset: found[number * len(chosen)][1].pages for number, preset in enumerate(presets)}
    decibels = spectrogram(clip)[0]
    parts = answer.values[chosen]
    widths = parts if answer.reads == "probabilities" else np.clip(parts / max(np.abs(parts).max(), TINY),
                                                                   0, 1)
    return {
        "name": name, "facts": facts(clip), "warnings": answer.warnings,
        "notes": answer.notes[1:],  # the first, of the ledger, stands with each explanation
        "sure": answer.reads == "scores" or bool(answer.values.max() >= UNSURE),
        "heard": [chosen.index(number) for number in answer.heard if number in chosen],
        "classes": [name_of(first, number) for number in chosen], "more": len(answer.order) - len(chosen),
        "said": [answer.value(number) for number in chosen], "widths": [float(width) for width in widths],
        "timeline": None, "microscope": None,  # `report.page_of` adds them
        "decibels": float(decibels.min() - decibels.max()), "level": text(level_picture(clip).tobytes()),
        "original": text(mp3(audible(clip.sound), clip.front_end.sample_rate, ORIGINAL_KBITS,
                             clip.sample_rate)),
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


def common_data(network, pages, share, clip):
    """What all clips of a report share: presets with their rules, axes, colours. pages: of any clip, {preset:
    (name, type, rule) of each entry}. clip: any.
    """
    places, fine = map_axes(clip), clip.axes(clip.bands_stage) if clip.bands_stage else map_axes(clip)
    rows, columns = small_shape((len(places.hertz), len(places.seconds)))
    return {
        "independent": isinstance(network.activation, Sigmoid) and reads_as(network) == "probabilities",
        "share": share, "seconds": clip.seconds, "ticks": ticks(places.hertz),
        "rows": rows, "columns": columns, "top": clip.front_end.sample_rate / 2,
        "hertz": [round(float(hertz)) for hertz in fine.hertz],
        "presets": [{"name": name, "words": rules_of(name, found)} for name, found in pages.items()],
        "magma": text(np.rint(magma() * 255).astype(np.uint8).tobytes()),
        "diverging": text(diverging().tobytes()),
    }
