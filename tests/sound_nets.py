"""Front ends of five kinds, small random networks that take what they make, and some sounds."""
import functools

import nets
import numpy as np
from fast_nets import fully, scaled

from features import FrontEnd
from features.synth import synthesize
from lrp_core import Network
from lrp_core import layers as L

FRONT_ENDS = {
    "study": FrontEnd.study(),
    "waveform": FrontEnd.waveform(16_000, 1.0, short="loop"),
    "librosa": FrontEnd.log_mel(sr=22_050, n_mels=64, seconds=1.5, short="twice"),
    "htk": FrontEnd.log_mel(sr=16_000, n_fft=400, hop_length=160, n_mels=40, htk=True, norm=None, seconds=1.0,
                            pad_mode="reflect", normalize="standard"),
    "linear": FrontEnd.spectrogram(sr=16_000, n_fft=256, fmin=50.0, fmax=7_000.0, scale="log", seconds=1.0,
                                   window="hamming"),
}
SHAPES = {"study": (64, 64, 3), "waveform": (16_000, 1), "librosa": (1, 64, 65), "htk": (40, 101),
          "linear": (251, 112, 1)}
PRESETS = ["epsilon", "preset_a_flat", "preset_b", "epsilon_plus", "epsilon_gamma_box"]


def nodes_of_map(rng, shape):
    """The first nodes of a network that takes a map, in whatever order of axes: channels last after them."""
    if len(shape) == 2:
        return [("one channel", L.Reshape((*shape, 1)))], 1
    if shape[0] in (1, 3):
        return [("channels last", L.Permute((2, 3, 1)))], shape[0]
    return [], shape[2]


@functools.cache
def cnn(shape, seed=0):
    """Two convolutions with biases, ReLUs and a pool; three classes."""
    rng = np.random.default_rng(seed)
    if len(shape) == 2 and 1 in shape:
        first = [("channels last", L.Permute((2, 1)))] if shape[0] == 1 else []
        conv = [("conv1", L.Conv1D(nets.numbers(rng, 16, 1, 8) / 4, nets.numbers(rng, 8) / 10, 8, "same")),
                ("relu1", L.ReLU()), ("pool", L.MaxPool1D(4, 4)),
                ("conv2", L.Conv1D(nets.numbers(rng, 5, 8, 8) / 6, nets.numbers(rng, 8) / 10, 2)),
                ("relu2", L.ReLU()), ("mean", L.GlobalAveragePool1D())]
    else:
        first, channels = nodes_of_map(rng, shape)
        conv = [("conv1", scaled(rng, (3, 3), channels, 8, strides=(2, 2))), ("relu1", L.ReLU()),
                ("pool", L.MaxPool2D(2, 2)), ("conv2", scaled(rng, (3, 3), 8, 8)), ("relu2", L.ReLU()),
                ("mean", L.GlobalAveragePool2D())]
    return Network([*first, *conv, ("out", fully(rng, 8, 3))], shape, class_names=nets.CLASSES)


SOUNDS = {"siren": ("siren", 3, 22_050, 4.0), "bark, short": ("dog_bark", 1, 44_100, 0.6),
          "shot, low rate": ("gun_shot", 2, 8_000, 1.1)}


@functools.cache
def sound(name):
    """(samples [n] float64, their rate), samples that float32 holds."""
    kind, seed, rate, seconds = SOUNDS[name]
    return synthesize(kind, seed, sample_rate=rate, seconds=seconds).astype(np.float64), rate
