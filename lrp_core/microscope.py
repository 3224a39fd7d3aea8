"""A look at single units: what each got from the units above it, and gave to the units below.

    e = lrp_core.explain(network, x, "epsilon", layers=True)
    print(lrp_core.messages(e, "conv2", (3, 4, 7)))     # one unit; 7 alone is channel 7 with all its places

Relevance crosses each layer by a linear map, for a given forward pass. So what a unit gives is what `flow`
makes of its relevance alone; what it received, and what goes through it from the score, is found by the
transposed map (`transposed`), in one pass a layer.
"""
import functools
import threading
from collections.abc import Collection

import numpy as np

from .chunks import single_threaded_blas
from .composites import Composite
from .crossing import Crossing
from .explanation import Explanation
from .flow import is_ours
from .ledger import ABSORBED
from .messages import Messages, Route, indices
from .network import INPUT
from .steps import plan
from .text import listing, quote
from .transposed import repeated, transposed


def messages(e: Explanation, node: str, unit: int | tuple) -> Messages:
    """What one unit got from each unit above it and gave to each unit below it; a `Messages`, to print.

    e: the explanation of one sample, made with layers=True: the passes are run again from what it was asked.
    node: a node's name, or "input". unit: a tuple of places, (3, 4, 7); a channel's number, 7, for all its
    places together; (3, 4) for a pixel with all its channels.

    Exact for every rule that is linear in the relevance: all of this package's are. Raises ValueError for an
    explanation without layers, of a batch, or by a gradient, for an unknown node or unit, and for a rule from
    outside that is not linear. For many units of one explanation make one `Microscope`.
    """
    return Microscope(e).messages(node, unit)


