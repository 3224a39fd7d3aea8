"""How many bytes an explanation takes, worked out before it begins, and how many the machine has free.

The outputs of all nodes are kept until relevance has come back through them. On top come, at one node at a
time, the arrays that crossing it needs, and the relevance that waits at other nodes meanwhile. The factors
below are measured: at most what NumPy's arrays of a layer take, rounded up (`tests/test_memory.py`).
"""
import dataclasses
import math

import numpy as np

from . import layers as L
from .chunks import within
from .sizes import extents, padded
from .text import quote

SMALL = 1 << 26  # bytes that every machine has: what takes no more is not worth asking the system
ROWS = 8         # the unrolled windows of a convolution are rounded up to so many rows (`layers.maps.conv2d`)

VIEWS = (L.Dropout, L.Flatten, L.Reshape, L.Cropping2D)  # their outputs are views of their inputs


class TooLarge(ValueError):
    """Something takes more memory than the machine has free; the message says what, how much, and what to do.
    """


@dataclasses.dataclass(frozen=True)
class Need:
    """How many numbers one sample takes.

    outputs: those of all nodes. forward, backward: the most at once in each direction, outputs included.
    crossing: the most that crossing one node forward takes besides. node, largest: the name of the node with
    the largest array, and the numbers in it.
    """
    outputs: int
    forward: int
    backward: int
    crossing: int
    node: str
    largest: int


def need(network, split=None):
    """The Need of a network.

    split: the names of the linear nodes whose rule looks at parts of weights or inputs, which takes more than
    LRP-0; all of them by default.
    """
    last = network.nodes[-1].name
    outputs = largest = math.prod(network.input_shape)
    most_forward = most_backward = 0
    waiting = {last: math.prod(network.shapes[last])}  # relevance, by node
    live, name = waiting[last], "input"
    for node in reversed(network.nodes):
        shapes, made = [network.shapes[one] for one in node.inputs], network.shapes[node.name]
        stays, given = kept(node.layer, shapes, made), sum(map(math.prod, shapes))
        forward = crossing_forward(node.layer, shapes, made)
        back = given + crossing_back(node.layer, shapes, made, split is None or node.name in split)
        outputs, most_forward = outputs + stays, max(most_forward, forward)
        if node.name in waiting:
            most_backward = max(most_backward, live + back)
            live -= waiting.pop(node.name)
            for one, shape in zip(node.inputs, shapes):
                live += 0 if one in waiting else math.prod(shape)
                waiting[one] = math.prod(shape)
        if (array := largest_array(node.layer, shapes, made)) > largest:
            largest, name = array, node.name
    return Need(int(outputs), int(outputs + most_forward), int(outputs + most_backward), int(most_forward),
                name,
                largest)


def largest_array(layer, shapes, made):
    """Numbers in the largest array of a layer: its output, its input with padding, or its windows side by
    side.
    """
    windows = isinstance(layer, (L.Conv2D, L.Conv1D)) and unrolled(layer,
                                                                   math.prod(extents(layer, shapes, made)[1]))
    return max(math.prod(made), padded(layer, shapes, made), int(windows))


def kept(layer, shapes, made):
    """Numbers of a node's output that stay until relevance has come back through it, a pool's winners
    included.
    """
    if isinstance(layer, VIEWS):
        return 0
    if isinstance(layer, L.Conv2DTranspose):  # may be a view of a map with padding
        return padded(layer, shapes, made)
    # a winner takes a byte or two, eight in a pool over the whole map
    if isinstance(layer, L.WinnerTakesAll):
        return math.prod(made) * (2 if isinstance(layer, (L.GlobalMaxPool2D, L.Max)) else 1.25)
    if isinstance(layer, L.Recurrent):
        return recurrent_states(layer, made)
    return math.prod(made)


def recurrent_states(layer, made):
    """Numbers that a recurrent layer keeps of all its steps: states and gates."""
    return (3 + 2 * layer.gates) * math.prod(made)


def crossing_forward(layer, shapes, made):
    """Numbers in the arrays that a layer's forward pass takes besides its inputs and output."""
    x, y, around = sum(map(math.prod, shapes)), math.prod(made), padded(layer, shapes, made)
    # nothing is copied without padding
    around = 1.2 * around * (around > x or isinstance(layer, L.Conv2DTranspose))
    if isinstance(layer, (L.Conv2D, L.Conv1D)):
        return around + unrolled(layer, math.prod(extents(layer, shapes, made)[1])) + 1.2 * y
    if isinstance(layer, L.Conv2DTranspose):
        return around + 1.2 * shares(layer, shapes, made)
    if isinstance(layer, L.GlobalMaxPool2D):
        return 1.1 * x
    if isinstance(layer, L.UpSampling2D):
        return 1.1 * y / layer.size[1]
    if isinstance(layer, (L.ReLU, L.Move)):
        return 0
    if isinstance(layer, L.Recurrent):
        return 2 * recurrent_states(layer, made)
    several = isinstance(layer, (L.Normalization, L.LocalResponseNorm, L.Mish, L.Selu, L.GELU, L.Softmax,
                                 L.AveragePool2D, L.AveragePool1D))
    return around + (2.5 if several else 1.2) * y


