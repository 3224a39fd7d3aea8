"""The geometry of a sliding window: size, strides and padding, shared by convolutions and pools."""
import dataclasses

import numpy as np

# Bounds for numbers that come from a file: no real network nears them, and within them nothing overflows.
MAX_EXTENT = 1 << 16
MAX_ELEMENTS = 1 << 31


def pair(value, what):
    """`value` as two positive whole numbers: an int stands for both; raises ValueError that names `what`."""
    numbers = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) for n in numbers):
        raise ValueError(f"{what} must be one or two whole numbers, got {value!r}")
    if min(numbers) < 1 or max(numbers) > MAX_EXTENT:
        raise ValueError(f"{what} must lie in 1..{MAX_EXTENT}, got {value!r}")
    return int(numbers[0]), int(numbers[1])


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of `size` (rows, columns) that moves by `strides` over a map, with `padding` 'valid' or 'same'.

    'valid':  out = floor((in - size) / stride) + 1
    'same':   out = ceil(in / stride), with  max((out - 1)·stride + size - in, 0)  rows of padding, half of
              them (rounded down) before and the rest behind, as TensorFlow does.
    """
    size: tuple
    strides: tuple = (1, 1)
    padding: str = "valid"

    def __post_init__(self):
        object.__setattr__(self, "size", pair(self.size, "the window's size"))
        object.__setattr__(self, "strides", pair(self.strides, "strides"))
        if self.padding not in ("valid", "same"):
            raise ValueError(f"padding must be 'valid' or 'same', got {self.padding!r}")

    def output(self, height, width):
        """(rows, columns) of the output for an input map of `height` x `width`."""
        out = []
        for extent, size, stride in zip((height, width), self.size, self.strides):
            if self.padding == "same":
                out.append(-(-extent // stride))
            elif extent < size:
                raise ValueError(f"a {self.size[0]}x{self.size[1]} window does not fit into a {height}x{width} map "
                                 "(padding 'valid')")
            else:
                out.append((extent - size) // stride + 1)
        return tuple(out)

    def pads(self, height, width):
        """((top, bottom), (left, right)): rows and columns of padding around an input of `height` x `width`."""
        pads = []
        for extent, size, stride, out in zip((height, width), self.size, self.strides, self.output(height, width)):
            total = max((out - 1) * stride + size - extent, 0) if self.padding == "same" else 0
            pads.append((total // 2, total - total // 2))
        return tuple(pads)

    def taps(self, out):
        """For each position in the window, in scan order: the (rows, columns) slices of the padded input it meets.

        `out` is the output's (rows, columns); tap t of output (i, j) is padded[rows, columns][i, j].
        """
        for row in range(self.size[0]):
            for column in range(self.size[1]):
                yield (slice(row, row + (out[0] - 1) * self.strides[0] + 1, self.strides[0]),
                       slice(column, column + (out[1] - 1) * self.strides[1] + 1, self.strides[1]))
