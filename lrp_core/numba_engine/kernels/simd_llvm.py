"""The only module that names machine vectors: a `Vector` value for Numba code, and the register tile of a
matrix product.

A Vector fills one machine register with values of the type of the array it was loaded from, one for each of
so many
neighbouring channels: LANES of float32, half as many of float64. `lanes(array)` is how many; `+ - *` and `/`
work lane by lane. All arrays are flat and positions are counted in elements. Nothing here checks bounds:
`program.check` does, before a kernel is ever entered. With NUMBA_DISABLE_JIT=1 the same names come from
`plain`, which says in NumPy what each of them does.
"""
import operator
import os

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model


def features():
    """What the processor that Numba compiles for can do: {name: bool}, from its settings or from the machine.
    """
    if numba.config.CPU_FEATURES is not None:
        return {flag[1:]: True for flag in numba.config.CPU_FEATURES.split(",") if flag.startswith("+")}
    return dict(llvm.get_host_cpu_features())


def choose_lanes(has):
    """float32 values in a vector: 16 with AVX-512, 8 with AVX, 4 elsewhere (SSE, NEON; the compiler splits
    them if need be).
    """
    return 16 if has.get("avx512f") else 8 if has.get("avx") else 4


FEATURES = features()
LANES = int(os.environ.get("AUDIO_LRP_LANES", 0)) or choose_lanes(FEATURES)
# Without the instruction a fused multiply-add is a call of a slow library function.
FUSED = bool(FEATURES.get("fma") or FEATURES.get("neon"))
# Rows and vectors of the register tile: accumulators, a row of b and a broadcast have to fit into the
# registers.
WIDE_TILE = (6, 4) if FEATURES.get("avx512f") else (6, 2)
NARROW_TILE = (8, 1)

INT1, INT32, INT64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
CONTRACT = ("contract",)


def lanes_of(dtype):
    """Values of a floating type in a vector: LANES of float32, half as many of float64."""
    return LANES if np.dtype(dtype).itemsize == 4 else max(1, LANES // 2)


class VectorType(types.Type):
    """Numba's name for a Vector of float32 or float64."""

    def __init__(self, scalar):
        super().__init__(f"Vector({scalar})")
        self.scalar, self.lanes, self.bytes = scalar, lanes_of(str(scalar)), scalar.bitwidth // 8
        self.number = ir.FloatType() if self.bytes == 4 else ir.DoubleType()
        self.llvm = ir.VectorType(self.number, self.lanes)
        self.mask = ir.VectorType(INT1, self.lanes)
        self.suffix = f"v{self.lanes}f{scalar.bitwidth}"  # how LLVM's functions for such vectors end
        self.zero = ir.Constant(self.llvm, [0.0] * self.lanes)


VECTORS = {scalar: VectorType(scalar) for scalar in (types.float32, types.float64)}


def vector_of(array):
    """The type of what `load` takes from an array."""
    return VECTORS[array.dtype]


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """A Vector lives in one machine register, or in a few where the machine's are narrower."""

    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, fe_type.llvm)


def splat(builder, scalar, of):
    """The LLVM vector of type `of` with `scalar` in every lane."""
    undefined = ir.Constant(of, ir.Undefined)
    one = builder.insert_element(undefined, scalar, INT32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT32, of.count), [0] * of.count))


def address(context, builder, array_type, array, position):
    """A pointer to the element at `position` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [position])


def as_vector(builder, pointer, of):
    """The same pointer, to a Vector."""
    return builder.bitcast(pointer, of.llvm.as_pointer())


def lanes_below(builder, count, of):
    """A mask for a Vector: true in the first `count` lanes."""
    wide = ir.VectorType(INT64, of.lanes)
    return builder.icmp_signed("<", ir.Constant(wide, list(range(of.lanes))), splat(builder, count, wide))


def function(module, name, result, arguments):
    """The LLVM function of that name, declared in `module`."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


