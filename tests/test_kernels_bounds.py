"""`check.check` refuses ops that would leave their arrays, and what it accepts stays inside: guard words
tell.
"""
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runner import DTYPE, GUARD, MARGIN, Form, P, alone, form_of, name_of, normal, seeded

from lrp_core.numba_engine.check import ProgramError
from lrp_core.numba_engine.kernels.elementwise import ABOVE_ZERO
from lrp_core.numba_engine.kernels.op import FIELDS, KINDS, kind_of
from lrp_core.numba_engine.kernels.repair import RUN
from lrp_core.numba_engine.kernels.simd_llvm import LANES
from lrp_core.numba_engine.kernels.sparse import BAND, TOGETHER
from lrp_core.numba_engine.kernels.winograd import TILES
from lrp_core.numba_engine.memory import aligned
from lrp_core.numba_engine.ops import CAPACITY, OpList, extent, geometry
from lrp_core.numba_engine.runtime import Workspace

POSITIONS = [name for name, field in FIELDS.items() if field.position]
C, F = LANES, 2 * LANES
ANY = form_of(Form, (2, 3), (7, 6, 3), 5, (2, 1), "same")
SQUARE = form_of(Form, (3, 3), (6, 7, C), F)
DEEP = form_of(Form, (3, 2), (7, 6, 5), 5, (2, 1), "same", (1, 2))
POOL = form_of(Form, (3, 2), (7, 6, 5), 5, (2, 3), "same")
WEIGHTS = {"any": normal(0, 2, 3, 3, 5), "square": normal(1, 3, 3, C, F), "dense": normal(2, 11, 7),
           "depthwise": normal(4, 3, 2, 5, 1)}


def room(asm, shape):
    """A buffer for an array."""
    return asm.buffer(int(np.prod(shape)))


def emit_ratio(asm, x, y):
    asm.emit(P.RATIO, x=x, z=room(asm, (4, 3, 5)), y=y, epsilon=0.1, gate=ABOVE_ZERO,
             output=room(asm, (4, 3, 5)),
             bias=asm.bias(np.ones(5), 5), sums=asm.sums_for(4), **extent((4, 3, 5)))


