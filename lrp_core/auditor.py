"""Can a network be explained, and how far can the explanation be believed? `check` looks, and says it."""
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import layers as L
from .canonize import final_activation
from .composites import PRESETS, composite
from .explain import Rules, explain, has_numba
from .files import ModelFileError
from .model_file import load
from .network import Network
from .show import line
from .target import resolve
from .text import clean, table

AGREES = 1e-4      # of the largest score: what single precision may cost
AGREES_HALF = 1e-2  # what half precision may, which we compute in double
GROWS = 100.0      # times the score, in magnitude, that relevance may reach at a layer
ABSORBED = 0.05    # of the score, that stabilizers, softmaxes and masks may keep before it is said
TIED = 0.01        # of a pool's winners that may be tied
SIGNED = (L.Sigmoid, L.HardSigmoid, L.Exp, L.Softplus)  # positive where their input is negative


@dataclasses.dataclass(frozen=True)
class NodeCheck:
    """One node: its layer, the shape it makes, the rule of the first preset, and what computes it in the
    compiled engine: "numba", "numpy", or "numba, numpy" (one forward, the other back); with the reasons for
    NumPy, "" where kernels do it.
    """
    name: str
    type: str
    shape: tuple
    rule: str
    engine: str
    forward: str
    backward: str


@dataclasses.dataclass(frozen=True)
class PresetCheck:
    """What one preset makes of the explained score.

    arrived, bias, stabilizer, gated, softmax, state, by_rule: shares of the score. most: the layer whose
    biases keep most, and its share. largest: (layer, Σ|R| there as a multiple of the score). error: why there
    is no explanation, or "".
    """
    rules: str
    score: float = math.nan
    arrived: float = math.nan
    bias: float = math.nan
    stabilizer: float = math.nan
    gated: float = math.nan
    softmax: float = math.nan
    state: float = math.nan
    by_rule: float = math.nan
    most: tuple = ("", math.nan)
    largest: tuple = ("", math.nan)
    error: str = ""


