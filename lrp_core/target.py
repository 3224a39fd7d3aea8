"""What is explained: class numbers from what a caller asks for."""
import numpy as np

WINNER = -1


def resolve(target, count, network):
    """Class numbers [count] from "max", a class name, an index, or one of these for each sample; WINNER for "max"."""
    if isinstance(target, (str, int, np.integer)) or np.ndim(target) == 0:
        targets = [target] * count
    else:
        targets = list(target)
        if len(targets) != count:
            raise ValueError(f"target must be one for all or one for each of the {count} samples, got {len(targets)}")
    return np.array([_class_number(one, network) for one in targets])


def _class_number(target, network):
    names, classes = network.class_names, network.shapes[network.nodes[-1].name][0]
    if isinstance(target, str):
        if target == "max":
            return WINNER
        if names and target in names:
            return names.index(target)
        known = f"the classes are {', '.join(names)}" if names else f"the network names none: give an index 0..{classes - 1}"
        raise ValueError(f"there is no class {target!r}; {known}")
    if isinstance(target, (bool, np.bool_)) or not isinstance(target, (int, np.integer)):
        raise TypeError(f"target must be 'max', a class name or an index, got {target!r}")
    if not 0 <= target < classes:
        raise ValueError(f"the target index must lie in 0..{classes - 1}, got {target}")
    return int(target)
