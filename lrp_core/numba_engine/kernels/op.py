"""What an op is: a record of numbers that says what a kernel reads, does and writes; and the registry of all
kinds of op.

A kernel is a function (op, memory, first, last) that does units first..last of an op. Units do not depend on
each other, so that a team of threads can share them out; a unit's numbers do not depend on who computes it,
nor on other samples.

To add a kind of op: write a module here with a kernel under `@kind(...)`, and name the module in
`interpreter.FAMILIES`.
Everything that is known of the kind stands in its module: its fields, units and bounds.
"""
import dataclasses
import typing
from collections.abc import Callable

from .jit import inlined, kernel

NONE = -1  # no position, no bias
COMMON, RARE, TIES = "common", "rare", "ties"  # what is compiled together, see `kind`


@dataclasses.dataclass(frozen=True)
class Field:
    """A number of an op. meaning: what it says. default: what it is where an op does not set it. type: as
    NumPy writes it.

    position: whether it is the position of an array in `Memory.data`, for one sample; a program's layout sets
    it.
    """
    meaning: str
    default: float = 0
    type: str = "i8"
    position: bool = False


FIELDS = {
    "kind": Field("which kernel: its number in KINDS"),
    "per_target": Field("1 where the op works on relevance, of which a sample may have several (one for each "
                        "target)"),
    "x": Field("the array that is read", NONE, position=True),
    "y": Field("the array that is written", NONE, position=True),
    "times": Field("an array that the result is multiplied by; NONE: 1", NONE, position=True),
    "flag": Field("1 for each sample that a sparse kernel computes, else 0; NONE: no sample", NONE,
                  position=True),
    "height": Field("rows of the map x (of y, on the way back)"), "width": Field("its columns"),
    "channels": Field("its channels"),
    "rows": Field("rows of the map y (of x, on the way back)"), "columns": Field("its columns"),
    "filters": Field("its channels"),
    "size_down": Field("rows of the window"), "size_right": Field("its columns"),
    "stride_down": Field("rows from one window to the next"),
    "stride_right": Field("columns from one to the next"),
    "dilation_down": Field("rows from one tap of the window to the next"),
    "dilation_right": Field("columns, the same"),
    "top": Field("rows of padding above the map"), "left": Field("columns of padding before it"),
    "weights": Field("where the weights lie among the constants"),
    "bias": Field("where the bias lies among them", NONE),
    "panels": Field("panels of a packed matrix (see `matmul.pack`)"),
    "panel_width": Field("columns of a panel"),
    "depth": Field("rows of a packed matrix, for one tap"),
    "offsets": Field("where the places of a product's rows lie among the offsets"),
    "accumulate": Field("1: the result is added to y, 0: it replaces y"),
    "rectify": Field("1: y = max(result, 0)"),
    "sums": Field("where the op's sums for the ledger begin, for one sample", NONE)}


class Memory(typing.NamedTuple):
    """Everything a kernel may read or write, and how many samples there are.

    data: all maps, in the precision of the program; an array for one sample at position p begins at
    p·capacity.
    weights: constants in that precision. offsets: int64 constants. sums: float64, for the ledger. places:
    int64, for lists of nonzeros. favoured, other: the explained classes, [samples·targets]. samples: how many
    are at work. targets: relevances of each sample, on the way back. scratch, places_at: where this worker's
    own part of data and of places begins. team: how many workers share the op.
    """
    data: typing.Any
    weights: typing.Any
    offsets: typing.Any
    sums: typing.Any
    places: typing.Any
    favoured: typing.Any
    other: typing.Any
    samples: int
    targets: int
    capacity: int
    scratch: int
    places_at: int
    team: int


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of op. name: for people. units, reach, group: see `kind`."""
    number: int
    name: str
    kernel: Callable
    units: Callable
    reach: Callable
    group: str


KINDS: list[Kind] = []
_NUMBERS: dict[Callable, int] = {}


def kind(name, *, units, reach, group=COMMON, fields=None):
    """Register the kernel below as a kind of op.

    units: a kernel (op, memory) -> how many independent parts the op has. reach: a function (f, at) that
    yields (array, position, count) for everything that the op touches for one sample, from its fields f; `at`
    is a `bounds.Sizes`; count is -1 for what must not be. group: COMMON is compiled with every program; RARE
    only where a program uses one of them, and TIES only in single precision, so that others start sooner.
    fields: {name: Field} that this family adds.
    """
    def register(function):
        for field, meaning in (fields or {}).items():
            if FIELDS.setdefault(field, meaning) is not meaning:
                raise ValueError(f"two kinds of op declare a field {field!r}")
        _NUMBERS[function] = len(KINDS)
        KINDS.append(Kind(len(KINDS), name, function, units, reach, group))
        return function
    return register


def kind_of(function):
    """The Kind of a kernel that was registered."""
    return KINDS[_NUMBERS[function]]


@inlined
def targets_of(op, memory):
    """How many relevances of a sample the op works on: 1 for what belongs to the sample itself."""
    return memory.targets if op.per_target == 1 else 1


# ---- units that several kinds share

@kernel
def by_sample(op, memory):
    """One for each sample (relevance)."""
    return memory.samples * targets_of(op, memory)


@kernel
def by_row(op, memory):
    """One for each row of the map y of each sample (relevance); of x, on the way back."""
    return memory.samples * targets_of(op, memory) * op.rows


@kernel
def by_source_row(op, memory):
    """One for each row of the map x of each sample (relevance); of y, on the way back."""
    return memory.samples * targets_of(op, memory) * op.height
