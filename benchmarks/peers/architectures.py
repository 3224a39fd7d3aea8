"""Networks that people use, as their authors publish them, in torch. All modules are plain ones, in the order
of the forward pass.

CNN14: Kong et al. 2020 (PANNs, 1912.10211). CREPE: Kim et al. 2018 (1802.06182). EfficientNet-Lite0: Tan and
Le 2019 (1905.11946) without squeeze and excitation, ReLU6 for swish. DNSMOS P.808: Reddy et al. 2021
(2010.15258). ResNet-18: He et al. 2016 (1512.03385). VGG-16: Simonyan and Zisserman 2015 (1409.1556).
"""
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Add(nn.Module):
    """a + b: a module, so that tools that look at modules see the sum."""

    def forward(self, a, b):
        return a + b


class Swap(nn.Module):
    """Two axes change places."""

    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.transpose(*self.axes)


def convolution(inputs, outputs, size, *, strides=1, groups=1, activation=nn.ReLU):
    """A convolution without a bias and its batch norm, "same" as torch pads."""
    found = [nn.Conv2d(inputs, outputs, size, strides, size // 2, groups=groups, bias=False),
             nn.BatchNorm2d(outputs)]
    return found if activation is None else [*found, activation()]


class CNN14(nn.Module):
    """A log-mel spectrogram [n, 1, frames, 64] to the scores of AudioSet's 527 classes."""
    shape = (1, 101, 64)  # a second at 32 kHz, a frame for every 320 samples

    def __init__(self):
        super().__init__()
        channels = (1, 64, 128, 256, 512, 1024, 2048)
        blocks = []
        for number, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
            blocks += [*convolution(inputs, outputs, 3), *convolution(outputs, outputs, 3)]
            blocks += [nn.AvgPool2d(2)] * (number < 5)
        self.bands = nn.Sequential(Swap(1, 3), nn.BatchNorm2d(64), Swap(1, 3))
        self.blocks = nn.Sequential(*blocks)
        self.mean = nn.AdaptiveAvgPool2d((None, 1))
        self.highest, self.average = nn.AdaptiveMaxPool2d((1, 1)), nn.AdaptiveAvgPool2d((1, 1))
        self.add, self.flat = Add(), nn.Flatten()
        self.hidden, self.relu, self.scores = nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 527)

    def forward(self, x):
        x = self.mean(self.blocks(self.bands(x)))
        x = self.flat(self.add(self.highest(x), self.average(x)))
        return self.scores(self.relu(self.hidden(x)))

    @staticmethod
    def input(shape):
        """Decibels."""
        return 15 * torch.randn(shape) - 40


class CREPE(nn.Sequential):
    """A frame of 1024 samples at 16 kHz [n, 1, 1024, 1] to the scores of 360 pitches; the full size."""
    shape = (1, 1024, 1)

    def __init__(self):
        channels, layers = (1, 1024, 128, 128, 128, 256, 512), []
        for number, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
            width, stride, pads = (64, 1, (31, 32)) if number else (512, 4, (254, 254))
            layers += [nn.ZeroPad2d((0, 0, *pads)), nn.Conv2d(inputs, outputs, (width, 1), (stride, 1)),
                       nn.ReLU(), nn.BatchNorm2d(outputs), nn.MaxPool2d((2, 1))]
        super().__init__(*layers, Swap(1, 2), nn.Flatten(), nn.Linear(2048, 360))

    @staticmethod
    def input(shape):
        """A normalised frame of noise."""
        return torch.randn(shape)


class Inverted(nn.Module):
    """A block of EfficientNet: wider, a depthwise convolution, narrower, and added to its input where that
    fits.
    """

    def __init__(self, inputs, outputs, size, strides, expansion):
        super().__init__()
        wide = inputs * expansion
        widen = convolution(inputs, wide, 1, activation=nn.ReLU6) if expansion > 1 else []
        self.body = nn.Sequential(
            *widen, *convolution(wide, wide, size, strides=strides, groups=wide, activation=nn.ReLU6),
            *convolution(wide, outputs, 1, activation=None))
        self.add = Add() if strides == 1 and inputs == outputs else None

    def forward(self, x):
        return self.body(x) if self.add is None else self.add(x, self.body(x))


