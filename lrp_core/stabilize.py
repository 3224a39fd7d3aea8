"""The one division guard: which denominators can be divided by, and the division."""
import numpy as np

# Below this a denominator is no number to share by: nothing reached the output. Dividing by it stays within
# float32.
SMALLEST = 1e-30


def stabilize(z, epsilon):
    """z + ε·sign(z), with sign(0) = +1 (Bach 2015, eq. 58): moves z away from zero, whatever its sign."""
    epsilon = np.asarray(epsilon, z.dtype)
    return z + np.where(z >= 0, epsilon, -epsilon) if epsilon.any() else z


def share(r, z):
    """(s = r / z, gate): relevance for each unit of z. Where z is zero no input contributed: s = 0, gate is
    False.
    """
    gate = np.abs(z) >= SMALLEST
    return np.divide(r, z, out=np.zeros_like(z), where=gate), gate
