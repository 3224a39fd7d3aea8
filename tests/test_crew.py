"""The threads of a program, and the processors they run on."""
import os
import threading

import numpy as np
import pytest
from nets import dense

import lrp_core
from lrp_core import layers as L
from lrp_core.numba_engine import crew as crews

pytestmark = pytest.mark.skipif(crews.processor is None, reason="the system does not place threads")
ALLOWED = os.sched_getaffinity(0) if crews.processor is not None else {0}
several = pytest.mark.skipif(len(ALLOWED) < 2, reason="one processor: there is no other")


def masks(crew, count):
    """The processors that each of the crew's threads may use, asked of all at once."""
    together = threading.Barrier(count)

    def ask():
        together.wait(10)
        return os.sched_getaffinity(0)
    return [one.result(10) for one in [crew.submit(ask) for _ in range(count)]]


@several
def test_threads_keep_off_the_callers_processor_and_come_back(monkeypatch):
    crew = crews.Crew(2)
    assert masks(crew, 2) == [ALLOWED, ALLOWED]
    for mine in sorted(ALLOWED)[:2]:
        monkeypatch.setattr(crews, "processor", lambda mine=mine: mine)
        crew.elsewhere()
        assert masks(crew, 2) == [ALLOWED - {mine}] * 2
    crew.anywhere()
    assert masks(crew, 2) == [ALLOWED, ALLOWED] and os.sched_getaffinity(0) == ALLOWED


@several
def test_threads_that_come_later_keep_off_too():
    crew = crews.Crew(2)
    crew.elsewhere()
    masks(crew, 2)
    crew.elsewhere()
    assert all(len(mask) < len(ALLOWED) for mask in masks(crew, 2))


@several
def test_a_caller_bound_to_one_processor_shares_it(monkeypatch):
    crew = crews.Crew(1)
    masks(crew, 1)
    os.sched_setaffinity(0, {min(ALLOWED)})
    try:
        crew.elsewhere()
        assert masks(crew, 1) == [{min(ALLOWED)}]
    finally:
        os.sched_setaffinity(0, ALLOWED)
    monkeypatch.setattr(crews, "processor", lambda: min(ALLOWED))
    crew.elsewhere()
    assert masks(crew, 1) == [ALLOWED - {min(ALLOWED)}], "another caller, on the same processor, is not bound"


def test_a_system_that_refuses_costs_nothing_but_time(monkeypatch):
    def refuse(*_):
        raise PermissionError
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    rng = np.random.default_rng(0)
    network = lrp_core.Network([("a", dense(rng, 8, 64)), ("relu", L.ReLU()), ("b", dense(rng, 64, 3))], (8,))
    x = rng.standard_normal(8).astype(np.float32)
    found, wanted = (lrp_core.explain(network, x, "epsilon", engine="numba", threads=n) for n in (2, 1))
    np.testing.assert_array_equal(found.relevance, wanted.relevance)
