"""The gaps of exercise 5, filled."""
import numpy as np


def convolve(x, W):
    h, w = x.shape[0] - 2, x.shape[1] - 2
    return sum(x[i:i + h, j:j + w] @ W[i, j] for i in range(3) for j in range(3))


def as_matrix(W, shape):
    rows = []
    for n in range(np.prod(shape)):
        x = np.zeros(np.prod(shape))
        x[n] = 1
        rows.append(convolve(x.reshape(shape), W).ravel())
    return np.array(rows)


def transposed(s, W, shape):
    back, (h, w, _) = np.zeros(shape), s.shape
    for i in range(3):
        for j in range(3):
            back[i:i + h, j:j + w] += s @ W[i, j].T
    return back


def lrp_convolution(x, W, b, R, epsilon=1e-7):
    z = convolve(x, W) + b
    s = R / (z + np.where(z >= 0, epsilon, -epsilon))
    return x * transposed(s, W, x.shape)
