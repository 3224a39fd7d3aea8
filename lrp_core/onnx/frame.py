"""ONNX's description of a sliding window, in one or two dimensions, as ours in two."""
import dataclasses
import functools

from ..text import quote
from ..window import Window
from .builder import Tensor
from .moves import concat, cut

MAPS = 128  # that one operation takes, one after the other


@dataclasses.dataclass(frozen=True)
class Frame:
    """A window's size, strides and dilation as (rows, columns), its padding as `Window` takes it.

    one_row: the window is one-dimensional, its map a single row, or one row for each of `many` sequences.
    """
    size: tuple
    strides: tuple
    padding: str | tuple
    dilation: tuple
    one_row: bool
    many: bool

    @property
    def map(self):
        """The order of axes of the map it moves over: (rows, columns, channels) of ONNX's [n, c, h, w] or
        [n, c, l].
        """
        return (0 if self.many else None, 2, 1) if self.one_row else (2, 3, 1)

    @property
    def sequence(self):
        """The order of axes of a one-dimensional layer's input, where there is one sequence."""
        return (2, 1)

    def margins(self, x):
        """The padding as ((top, bottom), (left, right)) around x."""
        window = Window(self.size, self.strides, self.padding, self.dilation)
        # A transposed convolution's window need not fit into its input, as `pads` would ask for.
        return ((0, 0), (0, 0)) if self.padding == "valid" else window.pads(*self.extents(x))

    def extents(self, x):
        """(rows, columns) of x, a Tensor."""
        return (x.shape[0], x.shape[2]) if self.one_row else x.shape[2:]

    def skips(self, x):
        """Would padding 'same' be negative, at the front too? Some crop the map there, others (as `Window`)
        do not pad.
        """
        window = Window(self.size, self.strides, self.padding, self.dilation)
        return any((count - 1) * stride + reach - extent < -1 for count, stride, reach, extent in zip(
            window.output(*self.extents(x)), window.strides, window.reach, self.extents(x)))

    def rounded_up(self, x):
        """Rows and columns of padding to add after so that an output rounded up is complete, as (rows,
        columns).

        A window that would start after the map and its padding in front is left out, as torch and
        onnxruntime do.
        """
        more = []
        for extent, (front, back), size, stride in zip(self.extents(x), self.margins(x), self.size,
                                                       self.strides):
            count = -(-(extent + front + back - size) // stride) + 1
            if (count - 1) * stride >= extent + front:
                count -= 1
            more.append(max((count - 1) * stride + size - extent - front - back, 0))
        return tuple(more)


def each_map(convert):
    """A function of one map [1, c, h, w] for several [n, c, h, w]: map by map, joined."""
    @functools.wraps(convert)
    def converted(build, name, x: Tensor, *more, **attributes):
        if x.rank != 4 or x.shape[0] == 1:
            return convert(build, name, x, *more, **attributes)
        if x.shape[0] > MAPS:
            raise ValueError(f"{x.shape[0]} maps at once are too many (at most {MAPS})")
        maps = [cut(build, f"{name}/map", x, 0, n, n + 1, 1) for n in range(x.shape[0])]
        made = [convert(build, f"{name}/{n}" if n else name, one, *more, **attributes)
                for n, one in enumerate(maps)]
        return concat(build, f"{name}/maps", *made, axis=0)
    return converted


def frame(x: Tensor, size, strides, pads, dilations, auto_pad):
    """The Frame that ONNX's attributes describe for an input x; raises ValueError that says what is not
    supported.
    """
    rank = len(size)
    if rank not in (1, 2) or x.rank != rank + 2 or (rank == 2 and x.shape[0] != 1):
        raise ValueError(f"takes [batch, channels, height, width] or [batch, channels, length] with a window "
                         f"of as many axes, and one map at a time; found {x.shape} and the window "
                         f"{tuple(size)}")
    strides, dilations, pads = strides or (1,) * rank, dilations or (1,) * rank, pads or (0,) * (2 * rank)
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise ValueError(f"strides {strides}, dilations {dilations} and pads {pads} must fit the window "
                         f"{tuple(size)}")
    if min(pads) < 0:
        raise ValueError(f"negative padding {pads} is not supported; slice before the export")
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"auto_pad={quote(auto_pad)} is not supported; export with explicit pads")
    if auto_pad == "SAME_LOWER":  # as SAME_UPPER, with the odd one before
        pads = _same_lower(x.shape[2:], size, strides, dilations)
    padding = {"VALID": "valid", "SAME_UPPER": "same"}.get(auto_pad)
    one = (1,) * (2 - rank)
    if padding is None:
        begin, end = (0,) * (2 - rank) + pads[:rank], (0,) * (2 - rank) + pads[rank:]
        padding = tuple(zip(begin, end)) if any(pads) else "valid"
    found = Frame((*one, *size), (*one, *strides), padding, (*one, *dilations), rank == 1, x.shape[0] > 1)
    if padding == "same" and found.skips(x):
        raise ValueError(f"auto_pad='SAME_UPPER' with strides {strides} so far beyond the window "
                         f"{tuple(size)} is read "
                         "differently by different programs; export with explicit pads")
    return found


def _same_lower(extents, size, strides, dilations):
    """ONNX's pads for as many windows as strides fit into the map, the odd number of padding before."""
    total = [max((-(-n // stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)
             for n, k, stride, dilation in zip(extents, size, strides, dilations)]
    return tuple(n - n // 2 for n in total) + tuple(n // 2 for n in total)
