"""musicnn (Pons & Serra 2019) as its package describes it, in torch: a log-mel spectrogram to 50 tags."""
import torch
import torch.nn.functional as F
from torch import nn


class Branch(nn.Module):
    """A convolution with ReLU and batch norm, then the maximum over all of the frequency axis."""

    def __init__(self, filters, size, pads):
        super().__init__()
        self.conv, self.norm, self.pads = nn.Conv2d(1, filters, size), nn.BatchNorm2d(filters), pads

    def forward(self, x):
        return self.norm(F.relu(self.conv(F.pad(x, self.pads)))).max(3).values


class Middle(nn.Module):
    """A convolution over seven frames of all features."""

    def __init__(self, features, filters):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, filters, (7, features)), nn.BatchNorm2d(filters)

    def forward(self, x):
        return self.norm(F.relu(self.conv(F.pad(x.transpose(1, 2)[:, None], (0, 0, 3, 3))))).squeeze(3)


class Sum(nn.Module):
    """Σ over the last axis: a module, so that zennit can share relevance among what is summed."""

    def forward(self, x):
        return x.sum(-1)


class Mean(nn.Module):
    """The mean over the last axis, likewise."""

    def forward(self, x):
        return x.mean(-1)


class MusiCNN(nn.Module):
    """[n, 187, 96] to the scores of 50 tags."""

    def __init__(self, bands=96, tags=50):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        timbral = [Branch(204, (7, int(part * bands)), (0, 0, 3, 3)) for part in (0.4, 0.7)]
        temporal = [Branch(51, (size, 1), (0, 0, (size - 1) // 2, size // 2)) for size in (128, 64, 32)]
        self.front = nn.ModuleList(timbral + temporal)
        self.first, self.second, self.third = Middle(561, 64), Middle(64, 64), Middle(64, 64)
        self.add, self.add_again, self.mean = Sum(), Sum(), Mean()
        self.flat, self.dense = nn.BatchNorm1d(2 * 753), nn.Linear(2 * 753, 200)
        self.last, self.out = nn.BatchNorm1d(200), nn.Linear(200, tags)

    def forward(self, x):
        x = self.norm(x[:, None])
        y = torch.cat([branch(x) for branch in self.front], 1)
        one = self.first(y)
        two = self.add(torch.stack([one, self.second(one)], -1))
        three = self.add_again(torch.stack([two, self.third(two)], -1))
        y = torch.cat([y, one, two, three], 1)
        y = torch.stack([y.max(2).values, self.mean(y)], 2).flatten(1)
        return self.out(self.last(F.relu(self.dense(self.flat(y)))))
