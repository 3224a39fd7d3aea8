"""Run a notebook's cells, without Jupyter: `python tests/notebook_cells.py NOTEBOOK.md`."""
import ast
import pathlib
import re
import sys

CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?::\w+:[^\n]*\n)*)(.*?)^```$", re.DOTALL | re.MULTILINE)


def cells(page):
    """The Python of a notebook's cells, in order; options such as `:tags:` are left out."""
    return [code for _, code in CELL.findall(page)]


def run(page, title):
    """Execute a notebook in one namespace; what a cell ends with shows itself, as it would in a browser."""
    names = {"__name__": "__main__"}
    for number, code in enumerate(cells(page), start=1):
        where, tree = f"{title}, cell {number}", ast.parse(code)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, where, "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), where, "eval"), names)
            getattr(shown, "_repr_html_", shown.__repr__)()
    return names


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    run(source.read_text(encoding="utf-8"), source.name)
