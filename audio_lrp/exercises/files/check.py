"""Check the exercises:

    python check.py          all of them, and what is wrong with the first that is not solved
    python check.py 3        the third, in full
"""
import ast
import pathlib
import runpy
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "checks"))

from teacher import problem  # noqa: E402


def exercises():
    """{number: name} of the exercises, by their checks."""
    names = sorted(path.stem.removeprefix("test_") for path in (HERE / "checks").glob("test_ex*.py"))
    return {int(name[2:4]): name for name in names}


def title(name):
    """The first line of an exercise's text."""
    path = HERE / f"{name}.py"
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        return (text or name).splitlines()[0].partition(". ")[2] or name
    except (OSError, SyntaxError):
        return name


def first_failure(name):
    """The message of the first check of an exercise that fails, or None where it is solved."""
    checks = runpy.run_path(str(HERE / "checks" / f"test_{name}.py"))
    for check in [found for key, found in checks.items() if key.startswith("test_")]:
        try:
            check()
        except AssertionError as error:
            said = str(error)
        except Exception as error:
            said = problem(error)
        else:
            continue
        return f"{check.__name__.removeprefix('test_').replace('_', ' ')}\n\n{said}"
    return None


def main(numbers):
    """Print how far you are; returns the exit code, 0 where all that was asked for is solved."""
    known, solved, told = exercises(), 0, False
    unknown = [number for number in numbers if not (number.isdigit() and int(number) in known)]
    if unknown:
        print(f"There is no exercise {unknown[0]}; there are {min(known)} to {max(known)}.")
        return 2
    asked = {number: known[number] for number in sorted(map(int, numbers))} if numbers else known
    for number, name in asked.items():
        failure = first_failure(name)
        solved += failure is None
        print(f"{number:3}  {title(name):52}{'solved' if failure is None else 'not yet'}")
        if failure and (numbers or not told):
            print("", *(f"       {line}" for line in failure.splitlines()), "", sep="\n")
            told = True
    if solved == len(known):
        print("\nAll solved: you have written layer-wise relevance propagation. lrp_core/rules.py and "
              "lrp_core/flow.py are\nthe same for any network; they are worth reading now.")
    elif not numbers:
        print(f"\n{solved} of {len(known)} solved.")
    return int(solved < len(asked))


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console without Greek letters shows question marks
    sys.exit(main(sys.argv[1:]))
