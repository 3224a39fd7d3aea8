"""ONNX's normalisations by what is measured on the sample, and softmax."""
import math

import numpy as np

from .. import layers as L
from .builder import Tensor
from .frame import each_map
from .weighted import weights

Constant = np.ndarray


def layer_norm(build, name, x: Tensor, scale: Constant, shift: Constant = None, *, axis=-1, epsilon=1e-5,
               stash_type=1):
    return _over_last(build, name, x, L.LayerNorm, scale, shift, axis, epsilon)


def rms_norm(build, name, x: Tensor, scale: Constant, *, axis=-1, epsilon=1e-5, stash_type=1):
    return _over_last(build, name, x, L.RMSNorm, scale, None, axis, epsilon)


def _over_last(build, name, x, layer, scale, shift, axis, epsilon):
    """A normalisation over the axes from `axis` on, which become one where they are several."""
    axis, shape = x.axis(axis), x.shape
    count = math.prod(shape[axis:])
    scale = np.broadcast_to(scale, shape[axis:]).reshape(-1)
    shift = np.zeros(count, np.float32) if shift is None else np.broadcast_to(shift, shape[axis:]).reshape(-1)
    y = build.reshaped(f"{name}/row", x, (*shape[:axis], count))
    y = build.with_last(name, y, axis)
    y = build.add(name, layer(weights(scale), weights(shift), float(epsilon)), y)
    return build.reshaped(f"{name}/axes", y, shape)


def instance_norm(build, name, x: Tensor, scale: Constant, shift: Constant, *, epsilon=1e-5):
    return _grouped(build, name, x, scale, shift, len(scale), epsilon)


def group_norm(build, name, x: Tensor, scale: Constant, shift: Constant, *, num_groups: int, epsilon=1e-5,
               stash_type=1):
    channels = x.shape[1] if x.rank > 1 else 0
    if len(scale) == num_groups != channels and channels % num_groups == 0:  # one a group, before opset 21
        scale, shift = (np.repeat(array, channels // num_groups) for array in (scale, shift))
    return _grouped(build, name, x, scale, shift, num_groups, epsilon)


@each_map
def _grouped(build, name, x, scale, shift, groups, epsilon):
    if x.rank < 3 or x.shape[0] != 1 or scale.shape != x.shape[1:2] or shift.shape != scale.shape:
        raise ValueError(f"takes one map [batch, channels, ...] at a time and a scale and shift for each "
                         f"channel, found {x.shape}, {scale.shape} and {shift.shape}")
    layer = L.GroupNorm(weights(scale), weights(shift), float(epsilon), groups)
    return build.add(name, layer, build.with_last(name, x, 1))


def lrn(build, name, x: Tensor, *, alpha=1e-4, beta=0.75, bias=1.0, size: int):
    layer = L.LocalResponseNorm(size, float(alpha), float(beta), float(bias))
    return build.add(name, layer, build.with_last(name, x, 1))


def _softmax(layer):
    def convert(build, name, x: Tensor, *, axis=None):
        """Over one axis; before opset 13 over all from `axis` on."""
        older = build.opset < 13
        axis = x.axis((1 if older else -1) if axis is None else axis)
        if older and x.shape[axis] != math.prod(x.shape[axis:]):
            y = build.reshaped(f"{name}/row", x, (*x.shape[:axis], math.prod(x.shape[axis:])))
            y = build.add(name, layer(), build.with_last(name, y, axis))
            return build.reshaped(f"{name}/axes", y, x.shape)
        x = x if axis in x.axes else build.in_order(name, x, axis)
        place = x.place(axis)
        return build.add(name, layer(-1 if place == len(x.axes) else place), x)
    return convert


OPERATORS = {"LayerNormalization": layer_norm, "RMSNormalization": rms_norm,
             "SimplifiedLayerNormalization": rms_norm, "InstanceNormalization": instance_norm,
             "GroupNormalization": group_norm, "LRN": lrn, "Softmax": _softmax(L.Softmax),
             "LogSoftmax": _softmax(L.LogSoftmax)}
