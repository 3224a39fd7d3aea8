"""The valid files that everything hostile is made from: small, made here, and between them with every kind of
layer.
"""
import io
import pathlib
import tempfile

import numpy as np
import soundfile
from forge import Forge, small_network
from onnx_models import ints, make, node

import lrp_core
from lrp_core import layers as L

RATE = 8_000


def draw(*shape):
    """Small numbers, the same for a shape each time."""
    return (0.5 * np.random.default_rng(shape).standard_normal(shape)).astype(np.float32)


def branching():
    """A network with every layer for maps that `forge.small_network` lacks."""
    return lrp_core.Network([
        ("pad", L.ZeroPadding2D(((1, 0), (0, 1)))), ("depth", L.DepthwiseConv2D(draw(2, 2, 2, 2), draw(4))),
        ("gelu", L.GELU()),
        ("norm", L.BatchNorm(draw(4) + 1, draw(4))), ("leaky", L.LeakyReLU()),
        ("grouped", L.Conv2D(draw(3, 3, 2, 4), draw(4), padding="same", groups=2)),
        ("sum", L.Add(), ("grouped", "leaky")), ("difference", L.Subtract(), ("sum", "norm")),
        ("six", L.ReLU6()),
        ("joined", L.Concatenate(), ("six", "leaky")), ("crop", L.Cropping2D(((0, 1), (1, 0)))),
        ("larger", L.UpSampling2D(2)),
        ("up", L.Conv2DTranspose(draw(2, 2, 3, 8), draw(3), strides=2)), ("silu", L.SiLU()),
        ("turned", L.Permute((2, 1, 3))),
        ("elu", L.ELU()), ("most", L.GlobalMaxPool2D()), ("layer", L.LayerNorm(draw(3) + 1, draw(3))),
        ("scale", L.Scale(2.0)),
        ("dense", L.Dense(draw(3, 2), draw(2))), ("sigmoid", L.Sigmoid())], (4, 5, 2))


def sequence():
    """A network for sequences."""
    return lrp_core.Network([
        ("conv", L.Conv1D(draw(3, 2, 4), draw(4), strides=2, padding="same")), ("tanh", L.Tanh()),
        ("max", L.MaxPool1D(2)),
        ("conv2", L.Conv1D(draw(2, 4, 4), None, dilation=2)), ("relu", L.ReLU()),
        ("average", L.AveragePool1D(2, 1)),
        ("shape", L.Reshape((3, 2, 2))), ("dense", L.Dense(draw(2, 2))), ("row", L.Reshape((6, 2))),
        ("mean", L.GlobalAveragePool1D())], (24, 2))


def recurrent():
    """Gates, states and functions of single numbers, over a sequence."""
    return lrp_core.Network([
        ("pad", L.Pad(((1, 2), (0, 0)), "reflect")), ("frames", L.Gather((0, 1, 1, 2, 3, 4), 1)),
        ("lstm", L.LSTM(draw(3, 16), draw(4, 16), draw(16), draw(4), False, draw(4))),
        ("gru", L.GRU(draw(4, 9), draw(3, 9), draw(9), None, True, draw(9), False)),
        ("rnn", L.RNN(draw(3, 4), draw(4, 4), draw(4))), ("hard", L.HardSigmoid()),
        ("gate", L.Multiply(), ("rnn", "hard")), ("mish", L.Mish()), ("swish", L.HardSwish()),
        ("affine", L.Affine(draw(6, 1), draw(4))), ("slopes", L.PReLU(draw(4))), ("selu", L.Selu()),
        ("clip", L.Clip(-3.0, 3.0)), ("soft", L.Softplus()), ("root", L.Sqrt()), ("log", L.Log()),
        ("square", L.Power(2.0)), ("exp", L.Exp()), ("inverse", L.Reciprocal()), ("sign", L.Abs()),
        ("erf", L.Erf()), ("signs", L.Softsign()), ("sine", L.Sin()),
        ("cosine", L.Cos()), ("tangent", L.Tan()), ("angle", L.Atan()), ("sinh", L.Sinh()),
        ("cosh", L.Cosh()), ("up", L.Ceil()), ("step", L.Step(True)), ("nan", L.IsNaN()), ("inf", L.IsInf()),
        ("chosen", L.Where(), ("inf", "up", "sine")), ("first", L.Slice(-1, None, 1, 1)),
        ("tile", L.Tile((2, 1))), ("mean", L.Mean((1,))),
        ("most", L.GlobalMaxPool1D(), ("lstm",)), ("both", L.Add(), ("mean", "most")),
        ("out", L.Dense(draw(4, 3)))], (5, 3))


