"""Blocks of matrix products that stay in registers, in LLVM: what `matmul` and `sparse` are made of."""
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd_llvm import (
    INT64,
    address,
    as_vector,
    lanes_below,
    masked_store,
    multiply_add,
    splat,
    vector_of,
)


def register_tile(rows, vectors):
    """A kernel for a block of `rows` x `width` of a matrix product, all in registers; width = vectors ·
    lanes(c).

    tile(a, a_at, offsets, first, live, taps, a_tap, b, b_at, depth, start, start_at, c, c_at, c_row,
    columns):

        c[c_at + r·c_row + n] = start[start_at + n]
            + Σ_{t < taps} Σ_{k < depth} a[a_at + offsets[first + r] + t·a_tap + k]
                                         · b[b_at + (t·depth + k)·width + n]

    for r < live and n < columns. Rows from `live` on repeat the last one; columns from `columns` on are not
    stored. The sum always runs in this order, in every lane and every row alike, so that equal rows of a give
    bit-equal rows of c.
    """
    @intrinsic
    def tile(typing, a, a_at, offsets, first, live, taps, a_tap, b, b_at, depth, start, start_at, c, c_at,
             c_row, columns):
        types_of = {"a": a, "offsets": offsets, "b": b, "start": start, "c": c}
        names = ("a a_at offsets first live taps a_tap b b_at depth "
                 "start start_at c c_at c_row columns").split()

        def code(context, builder, signature, args):
            block = Block(context, builder, types_of, dict(zip(names, args)), rows, vectors)
            with cgutils.for_range(builder, block.value["taps"]) as tap:
                a_tap = [block.ahead(pointer, builder.mul(tap.index, block.value["a_tap"]))
                         for pointer in block.a_row]
                b_tap = block.ahead(block.b, builder.mul(builder.mul(tap.index, block.value["depth"]),
                                                         INT64(block.width)))
                with cgutils.for_range(builder, block.value["depth"]) as k:
                    b_k = block.ahead(b_tap, builder.mul(k.index, INT64(block.width)))
                    block.add([block.ahead(pointer, k.index) for pointer in a_tap], b_k)
            block.store()
            return context.get_dummy_value()
        i = types.intp
        return types.void(a, i, offsets, i, i, i, i, b, i, i, start, i, c, i, i, i), code
    return tile


def gather_tile(rows, vectors):
    """`register_tile` over chosen places k of the sum only, where the others are zero.

    tile(a, a_at, offsets, first, live, places, places_at, count, b, b_at, b_row, start, start_at, start_row,
    c, c_at, c_row, columns):

        c[c_at + r·c_row + n] = start[start_at + r·start_row + n]
                                + Σ_{e < count} a[a_at + offsets[first + r] + k_e] · b[b_at + k_e·b_row + n]

    with k_e = places[places_at + e]. Bit for bit what the whole sum would be, in which the other terms add
    nothing.
    """
    @intrinsic
    def tile(typing, a, a_at, offsets, first, live, places, places_at, count, b, b_at, b_row, start, start_at,
             start_row,
             c, c_at, c_row, columns):
        types_of = {"a": a, "offsets": offsets, "b": b, "start": start, "c": c}
        names = ("a a_at offsets first live places places_at count b b_at b_row "
                 "start start_at start_row c c_at c_row columns").split()

        def code(context, builder, signature, args):
            block = Block(context, builder, types_of, dict(zip(names, args)), rows, vectors)
            chosen = address(context, builder, places, block.value["places"], block.value["places_at"])
            with cgutils.for_range(builder, block.value["count"]) as e:
                k = builder.load(block.ahead(chosen, e.index))
                block.add([block.ahead(pointer, k) for pointer in block.a_row],
                          block.ahead(block.b, builder.mul(k, block.value["b_row"])))
            block.store()
            return context.get_dummy_value()
        i = types.intp
        return types.void(a, i, offsets, i, i, places, i, i, b, i, i, start, i, i, c, i, i, i), code
    return tile


class Block:
    """The registers of a tile while its code is written: one sum for each row and vector, pointers to where
    rows begin.
    """

    def __init__(self, context, builder, types_of, value, rows, vectors):
        self.builder, self.value, self.vectors, self.of = builder, value, vectors, vector_of(types_of["c"])
        self.width = vectors * self.of.lanes
        pointer = {name: address(context, builder, types_of[name], value[name],
                                 value["first" if name == "offsets" else f"{name}_at"])
                   for name in types_of}
        last = builder.sub(value["live"], INT64(1))
        row = [builder.select(builder.icmp_signed("<", INT64(r), last), INT64(r), last) for r in range(rows)]
        self.a_row = [self.ahead(pointer["a"], builder.load(self.ahead(pointer["offsets"], r))) for r in row]
        self.c_row = [self.ahead(pointer["c"], builder.mul(r, value["c_row"])) for r in row]
        self.b = pointer["b"]
        starts = [self.ahead(pointer["start"], builder.mul(r, value.get("start_row", INT64(0)))) for r in row]
        self.sums = [[cgutils.alloca_once_value(builder,
                                                builder.load(self.vector(start, n), align=self.of.bytes))
                      for n in range(vectors)] for start in starts]

    def ahead(self, pointer, count):
        """The pointer `count` elements further on."""
        return self.builder.gep(pointer, [count if isinstance(count, ir.Value) else INT64(count)])

    def vector(self, pointer, n):
        """A pointer to the n-th vector from a pointer on."""
        return as_vector(self.builder, self.ahead(pointer, n * self.of.lanes), self.of)

    def add(self, a, b):
        """sums[r] += a[r] · b for one place of the sum: a number of each row, a vector or more of b."""
        b = [self.builder.load(self.vector(b, n), align=self.of.bytes) for n in range(self.vectors)]
        for pointer, sums in zip(a, self.sums):
            a_k = splat(self.builder, self.builder.load(pointer), self.of.llvm)
            for b_n, total in zip(b, sums):
                self.builder.store(multiply_add(self.builder, a_k, b_n, self.builder.load(total), self.of),
                                   total)

    def store(self):
        """Write the sums, as far as there are columns."""
        columns = self.value["columns"]
        with self.builder.if_else(self.builder.icmp_signed(">=", columns, INT64(self.width))) as (whole,
                                                                                                  part):
            with whole:
                for pointer, sums in zip(self.c_row, self.sums):
                    for n, total in enumerate(sums):
                        self.builder.store(self.builder.load(total), self.vector(pointer, n),
                                           align=self.of.bytes)
            with part:
                for pointer, sums in zip(self.c_row, self.sums):
                    for n, total in enumerate(sums):
                        mask = lanes_below(self.builder, self.builder.sub(columns, INT64(n * self.of.lanes)),
                                           self.of)
                        masked_store(self.builder, self.builder.load(total), self.vector(pointer, n), mask,
                                     self.of)


if numba.config.DISABLE_JIT:
    from .simd_numpy import gather_tile, register_tile  # noqa: F401
