"""How large a layer's arrays are, by its shapes alone; and the bounds on networks that come from files."""
import math

from . import layers as L
from .limits import MAX_NODES, MAX_NUMBERS, MAX_PRODUCTS, MAX_SAMPLE, MAX_TAPS, MAX_UNROLLED
from .window import Window


def extents(layer, shapes, made):
    """((height, width) of the map that a layer's window moves over, (rows, columns) of windows); one row in
    1-D.

    shapes: of the inputs. made: of the output. A transposed convolution's window moves over its output.
    """
    over, places = (made, shapes[0]) if isinstance(layer, L.Conv2DTranspose) else (shapes[0], made)
    return (1, *over)[-3:-1], (1, *places)[-3:-1]


def has_window(layer):
    """Does a layer move a window over a map? A layer of one's own may call anything else its window."""
    return isinstance(getattr(layer, "window", None), Window)


def padded(layer, shapes, made):
    """Numbers in the map that a window moves over, with the padding around it; 0 for layers without a window.
    """
    if not has_window(layer):
        return 0
    over, _ = extents(layer, shapes, made)
    channels = (made if isinstance(layer, L.Conv2DTranspose) else shapes[0])[-1]
    return channels * math.prod(extent + sum(pair) for extent, pair in zip(over, layer.window.pads(*over)))


def taps(layer):
    """Positions in a layer's window, for each of its groups."""
    return math.prod(layer.window.size) * getattr(layer, "groups", 1) if has_window(layer) else 0


def unrolled(layer, shapes, made):
    """Numbers that a layer's products sum up, each as often as it is taken; for a pool, positions in all its
    windows.
    """
    places = math.prod(extents(layer, shapes, made)[1] if has_window(layer) else made[:-1])
    if isinstance(layer, L.Weighted):
        return places * math.prod(layer.kernel.shape[:-1])
    return places * math.prod(layer.window.size if has_window(layer) else ())


def products(layer, shapes, made):
    """Multiplications in a layer's forward pass."""
    if isinstance(layer, L.MatMul):
        return math.prod(made) * shapes[0][-1]
    if isinstance(layer, L.Projection):
        return math.prod(made) * shapes[0][-1]
    if isinstance(layer, L.Recurrent):
        return shapes[0][0] * (layer.kernel.size + layer.recurrent.size)
    return unrolled(layer, shapes, made) * (layer.kernel.shape[-1] if isinstance(layer, L.Weighted)
                                            else made[-1])


class Budget:
    """What the layers of a network from a file may take, counted layer by layer before anything is computed.
    """

    def __init__(self):
        self._nodes, self._numbers, self._products, self._taps = 0, 0, 0, 0

    def add(self, layer, shapes, made):
        """Count one more layer, which makes `made` of `shapes`; raises ValueError where that is too much."""
        if not made or min(made) < 1 or math.prod(made) > MAX_SAMPLE:
            raise ValueError(f"its output has the shape {made}: empty or too large (at most {MAX_SAMPLE} "
                             "numbers a "
                             "sample)")
        around, summed = padded(layer, shapes, made), unrolled(layer, shapes, made)
        self._nodes += 1
        self._numbers += math.prod(made)
        self._products += products(layer, shapes, made)
        self._taps += taps(layer)
        for found, most, what in ((around, MAX_SAMPLE, "numbers in its input with the padding around it"),
                                  (summed, MAX_UNROLLED, "numbers in its windows"),
                                  (self._nodes, MAX_NODES, "layers up to here"),
                                  (self._numbers, MAX_NUMBERS, "numbers in the layers up to here"),
                                  (self._products, MAX_PRODUCTS, "multiplications up to here"),
                                  (self._taps, MAX_TAPS, "positions in the windows up to here")):
            if found > most:
                raise ValueError(f"too large: {found} {what} for a sample (at most {most})")
