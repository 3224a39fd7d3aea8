"""The ledger of an explanation: for every layer, where every part of the relevance went.

With the terms and groups of `rules`, for each layer

    Σ R_out - Σ R_in  =  Σ c·s·σb'                        absorbed by the bias
                       + Σ c·s·(stabilize(z) - z)          absorbed by the stabilizer
                       + Σ R_out - Σ c·m·R_out             gated: no input to give it to, or coefficients
                                                           that do not sum to 1 (m is 1 where z is not zero)

is an identity; the residual is what rounding leaves of it. A rule that carries relevance across a layer by
itself (`Rule.through`) may keep some, or add some: that is booked as `by_rule`. What a softmax inside a
network does not conserve is booked as `softmax`, and what reaches the state that a recurrent layer began with
as `state`. R_out arrives at the layer's output from above, R_in is handed on to its input. All sums are kept
in float64, one for each sample.
"""
import dataclasses
import functools
import operator
import os
from typing import Any

import numpy as np

from . import ledger_views
from .pictures import finished
from .show import line
from .text import listing, quote

# A residual beyond this part of a layer's turnover is no rounding; `explain` refuses to return it.
ROUNDING = {"float64": 1e-9, "float32": 1e-3}
# Nor is one below this, however small the turnover: the numbers of a million units underflow there, or lose
# their digits.
UNDERFLOW = {"float64": 1e-300, "float32": 1e-30}

# What a layer may absorb, each a column of the ledger; one more needs no more than its name here.
ABSORBED = ("bias", "stabilizer", "gated", "by_rule", "softmax", "state")
SELDOM = ("by_rule", "softmax", "state")  # columns that are only shown where there is something in them


class ConservationError(ArithmeticError):
    """A layer's line does not add up to rounding: the explanation must not be trusted."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One layer's line of the ledger; every field after `rule` is a float64 array [n], or a number for a
    single sample.

    received: Σ R_out, relevance that arrived at the layer's output. passed: Σ R_in, relevance handed to its
    input.
    bias, stabilizer, gated, by_rule, softmax, state: what was absorbed on the way. turnover:
    Σ|R_out| + Σ|R_in|, the scale of rounding.
    """
    name: str
    type: str
    rule: str
    received: np.ndarray
    passed: np.ndarray
    bias: np.ndarray | float = 0.0
    stabilizer: np.ndarray | float = 0.0
    gated: np.ndarray | float = 0.0
    by_rule: np.ndarray | float = 0.0
    softmax: np.ndarray | float = 0.0
    state: np.ndarray | float = 0.0
    turnover: np.ndarray | float = 0.0

    NUMBERS = ("received", "passed", *ABSORBED, "turnover")

    @property
    def residual(self):
        """What is left when everything booked is taken off: rounding."""
        return functools.reduce(operator.sub, (getattr(self, name) for name in ABSORBED),
                                self.received - self.passed)


