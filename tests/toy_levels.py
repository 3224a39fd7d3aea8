"""A small data set of noise, with classes and the ten folds, for tests of training."""
import numpy as np

from train_tf.data import LevelSet


def toy_levels(count=40):
    rng = np.random.default_rng(0)
    return LevelSet(rng.integers(0, 256, (count, 64, 64)).astype(np.uint8), rng.integers(0, 10, count),
                    np.arange(count) % 10 + 1)
