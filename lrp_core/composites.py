"""Which layer gets which rule: ordered (condition, rule) lists, the first match wins.

A condition is a layer class, a glob pattern for names ("conv*"), or a function of (network, node). Layers
with weights take the rule of the first condition that holds. Other layers have a default: average pools, sums
of inputs, batch and layer normalisation, and layers of one's own take LRP-0; products of tensors take the
rules that `gates` finds, recurrent layers LRP-ε; activations, dropout, reshapes
and padding pass relevance on; a max-pool gives it to the winner. Where a condition names just that layer, or
a class of layers without weights, they take its rule instead.
"""
import dataclasses
import fnmatch
import functools
import itertools
import weakref
from collections.abc import Callable

from . import layers as L
from .canonize import without_final_activation
from .flow import PASSES as PASSING
from .flow import can_cross, flow
from .gates import ATTENTION, GATES, rule_of_product
from .gradients import METHODS, GradientMethod
from .network import INPUT, Network, Node
from .product_rules import Gate, Half, SoftmaxTaylor
from .rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Pass,
    Rule,
    ZBox,
    Zero,
    ZPlus,
    crosses_by_itself,
    is_declared,
)
from .show import block, condition_name, html_table, line, some, without_addresses
from .text import listing, quote, table
from .through_products import through_extreme, through_where

PASSES = (*PASSING, through_extreme, through_where)  # whatever the rule
CONVOLUTIONS = (L.Conv2D, L.Conv1D, L.DepthwiseConv2D, L.Conv2DTranspose)


def ruled(node):
    """Is this a layer that rules are chosen for?"""
    return isinstance(node.layer, L.Weighted) and not isinstance(node.layer, L.BatchNorm)


class Firsts:
    """Which nodes of a network come first and last, for conditions: found once for all layers."""

    def __init__(self, network):
        weighted = [node for node in network.nodes if ruled(node)]
        self.weighted, self.last_weighted = (weighted[0] if weighted else None, weighted[-1] if weighted
                                             else None)
        self.convolution = next((node for node in network.nodes if is_convolution(network, node)), None)
        self.views = {INPUT}  # the network's input, and what only prepares it or puts it into another shape
        for node in network.nodes:
            prepares = node.layer.prepares or isinstance(node.layer, (L.Flatten, L.Reshape, L.Permute))
            if prepares and node.inputs[0] in self.views:
                self.views.add(node.name)


_FIRSTS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_KEPT: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # {network: {preset: (crossings, its rules)}}


def firsts(network):
    """The Firsts of a network, from a store of those asked for before."""
    found = _FIRSTS.get(network)
    if found is None:
        found = _FIRSTS[network] = Firsts(network)
    return found


def first_layer(network: Network, node: Node) -> bool:
    """The layer with weights that reads the network's input, directly, through a reshape or through a front
    end (iNNvestigate's first).
    """
    return ruled(node) and node.inputs[0] in firsts(network).views


def first_with_weights(network: Network, node: Node) -> bool:
    """The first layer with weights in topological order (zennit's first)."""
    return node == firsts(network).weighted


def first_convolution(network, node):
    """The first convolution in topological order."""
    return node == firsts(network).convolution


def last_with_weights(network: Network, node: Node) -> bool:
    """The last layer with weights in topological order."""
    return node == firsts(network).last_weighted


def up_to(name: str) -> Callable[[Network, Node], bool]:
    """A condition: the node `name` and all that stand before it. `[(up_to("conv2b"), Flat()), ...]` is flat
    until there.
    """
    def before(network, node):
        if name not in network.positions:
            raise ValueError(f"up_to: no node is named {quote(name)}; there are {listing(network.positions)}")
        return network.positions[node.name] <= network.positions[name]
    before.__name__ = f"up_to({name!r})"
    return before


def is_convolution(network, node):
    """Any convolution."""
    return isinstance(node.layer, CONVOLUTIONS)


def everywhere(network, node):
    """Any layer."""
    return True