@dataclasses.dataclass(frozen=True, eq=False)
class Ledger:
    """The entries of all layers in the order relevance meets them: output first.

    pages: (name, type, rule) of each entry. numbers: [entries, 9, n] float64, or [entries, 9] for a single
    sample, in the order of Entry.NUMBERS. start: the relevance the explanation began with (the explained
    logit), [n] or a number.
    arrived: Σ of the relevance where it ended. what: what it began as: the "score", the "output" of an inner
    node, or a "gradient". end: the node where it ended.

    Prints as a sentence and a table; in a notebook it shows itself.
    """
    pages: tuple
    numbers: np.ndarray
    start: np.ndarray
    arrived: np.ndarray
    what: str = "score"
    end: str = "input"

    @classmethod
    def of(cls, entries, start, arrived):
        """The ledger of some Entry objects."""
        numbers = np.array([[getattr(entry, name) for name in Entry.NUMBERS] for entry in entries])
        return cls(tuple((entry.name, entry.type, entry.rule) for entry in entries), numbers, start, arrived)

    @functools.cached_property
    def entries(self):
        """An Entry for each layer."""
        return tuple(Entry(*page, *(row if row.ndim > 1 else row.tolist())) for page,
                     row in zip(self.pages, self.numbers))

    def __iter__(self):
        return iter(self.entries)

    def __getitem__(self, name):
        """The entry of the layer of that name."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise KeyError(f"the ledger has no layer {quote(name)}; it has "
                       f"{listing(page[0] for page in self.pages)}")

    @property
    def total(self) -> Entry:
        """The whole network: start - arrived = all that was absorbed + residual, summed over layers."""
        return Entry("total", "", "", *self._totals)

    @property
    def _totals(self):
        """The numbers of `total`, [9, n] or [9]."""
        # Layer by layer, as `accumulate` adds: the order of `sum`, and so the last bit, would depend on the
        # number of samples.
        return np.concatenate(([self.start, self.arrived], np.add.accumulate(self.numbers[:, 2:])[-1]))

    @property
    def residual(self):
        """The largest |residual| of any layer, [n] or a number."""
        return np.max([np.abs(entry.residual) for entry in (*self.entries, self.total)], axis=0)

    def check(self, tolerance: float, floor: float = 0.0) -> None:
        """Raise ConservationError, naming the layer, where a residual exceeds tolerance times the layer's
        turnover.

        floor: the residual that is no error however small the turnover: what underflow leaves.
        """
        numbers = np.concatenate((self.numbers, self._totals[None]))
        residual = np.abs(np.subtract.reduce(numbers[:, :-1], axis=1))
        limit = tolerance * numbers[:, -1] + floor
        bad = ~(residual <= limit)
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            name, sample = [*(page[0] for page in self.pages),
                            "total"][place[0]], place[1] if len(place) > 1 else 0
            raise ConservationError(f"layer {quote(name)}: {residual[place]:.3g} of the relevance is "
                                    "unaccounted "
                                    f"for (sample {sample}; rounding explains {limit[place]:.3g})")

    def check_finite(self, dtype):
        """Raise ValueError, naming the first layer, where relevance overflows the numbers it is computed in.
        """
        finite = np.isfinite(self.numbers).reshape(len(self.pages), -1).all(axis=1)
        if not finite.all():
            more = "; use dtype='float64'" if dtype == "float32" else ""
            raise ValueError(f"the relevance at layer {quote(self.pages[int(finite.argmin())][0])} overflows "
                             f"{dtype}: its "
                             f"weights or the input are too large{more}")

    def sample(self, index):
        """The ledger of one sample of a batch; of several, for a slice."""
        return dataclasses.replace(self, numbers=self.numbers[..., index], start=self.start[index],
                                   arrived=self.arrived[index])

    def to_dict(self) -> dict:
        """The ledger as plain numbers and lists, for JSON."""
        def plain(entry):
            return {"layer": entry.name, "type": entry.type, "rule": entry.rule,
                    **{name: np.asarray(getattr(entry, name)).tolist()
                       for name in (*Entry.NUMBERS, "residual")}}
        return {"layers": [plain(entry) for entry in self.entries], "total": plain(self.total)}

    # ---- to read

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are shown: those of ABSORBED, without the seldom ones that hold nothing."""
        return tuple(name for name in ABSORBED
                     if name not in SELDOM or np.any(self.column(name)))

    def column(self, name: str) -> np.ndarray:
        """A column of all layers: [entries, n], or [entries] for a single sample."""
        return self.numbers[:, Entry.NUMBERS.index(name)]

    @property
    def sentence(self) -> str:
        """Where the score went, in words; for a batch, the mean over the samples."""
        return ledger_views.sentence(self)

    def table(self, *, all: bool = False) -> str:
        """The table, a row for each layer; for a batch, of each number's mean over the samples.

        Layers that pass all on share a line with their neighbours. all: a row for each of them, too.
        """
        return ledger_views.text_table(self, all)

    def __str__(self):
        return f"{self.sentence}\n\n{self.table()}"

    def __repr__(self):
        return line("Ledger", f"{len(self.pages):,} layers. {self.sentence}")

    def _repr_html_(self):
        """For notebooks: the sentence, a bar, the table."""
        return ledger_views.html_of(self)

    def plot(self, path: str | os.PathLike | None = None) -> Any:
        """Where the score went, layer by layer: a Matplotlib figure; written to `path` if there is one."""
        return finished(ledger_views.figure_of(self), path)
