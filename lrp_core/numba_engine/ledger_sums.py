"""From the sums that kernels and NumPy found for a chunk to the numbers of the ledger."""
import numpy as np

from ..ledger import ABSORBED, Entry
from .kernels.elementwise import ABSOLUTE, BIAS, GIVEN, RECEIVED, STABILIZER, SUMS
from .kernels.op import NONE


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
        self._size, self._found = len(rows) + len(self._measured) + 1, {}

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
        self._gates = np.array([[line.gates] for line in lines])
        self._shares = np.array([[bool(line.groups)] for line in lines])

    def _table(self, lists):
        """Lists of sources as (all of them in one array, where each list begins); each ends in the row of
        zeros.
        """
        lists = [[*one, self._size - 1] for one in lists]
        return np.array([row for one in lists for row in one], int), np.cumsum([0, *map(len, lists)])[:-1]

    def _rows(self, capacity, count):
        """Which rows [n] of a workspace's sums [.., SUMS] hold those of `count` samples, group by group, and
        where among these n each sample of each group begins.
        """
        found = self._found.get((capacity, count))
        if found is None:
            place, rows = (np.array(one, int) for one in zip(*self._kernel))
            number = np.repeat(np.arange(len(rows)), count * rows)
            within = np.arange(len(number)) - np.searchsorted(number, number)
            begin = np.cumsum([0, *np.repeat(rows, count)])[:-1]
            found = self._found[capacity, count] = (place // SUMS * capacity)[number] + within, begin
        return found

    def numbers(self, workspace, count):
        """The numbers of every line in the order of Entry.NUMBERS: [lines + 1, 9, count] float64.

        The last row holds only what relevance began with and what arrived where it ends.
        """
        sums = np.zeros((self._size, SUMS, count))
        if self._kernel:
            rows, begin = self._rows(workspace.capacity, count)
            sums[:len(self._kernel)] = np.add.reduceat(
                workspace.sums.reshape(-1, SUMS)[rows], begin).reshape(-1, count, SUMS).swapaxes(1, 2)
        for wire, (total, absolute) in workspace.measured.items():
            if wire in self._measured:
                sums[self._measured[wire], RECEIVED], sums[self._measured[wire], ABSOLUTE] = total, absolute
        received = sums[self._received]
        passed, groups = (np.add.reduceat(sums[sources], begin) for sources,
                          begin in (self._passed, self._groups))
        numbers = np.zeros((len(received) + 1, len(Entry.NUMBERS), count))
        lines, whole = numbers[:-1], numbers[-1]
        lines[:, 0], lines[:, 1] = received[:, RECEIVED], passed[:, RECEIVED]
        lines[:, 2], lines[:, 3] = groups[:, BIAS], groups[:, STABILIZER]
        # what a mask or a rule took: the difference, where kernels count what was given
        np.subtract(received[:, RECEIVED], np.where(self._gates, passed[:, RECEIVED], groups[:, GIVEN]),
                    out=lines[:, 4], where=self._gates | self._shares)
        lines[:, -1] = received[:, ABSOLUTE] + passed[:, ABSOLUTE]
        for line, book in workspace.absorbed.items():
            lines[line, 2:-1] = [getattr(book, column) for column in ABSORBED]
        whole[0], whole[1] = lines[0, 0], sums[self._ends, RECEIVED].sum(axis=0)
        return numbers


def rows_of(shape):
    """Into how many rows the sums of an array of this shape are cut."""
    return int(np.prod(shape[:-2])) if len(shape) > 2 else 1
