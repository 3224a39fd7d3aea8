"""What a program does, step by step: runs of kernels, and what NumPy does between them; and its lines of the
ledger.
"""
import dataclasses

import numpy as np

from ..network import Node
from ..steps import Step
from .kernels.op import NONE

KEPT = "chosen channels"  # what a line of the ledger says of relevance that was dropped by `keep`


@dataclasses.dataclass(eq=False)
class Wire:
    """Relevance on its way between two nodes.

    buffer: the number of the buffer that it lies in. sums: where kernels write its sum, or NONE. same: the
    wire that an
    activation or a reshape made of it, which holds the same numbers: its sum is this one's.
    """
    number: int
    shape: tuple
    buffer: int
    sums: int = NONE
    same: "Wire | None" = None


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """One node's line of the ledger: the relevance that came and went, and the (sums, rows) of its groups of
    terms. gates: what does not go on is booked as gated.
    """
    name: str
    type: str
    rule: str
    received: Wire
    passed: tuple
    groups: tuple = ()
    gates: bool = False


@dataclasses.dataclass(frozen=True)
class Kernels:
    """A stage: ops begin..end of the program."""
    begin: int
    end: int


@dataclasses.dataclass(frozen=True)
class Forward:
    """A stage: a node that NumPy computes."""
    node: Node


@dataclasses.dataclass(frozen=True)
class Back:
    """A stage: a node that NumPy carries relevance through; it fills line `number` of the ledger."""
    step: Step
    line: Line
    number: int


@dataclasses.dataclass(frozen=True)
class Keep:
    """A stage: only the relevance of channels under a mask goes on."""
    line: Line
    mask: np.ndarray


def joined(stages):
    """The stages with runs of kernels that follow each other made one: a team is called together once."""
    out = []
    for stage in stages:
        if out and isinstance(stage, Kernels) and isinstance(out[-1], Kernels) and out[-1].end == stage.begin:
            out[-1] = Kernels(out[-1].begin, stage.end)
        else:
            out.append(stage)
    return out
