"""Medians with their spread, and ratios of measurements that were made in turn."""
import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median between the quartiles of what was measured."""
    median: float
    low: float
    high: float
    count: int

    def __str__(self):
        if self.count == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)}–{number(self.high)})"

    def as_dict(self):
        """Plain JSON values."""
        return dataclasses.asdict(self)


def spread(values):
    """The median and the quartiles of some measurements."""
    low, median, high = np.percentile(np.asarray(list(values), float), (25, 50, 75))
    return Spread(float(median), float(low), float(high), len(values))


def paired(numerators, denominators):
    """The spread of the ratios of measurements made in the same round: what slows both of a round cancels."""
    return spread([a / b for a, b in zip(numerators, denominators, strict=True)])


def number(value):
    """Three significant digits and no exponent: 0.0123, 1.23, 12.3, 123, 1235."""
    if value == 0:
        return "0"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{value:.{max(digits, 0)}f}"
