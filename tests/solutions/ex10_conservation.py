"""The gaps of exercise 10, filled."""
import numpy as np


def random_layer(rng):
    inputs, outputs = rng.integers(1, 8, 2)
    x, W = rng.standard_normal(inputs), rng.standard_normal((inputs, outputs))
    b, R = rng.standard_normal(outputs), rng.standard_normal(outputs)
    scale = 10.0 ** rng.integers(-4, 3)
    x[rng.random(inputs) < 0.3] = 0
    dead = rng.random(outputs) < 0.2
    W[:, dead], b[dead] = 0, 0
    return x, W, b, R * scale, 0.1


def conserves(lrp, x, W, b, R, epsilon):
    R_in, bias, stabilizer = lrp(x, W, b, R, epsilon)
    lost = R.sum() - R_in.sum() - bias - stabilizer
    return abs(lost) <= 1e-9 * (np.abs(R).sum() + np.abs(R_in).sum())


def spares_zeros(lrp, x, W, b, R, epsilon):
    R_in, _bias, _stabilizer = lrp(x, W, b, R, epsilon)
    return np.all(R_in[x == 0] == 0)
