"""The only module that names machine vectors: a `Vector` value for Numba code, and the register tile of a matrix product.

A Vector holds LANES float32 values, one for each of LANES neighbouring channels; `+ - *` and `/` work lane by lane. All
arrays are flat and positions are counted in elements. Nothing here checks bounds: `program.check` does, before a kernel
is ever entered. With NUMBA_DISABLE_JIT=1 the same names come from `plain`, which says in NumPy what each of them does.
"""
import operator
import os

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model


def features():
    """What the processor that Numba compiles for can do: {name: bool}, from its settings or from the machine."""
    if numba.config.CPU_FEATURES is not None:
        return {flag[1:]: True for flag in numba.config.CPU_FEATURES.split(",") if flag.startswith("+")}
    return dict(llvm.get_host_cpu_features())


def choose_lanes(has):
    """float32 values in a vector: 16 with AVX-512, 8 with AVX, 4 elsewhere (SSE, NEON; the compiler splits them if need be)."""
    return 16 if has.get("avx512f") else 8 if has.get("avx") else 4


FEATURES = features()
LANES = int(os.environ.get("AUDIO_LRP_LANES", 0)) or choose_lanes(FEATURES)
# Without the instruction a fused multiply-add is a call of a slow library function.
FUSED = bool(FEATURES.get("fma") or FEATURES.get("neon"))
# Rows and vectors of the register tile: accumulators, a row of b and a broadcast have to fit into the registers.
WIDE_TILE = (6, 4) if FEATURES.get("avx512f") else (6, 2)
NARROW_TILE = (8, 1)

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, MASK = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES)
CONTRACT = ("contract",)


class VectorType(types.Type):
    """Numba's name for a Vector."""

    def __init__(self):
        super().__init__("Vector")


vector = VectorType()


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """A Vector lives in one machine register, or in a few where the machine's are narrower."""

    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, VECTOR)


def splat(builder, scalar, of=VECTOR):
    """The vector with `scalar` in every lane."""
    undefined = ir.Constant(of, ir.Undefined)
    one = builder.insert_element(undefined, scalar, INT32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))


def address(context, builder, array_type, array, position):
    """A pointer to the element at `position` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [position])


def as_vector(builder, pointer):
    """The same pointer, to LANES values."""
    return builder.bitcast(pointer, VECTOR.as_pointer())


def lanes_below(builder, count):
    """A mask: true in the first `count` lanes."""
    wide = ir.VectorType(INT64, LANES)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(LANES))), splat(builder, count, wide))


def function(module, name, result, arguments):
    """The LLVM function of that name, declared in `module`."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


def masked_store(builder, value, pointer, mask):
    """Write the lanes that the mask has."""
    store_lanes = function(builder.module, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(),
                           [VECTOR, VECTOR.as_pointer(), INT32, MASK])
    builder.call(store_lanes, [value, pointer, INT32(4), mask])


def multiply_add(builder, a, b, c):
    """a·b + c lane by lane, rounded once where the machine can."""
    if not FUSED:
        return builder.fadd(builder.fmul(a, b), c)
    return builder.call(function(builder.module, f"llvm.fma.v{LANES}f32", VECTOR, [VECTOR] * 3), [a, b, c])


@intrinsic
def load(typing, array, position):
    """Vector of array[position : position + LANES]."""
    def code(context, builder, signature, args):
        return builder.load(as_vector(builder, address(context, builder, array, *args)), align=4)
    return vector(array, types.intp), code


@intrinsic
def load_part(typing, array, position, count):
    """Vector of array[position : position + count], zeros behind it; nothing is read beyond it."""
    def code(context, builder, signature, args):
        pointer = as_vector(builder, address(context, builder, array, *args[:2]))
        load_lanes = function(builder.module, f"llvm.masked.load.v{LANES}f32.p0", VECTOR,
                              [VECTOR.as_pointer(), INT32, MASK, VECTOR])
        result = cgutils.alloca_once(builder, VECTOR)
        with builder.if_else(builder.icmp_signed(">=", args[2], INT64(LANES))) as (whole, part):
            with whole:
                builder.store(builder.load(pointer, align=4), result)
            with part:
                zero = ir.Constant(VECTOR, [0.0] * LANES)
                builder.store(builder.call(load_lanes, [pointer, INT32(4), lanes_below(builder, args[2]), zero]), result)
        return builder.load(result)
    return vector(array, types.intp, types.intp), code


@intrinsic
def store(typing, array, position, value):
    """array[position : position + LANES] = value."""
    def code(context, builder, signature, args):
        builder.store(args[2], as_vector(builder, address(context, builder, array, *args[:2])), align=4)
        return context.get_dummy_value()
    return types.void(array, types.intp, value), code


@intrinsic
def store_part(typing, array, position, value, count):
    """array[position : position + min(count, LANES)] = value's first lanes."""
    def code(context, builder, signature, args):
        pointer = as_vector(builder, address(context, builder, array, *args[:2]))
        with builder.if_else(builder.icmp_signed(">=", args[3], INT64(LANES))) as (whole, part):
            with whole:
                builder.store(args[2], pointer, align=4)
            with part:
                masked_store(builder, args[2], pointer, lanes_below(builder, args[3]))
        return context.get_dummy_value()
    return types.void(array, types.intp, value, types.intp), code


@intrinsic
def broadcast(typing, scalar):
    """Vector with the number in every lane."""
    def code(context, builder, signature, args):
        return splat(builder, context.cast(builder, args[0], scalar, types.float32))
    return vector(scalar), code


