"""What the pages and messages tell people to do works: Python that runs, links that lead somewhere, packages
that exist.
"""
import configparser
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


def test_what_is_advised_to_install_can_be_installed():
    """The project is on no package index: messages name the packages of its extras, pages an extra of the
    checkout.
    """
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    known = set(re.findall(r"^[\w-]+", "\n".join(extras["options.extras_require"].values()), re.MULTILINE))
    packages = ("lrp_core", "features", "audio_lrp", "train_tf", "benchmarks", "tests")
    sources = [path for name in packages for path in (ROOT / name).rglob("*.py")
               if "tests/data" not in path.as_posix()]
    for path in (*sources, ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"audio-lrp\[\w", text), path
        for named in re.findall(r"""pip install ([\w-][\w -]*)["')`]""", text):
            assert set(named.split()) - {"-e"} <= known, (path, named)