def crossing_back(layer, shapes, made, split=True):
    """Numbers in the arrays that relevance takes on its way through a layer, besides itself on both sides."""
    x, y, around = sum(map(math.prod, shapes)), math.prod(made), 1.2 * padded(layer, shapes, made)
    if isinstance(layer, L.Linear):
        adjoint = around + shares(layer, shapes, made)
        if isinstance(layer, L.Conv2DTranspose):
            adjoint = around + unrolled(layer, math.prod(shapes[0][:-1])) + 1.2 * x
        if split:
            return max(3 * x + 6 * y + crossing_forward(layer, shapes, made), 4 * x + 2 * y + adjoint)
        return max(4 * y, 2 * x + y + adjoint)
    if isinstance(layer, L.Recurrent):
        return recurrent_states(layer, made) + 3 * x
    if isinstance(layer, L.MatMul):
        return 3 * x + 2 * y
    if isinstance(layer, (L.Normalization, L.LocalResponseNorm, L.GELU, L.Merge, L.Softmax, L.LogSoftmax)):
        return 4.5 * y
    return max(x, around + y * (around > 0), 2.5 * y if isinstance(layer, L.Activation) else 0)


def unrolled(layer, places):
    """Numbers in all windows of a convolution, one below the other."""
    return -(-places // ROWS) * ROWS * math.prod(layer.kernel.shape[:-1])


def shares(layer, shapes, made):
    """Numbers that the adjoint of a linear layer makes of one position in the window, for all places at once.
    """
    if not isinstance(layer, (L.Conv2D, L.Conv1D, L.Conv2DTranspose)):
        return math.prod(made)
    return math.prod(extents(layer, shapes, made)[1]) * layer.kernel.shape[-2]


def sample_bytes(network, dtype, split=None, *, layers=False):
    """Bytes that one sample takes at most while it is explained; `layers`: the relevance at every node is
    kept.
    """
    found = need(network, split)
    backward = np.dtype(dtype).itemsize * (found.backward + layers * found.outputs)
    # The forward pass is in double precision, and is converted as a whole.
    return max(8 * found.forward, backward, 0 if dtype == "float64" else 12 * found.outputs)


# ---- what the machine has

def free_bytes():
    """What the machine has free, in bytes."""
    import psutil  # asked for what is large only; most explanations do without
    return psutil.virtual_memory().available


def check(needed, what, advice):
    """Raise TooLarge where `what` takes more bytes than the machine has free."""
    if needed > SMALL and needed > (free := free_bytes()):
        raise TooLarge(f"{what} takes about {written(needed)}, {written(free)} are free: {advice}")


def check_results(network, explanations, end, layers):
    """Raise TooLarge where the results of explanations, relevance at node `end` or at all nodes, exceed what
    is free.
    """
    numbers = math.prod(network.shapes[end]) + layers * sum(map(math.prod, network.shapes.values()))
    # Those of chunks, and one array of all of them.
    check(8 * explanations * numbers, f"the relevance of {explanations:,} explanations",
          "explain fewer samples or targets at a time" + ", or without layers=True" * layers)


def check_forward(network, x):
    """Raise TooLarge, which names the largest node, where a forward pass of a batch x takes more than is
    free.
    """
    needed = len(x) * x.dtype.itemsize * network.need.forward
    if needed > SMALL and needed > (free := free_bytes()):
        what = too_large(network, f"a forward pass of {len(x)} samples", needed, free)
        raise TooLarge(f"{what}: use fewer samples at a time, or a smaller network")


def bound(network, sample, at_once, asked=None, *, more=", or set the bound yourself with memory=..."):
    """The bound in bytes to keep to for samples of `sample` bytes, of which up to `at_once` are at work
    together.

    That is `asked`, where the caller asks for one; None, where all of them fit into what is free; else what
    is free. Raises TooLarge, which names the largest node, where not even one sample fits; `more` is what
    callers can do then.
    """
    if asked is not None:
        within(asked, sample, 1)
        return asked
    if at_once * sample <= SMALL:
        return None
    free = free_bytes()
    if sample > free:
        what = too_large(network, "one sample of this network", sample, free)
        raise TooLarge(f"{what}: use a smaller network or input{more}")
    return None if at_once * sample <= free else free


def too_large(network, what, needed, free):
    """What something takes and what there is, with the node that has the largest array."""
    found = network.need
    kind = network[found.node].layer.type if found.node in network.positions else "the input"
    return (f"{what} takes about {written(needed)}, {written(free)} are free; node {quote(found.node)} "
            f"({kind}, "
            f"output {network.shapes[found.node]}) alone has an array of {found.largest:,} numbers")


def written(size):
    """Bytes for people."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
