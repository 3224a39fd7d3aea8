"""The least time that an explanation can take on a machine: its products at the rate of the machine's own
matrix product, and the bytes that each pass must move at the rate of a copy.
"""
import concurrent.futures
import math
import typing

import numpy as np
import threadpoolctl

from lrp_core import composites
from lrp_core import layers as L
from lrp_core.numba_engine.facts import nonnegative_nodes
from lrp_core.rules import negative, ones, whole
from lrp_core.steps import plan

from .machine import product_rate
from .peers.protocol import time_calls

MOVED = 1 << 26  # bytes of each array of the copy: more than caches hold
DTYPES = ("float32", "float64")


class Work(typing.NamedTuple):
    """What a node must do for a sample in one direction: multiply-adds and bytes."""
    multiply_adds: float
    bytes: float


class Rates(typing.NamedTuple):
    """Multiply-adds and bytes a second."""
    multiply_adds: float
    bytes: float

    def seconds(self, work):
        """How long some Work takes at these rates."""
        return work.multiply_adds / self.multiply_adds + work.bytes / self.bytes


def measured(threads):
    """{dtype: Rates} of this machine on some threads."""
    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        products = {dtype: product_rate(np.dtype(dtype)) * 1e9 / 2 for dtype in DTYPES}
    moved = copy_rate(threads)
    return {dtype: Rates(rate, moved) for dtype, rate in products.items()}


def copy_rate(threads):
    """Bytes read and written a second where each thread copies arrays of its own."""
    pairs = [(np.ones(MOVED, np.uint8), np.ones(MOVED, np.uint8)) for _ in range(threads)]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        def copy():
            list(pool.map(lambda pair: np.copyto(*pair), pairs))
        return 2 * MOVED * threads / time_calls(copy, least=0.5)


def of(network, preset, *, batch, dtype, nonnegative):
    """{(node, "forward" or "backward"): Work} of a preset. nonnegative: no number of the input is below zero.

    Activations and moves cost nothing: they are part of what stands before them. Weights are read once for
    each product and batch.
    """
    network, size = network.scoring, np.dtype(dtype).itemsize
    signless, found = nonnegative_nodes(network, nonnegative), {}
    for step in plan(network, composites.composite(preset).rules_for(network)):
        node = step.node
        if isinstance(node.layer, L.Move) or (len(node.inputs) == 1 and not mixes(node.layer)):
            continue
        source = sum(math.prod(network.shapes[name]) for name in node.inputs)
        made, weights = math.prod(network.shapes[node.name]), node.layer.parameters / batch
        once, products = best(network, node), products_back(step, signless.issuperset(node.inputs))
        found[node.name, "forward"] = Work(once, size * (source + made + weights))
        found[node.name, "backward"] = Work(products * once,
                                            size * (2 * source + 2 * made + products * weights))
    return found


def mixes(layer):
    """Does a layer of one input make an output from several numbers? One that does not is done in passing."""
    return isinstance(layer, (L.Linear, L.WinnerTakesAll))


def products_back(step, nonnegative):
    """How many products as large as the forward pass's a rule takes: one back for each term, and one before
    for a denominator that is not the output. Parts that are empty take none, nor does a kernel of ones.
    """
    terms = [term for group in step.groups for term in group.terms
             if term.part is not ones and not (nonnegative and term.part is negative)]
    return sum(1 if term.part is whole and term.kernel is step.node.layer.kernel else 2 for term in terms)


def best(network, node):
    """Multiply-adds of a forward pass of a layer with weights by the best algorithm that is known here:
    Winograd's F(4x4, 3x3) where it takes less, else the direct sums.

    A tile of Winograd's takes 36 products, 144 operations a channel before and 100 a filter after (Lavin and
    Gray 2016).
    """
    layer, shape = node.layer, network.shapes[node.name]
    if not isinstance(layer, L.Weighted):
        return 0
    direct = layer.kernel.size // shape[-1] * math.prod(shape)
    plain = ((3, 3), (1, 1), (1, 1))
    if (type(layer) is not L.Conv2D or layer.groups > 1
            or (layer.window.size, layer.window.strides, layer.window.dilation) != plain):
        return direct
    channels, filters = layer.kernel.shape[2:]
    tiles = math.prod(-(-side // 4) for side in shape[:2])
    return min(direct, tiles * (36 * channels * filters + 144 * channels + 100 * filters))


def total(works, rates):
    """Seconds of all Work together."""
    return sum(map(rates.seconds, works.values()))
