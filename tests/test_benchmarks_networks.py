"""The benchmark of networks that people use: the limit by hand, its tables, and a network made by torch."""
import sys
import types

import click.testing
import numpy as np
import pytest

import benchmarks.__main__ as program
import lrp_core
from benchmarks import environments, equality, layers, limit, networks, race, report
from benchmarks.peer import PeerError, without_paths
from benchmarks.peers.protocol import time_calls
from benchmarks.race import OURS, Case, Lane
from benchmarks.turns import Contestant, take_turns
from lrp_core import layers as L
from lrp_core.numba_engine.runtime import CHUNK

RATES = {dtype: limit.Rates(1e9, 1e9) for dtype in limit.DTYPES}


@pytest.fixture
def network():
    """A convolution that Winograd's algorithm suits, a pool, and a dense layer."""
    rng = np.random.default_rng(0)
    kernel, dense = rng.normal(size=(3, 3, 16, 16)), rng.normal(size=(16 * 16, 5))
    return lrp_core.Network([("conv", L.Conv2D(kernel.astype(np.float32), padding="same")),
                             ("relu", L.ReLU()), ("pool", L.MaxPool2D((2, 2))), ("flat", L.Flatten()),
                             ("dense", L.Dense(dense.astype(np.float32)))], (8, 8, 16))


def works(network, preset, nonnegative=True):
    """{(node, direction): Work} in float32 at batch 2."""
    return limit.of(network, preset, batch=2, dtype="float32", nonnegative=nonnegative)


def test_the_limit_of_a_forward_pass_is_that_of_the_best_algorithm(network):
    found = works(network, "epsilon")
    # four tiles of 4 x 4, 36 products of 16 x 16, transforms of 144 a channel and 100 a filter
    assert found["conv", "forward"].multiply_adds == 4 * (36 * 256 + 144 * 16 + 100 * 16)
    assert found["dense", "forward"].multiply_adds == 256 * 5
    assert found["conv", "forward"].bytes == 4 * (2 * 8 * 8 * 16 + 9 * 256 / 2)
    assert found["pool", "forward"] == (0, 4 * (8 * 8 * 16 + 4 * 4 * 16))
    assert {name for name, _ in found} == {"conv", "pool", "dense"}


