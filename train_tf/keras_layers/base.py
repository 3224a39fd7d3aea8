"""What all conversions need: the error they raise, settings to insist on, arrays, axes."""
import keras
import numpy as np

from lrp_core import layers as L


class ExportError(ValueError):
    """A Keras model that cannot be exported; the message names the layers and what to do."""


class Refusal(ExportError):
    """Why one layer cannot be converted, and what to do; who catches it knows the layer's name."""


def require(layer, **settings):
    """Refuse a layer whose setting is not the one that we support."""
    for name, wanted in settings.items():
        found = getattr(layer, name, wanted)
        if found != wanted and not (isinstance(found, (tuple, list)) and set(found) == {wanted}):
            raise Refusal(f"{name}={found!r} is not supported, only {wanted!r}")


def as_array(variable, dtype=np.float32):
    """A Keras variable's value."""
    return keras.ops.convert_to_numpy(variable).astype(dtype)


def weights(layer, kernel="kernel"):
    """{"kernel": ..., "bias": ...} of a Keras layer."""
    arrays = {"kernel": as_array(getattr(layer, kernel))}
    if layer.use_bias:
        arrays["bias"] = as_array(layer.bias)
    return arrays


def parameter(layer, name, used, size, otherwise):
    """A learned vector of a layer in one row, or `size` times a number where the layer has none."""
    return as_array(getattr(layer, name)).ravel() if used else np.full(size, otherwise, np.float32)


def made_shape(layer, shape):
    """The shape that Keras makes of `shape`, both without the batch axis."""
    return tuple(layer.compute_output_shape((None, *shape))[1:])


def axis_of(axis, rank):
    """An axis as Keras counts it, from 0 or from the end, as one of 1..rank; refuses the batch's."""
    found = axis if axis >= 0 else rank + 1 + axis
    if not 1 <= found <= rank:
        raise Refusal(f"axis={axis} is not supported: the batch axis stays as it is, only axes 1..{rank}")
    return found


def axes_of(axis, rank):
    """One or several axes, sorted; None is all of them, the batch's among them, which is refused."""
    if axis is None:
        raise Refusal("axis=None is not supported: it takes the batch axis along; name the axes")
    axes = [axis] if isinstance(axis, int) else axis
    return tuple(sorted({axis_of(int(a), rank) for a in axes}))


def on_last(shape, axes, inner):
    """(suffix, layer) pairs that move `axes` to one last axis, run `inner` over it and move them back."""
    rank = len(shape)
    order = (*(a for a in range(1, rank + 1) if a not in axes), *axes)
    moved = tuple(shape[a - 1] for a in order)
    flat = (*moved[:rank - len(axes)], int(np.prod(moved[rank - len(axes):])))
    made = [("", inner)]
    if flat != moved:
        made = [("_flat", L.Reshape(flat)), *made, ("_shape", L.Reshape(moved))]
    if order != tuple(range(1, rank + 1)):
        back = tuple(int(a) + 1 for a in np.argsort(order))
        made = [("_order", L.Permute(order)), *made, ("_back", L.Permute(back))]
    return made
