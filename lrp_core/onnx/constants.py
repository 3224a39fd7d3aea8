"""Operations on constants alone, worked out once: shapes that an exporter computed, weights that it
transposed.
"""
import math

import numpy as np

from ..files import INVALID

MORE = 1 << 20


def _arithmetic(function):
    """A function of two arrays that broadcast."""
    return lambda attributes, a, b: function(a, b).astype(np.result_type(a, b))


def _divide(a, b):
    return a / b if a.dtype.kind == "f" else np.trunc(a / b)


def _axes(axes, rank):
    return tuple(int(a) % rank for a in np.atleast_1d(axes))


def _unsqueeze(attributes, x, axes):
    return np.expand_dims(x, _axes(axes, x.ndim + np.size(axes)))


def _squeeze(attributes, x, axes=None):
    return np.squeeze(x) if axes is None else np.squeeze(x, _axes(axes, x.ndim))


def _cast(attributes, x):
    kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
    return x.astype(kinds[attributes["to"]])


def _slice(attributes, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # Going down, an end before the first element means all of it; Python would count it from the end.
        end = None if step < 0 and end < -x.shape[axis] else int(end)
        cut[int(axis)] = slice(int(start), end, int(step))
    return x[tuple(cut)]


def _reshape(attributes, x, shape):
    if attributes.get("allowzero"):
        return x.reshape([int(n) for n in shape])
    return x.reshape([x.shape[axis] if n == 0 else int(n) for axis, n in enumerate(shape)])


FOLDED = {
    "Identity": lambda attributes, x: x,
    "Cast": _cast,
    "Shape": lambda attributes, x: np.array(x.shape,
                                            np.int64)[attributes.get("start", 0):attributes.get("end")],
    "Gather": lambda attributes, x, indices: np.take(x, indices, attributes.get("axis", 0)),
    "Concat": lambda attributes, *xs: np.concatenate(xs, attributes["axis"]),
    "Slice": _slice,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": lambda attributes, x: x.transpose(attributes.get("perm")),
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divide),
    "Neg": lambda attributes, x: -x,
    "Sqrt": lambda attributes, x: np.sqrt(x),
    "Reciprocal": lambda attributes, x: 1 / x,
    "Floor": lambda attributes, x: np.floor(x),
}


def _growth(kind, attributes, arrays):
    """A bound for the size of the result, known before it is made."""
    if kind in ("Add", "Sub", "Mul", "Div"):
        return math.prod(np.broadcast_shapes(*(a.shape for a in arrays)))
    if kind == "Gather":
        return arrays[1].size * (arrays[0].size // max(arrays[0].shape[attributes.get("axis", 0)], 1))
    return sum(a.size for a in arrays)


class Folder:
    """Works out operations on constants, up to a number of results that grows with the file and no further.
    """

    def __init__(self, constants):
        self._left = MORE + 2 * sum(a.size for a in constants.values())

    def fold(self, operation, arrays):
        """The result for the arrays (None where an input is left out), or None for an operator that is not
        folded.
        """
        if operation.kind not in FOLDED:
            return None
        given = [a for a in arrays if a is not None]
        try:
            self._left -= _growth(operation.kind, operation.attributes, given)
            if self._left >= 0:
                with np.errstate(all="ignore"):  # what is not finite is refused where it is used
                    return np.asarray(FOLDED[operation.kind](operation.attributes, *arrays))
        except INVALID as error:
            raise operation.refused(f"cannot be worked out: {error}") from None
        raise operation.refused("the constants that the model computes are too large")
