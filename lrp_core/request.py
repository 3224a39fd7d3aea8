"""One question to an engine: everything that `explain` was asked for, checked and resolved."""
import dataclasses
from collections.abc import Callable

import numpy as np

from .composites import Composite
from .gradients import GradientMethod
from .network import INPUT, Network


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What to explain of which samples, by which rules, and with which resources.

    x: [n, *input_shape] float32. single: whether the caller gave one sample without a batch axis. method:
    which rule each layer gets, or a gradient. targets: (favoured, other) class numbers [n] each, as
    `target.resolve` gives them.
    place: None for a class, or (node name, mask over its output) of an inner start, or over all scores.
    began: the inner start as it was asked for, or None.
    reference: None, or the value that the output there is counted from. stop: None, or the node where
    relevance stays. keep: {node name: mask over its channels}. layers: whether to keep the relevance at every
    node.
    dtype: "float64" or "float32". threads, memory, progress: as of `explain`.
    """
    network: Network
    x: np.ndarray
    single: bool
    method: Composite | GradientMethod
    targets: list
    place: tuple | None
    began: tuple | None
    reference: float | None
    stop: str | None
    keep: dict
    layers: bool
    dtype: str
    threads: int | None
    memory: float | None
    progress: Callable | None

    @property
    def end(self):
        """The name of the node whose relevance is the answer."""
        return self.stop or INPUT

    @property
    def what(self):
        """What relevance begins as, for the ledger."""
        if isinstance(self.method, GradientMethod):
            return "gradient"
        return "score" if self.began is None else "output"

    @property
    def begin(self):
        """The name of the node where relevance begins."""
        return self.network.scoring.nodes[-1].name if self.place is None else self.place[0]

    @property
    def start(self):
        """The name of the node whose relevance at the start is written from outside; None: the scores, as
        kernels do it.
        """
        if self.place is None and self.reference is not None:
            scored = self.network.scoring
            return scored.nodes[-1].name
        return None if self.place is None else self.place[0]
