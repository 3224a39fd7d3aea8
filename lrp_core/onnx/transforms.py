"""ONNX's fixed linear maps: Fourier transforms, resizing, cumulative sums; each a matrix along one axis."""
import math

import numpy as np

from .. import layers as L
from ..limits import MAX_SAMPLE
from ..text import quote
from .builder import Tensor
from .weighted import weights

Constant = np.ndarray

# For whole factors these take each pixel so many times; other pairs shift the picture.
REPEATING = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"),
             ("half_pixel", "round_prefer_ceil"),
             ("pytorch_half_pixel", "round_prefer_floor"), ("pytorch_half_pixel", "round_prefer_ceil")}


def along(build, name, x, axis, matrix):
    """Σ_k x_k M_km along one axis."""
    return build.add(name, L.Projection(weights(matrix)), build.with_last(name, x, axis))


def resize(build, name, x: Tensor, region: Constant = None, scales: Constant = None, sizes: Constant = None,
           *, antialias=0, axes=(), coordinate_transformation_mode="half_pixel", cubic_coeff_a=-0.75,
           exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest",
           nearest_mode="round_prefer_floor"):
    """Nearest neighbours by whole factors repeat; whatever else is linear is a matrix for each axis."""
    axes = [x.axis(axis) for axis in axes] or list(range(x.rank))
    given = sizes if scales is None or not scales.size else scales
    if given is None or given.size != len(axes) or keep_aspect_ratio_policy != "stretch":
        raise ValueError("it needs constant scales or sizes for every axis")
    if coordinate_transformation_mode == "tf_crop_and_resize" or antialias or exclude_outside:
        raise ValueError(f"coordinate_transformation_mode={quote(coordinate_transformation_mode)}, "
                         "antialias and exclude_outside are not supported")
    if given is sizes:
        made = {axis: int(n) for axis, n in zip(axes, given.reshape(-1))}
        scale = {axis: made[axis] / x.shape[axis] for axis in axes}
    else:
        scale = {axis: float(s) for axis, s in zip(axes, given.reshape(-1))}
        if not all(0 < s < MAX_SAMPLE for s in scale.values()):
            raise ValueError(f"the scales must be above 0, found {given.tolist()}")
        # in single precision, as runtimes do it
        made = {axis: math.floor(np.float32(x.shape[axis]) * np.float32(s)) for axis, s in scale.items()}
    changed = [axis for axis in axes if scale[axis] != 1]
    if min(made.values()) < 1 or math.prod(made.values()) > MAX_SAMPLE:
        raise ValueError(f"it makes {quote(made)} of {x.shape}")
    repeats = mode == "nearest" and (coordinate_transformation_mode, nearest_mode) in REPEATING
    if repeats and all(scale[axis].is_integer() for axis in changed):
        return _repeated(build, name, x, {axis: int(scale[axis]) for axis in changed})
    for number, axis in enumerate(changed):
        matrix = _weights_of(x.shape[axis], made[axis], scale[axis], coordinate_transformation_mode, mode,
                             nearest_mode, cubic_coeff_a)
        x = along(build, f"{name}/{number}" if number else name, x, axis, matrix)
    return x


def _repeated(build, name, x, factors):
    """Each number several times."""
    if not factors:
        return x
    if x.rank in (3, 4) and x.shape[0] == 1 and {*factors} <= {*range(2, x.rank)}:
        x = build.arrange(name, x, (2, 3, 1) if x.rank == 4 else (None, 2, 1))
        size = tuple(1 if axis is None else factors.get(axis, 1) for axis in x.axes[:2])
        return build.add(name, L.UpSampling2D(size), x)
    for number, (axis, factor) in enumerate(factors.items()):
        x = x if axis in x.axes else build.in_order(name, x, axis)
        places = np.arange(x.shape[axis]).repeat(factor)
        layer = L.Gather(tuple(places.tolist()), x.place(axis))
        x = build.add(f"{name}/{number}" if number else name, layer, x)
    return x


def _weights_of(extent, made, scale, coordinates, mode, nearest, cubic):
    """What each output takes of each input, [extent, made]."""
    place, scale = np.arange(made, dtype=np.float32), np.float32(scale)  # as runtimes do it
    if coordinates == "asymmetric":
        at = place / scale
    elif coordinates == "align_corners":
        at = place * (extent - 1) / max(made - 1, 1)
    elif coordinates == "pytorch_half_pixel" and made == 1:
        at = np.zeros(1)
    elif coordinates in ("half_pixel", "pytorch_half_pixel"):
        at = (place + 0.5) / scale - 0.5
    elif coordinates == "tf_half_pixel_for_nn":
        at = (place + 0.5) / scale
    elif coordinates == "half_pixel_symmetric":
        at = extent / 2 * (1 - made / (scale * extent)) + (place + 0.5) / scale - 0.5
    else:
        raise ValueError(f"coordinate_transformation_mode={quote(coordinates)} is not supported")
    matrix = np.zeros((extent, made))
    if mode == "nearest":
        rounded = {"floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda a: np.ceil(a - 0.5),
                   "round_prefer_ceil": lambda a: np.floor(a + 0.5)}
        if nearest not in rounded:
            raise ValueError(f"nearest_mode={quote(nearest)} is not supported")
        taps = [(rounded[nearest](at), np.ones(made))]
    elif mode == "linear":
        first, part = np.floor(at), at - np.floor(at)
        taps = [(first, 1 - part), (first + 1, part)]
    elif mode == "cubic":
        first, part = np.floor(at), at - np.floor(at)
        taps = [(first + k, _cubic(np.abs(part - k), cubic)) for k in (-1, 0, 1, 2)]
    else:
        raise ValueError(f"mode={quote(mode)} is not supported")
    for index, share in taps:
        np.add.at(matrix, (np.clip(index, 0, extent - 1).astype(int), np.arange(made)), share)
    return matrix


