"""examples/lrp_in_100_lines.py: a hundred lines, NumPy alone, and the engine's result."""
import ast
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import audio_lrp
import features
import lrp_core

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
PROGRAM, PICTURE = EXAMPLES / "lrp_in_100_lines.py", EXAMPLES / "siren.npy"
PRESETS = ("epsilon", "preset_a_flat")
# The program as it is run, then everything it brought into the process, then its maps into a file.
ALONE = """
import runpy, sys
before = set(sys.modules)
import numpy as np
program, picture, out = sys.argv[1:]
sys.argv[1:] = []
names = runpy.run_path(program, run_name="__main__")
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print("LOADED", *sorted(loaded - set(sys.stdlib_module_names)))
model, x = np.load(names["MODEL"]), np.load(picture).astype(float)
np.savez(out, **{preset: names["explain"](model, x, preset)[0] for preset in names["PRESETS"]})
"""


def run_alone(picture, out):
    """What the program prints in a process of its own, with no path to this repository; its maps go to
    `out`.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run([sys.executable, "-c", ALONE, PROGRAM, picture, out], cwd=out.parent, text=True,
                           encoding="utf-8", capture_output=True, timeout=120,
                           env={**environment, "PYTHONIOENCODING": "utf-8"})
    assert found.returncode == 0, found.stderr
    return found.stdout


def agrees(maps, x, network):
    """Are these the engine's maps of the picture, to 1e-9 of the largest relevance?"""
    for preset in PRESETS:
        expected = lrp_core.explain(network, x, preset, engine="numpy", dtype="float64").relevance
        np.testing.assert_allclose(maps[preset], expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_it_is_a_hundred_lines():
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 100
    asked = {name.name for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Import)
             for name in node.names}
    assert asked == {"json", "pathlib", "sys", "numpy"}


def test_it_gives_the_engines_relevance_with_numpy_alone(tmp_path, urban_sounds):
    printed = run_alone(PICTURE, tmp_path / "maps.npz")
    assert set(printed.partition("LOADED")[2].split()) == {"numpy"}
    assert "siren               5.54 <- explained" in printed and "adds up to 5.4173" in printed
    with np.load(tmp_path / "maps.npz") as maps:
        assert set(maps) == set(PRESETS)
        agrees(maps, np.load(PICTURE), urban_sounds)


def test_silence_makes_ties_and_they_are_broken_alike(tmp_path, urban_sounds):
    x = np.load(PICTURE)
    x[:, 30:] = x[0, 0]  # digital silence: every window from here on is equal
    np.save(tmp_path / "silent.npy", x)
    run_alone(tmp_path / "silent.npy", tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as maps:
        agrees(maps, x, urban_sounds)


@pytest.mark.parametrize("preset", PRESETS)
def test_its_ledger_is_the_engines(preset, tmp_path, urban_sounds):
    found = subprocess.run([sys.executable, PROGRAM, preset], capture_output=True, text=True,
                           encoding="utf-8", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert found.returncode == 0, found.stderr
    rows = {line.split()[0]: line.split() for line in found.stdout.splitlines() if line.strip()}
    ledger = lrp_core.explain(urban_sounds, np.load(PICTURE), preset, engine="numpy").ledger
    for name in ("dense2", "dense1", "conv3b", "conv3a", "conv2b", "conv2a", "conv1b", "conv1a"):
        entry = ledger[name]
        for shown, number in zip(rows[name][-5:-1], (entry.received, entry.passed, entry.bias,
                                                     entry.stabilizer)):
            assert float(shown) == pytest.approx(number, abs=6e-5)


def test_the_picture_is_the_embedded_clip():
    np.testing.assert_allclose(np.load(PICTURE), features.clip_image(audio_lrp.EMBEDDED_CLIP), atol=1e-5)