# kind: (what writes it, between a buffer x and a buffer y of these shapes)
WRITERS = {
    P.PAD: (ANY.source, (*ANY.padded, 3), lambda asm, x, y: asm.emit(
        P.PAD, x=x, y=y, **(geometry(ANY) | {"rows": ANY.padded[0], "columns": ANY.padded[1],
                                             "filters": 3}))),
    P.DIRECT: (ANY.source, ANY.made, lambda asm, x,
               y: asm.convolve(ANY, WEIGHTS["any"], None, x, y, rectify=True)),
    P.WINOGRAD: (SQUARE.made, SQUARE.source, lambda asm, x, y: asm.convolve_back(
        SQUARE, WEIGHTS["square"], x, y, times=room(asm, SQUARE.source), accumulate=True)),
    P.FIND_RUNS: (SQUARE.source, SQUARE.made, lambda asm, x,
                  y: asm.convolve(SQUARE, WEIGHTS["square"], None, x, y, ties=True)),
    P.RESTORE: (SQUARE.source, SQUARE.made, lambda asm, x,
                y: asm.convolve(SQUARE, WEIGHTS["square"], None, x, y, ties=True, rectify=True)),
    P.RELU: ((4, 3, 5), (4, 3, 5), lambda asm, x, y: asm.emit(P.RELU, x=x, y=y, **extent((4, 3, 5)))),
    P.MAX_POOL: (POOL.source, POOL.made, lambda asm, x,
                 y: asm.emit(P.MAX_POOL, x=x, y=y, winner=room(asm, POOL.made), **geometry(POOL))),
    P.DENSE: ((11,), (7,), lambda asm, x, y: asm.dense(WEIGHTS["dense"], normal(3, 7), x, y, rectify=True)),
    P.START: ((5,), (5,), lambda asm, x, y: asm.emit(P.START, x=x, y=y, **extent((5,)))),
    P.RATIO: ((4, 3, 5), (4, 3, 5), emit_ratio),
    P.MEASURE: ((4, 3, 5), (1,), lambda asm, x, y: asm.measure(x, (4, 3, 5))),
    P.MAX_UNPOOL: (POOL.made, POOL.source, lambda asm, x,
                   y: asm.emit(P.MAX_UNPOOL, x=x, y=y, winner=room(asm, POOL.made), **geometry(POOL))),
    P.FOLD: (ANY.made, ANY.source, lambda asm, x, y: asm.convolve_back(
        ANY, WEIGHTS["any"], x, y, times=room(asm, ANY.source), accumulate=True)),
    P.COMBINE: ((4, 3, 5), (4, 3, 5), lambda asm, x,
                y: asm.combine(x, y, (4, 3, 5), times=room(asm, (4, 3, 5)), accumulate=True)),
    P.PART: ((4, 3, 5), (4, 3, 5), lambda asm, x, y: asm.part(x, -1, y, (4, 3, 5))),
    P.MINUS: ((4, 3, 5), (4, 3, 5), lambda asm, x, y: asm.minus(x, 0.5, y, (4, 3, 5))),
    P.CHANNEL_SUM: (ANY.made, ANY.source, lambda asm, x, y: asm.spread(ANY, x, y, 1.0, accumulate=True)),
    P.SPREAD: (ANY.made, ANY.source, lambda asm, x, y: asm.spread(ANY, x, y, 1.0, accumulate=True)),
}
# Extents that say how far a kernel walks, kind by kind; each of them enlarged leaves the arrays.
MAP = ("height", "width", "channels")
OUT = ("rows", "columns", "filters")
WALKS = {P.PAD: (*MAP, *OUT, "left"), P.DIRECT: (*OUT, "size_down", "dilation_down", "panels", "panel_width",
                                                 "depth"),
         P.WINOGRAD: (*MAP, *OUT, "panels", "panel_width"), P.FIND_RUNS: MAP,
         P.RESTORE: (*MAP, *OUT, "panels", "panel_width"),
         P.MAX_POOL: (*MAP, *OUT), P.DENSE: ("depth", "panels", "panel_width", "filters"), P.RELU: OUT,
         P.START: ("filters",),
         P.RATIO: OUT, P.MEASURE: OUT, P.MAX_UNPOOL: (*MAP, *OUT),
         P.FOLD: (*MAP, "rows", "columns", "size_down", "size_right"), P.COMBINE: OUT, P.PART: OUT,
         P.MINUS: OUT,
         P.CHANNEL_SUM: OUT, P.SPREAD: (*MAP, "rows", "columns")}
WRITERS |= {
    P.CLIP: ((4, 3, 5), (4, 3, 5), lambda asm, x, y: asm.emit(P.CLIP, x=x, y=y, **extent((4, 3, 5)))),
    P.COPY: ((4, 3, 5), (5, 4, 3), lambda asm, x, y: asm.permute(x, (4, 3, 5), (2, 0, 1), y)),
    P.DEPTHWISE: (DEEP.source, DEEP.made, lambda asm, x,
                  y: asm.depthwise(DEEP, WEIGHTS["depthwise"], normal(3, 5), x, y)),
    P.DEPTHWISE_BACK: (DEEP.made, DEEP.source, lambda asm, x, y: asm.depthwise_back(
        DEEP, WEIGHTS["depthwise"], x, y, times=room(asm, DEEP.source), accumulate=True))}
WALKS |= {P.CLIP: OUT, P.COPY: (*OUT, "begin", "step_row", "step_column", "step_filter"),
          P.DEPTHWISE: (*MAP, *OUT, "size_down", "size_right", "tap"),
          P.DEPTHWISE_BACK: (*MAP, *OUT, "size_down", "size_right", "tap")}
