"""What a report holds of each clip: the explanations of every class by every preset, packed for JSON."""
import base64
import io

import numpy as np
import soundfile

import features
import lrp_core
from features.image import magma
from features.listen import audible, fade, gain_to, loudness, masked, strongest
from lrp_core.layers import Sigmoid

from .journey import down_to_sound
from .profiles import profiles_of
from .results import UNSURE, Result, heard

HERTZ = (250, 500, 1000, 2000, 4000, 8000, 16000)
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


def mp3(y, kbits):
    """Samples [n] at 44.1 kHz as a mono MP3 of constant rate, which every browser plays and seeks in exactly.
    """
    file = io.BytesIO()
    level = (LOUDEST_KBITS - kbits) / (LOUDEST_KBITS - QUIETEST_KBITS)
    with soundfile.SoundFile(file, "w", features.SAMPLE_RATE, 1, format="MP3", subtype="MPEG_LAYER_III",
                             bitrate_mode="CONSTANT", compression_level=level) as out:
        out.write(np.clip(y, -1, 1))
    return file.getvalue()


def diverging():
    """The 256 colours of matplotlib's RdBu_r map, [256, 3] uint8: against, zero, for."""
    stops = np.array([list(bytes.fromhex(colour)) for colour in RED_BLUE], float)
    at = np.linspace(0, len(stops) - 1, 256)
    return np.rint(np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T],
                            axis=1)).astype(np.uint8)


def hertz_at(place, bands=128):
    """The frequency at a height of the picture, in bands from the bottom: band k lies between k and k + 1."""
    edges = features.band_edges(features.SAMPLE_RATE, bands)
    return np.interp(place, np.arange(bands + 2) - 0.5, edges)


def ticks(bands=128):
    """[(label, height 0..1 from the bottom)] for the axis of frequencies."""
    edges = features.band_edges(features.SAMPLE_RATE, bands)
    heights = np.interp(HERTZ, edges, np.arange(bands + 2) - 0.5) / bands
    labels = [f"{hertz // 1000}k" if hertz >= 1000 else str(hertz) for hertz in HERTZ]
    return [(label, round(float(height), 5)) for label, height in zip(labels, heights)]


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


def sentence(e, preset, profiles):
    """In words: what is explained, and where half of the relevance that speaks for it lies."""
    head = (f"{e.class_names[e.target]} by {preset} (score {e.logits[e.target]:.2f}, "
            f"{e.probabilities[e.target]:.1%})")
    if not profiles.moments_for.any():
        return f"{head}: nothing in this sound speaks for it."
    start, end = (place * features.SECONDS / len(profiles.seconds)
                  for place in shortest_span(profiles.moments_for))
    low, high = (round_hertz(hertz_at(place, len(profiles.hertz)))
                 for place in shortest_span(profiles.bands_for))
    return (f"{head}: half of what speaks for it lies between {start:.2f} and {end:.2f} s, "
            f"and half between {low} and {high} Hz.")


def ledger_sentence(total):
    """The last line of the ledger in words."""
    return (f"Of the score {total.received:.4f}, {total.passed:.4f} arrives at the samples of the sound; "
            f"biases took {total.bias:.4f}, stabilizers {total.stabilizer:.4f}, and {total.gated:.4f} was "
            "gated: "
            "there was no input to give it to.")


def row(entry):
    """An entry of the ledger as numbers in the order of BOOKED, six digits each."""
    return [float(f"{getattr(entry, name):.6g}") for name in BOOKED]


def relevant_part(clip, cells, share):
    """(sound [176400], fraction of cells): the part that carries `share` of what speaks for a class, as loud
    as the clip.
    """
    mask = strongest(cells, share)
    y = fade(masked(clip, mask))
    return gain_to(loudness(audible(clip.sound)), y) * y, float(mask.mean())


def explanation_data(clip, e, preset, share):
    """One class by one preset; and the whole ledger it came with."""
    sound, ledger = down_to_sound(clip, e)
    profiles = profiles_of(sound.mel)
    part, cells = relevant_part(clip, sound.cells, share)
    return {
        "words": sentence(e, preset, profiles),
        "map": pack(sound.pixels),
        # The colours end where plots end them: all but the strongest 1/2 % of the pixels stay within.
        "limit": max(float(np.quantile(np.abs(sound.pixels), 0.995)), TINY),
        "for": float(np.maximum(sound.pixels, 0).sum()), "against": float(np.minimum(sound.pixels, 0).sum()),
        **{name: pack(getattr(profiles, name))
           for name in ("bands_for", "bands_against", "moments_for", "moments_against")},
        "ledger": [row(entry) for entry in ledger], "total": row(ledger.total),
        "book": ledger_sentence(ledger.total),
        "part": text(mp3(part, PART_KBITS)), "cells": cells,
    }, ledger


def facts(clip):
    """What kind of file it was, and what of it the network hears."""
    found = (f"{clip.duration:.2f} s, {clip.sample_rate:,g} Hz, {clip.channels} "
             f"channel{'s' * (clip.channels > 1)}")
    if clip.duration > features.SECONDS:
        return f"{found}; the network hears the first {features.SECONDS:g} s"
    if clip.duration < features.SECONDS / 2:
        return f"{found}; the network hears it twice, then silence up to {features.SECONDS:g} s"
    if clip.duration < features.SECONDS:
        return f"{found}; the network hears it begin again, up to {features.SECONDS:g} s"
    return found


def clip_data(network, clip, name, presets, share, progress, **how):
    """(data, pages): all that a report shows of one clip, and {preset: (name, type, rule) of each entry of
    its ledger}.

    name: what the page calls it. presets: names. progress: called after each class and preset. how: engine
    and dtype, as of `lrp_core.explain`, which says what is raised.
    """
    by_preset, pages, winners = [], {}, {}
    for preset in presets:
        every_class = []
        explanations = lrp_core.explain_each(network, clip.image, preset, "all", **how)
        for e in explanations:
            data, ledger = explanation_data(clip, e, preset, share)
            every_class.append(data)
            progress()
        by_preset.append(every_class)
        pages[preset] = ledger.pages
        winners[preset] = explanations[int(e.logits.argmax())]
    result = Result(clip, winners)
    probabilities = result.main.probabilities
    order = np.argsort(-result.main.logits, kind="stable")
    return {
        "name": name,
        "facts": facts(clip), "warnings": result.warnings,
        "sure": bool(probabilities.max() >= UNSURE), "heard": heard(result.main), "order": order.tolist(),
        "probabilities": [float(p) for p in probabilities],
        "decibels": float(clip.decibels.min() - clip.decibels.max()),
        "level": text(clip.level.tobytes()), "original": text(mp3(audible(clip.sound), ORIGINAL_KBITS)),
        "explanations": by_preset,
    }, pages


def common_data(network, pages, share):
    """What all clips of a report share: classes, presets with the pages of their ledgers, axes, colours."""
    return {
        "classes": list(network.class_names), "independent": isinstance(network.activation, Sigmoid),
        "share": share, "seconds": features.SECONDS, "ticks": ticks(),
        "hertz": [round(float(hertz)) for hertz in features.band_edges(features.SAMPLE_RATE, 128)[1:-1]],
        "presets": [{"name": name, "pages": [list(page) for page in found]}
                    for name, found in pages.items()],
        "magma": text(np.rint(magma() * 255).astype(np.uint8).tobytes()),
        "diverging": text(diverging().tobytes()),
    }
