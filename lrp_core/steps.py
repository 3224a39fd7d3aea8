"""One node's way back, with the rule chosen for it: what both engines plan before any data is seen."""
import dataclasses

import numpy as np

from . import layers as L
from . import through_products, through_recurrent  # noqa: F401  (they register how their layers are crossed)
from .flow import Book, Prepared, flow, is_forward, is_ours, through_linear, total
from .ledger import ABSORBED
from .network import Node
from .rules import Pass, Rule, crosses_by_itself
from .text import quote


@dataclasses.dataclass(frozen=True)
class Step:
    """One node with the rule chosen for it and, for a linear layer, the rule's groups of terms."""
    node: Node
    rule: Rule
    groups: tuple = ()

    @property
    def rule_name(self):
        """The rule as the ledger prints it."""
        return "winner takes all" if isinstance(self.node.layer,
                                                L.WinnerTakesAll) and self.rule == Pass() else repr(self.rule)

    @property
    def sharing(self):
        """The rule as `flow` gets it: with its groups, where they are made already."""
        return Prepared(self.rule, self.node.layer, self.groups) if self.groups else self.rule

    def back(self, trace, r):
        """([R_in for each input], Book) from the relevance r at the node's output."""
        return cross(self.node, trace, r, self._cross)

    def _cross(self, layer, xs, y, r, book):
        if not crosses_by_itself(self.rule):
            return flow(layer, self.sharing, xs, y, r, book)
        found = self.rule.through(layer, xs if layer.inputs != 1 else xs[0], y, r)
        shares = check_shares(self.node, xs, found if layer.inputs != 1 else [found])
        book.by_rule += total(r) - sum(map(total, shares))
        return shares


def plan(network, rules):
    """A Step for every node in topological order, with the rule chosen for it: its weights are made once,
    before any data.
    """
    return tuple(Step(node, rule, prepared(node.layer, rule)) for node, rule in zip(network.nodes, rules))


def prepared(layer, rule):
    """The rule's groups for a layer that is crossed by them, else ()."""
    by_groups = flow.dispatch(type(layer)) is through_linear and not crosses_by_itself(rule)
    return rule.groups(layer) if by_groups else ()


def is_split(step):
    """Does a step look at parts of weights or inputs, so that it needs denominators of its own?"""
    return any(not is_forward(group, step.node.layer) for group in getattr(step, "groups", ()))


def cross(node, trace, r, function):
    """([share of each input], Book) as function(layer, xs, y, r, book) finds them for the relevance r at a
    node's output.
    """
    xs, y = [trace.outputs[name] for name in node.inputs], trace.outputs[node.name]
    book = Book(len(r), trace.kept.get(node.name))
    shares = check_shares(node, xs, obeyed(function, node, xs, y, r, book))
    for column in ABSORBED:
        if np.shape(getattr(book, column)) != (len(r),):
            raise ValueError(f"layer {quote(node.name)} ({node.layer.type}): book.{column} must hold one "
                             "number for each of "
                             f"{len(r)} samples, found shape {np.shape(getattr(book, column))}")
    return [share.astype(r.dtype, copy=False) for share in shares], book


def obeyed(function, node, xs, y, r, book):
    """function(layer, xs, y, r, book); one from outside cannot write to its arrays, and errors name the node.
    """
    layer = node.layer
    if not is_ours(layer):
        xs, y, r = list(map(L.read_only, xs)), L.read_only(y), L.read_only(r)
    try:
        return function(layer, xs, y, r, book)
    except Misfit:
        raise
    except L.MISTAKES as error:
        raise ValueError(f"layer {quote(node.name)} ({layer.type}): {error}") from error


class Misfit(ValueError):
    """An error that names its layer already."""


def check_shares(node, xs, shares):
    """What a function made of a layer's relevance, as a list of arrays; raises ValueError where they do not
    fit its inputs.
    """
    if not isinstance(shares, (list, tuple)):
        raise Misfit(f"layer {quote(node.name)} ({node.layer.type}): return a list of arrays, one for "
                     f"each input, got {type(shares).__name__}")
    shares = [np.asarray(share) for share in shares]
    if [share.shape for share in shares] != [x.shape for x in xs]:
        raise Misfit(f"layer {quote(node.name)} ({node.layer.type}): relevance of the shapes "
                     f"{[x.shape for x in xs]} was expected for its inputs, got "
                     f"{[share.shape for share in shares]}; return one array for each input")
    return shares