def _cubic(d, a):
    """Keys' cubic convolution kernel at a distance d < 2."""
    near = (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
    far = a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def cumulative_sum(build, name, x: Tensor, axis: Constant, *, exclusive=0, reverse=0):
    axis = x.axis(int(axis.reshape(())))
    n = _bounded(x.shape[axis], x.shape[axis])
    matrix = np.triu(np.ones((n, n)), 1 if exclusive else 0)
    return along(build, name, x, axis, matrix.T if reverse else matrix)


def _bounded(n, m):
    if n * m > MAX_SAMPLE:
        raise ValueError(f"a map of {n} numbers to {m} is too large")
    return n


def _fourier(n, length, bins, inverse, complex_in):
    """The matrix [n·c, bins·2] of a transform of `length`: real parts beside imaginary ones."""
    _bounded(2 * n, 2 * bins)
    angle = (1 if inverse else -1) * 2 * np.pi * np.outer(np.arange(n), np.arange(bins)) / length
    real, imaginary = np.cos(angle), np.sin(angle)
    if inverse:
        real, imaginary = real / length, imaginary / length
    rows = np.stack([real, imaginary], axis=-1)  # of a real number
    if complex_in:
        rows = np.stack([rows, np.stack([-imaginary, real], axis=-1)], axis=1)
    return rows.reshape(-1, 2 * bins)


def dft(build, name, x: Tensor, length: Constant = None, axis: Constant = None, *, inverse=0, onesided=0):
    """The discrete Fourier transform along an axis of [..., 1] or [..., 2], real and imaginary parts last."""
    axis = x.axis(-2 if axis is None else int(axis.reshape(())))
    parts, extent = x.shape[-1], x.shape[axis]
    if onesided and inverse:
        raise ValueError("an inverse transform of one side is not supported")
    if axis == x.rank - 1 or parts not in (1, 2):
        raise ValueError(f"takes [..., 1] or [..., 2] and another axis than the last, found {x.shape} and "
                         f"axis {axis}")
    n = extent if length is None else int(length.reshape(()))
    if n < 1:
        raise ValueError(f"a length of {n}")
    used, bins = min(extent, n), n // 2 + 1 if onesided else n
    matrix = np.zeros((extent * parts, 2 * bins))
    matrix[:used * parts] = _fourier(used, n, bins, inverse, parts == 2)
    stay = [a for a in range(x.rank - 1) if a != axis]
    order = (*stay, axis, x.rank - 1)
    shape = tuple(x.shape[a] for a in stay)
    y = x.renamed(tuple(x.shape[a] for a in order), {a: new for new, a in enumerate(order)})
    y = build.reshaped(f"{name}/row", y, (*shape, extent * parts))
    y = build.reshaped(f"{name}/parts", along(build, name, y, y.rank - 1, matrix), (*shape, bins, 2))
    back = tuple(order.index(a) for a in range(x.rank))
    return y.renamed(tuple(y.shape[a] for a in back), {a: new for new, a in enumerate(back)})


def stft(build, name, x: Tensor, step: Constant, window: Constant = None, length: Constant = None, *,
         onesided=1):
    """Windowed frames of a signal [1, samples(, 1)], each transformed: [1, frames, bins, 2]."""
    step = int(step.reshape(()))
    if length is not None:
        size = int(length.reshape(()))
    elif window is not None:
        size = window.size
    else:
        raise ValueError("it needs a window or a frame length")
    if x.rank not in (2, 3) or (x.rank == 3 and x.shape[2] != 1) or x.shape[0] != 1:
        raise ValueError(f"takes real signals [1, samples, 1], found {x.shape}")
    samples = x.shape[1]
    if step < 1 or not 1 <= size <= samples or (window is not None and window.size > size):
        raise ValueError(f"frames of {size} every {step} do not fit {samples} samples")
    frames, bins = (samples - size) // step + 1, size // 2 + 1 if onesided else size
    shape = np.zeros(size)
    taper = np.ones(size) if window is None else window.reshape(-1)
    shape[(size - taper.size) // 2:(size - taper.size) // 2 + taper.size] = taper
    if frames * size > MAX_SAMPLE:
        raise ValueError(f"{frames} frames of {size} samples are too many")
    places = (np.arange(frames)[:, None] * step + np.arange(size)).reshape(-1)
    x = build.arrange(name, x, (1,))
    y = build.add(f"{name}/frames", L.Gather(tuple(places.tolist()), 1), x, axes=(1,), rank=2)
    y = build.reshaped(f"{name}/rows", y, (1, frames, size))
    matrix = shape[:, None] * _fourier(size, size, bins, False, False)
    return build.reshaped(f"{name}/parts", along(build, name, y, 2, matrix), (1, frames, bins, 2))


OPERATORS = {"Resize": resize, "CumSum": cumulative_sum, "DFT": dft, "STFT": stft}
