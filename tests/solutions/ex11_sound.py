"""The gaps of exercise 11, filled."""
import numpy as np


def to_cells(P, M, R):
    mel = P @ M
    s = np.divide(R, mel, out=np.zeros_like(mel), where=mel != 0)
    return P * (s @ M.T)


def strongest(R, share):
    order = np.argsort(-R, axis=None)
    carried = np.cumsum(np.maximum(R.ravel()[order], 0))
    count = np.searchsorted(carried, share * carried[-1]) + 1
    mask = np.zeros(R.size, bool)
    mask[order[:count]] = True
    return mask.reshape(R.shape)
