"""Gradients as baselines, through the same networks and into the same ledger: no second tool for a
comparison.

Four presets: "gradient", "input_x_gradient", "guided_backprop" and "deconvnet". They start from 1 at the
explained
score, not from the score, and conserve nothing: their ledger books the difference of every layer as gated.
Integrated gradients and SmoothGrad average gradients over inputs.

`gradient_flow` is the twin of `flow.flow`, and as open to layers from outside.

Sources: Zeiler and Fergus 2014 (deconvnet); Springenberg et al. 2015 (guided backprop); Sundararajan et al.
2017 (integrated gradients); Smilkov et al. 2017 (SmoothGrad).
"""
import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from . import layers as L
from .flow import Book, through_max_pool, through_move, total
from .network import Node
from .show import line
from .steps import cross
from .text import quote
from .through_products import through_extreme, through_where


def plain(layer, x, r):
    """The chain rule: r · dy/dx."""
    return r * layer.derivative(x)


def guided(layer, x, r):
    """Through a ReLU only positive gradients: r⁺ · dy/dx. Other activations as the chain rule has it."""
    return plain(layer, x, np.maximum(r, 0) if isinstance(layer, (L.ReLU, L.ReLU6)) else r)


def deconvolved(layer, x, r):
    """Through a ReLU positive gradients, whatever the ReLU did: r⁺. Other activations as the chain rule has
    it.
    """
    return np.maximum(r, 0) if isinstance(layer, (L.ReLU, L.ReLU6)) else plain(layer, x, r)


@dataclasses.dataclass(frozen=True)
class GradientMethod:
    """A baseline by name: what happens at activations, and whether the result is multiplied by the input."""
    name: str
    through_activation: Callable
    times_input: bool = False

    def __repr__(self):
        return line("GradientMethod", self.name)


METHODS = {method.name: method for method in (
    GradientMethod("gradient", plain), GradientMethod("input_x_gradient", plain, times_input=True),
    GradientMethod("guided_backprop", guided), GradientMethod("deconvnet", deconvolved))}


@functools.singledispatch
def gradient_flow(layer: L.Layer, method: GradientMethod, xs: list[np.ndarray], y: np.ndarray,
                  r: np.ndarray, book: Book) -> list[np.ndarray]:
    """Carry a gradient from a layer's output to its inputs: [dscore/dx for each of xs].

    method: the GradientMethod asked for. The other arguments are those of `flow.flow`, with r the gradient at
    y. For a layer of one's own: @lrp_core.gradient_flow.register(MyLayer). Raises ValueError where nothing is
    registered.
    """
    raise ValueError(f"{layer.type} has no gradient here; register a function with "
                     f"@lrp_core.gradient_flow.register({layer.type})")


@gradient_flow.register(L.Linear)
def through_linear(layer, method, xs, y, r, book):
    """Wᵀ r."""
    return [layer.adjoint(r, layer.kernel, xs[0].shape[1:])]


@gradient_flow.register(L.Merge)
def through_merge(layer, method, xs, y, r, book):
    """σ_i r for each input."""
    return [sign * r for sign in layer.signs(len(xs))]


@gradient_flow.register(L.Normalization)
@gradient_flow.register(L.LocalResponseNorm)
def through_normalization(layer, method, xs, y, r, book):
    """The transpose of the true derivative: the deviation depends on x."""
    return [layer.gradient_at(xs[0], r)]


@gradient_flow.register(L.Activation)
def through_activation(layer, method, xs, y, r, book):
    """What the method does at activations."""
    return [method.through_activation(layer, xs[0], r)]


@gradient_flow.register(L.Product)
def through_product(layer, method, xs, y, r, book):
    """The product rule."""
    return list(layer.gradients(*xs, y, r))


@gradient_flow.register(L.Softmax)
def through_softmax(layer, method, xs, y, r, book):
    """y (r - Σ y r)."""
    return [y * (r - (y * r).sum(axis=layer.axis, keepdims=True))]


@gradient_flow.register(L.LogSoftmax)
def through_log_softmax(layer, method, xs, y, r, book):
    """r - softmax(x) Σ r."""
    return [r - np.exp(y) * r.sum(axis=layer.axis, keepdims=True)]


gradient_flow.register(L.Extreme)(through_extreme)
gradient_flow.register(L.Where)(through_where)
gradient_flow.register(L.Move)(through_move)
gradient_flow.register(L.Pad)(through_move)
gradient_flow.register(L.WinnerTakesAll)(through_max_pool)


@dataclasses.dataclass(frozen=True)
class GradientStep:
    """One node of a gradient's way back; the counterpart of `steps.Step`."""
    node: Node
    method: GradientMethod

    @property
    def rule_name(self):
        """The method as the ledger prints it."""
        return self.method.name

    def back(self, trace, r):
        """([gradient at each input], Book) from the gradient r at the node's output."""
        moved, book = cross(self.node, trace, r, self._cross)
        book.gated += total(r) - sum(map(total, moved))
        return moved, book

    def _cross(self, layer, xs, y, r, book):
        found = next(cls for cls in type(layer).__mro__ if cls in gradient_flow.registry)
        if found is not object and not L.is_known(layer) and L.forward_alone(layer, found):
            raise ValueError(f"its forward is its own, and its gradient that of {found.__name__}; define "
                             "derivative(x), or register a function with "
                             f"@lrp_core.gradient_flow.register({layer.type})")
        return gradient_flow(layer, self.method, xs, y, r, book)


def plan_gradient(network, method):
    """A GradientStep for every node in topological order; raises ValueError that names a node without a
    gradient.
    """
    for node in network.nodes:
        if gradient_flow.dispatch(type(node.layer)) is gradient_flow.dispatch(object):
            raise ValueError(f"layer {quote(node.name)} ({node.layer.type}) has no gradient here: register "
                             f"a function with @lrp_core.gradient_flow.register({node.layer.type})")
    return tuple(GradientStep(node, method) for node in network.nodes)