@dataclasses.dataclass(frozen=True, repr=False)
class Check:
    """What `check` found; prints as a report, and shows itself in one line.

    difference: the largest difference of the scores from `beside`'s, as a share of the largest score; None
    where there is nothing to compare with. tolerance: how large it may be. findings: sentences, the most
    important first.
    """
    model: str
    input_shape: tuple
    output_shape: tuple
    nodes: tuple
    presets: tuple
    beside: str
    difference: float | None
    tolerance: float
    findings: tuple

    @property
    def agrees(self) -> bool:
        """Do the scores agree with those of the program the model comes from, where there is one?"""
        return self.difference is None or self.difference <= self.tolerance

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values."""
        return {**dataclasses.asdict(self), "agrees": self.agrees}

    def __repr__(self):
        scores = ("not compared" if self.difference is None
                  else f"{'agree' if self.agrees else 'DISAGREE'} with {self.beside}")
        return line("Check", f"{self.model}, {len(self.nodes)} layers, {len(self.presets)} presets, scores "
                             f"{scores}, {len(self.findings)} findings: print it to read them")

    def __str__(self):
        rows = [("layer", "type", "output", "rule", "engine", "left to NumPy because")]
        rows += [(node.name, node.type, str(node.shape), node.rule, node.engine,
                  "; ".join(dict.fromkeys(filter(None, (node.forward, node.backward)))))
                 for node in self.nodes]
        shares = [("rules", "score", "arrives", "biases", "stabilizers", "gated", "softmaxes", "state")]
        for one in self.presets:
            shares.append((one.rules, one.error) + ("",) * 6 if one.error else (
                one.rules, f"{one.score:.4g}", *(f"{share:.1%}" for share in (
                    one.arrived, one.bias, one.stabilizer, one.gated, one.softmax, one.state))))
        return "\n\n".join([f"{self.model}: input {self.input_shape}, output {self.output_shape}",
                            table(rows, "<<<<<<"), table(shares, "<" + ">" * 7),
                            "\n".join(f"- {sentence}" for sentence in self.findings)])


def check(source: Any, x: npt.ArrayLike | None = None, *, input: str | None = None, output: str | None = None,
          shape: Sequence[int] | None = None, constants: Mapping[str, npt.ArrayLike] | None = None,
          target: Any = "max", rules: Sequence[Rules] | None = None,
          progress: Callable[[int], object] | None = None) -> Check:
    """Look a network over before it is explained in earnest.

    source: a Network, the path of a model file (.npz), or an ONNX model as `from_onnx` takes it. x: one input
    of the network; random numbers by default. input, output, shape, constants: as of `from_onnx`. target:
    what is explained; "sum" where the output has several axes and none is named. rules: what to try, all
    presets by default. progress: called with 1 after each of them.

    Says for every node its layer, its rule and what the compiled engine leaves to NumPy; compares the scores
    with onnxruntime's (where it is installed), or with the reference in a model file; tells for every preset
    which share of the score arrives at the input, and what keeps the rest; warns of what makes explanations
    hard to believe. Raises what `from_onnx`, `load` and `explain` raise.
    """
    network, name = opened(source, input, output, shape, constants)
    chosen = list(rules) if rules is not None else list(PRESETS)
    batch = example(network) if x is None else network.check_input(x)[0][:1]
    difference, beside = compared(source, network, batch, input, output, constants)
    if target == "max" and len(network.output_shape) > 1:
        target = "sum"
    resolve(target, 1, network)  # refuses what the network does not have, before any preset is tried
    presets = []
    for one in chosen:
        presets.append(audit(network, batch, one, target))
        if progress is not None:
            progress(1)
    nodes = node_checks(network, chosen[0], batch)
    half = (network.metadata.get("source") or {}).get("precision") == "float16"
    tolerance = AGREES_HALF if half else AGREES
    findings = (*about_scores(network, difference, tolerance, beside), *about_engine(nodes),
                *about_presets(presets), *about_layers(network, batch))
    return Check(name, network.input_shape, network.output_shape, nodes, tuple(presets), beside, difference,
                 tolerance, findings)


def opened(source, input, output, shape, constants):
    """(Network, what to call it)."""
    if isinstance(source, Network):
        return source, "the network"
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(source)
        if path.suffix == ".npz":
            return load(path), path.name
    from .onnx import from_onnx
    network = from_onnx(source, input=input, output=output, shape=shape, constants=constants)
    return network, path.name if isinstance(source, (str, os.PathLike)) else "the model"


def example(network):
    """An input to try: normally distributed numbers, the same every time."""
    return np.random.default_rng(0).standard_normal((1, *network.input_shape)).astype(np.float32)


def compared(source, network, batch, input, output, constants):
    """(largest difference of the scores as a share of the largest, beside whose); (None, why not)."""
    if isinstance(source, Network) or (isinstance(source, (str, os.PathLike))
                                       and pathlib.Path(source).suffix == ".npz"):
        if network.reference is None:
            return None, "the network holds no reference"
        given, theirs = network.reference
        ours, beside = network.logits(given), "the scores stored in the model file"
    else:
        from .onnx.beside import onnxruntime_scores
        try:
            theirs = onnxruntime_scores(source, batch, input=input, output=output, constants=constants)
        except (ImportError, ModelFileError) as error:
            return None, str(error)
        exact = network.astype(np.float64)
        ours = exact.trace(batch.astype(np.float64)).outputs[network.nodes[-1].name]
        beside = "onnxruntime"
    return float(np.abs(ours.reshape(theirs.shape) - theirs).max() / max(np.abs(theirs).max(), 1e-30)), beside


def audit(network, batch, rules, target):
    """The PresetCheck of one preset."""
    name = rules if isinstance(rules, str) else composite(rules).name
    try:
        ledger = explain(network, batch[0], rules, target).ledger
    except (ValueError, ArithmeticError) as error:
        return PresetCheck(name, error=clean(error, 200))
    score, total = float(ledger.start), ledger.total
    if not score:
        return PresetCheck(name, error="the explained score is 0")
    shares = {column: float(getattr(total, column)) / score
              for column in ("bias", "stabilizer", "gated", "softmax", "state", "by_rule")}
    # the layer with the largest part of what all biases took, or, where they added, of what they added
    most = max(ledger.entries, key=lambda entry: entry.bias * total.bias)
    largest = max(ledger.entries, key=lambda entry: entry.turnover)
    return PresetCheck(name, score, float(ledger.arrived) / score, **shares,
                       most=(most.name, float(most.bias) / score),
                       largest=(largest.name, float(largest.turnover) / 2 / abs(score)))


def node_checks(network, rules, batch):
    """A NodeCheck for every node that is explained."""
    method, scoring = composite(rules), network.scoring
    left: dict = {}
    if has_numba():
        from .numba_engine.left import left_to_numpy
        left = left_to_numpy(network, method, "float32", bool(batch.min() >= 0))
    missing = "" if has_numba() else "Numba is not installed"
    found = []
    for node, rule in zip(scoring.nodes, method.rules_for(scoring)):
        why = [left.get(node.name, {}).get(direction, missing) for direction in ("forward", "backward")]
        engines = ["numpy" if one else "numba" for one in why]
        found.append(NodeCheck(node.name, node.layer.type, scoring.shapes[node.name], str(rule),
                               ", ".join(dict.fromkeys(engines)), *why))
    return tuple(found)


# ---- findings: sentences

def about_scores(network, difference, tolerance, beside):
    """Do the scores agree, and which are explained?"""
    if difference is None:
        yield f"The scores were not compared: {beside}."
    elif difference <= tolerance:
        yield f"The scores agree with {beside}: they differ by at most {difference:.1e} of the largest."
    else:
        yield (f"The scores DISAGREE with {beside}: they differ by {difference:.1e} of the largest. Do not "
               "believe explanations of this network; please report the model.")
    last, _ = final_activation(network)
    if last is not None:
        yield (f"Explained is the score before the {last.layer.type} '{clean(last.name)}' at the end.")
    if len(network.output_shape) > 1:
        yield (f"The output has the shape {network.output_shape}: name one score as a target, "
               f"{(0,) * len(network.output_shape)}, or 'sum' for all together.")


def about_engine(nodes):
    """Which convolutions and dense layers run on kernels?"""
    heavy = [node for node in nodes if "Conv" in node.type or node.type == "Dense"]
    slow = [node for node in heavy if node.forward or node.backward]
    if heavy:
        yield (f"{len(heavy) - len(slow)} of {len(heavy)} convolutions and dense layers run on compiled "
               "kernels" + (f"; not {', '.join(clean(node.name) for node in slow[:5])}." if slow else "."))


def about_presets(presets):
    """What keeps the score, and what grows."""
    for one in presets:
        if one.error:
            yield f"{one.rules} gives no explanation: {one.error}"
            continue
        if abs(one.bias) > ABSORBED:
            whole, part = f"{abs(one.bias):.0%}", f"{abs(one.most[1]):.0%}"
            yield (f"{one.rules}: of the score {one.score:.3g}, biases {'keep' if one.bias > 0 else 'add'} "
                   f"{whole} (most in '{clean(one.most[0])}'{f', {part}' if part != whole else ''}); the "
                   f"input gets {one.arrived:.0%}.")
        for column, what in (("stabilizer", "stabilizers absorb {:.0%} of the score: denominators are close "
                              "to zero"),
                             ("softmax", "softmaxes inside the network do not conserve {:.0%} of the score"),
                             ("state", "{:.0%} of the score goes to the states that recurrent layers begin "
                              "with"),
                             ("gated", "{:.0%} of the score finds no input to go to: padding, or units whose "
                              "inputs are all zero")):
            share = getattr(one, column)
            if abs(share) > ABSORBED:
                yield f"{one.rules}: {what.format(share)}."
        if one.largest[1] > GROWS:
            yield (f"{one.rules}: relevance explodes: at '{clean(one.largest[0])}' it adds up to "
                   f"{one.largest[1]:.2g} times the score in magnitude, as large parts of both signs cancel. "
                   "Take rules that keep less of the negative parts, or a larger epsilon.")


def about_layers(network, batch):
    """What single layers do on this input: signs that turn, winners that are tied."""
    scoring = network.scoring
    trace = scoring.trace(batch.astype(np.float64))
    for node in scoring.nodes:
        x = trace.outputs[node.inputs[0]]
        if isinstance(node.layer, SIGNED) and not gates_only(scoring, node.name) and (x < 0).any():
            yield (f"'{clean(node.name)}' ({node.layer.type}) is positive where its input is negative "
                   f"({(x < 0).mean():.0%} of its numbers here): relevance that passes it changes its sign "
                   "in the sums below. Name an output before it, if you can.")
        tied = ties(node.layer, x, trace.outputs[node.name])
        if tied > TIED:
            yield (f"'{clean(node.name)}' ({node.layer.type}): {tied:.0%} of its winners are tied, as where "
                   "an input repeats itself; which of them gets the relevance is a matter of rounding.")


def gates_only(network, name):
    """Do only products and normalising softmaxes read a node, so that it takes no relevance as a gate?"""
    readers = [node for node in network.nodes if name in node.inputs]
    return bool(readers) and all(isinstance(node.layer, (L.Product, L.Softmax)) or (
        isinstance(node.layer, (L.Move, L.Affine, L.Scale, L.BatchNorm)) and gates_only(network, node.name))
        for node in readers)


def ties(layer, x, y):
    """The share of the winners of a maximum over whole axes that others equal."""
    if isinstance(layer, L.Max):
        axes = layer.gone(x.shape[1:])
    elif isinstance(layer, (L.GlobalMaxPool1D, L.GlobalMaxPool2D)):
        axes = tuple(range(1, x.ndim - 1))
    else:
        return 0.0
    largest = x.max(axis=axes, keepdims=True)
    several = (x >= largest - 1e-6 * np.abs(largest)).sum(axis=axes) > 1
    return float((several & (largest.reshape(several.shape) != 0)).mean())