def masked_store(builder, value, pointer, mask, of):
    """Write the lanes that the mask has."""
    store_lanes = function(builder.module, f"llvm.masked.store.{of.suffix}.p0", ir.VoidType(),
                           [of.llvm, of.llvm.as_pointer(), INT32, of.mask])
    builder.call(store_lanes, [value, pointer, INT32(of.bytes), mask])


def multiply_add(builder, a, b, c, of):
    """a·b + c lane by lane, rounded once where the machine can."""
    if not FUSED:
        return builder.fadd(builder.fmul(a, b), c)
    return builder.call(function(builder.module, f"llvm.fma.{of.suffix}", of.llvm, [of.llvm] * 3), [a, b, c])


@intrinsic
def lanes(typing, array):
    """How many values of the array's type a Vector holds: a constant of the compiled code."""
    def code(context, builder, signature, args):
        return context.get_constant(types.intp, vector_of(array).lanes)
    return types.intp(array), code


@intrinsic
def scalar(typing, array, number):
    """The number in the array's own type."""
    def code(context, builder, signature, args):
        return context.cast(builder, args[1], number, array.dtype)
    return array.dtype(array, number), code


@intrinsic
def load(typing, array, position):
    """Vector of array[position : position + lanes(array)]."""
    of = vector_of(array)

    def code(context, builder, signature, args):
        return builder.load(as_vector(builder, address(context, builder, array, *args), of), align=of.bytes)
    return of(array, types.intp), code


@intrinsic
def load_part(typing, array, position, count):
    """Vector of array[position : position + count], zeros after it; nothing is read beyond it."""
    of = vector_of(array)

    def code(context, builder, signature, args):
        pointer = as_vector(builder, address(context, builder, array, *args[:2]), of)
        load_lanes = function(builder.module, f"llvm.masked.load.{of.suffix}.p0", of.llvm,
                              [of.llvm.as_pointer(), INT32, of.mask, of.llvm])
        result = cgutils.alloca_once(builder, of.llvm)
        with builder.if_else(builder.icmp_signed(">=", args[2], INT64(of.lanes))) as (whole, part):
            with whole:
                builder.store(builder.load(pointer, align=of.bytes), result)
            with part:
                some = [pointer, INT32(of.bytes), lanes_below(builder, args[2], of), of.zero]
                builder.store(builder.call(load_lanes, some), result)
        return builder.load(result)
    return of(array, types.intp, types.intp), code


@intrinsic
def store(typing, array, position, value):
    """array[position : position + lanes(array)] = value."""
    def code(context, builder, signature, args):
        pointer = as_vector(builder, address(context, builder, array, *args[:2]), value)
        builder.store(args[2], pointer, align=value.bytes)
        return context.get_dummy_value()
    return types.void(array, types.intp, value), code


@intrinsic
def store_part(typing, array, position, value, count):
    """array[position : position + min(count, lanes(array))] = value's first lanes."""
    def code(context, builder, signature, args):
        pointer = as_vector(builder, address(context, builder, array, *args[:2]), value)
        with builder.if_else(builder.icmp_signed(">=", args[3], INT64(value.lanes))) as (whole, part):
            with whole:
                builder.store(args[2], pointer, align=value.bytes)
            with part:
                masked_store(builder, args[2], pointer, lanes_below(builder, args[3], value), value)
        return context.get_dummy_value()
    return types.void(array, types.intp, value, types.intp), code


@intrinsic
def broadcast(typing, like, number):
    """Vector of an array's (or another Vector's) type with the number in every lane."""
    of = like if isinstance(like, VectorType) else vector_of(like)

    def code(context, builder, signature, args):
        return splat(builder, context.cast(builder, args[1], number, of.scalar), of.llvm)
    return of(like, number), code


