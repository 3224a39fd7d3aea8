"""5. A convolution is a dense layer

A 3x3 convolution sees nine pixels of x at a time. Each of the nine has its own small dense layer,
W[i, j], from the input's channels to the output's:

    z[u, v] = Σ_ij  x[u + i, v + j] · W[i, j]  + b

It is linear, so it is a dense layer on all pixels: z = x M + b with one large matrix M, which has zeros
where an output does not see an input. LRP needs nothing new: the way back is M s, as in exercise 1.
But M is very large, and M s can be had without it: every output gives to the pixels its window saw.

    back[u + i, v + j]  +=  s[u, v] · W[i, j]ᵀ   for all nine (i, j)

This is the transposed convolution.

Fill the gaps. Then run: python check.py 5
"""
import numpy as np


def convolve(x, W):
    """x [height, width, channels] by W [3, 3, channels, filters]: z [height - 2, width - 2, filters]."""
    h, w = x.shape[0] - 2, x.shape[1] - 2
    return sum(x[i:i + h, j:j + w] @ W[i, j] for i in range(3) for j in range(3))


def as_matrix(W, shape):
    """The matrix M of the convolution: convolve(x, W).ravel() = x.ravel() @ M, for x of this shape.

    Row n of M is what the convolution makes of an input that is 1 at place n and 0 everywhere else.
    """
    rows = []
    for n in range(np.prod(shape)):
        x = np.zeros(np.prod(shape))
        x[n] = 1
        rows.append(...)  # YOUR CODE: one row of M, in place of ...
    return np.array(rows)


def transposed(s, W, shape):
    """The way back: M s without M, in the shape of the input."""
    back, (h, w, _) = np.zeros(shape), s.shape
    for i in range(3):
        for j in range(3):
            ...  # YOUR CODE: what the outputs give to the pixel at (i, j) of their windows
    return back


def lrp_convolution(x, W, b, R, epsilon=1e-7):
    """LRP-ε of the convolution: the relevance of x, in its shape."""
    z = convolve(x, W) + b
    s = R / (z + np.where(z >= 0, epsilon, -epsilon))
    return ...  # YOUR CODE


# Hint: the slices of `transposed` are those of `convolve`, applied to `back`. s has
# the filters as its last axis, so `s @ W[i, j].T` has the channels there. Windows overlap: add, do
# not assign.
