"""Runs ops of a kernel program by themselves, between guard words, and says in float64 loops what they should
give.

Everything that an OpList asks for (buffers, their gaps, constants, sums, scratch) is surrounded by a NaN of a
known pattern. An op that writes outside the buffers it was given breaks a guard; one that reads there spoils
its own result.
"""
import concurrent.futures
import types

import naive
import numba
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from lrp_core.numba_engine.constants import Constants
from lrp_core.numba_engine.kernels import convolve as C
from lrp_core.numba_engine.kernels import depthwise, elementwise, flat, moves, pools, repair, sparse, winograd
from lrp_core.numba_engine.kernels.elementwise import SUMS
from lrp_core.numba_engine.kernels.forms import PLAIN
from lrp_core.numba_engine.kernels.op import NONE, kind_of
from lrp_core.numba_engine.memory import aligned
from lrp_core.numba_engine.ops import OpList
from lrp_core.numba_engine.runtime import Code, Workspace
from lrp_core.numba_engine.support import Form
from lrp_core.window import Window

# The kernels by the names that tests call them by.
P = types.SimpleNamespace(
    NONE=NONE, PAD=C.pad, DIRECT=C.direct, FOLD=C.fold, WINOGRAD=winograd.winograd,
    FIND_RUNS=repair.find_runs, RESTORE=repair.restore,
    SHARPEN=repair.sharpen, RELU=elementwise.relu, START=elementwise.start, RATIO=elementwise.ratio,
    MEASURE=elementwise.measure,
    COMBINE=elementwise.combine, PART=elementwise.part, MINUS=elementwise.minus,
    MAX_POOL=pools.max_pool, MAX_UNPOOL=pools.max_unpool,
    DENSE=sparse.dense,
    FLAG=sparse.flag_sparse, SCATTER=sparse.scatter, DOTS=sparse.dots, CHANNEL_SUM=flat.channel_sum,
    SPREAD=flat.spread, DEPTHWISE=depthwise.depthwise, DEPTHWISE_BACK=depthwise.depthwise_back,
    CLIP=elementwise.clip, COPY=moves.copy)
MARGIN, GAP = 4096, 16  # guard words around arrays, and between them
# For each precision: the words of its arrays, a quiet NaN and about 1.5 as such words, and the bar for sums
# of products.
WORD = {"float32": np.uint32, "float64": np.uint64}
GUARD = {"float32": np.uint32(0x7FC0BEEF), "float64": np.uint64(0x7FF8BEEF7FF8BEEF)}
NUMBER = {"float32": np.uint32(0x3FC0BEEF), "float64": np.uint64(0x3FF8BEEF3FF8BEEF)}
BAR = {"float32": 1e-5, "float64": 1e-14}
DTYPE = "float32"  # of the kernels under test, as `precision` sets it
seeded = settings(max_examples=60, derandomize=True, deadline=None, database=None)
seeds, fans, batches = st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3)
# Below, at and beyond whole vectors and panels of any width.
channel_counts = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 31, 32, 33, 40])


@pytest.fixture(scope="module", params=["float32", "float64"], autouse=True)
def precision(request):
    """Every test of a module that imports this runs in both precisions."""
    global DTYPE
    DTYPE = request.param
    yield DTYPE
    DTYPE = "float32"


