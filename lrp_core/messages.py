"""What one unit got from each unit above it and gave to each unit below: an object to read and to print."""
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .ledger import ABSORBED
from .show import block, html_table, line
from .text import quote, table

TOP = 10  # messages on each side that a table shows
ALIGN = "<<>>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Messages:
    """R_{i<-j} of a unit i, or of the units of a channel together, for one sample; in double precision.

        began + Σ received  =  relevance + dropped          from above
        relevance           =  Σ given + Σ absorbed + stays      downward

    node, unit: which one (`unit` as an index into the node's output, see `indices`). type, rule: the node's
    layer, and the rule that takes relevance on from it. relevance: R_i, Σ over the units.
    received: {node above: how much of the relevance of each of its units arrives here, like its output}.
    given: {input node: what each of its units gets from here, like its output}; for an input that the node
    reads twice, both together.
    absorbed: {column of the ledger: what was kept on the way down}. began: the relevance that an explanation
    begins with here. stays: what ends here, at the input or where the explanation was stopped. dropped: what
    `keep` took off.
    """
    node: str
    unit: tuple
    type: str
    rule: str
    relevance: float
    received: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    absorbed: dict[str, float]
    began: float = 0.0
    stays: float = 0.0
    dropped: float = 0.0

    @property
    def got(self) -> float:
        """Σ received."""
        return math.fsum(float(r.sum()) for r in self.received.values())

    @property
    def gave(self) -> float:
        """Σ given."""
        return math.fsum(float(r.sum()) for r in self.given.values())

    @property
    def kept(self) -> float:
        """Σ absorbed."""
        return math.fsum(self.absorbed.values())

    @property
    def residual(self) -> float:
        """The larger of what is left of the two sums: rounding, that of the explanation's dtype."""
        above = self.began + self.got - self.relevance - self.dropped
        below = self.relevance - self.gave - self.kept - self.stays
        return max(abs(above), abs(below))

    @property
    def turnover(self) -> float:
        """Σ|received| + Σ|given|: the scale of rounding."""
        return math.fsum(float(np.abs(r).sum()) for side in (self.received, self.given)
                         for r in side.values())

    @property
    def is_channel(self) -> bool:
        """Is it more than one unit: a channel, a pixel with all its channels?"""
        return not all(isinstance(place, int) for place in self.unit)

    @property
    def name(self) -> str:
        """The node with the unit, as in conv2[3, 4, 7]; [:, :, 7] is channel 7."""
        return f"{self.node}{written(self.unit)}"

    def by_channel(self, side: str) -> dict[str, np.ndarray]:
        """The messages summed over all but the last axis: {node: [channels]}. side: "received" or "given"."""
        return {name: r.reshape(-1, r.shape[-1]).sum(axis=0) for name, r in self._side(side).items()}

    def _side(self, side):
        if side not in ("received", "given"):
            raise ValueError(f"side must be 'received' or 'given', got {quote(side)}")
        return getattr(self, side)

    def strongest(self, side: str, count: int | None = None, *,
                  channels: bool | None = None) -> list[tuple[str, tuple, float]]:
        """The largest messages by size: (node, unit there, relevance). Zeros are left out.

        side: "received" or "given". count: how many; all by default. channels: of whole channels; by default
        where this is the channel of a map itself.
        """
        whole = self.is_channel if channels is None else channels
        found = []
        for name, r in (self.by_channel(side) if whole else self._side(side)).items():
            places = np.flatnonzero(r)
            most = places[np.argsort(-np.abs(r.ravel()[places]), kind="stable")][:count]
            free = (slice(None),) * (self._side(side)[name].ndim - 1) if whole else ()
            found += [(name, (*free, *map(int, np.unravel_index(place, r.shape))), float(r.ravel()[place]))
                      for place in most]
        return sorted(found, key=lambda one: -abs(one[2]))[:count]

    def table(self, top: int = TOP, *, channels: bool | None = None) -> str:
        """The messages as a text: the `top` largest from above, and downward; what was kept; the sums."""
        return table(self._rows(top, channels), ALIGN)

    def _repr_html_(self):
        """For notebooks: the same as a table."""
        what = f"{self.type}, {self.rule}" if self.rule else self.type
        return block(f"Messages of {self.name} ({what})", html_table(self._rows(TOP, None), ALIGN))

    def _rows(self, top, channels):
        """The table's cells: from above, the unit itself, downward."""
        rows = [("", "unit", "relevance", "share")]
        rows += self._lines("from", "received", top, channels)
        rows += self._line("begins here", self.began) + self._line("dropped by keep", -self.dropped)
        rows.append(("unit", self.name, number(self.relevance), share(self.relevance, self.relevance)))
        rows += self._lines("to", "given", top, channels)
        for column in ABSORBED:
            rows += self._line("kept", self.absorbed.get(column, 0.0), column.replace("_", " "))
        return rows + self._line("stays here", self.stays)

    def _lines(self, word, side, top, channels):
        every = self.strongest(side, channels=channels)
        rows = [(word, f"{name}{written(unit)}", number(r), share(r, self.relevance))
                for name, unit, r in every[:top]]
        if len(every) > top:
            rest = math.fsum(r for *_, r in every[top:])
            rows.append((word, f"{len(every) - top:,} more", number(rest), share(rest, self.relevance)))
        return rows

    def _line(self, word, r, column=""):
        return [(word, column, number(r), share(r, self.relevance))] if r else []

    def __str__(self):
        return self.table()

    def __repr__(self):
        return line("Messages", f"{self.name}, relevance {self.relevance:.4g}, received {self.got:.4g}, "
                                f"given {self.gave:.4g}, kept {self.kept:.4g}")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Route:
    """All relevance that goes through a unit: from the score down to it, and from it down to the input.

    node, unit, relevance: as of `Messages`. above: {node: how much of the relevance of each of its units goes
    on to this one, like its output}; where relevance begins it adds up to the unit's. below: {node: what each
    of its units gets by way of this one}, which adds up to the unit's relevance but for what was absorbed in
    between; "input" is what of the input the unit rests on.
    """
    node: str
    unit: tuple
    relevance: float
    above: dict[str, np.ndarray]
    below: dict[str, np.ndarray]

    def __repr__(self):
        return line("Route", f"{self.node}{written(self.unit)}, relevance {self.relevance:.4g}, "
                             f"{len(self.above)} nodes above, {len(self.below)} below")


