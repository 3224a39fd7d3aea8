"""Writes the rows of a program: one method for each thing a layer needs, in terms of positions of one sample's arrays."""
import dataclasses

import numpy as np

from . import interpreter as P
from .memory import Buffers, Constants
from .kernels.convolve import positions
from .kernels.elementwise import BOOKS
from .kernels.matmul import pack, pack_bias
from .kernels.sparse import BAND, TOGETHER, band_width
from .kernels.repair import RUN, runs_size
from .kernels.winograd import TILES, scratch_size, transform_kernel

CAPACITY = 16  # samples that a workspace may hold: rows of a dense product need their places
SMALL = 2e-3  # below this part of the largest in its row, rounding is too large a part of a denominator
UNITY = {"backward": 0, "epsilon": 0.0, "coefficient": 1.0}


@dataclasses.dataclass(frozen=True)
class Label:
    """What a row is for: the node, the direction, and the operations of the direct algorithm (0: no sum of products)."""
    node: str
    backward: bool
    flops: int = 0


class Assembler:
    """Rows, constants and buffers of a program under construction. `node` and `backward` label the rows that follow."""

    def __init__(self, dtype):
        self.dtype, self.rows, self.labels = dtype, [], []
        self.weights, self.offsets, self.buffers = Constants(dtype), Constants(np.int64), Buffers()
        self.sums, self.scratch, self.places_needed = 0, 0, 0
        self.node, self.backward = "", False

    def emit(self, kind, *, flops=0, of_input=False, **fields):
        """Append one row; positions that are not given are NONE, other fields 0.

        of_input: on the way back, a step that works on the layer's input, whose numbers all relevances of a sample share.
        """
        row = {name: P.NONE if name in (*P.POSITIONS, "bias") else 0 for name in P.INTEGERS}
        row.update(UNITY, kind=kind, **fields)
        row["fanned"] = int(self.backward and not of_input)
        self.rows.append(tuple(row[name] for name in P.STEP.names))
        self.labels.append(Label(self.node, self.backward, flops))

    def book(self, rows):
        """A place in `sums` for the books of `rows` rows of each sample."""
        self.sums += rows * BOOKS
        return self.sums - rows * BOOKS

    def zeros(self, count):
        """The position of `count` zeros among the constants, with room for a whole tile behind them."""
        return self.weights.add(np.zeros(count + 64, self.dtype))

    def places(self, stride, count):
        """The position of 0, stride, 2·stride, ... among the offsets."""
        return self.offsets.add(np.arange(count) * stride)

    def packed(self, matrix):
        """The fields of a row for a packed matrix [depth, columns]."""
        panels = pack(matrix, self.dtype)
        return {"weights": self.weights.add(panels), "panels": panels.shape[0], "depth": panels.shape[1], "panel_width": panels.shape[2]}

    def bias(self, bias, columns):
        """The position of a bias, or of zeros, padded to whole panels."""
        return self.weights.add(pack_bias(bias, columns, self.dtype))

    # ---- linear maps and their transposes

    def convolve(self, form, kernel, bias, x, y, *, rectify=False, accumulate=False, ties=False, sharp=False, flag=P.NONE):
        """y = [y +] conv(x) + bias, or its positive part.

        ties: windows that are equal must give equal bits. sharp: small outputs must be as exact as large ones.
        flag: samples that have it set are left out.
        """
        if form.suits_winograd:
            self._winograd(form, kernel, bias, x, y, rectify=rectify, accumulate=accumulate, ties=ties, sharp=sharp, flag=flag)
            return
        to = self.buffers.take(np.prod(form.made)) if accumulate else y
        height, width = form.padded
        padded = x
        if (height, width) != form.source[:2]:
            padded = self.buffers.take(height * width * form.source[2])
            self.emit(P.PAD, of_input=True, x=x, y=padded,
                      **(geometry(form) | {"rows": height, "columns": width, "filters": form.source[2]}))
        fields = geometry(form) | {"height": height, "width": width} | self.packed(kernel.reshape(-1, kernel.shape[3]))
        self.emit(P.DIRECT, of_input=True, x=padded, y=to, flops=form.flops(), **(fields | {
            "depth": fields["depth"] // kernel.shape[0], "bias": self.bias(bias, kernel.shape[3]), "rectify": int(rectify),
            "flag": flag, "offsets": self.offsets.add(positions(height, width, form.source[2], form.window))}))
        if padded != x:
            self.buffers.free(padded)
        if accumulate:
            self.combine(to, y, form.made, accumulate=True, of_input=True)
            self.buffers.free(to)

    def _winograd(self, form, kernel, bias, x, y, *, rectify, accumulate, ties, sharp, flag):
        fields = geometry(form) | {"bias": self.bias(bias, form.made[2]), "rectify": int(rectify), "flag": flag,
                                   "offsets": self.places(form.source[2], TILES)}
        self._winograd_row(form.flops(), kernel, True, fields | {"x": x, "y": y, "accumulate": int(accumulate)})
        if ties:
            runs = self.buffers.take(runs_size(*form.made[:2]))
            self.emit(P.FIND_RUNS, of_input=True, x=x, runs=runs, **geometry(form))
            self.emit(P.RESTORE, of_input=True, x=x, y=y, runs=runs, **(fields | self.packed(kernel.reshape(-1, form.made[2])) | {
                "offsets": self.places(kernel[..., 0].size, RUN)}))
            self.scratch = max(self.scratch, form.made[0] * form.made[1] + RUN * kernel[..., 0].size)
            self.buffers.free(runs)
        if sharp:
            self.emit(P.SHARPEN, of_input=True, x=x, y=y, epsilon=SMALL, **(fields | {
                "weights": self.weights.add(kernel.transpose(3, 0, 1, 2))}))

    def _winograd_row(self, flops, kernel, of_input, fields):
        u = transform_kernel(kernel, self.dtype)
        channels, filters = kernel.shape[2:]
        self.emit(P.WINOGRAD, flops=flops, of_input=of_input, **(fields | {
            "weights": self.weights.add(u), "panels": u.shape[1], "panel_width": u.shape[3], "zeros": self.zeros(filters)}))
        self.scratch = max(self.scratch, scratch_size(channels, filters, self.dtype))

    def flag(self, y, shape, most):
        """The position of a flag that is 1 for each sample with fewer than `most` numbers y that differ from zero, else 0."""
        flag = self.buffers.take(1)
        self.emit(P.FLAG, of_input=True, x=y, y=flag, depth=int(most), **extent(shape))
        return flag

    def dots(self, form, kernel, bias, x, z, r, flag, *, y=P.NONE, other=P.NONE, rest=None):
        """z = conv(x) + bias where r is not zero, for samples that have the flag set.

        other: the z of a group whose kernel and this one make up the layer's; then z is y - other + rest where that is exact.
        """
        self.emit(P.DOTS, of_input=True, flops=form.flops(), x=x, y=z, z=r, flag=flag, gate_y=y, other=other, **geometry(form),
                  weights=self.weights.add(kernel.transpose(3, 0, 1, 2)), bias=self.bias(bias, form.made[2]),
                  zeros=self.bias(rest, form.made[2]))
        self.places_needed = max(self.places_needed, form.made[2])

    def convolve_back(self, form, kernel, s, r, *, times, accumulate, flag):
        """r = [r +] [times ·] convᵀ(s): for samples with the flag set by their nonzeros, for others by a dense kernel."""
        end = {"times": times, "accumulate": int(accumulate), "flag": flag}
        if flag != P.NONE:
            self._scatter(form, kernel, end | {"x": s, "y": r})
        (top, _), (left, _) = form.pads
        if form.suits_winograd and max(top, left) <= 2:
            # The transpose of a convolution is one with the kernel turned about, over s with a margin of 2 - padding.
            turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
            self._winograd_row(form.flops(), turned, False, geometry(form) | end | {
                "x": s, "y": r, "height": form.made[0], "width": form.made[1], "channels": form.made[2], "rows": form.source[0],
                "columns": form.source[1], "filters": form.source[2], "top": 2 - top, "left": 2 - left,
                "bias": self.zeros(form.source[2]), "offsets": self.places(form.made[2], TILES)})
            return
        matrix = kernel.reshape(-1, kernel.shape[3]).T
        shares = self.buffers.take(form.made[0] * form.made[1] * matrix.shape[1])
        # Every output position is a row of s: a convolution with a 1x1 window over the map of outputs.
        self.emit(P.DIRECT, x=s, y=shares, flops=form.flops(), **(geometry(form) | self.packed(matrix) | {
            "height": form.made[0], "width": form.made[1], "channels": form.made[2], "filters": matrix.shape[1], "flag": flag,
            "size_down": 1, "size_right": 1, "stride_down": 1, "stride_right": 1, "dilation_down": 1, "dilation_right": 1,
            "bias": self.zeros(matrix.shape[1]), "offsets": self.places(form.made[2], form.made[0] * form.made[1])}))
        self.emit(P.FOLD, x=shares, y=r, **(geometry(form) | end))
        self.scratch = max(self.scratch, form.source[1] * form.source[2])
        self.buffers.free(shares)

    def _scatter(self, form, kernel, fields):
        self.emit(P.SCATTER, of_input=True, flops=form.flops(), **(geometry(form) | fields | {
            "weights": self.weights.add(kernel.transpose(0, 3, 1, 2)), "offsets": self.places(0, 1)}))
        line = band_width(form.made[1], form.window.strides[1], form.window.size[1], form.pads[1][0], form.source[1])
        self.scratch = max(self.scratch, TOGETHER * BAND * line * form.source[2])
        self.places_needed = max(self.places_needed, form.made[1] * (form.made[2] + 1))

    def dense(self, kernel, bias, x, y, *, rectify=False, accumulate=False, of_input=True):
        """y = [y +] x W + bias, or its positive part."""
        depth, columns = kernel.shape
        to = self.buffers.take(columns) if accumulate else y
        self.emit(P.DENSE, of_input=of_input, x=x, y=to, flops=2 * kernel.size, filters=columns, rows=1, columns=1,
                  rectify=int(rectify), bias=self.bias(bias, columns), offsets=self.places(depth, CAPACITY), **self.packed(kernel))
        self.places_needed = max(self.places_needed, depth)
        if accumulate:
            self.combine(to, y, (1, 1, columns), accumulate=True, of_input=of_input)
            self.buffers.free(to)

    def dense_back(self, kernel, s, r, *, times, accumulate):
        """r = [r +] [times ·] s Wᵀ."""
        shares = self.buffers.take(kernel.shape[0])
        self.dense(kernel.T, None, s, shares, of_input=False)
        self.combine(shares, r, (1, 1, kernel.shape[0]), times=times, accumulate=accumulate)
        self.buffers.free(shares)

    # ---- passes

    def combine(self, x, y, shape, *, times=P.NONE, accumulate=False, of_input=False):
        """y = [y +] [times ·] x for maps of a shape."""
        self.emit(P.COMBINE, of_input=of_input, x=x, y=y, times=times, accumulate=int(accumulate), **extent(shape))

    def part(self, x, sign, y, shape):
        """y = x⁺ or x⁻."""
        self.emit(P.PART, of_input=True, x=x, y=y, sign=sign, **extent(shape))

    def spread(self, form, s, r, value, *, accumulate):
        """r = [r +] convᵀ(s) for a kernel whose numbers are all `value`."""
        sums = self.buffers.take(form.made[0] * form.made[1])
        self.emit(P.CHANNEL_SUM, x=s, y=sums, **extent(form.made))
        self.scratch = max(self.scratch, form.source[1])
        self.emit(P.SPREAD, x=sums, y=r, accumulate=int(accumulate), coefficient=float(value), **geometry(form))
        self.buffers.free(sums)

    def measure(self, r, shape):
        """Book Σ r and Σ |r|; returns where."""
        shape = extent(shape)
        book = self.book(shape["rows"])
        self.emit(P.MEASURE, x=r, book=book, **shape)
        return book


def geometry(form):
    """The fields of a row that say where a window goes."""
    (top, _), (left, _) = form.pads
    return {"height": form.source[0], "width": form.source[1], "channels": form.source[2],
            "rows": form.made[0], "columns": form.made[1], "filters": form.made[2],
            "size_down": form.window.size[0], "size_right": form.window.size[1],
            "stride_down": form.window.strides[0], "stride_right": form.window.strides[1],
            "dilation_down": form.window.dilation[0], "dilation_right": form.window.dilation[1], "top": top, "left": left}


def map_shape(shape):
    """Any shape as that of a map [h, w, c]."""
    return (int(np.prod(shape[:-2])), *shape[-2:]) if len(shape) > 2 else (1, *shape) if len(shape) == 2 else (1, 1, *shape)


def extent(shape):
    """The fields of a row that walks over an array of a shape."""
    return dict(zip(("rows", "columns", "filters"), map_shape(shape)))
