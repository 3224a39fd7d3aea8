"""What makes the code readable: files of one idea, short functions, plain words, annotations."""
import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("lrp_core", "features", "audio_lrp", "train_tf", "benchmarks")
# Loops that are spelled out for the compiler, and one training run: the lines of a table, not of a thought.
WORDS = re.compile(r"\b(behind|nobody|somebody|told by|makes? room|the books? (close|of))\b", re.IGNORECASE)
# The names of measured rows, as the stored results have them.
NAMES = ("silence behind",)


def sources(*endings):
    """The files of the repository with these endings, without stored data and generated pages."""
    files = [path for ending in endings for path in ROOT.rglob(f"*{ending}")]
    names = [f"/{path.relative_to(ROOT).as_posix()}" for path in files]
    return [path for path, name in zip(files, names)
            if not re.search(r"/(\.|tests/data|build|results/|RESULTS)", name)]


def test_files_hold_one_idea():
    lines = {path.name: path.read_text(encoding="utf-8").count("\n") for path in sources(".py")}
    assert not {name: count for name, count in lines.items() if count > 400}


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_fit_on_a_screen(package):
    """At most 40 lines without the docstring."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                assert node.end_lineno - first.lineno < 40, f"{path.relative_to(ROOT)}: {node.name}"


def test_sentences_need_no_decoding():
    for path in sources(".py", ".md"):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if path.name != "test_house.py" and not any(name in line for name in NAMES):
                assert not WORDS.search(line), f"{path.relative_to(ROOT)}, line {number}: {line.strip()}"


def test_public_functions_are_annotated():
    """What `lrp_core` exports says which types it takes and gives."""
    import inspect

    import lrp_core
    bare = [name for name in lrp_core.__all__ if inspect.isfunction(found := getattr(lrp_core, name))
            and inspect.signature(found).return_annotation is inspect.Signature.empty]
    assert not bare
