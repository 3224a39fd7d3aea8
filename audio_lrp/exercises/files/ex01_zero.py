"""1. LRP-0 for one dense layer

A dense layer computes

    z_j = Σ_i x_i W_ij + b_j                     output j; input i puts x_i W_ij into it

Each output j has a relevance R_j: its part of the score that we explain. LRP-0 divides R_j among
the inputs in proportion to what they put in:

    R_i = Σ_j (x_i W_ij / z_j) · R_j             Bach et al. 2015, eq. 56

In two steps, which you will meet in every exercise:

    s_j = R_j / z_j                              relevance per unit of the output
    R_i = x_i · Σ_j W_ij s_j                     what a unit is worth, times what the input put in

For example three inputs x = [1, 2, -1] with the weights [1, 0.5, 1] and the bias 0.5: the inputs put
1, 1 and -1 into the output, so z = 1 + 1 - 1 + 0.5 = 1.5. If its relevance is R = 1.5, a unit of z is
worth s = 1, and the inputs get 1, 1 and -1: the third one speaks against this output.

Fill the gaps, the lines with `...  # YOUR CODE`. Then run: python check.py 1
"""
import numpy as np


def lrp_zero(x, W, b, R):
    """The relevance of the inputs [inputs].

    x [inputs], W [inputs, outputs], b [outputs]: the layer. R [outputs]: the relevance of its outputs.
    """
    z = ...  # YOUR CODE: the output of the layer [outputs]
    s = ...  # YOUR CODE: relevance for each unit of it [outputs]
    return ...  # YOUR CODE: what each input gets [inputs]


# Hint: `x @ W` sums over the inputs. `W @ s` sums over the outputs: it is the way back.