class EfficientNetLite0(nn.Sequential):
    """An image [n, 3, 224, 224] to the scores of 1000 classes."""
    shape = (3, 224, 224)
    # blocks, width of the window, strides, expansion, channels
    stages = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
              (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))

    def __init__(self):
        layers, inputs = convolution(3, 32, 3, strides=2, activation=nn.ReLU6), 32
        for blocks, size, strides, expansion, outputs in self.stages:
            for number in range(blocks):
                layers.append(Inverted(inputs, outputs, size, 1 if number else strides, expansion))
                inputs = outputs
        super().__init__(*layers, *convolution(320, 1280, 1, activation=nn.ReLU6),
                         nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(1280, 1000))

    @staticmethod
    def input(shape):
        """Colours from -1 to 1."""
        return 2 * torch.rand(shape) - 1


class DNSMOS(nn.Sequential):
    """Nine seconds of log-mel frames [n, 1, 900, 120] to one opinion score; the network of P.808."""
    shape = (1, 900, 120)

    def __init__(self):
        channels, layers = (1, 32, 32, 32, 32, 64), []
        for number, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] * (number in (0, 1, 3))
        super().__init__(*layers, nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(),
                         nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    @staticmethod
    def input(shape):
        """Decibels, scaled as the authors do, from -1 to 1."""
        return 2 * torch.rand(shape) - 1


class Residual(nn.Module):
    """A block of ResNet-18: two convolutions, added to their input."""

    def __init__(self, inputs, outputs, strides):
        super().__init__()
        self.body = nn.Sequential(*convolution(inputs, outputs, 3, strides=strides),
                                  *convolution(outputs, outputs, 3, activation=None))
        same = strides == 1 and inputs == outputs
        self.beside = None if same else nn.Sequential(*convolution(inputs, outputs, 1, strides=strides,
                                                                   activation=None))
        self.add, self.relu = Add(), nn.ReLU()

    def forward(self, x):
        return self.relu(self.add(x if self.beside is None else self.beside(x), self.body(x)))


class ResNet18(nn.Sequential):
    """An image [n, 3, 224, 224] to the scores of 1000 classes."""
    shape = (3, 224, 224)
    input = staticmethod(EfficientNetLite0.input)

    def __init__(self):
        channels = (64, 64, 128, 256, 512)
        blocks = [Residual(*pair, strides=1 + (pair[0] != outputs and not second))
                  for inputs, outputs in zip(channels, channels[1:])
                  for second, pair in enumerate(((inputs, outputs), (outputs, outputs)))]
        super().__init__(*convolution(3, 64, 7, strides=2), nn.MaxPool2d(3, 2, 1), *blocks,
                         nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(512, 1000))


class VGG16(nn.Sequential):
    """An image [n, 3, 224, 224] to the scores of 1000 classes."""
    shape = (3, 224, 224)
    input = staticmethod(EfficientNetLite0.input)

    def __init__(self):
        layers, inputs = [], 3
        for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        super().__init__(*layers, nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096),
                         nn.ReLU(), nn.Linear(4096, 1000))


ARCHITECTURES = {"CNN14": CNN14, "CREPE full": CREPE, "EfficientNet-Lite0": EfficientNetLite0,
                 "DNSMOS P.808": DNSMOS, "ResNet-18": ResNet18, "VGG-16": VGG16}


def random_model(name):
    """(a network with random weights, its input drawn likewise [32, ...]): He weights, small biases, batch
    norms whose statistics are those of the input.
    """
    torch.manual_seed(0)
    model = ARCHITECTURES[name]()
    x = model.input((32, *model.shape))
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                module.bias.data.normal_(0, 0.05)
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
            module.momentum = None  # the statistics of what it sees, not a running mean
    with torch.no_grad():
        model.train()(x[:8])
    return folded(model.eval()), x


def folded(model):
    """The model with each batch norm folded into the convolution right before it, as one runs it: all tools
    get the same rounded weights.
    """
    for parent in [module for module in model.modules() if isinstance(module, nn.Sequential)]:
        layers = list(parent.named_children())
        for (name, layer), (following, norm) in zip(layers, layers[1:]):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                delattr(parent, following)
    return model
