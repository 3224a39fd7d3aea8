"""Operators of older operator sets as today's: what was an attribute is an input now."""
import numpy as np

from .reading import Operation

# operator: (the operator set that made inputs of them, {attribute: number of the input})
MOVED = {"Squeeze": (13, {"axes": 1}), "Unsqueeze": (13, {"axes": 1}), "Split": (13, {"split": 1}),
         "Slice": (10, {"starts": 1, "ends": 2, "axes": 3}), "Pad": (11, {"pads": 1, "value": 2}),
         "Clip": (11, {"min": 1, "max": 2}), "Dropout": (12, {"ratio": 1}),
         "DFT": (20, {"axis": 2}), "Upsample": (9, {"scales": 1})}
ASYMMETRIC = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def modern(operation, given, opset):
    """(operation, given) with the attributes of older operator sets among the inputs."""
    kind, attributes, given = operation.kind, dict(operation.attributes), list(given)
    since, moved = MOVED.get(kind, (0, {}))
    if opset < since:
        for name, number in moved.items():
            if name in attributes:
                given += [None] * (number + 1 - len(given))
                value = attributes.pop(name)
                given[number] = np.asarray(value, np.float32 if isinstance(value, float) else None)
    if kind == "Upsample" or (kind == "Resize" and opset < 11):
        kind, attributes = "Resize", {**attributes, **ASYMMETRIC}
        given = [given[0], None, *given[1:]]
    changed = Operation(operation.name, kind, operation.inputs, operation.outputs, attributes,
                        operation.proto, operation.module)
    return changed, given
