"""Which layer gets which rule: ordered (condition, rule) lists, the first match wins.

A condition is a layer class, a glob pattern for names ("conv*"), or a function of (network, node). Conditions are
asked about layers with weights only: an average pool always takes LRP-0 of its linear map, activations, dropout
and reshapes pass relevance on, and a max-pool gives it to the winner.
"""
import dataclasses
import fnmatch

from . import layers as L
from .network import INPUT
from .rules import AlphaBeta, Epsilon, Flat, Pass, Rule, Zero


def first_layer(network, node):
    """The layer with weights that reads the network's input, directly or through a reshape."""
    name = node.inputs[0]
    while name != INPUT:
        before = network[name]
        if not isinstance(before.layer, L.Flatten):
            return False
        name = before.inputs[0]
    return isinstance(node.layer, L.Weighted)


def everywhere(network, node):
    """Any layer."""
    return True


@dataclasses.dataclass(frozen=True)
class Composite:
    """An ordered list of (condition, rule) pairs under a name."""
    name: str
    pairs: tuple

    def __post_init__(self):
        for pair in self.pairs:
            if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Rule)):
                raise TypeError(f"rules must be (condition, rule) pairs with a rule such as Epsilon(), got {pair!r}")
            condition = pair[0]
            if not (isinstance(condition, str) or callable(condition)):
                raise TypeError(f"a condition is a layer class, a name pattern or a function, got {condition!r}")

    def rule_for(self, network, node):
        """The rule for one node, or None for a max-pool; raises ValueError that names a layer no rule fits."""
        if isinstance(node.layer, L.Passing):
            return Pass()
        if isinstance(node.layer, L.MaxPool2D):
            return None
        if not isinstance(node.layer, L.Linear):
            raise ValueError(f"layer {node.name!r} ({node.layer.type}) cannot be explained: LRP has no rule for it")
        if not isinstance(node.layer, L.Weighted):
            return Zero()
        for condition, rule in self.pairs:
            if matches(condition, network, node):
                return rule
        raise ValueError(f"no rule matches layer {node.name!r} ({node.layer.type}): "
                         f"add a ({node.layer.type}, rule) pair to the list, or end it with ('*', rule)")


def matches(condition, network, node):
    """Does a condition hold for a node?"""
    if isinstance(condition, str):
        return fnmatch.fnmatchcase(node.name, condition)
    if isinstance(condition, type):
        return isinstance(node.layer, condition)
    return condition(network, node)


def _preset(name, convolution, *, flat):
    first = ((first_layer, Flat()),) if flat else ()
    return Composite(name, (*first, (L.Dense, Epsilon(0.1)), (L.Conv2D, convolution)))


# The names are those of iNNvestigate's analyzers (Alber et al. 2019), with which these agree:
# lrp.epsilon, lrp.sequential_preset_a, _a_flat, _b, _b_flat. Its α-β rules keep the whole bias.
PRESETS = {composite.name: composite for composite in (
    Composite("epsilon", ((everywhere, Epsilon(1e-7)),)),
    _preset("preset_a", AlphaBeta(1.0, 0.0, "whole"), flat=False),
    _preset("preset_a_flat", AlphaBeta(1.0, 0.0, "whole"), flat=True),
    _preset("preset_b", AlphaBeta(2.0, 1.0, "whole"), flat=False),
    _preset("preset_b_flat", AlphaBeta(2.0, 1.0, "whole"), flat=True),
)}
ALIASES = {"flat": "preset_a_flat"}


def composite(rules):
    """A Composite from a preset's name, one rule for every layer with weights, or a list of (condition, rule)."""
    if isinstance(rules, Composite):
        return rules
    if isinstance(rules, str):
        name = ALIASES.get(rules, rules)
        if name not in PRESETS:
            raise ValueError(f"there is no preset {rules!r}; there are {', '.join([*PRESETS, *ALIASES])}")
        return PRESETS[name]
    if isinstance(rules, Rule):
        return Composite(repr(rules), ((everywhere, rules),))
    if isinstance(rules, (list, tuple)):
        return Composite("custom", tuple(tuple(p) if isinstance(p, list) else p for p in rules))
    raise TypeError(f"rules must be a preset's name, a rule, or a list of (condition, rule), got {rules!r}")
