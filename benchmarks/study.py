"""What is explained: the study's network with the embedded weights, and a hundred clips."""
import dataclasses
import json
import pathlib

import numpy as np
import soundfile

import features
import lrp_core
from audio_lrp import EMBEDDED_CLIP, EMBEDDED_MODEL
from features.synth import CLASSES, synthesize

REAL = pathlib.Path(__file__).parents[2] / "shared" / "data" / "urbansound8k_mel64.npz"
CLIPS, SEED = 100, 0


def network():
    """The embedded network."""
    return lrp_core.load(EMBEDDED_MODEL)


def random_network(seed=0):
    """The study's network with random weights (He et al. 2015) and biases N(0, 0.05): half of its units live.

    Nothing in the program was made for such a network; the embedded one has a tenth of its units alive.
    """
    rng, embedded = np.random.default_rng(seed), network()

    def drawn(layer):
        if not isinstance(layer, lrp_core.layers.Weighted):
            return layer
        spread = np.sqrt(2 / np.prod(layer.kernel.shape[:-1]))
        return dataclasses.replace(layer, kernel=rng.normal(0, spread, layer.kernel.shape).astype(np.float32),
                                   bias=rng.normal(0, 0.05, layer.bias.shape).astype(np.float32))
    nodes = [(node.name, drawn(node.layer), node.inputs) for node in embedded.nodes]
    return embedded.replace(nodes=nodes, reference=None)


def images(count):
    """Images of `count` procedural sounds, all classes in turn."""
    return np.stack([features.clip_image(synthesize(n % len(CLASSES), n), 44_100) for n in range(count)])


def inputs(count=CLIPS, real=REAL):
    """(images [count, 64, 64, 3], what they are): real clips drawn at random where the data set lies beside
    the checkout.
    """
    if not real.exists():
        return images(count), f"{count} procedural sounds"
    with np.load(real) as arrays:
        level = arrays["level"]
    chosen = np.random.default_rng(SEED).choice(len(level), count, replace=False)
    return features.colour(level[chosen]), f"{count} clips of UrbanSound8K, drawn with seed {SEED}"


def clips(folder=REAL.parent / "clips"):
    """([(samples [n], rate in Hz, class number)], what they are): the real clips beside the checkout, or the
    embedded one.

    The real ones are padded to four seconds with zeros, which are taken off: the front end knows what to do
    with a short sound.
    """
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        return [(*soundfile.read(EMBEDDED_CLIP), CLASSES.index(EMBEDDED_CLIP.stem))], "the embedded clip"
    found = [(soundfile.read(path), int(path.stem.split("-")[1])) for path in paths]
    return ([(np.trim_zeros(y, "b"), rate, number) for (y, rate), number in found],
            f"{len(found)} clips of UrbanSound8K, mono, 22.05 kHz, none of which the network was trained on")


def repeated(x, count):
    """`count` images: those of x, again and again."""
    return x[np.arange(count) % len(x)]


def layers(network):
    """The network in plain words for the peers: a list of dicts. A ReLU belongs to the layer before it;
    dropout and the
    softmax, which is not explained, are left out."""
    found = []
    for node in network.nodes:
        kind, layer = node.layer.type, node.layer
        if kind == "ReLU":
            found[-1]["relu"] = True
        elif kind == "MaxPool2D":
            shape = network.shapes[node.inputs[0]]
            found.append({"type": kind, "name": node.name, "size": layer.pool_size, "strides": layer.strides,
                          "padding": layer.padding, "pads": layer.window.pads(*shape[:2])})
        elif kind == "Flatten":
            found.append({"type": kind, "name": node.name, "shape": network.shapes[node.inputs[0]]})
        elif kind in ("Conv2D", "Dense"):
            found.append({"type": kind, "name": node.name})
        elif kind not in ("Dropout", "Softmax"):
            raise ValueError(f"the peers are not told how to build {node.name!r} ({kind})")
    return found


def write(path, network, x):
    """One .npz with the network and the images, for peers that know nothing of this project."""
    arrays = {f"{node.name}/{key}": getattr(node.layer, key) for node in network.nodes
              for key in node.layer.arrays}
    np.savez(path, x=x, layers=np.array(json.dumps(layers(network))), **arrays)
