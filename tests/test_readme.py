"""The Python of the README and of the tutorial runs as it stands."""
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def run(page):
    """Execute a page's Python blocks one after another; returns their names."""
    names = {}
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), start=1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)
    return names


def test_the_python_of_the_readme_runs(capsys):
    names = run(ROOT / "README.md")
    assert names["e"].relevance.shape == (2, 64, 64, 3) and list(names["e"].target) == [8, 3]
    assert "Flat()" in capsys.readouterr().out


def test_the_tutorial_tells_the_truth():
    assert run(ROOT / "docs" / "tutorial.md")["network"].parameters == 1_958_730


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "RESULTS.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
        assert "@@" not in page.read_text(), page.name
