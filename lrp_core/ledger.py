"""The book of an explanation: for every layer, where every part of the relevance went.

With the terms and groups of `rules`, for each layer

    Σ R_out - Σ R_in  =  Σ c·s·σb'                        absorbed by the bias
                       + Σ c·s·(stabilize(z) - z)          absorbed by the stabilizer
                       + Σ R_out - Σ c·m·R_out             gated: nobody to give to, or coefficients that do not
                                                           sum to 1 (m is 1 where z is not zero)

is an identity; the residual is what rounding leaves of it. R_out arrives at the layer's output from above, R_in is
handed on to its input. All sums are kept in float64, one for each sample.
"""
import dataclasses
import functools
import operator

import numpy as np

from .text import listing, quote, table


class ConservationError(ArithmeticError):
    """A layer's book does not close to rounding: the explanation must not be trusted."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One layer's book; every field behind `rule` is a float64 array [n], or a number for a single sample.

    received: Σ R_out, relevance that arrived at the layer's output. passed: Σ R_in, relevance handed to its input.
    bias, stabilizer, gated: what was absorbed on the way. turnover: Σ|R_out| + Σ|R_in|, the scale of rounding.
    """
    name: str
    type: str
    rule: str
    received: np.ndarray
    passed: np.ndarray
    bias: np.ndarray
    stabilizer: np.ndarray
    gated: np.ndarray
    turnover: np.ndarray

    NUMBERS = ("received", "passed", "bias", "stabilizer", "gated", "turnover")

    @property
    def residual(self):
        """What is left when everything booked is taken off: rounding."""
        return self.received - self.passed - self.bias - self.stabilizer - self.gated


@dataclasses.dataclass(frozen=True, eq=False)
class Ledger:
    """The entries of all layers in the order relevance meets them: output first.

    pages: (name, type, rule) of each entry. numbers: [entries, 6, n] float64, or [entries, 6] for a single sample, in the
    order of Entry.NUMBERS. start: the relevance the explanation began with (the explained logit), [n] or a number.
    arrived: Σ of the relevance at the network's input.
    """
    pages: tuple
    numbers: np.ndarray
    start: np.ndarray
    arrived: np.ndarray

    @classmethod
    def of(cls, entries, start, arrived):
        """The ledger of some Entry objects."""
        numbers = np.array([[getattr(entry, name) for name in Entry.NUMBERS] for entry in entries])
        return cls(tuple((entry.name, entry.type, entry.rule) for entry in entries), numbers, start, arrived)

    @functools.cached_property
    def entries(self):
        """An Entry for each layer."""
        return tuple(Entry(*page, *(row if row.ndim > 1 else row.tolist())) for page, row in zip(self.pages, self.numbers))

    def __iter__(self):
        return iter(self.entries)

    def __getitem__(self, name):
        """The entry of the layer of that name."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(f"the ledger has no layer {quote(name)}; it has {listing(page[0] for page in self.pages)}")

    @property
    def total(self):
        """The book of the whole network: start - arrived = bias + stabilizer + gated + residual, summed over layers."""
        # Layer by layer, not `sum`: its order, and so the last bit, would depend on the number of samples.
        bias, stabilizer, gated, turnover = functools.reduce(operator.add, self.numbers[:, 2:])
        return Entry("total", "", "", self.start, self.arrived, bias, stabilizer, gated, turnover)

    @property
    def residual(self):
        """The largest |residual| of any layer, [n] or a number."""
        return np.max([np.abs(entry.residual) for entry in (*self.entries, self.total)], axis=0)

    def check(self, tolerance, floor=0.0):
        """Raise ConservationError, naming the layer, where a residual exceeds tolerance times the layer's turnover.

        floor: the residual that is no error however small the turnover: what underflow leaves.
        """
        total = self.total
        rows = [*self.numbers, [total.received, total.passed, total.bias, total.stabilizer, total.gated, total.turnover]]
        received, passed, bias, stabilizer, gated, turnover = np.array(rows).swapaxes(0, 1)
        residual, limit = np.abs(received - passed - bias - stabilizer - gated), tolerance * turnover + floor
        bad = ~(residual <= limit)
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            name, sample = [*(page[0] for page in self.pages), "total"][place[0]], place[1] if len(place) > 1 else 0
            raise ConservationError(f"layer {quote(name)}: {residual[place]:.3g} of the relevance is unaccounted "
                                    f"for (sample {sample}; rounding explains {limit[place]:.3g})")

    def sample(self, index):
        """The ledger of one sample of a batch; of several, for a slice."""
        return Ledger(self.pages, self.numbers[..., index], self.start[index], self.arrived[index])

    def to_dict(self):
        """The ledger as plain numbers and lists, for JSON."""
        def plain(entry):
            return {"layer": entry.name, "type": entry.type, "rule": entry.rule,
                    **{name: np.asarray(getattr(entry, name)).tolist() for name in (*Entry.NUMBERS, "residual")}}
        return {"layers": [plain(entry) for entry in self.entries], "total": plain(self.total)}

    def __str__(self):
        """The table; for a batch, of each number's mean over the samples."""
        columns = ("received", "passed", "bias", "stabilizer", "gated", "residual")
        rows = [("layer", "rule", "R out", "R in", "bias", "stabilizer", "gated", "residual")]
        for entry in (*self.entries, self.total):
            numbers = [float(np.mean(getattr(entry, name))) for name in columns]
            rows.append((entry.name, entry.rule, *(f"{round(n, 4) + 0.0:.4f}" for n in numbers[:-1]), f"{numbers[-1]:.1e}"))
        return table(rows, "<<>>>>>>", footer=True)
