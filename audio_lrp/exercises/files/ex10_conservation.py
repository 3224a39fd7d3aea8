"""10. Prove it by a test

You wrote LRP for several layers. Are they right? A test cannot look at every input, but it can look
at many random ones and ask for properties that must hold for all of them. Two of LRP-ε:

  1. Conservation. Nothing is lost:   Σ R_out = Σ R_in + bias + stabilizer,   up to rounding.
  2. An input that is zero put nothing in, so it gets nothing.

Rounding: numbers have 16 digits, so a sum is exact only in proportion to the size of what is
summed. Compare with a tolerance such as 1e-9 · Σ|R_out| + 1e-9 · Σ|R_in|, never with == 0, and not
with a fixed tolerance like 0.01 either.

The checks give your functions many implementations of LRP-ε: a right one, which they must accept,
and wrong ones, which at least one of them must refuse. Some are wrong only in certain cases, for
example where relevance is negative or z is exactly zero. Your random layers have to reach these
cases. One of the wrong ones conserves perfectly: conservation alone proves little.

Fill the gaps. Then run: python check.py 10
"""
import numpy as np


def random_layer(rng):
    """(x, W, b, R, epsilon) of a random dense layer, with all the signs, sizes and zeros that may occur.

    rng: numpy's random generator, as np.random.default_rng(0) makes it.
    """
    inputs, outputs = rng.integers(1, 8, 2)
    x, W = rng.standard_normal(inputs), rng.standard_normal((inputs, outputs))
    b, R = rng.standard_normal(outputs), rng.standard_normal(outputs)
    scale = 10.0 ** rng.integers(-4, 3)  # small and large relevance
    x[rng.random(inputs) < 0.3] = 0  # as after a ReLU
    ...  # YOUR CODE: now and then a z = x W + b of exactly zero, in place of this line (see the hint)
    return x, W, b, R * scale, 0.1


def conserves(lrp, x, W, b, R, epsilon):
    """Does an implementation conserve relevance on this layer?

    lrp(x, W, b, R, epsilon) returns (R_in, absorbed by the bias, absorbed by the stabilizer).
    """
    R_in, bias, stabilizer = lrp(x, W, b, R, epsilon)
    return ...  # YOUR CODE: True or False


def spares_zeros(lrp, x, W, b, R, epsilon):
    """Do inputs that are zero get nothing?"""
    R_in, bias, stabilizer = lrp(x, W, b, R, epsilon)
    return ...  # YOUR CODE: True or False


# Hint: z is exactly zero if an output's weights W[:, j] and its bias b[j] are all 0. Do that for
# some outputs of some layers: rng.random(outputs) < 0.2 chooses some of them. `np.all(R_in[x == 0]
# == 0)` asks all inputs that are zero.
