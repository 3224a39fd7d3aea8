"""From the sums that kernels and NumPy found for a chunk to the numbers of the ledger."""
import numpy as np

from ..ledger import ABSORBED
from .kernels.elementwise import ABSOLUTE, BIAS, GIVEN, RECEIVED, STABILIZER, SUMS
from .kernels.op import NONE
from .stages import KEPT


class LedgerSums:
    """Which sums make up which line of the ledger; found once for a program.

    All sums of a chunk lie in one array [sources, SUMS, samples]: first those of kernels, then those of
    NumPy, and a row of zeros at the end for lines that have no source.
    """

    def __init__(self, lowered):
        lines, wires = lowered.lines, lowered.wires
        self._kernel = sorted({group for line in lines for group in line.groups}
                              | {(wire.sums, rows_of(wire.shape)) for wire in wires if wire.sums != NONE})
        rows = {place: row for row, place in enumerate(self._kernel)}
        measured = [wire for wire in wires if wire.sums == NONE and wire.same is None]
        self._measured = {wire.number: len(rows) + n for n, wire in enumerate(measured)}
        self._size = len(rows) + len(self._measured) + 1

        found = {}  # by number; a wire is made after those that hold the same numbers
        for wire in reversed(wires):
            if wire.sums != NONE:
                found[wire.number] = rows[wire.sums, rows_of(wire.shape)]
            else:
                found[wire.number] = (self._measured[wire.number] if wire.same is None
                                      else found[wire.same.number])

        def row(wire):
            return found[wire.number]

        self._ends = [row(wire) for wire in lowered.ends.values()]
        self._received = [row(line.received) for line in lines]
        self._passed = self._table([[row(wire) for wire in line.passed] for line in lines])
        self._groups = self._table([[rows[group] for group in line.groups] for line in lines])
        self._kept = np.array([[line.rule == KEPT] for line in lines])
        self._shares = np.array([[bool(line.groups)] for line in lines])

    def _table(self, lists):
        """Lists of sources as (all of them in one array, where each list begins); each ends in the row of
        zeros.
        """
        lists = [[*one, self._size - 1] for one in lists]
        return np.array([row for one in lists for row in one], int), np.cumsum([0, *map(len, lists)])[:-1]

    def numbers(self, workspace, count):
        """The numbers of every line in the order of Entry.NUMBERS: [lines + 1, 9, count] float64.

        The last row holds only what relevance began with and what arrived where it ends.
        """
        sums = np.zeros((self._size, SUMS, count))
        for row, (place, rows) in zip(sums, self._kernel):
            found = workspace.sums[place * workspace.capacity:][:count * rows * SUMS]
            row[...] = found.reshape(count, rows, SUMS).sum(axis=1).T
        for wire, (total, absolute) in workspace.measured.items():
            if wire in self._measured:
                sums[self._measured[wire], RECEIVED], sums[self._measured[wire], ABSOLUTE] = total, absolute
        received = sums[self._received]
        passed, groups = (np.add.reduceat(sums[sources], begin) for sources,
                          begin in (self._passed, self._groups))
        lost = received[:, RECEIVED] - np.where(self._kept, passed[:, RECEIVED], groups[:, GIVEN])
        numbers = np.stack([received[:, RECEIVED], passed[:, RECEIVED], groups[:, BIAS],
                            groups[:, STABILIZER],
                            np.where(self._kept | self._shares, lost, 0),
                            *[np.zeros_like(lost)] * (len(ABSORBED) - 3),
                            received[:, ABSOLUTE] + passed[:, ABSOLUTE]], axis=1)
        for line, book in workspace.absorbed.items():
            numbers[line, 2:-1] = [getattr(book, column) for column in ABSORBED]
        whole = np.zeros((1, *numbers.shape[1:]))
        whole[0, 0], whole[0, 1] = numbers[0, 0], sums[self._ends, RECEIVED].sum(axis=0)
        return np.concatenate((numbers, whole))


def rows_of(shape):
    """Into how many rows the sums of an array of this shape are cut."""
    return int(np.prod(shape[:-2])) if len(shape) > 2 else 1