def test_few_channels_and_other_windows_are_counted_directly():
    for size, strides, channels in (((3, 3), (1, 1), 1), ((3, 3), (2, 2), 16), ((5, 3), (1, 1), 16)):
        kernel = np.ones((*size, channels, 4), np.float32)
        one = lrp_core.Network([("conv", L.Conv2D(kernel, strides=strides, padding="same"))],
                               (8, 8, channels))
        height, width = (8 // stride for stride in strides)
        assert works(one, "epsilon")["conv", "forward"].multiply_adds == height * width * kernel.size


@pytest.mark.parametrize("preset, nonnegative, products", [
    ("epsilon", False, 1), ("epsilon_plus", True, 2), ("epsilon_plus", False, 4),
    ("epsilon_alpha2_beta1", True, 4), ("epsilon_alpha2_beta1", False, 8), ("epsilon_plus_flat", True, 0)])
def test_the_limit_of_a_rule_has_its_products(network, preset, nonnegative, products):
    """One back for each part of the weights that meets a part of the input, one before for its own sum."""
    found = works(network, preset, nonnegative)
    assert found["conv", "backward"].multiply_adds == products * found["conv", "forward"].multiply_adds
    assert found["dense", "backward"].multiply_adds == 256 * 5


def test_limits_are_rows_beside_the_others(network):
    x = np.ones((2, 8, 8, 16), np.float32)
    rows = [{"preset": "epsilon", **row} for row in race.limits(network, x, "epsilon", Case(2), RATES,
                                                             [{"unavailable": "no"}, {"seconds": [1.0] * 3}])]
    found = works(network, "epsilon")
    expected = 2 * sum(one.multiply_adds + one.bytes for one in found.values()) / 1e9
    assert rows[0]["seconds"] == pytest.approx([expected] * 3)
    ours = {"preset": "epsilon", **Case(2)._asdict(), **Lane(OURS, "epsilon", "float32", "epsilon")._asdict(),
            "seconds": [4 * expected] * 3}
    idle = ours | {"idle": True, "seconds": [1e9] * 3}
    alone = ours | {"threads": 1, "seconds": [8 * expected] * 3}
    shown = [race.cells([idle, alone, ours, *rows], row) for row in (rows[0], alone)]
    assert [str(cells[-1]) for cells in shown] == ["0.250 (0.250–0.250)", "2.00 (2.00–2.00)"]
    assert shown[1][1] == "Audio-LRP, 1 thread"


def test_calls_may_begin_from_idle(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    time_calls(lambda: None, least=0.0, pause=0.03)
    assert slept == [0.03]
    assert str(Case(1, idle=True)) == "batch 1, 30 ms after the call before" and str(Case(32)) == "batch 32"


def test_a_race_runs_ours_and_says_why_others_do_not(network):
    def fail(*_, **__):
        raise PeerError("failed at this: no rule")
    x = np.random.default_rng(0).random((2, 8, 8, 16)).astype(np.float32)
    lanes = [Lane(OURS, "epsilon", "float32", "epsilon"), Lane("zennit", "epsilon", "float32", "epsilon"),
             Lane("Captum", "epsilon", "float32", "epsilon")]
    rows = race.race(network, x, lanes, Case(2), {"zennit": types.SimpleNamespace(ask=fail)},
                     {"Captum": "not installed"}, repeats=1, least=0)
    assert len(rows[0]["seconds"]) == 1
    assert [row.get("unavailable") for row in rows] == [None, "failed at this: no rule", "not installed"]


def test_factors_that_fall_short_are_marked():
    def row(tool, seconds, dtype="float32", threads=None):
        return {"preset": "epsilon", **Case(32)._asdict(), "seconds": [seconds],
                **Lane(tool, "epsilon", dtype, "epsilon", threads)._asdict()}
    rows = [row(OURS, 0.1), row(OURS, 0.25, "float64"), row(OURS, 0.18, threads=1), row("zennit", 0.45),
            row("torch", 0.12), row(race.LIMIT, 0.02), row(race.LIMIT, 0.04, "float64")]
    found = networks.goals_table({"CNN14": {"rows": rows, "steps": {"epsilon": []}}})
    assert found.rows == [["CNN14", "epsilon", "4.50", "", "", "1.80 < 2", "1.20 < 1.5", "1.80", "0.200"]]


def test_reasons_name_no_paths():
    assert without_paths("KeyError: /home/me/x.py has no\nrule C:\\me") == "KeyError: has no rule"


def test_other_relevance_than_zennits_is_said():
    row = {"preset": "epsilon", "peer": "zennit", "finder": equality.FLOAT64, "largest": 0.5}
    found = {"CNN14": {"equality": [row, row | {"largest": 1e-3}, row | {"finder": equality.FLOAT32},
                                    row | {"peer": "autoLRP"}]}}
    assert networks.shortfalls({"networks": found}) == ["CNN14, epsilon: 5.0e-01 from zennit, more than 0.01"]


def test_networks_that_were_not_chosen_are_kept(tmp_path, monkeypatch):
    def result(name, date):
        return {"date": date, "parameters": 10, "multiply_adds": 100, "rates": RATES, "rows": [],
                "equality": [], "classes": [], "plans": [], "steps": {}, "peers": {"zennit": {"torch": date}}}
    monkeypatch.setattr(limit, "measured", lambda threads: RATES)
    for names, date in ((("CNN14", "DNSMOS P.808"), "monday"), (("CNN14",), "tuesday")):
        monkeypatch.setattr(networks, "measure", lambda name, date=date, **_: result(name, date))
        words = [word for name in names for word in ("--network", name)]
        done = click.testing.CliRunner().invoke(program.main, ["throughput", *words, "--output",
                                                               str(tmp_path)])
        assert done.exit_code == 0, done.output
    kept = report.stored("networks", tmp_path)["networks"]
    assert {name: one["date"] for name, one in kept.items()} == {"CNN14": "tuesday",
                                                                 "DNSMOS P.808": "monday"}
    assert "CREPE full" not in done.output


def test_presets_that_were_not_measured_are_kept():
    def result(presets, date):
        keys = ("rows", "equality", "classes", "plans")
        return {"date": date, "steps": dict.fromkeys(presets, date),
                **{key: [{"preset": preset, "made": date} for preset in presets] for key in keys}}
    found = networks.merged(result(("epsilon", "preset_b"), "monday"), result(("preset_b",), "tuesday"))
    assert found["date"] == "tuesday" and found["steps"] == {"epsilon": "monday", "preset_b": "tuesday"}
    assert found["plans"] == [{"preset": "epsilon", "made": "monday"}, {"preset": "preset_b",
                                                                        "made": "tuesday"}]
    assert networks.merged(None, found) is found


def test_no_round_begins_after_the_most_seconds():
    counted = []
    contestant = Contestant("slow", lambda: counted.append(1) or 1.0)
    assert take_turns([contestant], 5, "test", most=0) == {"slow": [1.0]} and len(counted) == 2


def test_a_network_without_torch_is_refused_with_the_reason(monkeypatch, tmp_path):
    def refuse(*_):
        raise environments.Unavailable("its environment could not be made")
    monkeypatch.setattr(environments, "ready", refuse)
    with pytest.raises(networks.ExportError, match="CNN14 is made by torch, which is not available: its"):
        with networks.made("CNN14", (), tmp_path):
            pass


def test_layers_profiles_through_the_engine():
    one = types.SimpleNamespace(name="dense", direction="forward", kernel="product", seconds=1e-3, flops=10,
                                reason="", more="left out")
    network = lrp_core.Network([("dense", lrp_core.layers.Dense(np.ones((4, 3), np.float32)))], (4,))
    asked = []

    def profile(network, x, rules, **how):
        asked.append((x.shape, rules, how))
        return [one, one]
    found = layers.measure(network, np.ones((9, 4), np.float32), repeats=3, presets=("epsilon",),
                           profile=profile)
    told = {"name": "dense", "direction": "forward", "kernel": "product", "seconds": 1e-3, "flops": 10,
            "reason": ""}
    first, second = found["presets"]["epsilon"]
    assert first.pop("limit") > 0 and second.pop("limit") == 0 and first == second == told
    assert asked == [((CHUNK["float32"], 4), "epsilon", {"dtype": "float32", "repeats": 3})]
    assert found["one_thread_sgemm"] > 0


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_architectures_have_the_published_sizes(name, monkeypatch):
    """As their authors count the parameters, or the packages that ship them; CREPE's Keras model counts 4,352
    statistics more.
    """
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(environments.PEERS))
    architectures = pytest.importorskip("architectures")
    model = architectures.ARCHITECTURES[name]().eval()
    published = {"CNN14": 80_753_615, "CREPE full": 22_244_328 - 4_352, "EfficientNet-Lite0": 4_652_008,
                 "DNSMOS P.808": 54_945, "ResNet-18": 11_689_512, "VGG-16": 138_357_544}
    assert sum(one.numel() for one in model.parameters()) == published[name]
    sys.modules.pop("architectures")