def indices(unit, shape: Sequence[int], what: str) -> tuple:
    """A unit as an index with an entry for each axis of `shape`: whole numbers, and slice(None) for all.

    unit: a whole number is a channel (the last axis), with all its places; a tuple names places from the
    first axis on, and may hold slice(None); where it ends before the axes do, all of the rest is meant, as
    the channels of a pixel. Raises ValueError that begins with `what`.
    """
    places = unit if isinstance(unit, tuple) else (unit,)
    if not isinstance(unit, tuple) or len(unit) == 1:
        places = (*[slice(None)] * (len(shape) - 1), *places)
    places = (*places, *[slice(None)] * (len(shape) - len(places)))

    def fits(place, size):
        whole = isinstance(place, (int, np.integer)) and not isinstance(place, (bool, np.bool_))
        return (whole and 0 <= place < size) or (isinstance(place, slice) and place == slice(None))
    if len(places) != len(shape) or not all(map(fits, places, shape)):
        raise ValueError(f"{what} has the shape {tuple(shape)}, there is no unit {quote(unit)} in it; give a "
                         "channel's number, or a tuple of places")
    return tuple(place if isinstance(place, slice) else int(place) for place in places)


def written(unit) -> str:
    """An index as it is written: [3, 4, 7]; [:, :, 7] is a channel."""
    return f"[{', '.join(':' if isinstance(place, slice) else str(place) for place in unit)}]"


def number(r):
    """Relevance as a table shows it."""
    return f"{r:.6f}" if 1e-3 <= abs(r) < 1e6 or not r else f"{r:.3e}"


def share(r, whole):
    """A part of the unit's relevance, in percent."""
    return f"{r / whole:.1%}" if whole else ""
