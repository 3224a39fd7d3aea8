"""The exercises: unfilled they fail and say where, solved they pass, wrong they say why; files are safe."""
import ast
import configparser
import importlib
import os
import pathlib
import re
import subprocess
import sys

import click.testing
import pytest
import soundfile

from audio_lrp import HERE
from audio_lrp.cli import main
from audio_lrp.exercises import FILES, names, write_exercises
from lrp_core import flow

ROOT = pathlib.Path(__file__).parents[1]
SOLUTIONS = ROOT / "tests" / "solutions"
EXERCISES = sorted(path.stem for path in FILES.glob("ex*.py"))


def parts_of(source):
    """{name: (first line, last line)} of the functions and classes of a file, decorators included."""
    return {part.name: (min([part.lineno, *(one.lineno for one in part.decorator_list)]), part.end_lineno)
            for part in ast.parse(source).body if isinstance(part, (ast.FunctionDef, ast.ClassDef))}


def put_in(path, solution):
    """Write the solution's functions and classes over those of the same names in a learner's file."""
    lines, found = path.read_text(encoding="utf-8").split("\n"), parts_of(solution)
    for name, (first, last) in sorted(parts_of("\n".join(lines)).items(), key=lambda part: -part[1][0]):
        if name in found:
            lines[first - 1:last] = solution.split("\n")[found[name][0] - 1:found[name][1]]
    path.write_text("\n".join(lines), encoding="utf-8")


