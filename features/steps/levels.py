"""Steps that give each cell another number: decibels, logarithm, normalisation."""
import dataclasses
import math

import numpy as np

from .base import Level, check, one_of


def over(x):
    """All axes but the batch's."""
    return tuple(range(1, x.ndim))


@dataclasses.dataclass(frozen=True)
class Decibels(Level):
    """10 log10(S / ref), as librosa's power_to_db (kind "power") and amplitude_to_db ("amplitude", 20 log10).

    ref: a number, or "max", each clip's own maximum. amin: what S and ref are at least. top_db: how far below
    its maximum a clip may fall; None: without limit.
    """
    stage = "decibels"
    ref: float | str = 1.0
    amin: float | None = None
    top_db: float | None = 80.0
    kind: str = "power"

    def __post_init__(self):
        check("ref", self.ref, low=0, also=("max",))
        check("amin", self.amin, low=1e-30, also=(None,))
        check("top_db", self.top_db, low=0, also=(None,))
        one_of("kind", self.kind, ("power", "amplitude"))

    def forward(self, x):
        factor, amin = (10, 1e-10) if self.kind == "power" else (20, 1e-5)
        amin = amin if self.amin is None else self.amin
        y = np.maximum(x, amin)
        np.log10(y, out=y)
        y *= factor
        top = y.max(axis=over(y), keepdims=True)
        if self.ref == "max":
            y, top = y - top, 0 * top
        else:
            ref = factor * np.log10(max(self.ref, amin))
            y, top = y - ref, top - ref
        return y if self.top_db is None else np.maximum(y, top - self.top_db)


@dataclasses.dataclass(frozen=True)
class Log(Level):
    """The natural logarithm, log(max(x, floor) + offset), or to base 10."""
    stage = "log"
    offset: float = 1e-6
    floor: float = 0.0
    base: float = math.e

    def __post_init__(self):
        check("offset", self.offset, low=0)
        check("floor", self.floor, low=0)
        check("base", self.base, low=1.0001)
        if self.offset + self.floor <= 0:
            raise ValueError("a logarithm needs an offset or a floor above 0: silence would become infinite")

    def forward(self, x):
        y = np.log(np.maximum(x, self.floor) + self.offset)
        return y if self.base == math.e else y / np.log(self.base).astype(y.dtype)


@dataclasses.dataclass(frozen=True)
class Stretch(Level):
    """(x - min) / (max - min) of each clip: [0, 1]; a constant becomes all zero."""
    stage = "stretch"

    def forward(self, x):
        low, high = x.min(axis=over(x), keepdims=True), x.max(axis=over(x), keepdims=True)
        return (x - low) / np.where(high > low, high - low, 1)


@dataclasses.dataclass(frozen=True)
class Standardize(Level):
    """(x - mean) / std. Numbers, or one for each entry of the last axis; None: each clip's own.

    epsilon: added to a clip's own deviation.
    """
    stage = "standardize"
    mean: float | tuple | None = None
    std: float | tuple | None = None
    epsilon: float = 1e-12

    def __post_init__(self):
        for what, value in (("mean", self.mean), ("std", self.std)):
            low, several = 1e-30 if what == "std" else None, isinstance(value, tuple)
            for one in value if several else (value,):
                check(what, one, low=low, also=() if several else (None,))
        check("epsilon", self.epsilon, low=0)

    def output_shape(self, shape):
        for what, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != shape[-1]:
                raise ValueError(f"Standardize: {len(value)} numbers as {what} for a last axis of "
                                 f"{shape[-1]}")
        return shape

    def forward(self, x):
        mean = x.mean(axis=over(x), keepdims=True) if self.mean is None else np.asarray(self.mean, x.dtype)
        std = x.std(axis=over(x), keepdims=True) + self.epsilon if self.std is None else np.asarray(self.std,
                                                                                                    x.dtype)
        return (x - mean) / std
