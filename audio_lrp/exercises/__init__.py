"""The exercises: Python files with gaps and the checks that tell whether they are filled.

What a learner gets lies in `files/`, as it is written; nothing here imports it. The solutions are in the
tests of the project.
"""
import pathlib

from lrp_core.files import replacing

FILES = pathlib.Path(__file__).parent / "files"


def names() -> list[str]:
    """The files of the exercises, relative to their folder, in the order in which they are shown."""
    found = [path.relative_to(FILES) for ending in ("py", "md") for path in FILES.rglob(f"*.{ending}")]
    return [path.as_posix() for path in sorted(found, key=lambda path: (len(path.parts), path.as_posix()))]


def write_exercises(directory: str | pathlib.Path) -> list[pathlib.Path]:
    """Write the exercises to a folder, each file whole or not at all; returns the paths that were written.

    A file that is already there is left as it is: it may hold a learner's work. Raises OSError where the
    folder cannot be written to.
    """
    written = []
    for name in names():
        path = pathlib.Path(directory, name)
        if path.exists() or path.is_symlink():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes((FILES / name).read_bytes())
        written.append(path)
    return written
