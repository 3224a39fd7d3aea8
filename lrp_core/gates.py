"""Which operand of a product is the gate, and so which rule a product of tensors gets.

    product of a softmax with a tensor (attention)    attention "cp": the softmax is held fixed
                                                      attention "attnlrp": half each
    a quotient a / b                                  b is held fixed, as a deviation is
    one operand bounded by a sigmoid, hard sigmoid    gates "take-all": it is held fixed
      or softmax                                      gates "half": half each
    neither, or both, or one tensor twice             half each
"""
from . import layers as L
from .product_rules import Gate, Half, SoftmaxTaylor

ATTENTION, GATES = ("cp", "attnlrp"), ("take-all", "half")
BOUNDED = (L.Sigmoid, L.HardSigmoid, L.Softmax)
# What may stand between: numbers only change places, or are scaled or masked one by one.
BETWEEN = (L.Move, L.Pad, L.Affine, L.Scale, L.BatchNorm)


def rule_of_product(network, node, attention, gates):
    """The rule for a product, or for a softmax inside a network; None for other layers."""
    if isinstance(node.layer, L.Softmax):
        return SoftmaxTaylor()
    if not isinstance(node.layer, L.Product):
        return None
    if isinstance(node.layer, L.Divide):
        return Gate(1)
    kinds = (L.Softmax,) if isinstance(node.layer, L.MatMul) else BOUNDED
    bounded = [isinstance(source(network, name), kinds) for name in node.inputs]
    choice = attention == "cp" if isinstance(node.layer, L.MatMul) else gates == "take-all"
    return Gate(bounded.index(True)) if choice and sum(bounded) == 1 else Half()


def source(network, name):
    """The layer whose numbers a node's output holds, past what only moves or scales them; None: the input."""
    while name in network.positions:
        node = network[name]
        if not isinstance(node.layer, BETWEEN) or len(node.inputs) != 1:
            return node.layer
        name = node.inputs[0]
    return None