class Chosen(tuple):
    """The rule for each node of a network; a key by which plans are found again, whose hash is made once."""

    @functools.cached_property
    def declared(self):
        """Do all rules declare what their answers depend on? Only then may a plan be kept for them."""
        return all(map(is_declared, self))

    @functools.cached_property
    def _hash(self):
        return super().__hash__()

    def __hash__(self):
        return self._hash


@dataclasses.dataclass(frozen=True)
class Composite:
    """An ordered list of (condition, rule) pairs under a name.

    attention: how relevance crosses the product of a softmax with a tensor: "cp" holds the softmax fixed,
    "attnlrp" gives half to each. gates: how it crosses a product with one operand between 0 and 1 (after a
    sigmoid, say): "take-all" gives all to the other one, "half" half to each. See `gates`.
    """
    name: str
    pairs: tuple
    attention: str = dataclasses.field(default="cp", kw_only=True)
    gates: str = dataclasses.field(default="take-all", kw_only=True)

    def __post_init__(self):
        for what, found, known in (("attention", self.attention, ATTENTION), ("gates", self.gates, GATES)):
            if found not in known:
                raise ValueError(f"{what} must be one of {', '.join(map(repr, known))}, got {quote(found)}")
        for pair in self.pairs:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Rule)):
                raise TypeError(f"rules must be (condition, rule) pairs with a rule such as Epsilon(), got "
                                f"{pair!r}")
            condition = pair[0]
            if not (isinstance(condition, str) or callable(condition)):
                raise TypeError(f"a condition is a layer class, a name pattern or a function, got "
                                f"{condition!r}")

    def _rows(self):
        """(names of conditions, rule) in words; neighbours that share a rule share a row."""
        shared = itertools.groupby(self.pairs, key=lambda pair: without_addresses(repr(pair[1])))
        rows = [([condition_name(condition) for condition, _ in pairs], rule) for rule, pairs in shared]
        return [*rows, *[([f"{name}={value!r}"], "") for name, value, usual in (
            ("attention", self.attention, "cp"), ("gates", self.gates, "take-all")) if value != usual]]

    def __repr__(self):
        rules = "; ".join(f"{some(names[:2], len(names))} -> {rule}" if rule else names[0]
                          for names, rule in self._rows())
        return line("Composite", f"{without_addresses(self.name)}: {rules}")

    def _repr_html_(self):
        """For notebooks: the conditions with their rules, the first match wins."""
        rows = [(", ".join(names), rule) for names, rule in self._rows()]
        return block(f"Composite {without_addresses(self.name)}",
                     html_table([("layers", "rule"), *rows], "<<"))

    def check(self, network: Network) -> None:
        """Refuse name patterns that choose no layer: they are misspelt, or mean layers that patterns do not
        choose.
        """
        for condition, _ in self.pairs:
            if not isinstance(condition, str) or condition in network.positions:
                continue
            found = [node for node in network.nodes if fnmatch.fnmatchcase(node.name, condition)]
            if not found:
                raise ValueError(f"the pattern {quote(condition)} matches no layer; "
                                 f"the layers are {listing(network.positions)}")
            if condition != "*" and not any(map(ruled, found)):
                raise ValueError(f"the pattern {quote(condition)} matches {quote(found[0].name)} "
                                 f"({found[0].layer.type}), but a pattern chooses only among layers with "
                                 "weights (dense ones and convolutions); give the layer's exact name, or its "
                                 "class")

    def rule_for(self, network: Network, node: Node) -> Rule:
        """The rule for one node; raises ValueError that names a layer no rule fits."""
        for condition, rule in self.pairs:
            if matches(condition, network, node) if ruled(node) else meant(condition, node):
                return checked(rule, node)
        if (rule := rule_of_product(network, node, self.attention, self.gates)) is not None:
            return rule
        if isinstance(node.layer, L.Recurrent):
            return Epsilon(1e-6)
        if not ruled(node):
            return checked(Pass() if flow.dispatch(type(node.layer)) in PASSES else Zero(), node)
        raise ValueError(f"no rule matches layer {quote(node.name)} ({node.layer.type}): "
                         f"add a ({node.layer.type}, rule) pair to the list, or end it with ('*', rule)")

    def rules_for(self, network: Network) -> "Chosen":
        """The rule for each node of a network, in its order; raises ValueError as `check` and `rule_for` do.

        What a preset answers is kept for the next call: it depends on the network, and on how layers are
        crossed. Conditions and rules of one's own are asked each time, for their answers may change.
        """
        if self is not PRESETS.get(self.name):
            return self._ask(network)
        kept, crossings = _KEPT.setdefault(network, {}), tuple(flow.registry.values())
        if kept.get(self.name, ((),))[0] != crossings:
            kept[self.name] = crossings, self._ask(network)
        return kept[self.name][1]

    def _ask(self, network):
        self.check(network)
        return Chosen(self.rule_for(network, node) for node in network.nodes)

    def table(self, network: Network) -> str:
        """Which rule each layer of a network gets, as text; without a softmax or sigmoid at its end, which is
        not explained.
        """
        network = without_final_activation(network)
        rows = [(node.name, node.layer.type, "winner takes all" if isinstance(node.layer, L.WinnerTakesAll)
                 else repr(rule))
                for node, rule in zip(network.nodes, self.rules_for(network))]
        return table(rows, "<<<", header=False)


