"""The interpreter: one loop that runs a program's ops, alone or as one of a team of threads."""
import numpy as np
from numba import types
from numba.extending import intrinsic

from .kernels import convolve, elementwise, flat, pools, repair, sparse, winograd
from .kernels.jit import entry, inlined, kernel
from .kernels.op import FIELDS, KINDS
from .kernels.simd_llvm import address

# Every module that registers kinds of op. A new one is named here, and nowhere else.
FAMILIES = (elementwise, convolve, winograd, repair, pools, sparse, flat)

OP = np.dtype([(name, field.type) for name, field in FIELDS.items()])


def chain(kinds, attribute):
    """A compiled function that calls the `attribute` of an op's kind, one of `kinds`: a chain of comparisons.
    """
    number, function = kinds[0].number, getattr(kinds[0], attribute)
    if attribute == "units":
        others = chain(kinds[1:], attribute) if len(kinds) > 1 else function

        @inlined
        def choose(op, memory):
            return function(op, memory) if op.kind == number else others(op, memory)
        return choose
    others = chain(kinds[1:], attribute) if len(kinds) > 1 else nothing

    @inlined
    def run_one(op, memory, first, last):
        if op.kind == number:
            function(op, memory, first, last)
        else:
            others(op, memory, first, last)
    return run_one


@kernel
def nothing(op, memory, first, last):
    """There is no such kind: the op is of another chain."""


units = chain(KINDS, "units")
perform = chain([kind for kind in KINDS if not kind.rare], "kernel")
perform_rare = chain([kind for kind in KINDS if kind.rare], "kernel")


@intrinsic
def add_and_get(typing, counters, place, count):
    """counters[place] += count, at once for all threads; returns the old value."""
    def code(context, builder, signature, args):
        pointer = address(context, builder, counters, args[0], args[1])
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")
    return types.int64(counters, types.int64, types.int64), code


@intrinsic
def peek(typing, counters, place):
    """counters[place], as the other threads left it."""
    def code(context, builder, signature, args):
        return builder.load_atomic(address(context, builder, counters, args[0], args[1]), "acquire", 8)
    return types.int64(counters, types.int64), code


@entry
def run(ops, begin, end, memory, counters, rare):
    """Run ops begin..end on a Memory, alone (team 1) or as one of a team. `memory` is this worker's own.

    rare: None where no op is of a rare kind; that is compiled apart, without those kernels. counters: zeros
    [2·(end - begin)], units taken and units done. The members of a team take units until none is left, and go
    on when all of an op's units are done. No member is waited for, only units that one has taken: a member
    that comes late, or never, costs nothing but its help.
    """
    team = memory.team
    for number in range(begin, end):
        op = ops[number]
        total = units(op, memory)
        taken, done = 2 * (number - begin), 2 * (number - begin) + 1
        grain = total if team == 1 else max(1, total // (4 * team))
        first = 0 if team == 1 else add_and_get(counters, taken, grain)
        while first < total:
            last = min(first + grain, total)
            if rare is not None:
                perform_rare(op, memory, first, last)
            perform(op, memory, first, last)
            if team == 1:
                break
            add_and_get(counters, done, last - first)
            first = add_and_get(counters, taken, grain)
        while team > 1 and peek(counters, done) < total:
            pass
