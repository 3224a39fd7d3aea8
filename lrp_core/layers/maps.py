"""The readable path: each kernel as a few lines of NumPy, for any size, stride, padding and floating type.

Arrays are NHWC: x [n, h, w, c], kernel [kh, kw, c, m], output and its relevance [n, oh, ow, m]. Every
function treats a sample by itself (`matmul` runs one BLAS product a sample), so that the numbers of a sample
are bitwise the same in any batch. Callers check the shapes; these functions trust them.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def pad(x, window, value=0):
    """Surround each map of x by the window's padding."""
    pads = window.pads(*x.shape[1:3])
    if not any(sum(p) for p in pads):
        return x
    return np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


def crop(padded, window, height, width):
    """Undo `pad`: the part of `padded` that lies over the h x w map itself."""
    (top, _), (left, _) = window.pads(height, width)
    return padded[:, top:top + height, left:left + width]


def padded_zeros(n, height, width, channels, window, dtype):
    """Zeros in the shape of a padded input, for an adjoint to add into."""
    (top, bottom), (left, right) = window.pads(height, width)
    return np.zeros((n, top + height + bottom, left + width + right, channels), dtype)


def dense(x, kernel, bias):
    """z_m = Σ_k x_k W_km + b_m, over the last axis of x."""
    z = np.matmul(x.reshape(len(x), -1, x.shape[-1]), kernel).reshape(*x.shape[:-1], -1)
    return z if bias is None else z + bias


def dense_adjoint(s, kernel):
    """c_k = Σ_m s_m W_km: the transpose of `dense`."""
    return dense(s, kernel.T, None)


