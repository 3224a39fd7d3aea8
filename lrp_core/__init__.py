"""Layer-wise relevance propagation without a framework: load a network, explain a decision, check the book.

    import lrp_core
    network = lrp_core.load("net.npz")
    e = lrp_core.explain(network, x, rules="epsilon", target="max")
    e.relevance, e.logits, e.target
    print(e.ledger)
"""
from .backward import explain
from .canonize import without_softmax
from .explanation import Explanation
from .ledger import ConservationError, Entry, Ledger
from .network import Network, Node, Trace
from .presets import ALIASES, PRESETS, Composite, first_layer
from .rules import AlphaBeta, Epsilon, Flat, Pass, Rule, WSquare, Zero, ZPlus
from .weights import ModelFileError, load

__all__ = ["ALIASES", "PRESETS", "AlphaBeta", "Composite", "ConservationError", "Entry", "Epsilon", "Explanation", "Flat",
           "Ledger", "ModelFileError", "Network", "Node", "Pass", "Rule", "Trace", "WSquare", "ZPlus", "Zero", "explain",
           "first_layer", "load", "without_softmax"]