@intrinsic
def lane_sum(typing, value):
    """The sum of all lanes, in float64, first lane first."""
    def code(context, builder, signature, args):
        total = ir.Constant(ir.DoubleType(), 0.0)
        for lane in range(LANES):
            total = builder.fadd(total, builder.fpext(builder.extract_element(args[0], INT32(lane)), ir.DoubleType()))
        return total
    return types.float64(value), code


def _lanewise(symbol, instruction):
    @intrinsic
    def apply(typing, a, b):
        def code(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=CONTRACT)
        return vector(vector, vector), code

    @overload(symbol)
    def choose(a, b):
        if a is vector and b is vector:
            return lambda a, b: apply(a, b)
        if a is vector and isinstance(b, types.Number):
            return lambda a, b: apply(a, broadcast(b))
        if b is vector and isinstance(a, types.Number):
            return lambda a, b: apply(broadcast(a), b)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _lanewise(_symbol, _instruction)


def _choice(comparison):
    @intrinsic
    def where(typing, a, b, x, y):
        def code(context, builder, signature, args):
            return builder.select(builder.fcmp_ordered(comparison, args[0], args[1]), args[2], args[3])
        return vector(a, b, x, y), code
    return where


# where_greater(a, b, x, y): lane by lane x where a > b, else y; NaN compares as false.
where_greater, where_equal, where_at_least = _choice(">"), _choice("=="), _choice(">=")


@intrinsic
def differ(typing, a, b):
    """Is any lane of a unequal to that of b?"""
    def code(context, builder, signature, args):
        lanes = builder.bitcast(builder.fcmp_unordered("!=", *args), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", lanes, ir.Constant(ir.IntType(LANES), 0))
    return types.boolean(a, b), code


@intrinsic
def never_inline(typing):
    """Keep the function that calls this one apart: inside a larger one its registers would spill to memory."""
    def code(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()
    return types.void(), code


def register_tile(rows, vectors):
    """A kernel for a block of `rows` x (vectors · LANES) of a matrix product, all in registers.

    tile(a, a_at, offsets, first, live, taps, a_tap, b, b_at, depth, start, start_at, c, c_at, c_row, columns):

        c[c_at + r·c_row + n] = start[start_at + n]
            + Σ_{t < taps} Σ_{k < depth} a[a_at + offsets[first + r] + t·a_tap + k] · b[b_at + (t·depth + k)·width + n]

    for r < live and n < columns. Rows from `live` on repeat the last one; columns from `columns` on are not stored. The
    sum always runs in this order, in every lane and every row alike, so that equal rows of a give bit-equal rows of c.
    """
    width = vectors * LANES
    names = "a a_at offsets first live taps a_tap b b_at depth start start_at c c_at c_row columns".split()

    @intrinsic
    def tile(typing, a, a_at, offsets, first, live, taps, a_tap, b, b_at, depth, start, start_at, c, c_at, c_row, columns):
        arrays = {"a": a, "offsets": offsets, "b": b, "start": start, "c": c}

        def code(context, builder, signature, args):
            v = dict(zip(names, args))

            def data(name, at):
                return address(context, builder, arrays[name], v[name], v[at])

            def ahead(pointer, count):
                return builder.gep(pointer, [count if isinstance(count, ir.Value) else INT64(count)])

            def vec(pointer, n):
                return as_vector(builder, ahead(pointer, n * LANES))

            last = builder.sub(v["live"], INT64(1))
            row = [builder.select(builder.icmp_signed("<", INT64(r), last), INT64(r), last) for r in range(rows)]
            offset, starts = data("offsets", "first"), data("start", "start_at")
            a_row = [ahead(data("a", "a_at"), builder.load(ahead(offset, r))) for r in row]
            sums = [[cgutils.alloca_once_value(builder, builder.load(vec(starts, n), align=4)) for n in range(vectors)] for _ in row]
            b_panel = data("b", "b_at")
            with cgutils.for_range(builder, v["taps"]) as tap:
                a_tap = [ahead(pointer, builder.mul(tap.index, v["a_tap"])) for pointer in a_row]
                b_tap = ahead(b_panel, builder.mul(builder.mul(tap.index, v["depth"]), INT64(width)))
                with cgutils.for_range(builder, v["depth"]) as k:
                    b_k = ahead(b_tap, builder.mul(k.index, INT64(width)))
                    b_row = [builder.load(vec(b_k, n), align=4) for n in range(vectors)]
                    for r in range(rows):
                        a_k = splat(builder, builder.load(ahead(a_tap[r], k.index)))
                        for n in range(vectors):
                            builder.store(multiply_add(builder, a_k, b_row[n], builder.load(sums[r][n])), sums[r][n])
            c_row = [ahead(data("c", "c_at"), builder.mul(r, v["c_row"])) for r in row]
            with builder.if_else(builder.icmp_signed(">=", v["columns"], INT64(width))) as (whole, part):
                with whole:
                    for r in range(rows):
                        for n in range(vectors):
                            builder.store(builder.load(sums[r][n]), vec(c_row[r], n), align=4)
                with part:
                    for r in range(rows):
                        for n in range(vectors):
                            mask = lanes_below(builder, builder.sub(v["columns"], INT64(n * LANES)))
                            masked_store(builder, builder.load(sums[r][n]), vec(c_row[r], n), mask)
            return context.get_dummy_value()
        i = types.intp
        return types.void(a, i, offsets, i, i, i, i, b, i, i, start, i, c, i, i, i), code
    return tile


if numba.config.DISABLE_JIT:
    from .plain import *  # noqa: F403
