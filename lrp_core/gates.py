"""Which operand of a product is the gate, and so which rule a product of tensors gets.

    a quotient a / b, a product with 1 / b            b is held fixed, as a deviation is
    a product x · f(x), f a function of one number    f(x) is held fixed: one in, one out
    matrix product of a softmax with a tensor         attention "cp": the softmax is held fixed
                                                      attention "attnlrp": half each
    one operand bounded by a sigmoid, hard sigmoid    gates "take-all": it is held fixed
      or softmax                                      gates "half": half each
    one operand clipped between two bounds, the       the same
      other unbounded, as a hard sigmoid spelled out
    neither, or both, or one tensor twice             half each
"""
from . import layers as L
from .product_rules import Gate, Half, SoftmaxTaylor

ATTENTION, GATES = ("cp", "attnlrp"), ("take-all", "half")
BOUNDED = (L.Sigmoid, L.HardSigmoid, L.Softmax, L.Step)
# What may stand between: numbers only change places, or are scaled, masked or clipped one by one.
BETWEEN = (L.Move, L.Pad, L.Affine, L.Scale, L.BatchNorm)


def rule_of_product(network, node, attention, gates):
    """The rule for a product, or for a softmax inside a network; None for other layers."""
    if isinstance(node.layer, L.Softmax):
        return SoftmaxTaylor()
    if not isinstance(node.layer, L.Product):
        return None
    if isinstance(node.layer, L.Divide):
        return Gate(1)
    if isinstance(node.layer, L.MatMul):
        bounded = [isinstance(source(network, name), L.Softmax) for name in node.inputs]
        return Gate(bounded.index(True)) if attention == "cp" and sum(bounded) == 1 else Half()
    for fixed in (
        [is_inverse(source(network, name)) for name in node.inputs],
        [is_function_of(network, name, other) for name, other in zip(node.inputs, node.inputs[::-1])],
    ):
        if sum(fixed) == 1:
            return Gate(fixed.index(True))
    if gates == "take-all":
        sources = [source(network, name) for name in node.inputs]
        bounded = [isinstance(layer, BOUNDED) for layer in sources]
        bounded = bounded if any(bounded) else list(map(is_clipped, sources))
        if sum(bounded) == 1:
            return Gate(bounded.index(True))
    return Half()


def is_inverse(layer):
    """Does a layer compute one over something, as of a deviation?"""
    return isinstance(layer, L.Reciprocal) or (isinstance(layer, L.Power) and layer.exponent < 0)


def is_clipped(layer):
    """Does a layer cut its output off at two bounds?"""
    return isinstance(layer, L.ReLU6) or (isinstance(layer, L.Clip) and None not in (layer.low, layer.high))


def source(network, name):
    """The layer whose numbers a node's output holds, past what only moves or scales them; None: the input."""
    while name in network.positions:
        node = network[name]
        if not isinstance(node.layer, BETWEEN) or len(node.inputs) != 1:
            return node.layer
        name = node.inputs[0]
    return None


def is_function_of(network, name, other):
    """Is a node's output made of another's, number by number?"""
    if name == other:
        return False
    while name != other and name in network.positions:
        node = network[name]
        if not isinstance(node.layer, (L.Activation, L.Affine, L.BatchNorm)) or len(node.inputs) != 1:
            return False
        name = node.inputs[0]
    return name == other
