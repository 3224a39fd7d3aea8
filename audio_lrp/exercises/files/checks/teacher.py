"""What the checks share: your file, and messages that say where to look. Nothing to fill in here."""
import ast
import functools
import pathlib
import sys
import traceback
import types

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parents[1]
__tracebackhide__ = True  # pytest shows the check that failed, not these lines


class Exercise:
    """Your file: `Exercise("ex01_zero").lrp_zero` is your function. Calling it fails with a message for you
    if one of its gaps is still open, or where your code stopped.
    """

    def __init__(self, name, folder=FOLDER):
        self._name, self._path = name, pathlib.Path(folder, f"{name}.py")

    @functools.cached_property
    def _source(self):
        if not self._path.exists():
            fail(f"{self._path.name} is not there. `audio-lrp learn --exercises {self._path.parent}` writes "
                 "what is missing.")
        return self._path.read_text(encoding="utf-8")

    @functools.cached_property
    def _tree(self):
        try:
            return ast.parse(self._source)
        except SyntaxError as error:
            fail(f"{self._path.name}, line {error.lineno}: Python cannot read this: {error.msg}\n"
                 f"    {(error.text or '').strip()}")

    @functools.cached_property
    def _module(self):
        code = compile(self._tree, str(self._path), "exec")
        module = sys.modules[self._name] = types.ModuleType(self._name)
        module.__file__ = str(self._path)
        self._run(functools.partial(exec, code, vars(module)))
        return module

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        parts = {part.name: part for part in self._tree.body if hasattr(part, "name")}
        if name not in parts:
            fail(f"{self._path.name} has no {name} any more: the checks need it under this name")
        self._no_gaps(name, parts)
        found = getattr(self._module, name)
        if isinstance(found, type):
            return found
        return lambda *arguments, **options: self._run(functools.partial(found, *arguments, **options))

    def _no_gaps(self, name, parts):
        """Fail at the first open gap of a function or class, or of one in the file that it uses."""
        todo, seen = [name], set()
        while todo:
            part = parts[todo.pop()]
            seen.add(part.name)
            nodes = list(ast.walk(part))
            slices = {inner for node in nodes if isinstance(node, ast.Subscript)
                      for inner in ast.walk(node.slice)}  # x[..., 0] is no gap
            for node in nodes:
                if isinstance(node, ast.Constant) and node.value is ... and node not in slices:
                    line = self._source.splitlines()[node.lineno - 1].strip()
                    fail(f"{self._path.name}, line {node.lineno}: there is still a gap in {part.name}:\n"
                         f"    {line}")
                if isinstance(node, ast.Name) and node.id in parts and node.id not in seen:
                    todo.append(node.id)

    def _run(self, work):
        """What your code returns, or a failure that shows your line."""
        try:
            return work()
        except Exception as error:
            return fail(problem(error))


def problem(error):
    """An error in words, with the line of your file that led to it, and the shapes there."""
    frames, one = [], error
    while one is not None and not frames:
        frames = [(frame, line) for frame, line in traceback.walk_tb(one.__traceback__)
                  if is_yours(frame.f_code.co_filename)]
        one = one.__cause__ or one.__context__
    if not frames:
        return str(error) or type(error).__name__
    frame, line = frames[-1]
    path = pathlib.Path(frame.f_code.co_filename)
    code = path.read_text(encoding="utf-8").splitlines()[line - 1].strip()
    shapes = ", ".join(f"{name} {value.shape}" for name, value in frame.f_locals.items()
                       if isinstance(value, np.ndarray))
    said = f"{path.name}, line {line}, in {frame.f_code.co_name}: {type(error).__name__}: {error}\n    {code}"
    return f"{said}\n  shapes    {shapes}" if isinstance(error, ValueError) and shapes else said


def is_yours(filename):
    """Is this one of the files with gaps?"""
    path = pathlib.Path(filename)
    return path.parent == FOLDER and path.name.startswith("ex")


def fail(message):
    """Stop the check with a message."""
    raise AssertionError(message) from None


def random(rng, *shape):
    """Normal random numbers that single precision holds: lrp_core keeps the weights of its layers so."""
    return rng.standard_normal(shape).astype(np.float32).astype(float)


def close(what, found, expected, look, mistakes=()):
    """Is `found` the expected number or array, up to rounding?

    what: its name. look: where to look where it is not. mistakes: (wrong result, what leads to it) pairs.
    """
    expected = np.asarray(expected, float)
    if found is None:
        fail(f"{what}: nothing came back. Is there a `return`?")
    try:
        found = np.asarray(found, float)
    except (TypeError, ValueError):
        fail(f"{what}: numbers were expected, found {type(found).__name__}: {found!r}")
    if found.shape != expected.shape:
        fail(f"{what}: the shape {expected.shape} was expected, found {found.shape}\n  look at   {look}")
    if same(found, expected):
        return
    for wrong, reason in mistakes:
        if np.shape(wrong) == found.shape and same(found, wrong):
            look = reason
            break
    fail(f"{what}{difference(found, expected)}\n  look at   {look}")


def same(found, expected):
    """Equal up to rounding."""
    expected = np.asarray(expected, float)
    return np.allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(initial=1e-3))


def difference(found, expected):
    """The two beside each other; of large arrays, the first place where they differ."""
    if expected.size <= 12:
        return f"\n  expected  {shown(expected)}\n  found     {shown(found)}"
    wrong = ~np.isclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(initial=1e-3))
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    at = f"at {list(place)}" if len(place) > 1 else f"at {place[0]}"
    return (f", which has {expected.size} numbers: {int(wrong.sum())} wrong, the first {at}\n"
            f"  expected  {expected[place]:.6g}\n  found     {found[place]:.6g}\n"
            f"  the sum   {found.sum():.6g}; expected {expected.sum():.6g}")


def shown(array):
    """Numbers on one line."""
    return " ".join(np.array2string(array, precision=6, suppress_small=True).split())