def normal(seed, *shape):
    """Mixed-sign float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(found, expected, scale, tolerance):
    """`found` within `tolerance` of `scale`, and free of NaN."""
    assert found.shape == expected.shape
    worst = np.abs(found.astype(np.float64) - expected).max()
    assert worst <= tolerance * scale, f"{worst / scale:.3g} of the scale {scale:.3g}"


# --- rows by themselves
# ----------------------------------------------------------------------------------------------

class GuardedConstants(Constants):
    """Whatever lies between the constants is NaN."""

    def __init__(self, dtype):
        super().__init__(dtype)
        self.taken = []

    def add(self, array, form=PLAIN):
        position = super().add(array, form)
        self.taken.append((position, int(np.prod(form.shape(np.shape(array), DTYPE)))))
        return position

    def build(self):
        values = super().build()
        built = values.copy()
        built.view(WORD[DTYPE])[...] = GUARD[DTYPE]
        for position, count in self.taken:
            built[position:position + count] = values[position:position + count]
        built.flags.writeable = False
        return built


def name_of(kernel):
    """What people call a kind of op."""
    return kind_of(kernel).name


def alone(asm, gap=GAP):
    """(the Code of an OpList's ops, the position of each buffer): every buffer has a place of its own, and a
    gap after it.
    """
    positions, size = [], 0
    for count in asm.sizes:
        positions.append(size)
        size += -(-(count + gap) // 16) * 16
    code = Code.of(asm.ops, positions, dtype=DTYPE, weights=asm.weights.build(), offsets=asm.offsets.build(),
                   data=size, sums=asm.sums)
    return code, positions


class Rig:
    """Ops under test for `samples` samples with `fan` relevances each: write them through `asm`, then `run`.
    """

    def __init__(self, samples=1, fan=1):
        self.samples, self.fan, self.capacity = samples, fan, samples * fan + 1
        self.asm = OpList(DTYPE)
        self.asm.weights = GuardedConstants(DTYPE)
        self.inputs, self.shapes = [], {}
        self.favoured = self.other = np.zeros(samples * fan, np.int64)

    def put(self, array, *, changes=False):
        """A buffer that holds an array [samples, ...] when the ops begin; `changes`: they write it too."""
        buffer = self.room(*array.shape[1:])
        self.inputs.append((buffer, np.asarray(array, DTYPE), changes))
        return buffer

    def room(self, *shape):
        """A buffer that the ops write."""
        buffer = self.asm.buffer(int(np.prod(shape)))
        self.shapes[buffer] = shape
        return buffer

    def run(self, team=1):
        """Check the bounds, run all ops, and see that no guard and no input has changed; twice: adding to a
        NaN leaves it.
        """
        # a team counts atomically, which only compiled code can
        team = 1 if numba.config.DISABLE_JIT else team
        self.code, self.positions = alone(self.asm)
        with concurrent.futures.ThreadPoolExecutor(team) as crew:
            self._run_between(NUMBER[DTYPE], team, crew)
            self._run_between(GUARD[DTYPE], team, crew)
        return self

    def _run_between(self, guard, team, crew):
        before, memory, self.data, self.sums = self.memory(self.code, team, guard)
        workspace = Workspace(self.code, self.capacity, team)
        workspace.data, workspace.sums = self.data, self.sums
        count = self.samples * self.fan
        workspace.favoured[:count], workspace.other[:count] = self.favoured, self.other
        self.code.run(workspace, 0, len(self.code.ops), self.samples, self.fan, team, crew)
        changed = memory.view(WORD[DTYPE]) != before
        allowed = np.zeros(len(memory), bool)
        for position, size in zip(self.positions, self.asm.sizes):
            allowed[MARGIN + position * self.capacity:][:size * count] = True
        for buffer, array, changes in self.inputs:
            allowed[MARGIN + self.positions[buffer] * self.capacity:][:array.size] = changes
        for member in range(team):
            allowed[MARGIN + self.code.data * self.capacity
                    + member * self.code.scratch:][:self.code.scratch] = True
        broken = np.flatnonzero(changed & ~allowed)
        assert not len(broken), f"{len(broken)} guard words or inputs changed, first at {broken[0] - MARGIN}"
        sums = self.all_sums.view(WORD["float64"])
        assert ((sums[:MARGIN] == GUARD["float64"]).all()
                and (sums[-MARGIN:] == GUARD["float64"]).all()), "sums outside the array"

    def memory(self, code, team, guard):
        """(words before, all memory, its part for data, sums) with the inputs in place and guards elsewhere.
        """
        memory = aligned(2 * MARGIN + code.data * self.capacity + code.scratch * team, DTYPE)
        memory.view(WORD[DTYPE])[...] = guard
        self.all_sums = aligned(2 * MARGIN + code.sums * self.capacity, np.float64)
        self.all_sums.view(WORD["float64"])[...] = GUARD["float64"]
        data = memory[MARGIN:len(memory) - MARGIN]
        for buffer, array, _ in self.inputs:
            data[self.positions[buffer] * self.capacity:][:array.size] = array.ravel()
        return (memory.view(WORD[DTYPE]).copy(), memory, data,
                self.all_sums[MARGIN:len(self.all_sums) - MARGIN])

    def get(self, buffer, count=None):
        """What a buffer holds after the run: [samples·fan, *shape]."""
        count, shape = count or self.samples * self.fan, self.shapes[buffer]
        return (
            self.data[self.positions[buffer] * self.capacity :][: count * int(np.prod(shape))]
            .reshape(count, *shape)
            .copy()
        )

    def books(self, place, rows):
        """The sums of each sample, over all its rows: [samples·fan, SUMS]."""
        count = self.samples * self.fan
        return self.sums[place * self.capacity:][:count * rows * SUMS].reshape(count, rows, SUMS).sum(axis=1)


# --- forms ----------------------------------------------------------------------------------------

class Direct(Form):
    """A form that is never given to Winograd."""
    suits_winograd = False


def form_of(kind, size, source, filters, strides=(1, 1), padding="same", dilation=(1, 1)):
    """A Form whose output shape is counted here, not by the window under test."""
    down, right = (extents(*numbers, padding, axis) for axis, numbers in
                   enumerate(zip(source, size, strides, dilation)))
    return kind(Window(size, strides, padding, dilation), source, (down[0], right[0], filters), DTYPE)


def extents(extent, size, stride, dilation, padding, axis):
    """(places of the window, where the first one starts) along an axis."""
    reach = (size - 1) * dilation + 1
    if isinstance(padding, str):
        return naive.out_extent(extent, reach, stride, padding)
    before, after = padding[axis]
    return naive.out_extent(extent + before + after, reach, stride, "valid")[0], -before


@st.composite
def paddings(draw, most=3):
    """'same', 'valid' or four numbers."""
    margin = st.tuples(st.integers(0, most), st.integers(0, most))
    return draw(st.sampled_from(["same", "valid"]) | st.tuples(margin, margin))


@st.composite
def convolutions(draw, largest=20):
    """A Form of any convolution that the kernels take; few of these suit Winograd."""
    size = draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (2, 3)]))
    strides = draw(st.sampled_from([(1, 1), (2, 2), (1, 2), (2, 1), (1, 1)]))
    dilation, padding = (draw(st.integers(1, 3)), 1), draw(paddings())
    least = [1 if padding == "same" else max(1, (n - 1) * d
                                             + 1 - (0 if padding == "valid" else sum(padding[axis])))
             for axis, (n, d) in enumerate(zip(size, dilation))]
    height, width = (draw(st.integers(n, max(n, largest))) for n in least)
    return form_of(Form, size, (height, width, draw(channel_counts)), draw(channel_counts), strides, padding,
                   dilation)


# --- the oracles: float64, loops over outputs and places of the window
# ----------------------------------------------------

def meetings(form):
    """((i, j) of an output, (row, column) of the map, (u, v) of the window) wherever they meet, in scan
    order.
    """
    w = form.window
    (rows, top), (columns, left) = (extents(*numbers, w.padding, axis) for axis, numbers in
                                    enumerate(zip(form.source, w.size, w.strides, w.dilation)))
    for i in range(rows):
        for j in range(columns):
            for u in range(w.size[0]):
                for v in range(w.size[1]):
                    row, column = (top + i * w.strides[0] + u * w.dilation[0],
                                   left + j * w.strides[1] + v * w.dilation[1])
                    if 0 <= row < form.source[0] and 0 <= column < form.source[1]:
                        yield (i, j), (row, column), (u, v)


def convolve(form, x, kernel, bias=None):
    """(z [n, *made], the largest root of Σ (x w)²: the size of its terms)."""
    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    z, squares = np.zeros((2, len(x), *form.made))
    for (i, j), (row, column), (u, v) in meetings(form):
        z[:, i, j] += x[:, row, column] @ kernel[u, v]
        squares[:, i, j] += x[:, row, column] ** 2 @ kernel[u, v] ** 2
    bias = np.zeros(form.made[2]) if bias is None else bias.astype(np.float64)
    return z + bias, max(np.sqrt(squares + bias ** 2).max(), np.abs(z + bias).max(), 1e-30)


def convolve_back(form, s, kernel):
    """(c [n, *source] = Wᵀ s, the size of its terms)."""
    s, kernel = s.astype(np.float64), kernel.astype(np.float64)
    c, squares = np.zeros((2, len(s), *form.source))
    for (i, j), (row, column), (u, v) in meetings(form):
        c[:, row, column] += s[:, i, j] @ kernel[u, v].T
        squares[:, row, column] += s[:, i, j] ** 2 @ kernel[u, v].T ** 2
    return c, max(np.sqrt(squares).max(), np.abs(c).max(), 1e-30)


def tolerance(ops):
    """The bar for sums of products, of the largest: twice as much where Winograd is used."""
    return BAR[DTYPE] * (2 if any(op.kernel is P.WINOGRAD for op in ops) else 1)
