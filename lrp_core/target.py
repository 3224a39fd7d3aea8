"""What is explained: where relevance starts, from what a caller asks for."""
import dataclasses

import numpy as np

from .checks import is_whole
from .text import listing, quote

WINNER, NO_CLASS, SUM = -1, -2, -3


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Why this class rather than that one: R = logit of `favoured` - logit of `other` (names or indices)."""
    favoured: str | int
    other: str | int


def resolve(target, count, network):
    """(class numbers [count], the classes they are contrasted with [count]): WINNER for "max", NO_CLASS for
    none.

    target: "max", a class name, an index, an index tuple of an output of several axes, a Contrast, or one of
    these for each sample; or "sum", for all scores together.
    """
    if isinstance(target, np.ndarray) and not target.ndim:
        target = target.item()
    if isinstance(target, str) and target == "sum" and "sum" not in (network.class_names or ()):
        return np.full(count, SUM), np.full(count, NO_CLASS)
    place = isinstance(target, tuple) and len(target) == len(network.output_shape) > 1
    if isinstance(target, (str, Contrast)) or place or not hasattr(target, "__len__"):
        targets = [target] * count
    else:
        targets = list(target)
        if len(targets) != count:
            raise ValueError(f"target must be one for all or one for each of the {count} samples, got "
                             f"{len(targets)}")
    pairs = [(one.favoured, one.other) if isinstance(one, Contrast) else (one, None) for one in targets]
    return (np.array([class_number(one, network) for one, _ in pairs]),
            np.array([NO_CLASS if other is None else class_number(other, network) for _, other in pairs]))


def class_number(target, network):
    """The number of a class given by name or index, WINNER for "max"; raises ValueError or TypeError."""
    names, classes = network.class_names, network.scores
    if isinstance(target, str):
        if target == "max":
            return WINNER
        if names and target in names:
            return names.index(target)
        known = (f"the classes are {listing(names)}" if names
                 else f"the network names none: give an index 0..{classes - 1}")
        raise ValueError(f"there is no class {quote(target)}; {known}")
    if isinstance(target, tuple):
        shape = network.output_shape
        if len(target) != len(shape) or not all(is_whole(n) and 0 <= n < size
                                                for n, size in zip(target, shape)):
            raise ValueError(f"the output has the shape {shape}, there is no {quote(target)} in it")
        return int(np.ravel_multi_index(target, shape))
    if isinstance(target, (bool, np.bool_)) or not isinstance(target, (int, np.integer)):
        raise TypeError(f"target must be 'max', a class name, an index or a Contrast, got {quote(target)}")
    if not 0 <= target < classes:
        raise ValueError(f"the target index must lie in 0..{classes - 1}, got {target}")
    return int(target)


def told(number, names, shape):
    """A score in words: its class, its number, or its place in an output of several axes; or all of them."""
    if number == SUM:
        return "the sum of all scores"
    if names is not None:
        return names[number]
    if len(shape) == 1:
        return str(number)
    return f"({', '.join(str(int(n)) for n in np.unravel_index(number, shape))})"


def one_hot(numbers, classes):
    """[n, classes]: 1 at each sample's number, no 1 for NO_CLASS."""
    return (np.arange(classes) == numbers[:, None]).astype(np.float64)