def attention():
    """Products of tensors, normalisations, softmaxes, reductions over a map."""
    return lrp_core.Network([
        ("group", L.GroupNorm(draw(4) + 1, draw(4), groups=2)), ("local", L.LocalResponseNorm(3)),
        ("rms", L.RMSNorm(draw(4) + 1, draw(4))), ("q", L.Dense(draw(4, 4), draw(4)), ("rms",)),
        ("k", L.Permute((1, 3, 2)), ("rms",)), ("scores", L.MatMul(), ("q", "k")), ("soft", L.Softmax()),
        ("seen", L.MatMul(), ("soft", "rms")), ("larger", L.Maximum(), ("seen", "rms")),
        ("smaller", L.Minimum(), ("larger", "q")), ("wave", L.Projection(draw(4, 6))),
        ("logs", L.LogSoftmax()), ("ratio", L.Divide(), ("wave", "logs")), ("sum", L.Sum((1,))),
        ("most", L.Max((-1,))), ("round", L.Round()), ("floor", L.Floor()), ("sign", L.Sign())],
        (2, 3, 4))


def models():
    """Model files, as bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = pathlib.Path(folder) / "net.npz", []
        for network, storage in ((small_network(), "float32"), (branching(), "float32"),
                                 (sequence(), "float16"), (recurrent(), "float32"),
                                 (attention(), "float32")):
            x = draw(2, *network.input_shape)
            classes = network.scores
            network.replace(
                reference=(x, network.logits(x)),
                class_names=[f"class {k}" for k in range(classes)],
                metadata={"licence": "none", "front_end": {"rate": 44100}},
            ).save(path, storage=storage)
            found.append(path.read_bytes())
        forged = Forge(path)
        forged.write(method=0)  # stored, not deflated: damaged bytes reach the arrays
        return [*found, path.read_bytes()]


def onnx():
    """ONNX files, as bytes."""
    made = [model.SerializeToString() for model in (plain(), residual(), computed(), transposed())]
    folder = pathlib.Path(__file__).parents[1] / "data" / "architectures"
    return made + [(folder / f"{name}.onnx").read_bytes() for name in (
        "tcn.script", "xvector.script", "log_mel.script", "crnn_gru.script", "conformer.script")]


def plain():
    """Convolution, pool, dense layer."""
    return make([node("Conv", "x w b", "a", name="conv", pads=[1, 1, 1, 1], strides=[1, 2]),
                 node("Relu", "a", "r"),
                 node("MaxPool", "r", "m", kernel_shape=[2, 2]), node("Flatten", "m", "f"),
                 node("Gemm", "f k", "g"), node("Softmax", "g")],
                {"w": draw(2, 1, 3, 3), "b": draw(2), "k": draw(12, 3)}, (1, 4, 5))


def residual():
    """Branches that are added and joined, normalisation, patterns that are rewritten."""
    nodes = [node("Conv", "x w", "a"), node("BatchNormalization", "a s t u v", "n"),
             node("LeakyRelu", "n", "r", alpha=0.1),
             node("Conv", "r d", "e", group=4, auto_pad="SAME_UPPER"), node("Add", "e r", "p"),
             node("Sigmoid", "p", "q"),
             node("Mul", "p q", "swish"), node("Concat", "swish r", "c", axis=1),
             node("Resize", "c empty scales", "z", mode="nearest", nearest_mode="round_prefer_floor"),
             node("ReduceMean", "z", "i", axes=[2, 3], keepdims=0), node("MatMul", "i k", "l"),
             node("Add", "l o")]
    return make(nodes, {"w": draw(4, 2, 3, 2), "d": draw(4, 1, 3, 3), "s": draw(4), "t": draw(4),
                        "u": draw(4), "v": draw(4) ** 2 + 1,
                        "empty": np.zeros(0, np.float32), "scales": np.float32([1, 1, 2, 2]), "k": draw(8, 3),
                        "o": draw(3)}, (2, 6, 5))


def computed():
    """A sequence, and a shape that the file works out."""
    nodes = [node("Conv", "x w b", "a", dilations=[2]), node("Pad", "a pads", "p"),
             node("Transpose", "p", "d", perm=[0, 2, 1]),
             node("Shape", "d", "shape"), node("Gather", "shape zero", "n"),
             node("Concat", "n rest", "whole", axis=0),
             node("Reshape", "d whole", "flat"), node("Clip", "flat low high", "six"),
             node("Gemm", "six k", transB=1)]
    return make(nodes, {"w": draw(3, 2, 2), "b": draw(3), "pads": ints(0, 0, 1, 0, 0, 1), "zero": ints(0),
                        "rest": ints(-1),
                        "low": np.float32(0), "high": np.float32(6), "k": draw(2, 27)}, (2, 9))


def transposed():
    """A transposed convolution, pools, arithmetic with constants."""
    nodes = [node("ConvTranspose", "x w", "a", strides=[2, 2], pads=[1, 0, 0, 1]),
             node("AveragePool", "a", "p", kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2]),
             node("Elu", "p", "e"),
             node("GlobalAveragePool", "e", "g"), node("Squeeze", "g axes", "s"), node("Sub", "s o", "d"),
             node("Neg", "d")]
    return make(nodes, {"w": draw(2, 3, 3, 2), "axes": ints(2, 3), "o": draw(3)}, (2, 3, 4))


def sounds():
    """(bytes, ending) of sounds in every format people send."""
    t = np.arange(RATE // 4) / RATE
    y = 0.5 * np.sin(2 * np.pi * (200 + 900 * t) * t)
    stereo, found = np.stack([y, y[::-1]], axis=1), []
    for ending, options, samples in (
            ("wav", {"subtype": "PCM_16"}, y), ("wav", {"subtype": "PCM_24"}, stereo),
            ("wav", {"subtype": "FLOAT"}, y), ("wav", {"subtype": "DOUBLE"}, stereo),
            ("wav", {"subtype": "PCM_U8"}, y), ("wav", {"subtype": "IMA_ADPCM"}, y), ("flac", {}, y),
            ("flac", {"subtype": "PCM_24"}, stereo), ("ogg", {}, y),
            ("mp3", {}, stereo), ("aiff", {}, y), ("au", {}, y), ("caf", {}, y), ("w64", {}, y)):
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE, format="mp3" if ending == "mp3" else ending, **options)
        found.append((timeless(buffer.getvalue()), ending))
    return found


def timeless(data):
    """A sound without what its encoder takes from the clock: the date of a peak, the number of a stream."""
    data = bytearray(data)
    if (at := data.find(b"PEAK")) > 0:
        data[at + 12:at + 16] = bytes(4)
    begin = 0 if data.startswith(b"OggS") else len(data)
    while begin < len(data):
        segments = data[begin + 26]
        end = begin + 27 + segments + sum(data[begin + 27:begin + 27 + segments])
        data[begin + 14:begin + 18], data[begin + 22:begin + 26] = b"fuzz", bytes(4)
        data[begin + 22:begin + 26] = ogg_sum(data[begin:end]).to_bytes(4, "little")
        begin = end
    return bytes(data)


def ogg_sum(page):
    """The check sum of an Ogg page, whose own place holds zeros: CRC-32 with the high bits first."""
    found = 0
    for byte in page:
        found ^= byte << 24
        for _ in range(8):
            found = (found << 1 ^ (0x04C11DB7 if found >> 31 else 0)) & 0xFFFFFFFF
    return found
