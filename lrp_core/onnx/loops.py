"""ONNX's loops, unrolled: their number of turns must be a constant, and what decides them too."""
import numpy as np

from ..text import quote
from . import moves
from .builder import Tensor
from .moves import cut

MOST = 4096  # turns


class Unrolled:
    """Runs a body graph turn by turn. run(values) computes the body's outputs from its inputs."""

    def __init__(self, build, operation, body, scans):
        """scans: how many of the body's outputs are stacked."""
        self.build, self.operation, self.body = build, operation, body
        self.stacked = [[] for _ in range(scans)]

    def stack(self, made):
        """Keep this turn's outputs that are stacked."""
        for rows, value in zip(self.stacked, made):
            rows.append(value)
        if len(self.stacked) and len(self.stacked[0]) > MOST:
            raise self.operation.refused(f"more than {MOST} turns")

    def scanned(self, reverse=()):
        """The stacked outputs, along a new first axis."""
        return [self._joined(rows[::-1] if number in reverse else rows, number)
                for number, rows in enumerate(self.stacked)]

    def _joined(self, rows, number):
        if not rows:
            return None
        if not any(isinstance(row, Tensor) for row in rows):
            return np.stack(rows)
        name = f"{self.operation.name}/scan{number or ''}"
        rows = [moves.unsqueeze(self.build, name, row, np.array([0])) if isinstance(row, Tensor)
                else row[None] for row in rows]
        return moves.concat(self.build, name, *rows, axis=0)


def loop(build, operation, given, run):
    """Loop: a number of turns, a condition, and values that are carried along.

    run(body, inputs): the body's outputs, by a function of the conversion.
    """
    body = operation.attributes.get("body")
    turns, condition, *carried = given
    if isinstance(turns, Tensor) or isinstance(condition, Tensor):
        raise operation.refused("its number of turns depends on the network's input")
    count, unrolled = MOST + 1 if turns is None else int(turns.reshape(())), None
    unrolled = Unrolled(build, operation, body, len(body.outputs) - 1 - len(carried))
    turn = 0
    while turn < count and (condition is None or bool(np.reshape(condition, ()))):
        if turn == MOST:
            raise operation.refused(f"more than {MOST} turns are too many")
        made = run(body, [np.array(turn, np.int64), np.array(True) if condition is None else condition,
                          *carried])
        condition, carried, turn = made[0], made[1:1 + len(carried)], turn + 1
        if isinstance(condition, Tensor):
            raise operation.refused("its condition depends on the network's input")
        unrolled.stack(made[1 + len(carried):])
    return [*carried, *unrolled.scanned()]


def scan(build, operation, given, run):
    """Scan: states that are carried along, and inputs that are taken apart along their first axis."""
    body, count = operation.attributes.get("body"), operation.attributes.get("num_scan_inputs", 0)
    for name in ("scan_input_axes", "scan_output_axes"):
        if any(operation.attributes.get(name) or ()):
            raise operation.refused(f"only {name} of 0 are supported")
    carried, parts = list(given[:len(given) - count]), given[len(given) - count:]
    backward = operation.attributes.get("scan_input_directions") or (0,) * count
    lengths = {part.shape[0] for part in parts}
    if len(lengths) != 1 or max(lengths) > MOST:
        raise operation.refused(f"its inputs are {quote(sorted(lengths))} long: they must be of one length, "
                                f"at most {MOST}")
    (length,), states = lengths, len(carried)
    unrolled = Unrolled(build, operation, body, len(body.outputs) - states)
    for turn in range(length):
        at = [length - 1 - turn if back else turn for back in backward]
        made = run(body, [*carried, *(_row(build, operation, part, place) for part, place in zip(parts, at))])
        carried = made[:states]
        unrolled.stack(made[states:])
    reverse = operation.attributes.get("scan_output_directions") or ()
    return [*carried, *unrolled.scanned({number for number, back in enumerate(reverse) if back})]


def _row(build, operation, part, place):
    """One row of what is taken apart."""
    if not isinstance(part, Tensor):
        return part[place]
    return build.without(cut(build, f"{operation.name}/row", part, 0, place, place + 1, 1), {0})


LOOPS = {"Loop": loop, "Scan": scan}
