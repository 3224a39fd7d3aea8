"""Other tools' forms: explanations as functions that they call."""
from collections.abc import Callable
from typing import Any

import numpy as np

from .explain import Engine, Precision, Rules, explain
from .network import Network


def quantus_explain_func(network: Network, rules: Rules = "epsilon", *, engine: Engine = "auto",
                         dtype: Precision = "float64") -> Callable[..., np.ndarray]:
    """An `explain_func` for Quantus (Hedström et al. 2023, arXiv 2202.06861): metrics call it for the
    attributions of a batch.

        metric(model=model, x_batch=x, y_batch=y, explain_func=lrp_core.quantus_explain_func(network))

    rules, engine, dtype: as of `explain`. The function's `model` is not used: what is explained is `network`,
    so metrics that change the model's weights do not apply. Its inputs are [n, *input_shape], or hold as many
    numbers; the relevance comes back in their shape.
    """
    def explain_func(model: Any = None, inputs: Any = None, targets: Any = None, **unused: Any) -> np.ndarray:
        given = np.asarray(inputs)
        x = given.reshape(len(given), *network.input_shape)
        wanted = "max" if targets is None else [int(target) for target in np.asarray(targets).reshape(-1)]
        found = explain(network, x, rules, wanted, engine=engine, dtype=dtype)
        return found.relevance.reshape(given.shape)
    return explain_func
