"""The interpreter: one loop that runs a program's ops, alone or as one of a team of threads."""
import numpy as np
from numba import types
from numba.extending import intrinsic

from .kernels import convolve, depthwise, elementwise, flat, moves, pools, repair, sparse, winograd
from .kernels.jit import entry, kernel
from .kernels.op import COMMON, FIELDS, KINDS, RARE, TIES
from .kernels.simd_llvm import address

# Every module that registers kinds of op. A new one is named here, and nowhere else.
FAMILIES = (elementwise, convolve, winograd, repair, pools, sparse, flat, depthwise, moves)

OP = np.dtype([(name, field.type) for name, field in FIELDS.items()])


def choice(name, functions, arguments, otherwise):
    """A compiled function that calls the one for an op's kind. functions: {number of the kind: function}.

    It is written as text, a comparison for each kind: nested functions would be compiled again at each level.
    """
    lines = [f"    if op.kind == {number}:\n        return f{number}({arguments})" for number in functions]
    text = "\n".join([f"def {name}({arguments}):", *lines, f"    return {otherwise}"])
    found = {f"f{number}": function for number, function in functions.items()}
    exec(compile(text, f"<{name} by kind of op>", "exec"), found)
    return kernel(found[name])


UNITS = "op, memory, first, last"
units = choice("units", {kind.number: kind.units for kind in KINDS}, "op, memory", 0)
perform, perform_rare, perform_ties = (
    choice(f"perform_{group}", {kind.number: kind.kernel for kind in KINDS if kind.group == group}, UNITS,
           None)
    for group in (COMMON, RARE, TIES))


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
def run(ops, begin, end, memory, counters, member, rare, ties):
    """Run ops begin..end on a Memory, alone (team 1) or as the member of that number of a team. `memory` is
    this worker's own.

    rare, ties: None where no op is of a kind of that group; it is then compiled without them. counters: zeros
    [(end - begin)·(team + 1)], for each op the units taken of each member's share, and the units done. A
    member takes the units of its own share first: their inputs, which it computed in the op before, are still
    in its cache. Then it takes those that others have left, and goes on when all of an op's units are done.
    No member is waited for, only units that one has taken: a member that comes late, or never, costs nothing
    but its help.
    """
    team = memory.team
    for number in range(begin, end):
        op = ops[number]
        total = units(op, memory)
        taken = (number - begin) * (team + 1)
        done, grain = taken + team, total if team == 1 else max(1, total // (4 * team))
        for other in range(team):
            owner = (member + other) % team
            first, end_of_share = total * owner // team, total * (owner + 1) // team
            if team > 1:
                first += add_and_get(counters, taken + owner, grain)
            while first < end_of_share:
                last = min(first + grain, end_of_share)
                if rare is not None:
                    perform_rare(op, memory, first, last)
                if ties is not None:
                    perform_ties(op, memory, first, last)
                perform(op, memory, first, last)
                if team == 1:
                    break
                add_and_get(counters, done, last - first)
                first = total * owner // team + add_and_get(counters, taken + owner, grain)
        while team > 1 and peek(counters, done) < total:
            pass
