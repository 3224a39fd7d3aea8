"""Small versions of today's audio architectures, made in torch with random weights and exported to ONNX by
both of its exporters, with an input and torch's own scores: architectures/NAME.EXPORTER.onnx and .npz.

    torch-env/bin/python tests/data/make_architectures.py          # torch, onnx, onnxscript

The tests read the files, and need no torch.
"""
import contextlib
import io
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "architectures"


class CRNN(nn.Module):
    """Convolutions over a spectrogram [1, t, f], a recurrent layer over time, the mean over time."""

    def __init__(self, kind, bidirectional=True):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
                                  nn.MaxPool2d((1, 4)))
        self.rnn = kind(6 * 4, 8, batch_first=True, bidirectional=bidirectional)
        self.out = nn.Linear(16 if bidirectional else 8, 5)

    def forward(self, x):
        y = self.conv(x).permute(0, 2, 1, 3).flatten(2)
        y, _ = self.rnn(y)
        return self.out(y.mean(1))


class Attention(nn.Module):
    """Multi-head self-attention, written out as in ViT."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        return self.out((a @ v).transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    """A transformer's block, normalised first."""

    def __init__(self, width=12, heads=3):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class AST(nn.Module):
    """Audio spectrogram transformer: patches, a class token, positions, blocks."""

    def __init__(self, width=12):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(
            torch.randn(1, 17, width))
        self.blocks, self.norm = nn.Sequential(Block(width), Block(width)), nn.LayerNorm(width)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(len(y), -1, -1), y], 1) + self.positions
        return self.head(self.norm(self.blocks(y))[:, 0])


class Conformer(nn.Module):
    """Half a feed-forward step, torch's own attention, a convolution with GLU, half a step."""

    def __init__(self, width=8):
        super().__init__()
        self.first, self.last = self.step(width), self.step(width)
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2, self.wide = nn.LayerNorm(width), nn.Conv1d(width, 2 * width, 1)
        self.depth = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.batch, self.narrow = nn.BatchNorm1d(width), nn.Conv1d(width, width, 1)
        self.norm3, self.head = nn.LayerNorm(width), nn.Linear(width, 4)

    @staticmethod
    def step(width):
        return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(),
                             nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + 0.5 * self.first(x)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = F.glu(self.wide(self.norm2(x).transpose(1, 2)), 1)
        x = x + self.narrow(F.silu(self.batch(self.depth(y)))).transpose(1, 2)
        return self.head(self.norm3(x + 0.5 * self.last(x)).mean(1))


class Squeeze(nn.Module):
    """Squeeze and excitation: each channel by a gate that sees all."""

    def __init__(self, channels, gate):
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1), gate

    def forward(self, x):
        return x * self.gate(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class SEResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
                                  nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), Squeeze(6, nn.Sigmoid()))
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = self.stem(x)
        return self.head(F.relu(x + self.body(x)).mean((2, 3)))


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.Hardswish())
        self.block = nn.Sequential(nn.Conv2d(6, 12, 1), nn.BatchNorm2d(12), nn.Hardswish(),
                                   nn.Conv2d(12, 12, 5, padding=2, groups=12), nn.BatchNorm2d(12),
                                   nn.Hardswish(), Squeeze(12, nn.Hardsigmoid()), nn.Conv2d(12, 6, 1),
                                   nn.BatchNorm2d(6))
        self.head = nn.Sequential(nn.Linear(6, 8), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(8, 4))

    def forward(self, x):
        x = self.stem(x)
        return self.head(F.adaptive_avg_pool2d(x + self.block(x), 1).flatten(1))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 4, stride=4), LayerNorm2d(width))
        self.depth, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.scale, self.head = nn.Parameter(torch.rand(width)), nn.Linear(width, 4)

    def forward(self, x):
        x = self.stem(x)
        y = self.scale * self.mlp(self.norm(self.depth(x).permute(0, 2, 3, 1)))
        return self.head((x + y.permute(0, 3, 1, 2)).mean((2, 3)))


