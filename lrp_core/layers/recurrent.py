"""Recurrent layers over a sequence [t, c]: LSTM, GRU and the plain one, each in one direction.

Weights as Keras has them: kernel W [c, gates·h], recurrent U [h, gates·h], bias b [gates·h], with the gates
side by side. `forward_keeping` keeps what every step computed, which relevance needs on its way back through
time (`lrp_core.through_recurrent`).
"""
import dataclasses
from typing import ClassVar

import numpy as np

from ..text import quote
from . import maps, special
from .base import Layer, frozen, row_shape


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Recurrent(Layer):
    """What they share: parameters, shapes, and the loop over time.

    bias: zeros where it is None. state: h_0 [h], zeros by default. reverse: from the last step to the first;
    the output is in the input's order all the same.
    """
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray | None = None
    state: np.ndarray | None = None
    reverse: bool = False
    arrays: ClassVar[tuple[str, ...]] = ("kernel", "recurrent", "bias", "state")
    options: ClassVar[tuple[str, ...]] = ("reverse",)
    gates: ClassVar[int] = 1

    def __post_init__(self):
        if self.kernel is None or self.recurrent is None:
            raise ValueError(f"{self.type}: kernel and recurrent must be matrices, found None")
        if self.bias is None:
            kernel = np.asarray(self.kernel)
            object.__setattr__(self, "bias", np.zeros(kernel.shape[-1:], kernel.dtype))
        for name in self.arrays:
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, frozen(np.asarray(array), f"{self.type}: the {name}"))
        if self.kernel.ndim != 2 or self.recurrent.ndim != 2:
            raise ValueError(f"{self.type}: kernel and recurrent must be matrices, found {self.kernel.shape} "
                             f"and {self.recurrent.shape}")
        h = self.units
        wanted = {"kernel": (self.kernel.shape[0], self.gates * h), "recurrent": (h, self.gates * h),
                  **{name: (h,) if name in ("state", "cell") else (self.gates * h,)
                     for name in self.arrays[2:]}}
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{self.type}: the {name} must have shape {shape}, found {array.shape}")
        if not isinstance(self.reverse, bool):
            raise ValueError(f"{self.type}: reverse must be true or false, got {quote(self.reverse)}")

    @property
    def _size(self):
        return f"{self.kernel.shape[0]} -> {self.units}"

    @property
    def units(self):
        """h, how many numbers the state has."""
        return self.recurrent.shape[0]

    def output_shape(self, shape):
        length = row_shape(self, shape)
        if shape[1] != self.kernel.shape[0]:
            raise ValueError(f"{self.type}'s kernel takes {self.kernel.shape[0]} channels, its input "
                             f"is {shape}")
        return length, self.units

    def steps(self, length):
        """The numbers of the steps in the order of time."""
        return range(length - 1, -1, -1) if self.reverse else range(length)

    def first(self, name, x):
        """A state before the first step, [n, h]."""
        array = getattr(self, name)
        zero = np.zeros(self.units, x.dtype) if array is None else array
        return np.broadcast_to(zero, (len(x), self.units))

    def by_input(self, x):
        """W x + b for every step at once, [n, t, gates·h]."""
        return maps.dense(x, self.kernel, self.bias)

    def part(self, array, number):
        """The columns of a gate: of W, U, b, or of what was computed with them."""
        return array[..., number * self.units:(number + 1) * self.units]

    def forward(self, x):
        return self.forward_keeping(x)[0]


def stacked(steps):
    """{name: [n, t, h]} of a list of {name: [n, h]}, one for each step."""
    return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RNN(Recurrent):
    """h_t = f(W x_t + U h_{t-1} + b), f the activation: "tanh" or "relu"."""
    activation: str = "tanh"
    options = ("reverse", "activation")

    def __post_init__(self):
        super().__post_init__()
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"RNN: the activation must be 'tanh' or 'relu', got {quote(self.activation)}")

    def forward_keeping(self, x):
        h, wx, steps = self.first("state", x), self.by_input(x), [None] * x.shape[1]
        for t in self.steps(x.shape[1]):
            before, z = h, wx[:, t] + maps.dense(h, self.recurrent, None)
            h = np.tanh(z) if self.activation == "tanh" else np.maximum(z, 0)
            steps[t] = {"before": before, "z": z, "h": h}
        kept = stacked(steps)
        return kept["h"], kept


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LSTM(Recurrent):
    """Long short-term memory, its gates in the order i, f, g, o:

        i, f, o = σ(W x_t + U h_{t-1} + b),    g = tanh(W x_t + U h_{t-1} + b)
        c_t = f·c_{t-1} + i·g,                 h_t = o·tanh(c_t)

    cell: c_0 [h], zeros by default.
    """
    cell: np.ndarray | None = None
    arrays = ("kernel", "recurrent", "bias", "state", "cell")
    gates = 4

    def forward_keeping(self, x):
        h, c, steps = self.first("state", x), self.first("cell", x), [None] * x.shape[1]
        wx = self.by_input(x)
        for t in self.steps(x.shape[1]):
            z = wx[:, t] + maps.dense(h, self.recurrent, None)
            i, f, o = (special.expit(self.part(z, number)) for number in (0, 1, 3))
            g, before, c_before = np.tanh(self.part(z, 2)), h, c
            c = f * c + i * g
            h = o * np.tanh(c)
            steps[t] = {"before": before, "c_before": c_before, "c": c, "h": h, "i": i, "f": f, "g": g,
                        "o": o, "z": self.part(z, 2)}
        kept = stacked(steps)
        return kept["h"], kept


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GRU(Recurrent):
    """Gated recurrent unit, its gates in the order u, r, n:

        u, r = σ(W x_t + b + U h_{t-1} + b'),   h_t = (1 - u)·n + u·h_{t-1}
        n = tanh(W x_t + b + r·(U h_{t-1} + b'))     reset_after (torch, Keras)
        n = tanh(W x_t + b + U (r·h_{t-1}) + b')     else

    recurrent_bias: b' [3h], zeros by default.
    """
    recurrent_bias: np.ndarray | None = None
    reset_after: bool = True
    arrays = ("kernel", "recurrent", "bias", "state", "recurrent_bias")
    options = ("reverse", "reset_after")
    gates = 3

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.reset_after, bool):
            raise ValueError(f"GRU: reset_after must be true or false, got {quote(self.reset_after)}")

    def forward_keeping(self, x):
        h, wx, steps = self.first("state", x), self.by_input(x), [None] * x.shape[1]
        more = np.zeros_like(self.bias) if self.recurrent_bias is None else self.recurrent_bias
        for t in self.steps(x.shape[1]):
            before, uh = h, maps.dense(h, self.recurrent, more)
            u, r = (special.expit(self.part(wx[:, t], number) + self.part(uh, number))
                    for number in (0, 1))
            if self.reset_after:
                inner = r * self.part(uh, 2)
            else:
                inner = maps.dense(r * h, self.part(self.recurrent, 2), self.part(more, 2))
            z = self.part(wx[:, t], 2) + inner
            n = np.tanh(z)
            h = (1 - u) * n + u * h
            steps[t] = {"before": before, "h": h, "u": u, "r": r, "n": n, "z": z}
        kept = stacked(steps)
        return kept["h"], kept