def meant(condition, node):
    """Does a condition name just this layer, or a class of it? What holds for layers with weights too speaks
    of these only.
    """
    if isinstance(condition, type):
        return isinstance(node.layer, condition) and (condition is type(node.layer)
                                                      or not issubclass(L.Weighted, condition))
    return condition == node.name


def checked(rule, node):
    """The rule, where the layer can take it; raises ValueError that names the layer."""
    layer, crossing = node.layer, flow.dispatch(type(node.layer))
    if crosses_by_itself(rule):
        return rule
    if not can_cross(layer):
        raise ValueError(f"layer {quote(node.name)} ({layer.type}) cannot be explained: LRP has no rule for "
                         "it; "
                         f"register a function with @lrp_core.flow.register({layer.type})")
    if isinstance(layer, (L.Product, L.Softmax)):
        fits = (SoftmaxTaylor,) if isinstance(layer, L.Softmax) else (Gate, Half)
        if not isinstance(rule, fits):
            raise ValueError(f"layer {quote(node.name)} ({layer.type}): the rule {rule!r} cannot cross it; "
                             f"{' and '.join(f'{kind.__name__}()' for kind in fits)} can, and rules that "
                             "define through(layer, x, y, r)")
        return rule
    if isinstance(rule, (Gate, Half, SoftmaxTaylor)):
        raise ValueError(f"layer {quote(node.name)} ({layer.type}) multiplies no tensors: the rule {rule!r} "
                         "is not for it")
    if crossing in PASSES and not isinstance(rule, Pass):
        raise ValueError(f"layer {quote(node.name)} ({layer.type}) passes relevance on: the rule {rule!r} "
                         "does nothing there; "
                         "give it a rule that defines through(layer, x, y, r)")
    if is_mixing(crossing) and (isinstance(rule, Pass)
                              or not (isinstance(layer, L.Weighted) or can_share(rule, layer))):
        raise ValueError(f"layer {quote(node.name)} ({layer.type}) mixes its inputs"
                         f"{' without weights' * (not isinstance(layer, L.Weighted))}: the rule {rule!r} "
                         "cannot cross it; "
                         "Zero() and Epsilon() can, and rules that define through(layer, x, y, r)")
    return rule


def is_mixing(crossing):
    """Is this one of this package's ways across layers that mix their inputs?"""
    return crossing not in PASSES and crossing.__module__.startswith(f"{__package__}.")


def can_share(rule, layer):
    """Can a rule share relevance out in a layer that mixes its inputs without weights?"""
    if isinstance(rule, (Zero, Epsilon)):
        return True
    if type(rule).__module__ == Rule.__module__ or not isinstance(layer, L.Linear):
        return False  # rules of this package's own need a kernel, and sums have no other terms than LRP-0's
    return True


def matches(condition, network, node):
    """Does a condition hold for a node?"""
    if isinstance(condition, str):
        return fnmatch.fnmatchcase(node.name, condition)
    if isinstance(condition, type):
        return isinstance(node.layer, condition)
    return condition(network, node)


