"""Every notebook runs from its first cell to its last, in a process and a folder of its own."""
import os
import pathlib
import re
import subprocess
import sys

import notebook_cells
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("[0-9]*.md"))


def test_there_are_eight_in_order():
    assert [path.name[0] for path in NOTEBOOKS] == list("12345678")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_claims_hold(path, tmp_path):
    if "zarr" in path.read_text(encoding="utf-8"):
        pytest.importorskip("zarr")
    environment = {**os.environ, "MPLBACKEND": "Agg", "AUDIO_LRP_QUIET": "1", "PYTHONIOENCODING": "utf-8",
                   "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(ROOT / "tests" / "notebook_cells.py"), str(path)]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True,
                           encoding="utf-8")
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_teaches_in_small_steps(path):
    """A page of text and cells, each short, with pictures and statements that the cells check."""
    page = path.read_text(encoding="utf-8")
    found = notebook_cells.cells(page)
    assert page.count("{code-cell}") == len(found) >= 6 and page.count("\n") < 170
    assert max(code.count("\n") for code in found) <= 20
    assert re.search(r"^\s*assert ", "\n".join(found), re.MULTILINE)
    assert "plt.subplots" in page or ".plot(" in page
