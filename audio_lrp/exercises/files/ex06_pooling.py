"""6. Max-pooling, and ties

A max-pool hands on the largest pixel of each window. That pixel alone made the output what it is,
so it gets all of the output's relevance: the winner takes all. Two things to watch:

  * Windows may overlap (3 wide, 2 apart). Then one pixel may win several times, and gets the sum.
  * In digital silence all pixels of a window are equal. One must win: as in lrp_core, the first
    in reading order. If every pixel of a tie got all of R, relevance would be made from nothing.

Fill the gaps. Then run: python check.py 6
"""
import numpy as np


def winners(x, size=3, stride=2):
    """(rows, columns) of the winner of each window: two arrays [outputs, outputs].

    x [height, height]: one channel.
    """
    n = (len(x) - size) // stride + 1
    rows, columns = np.zeros((n, n), int), np.zeros((n, n), int)
    for i in range(n):
        for j in range(n):
            window = x[i * stride:i * stride + size, j * stride:j * stride + size]
            place = ...  # YOUR CODE: the winner's number in the window, counted in reading order from 0
            rows[i, j], columns[i, j] = ...  # YOUR CODE: its row and column in x
    return rows, columns


def lrp_max_pool(x, R, size=3, stride=2):
    """The relevance of x, in its shape, from the relevance R [outputs, outputs] of the pooled map."""
    R_in = np.zeros_like(x)
    rows, columns = winners(x, size, stride)
    ...  # YOUR CODE: all of R to the winners, in place of this line
    return R_in


# Hint: np.argmax gives the first of equals. divmod(place, size) is its row and column inside the
# window. For the last gap look at np.add.at: `R_in[rows, columns] += R` adds only once where a
# pixel is named twice.
