"""ONNX's description of a sliding window, in one or two dimensions, as ours in two."""
import dataclasses

from ..text import quote
from ..window import Window
from .builder import Tensor


@dataclasses.dataclass(frozen=True)
class Frame:
    """A window's size, strides and dilation as (rows, columns), its padding as `Window` takes it.

    one_row: the window is one-dimensional, its map a single row.
    """
    size: tuple
    strides: tuple
    padding: str | tuple
    dilation: tuple
    one_row: bool

    @property
    def map(self):
        """The order of axes of the map it moves over: (rows, columns, channels) of ONNX's [c, h, w] or [c,
        l].
        """
        return (None, 1, 0) if self.one_row else (1, 2, 0)

    @property
    def sequence(self):
        """The order of axes of a one-dimensional layer's input."""
        return (1, 0)

    def margins(self, x):
        """The padding as ((top, bottom), (left, right)) around x."""
        window = Window(self.size, self.strides, self.padding, self.dilation)
        # A transposed convolution's window need not fit into its input, as `pads` would ask for.
        return ((0, 0), (0, 0)) if self.padding == "valid" else window.pads(*self.extents(x))

    def extents(self, x):
        """(rows, columns) of x, a Tensor."""
        return (1, x.shape[1]) if self.one_row else x.shape[1:]

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


def frame(x: Tensor, size, strides, pads, dilations, auto_pad):
    """The Frame that ONNX's attributes describe for an input x; raises ValueError that says what is not
    supported.
    """
    rank = len(size)
    if rank not in (1, 2) or len(x.shape) != rank + 1:
        raise ValueError(f"takes [batch, channels, height, width] or [batch, channels, length] with a window "
                         "of as many "
                         f"axes; found {x.shape} after the batch axis and the window {tuple(size)}")
    strides, dilations, pads = strides or (1,) * rank, dilations or (1,) * rank, pads or (0,) * (2 * rank)
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise ValueError(f"strides {strides}, dilations {dilations} and pads {pads} must fit the window "
                         f"{tuple(size)}")
    if min(pads) < 0:
        raise ValueError(f"negative padding {pads} is not supported; slice before the export")
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER"):
        raise ValueError(f"auto_pad={quote(auto_pad)} is not supported; export with explicit pads")
    padding = {"VALID": "valid", "SAME_UPPER": "same"}.get(auto_pad)
    one = (1,) * (2 - rank)
    if padding is None:
        begin, end = (0,) * (2 - rank) + pads[:rank], (0,) * (2 - rank) + pads[rank:]
        padding = tuple(zip(begin, end)) if any(pads) else "valid"
    found = Frame((*one, *size), (*one, *strides), padding, (*one, *dilations), rank == 1)
    if padding == "same" and found.skips(x):
        raise ValueError(f"auto_pad='SAME_UPPER' with strides {strides} so far beyond the window "
                         f"{tuple(size)} is read "
                         "differently by different programs; export with explicit pads")
    return found
