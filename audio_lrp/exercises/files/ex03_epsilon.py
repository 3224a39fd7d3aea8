"""3. LRP-ε: do not divide by almost nothing

If contributions cancel, z_j is close to zero, s_j = R_j / z_j is huge, and the inputs get huge
positive and negative relevance: noise. LRP-ε moves z_j away from zero before it divides:

    s_j = R_j / (z_j + ε · sign(z_j))            Bach et al. 2015, eq. 58

with sign(0) = +1, so that a z_j of exactly zero is safe too. (np.sign(0) is 0: do not use it here.)

Now a part of R_j goes to no input and not to the bias either: the stabilizer absorbs it. What does
it put into the denominator of output j? Just ε · sign(z_j). So, as with the bias in exercise 2:

    absorbed by the stabilizer = Σ_j s_j · ε · sign(z_j)

A small ε (1e-7) only prevents accidents. A large one damps outputs with a small z_j, and the map
becomes calmer.

Fill the gaps. Then run: python check.py 3
"""
import numpy as np


def stabilize(z, epsilon):
    """z + ε · sign(z), with sign(0) = +1."""
    return ...  # YOUR CODE


def lrp_epsilon(x, W, b, R, epsilon):
    """(R_in [inputs], absorbed by the bias, absorbed by the stabilizer)."""
    z = x @ W + b
    s = ...  # YOUR CODE
    R_in = x * (W @ s)
    bias = np.sum(s * b)
    stabilizer = ...  # YOUR CODE
    return R_in, bias, stabilizer


# Hint: np.where(condition, a, b) takes a where the condition holds and b elsewhere. The stabilizer
# added stabilize(z, epsilon) - z to the denominator.
