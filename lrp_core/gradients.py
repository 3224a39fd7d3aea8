"""Gradients as baselines, through the same networks and the same bookkeeping: no second tool for a comparison.

Four presets: "gradient", "input_x_gradient", "guided_backprop" and "deconvnet". They start from 1 at the explained
score, not from the score, and conserve nothing: their ledger books the difference of every layer as gated.
Integrated gradients and SmoothGrad average gradients over inputs.

Sources: Zeiler and Fergus 2014 (deconvnet); Springenberg et al. 2015 (guided backprop); Sundararajan et al. 2017
(integrated gradients); Smilkov et al. 2017 (SmoothGrad).
"""
import dataclasses
from collections.abc import Callable

import numpy as np

from . import layers as L
from .backward import Booked, move_back, total
from .network import Node
from .text import quote


def plain(layer, x, r):
    """The chain rule: r · dy/dx."""
    return r * layer.derivative(x)


def guided(layer, x, r):
    """Through a ReLU only positive gradients: r⁺ · dy/dx. Other activations as the chain rule has it."""
    return plain(layer, x, np.maximum(r, 0) if isinstance(layer, (L.ReLU, L.ReLU6)) else r)


def deconvolved(layer, x, r):
    """Through a ReLU positive gradients, whatever the ReLU did: r⁺. Other activations as the chain rule has it."""
    return np.maximum(r, 0) if isinstance(layer, (L.ReLU, L.ReLU6)) else plain(layer, x, r)


@dataclasses.dataclass(frozen=True)
class GradientMethod:
    """A baseline by name: what happens at activations, and whether the result is multiplied by the input."""
    name: str
    through_activation: Callable
    times_input: bool = False


METHODS = {method.name: method for method in (
    GradientMethod("gradient", plain), GradientMethod("input_x_gradient", plain, times_input=True),
    GradientMethod("guided_backprop", guided), GradientMethod("deconvnet", deconvolved))}


@dataclasses.dataclass(frozen=True)
class GradientStep:
    """One node of a gradient's way back; the counterpart of `backward.Step`."""
    node: Node
    method: GradientMethod

    @property
    def rule_name(self):
        """The method as the ledger prints it."""
        return self.method.name

    def back(self, trace, r):
        """([gradient at each input], Booked) from the gradient r at the node's output."""
        layer, booked = self.node.layer, Booked.nothing(len(r))
        xs = [trace.outputs[name] for name in self.node.inputs]
        if isinstance(layer, L.Linear):
            moved = [layer.adjoint(r, layer.kernel, xs[0].shape[1:])]
        elif isinstance(layer, L.Merge):
            moved = [sign * r for sign in layer.signs(len(xs))]
        elif isinstance(layer, L.LayerNorm):
            moved = [layer.gradient_at(xs[0], r)]
        elif isinstance(layer, L.Activation):
            moved = [self.method.through_activation(layer, xs[0], r)]
        else:
            moved = move_back(layer, xs, trace.winners.get(self.node.name), r)
        booked.gated += total(r) - sum(map(total, moved))
        return moved, booked


def plan_gradient(network, method):
    """A GradientStep for every node in topological order."""
    for node in network.nodes:
        if isinstance(node.layer, L.Softmax):
            raise ValueError(f"layer {quote(node.name)} (Softmax) cannot be explained inside a network, only dropped at its end")
    return tuple(GradientStep(node, method) for node in network.nodes)
