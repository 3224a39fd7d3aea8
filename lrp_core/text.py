"""Text that is safe to print: names and messages from files may hold anything. Every table of this package is made here."""

NAME = 60  # characters of a name that a table shows
MESSAGE = 2000  # characters of an error message


def clean(text, limit=NAME):
    """`text` as one line of at most `limit` characters that a terminal shows and does not obey.

    Whatever is not printable (control characters, line ends, escape sequences, marks that change the direction of
    writing, lone surrogates) is written as Python writes it in a string: `\\x1b`, `\\n`, `\\ud800`. The middle of a
    longer text becomes "...".
    """
    text = str(text)
    if len(text) > limit:
        text = f"{text[:limit - 3 - limit // 3]}...{text[len(text) - limit // 3:]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clean_lines(text, limit=MESSAGE):
    """`clean` for a text whose line ends are its own: a message or a table. Each line is cleaned by itself."""
    return "\n".join(clean(line, limit) for line in str(text).split("\n"))


def table(rows, align, *, header=True, footer=False):
    """Rows of cells as text in columns.

    align: "<" (left) or ">" (right) for each column. header, footer: whether the first and the last row are set apart
    by a line.
    """
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(align))]
    lines = ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths)).rstrip() for row in rows]
    line = "-" * max(map(len, lines))
    return "\n".join([*lines[:header], *[line] * header, *lines[header:len(lines) - footer],
                      *[line] * footer, *lines[len(lines) - footer:]])