def solution_of(name):
    """The text of a solution."""
    return (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A learner's folder, with nothing filled in."""
    write_exercises(tmp_path / "exercises")
    return tmp_path / "exercises"


@pytest.fixture
def solved(folder):
    """A learner's folder with all gaps filled."""
    for name in EXERCISES:
        put_in(folder / f"{name}.py", solution_of(name))
    return folder


@pytest.fixture
def outcomes(monkeypatch):
    """outcomes(folder, name): {check: its message, or None} of an exercise, each time from fresh files."""
    def run(folder, name):
        mine = re.compile(r"(test_)?ex\d\d_\w+|teacher|check")
        for loaded in [key for key in sys.modules if mine.fullmatch(key)]:
            monkeypatch.delitem(sys.modules, loaded)
        with monkeypatch.context() as paths:
            paths.syspath_prepend(folder / "checks")
            checks = importlib.import_module(f"test_{name}")
        teacher, found = sys.modules["teacher"], {}
        for key, check in [pair for pair in vars(checks).items() if pair[0].startswith("test_")]:
            try:
                found[key] = check()
            except AssertionError as error:
                found[key] = str(error)
            except Exception as error:
                found[key] = teacher.problem(error)
        return found
    registered = set(flow.registry)
    yield run
    assert {kind.__name__ for kind in set(flow.registry) - registered} <= {"Scale"}
    for loaded in [key for key in sys.modules if re.fullmatch(r"(test_)?ex\d\d_\w+|teacher", key)]:
        del sys.modules[loaded]


def in_folder(folder, *arguments):
    """A command as a learner gives it, in the folder."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=300, encoding="utf-8",
                          env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"})


# ---- what the checks say

@pytest.mark.parametrize("name", EXERCISES)
def test_unfilled_every_check_names_a_gap(name, folder, outcomes):
    found = outcomes(folder, name)
    lines = (folder / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(found) >= 2 or name == "ex01_zero"
    for check, message in found.items():
        place = re.match(rf"{name}\.py, line (\d+): there is still a gap in \w+:\n    (.*)", message or "")
        assert place, (check, message)
        assert "YOUR CODE" in lines[int(place[1]) - 1] and lines[int(place[1]) - 1].strip() == place[2]


@pytest.mark.parametrize("name", EXERCISES)
def test_with_the_solution_every_check_passes(name, solved, outcomes):
    assert "..." not in re.sub(r"#.*|\[\.\.\.", "", solution_of(name))
    assert set(outcomes(solved, name).values()) == {None}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_changes_nothing_but_the_gaps(name):
    """What a learner is given need not be changed."""
    given = ast.parse((FILES / f"{name}.py").read_text(encoding="utf-8"))
    source = "\n".join((FILES / f"{name}.py").read_text(encoding="utf-8").splitlines())
    solution = {re.sub(r"\s*#.*", "", line).strip() for line in solution_of(name).splitlines()}
    ends = parts_of(solution_of(name))
    for part in given.body:
        if getattr(part, "name", None) in ends:
            first = part.body[1] if ast.get_docstring(part) else part.body[0]
            for line in source.split("\n")[first.lineno - 1:part.end_lineno]:
                code = re.sub(r"\s*#.*", "", line).strip()
                assert not code or "YOUR CODE" in line or '"""' in line or code in solution, line


# (exercise, what stands in the solution, what a learner may write in its place, words of the message)
MISTAKES = [
    ("ex01_zero", "z = x @ W + b", "z = x @ W", "without the bias"),
    ("ex01_zero", "x * (W @ s)", "W @ s", "x_i is still missing"),
    ("ex01_zero", "return x * (W @ s)", "x * (W @ s)", "Is there a `return`"),
    ("ex01_zero", "x * (W @ s)", "x * (s @ W)", r"line \d+, in lrp_zero: ValueError: matmul"),
    ("ex01_zero", "s = R / z", "s = R / z.sum()", "each output has its own z_j"),
    ("ex01_zero", "x * (W @ s)", "x * W @ s", r"shapes    x \(3,\), W \(3, 2\), b \(2,\)"),
    ("ex01_zero", "s = R / z", "s = (R / z", "ex01_zero.py, line .*Python cannot read this"),
    ("ex01_zero", "x * (W @ s)", "x[..., None] * (W * s)", r"shape \(3,\) was expected, found \(3, 2\)"),
    ("ex02_ledger", "(s * b).sum()", "received - passed", "the bias took it"),
    ("ex02_ledger", "(s * b).sum()", "abs((s * b).sum())", "`bias` of a layer whose output speaks against"),
    ("ex02_ledger", "- bias\n", "+ bias\n", "`residual` of the layer of exercise 1"),
    ("ex03_epsilon", "np.where(z >= 0, epsilon, -epsilon)", "epsilon", "towards zero"),
    ("ex03_epsilon", "np.where(z >= 0, epsilon, -epsilon)", "epsilon * np.sign(z)", r"np.sign\(0\) is 0"),
    ("ex03_epsilon", "R / stabilize(z, epsilon)", "R / z", "not z$"),
    ("ex03_epsilon", "np.sum(s * (stabilize(z, epsilon) - z))", "np.sum(s * epsilon)", "to a negative z"),
    ("ex03_epsilon", "return R_in, bias, stabilizer", "return R_in", "three things"),
    ("ex04_network", "np.maximum(z, 0)", "np.abs(z)", "np.maximum"),
    ("ex04_network", "R[target] = xs[-1][target]", "R[:] = xs[-1]", "only class 2 is explained"),
    ("ex04_network", "R[target] = xs[-1][target]", "R[target] = 1", "not with 1"),
    ("ex04_network", "R = x * (W @ (R / stable))", "R = W @ (R / stable)", "the loop"),
    ("ex04_network", "R / stable", "R / z", "0.25"),
    ("ex05_convolution", "(x.reshape(shape), W).ravel()", "(x.reshape(shape), W)", "as_matrix.*shape"),
    ("ex05_convolution", "] += s @", "] = s @", "use \\+="),
    ("ex05_convolution", "back[i:i + h, j:j + w] += s", "back[:h, :w] += s", "the slices"),
    ("ex05_convolution", "x * transposed", "transposed", "multiply by x"),
    ("ex06_pooling", "np.argmax(window)", "8 - np.argmax(window[::-1, ::-1])", "the last of equals"),
    ("ex06_pooling", "i * stride + place // size", "place // size", "add i · stride"),
    ("ex06_pooling", "np.add.at(R_in, (rows, columns), R)", "R_in[rows, columns] += R", "np.add.at"),
    ("ex07_alpha_beta", "xp @ Wp + xn @ Wn", "xp @ Wp", "x⁻ W⁻"),
    ("ex07_alpha_beta", " - beta", " + beta", "β is subtracted"),
    ("ex07_alpha_beta", "R.sum() / len(x)", "R.sum()", "divide by the number of inputs"),
    ("ex08_own_rule", " ** self.p", "", "power p is not used"),
    ("ex08_own_rule", "np.maximum(layer.kernel, 0) ** self.p", "layer.kernel ** self.p", "negative weight"),
    ("ex08_own_rule", "Term(positive,", "Term(ones,", "use `positive`"),
    ("ex08_own_rule", "(Group((Term(positive, np.maximum(layer.kernel, 0) ** self.p),)),)",
     "Term(positive, layer.kernel)", "look at   groups"),
    ("ex08_own_rule", "layer.kernel, 0", "layer.weights, 0", r"line \d+, in groups: AttributeError"),
    ("ex09_ledger_column", "y >= least", "y > least", ">=, not >"),
    ("ex09_ledger_column", "book.bias += (s * layer.c)", "(s * layer.c)", "does not add up"),
    ("ex09_ledger_column", "[x * layer.g * s]", "x * layer.g * s", "return a list of arrays"),
    ("ex09_ledger_column", "(s * layer.c)", "(s * layer.b)", r"line \d+, in through_scale: .*attribute"),
    ("ex10_conservation", "W[:, dead], b[dead] = 0, 0", "pass", "exactly 0"),
    ("ex10_conservation", "W[:, dead], b[dead] = 0, 0", "W[:, 0], b[0] = 0, 0", "not all of these"),
    ("ex10_conservation", "1e-9 * (np.abs(R).sum() + np.abs(R_in).sum())", "1e-15", "refuses a right impl"),
    ("ex10_conservation", "1e-9 * (np.abs(R).sum() + np.abs(R_in).sum())", "1.0", "wrong was accepted"),
    ("ex10_conservation", " - stabilizer", "", "refuses a right implementation"),
    ("ex10_conservation", "np.all(R_in[x == 0] == 0)", "True", "gives every input the same"),
    ("ex10_conservation", "rng.integers(1, 8, 2)", "rng.integers(2, 8, 2)", "single output"),
    ("ex11_sound", "P * (s @ M.T)", "s @ M.T", "multiply by P"),
    ("ex11_sound", "share * carried[-1]", "share * R.sum()", "one of the positive relevance"),
    ("ex09_ledger_column", "layer.c).reshape(len(r), -1).sum(axis=1)", "layer.c).sum()", "but the first"),
    ("ex11_sound", " + 1\n", "\n", "one cell too few"),
]


@pytest.mark.parametrize(("name", "old", "new", "words"), MISTAKES)
def test_a_mistake_is_explained(name, old, new, words, folder, outcomes):
    assert old in solution_of(name)
    path = folder / f"{name}.py"
    put_in(path, solution_of(name))
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    messages = [message for message in outcomes(folder, name).values() if message]
    assert messages and re.search(words, messages[0]), messages


def test_part_of_an_exercise_can_be_checked(folder, outcomes):
    """The first gap of two is filled: its checks pass, the others still name the second."""
    solution = solution_of("ex03_epsilon")
    put_in(folder / "ex03_epsilon.py", solution[:solution.index("def lrp_epsilon")])
    found = outcomes(folder, "ex03_epsilon")
    assert [message is None for message in found.values()] == [True, True, False, False]


# ---- as a learner runs them

def test_check_says_how_far_one_is(folder):
    found = in_folder(folder, "check.py")
    assert found.returncode == 1 and not found.stderr, found.stderr
    assert "0 of 11 solved" in found.stdout and found.stdout.count("still a gap") == 1
    put_in(folder / "ex01_zero.py", solution_of("ex01_zero"))
    (folder / "ex03_epsilon.py").unlink()
    found = in_folder(folder, "check.py")
    assert re.search(r"1  LRP-0 for one dense layer +solved", found.stdout)
    assert "1 of 11 solved" in found.stdout
    assert "ex02_ledger.py, line" in found.stdout
    found = in_folder(folder, "check.py", "1")
    assert found.returncode == 0 and "of 11" not in found.stdout
    found = in_folder(folder, "check.py", "3")
    assert found.returncode == 1 and "ex03_epsilon.py is not there" in found.stdout
    assert in_folder(folder, "check.py", "12").returncode == 2


def test_solved_check_and_pytest_agree(solved):
    found = in_folder(solved, "check.py")
    assert found.returncode == 0 and "All solved" in found.stdout and "not yet" not in found.stdout, found
    found = in_folder(solved.parent, "-m", "pytest", "-q", "-p", "no:cacheprovider", solved)
    assert found.returncode == 0, found.stdout


def test_pytest_shows_the_message(folder):
    found = in_folder(folder.parent, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder)
    last = found.stdout.splitlines()[-1]
    assert found.returncode == 1 and "failed" in last and "passed" not in last and "error" not in last
    assert re.search(r"E +AssertionError: ex01_zero.py, line", found.stdout)
    assert "teacher.py" not in found.stdout  # the way there is no concern of a learner


def test_the_last_exercise_can_be_heard(solved):
    found = in_folder(solved, "ex11_sound.py")
    assert found.returncode == 0, found.stderr
    cells, whole = map(int, re.match(r"(\d+) of (\d+) cells", found.stdout).groups())
    assert cells < whole / 100
    sound, rate = soundfile.read(solved / "siren_relevant.wav")
    assert rate == 44_100 and len(sound) == 4 * rate and 0.8 < abs(sound).max() < 0.91


# ---- what the command writes

def run(*arguments):
    return click.testing.CliRunner().invoke(main, ["learn", *map(str, arguments)])


def test_the_command_keeps_a_learners_work(tmp_path):
    folder = tmp_path / "new" / "exercises"
    result = run("--exercises", folder)
    assert result.exit_code == 0 and f"{len(names())} files written" in result.output
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == set(names())
    (folder / "ex01_zero.py").write_text("mine")
    (folder / "ex02_ledger.py").unlink()
    result = run("--exercises", folder)
    assert result.exit_code == 0 and "1 file written" in result.output
    assert (folder / "ex01_zero.py").read_text() == "mine" and (folder / "ex02_ledger.py").exists()
    assert "left as they are" in result.output
    assert write_exercises(folder) == [] and "all of them" in run("--exercises", folder).output


def test_a_folder_that_cannot_be_written_to_is_an_error_for_people(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        result = run("--exercises", path)
        assert result.exit_code and str(path) in result.output and "Traceback" not in result.output


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(path, data):
        path.write_text("half")
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError):
        write_exercises(tmp_path)
    assert not list(tmp_path.rglob("*.*"))


def test_the_package_brings_all_files_along_and_no_solution():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["audio_lrp"].split(", ")
    shipped = {path for pattern in patterns for path in HERE.glob(pattern)}
    assert {FILES / name for name in names()} <= shipped
    assert {path.name for path in SOLUTIONS.glob("*.py")} == {f"{name}.py" for name in EXERCISES}
    assert SOLUTIONS.relative_to(ROOT).parts[0] not in setup["options.packages.find"]["include"]


def test_the_pages_name_the_exercises():
    table = (FILES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) `(\w+)\.py`", table, re.MULTILINE) == [
        (str(number), name) for number, name in enumerate(EXERCISES, 1)]
    for number, name in enumerate(EXERCISES, 1):
        text = ast.get_docstring(ast.parse((FILES / f"{name}.py").read_text(encoding="utf-8")))
        assert text.startswith(f"{number}. ") and f"python check.py {number}" in text
        assert f"checks of exercise {number}" in (FILES / "checks" / f"test_{name}.py").read_text(
            encoding="utf-8").lower()
