"""The gaps of exercise 4, filled."""
import numpy as np


def forward(layers, x):
    xs = [x]
    for number, (W, b) in enumerate(layers):
        z = xs[-1] @ W + b
        last = number == len(layers) - 1
        xs.append(z if last else np.maximum(z, 0))
    return xs


def explain(layers, x, target, epsilon=1e-7):
    xs = forward(layers, x)
    R = np.zeros_like(xs[-1])
    R[target] = xs[-1][target]
    relevances = [R]
    for (W, b), x in zip(reversed(layers), reversed(xs[:-1])):
        z = x @ W + b
        stable = z + np.where(z >= 0, epsilon, -epsilon)
        R = x * (W @ (R / stable))
        relevances.insert(0, R)
    return relevances