def _innvestigate(name, convolution, *, flat=False):
    first = ((first_layer, Flat()),) if flat else ()
    return Composite(name, (*first, (L.Dense, Epsilon(0.1)), (is_convolution, convolution)))


def preset_b_flat_until(name: str) -> Composite:
    """iNNvestigate's lrp.sequential_preset_b_flat_until_idx: preset_b, but flat up to and including the node
    `name`.
    """
    return Composite(f"preset_b_flat_until {name}", ((up_to(name), Flat()), *PRESETS["preset_b"].pairs))


# zennit keeps sums and average pools from dividing by almost nothing, where branches cancel.
ZENNIT_NORMS = tuple((layer, Epsilon(1e-6)) for layer in (L.Add, L.AveragePool2D, L.AveragePool1D,
                                                          L.GlobalAveragePool2D, L.GlobalAveragePool1D))


def _zennit(name, convolution, *first):
    return Composite(name, (*ZENNIT_NORMS, *first, (L.Dense, Epsilon(1e-6)), (is_convolution, convolution)))


def epsilon_gamma_box(low, high) -> Composite:
    """zennit's composite of that name for inputs in a box: z^B in the first layer, gamma in convolutions."""
    return _zennit("epsilon_gamma_box", Gamma(0.25), (first_convolution, ZBox(low, high)))


# The first five agree with iNNvestigate's analyzers (Alber et al. 2019): lrp.epsilon,
# lrp.sequential_preset_a, ...; its α-β rules keep the whole bias. The others agree with zennit's composites
# (Anders et al. 2021), which split it and want batch normalisation folded first (`canonize.fold_batch_norm`).
PRESETS = {composite.name: composite for composite in (
    Composite("epsilon", ((everywhere, Epsilon(1e-7)),)),
    _innvestigate("preset_a", AlphaBeta(1.0, 0.0, "whole")),
    _innvestigate("preset_a_flat", AlphaBeta(1.0, 0.0, "whole"), flat=True),
    _innvestigate("preset_b", AlphaBeta(2.0, 1.0, "whole")),
    _innvestigate("preset_b_flat", AlphaBeta(2.0, 1.0, "whole"), flat=True),
    _zennit("epsilon_plus", ZPlus("split")),
    _zennit("epsilon_plus_flat", ZPlus("split"), (first_with_weights, Flat())),
    _zennit("epsilon_alpha2_beta1", AlphaBeta(2.0, 1.0, "split")),
    _zennit("epsilon_alpha2_beta1_flat", AlphaBeta(2.0, 1.0, "split"), (first_with_weights, Flat())),
    epsilon_gamma_box(0.0, 1.0),
    Composite("excitation_backprop", (*ZENNIT_NORMS, (everywhere, ZPlus("split")))),
)}
ALIASES = {"flat": "preset_a_flat"}


def composite(rules, *, attention: str | None = None, gates: str | None = None) -> Composite | GradientMethod:
    """A Composite or GradientMethod from a preset's name, one rule for every layer with weights, or a list of
    (condition, rule).

    attention, gates: as of `Composite`, where they are to be others than the composite's own.
    """
    found = _composite(rules)
    changes = {name: value for name, value in (("attention", attention), ("gates", gates))
               if value is not None}
    if changes and not isinstance(found, Composite):
        raise ValueError(f"{found.name!r} is a gradient: it has no {' or '.join(changes)}")
    return dataclasses.replace(found, **changes) if changes else found


def _composite(rules):
    if isinstance(rules, (Composite, GradientMethod)):
        return rules
    if isinstance(rules, str):
        found = {**PRESETS, **METHODS}.get(ALIASES.get(rules, rules))
        if found is None:
            raise ValueError(f"there is no preset {quote(rules)}; there are "
                             f"{', '.join([*PRESETS, *METHODS, *ALIASES])}")
        return found
    if isinstance(rules, Rule):
        return Composite(repr(rules), ((everywhere, rules),))
    if isinstance(rules, (list, tuple)):
        return Composite("custom", tuple(tuple(p) if isinstance(p, list) else p for p in rules))
    raise TypeError(f"rules must be a preset's name, a rule, or a list of (condition, rule), got {rules!r}")
