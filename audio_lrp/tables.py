"""Tables for other programs, CSV and Markdown: what names from files hold is text there and nothing else."""
import contextlib
import csv
import html
import re

from lrp_core.files import replacing
from lrp_core.text import MESSAGE, clean

# What spreadsheets take for the beginning of a formula; some take the wide forms of East Asian writing too.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")


@contextlib.contextmanager
def csv_table(path, columns):
    """Give a function that writes a row to a CSV file, which is there whole after the block or not at all.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay as they are.
    """
    # surrogateescape: a file name that is not UTF-8 is written as the bytes it has.
    how = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with replacing(path) as partial, open(partial, "w", **how) as file:
        rows = csv.writer(file)

        def write(row):
            rows.writerow([harmless(cell) for cell in row])
        write(columns)
        yield write


def harmless(cell):
    """A cell that no spreadsheet runs: an apostrophe comes before text that begins like a formula and is no
    number.
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA) or is_number(cell):
        return cell
    return f"'{cell}"


def is_number(text):
    """Is the text a number, as in "-1.5e-07"?"""
    try:
        float(text)
    except ValueError:
        return False
    return True


def markdown_text(text):
    """A name as Markdown that shows it: no HTML, no emphasis, links, code or table columns come of it."""
    escaped = re.sub(r"([\\`*\[\]|~!#])", r"\\\1", html.escape(clean(text, MESSAGE), quote=False))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)  # within a word an underscore is just that