# Kernels for sparse relevance.
WRITERS |= {
    P.SHARPEN: (SQUARE.source, SQUARE.made, lambda asm, x,
                y: asm.convolve(SQUARE, WEIGHTS["square"], None, x, y, sharp=True)),
    P.FLAG: ((4, 3, 5), (1,), lambda asm, x, y: asm.flag(x, (4, 3, 5), 60)),
    P.SCATTER: (ANY.made, ANY.source, lambda asm, x, y: asm.convolve_back(
        ANY, WEIGHTS["any"], x, y, times=room(asm, ANY.source), accumulate=True,
        flag=asm.flag(x, ANY.made, 10 ** 6))),
    P.DOTS: (ANY.source, ANY.made, lambda asm, x, y: asm.dots(
        ANY, WEIGHTS["any"], None, x, y, room(asm, ANY.made), asm.flag(y, ANY.made, 10 ** 6)))}
WALKS |= {P.SHARPEN: (*MAP, *OUT), P.FLAG: OUT, P.SCATTER: (*MAP, *OUT, "size_down", "size_right"),
          P.DOTS: (*MAP, *OUT, "size_down", "size_right")}


def program_of(kind, writers=WRITERS):
    """(the Code of an op of this kind and what comes with it, the op's number)."""
    x_shape, y_shape, write = writers[kind]
    asm = OpList(DTYPE)
    asm.buffer(16)                # so that no position is the first
    write(asm, room(asm, x_shape), room(asm, y_shape))
    code, _ = alone(asm, gap=0)
    return code, [op.kernel for op in asm.ops].index(kind)


def tampered(program, number, **fields):
    """The rows with some fields of one of them changed."""
    rows = program.ops.copy()
    for name, value in fields.items():
        rows[number][name] = value
    return rows


def least_accepted(program, row, name):
    """The least size of an array that the check accepts for a row."""
    low, high = 0, getattr(program, name)
    program.check(ops=row)
    while low < high:
        middle = (low + high) // 2
        try:
            program.check(ops=row, **{name: middle})
            high = middle
        except ProgramError:
            low = middle + 1
    return high


def test_every_kind_is_tried():
    assert set(WRITERS) == {kind.kernel for kind in KINDS} == set(WALKS)


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: f"{kind_of(kind).number}-{name_of(kind)}")
def test_positions_beyond_the_arrays_are_refused(kind):
    """Each position of the row, put before its array, one past where it fits, and far away."""
    program, number = program_of(kind)
    program.check()
    row, tried = program.ops[number], 0
    ends = dict.fromkeys(POSITIONS, program.data) | {"weights": len(program.weights),
                                                     "bias": len(program.weights),
                                                           "zeros": len(program.weights),
                                                           "offsets": len(program.offsets),
                                                           "sums": program.sums, "rest": len(program.weights)}
    used = {name for name in POSITIONS if row[name] != P.NONE}
    used |= {"sums"} if kind in (P.RATIO, P.MEASURE) else set()
    used |= {"weights", "bias", "offsets"} if kind in (P.DIRECT, P.WINOGRAD, P.RESTORE, P.DENSE) else set()
    used |= {"zeros"} if kind == P.WINOGRAD else {"bias"} if kind == P.RATIO else set()
    for name in used:
        for value in (-2, ends[name], ends[name] + 10 ** 12):
            with pytest.raises(ProgramError, match=f"op {number} "):
                program.check(ops=tampered(program, number, **{name: value}))
            tried += 1
    assert tried >= 3


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: f"{kind_of(kind).number}-{name_of(kind)}")
def test_enlarged_extents_are_refused(kind):
    """Each extent that the kernel walks along, made a thousand and a million times as large."""
    program, number = program_of(kind)
    for name in WALKS[kind]:
        for factor in (10 ** 3, 10 ** 6):
            with pytest.raises(ProgramError):
                program.check(ops=tampered(program, number,
                                           **{name: (int(program.ops[number][name]) + 1) * factor}))


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: f"{kind_of(kind).number}-{name_of(kind)}")
def test_arrays_one_word_short_are_refused(kind):
    """The same rows with less of each array than they were written for."""
    program, number = program_of(kind)
    row = program.ops[number:number + 1]

    least = least_accepted(program, row, "data")
    last = max(int(row[0][name]) for name in POSITIONS)
    assert last < least <= program.data, "the end of the last buffer, to the word"
    if kind in (P.RATIO, P.MEASURE):
        with pytest.raises(ProgramError):
            program.check(ops=row, sums=program.sums - 1)


