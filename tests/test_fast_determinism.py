"""The fast path gives the same bits: in any batch, on any number of threads, at the same time, again, and in
a forked child.
"""
import concurrent.futures
import hashlib
import multiprocessing
import os
import threading

import fast_nets
import nets
import numpy as np
import pytest
from test_explain import fingerprint

import lrp_core
from lrp_core import Contrast
from lrp_core import layers as L

NETS = {"vgg": fast_nets.vgg, "branching": fast_nets.branching, "deep": lambda: nets.deep(80)}
RULES = ("preset_b_flat", "epsilon", "WSquare")


def rules(name):
    return lrp_core.WSquare() if name == "WSquare" else name


def batch(network, count=9):
    """Neighbours of all kinds: mixed, without negative parts, silent, loud."""
    x = nets.inputs(network, count, 80)
    x[1::4], x[3], x[5:6] = np.abs(x[1::4]), 0, x[5:6] * 100
    return x


def bits(network, x, name, **options):
    """One fingerprint for each sample."""
    found = lrp_core.explain(network, x, rules(name), engine="numba", dtype="float32", layers=True, **options)
    return [fingerprint(found)] if x.ndim == len(network.input_shape) else [fingerprint(found, k)
                                                                            for k in range(len(x))]


@pytest.fixture(scope="module", params=NETS)
def case(request):
    """(a network, a batch for it, the bits of each sample explained alone on one thread, by rule)."""
    network = NETS[request.param]()
    x = batch(network)
    return network, x, {name: [bits(network, one, name, threads=1)[0] for one in x] for name in RULES}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_batches_and_threads(case, name, threads):
    """Batches of 1 to 9, at every place: fewer samples than threads are a team's work, more are chunks."""
    network, x, alone = case
    assert len(set(alone[name])) == len(x)
    for count in range(1, 10):
        order = [(4 * count + k) % 9 for k in range(count)]
        assert bits(network, x[order], name, threads=threads) == [alone[name][k] for k in order], count
    assert bits(network, x[0], name, threads=threads) == alone[name][:1]


@pytest.mark.parametrize("name", ["preset_a", "preset_b", "epsilon_plus", "epsilon_alpha2_beta1", "epsilon"])
def test_neighbours_with_a_sign(name):
    """Where no number of a sample is below zero, negative parts are left out; that must not hang on its
    neighbours.
    """
    rng = np.random.default_rng(82)
    network = lrp_core.Network([("conv", fast_nets.scaled(rng, (3, 3), 32, 32)), ("relu", L.ReLU()),
                                ("pool", L.MaxPool2D(3, 2, "same")),
                                ("mean", L.GlobalAveragePool2D()), ("out", fast_nets.fully(rng, 32, 3))],
                                (13, 12, 32))
    x = nets.numbers(rng, 5, 13, 12, 32)
    x[[1, 4]] = np.abs(x[[1, 4]])
    alone = [bits(network, one, name)[0] for one in x]
    assert bits(network, x, name) == alone and bits(network, x[::-1], name) == alone[::-1]
    assert bits(network, x[[1, 4]], name) == [alone[1], alone[4]]


def test_again(case):
    """Workspaces that other samples used, also by other rules, leave no trace."""
    network, x, alone = case
    for _ in range(3):
        for name in RULES:
            assert bits(network, x[::-1], name, threads=2) == alone[name][::-1]


def test_a_fresh_network_of_the_same_numbers(case):
    network, x, alone = case
    again = network.replace(metadata={"fresh": True})
    assert bits(again, x, "epsilon") == alone["epsilon"]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_targets_together_and_one_by_one(case, threads):
    """A single sample's targets go back side by side, more of them than a workspace holds."""
    network, x, _ = case
    targets = [0, Contrast(1, "max"), 2, "max", 1] * 4 + ["siren"]
    alone = {repr(t): bits(network, x[4], "preset_b_flat", target=t, threads=1) for t in targets}
    together = lrp_core.explain_each(network, x[4], "preset_b_flat", targets, engine="numba", dtype="float32",
                                     layers=True, threads=threads)
    assert [[fingerprint(one)] for one in together] == [alone[repr(t)] for t in targets]


@pytest.mark.parametrize("name", RULES)
def test_targets_that_live_in_different_places(name):
    """Each class reads a few rows of the map of its own: alone its relevance is sparse, side by side that of
    all is not.
    """
    rng = np.random.default_rng(81)
    readers = np.abs(nets.numbers(rng, 10, 80, 5)) * (np.arange(10)[:, None, None] // 2 == np.arange(5))
    network = lrp_core.Network([
        ("conv1", fast_nets.scaled(rng, (3, 3), 16, 16)), ("relu1", L.ReLU()),
        ("conv2", fast_nets.scaled(rng, (3, 3), 16, 16)),
        ("relu2", L.ReLU()), ("flatten", L.Flatten()), ("out", L.Dense(readers.reshape(800, 5)))],
        (10, 5, 16))
    x = nets.inputs(network, 1, 81)[0]
    together = lrp_core.explain_each(network, x, rules(name), engine="numba", dtype="float32", layers=True)
    assert [[fingerprint(one)] for one in together] == [bits(network, x, name, target=k) for k in range(5)]


def test_explanations_at_once(case):
    """Six threads with batches, rules and teams of their own through one network, begun together, twice over.
    """
    network, x, alone = case
    jobs = [(np.roll(np.arange(9), k)[:size], RULES[k % 3], threads)
            for k, (size, threads) in enumerate([(1, 2), (9, 2), (2, 3), (5, 1), (1, 5), (7, 2)])]
    barrier = threading.Barrier(len(jobs))

    def run(job):
        order, name, threads = job
        barrier.wait(60)
        return [bits(network, x[order], name, threads=threads) == [alone[name][k] for k in order]
                for _ in range(2)]

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        assert list(pool.map(run, jobs)) == [[True, True]] * len(jobs)


INHERITED = []  # by a fork: the parent's network with its programs, whose crew has no threads in the child


def digest_in_child(case):
    """What a forked process answers."""
    count, name, threads = case
    network, x = INHERITED[0], INHERITED[1][:count]
    return os.getpid(), hashlib.sha256(b"".join(bits(network, x, name, threads=threads))).hexdigest()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_after_a_fork(case):
    """Chunks on a crew and a team on one sample, in a child of a process that has used both."""
    network, x, alone = case
    assert (
        bits(network, x, "epsilon", threads=2) == alone["epsilon"]
        and bits(network, x[0], "epsilon", threads=3) == alone["epsilon"][:1]
    )
    INHERITED[:] = network, x
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for count, threads in ((9, 2), (1, 3), (1, 1)):
            child, found = pool.apply_async(digest_in_child, [(count, "epsilon", threads)]).get(timeout=30)
            assert child != os.getpid()
            assert found == hashlib.sha256(b"".join(alone["epsilon"][:count])).hexdigest()
    assert bits(network, x, "epsilon", threads=2) == alone["epsilon"]


