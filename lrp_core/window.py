"""The geometry of a sliding window: size, strides and padding, shared by convolutions and pools."""
import dataclasses

from .checks import is_whole
from .limits import MAX_EXTENT
from .text import quote


def pair(value, what):
    """`value` as two positive whole numbers: an int stands for both; raises ValueError that names `what`."""
    numbers = (value, value) if is_whole(value) else tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(numbers) != 2 or not all(map(is_whole, numbers)):
        raise ValueError(f"{what} must be one or two whole numbers, got {quote(value)}")
    if min(numbers) < 1 or max(numbers) > MAX_EXTENT:
        raise ValueError(f"{what} must lie in 1..{MAX_EXTENT}, got {quote(value)}")
    return int(numbers[0]), int(numbers[1])


def margins(value, what):
    """`value` as ((top, bottom), (left, right)), whole numbers from 0; raises ValueError that names `what`.
    """
    try:
        (top, bottom), (left, right) = value
        numbers = (top, bottom, left, right)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 4 or not all(map(is_whole, numbers)) or min(numbers) < 0 or max(numbers) > MAX_EXTENT:
        raise ValueError(f"{what} must be 'valid', 'same' or ((top, bottom), (left, right)), got "
                         f"{quote(value)}")
    return (int(top), int(bottom)), (int(left), int(right))


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of `size` (rows, columns) that moves by `strides` over a map, with `padding` 'valid' or
    'same'.

    With dilation its rows lie that far apart, so that it reaches over  reach = (size - 1)·dilation + 1.

    'valid':  out = floor((in - reach) / stride) + 1
    'same':   out = ceil(in / stride), with  max((out - 1)·stride + reach - in, 0)  rows of padding, half of
              them (rounded down) before and the rest after, as TensorFlow does.
    ((top, bottom), (left, right)):  that many rows and columns of padding, then as 'valid'.
    """
    size: tuple
    strides: tuple = (1, 1)
    padding: str = "valid"
    dilation: tuple = (1, 1)

    def __post_init__(self):
        object.__setattr__(self, "size", pair(self.size, "the window's size"))
        object.__setattr__(self, "strides", pair(self.strides, "strides"))
        object.__setattr__(self, "dilation", pair(self.dilation, "dilation"))
        if self.padding not in ("valid", "same"):
            object.__setattr__(self, "padding", margins(self.padding, "padding"))

    @property
    def reach(self):
        """(rows, columns) from the window's first to its last position."""
        return tuple((size - 1) * dilation + 1 for size, dilation in zip(self.size, self.dilation))

    def output(self, height, width):
        """(rows, columns) of the output for an input map of `height` x `width`."""
        if self.padding == "same":
            return tuple(-(-extent // stride) for extent, stride in zip((height, width), self.strides))
        added = (0, 0) if self.padding == "valid" else tuple(map(sum, self.padding))
        if height + added[0] < self.reach[0] or width + added[1] < self.reach[1]:
            raise ValueError(f"a {self.reach[0]}x{self.reach[1]} window does not fit into a {height}x{width} "
                             "map "
                             f"(padding {self.padding!r})")
        return tuple((extent + more - reach) // stride + 1
                     for extent, more, reach, stride in zip((height, width), added, self.reach, self.strides))

    def meeting(self, height, width):
        """`output`, for pools: refuses padding so wide that a window would meet nothing but padding."""
        for pair, reach in zip(self.pads(height, width), self.reach):
            if max(pair) >= reach:
                raise ValueError(f"padding {self.padding!r} leaves windows of "
                                 f"{self.reach[0]}x{self.reach[1]} with nothing in them")
        return self.output(height, width)

    def pads(self, height, width):
        """((top, bottom), (left, right)): rows and columns of padding around an input of `height` x `width`.
        """
        if not isinstance(self.padding, str):
            return self.padding
        pads = []
        for extent, reach, stride, out in zip((height, width), self.reach, self.strides,
                                              self.output(height, width)):
            total = max((out - 1) * stride + reach - extent, 0) if self.padding == "same" else 0
            pads.append((total // 2, total - total // 2))
        return tuple(pads)

    def taps(self, out):
        """For each position in the window, in scan order: the (rows, columns) slices of the padded input it
        meets.

        `out` is the output's (rows, columns); tap t of output (i, j) is padded[rows, columns][i, j].
        """
        for row in range(0, self.reach[0], self.dilation[0]):
            for column in range(0, self.reach[1], self.dilation[1]):
                yield (slice(row, row + (out[0] - 1) * self.strides[0] + 1, self.strides[0]),
                       slice(column, column + (out[1] - 1) * self.strides[1] + 1, self.strides[1]))


def one_row(window):
    """The window of a 1-D layer, over a map of one row; refuses padding above or below the row."""
    if not isinstance(window.padding, str) and window.padding[0] != (0, 0):
        raise ValueError(f"a sequence is padded at its ends only, ((0, 0), (before, after)); got "
                         f"{window.padding}")
    return window