@intrinsic
def lane_sum(typing, value):
    """The sum of all lanes, in float64, first lane first."""
    def code(context, builder, signature, args):
        total = ir.Constant(ir.DoubleType(), 0.0)
        for lane in range(value.lanes):
            number = builder.extract_element(args[0], INT32(lane))
            total = builder.fadd(total, context.cast(builder, number, value.scalar, types.float64))
        return total
    return types.float64(value), code


@intrinsic
def fold_lanes(typing, value):
    """The sum of all lanes in their own type, halves onto halves."""
    def code(context, builder, signature, args):
        numbers = [builder.extract_element(args[0], INT32(lane)) for lane in range(value.lanes)]
        while len(numbers) > 1:
            half = len(numbers) // 2
            numbers = [builder.fadd(a, b) for a, b in zip(numbers[:half], numbers[half:])]
        return numbers[0]
    return value.scalar(value), code


@intrinsic
def nonzeros(typing, value):
    """Bit by bit: is the lane unequal to 0?"""
    def code(context, builder, signature, args):
        unequal = builder.fcmp_unordered("!=", args[0], value.zero)
        return builder.zext(builder.bitcast(unequal, ir.IntType(value.lanes)), INT64)
    return types.int64(value), code


@intrinsic
def lowest_bit(typing, bits):
    """The number of the lowest bit that is set."""
    def code(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(INT1, 1))
    return types.int64(types.int64), code


@intrinsic
def lane_max(typing, value):
    """The largest lane, of numbers that are not NaN."""
    def code(context, builder, signature, args):
        largest = builder.extract_element(args[0], INT32(0))
        for lane in range(1, value.lanes):
            other = builder.extract_element(args[0], INT32(lane))
            largest = builder.select(builder.fcmp_ordered(">", other, largest), other, largest)
        return largest
    return value.scalar(value), code


def _lanewise(symbol, instruction):
    @intrinsic
    def apply(typing, a, b):
        def code(context, builder, signature, args):
            return getattr(builder, instruction)(*args, flags=CONTRACT)
        return a(a, a), code

    @overload(symbol)
    def choose(a, b):
        if isinstance(a, VectorType) and a == b:
            return lambda a, b: apply(a, b)
        if isinstance(a, VectorType) and isinstance(b, types.Number):
            return lambda a, b: apply(a, broadcast(a, b))
        if isinstance(b, VectorType) and isinstance(a, types.Number):
            return lambda a, b: apply(broadcast(b, a), b)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
                              (operator.truediv, "fdiv")):
    _lanewise(_symbol, _instruction)


def _choice(comparison):
    @intrinsic
    def where(typing, a, b, x, y):
        def code(context, builder, signature, args):
            return builder.select(builder.fcmp_ordered(comparison, args[0], args[1]), args[2], args[3])
        return x(a, b, x, y), code
    return where


# where_greater(a, b, x, y): lane by lane x where a > b, else y; NaN compares as false.
where_greater, where_equal, where_at_least = _choice(">"), _choice("=="), _choice(">=")


def _any(comparison):
    @intrinsic
    def test(typing, a, b):
        def code(context, builder, signature, args):
            whole = ir.IntType(a.lanes)
            return builder.icmp_unsigned("!=", builder.bitcast(comparison(builder, *args, a), whole),
                                         ir.Constant(whole, 0))
        return types.boolean(a, b), code
    return test


# differ(a, b): is any lane of a unequal to that of b? any_below(a, b): is any |a| below b?
differ = _any(lambda builder, a, b, of: builder.fcmp_unordered("!=", a, b))
any_below = _any(lambda builder, a, b, of: builder.and_(
    builder.fcmp_ordered("<", a, b), builder.fcmp_ordered("<", builder.fsub(of.zero, a), b)))


@intrinsic
def never_inline(typing):
    """Keep the function that calls this one apart: inside a larger one its registers would spill to memory.
    """
    def code(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()
    return types.void(), code


if numba.config.DISABLE_JIT:
    from .simd_numpy import *  # noqa: F403
