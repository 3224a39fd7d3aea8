"""A small report to test with: how to write it, and to read what is in it."""
import base64
import html.parser
import io
import json

import click.testing
import numpy as np
import soundfile

import audio_lrp
import lrp_core
from audio_lrp.cli import main

HOSTILE = "<b>&\"x'.wav"
PRESETS = ("epsilon", "preset_a_flat")
CLASSES = ("dog_bark", "siren", "street_music")


def run(*arguments):
    return click.testing.CliRunner().invoke(main, [str(a) for a in arguments])


def last_layer(network, change):
    """A network whose last layer has change(kernel, bias) instead of its own, and a softmax; with CLASSES."""
    *nodes, last = network.scoring.nodes
    output = lrp_core.layers.Dense(*change(last.layer.kernel, last.layer.bias))
    return lrp_core.Network([*((n.name, n.layer, n.inputs) for n in nodes), (last.name, output, last.inputs),
                             ("softmax", lrp_core.layers.Softmax(), (last.name,))],
                            network.input_shape, class_names=CLASSES)


def small_model(folder):
    """(network, path): the embedded network with three of its classes, so that there is less to explain."""
    network = lrp_core.load(audio_lrp.EMBEDDED_MODEL)
    keep = [network.class_names.index(name) for name in CLASSES]
    last_layer(network, lambda kernel, bias: (kernel[:, keep], bias[keep])).save(folder / "small.npz")
    return lrp_core.load(folder / "small.npz"), folder / "small.npz"


def write_report(folder, model):
    """(path, Page) of a report of the embedded clip and of a short sound with a hostile name; one preset is
    asked for twice.
    """
    rng = np.random.default_rng(1)
    soundfile.write(folder / HOSTILE, np.convolve(rng.standard_normal(22_050), np.hanning(30), "same") / 40,
                    22_050)
    path = folder / "report.html"
    result = run("report", audio_lrp.EMBEDDED_CLIP, folder / HOSTILE, "-o", path, "--model", model,
                 "--rules", "epsilon", "--rules", "flat", "--rules", "preset_a_flat")
    assert result.exit_code == 0, result.output
    return path, Page(path.read_text(encoding="utf-8"))


class Page(html.parser.HTMLParser):
    """What a browser would find: tags with their attributes, and the text of scripts, styles and headings."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.append([self.tags[-1], ""])
        self.open = True

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            self.texts[-1][1] += data

    def all(self, tag):
        return [(attributes, text) for (name, attributes), text in self.texts if name == tag]

    def json(self):
        """(common data, data of each clip)."""
        found = [(attributes, json.loads(text)) for attributes, text in self.all("script")
                 if attributes.get("type")]
        return found[-1][1], [data for _, data in found[:-1]]


def unpack(packed):
    return packed["scale"] * np.frombuffer(base64.b64decode(packed["data"]), "<i2")


def sound_of(text):
    return soundfile.read(io.BytesIO(base64.b64decode(text)))
