"""The gaps of exercise 3, filled."""
import numpy as np


def stabilize(z, epsilon):
    return z + np.where(z >= 0, epsilon, -epsilon)


def lrp_epsilon(x, W, b, R, epsilon):
    z = x @ W + b
    s = R / stabilize(z, epsilon)
    R_in = x * (W @ s)
    bias = np.sum(s * b)
    stabilizer = np.sum(s * (stabilize(z, epsilon) - z))
    return R_in, bias, stabilizer
