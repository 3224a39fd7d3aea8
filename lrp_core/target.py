"""What is explained: where relevance starts, from what a caller asks for."""
import dataclasses

import numpy as np

from .text import listing, quote

WINNER, NO_CLASS = -1, -2


@dataclasses.dataclass(frozen=True)
class Contrast:
    """Why this class rather than that one: R = logit of `favoured` - logit of `other` (names or indices)."""
    favoured: str | int
    other: str | int


def resolve(target, count, network):
    """(class numbers [count], the classes they are contrasted with [count]): WINNER for "max", NO_CLASS for
    none.

    target: "max", a class name, an index, a Contrast, or one of these for each sample.
    """
    if isinstance(target, np.ndarray) and not target.ndim:
        target = target.item()
    if isinstance(target, (str, Contrast)) or np.ndim(target) == 0:
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
    names, classes = network.class_names, network.shapes[network.nodes[-1].name][0]
    if isinstance(target, str):
        if target == "max":
            return WINNER
        if names and target in names:
            return names.index(target)
        known = (f"the classes are {listing(names)}" if names
                 else f"the network names none: give an index 0..{classes - 1}")
        raise ValueError(f"there is no class {quote(target)}; {known}")
    if isinstance(target, (bool, np.bool_)) or not isinstance(target, (int, np.integer)):
        raise TypeError(f"target must be 'max', a class name, an index or a Contrast, got {quote(target)}")
    if not 0 <= target < classes:
        raise ValueError(f"the target index must lie in 0..{classes - 1}, got {target}")
    return int(target)


def one_hot(numbers, classes):
    """[n, classes]: 1 at each sample's number, no 1 for NO_CLASS."""
    return (np.arange(classes) == numbers[:, None]).astype(np.float64)
