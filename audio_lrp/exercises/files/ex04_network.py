"""4. A whole network, layer by layer

A network of dense layers with a ReLU after each of them but the last:

    x_0 -> z_1 = x_0 W_1 + b_1 -> x_1 = max(z_1, 0) -> z_2 = x_1 W_2 + b_2 -> ... -> scores

To explain why class c has its score, start at the top and go down:

    R = [0, ..., score_c, ..., 0]                only the score that is explained has relevance
    for each dense layer, the last one first:
        R = LRP-ε of this layer, with the layer's own input x

A ReLU has one input for each output, so it hands R on as it is. We explain the score, not a
probability: a softmax mixes all classes, and its output may rise only because another class fell.

Fill the gaps. Then run: python check.py 4
"""
import numpy as np


def forward(layers, x):
    """The input of each layer, then the scores, as one list: [x_0, x_1, ..., scores].

    layers: a list of (W, b).
    """
    xs = [x]
    for number, (W, b) in enumerate(layers):
        z = xs[-1] @ W + b
        last = number == len(layers) - 1
        xs.append(z if last else ...)  # YOUR CODE: the ReLU in place of ...
    return xs


def explain(layers, x, target, epsilon=1e-7):
    """The relevance at each layer's input, and at the scores: [R_0, R_1, ..., R at the scores].

    target: the number of the class to explain.
    """
    xs = forward(layers, x)
    R = np.zeros_like(xs[-1])
    ...  # YOUR CODE: the relevance to start with, in place of this line
    relevances = [R]
    for (W, b), x in zip(reversed(layers), reversed(xs[:-1])):
        z = x @ W + b
        stable = z + np.where(z >= 0, epsilon, -epsilon)
        R = ...  # YOUR CODE: the two steps of exercise 1, with `stable` as the denominator
        relevances.insert(0, R)
    return relevances


# Hint: `R` on the right-hand side of the last gap is the relevance at this layer's output.