class Microscope:
    """One explanation, ready to be looked at unit by unit: it keeps the forward pass and the rules' weights.
    """

    def __init__(self, e: Explanation):
        """e: as of `messages`."""
        if np.ndim(e.target):
            raise ValueError("the explanation is of a batch: index it, as in `e[0]`")
        if e.asked is None or e.layers is None:
            raise ValueError("the explanation does not hold what it takes: make it with "
                             "lrp_core.explain(..., layers=True); one that was loaded or extended does not")
        if not isinstance(e.asked.method, Composite):
            raise ValueError(f"messages are of relevance that rules share out, not of gradients: "
                             f"{quote(e.asked.method.name)}")
        self.asked, self.network = e.asked, e.asked.network.scoring
        self.relevance = {name: np.asarray(r, np.float64)[None] for name, r in e.layers.items()}
        self._crossings: dict[str, Crossing] = {}
        self._making = threading.Lock()

    @functools.cached_property
    def steps(self):
        """A Step for every node, in topological order."""
        return plan(self.network, self.asked.method.rules_for(self.network))

    @functools.cached_property
    def trace(self):
        """The forward pass of the sample, in double precision."""
        return self.network.forward(self.asked.x.astype(np.float64))

    def place(self, node: str, unit: int | tuple) -> tuple[tuple, np.ndarray]:
        """(index, 1 at the unit and 0 elsewhere [1, *shape]); raises ValueError where there is none."""
        if node not in self.network.shapes:
            raise ValueError(f"no node is named {quote(node)}; there are {listing(self.network.shapes)}")
        if node not in self.relevance:
            raise ValueError(f"no relevance reaches node {quote(node)} from {quote(self.asked.start)}"
                             + (f" down to {quote(self.asked.stop)}" if self.asked.stop else ""))
        index = indices(unit, self.network.shapes[node], f"node {quote(node)}")
        mask = np.zeros((1, *self.network.shapes[node]))
        mask[0][index] = 1
        return index, mask

    @functools.cached_property
    def crossed(self):
        """The steps that relevance crossed, in topological order."""
        return [step for step in self.steps if step.node.name in self.relevance
                and step.node.name != self.asked.stop]

    def messages(self, node: str, unit: int | tuple) -> Messages:
        """As the function `messages`."""
        index, mask = self.place(node, unit)
        relevance = float((self.relevance[node] * mask).sum())
        received = self._received(node, mask)
        began = relevance if node == self.asked.start else 0.0
        dropped = 0.0
        if node in self.asked.keep:
            lost = self._received(node, mask - self._kept(node, mask))
            dropped = sum(float(r.sum()) for r in lost.values())
        given, absorbed, stays = {}, dict.fromkeys(ABSORBED, 0.0), 0.0
        kind, rule = "input", ""
        if node in self.network.positions:
            step = self.steps[self.network.positions[node]]
            kind, rule = step.node.layer.type, step.rule_name
        if node in (INPUT, self.asked.stop):
            stays = relevance
        else:
            given, book = self._down(step, self.relevance[node] * mask)
            given = {name: r[0] for name, r in given.items()}
            absorbed = {column: float(getattr(book, column)[0]) for column in ABSORBED}
        return Messages(node, index, kind, rule, relevance, received, given, absorbed, began, stays, dropped)

    def _received(self, node, mask):
        return {step.node.name: (self._up(step, {node: mask}, wanted=True)
                                 * self.relevance[step.node.name])[0]
                for step in self.crossed if node in step.node.inputs}

    def route(self, node: str, unit: int | tuple) -> Route:
        """All relevance that goes through a unit, at every node above it and below it."""
        index, mask = self.place(node, unit)
        r = self.relevance[node] * mask
        above = {name: (w * self.relevance[name])[0] for name, w in self.upward(node, mask).items()
                 if name != node}
        below = {name: found[0] for name, found in self.spread(node, r).items() if name != node}
        return Route(node, index, float(r.sum()), above, below)

    def upward(self, node: str, mask: np.ndarray) -> dict[str, np.ndarray]:
        """{node above, or the node itself: which part of the relevance of each of its units arrives at the
        units in the mask}, [1, *shape] each. Parts may be negative, or above 1, where others make up for it.
        """
        w = {node: self._kept(node, mask)}
        with single_threaded_blas:  # as in `explain`: the same last bits, however many processors there are
            for step in self.crossed:
                if any(source in w for source in step.node.inputs):
                    w[step.node.name] = self._kept(step.node.name, self._up(step, w))
        return w

    def _up(self, step, v, wanted=False):
        """w at a node's output for v at nodes it reads; `wanted`: only where there is relevance."""
        r = self.relevance[step.node.name]
        vs = [v[name] if name in v else np.zeros((1, *self.network.shapes[name]))
              for name in step.node.inputs]
        if is_crossing(step):
            return self._crossing(step).up(vs[0])
        return transposed(step, self.trace, r, vs, wanted=r != 0 if wanted else None)

    def _kept(self, name, v):
        return v * self.asked.keep[name] if name in self.asked.keep else v

    def _down(self, step, r):
        """({input node: its relevance}, Book) of relevance r at a node's output."""
        moved, book = step.back(self.trace, r)
        given: dict[str, np.ndarray] = {}
        for name, share in zip(step.node.inputs, moved):
            given[name] = given[name] + share if name in given else share
        return given, book

    def spread(self, node: str, r: np.ndarray, ends: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """Relevance r at a node, carried down: {node: what arrives there}.

        r: [n, *shape], each of the n by itself. ends: names of nodes below it at which relevance stays; only
        where it stays is then returned.
        """
        found = {node: r}
        with single_threaded_blas:
            for step in reversed(self.steps):
                name = step.node.name
                if name not in found:
                    continue
                found[name] = self._kept(name, found[name])
                if name == self.asked.stop or (name in (ends or ()) and name != node):
                    continue
                r = found[name] if ends is None else found.pop(name)
                for source, share in zip(step.node.inputs, self._shares(step, r)):
                    found[source] = found[source] + share if source in found else share
        return found

    def _shares(self, step, r):
        """[R_in of each input] of relevances r [n, *shape] at a node's output."""
        if is_crossing(step):
            return [self._crossing(step).down(r)]
        return step.back(repeated(step, self.trace, len(r)), r)[0]

    def _crossing(self, step):
        """The Crossing of a linear layer, made when it is first asked for."""
        name, (source,) = step.node.name, step.node.inputs
        with self._making:  # several threads may ask
            if name not in self._crossings:
                x, y = self.trace.outputs[source], self.trace.outputs[name]
                self._crossings[name] = Crossing.of(step.node.layer, step.sharing, x, y)
        return self._crossings[name]


def is_crossing(step):
    """Does relevance cross a step by a `Crossing`?"""
    return bool(step.groups) and is_ours(step.node.layer)
