"""What the lesson's page holds: two small networks, four procedural sounds, axes and colours."""

import numpy as np

import lrp_core
from features import FrontEnd
from features.steps import magma
from features.synth import synthesize
from lrp_core import layers as L

from . import HERE
from .explained import map_axes
from .report_data import diverging, text, ticks

TONES, SOUNDS = HERE / "models" / "lesson-tones.npz", HERE / "models" / "lesson.npz"
SEEDS = {"siren": 10_019, "car_horn": 10_003, "dog_bark": 10_011, "jackhammer": 10_003}  # none was trained on


def sound_network():
    """(network, front end) of the lesson's last chapters."""
    network = lrp_core.load(SOUNDS)
    return network, FrontEnd.from_dict(network.metadata["front_end"])


def clip_samples(name):
    """The lesson's clip of a class as whole numbers of 16 bits: what the page plays and hears."""
    _, front_end = sound_network()
    y = synthesize(name, SEEDS[name], sample_rate=front_end.sample_rate, seconds=front_end.seconds)
    return np.rint(32767 * y).astype("<i2")


def network_data(network):
    """A network as the page reads it: its layers in order, weights as little-endian float32."""
    shape, found = network.input_shape, []
    for node in network.nodes:
        layer, data = node.layer, {"name": node.name, "type": node.layer.type, "shape": list(shape)}
        if isinstance(layer, L.Weighted):
            data |= {
                "W": text(layer.kernel.astype("<f4").tobytes()),
                "b": text(layer.bias.astype("<f4").tobytes()),
                "outputs": len(layer.bias),
            }
        found.append(data)
        shape = layer.output_shape(tuple(shape))
    return {"names": list(network.class_names), "layers": found}


def settings_of(front_end):
    """The numbers of the lesson's front end by the names that lrp_sound.js has for them."""
    spectrogram, mel, decibels = front_end.steps[:3]
    return {
        "rate": front_end.sample_rate,
        "size": spectrogram.n_fft,
        "hop": spectrogram.hop,
        "bands": mel.n_mels,
        "low": mel.fmin,
        "range": decibels.top_db,
    }


def lesson_data():
    """(what pictures.js draws with, what the lesson computes with), as JSON values."""
    network, front_end = sound_network()
    clips = {name: clip_samples(name) for name in SEEDS}
    rows, columns, _ = network.input_shape
    hertz = map_axes(front_end.open(clips["siren"] / 32768, front_end.sample_rate)).hertz
    common = {
        "seconds": front_end.seconds,
        "ticks": ticks(hertz),
        "rows": rows,
        "columns": columns,
        "magma": text(np.rint(magma() * 255).astype(np.uint8).tobytes()),
        "diverging": text(diverging().tobytes()),
    }
    return common, {
        "tones": network_data(lrp_core.load(TONES)),
        "sounds": network_data(network),
        "settings": settings_of(front_end),
        "clips": [{"name": name, "samples": text(y.tobytes())} for name, y in clips.items()],
    }
