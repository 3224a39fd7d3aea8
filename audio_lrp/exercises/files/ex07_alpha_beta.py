"""7. Alpha-beta, and flat

LRP-ε lets contributions for and against an output cancel before it divides. LRP-αβ keeps them
apart. Each output has contributions in favour, (x_i W_ij)⁺, and against, (x_i W_ij)⁻. They are
shared out separately, α times the first and -β times the second, with α - β = 1:

    R_i = Σ_j ( α (x_i W_ij)⁺ / z⁺_j  -  β (x_i W_ij)⁻ / z⁻_j ) R_j        Bach et al. 2015, eq. 60
    z⁺_j = Σ_i (x_i W_ij)⁺,    z⁻_j = Σ_i (x_i W_ij)⁻                      (here without the bias)

A product is positive if both factors are, or neither is. So with x⁺ = max(x, 0) and x⁻ = min(x, 0):

    (x W)⁺ = x⁺ W⁺ + x⁻ W⁻,    (x W)⁻ = x⁺ W⁻ + x⁻ W⁺

α = 1, β = 0 shows only what speaks in favour, and is used most. α = 2, β = 1 shows both.

LRP-flat does not look at x and W at all: every input that an output sees gets the same. It is used
in a network's first layer, where relevance of single pixels is mostly noise.

Fill the gaps. Then run: python check.py 7
"""
import numpy as np


def divide(R, z):
    """R / z, and 0 where z is 0: nothing reached this output, so there is nothing to share by."""
    return np.divide(R, z, out=np.zeros_like(z), where=z != 0)


def lrp_alpha_beta(x, W, R, alpha, beta):
    """The relevance of the inputs [inputs], without a bias."""
    xp, xn, Wp, Wn = np.maximum(x, 0), np.minimum(x, 0), np.maximum(W, 0), np.minimum(W, 0)
    favour = divide(R, ...)  # YOUR CODE: z⁺ in place of ...; `favour` is relevance for each unit of it
    against = divide(R, ...)  # YOUR CODE: z⁻ in place of ...
    given_for = ...  # YOUR CODE: Σ_j (x_i W_ij)⁺ · favour_j, from xp, xn, Wp, Wn
    given_against = ...  # YOUR CODE: Σ_j (x_i W_ij)⁻ · against_j
    return alpha * given_for - beta * given_against


def lrp_flat(x, W, R):
    """Each output's relevance, divided evenly among all inputs."""
    return ...  # YOUR CODE


# Hint: `xp * (Wp @ favour)` is the part of given_for that comes from positive inputs. For flat:
# what would LRP-0 do if all inputs and all weights were 1?