class ECAPA(nn.Module):
    """A Res2Net step, squeeze and excitation over time, attentive statistics."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Conv1d(5, width, 5, padding=2)
        quarter = width // 4
        self.parts = nn.ModuleList(nn.Conv1d(quarter, quarter, 3, padding=2, dilation=2) for _ in range(3))
        self.down, self.up = nn.Conv1d(width, 3, 1), nn.Conv1d(3, width, 1)
        self.look, self.score = nn.Conv1d(3 * width, 4, 1), nn.Conv1d(4, width, 1)
        self.head = nn.Linear(2 * width, 4)

    def forward(self, x):
        x = F.relu(self.first(x))
        pieces = torch.chunk(x, 4, 1)
        made, y = [pieces[0]], pieces[0]
        for piece, conv in zip(pieces[1:], self.parts):
            y = F.relu(conv(piece + y if len(made) > 1 else piece))
            made.append(y)
        y = torch.cat(made, 1)
        y = x + y * torch.sigmoid(self.up(F.relu(self.down(y.mean(2, keepdim=True)))))
        mean, deviation = y.mean(2, keepdim=True), torch.sqrt(y.var(2, keepdim=True, unbiased=False) + 1e-5)
        seen = torch.cat([y, mean.expand_as(y), deviation.expand_as(y)], 1)
        w = torch.softmax(self.score(torch.tanh(self.look(seen))), 2)
        mean = (w * y).sum(2)
        deviation = torch.sqrt((w * y ** 2).sum(2) - mean ** 2 + 1e-5)
        return self.head(torch.cat([mean, deviation], 1))


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, :-self.size]


class TCN(nn.Module):
    """Causal convolutions by padding both ends and cutting one, with a residual."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv1d(3, 6, 3, padding=2), Chomp(2), nn.ReLU(),
                                 nn.Conv1d(6, 6, 3, padding=4, dilation=2), Chomp(4), nn.ReLU())
        self.skip, self.head = nn.Conv1d(3, 6, 1), nn.Linear(6, 4)

    def forward(self, x):
        return self.head(F.relu(self.one(x) + self.skip(x))[:, :, -1])


class UNet(nn.Module):
    """A mask for each cell of a spectrogram."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.inner = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.wide = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.out = nn.Sequential(nn.Conv2d(16, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))

    def forward(self, x):
        y = self.down(x)
        z = self.inner(y)
        return self.out(torch.cat([y, self.up(z), self.wide(z)], 1))


class XVector(nn.Module):
    """Frames, then their mean and standard deviation."""

    def __init__(self):
        super().__init__()
        self.frames = nn.Sequential(nn.Conv1d(5, 8, 5), nn.ReLU(), nn.Conv1d(8, 8, 3, dilation=2), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x):
        y = self.frames(x)
        return self.head(torch.cat([y.mean(2), torch.sqrt(y.var(2, unbiased=True) + 1e-4)], 1))


class LogMel(nn.Module):
    """Samples: a Fourier transform as a convolution, power, mel, log, a network."""

    def __init__(self, size=32, hop=16, bands=8):
        super().__init__()
        k, n = np.arange(size // 2 + 1)[:, None], np.arange(size)
        waves = np.hanning(size) * np.exp(-2j * np.pi * k * n / size)
        self.real, self.imaginary = (nn.Parameter(torch.tensor(part[:, None], dtype=torch.float32))
                                     for part in (waves.real, waves.imag))
        self.mel, self.hop = nn.Parameter(torch.rand(bands, size // 2 + 1)), hop
        self.conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = F.pad(x[:, None], (16, 16), mode="reflect")
        real, imaginary = (F.conv1d(x, part, stride=self.hop) for part in (self.real, self.imaginary))
        y = torch.log(self.mel @ (real ** 2 + imaginary ** 2) + 1e-2)
        return self.head(self.conv(y[:, None]).mean((2, 3)))


MODELS = {"crnn_gru": (lambda: CRNN(nn.GRU), (1, 12, 16)), "crnn_lstm": (lambda: CRNN(nn.LSTM), (1, 12, 16)),
          "ast": (AST, (1, 16, 16)), "conformer": (Conformer, (10, 8)), "se_resnet": (SEResNet, (1, 12, 10)),
          "mobilenet_v3": (MobileNetV3, (1, 16, 16)), "convnext": (ConvNeXt, (1, 16, 16)),
          "ecapa": (ECAPA, (5, 20)), "tcn": (TCN, (3, 20)), "unet": (UNet, (1, 8, 12)),
          "xvector": (XVector, (5, 20)), "log_mel": (LogMel, (160,))}


def settled(model):
    """Batch norms with means and variances of their own."""
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.1)
    return model.eval()


def without_traces(path):
    """Take out of a file where on this machine its nodes were made."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [(note.key, note.value) for note in node.metadata_props if "name_scopes" in note.key]
        del node.metadata_props[:]
        for key, value in kept:
            node.metadata_props.add(key=key, value=value)
        node.ClearField("doc_string")
    onnx.save(model, path)


def main(wanted):
    FOLDER.mkdir(exist_ok=True)
    for number, (name, (make, shape)) in enumerate(MODELS.items()):
        if wanted and name not in wanted:
            continue
        torch.manual_seed(number)
        model, x = settled(make()), torch.randn(2, *shape)
        with torch.no_grad():
            np.savez(FOLDER / f"{name}.npz", x=x.numpy(), y=model(x).numpy())
        for exporter in ("script", "dynamo"):
            path = FOLDER / f"{name}.{exporter}.onnx"
            more = {"dynamo": False, "opset_version": 17} if exporter == "script" else {
                "dynamo": True, "external_data": False}
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                torch.onnx.export(model, (x[:1],), str(path), input_names=["x"], output_names=["y"], **more)
            without_traces(path)
            print(name, exporter, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
