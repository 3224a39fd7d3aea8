"""2. The bias and the ledger

In the example of exercise 1 the output had the relevance 1.5, but the inputs got 1 + 1 - 1 = 1. Where
is the rest? The bias put b_j into z_j, as if it were one more input, so it takes its share too:

    absorbed by the bias = Σ_j s_j b_j           with s_j = R_j / z_j

A ledger writes this down for every layer, so that nothing disappears unseen:

    received                                     Σ_j R_j, what arrived at the outputs
    passed                                       Σ_i R_i, what the inputs were given
    bias                                         what the bias absorbed
    residual = received - passed - bias          0, up to rounding

Do not compute `bias` as received - passed. It would be the same number, but then the residual would
be 0 even if R_in were wrong. A ledger is worth something only if it can fail.

Fill the gaps. Then run: python check.py 2
"""
import numpy as np


def ledger_line(x, W, b, R, R_in):
    """The line of the ledger for a dense layer: four numbers by name.

    x, W, b, R: as in exercise 1. R_in [inputs]: what an implementation of LRP-0 gave to the inputs; it may
    be wrong.
    """
    s = R / (x @ W + b)
    received = ...  # YOUR CODE
    passed = ...  # YOUR CODE
    bias = ...  # YOUR CODE: from s and b
    residual = ...  # YOUR CODE
    return {"received": received, "passed": passed, "bias": bias, "residual": residual}


# Hint: an input with the value 1 and the weights b would do what the bias does. What would exercise
# 1 give to it?
