"""The gaps of exercise 1, filled."""


def lrp_zero(x, W, b, R):
    z = x @ W + b
    s = R / z
    return x * (W @ s)
