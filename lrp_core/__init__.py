"""Layer-wise relevance propagation without a framework: load a network, explain a decision, check the ledger.

    import lrp_core
    network = lrp_core.load("net.npz")
    e = lrp_core.explain(network, x, rules="epsilon", target="max")
    e.relevance, e.logits, e.target
    print(e.ledger)
"""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from . import gradients_recurrent  # noqa: F401  (registers itself)
from .auditor import Check, check
from .averaged import integrated_gradients, smooth_grad
from .canonize import fold_batch_norm, without_final_activation
from .composites import (
    ALIASES,
    PRESETS,
    Composite,
    composite,
    epsilon_gamma_box,
    first_layer,
    first_with_weights,
    last_with_weights,
    preset_b_flat_until,
    up_to,
)
from .explain import (
    DTYPES,
    ENGINES,
    Engine,
    Precision,
    Rules,
    Targets,
    check_engine,
    explain,
    explain_each,
    rank_channels,
)
from .explanation import Explanation
from .extended import extend, extend_each
from .flow import Book, flow
from .gradients import gradient_flow
from .interop import quantus_explain_func
from .ledger import ConservationError, Entry, Ledger
from .messages import Messages, Route
from .microscope import Microscope, messages
from .model_file import ModelFileError, load, save
from .network import Network, Node, Trace
from .product_rules import Gate, Half, SoftmaxTaylor
from .profile_table import Profile
from .rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus
from .target import Contrast

__all__ = [
    "ALIASES",
    "DTYPES",
    "ENGINES",
    "PRESETS",
    "AlphaBeta",
    "Book",
    "Check",
    "Composite",
    "ConservationError",
    "Contrast",
    "Entry",
    "Epsilon",
    "Explanation",
    "Flat",
    "Gamma",
    "Gate",
    "Half",
    "Ledger",
    "Messages",
    "Microscope",
    "ModelFileError",
    "Network",
    "Node",
    "Pass",
    "Route",
    "Rule",
    "SoftmaxTaylor",
    "Targets",
    "Trace",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "check",
    "check_engine",
    "composite",
    "epsilon_gamma_box",
    "explain",
    "explain_each",
    "extend",
    "extend_each",
    "first_layer",
    "first_with_weights",
    "flow",
    "fold_batch_norm",
    "from_onnx",
    "gradient_flow",
    "integrated_gradients",
    "last_with_weights",
    "load",
    "messages",
    "preset_b_flat_until",
    "profile",
    "quantus_explain_func",
    "rank_channels",
    "save",
    "smooth_grad",
    "up_to",
    "without_final_activation",
]

# For callers; `network` itself knows nothing of files.
Network.save = save  # type: ignore[attr-defined]


def from_onnx(source: Any, *, input: str | None = None, output: str | None = None,
              shape: Sequence[int] | None = None, constants: Mapping[str, npt.ArrayLike] | None = None,
              class_names: Sequence[str] | None = None, fold: bool = True) -> Network:
    """The Network in an ONNX model; needs the package onnx, an extra. See `lrp_core.onnx.from_onnx`."""
    from . import onnx
    return onnx.from_onnx(source, input=input, output=output, shape=shape, constants=constants,
                          class_names=class_names, fold=fold)


def profile(network: Network, x: npt.ArrayLike, rules: Rules = "epsilon", *, engine: Engine = "auto",
            dtype: Precision = "float64", repeats: int = 9) -> Profile:
    """Where the time of an explanation goes, step by step: a table to print. See `lrp_core.profiles.profile`.
    """
    from .profiles import profile as run
    return run(network, x, rules, engine=engine, dtype=dtype, repeats=repeats)
