"""The gaps of exercise 7, filled."""
import numpy as np


def divide(R, z):
    return np.divide(R, z, out=np.zeros_like(z), where=z != 0)


def lrp_alpha_beta(x, W, R, alpha, beta):
    xp, xn, Wp, Wn = np.maximum(x, 0), np.minimum(x, 0), np.maximum(W, 0), np.minimum(W, 0)
    favour = divide(R, xp @ Wp + xn @ Wn)
    against = divide(R, xp @ Wn + xn @ Wp)
    given_for = xp * (Wp @ favour) + xn * (Wn @ favour)
    given_against = xp * (Wn @ against) + xn * (Wp @ against)
    return alpha * given_for - beta * given_against


def lrp_flat(x, W, R):
    return np.ones(len(x)) * R.sum() / len(x)
