"""What explaining promises around the rules: the same bits in any batch, targets, refusals, no traces left
after.
"""
import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys

import nets
import numpy as np
import pytest
import threadpoolctl

import lrp_core
from lrp_core import AlphaBeta, Epsilon, Flat, Network, WSquare, Zero
from lrp_core import layers as L

ROOT = pathlib.Path(__file__).parents[1]


def fingerprint(explanation, index=None):
    """The bytes of everything one sample's explanation holds."""
    one = explanation if index is None else explanation[index]
    numbers = [one.relevance, one.logits, np.array(one.target),
               np.array([one.ledger.start, one.ledger.arrived])]
    numbers += [np.array([getattr(entry, name) for name in entry.NUMBERS]) for entry in one.ledger]
    numbers += [] if one.layers is None else [one.layers[name] for name in sorted(one.layers)]
    return b"".join(np.ascontiguousarray(array).tobytes() for array in numbers)


# --- the same bits --------------------------------------------------------------------------------

@nets.every_engine
@pytest.mark.parametrize("make, rules", [
    (nets.wide, "preset_b_flat"), (nets.wide, "epsilon"), (lambda: nets.deep(51), "preset_b")],
    ids=["wide-preset_b_flat", "wide-epsilon", "deep-preset_b"])
def test_a_sample_is_explained_alike_in_any_batch(make, rules, how):
    """Alone, in batches of 2 to 9 at any place, with 1, 2, 3 threads: the same bytes, ledger and layers
    included.
    """
    network = make()
    x = nets.inputs(network, 9, 51)
    x[::3] = np.abs(x[::3])             # neighbours of another kind: without negative parts, or silent
    x[4] = 0
    alone = [fingerprint(lrp_core.explain(network, sample, rules, layers=True, **how)) for sample in x]
    assert len(set(alone)) == 9
    for count in range(1, 10):
        shift = 4 * count % 9           # every sample meets even and odd places, starts and ends
        order = [(shift + k) % 9 for k in range(count)]
        found = lrp_core.explain(network, x[order], rules, layers=True, **how, threads=1 + count % 3)
        assert [fingerprint(found, k) for k in range(count)] == [alone[sample] for sample in order], count
    for threads in (1, 2, 3, None):
        found = lrp_core.explain(network, x, rules, layers=True, **how, threads=threads)
        assert [fingerprint(found, k) for k in range(9)] == alone, threads
        assert np.array_equal(network.logits(x[:1])[0], network.logits(x)[0])


@pytest.mark.parametrize("chunk", [1, 3, 5, 64])
def test_the_chunk_does_not_matter(chunk, monkeypatch):
    network = nets.wide()
    x = nets.inputs(network, 7, 52)
    usual = lrp_core.explain(network, x, "preset_a_flat")
    monkeypatch.setattr("lrp_core.chunks.CHUNK", chunk)
    other = lrp_core.explain(network, x, "preset_a_flat", threads=2)
    assert [fingerprint(other, k) for k in range(7)] == [fingerprint(usual, k) for k in range(7)]


