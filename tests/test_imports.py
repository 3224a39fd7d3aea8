"""What is imported, and what is not: packages in one direction, no framework, no Numba before it is used."""
import ast

import pytest
from test_explain import ROOT, in_a_fresh_process

# --- what is imported
# ------------------------------------------------------------------------------------------------

FRAMEWORKS = {"tensorflow", "keras", "torch"}
PICTURES = ROOT / "lrp_core" / "pictures.py"
FORBIDDEN = {"lrp_core": {"features", "audio_lrp", "train_tf", "matplotlib", *FRAMEWORKS},
             "features": {"audio_lrp", "train_tf", "matplotlib", *FRAMEWORKS},
             "audio_lrp": {"train_tf", *FRAMEWORKS},
             "train_tf": {"audio_lrp", "torch"}}


def imported(path):
    """The top-level packages that a source file imports, anywhere in it, also by name in a call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package, unless it climbs out of it: the package itself is level
            # 1.
            depth = len(path.relative_to(ROOT).parts) - 1
            assert node.level <= depth, f"{path}: a relative import leaves the package"
            if node.level == 0:
                yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module",
                                                                                      "__import__"):
            assert isinstance(node.args[0], ast.Constant), f"{path}: imports a module whose name is computed"
            yield node.args[0].value.split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_in_one_direction(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        allowed = {"matplotlib"} if path == PICTURES else set()
        assert not (FORBIDDEN[package] - allowed) & set(imported(path)), path.relative_to(ROOT)


def test_matplotlib_is_imported_where_a_figure_is_made():
    """In one function of the engine, so that importing the engine does not bring it along."""
    top = [node for node in ast.parse(PICTURES.read_text(encoding="utf-8")).body
           if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert "matplotlib" not in ast.unparse(ast.Module(top, [])) and "matplotlib" in set(imported(PICTURES))


def test_a_sound_at_any_rate_becomes_an_image_without_scipy():
    """SciPy takes longer to import than a clip to explain, and the front end needs none of it."""
    loaded = in_a_fresh_process("""
import sys
import numpy as np
import features
clip = features.open_clip(np.sin(np.arange(9000)), 8_000)
assert clip.image.any() and clip.trace.kept
print(*sorted({name.split(".")[0] for name in sys.modules}))
""").split()
    assert "features" in loaded and "scipy" not in loaded


def test_explaining_a_clip_loads_no_framework(tmp_path):
    """Sound to image to relevance in a process of its own, with every module of both packages loaded."""
    script = (f"""
import importlib, pkgutil, sys
import numpy as np, soundfile
import features, lrp_core
from lrp_core import layers as L
for package in (features, lrp_core):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
t = np.arange(44100) / 44100
soundfile.write({str(tmp_path / "tone.wav")!r}, np.sin(3000 * t) * np.exp(-t), 44100)
image = features.clip_image({str(tmp_path / "tone.wav")!r})
rng = np.random.default_rng(0)
network = lrp_core.Network([("conv", L.Conv2D(rng.normal(size=(3, 3, 3, 2)))), ("relu", L.ReLU()),
                            ("mean", L.GlobalAveragePool2D()), ("out", L.Dense(rng.normal(size=(2, 4))))],
                           (64, 64, 3))
for rules in lrp_core.PRESETS:
    assert lrp_core.explain(network, image, rules).relevance.any()
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
""")
    loaded = set(in_a_fresh_process(script).split())
    assert {"numpy", "lrp_core", "features"} <= loaded
    assert not loaded & {*FRAMEWORKS, "tf_keras", "jax", "matplotlib", "audio_lrp", "train_tf"}
