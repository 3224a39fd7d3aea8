"""Writes ops: one method for each thing that a layer needs, in terms of virtual buffers (numbers without a
place).
"""
import dataclasses
from collections.abc import Callable

import numpy as np

from .constants import Constants
from .kernels.convolve import direct, fold, pad, positions
from .kernels.depthwise import depthwise, depthwise_back
from .kernels.elementwise import SUMS, combine, measure, minus, part
from .kernels.flat import channel_sum, spread
from .kernels.matmul import PANELS, pack_bias, panels_shape
from .kernels.moves import copy
from .kernels.op import FIELDS, NONE, kind_of
from .kernels.repair import RUN, find_runs, restore, runs_size, sharpen
from .kernels.sparse import dense, dots, flag_sparse, scatter
from .kernels.winograd import TILES, TRANSFORMED, transformed_shape, winograd
from .support import map_shape

CAPACITY = 16  # samples that a workspace may hold: rows of a dense product need their places
SMALL = 2e-3  # below this part of the largest in its row, rounding is too large a part of a denominator


@dataclasses.dataclass(frozen=True)
class Op:
    """An op before its buffers have places.

    kernel: a function registered by `kernels.op.kind`. fields: {name: number}, buffers by number. node,
    backward: what it works for. flops: operations of the direct algorithm (0: no sum of products).
    """
    kernel: Callable
    fields: dict
    node: str
    backward: bool
    flops: int = 0

    @property
    def buffers(self):
        """{field: number} of the buffers that it touches; a z that is shared lies among the constants."""
        return {name: number for name, number in self.fields.items() if FIELDS[name].position
                and number != NONE and not (name == "z" and self.fields.get("shared"))}

    def __str__(self):
        shown = [f"{name}={'#' * (name in self.buffers)}{number:g}" for name, number in self.fields.items()
                 if number != FIELDS[name].default]
        return (f"{self.node:<12} {'back' if self.backward else 'forward':<8} "
                f"{kind_of(self.kernel).name:<18} {' '.join(shown)}")


