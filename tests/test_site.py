"""The documentation site: every public name in the reference, every page in a table of contents, readable
docstrings, nothing from the network. The site itself is built by Sphinx in CI.
"""
import importlib
import pathlib
import re
import sys

import pytest

import audio_lrp
import features
import lrp_core

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
from site_parts import diagrams, docstrings, offline, pages  # noqa: E402

DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:data|py:function):: ([\w.]+)", re.MULTILINE)
REFERENCE = [name for page in sorted((DOCS / "reference").glob("*.md"))
             for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]


# ---- the reference

@pytest.mark.parametrize("package", [audio_lrp, features, lrp_core], ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_reference(package):
    missing = {f"{package.__name__}.{name}" for name in package.__all__} - set(REFERENCE)
    assert not missing, f"add a line for each to a page in docs/reference: {sorted(missing)}"


def test_the_reference_names_what_there_is_once():
    assert len(REFERENCE) == len(set(REFERENCE)) > 80
    for name in REFERENCE:
        assert found(name) is not None, name


def found(name):
    """What a dotted name stands for: a module, or what a module has."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last)
    except (ImportError, AttributeError):
        return importlib.import_module(name)


def test_what_the_reference_shows_has_a_docstring():
    for name in REFERENCE:
        assert found(name).__doc__, name


# ---- pages

def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in DOCS.rglob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            folder = page.parent.relative_to(DOCS)
            listed |= {(folder / line).as_posix() for line in block.splitlines() if line and line[0] != ":"}
    assert listed == {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")
                      if "_build" not in path.parts and "jupyter_execute" not in path.parts}


def test_links_lead_to_pages_of_the_site():
    text = "[rule](rule.md#by-terms) [code](../../lrp_core/rules.py) [web](https://a.b/c.md) [map]"
    assert pages.relinked(f"{text}(../../ARCHITECTURE.md)", "docs/how-to/layer.md", "how-to/layer") == (
        f"{text}(../architecture.md)")
    assert pages.relinked("[how](docs/how-to/rule.md) ![plot](results/a.svg)", "ARCHITECTURE.md",
                          "architecture") == "[how](how-to/rule.md) ![plot](../results/a.svg)"
    assert pages.relinked("[front](../README.md)", "docs/speed.md", "speed") == "[front](index.md)"
    for name, origin in pages.OUTSIDE.items():
        assert (ROOT / origin).is_file() and (DOCS / f"{name}.md").is_file()


# ---- docstrings

def sample(first, second=2, *, third=3):
    """Share r out.

        R = x·W

    first: a number [n, *shape]. second, third: `names` of |z| or z_ij; see
    below.

    Returns nothing.
    """


def test_a_docstring_becomes_a_list_of_its_arguments():
    lines = sample.__doc__.replace("\n    ", "\n").splitlines()
    assert docstrings.restructured(lines, docstrings.names_of(sample)) == [
        "Share r out.", "", "::", "", "    R = x·W", "",
        "**first**", r"    a number [n, \*shape].", "",
        "**second**, **third**", r"    ``names`` of \|z\| or z\_ij; see below.", "",
        "Returns nothing.", ""]


def test_code_that_touches_letters_stays_code():
    assert docstrings.escaped("a`b`c `d`'s") == r"a\ ``b``\ c ``d``'s"
    assert docstrings.escaped("one ` alone") == r"one \` alone"


# ---- diagrams

def test_charts_of_the_pages_are_drawn():
    for origin in pages.OUTSIDE.values():
        text = (ROOT / origin).read_text(encoding="utf-8")
        for block in diagrams.BLOCK.findall(text):
            down, labels, edges = diagrams.chart(block)
            assert len(edges) == len(re.findall("-->|---", block)) and {e[0] for e in edges} <= set(labels)
            boxes, (width, height) = diagrams.places(down, labels, edges)
            for x, y, w, h in boxes.values():
                assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
            assert not overlaps(list(boxes.values()))
            side = 1 if down else 0
            for a, b, _, arrow in edges:
                assert not arrow or boxes[a][side] + boxes[a][side + 2] < boxes[b][side]
        assert "mermaid" not in diagrams.drawn(text)


def overlaps(boxes):
    """The pairs of boxes (x, y, width, height) that lie over each other."""
    return [(a, b) for number, a in enumerate(boxes) for b in boxes[:number]
            if abs(2 * a[0] + a[2] - 2 * b[0] - b[2]) < a[2] + b[2]
            and abs(2 * a[1] + a[3] - 2 * b[1] - b[3]) < a[3] + b[3]]


# ---- nothing from the network

@pytest.mark.parametrize("page", [
    '<script src="https://cdn.example/a.js">', "<img alt='x' src=//example/a.png>", "a{b:url(https://e/a.png)}",
    '<link href="http://e/a.css" rel="stylesheet">', '@import "https://e/a.css";'])
def test_what_a_page_would_load_is_found(page):
    assert len(offline.loaded(page)) == 1


@pytest.mark.parametrize("page", [
    '<a href="https://example.org">link</a>', '<script src="_static/a.js">', "url(data:image/png;base64,AA)",
    '<link rel="canonical" href="https://e/">', '<svg xmlns="http://www.w3.org/2000/svg">'])
def test_links_and_local_files_are_no_concern(page):
    assert not offline.loaded(page)


# ---- pictures

def test_the_tutorials_pictures_are_those_its_program_draws(tmp_path):
    """The words and numbers in them are; how Matplotlib writes lines may change with its version."""
    import pictures
    pictures.main(tmp_path)
    drawn = {path.name: words(path) for path in tmp_path.iterdir()}
    assert drawn == {path.name: words(path) for path in (DOCS / "pictures").iterdir()}
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[(.*?)\]\(pictures/(.*?)\)", page))
    assert sorted(shown.values()) == sorted(drawn) and all(len(alt) > 40 for alt in shown)


def words(picture):
    """The texts of an SVG."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8"))
