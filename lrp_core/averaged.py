"""Baselines that average gradients over many inputs: integrated gradients and SmoothGrad."""
import numpy as np
import numpy.typing as npt

from .checks import is_whole
from .explain import Engine, Precision, Targets, explain
from .network import Network
from .target import NO_CLASS, WINNER, Contrast, resolve


def integrated_gradients(network: Network, x: npt.ArrayLike, target: Targets = "max", *,
                         baseline: npt.ArrayLike = 0.0, steps: int = 64,
                         engine: Engine = "auto", dtype: Precision = "float64",
                         threads: int | None = None) -> np.ndarray:
    """(x - x') · mean gradient of the score along the straight way from a baseline x' to x; like x, in
    `dtype`.

        R = (x - x') · 1/steps · Σ_k ∇f(x' + (k + 1/2)/steps · (x - x')),    k = 0..steps - 1

    baseline: a number, or an array that broadcasts against a sample. Sums to f(x) - f(x') as steps grow.
    Sundararajan, Taly and Yan 2017, eq. 3, by the midpoint rule. Raises as `explain`.
    """
    share = (np.arange(_count(steps, "steps")) + 0.5) / steps

    def inputs(sample):
        start = np.broadcast_to(np.asarray(baseline, np.float32), sample.shape)
        return start + share.reshape(-1, *[1] * sample.ndim).astype(np.float32) * (sample - start)

    def finish(sample, gradient):
        return (sample - np.asarray(baseline, np.float32)) * gradient

    return _averaged(network, x, target, inputs, finish, engine, dtype, threads)


def smooth_grad(network: Network, x: npt.ArrayLike, target: Targets = "max", *, noise: float = 0.1,
                samples: int = 32, seed: int = 0, engine: Engine = "auto", dtype: Precision = "float64",
                threads: int | None = None) -> np.ndarray:
    """The mean gradient over inputs with Gaussian noise added; like x, in `dtype`.

        R = 1/samples · Σ_k ∇f(x + n_k),    n_k ~ N(0, (noise · (max x - min x))²)

    Deterministic: the same seed gives the same noise, whatever the batch. Smilkov et al. 2017, eq. 1.
    """
    count = _count(samples, "samples")

    def inputs(sample):
        spread = noise * (sample.max() - sample.min())
        drawn = np.random.default_rng(seed).standard_normal((count, *sample.shape))
        return sample + (spread * drawn).astype(np.float32)

    return _averaged(network, x, target, inputs, lambda sample, gradient: gradient, engine, dtype, threads)


def _averaged(network, x, target, inputs, finish, engine, dtype, threads):
    """For each sample: explain `inputs(sample)` by the gradient of one class, average, and `finish`."""
    x, single = network.check_input(x)
    winners = network.logits(x).argmax(axis=1)
    out = []
    for sample, winner, favoured, other in zip(x, winners, *resolve(target, len(x), network)):
        # The class is that of the sample itself, whatever wins on the way to it.
        favoured, other = (int(winner if number == WINNER else number) for number in (favoured, other))
        one = favoured if other == NO_CLASS else Contrast(favoured, other)
        gradients = explain(network, inputs(sample), "gradient", one, engine=engine, dtype=dtype,
                            threads=threads).relevance
        out.append(finish(sample, gradients.mean(axis=0, dtype=np.float64)).astype(dtype))
    return out[0] if single else np.stack(out)


def _count(number, what):
    if not is_whole(number) or number < 1:
        raise ValueError(f"{what} must be a whole number above 0, got {number!r}")
    return int(number)