class OpList:
    """Ops, constants and buffers of a program under construction. `node` and `backward` label the ops that
    follow.
    """

    def __init__(self, dtype):
        self.dtype, self.ops, self.sizes = dtype, [], []
        self.weights, self.offsets = Constants(dtype), Constants(np.int64)
        self.sums, self.node, self.backward = 0, "", False

    def buffer(self, count):
        """A new buffer of `count` numbers for each sample (relevance); returns its number."""
        self.sizes.append(int(count))
        return len(self.sizes) - 1

    def emit(self, kernel, *, flops=0, per_sample=False, **fields):
        """Append one op.

        per_sample: on the way back, an op that works on the layer's input, which all relevances of a sample
        share.
        """
        fields["per_target"] = int(self.backward and not per_sample)
        self.ops.append(Op(kernel, fields, self.node, self.backward, flops))

    def sums_for(self, rows):
        """A place for the sums of `rows` rows of each sample."""
        self.sums += rows * SUMS
        return self.sums - rows * SUMS

    def zeros(self, count):
        """The position of `count` zeros among the constants, and a whole tile more."""
        return self.weights.add(np.zeros(count + 64, self.dtype))

    def places(self, stride, count):
        """The position of 0, stride, 2·stride, ... among the offsets."""
        return self.offsets.add(np.arange(count) * stride)

    def packed(self, matrix):
        """The fields of an op for a packed matrix [depth, columns]."""
        panels, depth, width = panels_shape(matrix.shape, self.dtype)
        return {"weights": self.weights.add(matrix, PANELS), "panels": panels, "depth": depth,
                "panel_width": width}

    def bias(self, bias, columns):
        """The position of a bias, or of zeros, padded to whole panels."""
        return self.weights.add(pack_bias(bias, columns, self.dtype))

    # ---- linear maps and their transposes

    def convolve(self, form, kernel, bias, x, y, *, rectify=False, accumulate=False, ties=False, sharp=False,
                 flag=NONE):
        """y = [y +] conv(x) + bias, or its positive part.

        ties: windows that are equal must give equal bits. sharp: small outputs must be as exact as large
        ones.
        flag: samples that have it set are left out.
        """
        if form.suits_winograd:
            self._winograd(form, kernel, bias, x, y, rectify=rectify, accumulate=accumulate, ties=ties,
                           sharp=sharp, flag=flag)
            return
        to = self.buffer(np.prod(form.made)) if accumulate else y
        height, width = form.padded
        padded = x
        if (height, width) != form.source[:2]:
            padded = self.buffer(height * width * form.source[2])
            self.emit(pad, per_sample=True, x=x, y=padded,
                      **(geometry(form) | {"rows": height, "columns": width, "filters": form.source[2]}))
        fields = geometry(form) | {"height": height,
                                   "width": width} | self.packed(kernel.reshape(-1, kernel.shape[3]))
        self.emit(direct, per_sample=True, x=padded, y=to, flops=form.flops(), **(fields | {
            "depth": fields["depth"] // kernel.shape[0], "bias": self.bias(bias, kernel.shape[3]),
            "rectify": int(rectify),
            "flag": flag, "offsets": self.offsets.add(positions(height, width, form.source[2],
                                                                form.window))}))
        if accumulate:
            self.combine(to, y, form.made, accumulate=True, per_sample=True)

    def _winograd(self, form, kernel, bias, x, y, *, rectify, accumulate, ties, sharp, flag):
        fields = geometry(form) | {"x": x, "y": y, "bias": self.bias(bias, form.made[2]),
                                   "rectify": int(rectify), "flag": flag}
        self._winograd_op(form.flops(), kernel, True, fields | {
            "accumulate": int(accumulate), "offsets": self.places(form.source[2], TILES)})
        if ties:
            runs = self.buffer(runs_size(*form.made[:2]))
            self.emit(find_runs, per_sample=True, x=x, runs=runs, **geometry(form))
            self.emit(restore, per_sample=True, runs=runs,
                      **(fields | self.packed(kernel.reshape(-1, form.made[2])) | {
                "offsets": self.places(kernel[..., 0].size, RUN)}))
        if sharp:
            self.emit(sharpen, per_sample=True, small=SMALL,
                      weights=self.weights.add(kernel.transpose(3, 0, 1, 2)), **fields)

    def _winograd_op(self, flops, kernel, per_sample, fields):
        _, panels, _, width = transformed_shape(kernel.shape, self.dtype)
        self.emit(winograd, flops=flops, per_sample=per_sample,
                  weights=self.weights.add(kernel, TRANSFORMED), panels=panels, panel_width=width,
                  zeros=self.zeros(kernel.shape[3]), **fields)

    def flag(self, x, shape, most):
        """A buffer that is 1 for each sample with fewer than `most` numbers x that differ from zero, else 0.
        """
        flag = self.buffer(1)
        self.emit(flag_sparse, per_sample=True, x=x, y=flag, most=int(most), **extent(shape))
        return flag

    def dots(self, form, kernel, bias, x, z, r, flag, *, whole=NONE, other=NONE, rest=None):
        """z = conv(x) + bias where r is not zero, for samples that have the flag set.

        other: the z of a group whose kernel and this one make up the layer's, which gives `whole`; then z is
        whole - other + rest where that is exact.
        """
        self.emit(dots, per_sample=True, flops=form.flops(), x=x, y=z, r=r, flag=flag, whole=whole,
                  other=other, **geometry(form),
                  weights=self.weights.add(kernel.transpose(3, 0, 1, 2)), bias=self.bias(bias, form.made[2]),
                  rest=self.bias(rest, form.made[2]))

    def convolve_back(self, form, kernel, s, r, *, times, accumulate, flag=NONE):
        """r = [r +] [times ·] convᵀ(s): for samples with the flag set by their nonzeros, for others by a
        dense kernel.
        """
        end = {"times": times, "accumulate": int(accumulate), "flag": flag}
        if flag != NONE:
            self.emit(scatter, per_sample=True, flops=form.flops(), x=s, y=r, **geometry(form), **end,
                      weights=self.weights.add(kernel.transpose(0, 3, 1, 2)), offsets=self.places(0, 1))
        (top, _), (left, _) = form.pads
        if form.suits_winograd and max(top, left) <= 2:
            # The transpose of a convolution is one with the kernel turned about, over s with a margin of 2 -
            # padding.
            turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
            self._winograd_op(form.flops(), turned, False, geometry(form) | end | {
                "x": s, "y": r, "height": form.made[0], "width": form.made[1], "channels": form.made[2],
                "rows": form.source[0],
                "columns": form.source[1], "filters": form.source[2], "top": 2 - top, "left": 2 - left,
                "bias": self.zeros(form.source[2]), "offsets": self.places(form.made[2], TILES)})
            return
        matrix = kernel.reshape(-1, kernel.shape[3]).T
        shares = self.buffer(form.made[0] * form.made[1] * matrix.shape[1])
        # Every output position is a row of s: a convolution with a 1x1 window over the map of outputs.
        self.emit(direct, x=s, y=shares, flops=form.flops(), **(geometry(form) | self.packed(matrix) | {
            "height": form.made[0], "width": form.made[1], "channels": form.made[2],
            "filters": matrix.shape[1], "flag": flag,
            "size_down": 1, "size_right": 1, "stride_down": 1, "stride_right": 1, "dilation_down": 1,
            "dilation_right": 1,
            "bias": self.zeros(matrix.shape[1]),
            "offsets": self.places(form.made[2], form.made[0] * form.made[1])}))
        self.emit(fold, x=shares, y=r, **geometry(form), **end)

    def depthwise(self, form, kernel, bias, x, y, *, rectify=False, accumulate=False):
        """y = [y +] depthwise conv(x) + bias, or its positive part; kernel [kh, kw, c, 1], or
        [1, 1, c, 1] where the weights are the same at each place of the window.
        """
        self.emit(depthwise, per_sample=True, x=x, y=y, rectify=int(rectify), accumulate=int(accumulate),
                  bias=self.zeros(form.made[2]) if bias is None else self.weights.add(bias),
                  **self._taps(form, kernel))

    def depthwise_back(self, form, kernel, s, r, *, times, accumulate):
        """r = [r +] [times ·] (depthwise conv)ᵀ(s)."""
        self.emit(depthwise_back, x=s, y=r, times=times, accumulate=int(accumulate),
                  bias=self.zeros(form.source[2]), **self._taps(form, kernel))

    def _taps(self, form, kernel):
        """The fields of a depthwise op that say where its weights lie. A kernel [1, 1, c, 1] stands for all
        taps.
        """
        return geometry(form) | {"weights": self.weights.add(kernel),
                                 "tap": 0 if kernel.shape[:2] == (1, 1) else kernel.shape[2],
                                 "flops": 2 * int(np.prod(form.made)) * int(np.prod(form.window.size))}

    def dense(self, kernel, bias, x, y, *, rectify=False, accumulate=False, per_sample=True):
        """y = [y +] x W + bias, or its positive part."""
        depth, columns = kernel.shape
        to = self.buffer(columns) if accumulate else y
        self.emit(dense, per_sample=per_sample, x=x, y=to, flops=2 * kernel.size, filters=columns, rows=1,
                  columns=1,
                  rectify=int(rectify), bias=self.bias(bias, columns), offsets=self.places(depth, CAPACITY),
                  **self.packed(kernel))
        if accumulate:
            self.combine(to, y, (1, 1, columns), accumulate=True, per_sample=per_sample)

    def dense_back(self, kernel, s, r, *, times, accumulate):
        """r = [r +] [times ·] s Wᵀ."""
        shares = self.buffer(kernel.shape[0])
        self.dense(kernel.T, None, s, shares, per_sample=False)
        self.combine(shares, r, (1, 1, kernel.shape[0]), times=times, accumulate=accumulate)

    # ---- moves

    def copy(self, x, source, y, shape, begin, steps):
        """y[i, j, c] = x[begin + steps · (i, j, c)]: a map of `shape` from one of shape `source`."""
        self.emit(copy, x=x, y=y, begin=begin, step_row=steps[0], step_column=steps[1], step_filter=steps[2],
                  **dict(zip(("height", "width", "channels"), map_shape(source))), **extent(shape))

    def permute(self, x, source, axes, y):
        """y = x with its axes (counted from 0, at most three) in another order."""
        steps = [int(np.prod(source[axis + 1:])) for axis in axes]
        self.copy(x, source, y, [source[axis] for axis in axes], 0, [0] * (3 - len(axes)) + steps)

    def pad(self, x, source, margin, y):
        """y = x [h, w, c] with a margin ((top, bottom), (left, right)) of zeros."""
        (top, bottom), (left, right) = margin
        self.emit(pad, x=x, y=y, height=source[0], width=source[1], channels=source[2], top=top, left=left,
                  **extent((source[0] + top + bottom, source[1] + left + right, source[2])))

    def crop(self, x, source, margin, y, shape):
        """y of a shape = x without a margin."""
        (top, _), (left, _) = margin
        row = source[1] * source[2]
        self.copy(x, source, y, shape, top * row + left * source[2], (row, source[2], 1))

    # ---- number by number

    def combine(self, x, y, shape, *, times=NONE, accumulate=False, per_sample=False):
        """y = [y +] [times ·] x for maps of a shape."""
        self.emit(combine, per_sample=per_sample, x=x, y=y, times=times, accumulate=int(accumulate),
                  **extent(shape))

    def part(self, x, sign, y, shape):
        """y = x⁺ or x⁻."""
        self.emit(part, per_sample=True, x=x, y=y, sign=sign, **extent(shape))

    def minus(self, x, bound, y, shape):
        """y = x - bound, which broadcasts against one sample of x."""
        bound = np.broadcast_to(np.asarray(bound, np.float64), (1, *shape))
        self.emit(minus, per_sample=True, x=x, y=y, weights=self.weights.add(bound[0]), **extent(shape))

    def spread(self, form, s, r, value, *, accumulate):
        """r = [r +] convᵀ(s) for a kernel whose numbers are all `value`."""
        sums = self.buffer(form.made[0] * form.made[1])
        self.emit(channel_sum, x=s, y=sums, **extent(form.made))
        self.emit(spread, x=sums, y=r, accumulate=int(accumulate), value=float(value), **geometry(form))

    def measure(self, r, shape):
        """Write Σ r and Σ |r| for the ledger; returns where."""
        place = self.sums_for(extent(shape)["rows"])
        self.emit(measure, x=r, sums=place, **extent(shape))
        return place


def geometry(form):
    """The fields of an op that say where a window goes."""
    (top, _), (left, _) = form.pads
    return {"height": form.source[0], "width": form.source[1], "channels": form.source[2],
            "rows": form.made[0], "columns": form.made[1], "filters": form.made[2],
            "size_down": form.window.size[0], "size_right": form.window.size[1],
            "stride_down": form.window.strides[0], "stride_right": form.window.strides[1],
            "dilation_down": form.window.dilation[0], "dilation_right": form.window.dilation[1], "top": top,
            "left": left}


def extent(shape):
    """The fields of an op that walks over an array of a shape."""
    return dict(zip(("rows", "columns", "filters"), map_shape(shape)))