def conv2d(x, kernel, bias, window):
    """z[i, j, m] = Σ_{u, v, c} x[i·stride + u, j·stride + v, c] W[u, v, c, m] + b[m], as one product a
    sample.

    Each row of the left matrix is an unrolled window. (Dilation puts u and v further apart.)
    """
    n, height, width, _ = x.shape
    oh, ow = window.output(height, width)
    # BLAS sums the odd rows at a product's end in another order. Rows of zeros after them keep equal
    # windows, as in digital silence, equal to the last bit (in float64), so that a pool over them has a first
    # winner.
    unrolled = np.empty((n, -(-oh * ow // 8) * 8, kernel[..., 0].size), x.dtype)
    windows = unroll(pad(x, window), window)
    unrolled[:, :oh * ow].reshape(windows.shape)[...] = windows
    unrolled[:, oh * ow:] = 0
    z = np.matmul(unrolled, kernel.reshape(-1, kernel.shape[-1]))[:, :oh * ow].reshape(n, oh, ow, -1)
    return z if bias is None else z + bias


def unroll(padded, window):
    """Every window of a padded input, as a view [n, oh, ow, kh, kw·c] or [n, oh, ow, kh, kw, c]."""
    (down, right), (kh, kw), channels = window.strides, window.size, padded.shape[-1]
    if window.dilation == (1, 1):
        # In NHWC a window's row, (v, c), is contiguous: long runs make the copy that `matmul` needs a fast
        # one.
        rows = padded.reshape(*padded.shape[:2], -1)
        return sliding_window_view(rows, (kh, kw * channels), axis=(1, 2))[:, ::down, ::right * channels]
    view = sliding_window_view(padded, window.reach, axis=(1, 2))[:, ::down, ::right]
    return np.moveaxis(view[..., ::window.dilation[0], ::window.dilation[1]], 3, -1)


def conv2d_adjoint(s, kernel, window, height, width):
    """c[y, x, c] = Σ s[i, j, m] W[u, v, c, m] over all (i, j, u, v) that meet (y, x): the transpose of
    `conv2d`.

    One product for each position (u, v) of the window, added where that position lay.
    """
    n, oh, ow, filters = s.shape
    channels = kernel.shape[2]
    rows = s.reshape(n, oh * ow, filters)
    share = np.empty((n, oh * ow, channels), s.dtype)
    out = padded_zeros(n, height, width, channels, window, s.dtype)
    for tap, (down, across) in zip(kernel.reshape(-1, channels, filters), window.taps((oh, ow))):
        np.matmul(rows, tap.T, out=share)
        out[:, down, across] += share.reshape(n, oh, ow, channels)
    return crop(out, window, height, width)


def depthwise(x, kernel, bias, window):
    """z[i, j, c·q + d] = Σ_{u, v} x[i·stride + u, j·stride + v, c] W[u, v, c, d] + b[c·q + d]."""
    oh, ow = window.output(*x.shape[1:3])
    padded, taps = pad(x, window), kernel.reshape(-1, *kernel.shape[2:])
    z = np.zeros((len(x), oh, ow, *kernel.shape[2:]), x.dtype)
    for tap, (rows, columns) in zip(taps, window.taps((oh, ow))):
        z += padded[:, rows, columns, :, None] * tap
    z = z.reshape(len(x), oh, ow, -1)
    return z if bias is None else z + bias


def depthwise_adjoint(s, kernel, window, height, width):
    """c[y, x, c] = Σ s[i, j, c·q + d] W[u, v, c, d] over all that meet (y, x): the transpose of `depthwise`.
    """
    n, oh, ow, _ = s.shape
    s, taps = s.reshape(n, oh, ow, *kernel.shape[2:]), kernel.reshape(-1, *kernel.shape[2:])
    out = padded_zeros(n, height, width, kernel.shape[2], window, s.dtype)
    for tap, (rows, columns) in zip(taps, window.taps((oh, ow))):
        out[:, rows, columns] += (s * tap).sum(axis=-1)
    return crop(out, window, height, width)


def max_pool(x, window):
    """(y, winner): each window's maximum and, as its number in scan order, who won; on ties the first."""
    oh, ow = window.output(*x.shape[1:3])
    padded = pad(x, window, -np.inf)
    y = np.full((len(x), oh, ow, x.shape[-1]), -np.inf, x.dtype)
    winner = np.zeros(y.shape, np.uint16 if window.size[0] * window.size[1] > 256 else np.uint8)
    for tap, (rows, columns) in enumerate(window.taps((oh, ow))):
        candidate = padded[:, rows, columns]
        better = candidate > y
        np.copyto(y, candidate, where=better)
        np.copyto(winner, tap, where=better, casting="unsafe")
    return y, winner


def max_unpool(r, winner, window, height, width):
    """Give r to the winners; windows that overlap add up."""
    out = padded_zeros(len(r), height, width, r.shape[-1], window, r.dtype)
    for tap, (rows, columns) in enumerate(window.taps(r.shape[1:3])):
        out[:, rows, columns] += np.where(winner == tap, r, 0)
    return crop(out, window, height, width)


def at_winners(v, winner, window):
    """The numbers of v at the winners' places: the transpose of `max_unpool`."""
    padded, out = pad(v, window), np.zeros(winner.shape, v.dtype)
    for tap, (rows, columns) in enumerate(window.taps(winner.shape[1:3])):
        np.copyto(out, padded[:, rows, columns], where=winner == tap)
    return out


def inside(window, height, width, dtype):
    """How many of each window's positions lie inside the map: [oh, ow, 1]."""
    ones = pad(np.ones((1, height, width, 1), dtype), window)
    return sum(ones[0, rows, columns] for rows, columns in window.taps(window.output(height, width)))


def average_pool(x, window):
    """Each window's mean over the positions that lie inside the map."""
    padded = pad(x, window)
    total = sum(padded[:, rows, columns] for rows, columns in window.taps(window.output(*x.shape[1:3])))
    return total / inside(window, *x.shape[1:3], x.dtype)


def average_pool_adjoint(s, window, height, width):
    """Share s equally among each window's inside positions: the transpose of `average_pool`."""
    share = s / inside(window, height, width, s.dtype)
    out = padded_zeros(len(s), height, width, s.shape[-1], window, s.dtype)
    for rows, columns in window.taps(s.shape[1:3]):
        out[:, rows, columns] += share
    return crop(out, window, height, width)