@pytest.mark.parametrize("value", [-1, 10 ** 9])
@pytest.mark.parametrize("kind", [P.DIRECT, P.WINOGRAD, P.RESTORE, P.DENSE], ids=name_of)
def test_an_offset_out_of_range_is_refused(kind, value):
    """Any of the places of a product's rows."""
    program, number = program_of(kind)
    at = int(program.ops[number]["offsets"])
    for place in (at, at + 1, at + 5):
        offsets = program.offsets.copy()
        offsets[place] = value
        with pytest.raises(ProgramError):
            program.check(offsets=offsets)


@pytest.mark.parametrize("kind", [P.DIRECT, P.WINOGRAD, P.RESTORE, P.DENSE, P.SCATTER], ids=name_of)
def test_an_offset_one_beyond_the_last_is_refused(kind):
    """The last place of a product's rows ends with its array, so that any row may lie there, and none one
    further.
    """
    program, number = program_of(kind)
    row = program.ops[number]
    places = {P.DIRECT: int(row["rows"] * row["columns"]), P.WINOGRAD: TILES, P.RESTORE: RUN,
              P.DENSE: CAPACITY, P.SCATTER: 1}[kind]
    at = int(row["offsets"])
    last = int(program.offsets[at:at + places].max())
    for place in {at, at + places // 2, at + places - 1}:
        offsets = program.offsets.copy()
        offsets[place] = last
        program.check(ops=program.ops[number:number + 1], offsets=offsets)
        offsets[place] = last + 1
        with pytest.raises(ProgramError, match=name_of(kind).split()[0]):
            program.check(ops=program.ops[number:number + 1], offsets=offsets)


# --- what is accepted stays inside
# -----------------------------------------------------------------------------------

LANE = st.sampled_from([1, -1, LANES, -LANES, 2, 5])


@st.composite
def changes(draw):
    """{field: what to add to it}: up to three fields, by a little."""
    names = [*POSITIONS, *MAP, *OUT, "size_down", "size_right", "stride_down", "stride_right",
             "dilation_down", "dilation_right",
             "top", "left", "weights", "panels", "depth", "bias", "zeros", "rest", "offsets", "sums"]
    return draw(st.dictionaries(st.sampled_from(names), LANE, min_size=1, max_size=3))


def guarded(count, dtype):
    """Zeros between margins of guard words: (all, the middle)."""
    whole = aligned(count + 2 * MARGIN, dtype)
    whole.view(np.uint32)[...] = GUARD["float32"]
    whole[MARGIN:MARGIN + count] = 0
    return whole, whole[MARGIN:MARGIN + count]


def run_between_guards(program, rows):
    """Run rows over zeros; every word of the margins around data, scratch and books must live, and none leak
    in.
    """
    capacity = 2
    workspace = Workspace(program, capacity, 1)
    data, workspace.data = guarded(len(workspace.data), np.float32)
    sums, workspace.sums = guarded(len(workspace.sums), np.float64)
    _, weights = guarded(len(program.weights), np.float32)
    rows.flags.writeable = weights.flags.writeable = False
    dataclasses.replace(program, ops=rows, weights=weights).run(workspace, 0, len(rows), 2)
    for whole, middle in ((data, workspace.data), (sums, workspace.sums)):
        outside = np.r_[whole[:MARGIN].view(np.uint32), whole[-MARGIN:].view(np.uint32)]
        assert (outside == GUARD["float32"]).all(), "wrote outside the arrays"
        assert not np.isnan(middle).any(), "read outside the arrays"


# Rows that use all of their scratch or places: bands that are full, and as many equal windows in a row as are
# computed at a time.
TALL = form_of(Form, (2, 3), (BAND + 3, 6, 3), 5, (1, 1), "same")
ALIKE = form_of(Form, (3, 3), (5, RUN + 6, C), F)
GREEDY = {
    P.WINOGRAD: WRITERS[P.WINOGRAD], P.DENSE: WRITERS[P.DENSE], P.DOTS: WRITERS[P.DOTS],
    P.FOLD: WRITERS[P.FOLD], P.SPREAD: WRITERS[P.SPREAD],
    P.RESTORE: (ALIKE.source, ALIKE.made, lambda asm, x,
                y: asm.convolve(ALIKE, WEIGHTS["square"], None, x, y, ties=True)),
    P.SCATTER: (TALL.made, TALL.source, lambda asm, x, y: asm.convolve_back(
        TALL, WEIGHTS["any"], x, y, times=room(asm, TALL.source), accumulate=True,
        flag=asm.flag(x, TALL.made, 10 ** 6)))}


@pytest.mark.parametrize("kind", GREEDY, ids=name_of)
def test_the_least_scratch_and_places_that_are_accepted_are_enough(kind):
    """A row between guards, with no word more than the check asks for, over a map of nonzeros whose rows are
    alike.
    """
    program, number = program_of(kind, GREEDY)
    row, fan = program.ops[number:number + 1], TOGETHER
    whole = Workspace(program, fan, 1)
    x_shape = (*[1] * (3 - len(GREEDY[kind][0])), *GREEDY[kind][0])
    whole.data[:] = 1
    for sample in range(fan):
        begin = 16 * fan + sample * int(np.prod(x_shape))
        whole.data[begin:begin + int(np.prod(x_shape))] = np.broadcast_to(1 + np.abs(normal(5, *x_shape[1:])),
                                                                          x_shape).ravel()
    program.run(whole, 0, number, 1, fan)

    least = {name: least_accepted(program, row, name) for name in ("scratch", "places")}
    program = dataclasses.replace(program, **least)
    tight, size = Workspace(program, fan, 1), program.data * fan
    data, tight.data = guarded(size + program.scratch, np.float32)
    places, tight.places = guarded(program.places, np.int64)
    tight.data[:size] = whole.data[:size]
    program.run(tight, number, number + 1, 1, fan)
    for whole in (data, places):
        outside = np.r_[whole[:MARGIN].view(np.uint32), whole[-MARGIN:].view(np.uint32)]
        assert (outside == GUARD["float32"]).all(), "wrote beyond its scratch or its places"
    assert not np.isnan(tight.data).any(), "read beyond its scratch"
    assert program.scratch or program.places


@pytest.mark.parametrize("kind, fields", [
    (P.PAD, {"left": -8}), (P.WINOGRAD, {"filters": C - 1, "times": 42}),
    (P.WINOGRAD, {"channels": F - 1, "y": 42})], ids=lambda one: getattr(one, "__name__", str(one)))
def test_what_no_lowering_writes_is_refused(kind, fields):
    """A map that begins before its row; channels that do not fill whole vectors, which would be loaded and
    stored whole.
    """
    program, number = program_of(kind)
    fields = {name: int(program.ops[number][name]) + value if name in POSITIONS else value for name,
              value in fields.items()}
    with pytest.raises(ProgramError):
        program.check(ops=tampered(program, number, **fields))


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: f"{kind_of(kind).number}-{name_of(kind)}")
@settings(seeded, max_examples=60)
@given(changes())
def test_what_is_accepted_stays_inside(kind, added):
    """A row with fields changed by a little is refused, or does no harm."""
    program, number = program_of(kind)
    least = dict.fromkeys((*MAP, *OUT, "size_down", "size_right", "stride_down", "stride_right",
                           "dilation_down", "dilation_right", "panels", "depth"), 1)
    row = program.ops[number]
    rows = tampered(program, number, **{name: max(int(row[name]) + more, least.get(name, -3)) for name,
                                        more in added.items()
                                        if row[name] != P.NONE})
    try:
        program.check(ops=rows)
    except ProgramError:
        return
    run_between_guards(program, rows)
