"""The gaps of exercise 6, filled."""
import numpy as np


def winners(x, size=3, stride=2):
    n = (len(x) - size) // stride + 1
    rows, columns = np.zeros((n, n), int), np.zeros((n, n), int)
    for i in range(n):
        for j in range(n):
            window = x[i * stride:i * stride + size, j * stride:j * stride + size]
            place = np.argmax(window)
            rows[i, j], columns[i, j] = i * stride + place // size, j * stride + place % size
    return rows, columns


def lrp_max_pool(x, R, size=3, stride=2):
    R_in = np.zeros_like(x)
    rows, columns = winners(x, size, stride)
    np.add.at(R_in, (rows, columns), R)
    return R_in
