"""Explanations per second of the study's network, by preset and batch, beside the machine's matrix-product rate."""
import statistics
import time

import numpy as np

import features
import lrp_core
from audio_lrp import EMBEDDED_MODEL
from features.synth import CLASSES, synthesize


def median_seconds(work, repeats):
    """The median time of `work()` over `repeats` calls, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def product_rate(dtype, size=2048):
    """GFLOP/s of a large square matrix product: the machine's practical limit for this type."""
    a = np.ones((size, size), dtype)
    return 2 * size ** 3 / median_seconds(lambda: a @ a, 5) / 1e9


def images(count):
    """Images of `count` procedural sounds, all classes in turn."""
    return np.stack([features.clip_image(synthesize(n % len(CLASSES), n), 44_100) for n in range(count)])


def measure(*, batches=(1, 32), presets=("epsilon", "preset_a_flat", "preset_b"), dtypes=("float64", "float32"), repeats=5):
    """Rows {preset, dtype, batch, ms}: milliseconds for each clip, forward pass and backward rules together."""
    network = lrp_core.load(EMBEDDED_MODEL)
    x = images(max(batches))
    return [{"preset": preset, "dtype": dtype, "batch": batch,
             "ms": median_seconds(lambda: lrp_core.explain(network, x[:batch], preset, dtype=dtype), repeats) / batch * 1e3}
            for preset in presets for dtype in dtypes for batch in batches]
