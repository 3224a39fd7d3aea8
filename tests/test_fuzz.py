"""A short run of the fuzzer (`python -m tests.fuzz` is the long one), and that it sees what it is there to
see.
"""
import os
import pathlib
import time
import zlib

import numpy as np
import pytest

pytest.importorskip("onnx")

from fuzz import run as fuzz
from fuzz import worker
from fuzz.run import Tally, run, summary
from fuzz.targets import TARGETS

import lrp_core


def test_damaged_files_end_in_the_promised_errors(tmp_path):
    """Several hundred files of each kind; what loads is explained."""
    counts, done = {"models": 300, "onnx": 300, "sounds": 100}, []
    tallies = run(counts, 7, processes=1, folder=tmp_path, progress=done.append)
    assert not [tally.failures for tally in tallies.values() if tally.failures], summary(tallies)
    assert sum(done) == 700 and not list(tmp_path.iterdir())
    for kind, tally in tallies.items():
        assert tally.outcomes.total() == counts[kind]
        assert tally.outcomes["explained" if kind != "sounds"
                              else "loaded"] > counts[kind] / 20, "the damage must lie deep"


def test_a_layer_norm_whose_terms_cancel_closes_its_ledger_in_single_precision():
    """A file that a long run found: rounding to float32 cost more relevance than the ledger allows."""
    network = lrp_core.load(pathlib.Path(__file__).parent / "data" / "layer_norm_cancels.npz")
    assert "LayerNorm" in [node.layer.type for node in network.nodes]
    x = np.random.default_rng(7792).standard_normal((1, *network.input_shape)).astype(np.float32)
    lrp_core.explain(network, x, "epsilon_gamma_box", engine="numpy", dtype="float32", threads=1)


def test_the_same_number_makes_the_same_file():
    cases = worker.Cases(3)
    again = worker.Cases(3)
    for kind in TARGETS:
        files = [cases(kind, number) for number in range(30)]
        assert files == [again(kind, number) for number in range(30)]
        assert len({zlib.crc32(data) for data in files}) > 25
    assert worker.Cases(4)("models", 0) != cases("models", 0)


@pytest.mark.parametrize(("raised", "failed"), [
    (lrp_core.ModelFileError("net.npz: damaged"), False), (ValueError("not promised"), True),
    (MemoryError(), True), (RecursionError(), True),
    (KeyError("x"), True), (SystemError("x"), True)])
def test_only_promised_exceptions_pass(tmp_path, monkeypatch, raised, failed):
    def target(path, number):
        raise raised
    monkeypatch.setitem(TARGETS, "models", (target, *TARGETS["models"][1:]))
    outcome, found, seconds, _ = worker.attempt("models", 0, b"", str(tmp_path))
    assert found == failed and outcome.startswith(type(raised).__name__) and seconds < 1


def test_messages_that_a_terminal_obeys_fail(tmp_path, monkeypatch):
    class Raw(lrp_core.ModelFileError):
        def __init__(self, message):
            ValueError.__init__(self, message)

    for message in ("\x1b[2J", "x" * 10**5):
        def target(path, number):
            raise Raw(message)
        monkeypatch.setitem(TARGETS, "models", (target, *TARGETS["models"][1:]))
        assert worker.attempt("models", 0, b"", str(tmp_path))[1]


def test_what_is_slow_or_large_fails():
    tally = Tally()
    assert (
        not tally.add(0, "loaded", False, 1.0, 10**8)
        and tally.add(1, "loaded", False, 11.0, 10**8)
        and tally.add(2, "loaded", False, 1.0, 2 * 10**9)
    )
    assert [number for number, _ in tally.failures] == [1, 2] and tally.outcomes[
        "took 11.0 s"
    ] == tally.outcomes["took 2000 MB"] == 1


def dying(pipe, seed):
    """A worker that dies of every second file."""
    pipe.send(None)
    while (case := pipe.recv()) is not None:
        if case[1] % 2:
            os._exit(3)
        pipe.send((("loaded", False, 0.0, 0), b""))


def hanging(pipe, seed):
    """A worker that never comes back."""
    pipe.send(None)
    pipe.recv()
    time.sleep(1000)


def broken(pipe, seed):
    """A worker whose own machinery fails."""
    pipe.send("Traceback: of the fuzzer itself")


def test_files_that_a_process_dies_of_are_named(monkeypatch):
    monkeypatch.setattr(fuzz, "work", dying)
    tally = run({"models": 4}, 0, processes=1)["models"]
    assert tally.outcomes == {"loaded": 2, "the process died (exit code 3)": 2} and [
        number for number, _ in tally.failures
    ] == [1, 3]


def test_files_that_never_end_are_named(monkeypatch):
    monkeypatch.setattr(fuzz, "work", hanging)
    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    tally = run({"models": 1}, 0, processes=1)["models"]
    assert tally.failures == [(0, "did not end")]


def test_errors_of_the_fuzzer_are_not_taken_for_findings(monkeypatch):
    monkeypatch.setattr(fuzz, "work", broken)
    with pytest.raises(RuntimeError, match="of the fuzzer itself"):
        run({"models": 1}, 0, processes=1)
