"""What the pages and messages tell people to do works: Python that runs, links that lead somewhere, packages
that exist.
"""
import configparser
import os
import pathlib
import re
import shutil
import subprocess
import sys

import click.testing
import pytest

from audio_lrp.cli import main

ROOT = pathlib.Path(__file__).parents[1]
HOW_TO = ROOT / "docs" / "how-to"


def run(page):
    """Execute a page's Python blocks one after another; returns their names."""
    names = {}
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    return names


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes files
    answer = run(ROOT / "README.md")["answer"]
    assert (answer.class_name, round(answer.score, 2)) == ("siren", 5.54)
    assert (tmp_path / "siren.png").exists() and (tmp_path / "siren.html").exists()


def test_the_python_page_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(ROOT / "docs" / "python.md")
    assert names["e"].relevance.shape == (2, 64, 64, 3) and list(names["e"].target) == [8, 3]
    assert "Flat()" in capsys.readouterr().out


def test_the_tutorial_tells_the_truth():
    assert run(ROOT / "docs" / "tutorial.md")["network"].parameters == 1_958_730


@pytest.mark.parametrize("page", ["rule", "layer", "composite"])
def test_a_how_to_works_in_an_empty_folder(page, tmp_path):
    """Every line of it, in a process of its own."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", (HOW_TO / f"{page}.md").read_text(), re.DOTALL))
    assert "assert" in code
    (tmp_path / "mine.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    found = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, env=environment, capture_output=True,
                           text=True)
    assert found.returncode == 0, found.stderr


def test_a_kernel_is_added_as_its_how_to_says(tmp_path):
    """In a copy: the file, the two names, the branch of the lowering. Then a kernel does it, in both
    precisions.
    """
    page = (HOW_TO / "kernel.md").read_text()
    shutil.copytree(ROOT / "lrp_core", tmp_path / "lrp_core", ignore=shutil.ignore_patterns("__pycache__"))
    engine, blocks = tmp_path / "lrp_core" / "numba_engine", re.findall(r"```(python|diff)\n(.*?)```", page,
                                                                        re.DOTALL)
    (engine / "kernels" / "leaky.py").write_text(blocks[0][1])
    interpreter, lower = engine / "interpreter.py", engine / "lower.py"
    lines = blocks[1][1].splitlines()
    text = interpreter.read_text()
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        assert old[0] == "-" and new[0] == "+" and text.count(old[1:]) == 1, old
        text = text.replace(old[1:], new[1:])
    interpreter.write_text(text)
    added = "\n".join(line[1:] for line in blocks[2][1].splitlines() if line[0] == "+")
    before = "\n".join(line[1:] for line in blocks[2][1].splitlines() if line[0] == " ")
    text = lower.read_text()
    assert text.count(before) == 1
    text = text.replace(before, f"{added}\n{before}")
    lower.write_text(text.replace("from .kernels.op import",
                                  "from .kernels.leaky import leaky_relu\nfrom .kernels.op import"))
    (tmp_path / "try.py").write_text("""
import numpy as np, lrp_core
from lrp_core import layers as L
rng = np.random.default_rng(0)
out = L.Dense(rng.standard_normal((5, 3)).astype(np.float32))
network = lrp_core.Network([("leaky", L.LeakyReLU(0.25)), ("out", out)], (5,))
x = rng.standard_normal((3, 5)).astype(np.float32)
exact = lrp_core.explain(network, x, engine="numpy").relevance
for dtype, bar in (("float64", 1e-14), ("float32", 1e-5)):
    found = lrp_core.explain(network, x, engine="numba", dtype=dtype).relevance
    assert np.abs(found - exact).max() <= bar * np.abs(exact).max()
print(lrp_core.profile(network, x, engine="numba"))
""")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_OPT": "0",
                   "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    found = subprocess.run([sys.executable, "try.py"], cwd=tmp_path, env=environment, capture_output=True,
                           text=True)
    assert found.returncode == 0, found.stderr
    assert "leaky ReLU" in found.stdout and "  NumPy" not in found.stdout, found.stdout


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md",
                 *(ROOT / "docs").rglob("*.md"),
                 ROOT / "benchmarks" / "RESULTS.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
        assert "@@" not in page.read_text(), page.name


def test_what_is_advised_to_install_can_be_installed():
    """The project is on no package index: messages name the packages of its extras, pages an extra of the
    checkout.
    """
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    needed = [extras["options"]["install_requires"], *extras["options.extras_require"].values()]
    known = set(re.findall(r"^[\w-]+", "\n".join(needed), re.MULTILINE))
    packages = ("lrp_core", "features", "audio_lrp", "train_tf", "benchmarks", "tests")
    sources = [path for name in packages for path in (ROOT / name).rglob("*.py")
               if "tests/data" not in path.as_posix()]
    for path in (*sources, ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"audio-lrp\[\w", text), path
        for named in re.findall(r"""pip install ([\w-][\w -]*)["')`]""", text):
            assert set(named.split()) - {"-e"} <= known, (path, named)


def test_the_ledger_of_the_command_line_page_is_printed_so():
    """Every line of it, down to the columns; the residuals are rounding."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = re.search(r"```\n(98%.*?)```", page, re.DOTALL)[1]
    printed = click.testing.CliRunner().invoke(main, ["ledger"]).output

    def lines(text):
        return [" ".join(re.sub(r"\S*e-\d\d$", "", line).split()) for line in text.splitlines()]
    missing = [line for line in lines(shown) if line not in [*lines(printed), "[...]"]]
    assert not [line for line in missing if line.strip("-")]