def in_a_fresh_process(script, **environment):
    """What a script prints when it runs alone, with only the repository on its path."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True,
                         timeout=120,
                         env={**os.environ, "PYTHONPATH": path, **environment})
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_another_run_gives_the_same_bits():
    """A fresh process, another hash seed, another number of BLAS threads."""
    script = ("import hashlib, lrp_core, nets, test_explain as t\n"
              "n = nets.wide()\n"
              "e = lrp_core.explain(n, nets.inputs(n, 3, 53), 'preset_b_flat', layers=True)\n"
              "print(hashlib.sha256(b''.join(t.fingerprint(e, k) for k in range(3))).hexdigest())")
    network = nets.wide()
    here = lrp_core.explain(network, nets.inputs(network, 3, 53), "preset_b_flat", layers=True)
    digest = hashlib.sha256(b"".join(fingerprint(here, k) for k in range(3))).hexdigest()
    for seed, threads in (("1", "1"), ("2", "4")):
        assert in_a_fresh_process(script, PYTHONHASHSEED=seed, OPENBLAS_NUM_THREADS=threads) == digest


# --- shapes, targets, layers
# -----------------------------------------------------------------------------------------

def test_a_single_sample_and_a_batch_of_one():
    network = nets.deep(54)
    x = nets.inputs(network, 1, 54)
    single, batch = (lrp_core.explain(network, x_, Zero(), layers=True) for x_ in (x[0], x))
    assert single.relevance.shape == network.input_shape and batch.relevance.shape == (
        1,
        *network.input_shape,
    )
    assert single.logits.shape == (3,) and batch.logits.shape == (1, 3)
    assert single.target == batch.target[0] and batch.target.shape == (1,)
    assert fingerprint(single) == fingerprint(batch, 0)
    assert isinstance(single.ledger.start, float) and batch.ledger.start.shape == (1,)
    with pytest.raises(TypeError):
        single[0]


@pytest.mark.parametrize("target, numbers", [
    ("drill", [1, 1, 1]), (2, [2, 2, 2]), (np.int64(0), [0, 0, 0]), ([0, 2, 1], [0, 2, 1]),
    (np.array([1, 0, 2]), [1, 0, 2]), (["siren", 0, "drill"], [2, 0, 1]),
    (("max", 1, "max"), None), ("max", None)], ids=repr)
def test_targets(target, numbers):
    """A target's relevance starts as its own logit and is what explaining it alone gives; "max" is the
    winner.
    """
    network = nets.deep(55)
    x = nets.inputs(network, 3, 55)
    found = lrp_core.explain(network, x, Epsilon(0.1), target)
    if numbers is None:
        numbers = list(np.argmax(network.logits(x), axis=1))
        numbers[1] = numbers[1] if target == "max" else 1
    assert list(found.target) == numbers
    for k, number in enumerate(numbers):
        assert found.ledger.start[k] == pytest.approx(float(found.logits[k, number]), rel=1e-7)
        assert fingerprint(found, k) == fingerprint(lrp_core.explain(network, x[k], Epsilon(0.1),
                                                                     int(number)))
    assert len({tuple(r.flat) for r in (lrp_core.explain(network, x[0], Zero(), c).relevance
                                        for c in range(3))}) == 3


@pytest.mark.parametrize("target, error, words", [
    ("cat", ValueError, ["cat", "bark", "siren"]), (3, ValueError, ["3", "0..2"]), (-1, ValueError, ["-1"]),
    (1.0, TypeError, ["1.0"]), (True, TypeError, ["True"]), (None, TypeError, ["None"]),
    ([0, 1], ValueError, ["3", "2"]), ([0, 1, "cat"], ValueError, ["cat"]), ([0, 1, 7], ValueError, ["7"]),
    ([[0], [1], [2]], TypeError, ["[0]"])], ids=repr)
def test_targets_that_do_not_exist(target, error, words):
    network = nets.deep(55)
    with pytest.raises(error) as raised:
        lrp_core.explain(network, nets.inputs(network, 3), Zero(), target)
    for word in words:
        assert word in str(raised.value)


def test_a_name_for_a_network_without_names():
    network = nets.deep(55).replace(class_names=None)
    with pytest.raises(ValueError, match="'bark'.*0..2"):
        lrp_core.explain(network, nets.inputs(network, 1), Zero(), "bark")


@pytest.mark.parametrize("rule", [Zero(), Epsilon(0.5), AlphaBeta(2, 1, "split"), Flat()], ids=repr)
def test_layers_hold_what_the_ledger_counts(rule):
    """Every node's relevance is kept on request, and sums to what its ledger received and the next was
    handed.
    """
    network = nets.deep(56)
    x = nets.inputs(network, 3, 56)
    found = lrp_core.explain(network, x, rule, layers=True)
    assert set(found.layers) == {"input", *(node.name for node in network.nodes)}
    np.testing.assert_array_equal(found.layers["input"], found.relevance)
    below = "input"
    for node in network.nodes:
        entry, relevance = found.ledger[node.name], found.layers[node.name]
        assert relevance.shape == (3, *network.shapes[node.name])
        for counted, at in ((entry.received, node.name), (entry.passed, below)):
            sums = found.layers[at].reshape(3, -1).sum(axis=1, dtype=np.float64)
            assert np.all(np.abs(sums - counted) <= 1e-7 * entry.turnover), at
        below = node.name
    assert lrp_core.explain(network, x, rule).layers is None


def test_a_node_that_no_one_reads():
    """It takes no part: the relevance is that of the network without it."""
    rng = np.random.default_rng(57)
    out, aside = ("out", nets.dense(rng, 4, 3), ("input",)), ("aside", nets.dense(rng, 4, 2))
    x = nets.numbers(rng, 4)
    alone = lrp_core.explain(Network([out], (4,)), x, Zero()).relevance
    np.testing.assert_array_equal(lrp_core.explain(Network([aside, out], (4,)), x, Zero()).relevance, alone)


def test_progress_counts_every_sample_once():
    network, seen = nets.deep(57), []
    lrp_core.explain(network, nets.inputs(network, 7), Zero(), progress=seen.append, threads=3)
    assert sum(seen) == 7 and min(seen) > 0


# --- inputs ---------------------------------------------------------------------------------------

def spoilt(value, sample):
    x = np.random.default_rng(58).normal(size=(3, 9, 7, 2))
    x[sample, 4, 4, 1] = value
    return x


@pytest.mark.parametrize("x, error, words", [
    (spoilt(np.nan, 1), ValueError, ["NaN", "sample 1"]),
    (spoilt(np.inf, 2), ValueError, ["infinity", "sample 2"]),
    (spoilt(-np.inf, 0)[0], ValueError, ["infinity"]),
    (np.zeros((3, 9, 6, 2)), ValueError, ["(9, 7, 2)", "(3, 9, 6, 2)"]),
    (np.zeros((9, 7)), ValueError, ["(9, 7)"]),
    (np.zeros((1, 1, 9, 7, 2)), ValueError, ["(1, 1, 9, 7, 2)"]),
    (np.zeros((0, 9, 7, 2)), ValueError, ["empty"]),
    (np.float32(1), ValueError, ["()"]), (np.zeros((9, 7, 2), bool), TypeError, ["bool"]),
    (np.full((9, 7, 2), "1"), TypeError, ["numbers"]), (np.zeros((9, 7, 2), complex), TypeError, ["complex"]),
    (np.zeros((9, 7, 2), object), TypeError, ["object"]), (None, TypeError, ["numbers"])],
    ids=["nan", "inf", "-inf", "shape", "rank2", "rank5", "empty", "number", "bool", "str", "complex",
         "object", "None"])
def test_inputs_that_cannot_be_explained(x, error, words):
    network = nets.deep(58)
    for call in (lambda: lrp_core.explain(network, x, Zero()), lambda: network.logits(x)):
        with pytest.raises(error) as raised:
            call()
        for word in words:
            assert word in str(raised.value)


def test_integer_images_count_as_their_numbers():
    network = nets.deep(59)
    image = np.random.default_rng(59).integers(0, 256, size=(2, *network.input_shape), dtype=np.uint8)
    as_bytes, as_floats = (lrp_core.explain(network, x, Zero()) for x in (image, image.astype(np.float64)))
    assert fingerprint(as_bytes, 1) == fingerprint(as_floats, 1)


@pytest.mark.parametrize("layout", ["reversed view", "column order", "list"])
def test_memory_layout_does_not_matter(layout):
    network = nets.deep(59)
    x = nets.inputs(network, 2, 59)
    other = {"reversed view": x[:, ::-1].copy()[:, ::-1], "column order": np.asfortranarray(x),
             "list": x.tolist()}
    usual, unusual = (lrp_core.explain(network, batch, Zero()) for batch in (x, other[layout]))
    assert fingerprint(unusual, 1) == fingerprint(usual, 1)


@pytest.mark.parametrize("option, value", [("dtype", "float16"), ("dtype", "int32"), ("threads", 0),
                                           ("threads", 1.5)])
def test_options_that_do_not_exist(option, value):
    network = nets.deep(59)
    with pytest.raises((ValueError, TypeError), match=f"{option}.*{value}"):
        lrp_core.explain(network, nets.inputs(network, 1), Zero(), **{option: value})


@pytest.mark.parametrize("rule", ["epsilon", "preset_a_flat", "preset_b", Zero(), WSquare()], ids=repr)
def test_float32_is_close_to_float64(rule):
    network = nets.wide()
    x = nets.inputs(network, 2, 60)
    exact, fast = (lrp_core.explain(network, x, rule, dtype=dtype).relevance
                   for dtype in ("float64", "float32"))
    assert not np.array_equal(exact, fast)
    for a, b in zip(exact.astype(np.float64), fast):
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(a)


# --- nothing is left over
# ------------------------------------------------------------------------------------------

def test_a_network_cannot_be_changed():
    network = nets.deep(61)
    for layer in (network["conv1"].layer, network["hidden"].layer):
        for array in (layer.kernel, layer.bias):
            with pytest.raises(ValueError):
                array[...] = 0
        with pytest.raises(dataclasses.FrozenInstanceError):
            layer.kernel = None
    with pytest.raises(TypeError):
        network.shapes["conv1"] = (1,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        network["conv1"].name = "other"


def test_a_layer_does_not_share_its_callers_array():
    kernel, bias = np.ones((2, 2), np.float32), np.ones(2, np.float32)
    layer = L.Dense(kernel, bias)
    kernel[0, 0] = bias[0] = 5
    assert (layer.kernel == 1).all() and (layer.bias == 1).all()


@pytest.mark.parametrize("name", ["nodes", "shapes", "input_shape", "class_names", "metadata"])
def test_a_networks_attributes_cannot_be_assigned(name):
    network = nets.deep(61)
    with pytest.raises(AttributeError):
        setattr(network, name, None)


def test_a_networks_metadata_cannot_be_changed():
    with pytest.raises(TypeError):
        nets.deep(61).metadata["licence"] = "none"


def test_explaining_leaves_no_trace():
    """Parameters, the caller's input and NumPy's error state are as before, also after an error."""
    network = nets.deep(62)
    x = nets.inputs(network, 3, 62)

    def state():
        parameters = [getattr(node.layer, name).tobytes() for node in network.nodes
                      for name in node.layer.arrays]
        return parameters, x.tobytes(), np.geterr()

    before = state()
    first = lrp_core.explain(network, x, "preset_b_flat")
    assert state() == before
    with pytest.raises(ZeroDivisionError):
        lrp_core.explain(network, x, "epsilon", progress=lambda count: 1 // 0)
    assert state() == before
    with pytest.raises(ValueError):
        lrp_core.explain(network, x, "epsilon", "cat")
    first.relevance[...] = 0            # the caller's to change
    again = lrp_core.explain(network, x, "preset_b_flat")
    assert again.relevance.any() and state() == before


def blas_threads():
    """How many threads each BLAS library in this process uses."""
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_blas_runs_on_one_thread_until_the_last_explanation_ends():
    """One that ends inside another must not give BLAS its threads back; the last one must, also after an
    error.
    """
    network, seen = nets.deep(62), []
    x = nets.inputs(network, 3, 62)

    def another(count):
        seen.append(blas_threads())
        lrp_core.explain(network, x[0], Flat())
        seen.append(blas_threads())

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        lrp_core.explain(network, x, Zero(), progress=another)
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError):
            lrp_core.explain(network, x, Zero(), progress=lambda count: 1 // 0)
        assert blas_threads() == before
    assert len(seen) >= 2 and all(numbers == [1] * len(before) for numbers in seen)


def test_explanations_at_once_do_not_meet():
    """Different rules, targets and numbers of threads at the same time: each gets what it gets alone."""
    network = nets.wide()
    x = nets.inputs(network, 3, 63)
    jobs = [("epsilon", 0, 1), ("preset_b_flat", 1, 2), (Zero(), 2, 3), (WSquare(), 0, 2),
            ("preset_a", "max", 1)] * 2

    def run(job):
        rules, target, threads = job
        found = lrp_core.explain(network, x, rules, target, threads=threads)
        return [fingerprint(found, k) for k in range(len(x))]

    alone = [run(job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        assert list(pool.map(run, jobs)) == alone
