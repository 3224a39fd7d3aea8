"""From what kernels and NumPy booked of a chunk to the numbers of the ledger."""
import numpy as np

from ..ledger import ABSORBED
from . import interpreter as P
from .kernels.elementwise import ABSOLUTE, BIAS, BOOKS, GIVEN, RECEIVED, STABILIZER
from .lower import KEPT


class Books:
    """Which sums make up which page of the ledger; found once for a plan.

    All sums of a chunk lie in one array [sources, BOOKS, samples]: first what kernels booked, then what NumPy measured, and
    a row of zeros at the end for pages that have no source.
    """

    def __init__(self, plan):
        self._kernel = sorted({book for page in plan.pages for book in page.groups}
                              | {(wire.book, rows_of(wire.shape)) for wire in plan.wires if wire.book != P.NONE})
        rows = {book: row for row, book in enumerate(self._kernel)}
        self._measured = {wire.number: len(rows) + n for n, wire in enumerate(w for w in plan.wires if w.book == P.NONE and w.same is None)}
        self._size = len(rows) + len(self._measured) + 1

        found = {}  # by number; a wire is made after those that hold the same numbers
        for wire in reversed(plan.wires):
            if wire.book != P.NONE:
                found[wire.number] = rows[wire.book, rows_of(wire.shape)]
            else:
                found[wire.number] = self._measured[wire.number] if wire.same is None else found[wire.same.number]

        def row(wire):
            return found[wire.number]

        self._ends = [row(wire) for wire in plan.ends.values()]
        self._received = [row(page.received) for page in plan.pages]
        self._passed = self._table([[row(wire) for wire in page.passed] for page in plan.pages])
        self._groups = self._table([[rows[group] for group in page.groups] for page in plan.pages])
        self._kept = np.array([[page.rule == KEPT] for page in plan.pages])
        self._shares = np.array([[bool(page.groups)] for page in plan.pages])

    def _table(self, lists):
        """Lists of sources as (all of them in one array, where each list begins); each ends in the row of zeros."""
        lists = [[*one, self._size - 1] for one in lists]
        return np.array([row for one in lists for row in one], int), np.cumsum([0, *map(len, lists)])[:-1]

    def numbers(self, workspace, count):
        """The numbers of every page in the order of Entry.NUMBERS: [pages + 1, 7, count] float64.

        In the last row stand only what relevance began with and what arrived where it ends.
        """
        sums = np.zeros((self._size, BOOKS, count))
        for row, (place, rows) in zip(sums, self._kernel):
            lines = workspace.sums[place * workspace.capacity:][:count * rows * BOOKS]
            row[...] = lines.reshape(count, rows, BOOKS).sum(axis=1).T
        for wire, (total, absolute) in workspace.measured.items():
            if wire in self._measured:
                sums[self._measured[wire], RECEIVED], sums[self._measured[wire], ABSOLUTE] = total, absolute
        received = sums[self._received]
        passed, groups = (np.add.reduceat(sums[sources], begin) for sources, begin in (self._passed, self._groups))
        lost = received[:, RECEIVED] - np.where(self._kept, passed[:, RECEIVED], groups[:, GIVEN])
        numbers = np.stack([received[:, RECEIVED], passed[:, RECEIVED], groups[:, BIAS], groups[:, STABILIZER],
                            np.where(self._kept | self._shares, lost, 0), np.zeros_like(lost), received[:, ABSOLUTE] + passed[:, ABSOLUTE]], axis=1)
        for page, booked in workspace.booked.items():
            numbers[page, 2:-1] = [getattr(booked, column) for column in ABSORBED]
        whole = np.zeros((1, *numbers.shape[1:]))
        whole[0, 0], whole[0, 1] = numbers[0, 0], sums[self._ends, RECEIVED].sum(axis=0)
        return np.concatenate((numbers, whole))


def rows_of(shape):
    """Into how many rows the books of an array of this shape are cut."""
    return int(np.prod(shape[:-2])) if len(shape) > 2 else 1
