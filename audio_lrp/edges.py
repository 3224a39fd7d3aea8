"""How much of a network looks at the edges of its input: why a sound that begins at once gets less relevance.
"""
import numpy as np

from features.steps import Arrange
from lrp_core import layers as L
from lrp_core.network import INPUT

WINDOWS = (L.Conv2D, L.DepthwiseConv2D, L.MaxPool2D, L.AveragePool2D)
WORTH_SAYING = 0.05  # of the whole length
POINTWISE = (L.Activation, L.Dropout, L.BatchNorm)


def columns_seen(network, front_end):
    """For each frame of the input, how many columns of the network's last map see it: [frames] int.

    Followed from the input through convolutions and pools, up to the first layer that takes all of the map.
    None where the network does not begin with such layers, or does not take a map.
    """
    axis = time_axis(front_end)
    if axis is None or len(network.input_shape) != 3:
        return None
    last, length = INPUT, network.input_shape[axis]
    first, step, reach = 0, 1, 1  # where the map's first column begins, from one to the next, how wide
    for node in network.nodes:
        if node.inputs != (last,):
            break
        if isinstance(node.layer, WINDOWS):
            window = node.layer.window
            before = window.pads(*network.shapes[last][:2])[axis][0]
            first -= before * step
            reach += (window.size[axis] - 1) * window.dilation[axis] * step
            step *= window.strides[axis]
        elif not isinstance(node.layer, POINTWISE):
            break
        last = node.name
    if last == INPUT:
        return None
    begins = first + step * np.arange(network.shapes[last][axis])
    frames = np.arange(length)[:, None]
    return ((frames >= begins) & (frames < begins + reach)).sum(axis=1)


def time_axis(front_end):
    """Which axis of the network's input is time; None where it is no map."""
    last = front_end.steps[-1] if front_end.steps else None
    letters = last.order.replace("-", "") if isinstance(last, Arrange) else "tf"
    return letters.index("t") if "f" in letters and "t" in letters[:2] else None


def edge_sentence(network, front_end, seconds):
    """Why the edges get less relevance, in a sentence; none where half of the columns that see the middle see
    them too.
    """
    seen = columns_seen(network, front_end)
    if seen is None or seen.max() < 2:
        return []
    few = 2 * seen < seen.max()
    widths = [int(np.argmin(side)) * seconds / len(seen) for side in (few, few[::-1])]
    named = [f"the {which} {width:.2f} s" for which, width in zip(("first", "last"), widths)
             if width >= WORTH_SAYING * seconds]
    return [f"Less than half as much of the network sees {' and '.join(named)} as the middle: less relevance "
            "falls there."] if named else []
