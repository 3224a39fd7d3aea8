"""The fast path on other machines than this one: without a compiler, without vectors, without a place to keep
what it compiled.

What compiles from nothing takes half a minute; what only repeats it runs where AUDIO_LRP_SLOW_TESTS is set.
"""
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TESTS = ROOT / "tests"
NOWHERE = "/dev/null/x"                 # below a file: not even root can write there
INTEL = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = "+avx,+avx2,+fma,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx8,+fxsr,+xsave,+bmi,+bmi2,+f16c"
slow = pytest.mark.skipif(not os.environ.get("AUDIO_LRP_SLOW_TESTS"), reason="slow: set AUDIO_LRP_SLOW_TESTS")
intel = pytest.mark.skipif(not INTEL, reason="the features are those of x86")


@pytest.fixture(scope="session")
def kept(request, tmp_path_factory):
    """A folder for what other machines' settings compile, apart from the developer's; pytest keeps it for the
    next run.
    """
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("kernels") if cache else tmp_path_factory.mktemp("kernels")


def python(arguments, root=ROOT, **environment):
    """What a process prints that imports lrp_core from `root`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "AUDIO_LRP_LANES"))}
    run = subprocess.run([sys.executable, *map(str, arguments)], cwd=root, capture_output=True, text=True,
                         timeout=900,
                         env={**inherited, "PYTHONPATH": os.pathsep.join((str(root), str(TESTS))),
                              **environment})
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.strip()


def report(*rules, root=ROOT, winograd=True, **environment):
    """machine_report's findings, which must be right whatever the machine."""
    found = json.loads(python([TESTS / "machine_report.py", *(rules or ("preset_b_flat", "WSquare"))], root,
                              **environment))
    assert pathlib.Path(found["from"]).is_relative_to(root)
    assert ("winograd F(4x4)" in found["kinds"]) == winograd and {"direct", "product", "max pool",
                                                                  "max unpool"} <= set(found["kinds"])
    for rule, (apart, same) in found["worst"].items():
        assert apart <= 1e-4, (rule, apart)
        assert same, f"{rule}: a sample alone on a team has other bits than in a batch"
    return found


def test_without_a_compiler(kept):
    """As a debugger runs it: NumPy stands in for machine vectors."""
    assert not report("preset_b_flat", NUMBA_DISABLE_JIT="1")["compiled"]


def test_kernels_without_a_compiler():
    """Each kernel by itself, between guard words, against the float64 loops: what the compiled ones are held
    to. The largest of these tests take minutes that way: they run with the slow ones.
    """
    files = [TESTS / f"test_kernels_{name}.py" for name in ("passes", "linear", "bounds")]
    chosen = ["-k", "not small_maps and not convolution_back"]
    if os.environ.get("AUDIO_LRP_SLOW_TESTS"):
        chosen = []
    assert " passed" in python(["-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, *files],
                               NUMBA_DISABLE_JIT="1")


@intel
def test_without_vectors(kept):
    """SSE2 and no fused multiply-add: what every x86-64 has."""
    found = report(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(kept))
    assert (found["lanes"], found["fused"], found["compiled"]) == (4, False, True)


@slow
@intel
def test_with_avx2(kept):
    if "avx2" not in pathlib.Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine has no AVX2")
    found = report(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=AVX2, NUMBA_CACHE_DIR=str(kept))
    assert (found["lanes"], found["fused"]) == (8, True)


@slow
@pytest.mark.parametrize("lanes", [1, 4, 8, 16])
def test_other_lanes(kept, lanes):
    """Vectors narrower and wider than the machine's, which the compiler splits or leaves half empty."""
    folder = kept / f"lanes{lanes}"
    folder.mkdir(exist_ok=True)
    assert report(AUDIO_LRP_LANES=str(lanes), NUMBA_CACHE_DIR=str(folder))["lanes"] == lanes


def copy(tmp_path):
    """A copy of the package, without what was compiled for the original."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "lrp_core", root / "lrp_core", ignore=shutil.ignore_patterns("__pycache__"))
    return root


PROBE = {"inner": """
from .jit import kernel
@kernel
def value(x):
    return x + 1
""", "outer": """
from .jit import entry
from .inner import value
from .simd_llvm import LANES
@entry
def probe(x):
    return 100 * value(x) + LANES
"""}
ASK = """
from lrp_core.numba_engine.kernels.outer import probe
print(int(probe(1)), sum(probe.stats.cache_hits.values()))
"""


def test_the_cache_expires_with_any_source_and_with_the_lanes(tmp_path):
    """A kernel is loaded again as long as nothing changes; not when one that it calls in another file does,
    nor for other vectors.
    """
    root, cache = copy(tmp_path), tmp_path / "cache"
    cache.mkdir()
    for name, text in PROBE.items():
        (root / "lrp_core" / "numba_engine" / "kernels" / f"{name}.py").write_text(text)

    def ask(lanes="8"):
        return tuple(map(int, python(["-c", ASK], root, NUMBA_CACHE_DIR=str(cache),
                                     AUDIO_LRP_LANES=lanes).split()))

    assert ask() == (208, 0)
    assert ask() == (208, 1), "nothing changed: it should have been loaded"
    (root / "lrp_core" / "numba_engine" / "kernels" / "inner.py").write_text(
        PROBE["inner"].replace("x + 1", "x + 2")
    )
    assert ask() == (308, 0)
    assert ask("4")[0] == 304, "code for 8 lanes was loaded where vectors have 4"


@pytest.mark.parametrize("place", [NOWHERE, "/proc/nowhere"])
def test_a_cache_folder_that_cannot_be_written(place):
    """NUMBA_CACHE_DIR is no folder: it works, from another place."""
    if not pathlib.Path(place).parent.exists():
        pytest.skip(f"{place} has no parent here")
    report("preset_b_flat", NUMBA_CACHE_DIR=place)


def test_no_place_to_keep_anything(tmp_path):
    """An installation and a home that cannot be written to: compiled each time (here without optimising, to
    be quick), and right.
    """
    root = copy(tmp_path)
    for folder in (root / "lrp_core", root / "lrp_core" / "numba_engine" / "kernels"):
        (folder / "__pycache__").write_text("a file where the folder would be")
    found = report("preset_b_flat", root=root, HOME=NOWHERE, XDG_CACHE_HOME=NOWHERE, NUMBA_CACHE_DIR=NOWHERE,
                   PYTHONDONTWRITEBYTECODE="1", NUMBA_OPT="0")
    assert found["loaded"] in (0, None)


@slow
def test_a_new_cache_folder(tmp_path):
    """Compiled once, loaded then."""
    assert report("preset_b_flat", NUMBA_CACHE_DIR=str(tmp_path))["loaded"] == 0
    assert report("preset_b_flat", NUMBA_CACHE_DIR=str(tmp_path))["loaded"] == 1
