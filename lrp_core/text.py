"""Text that is safe to print: names and messages from files may hold anything. Every table is made here."""

NAME = 60  # characters of a name that a table shows
QUOTED = 200  # characters of a name that an error quotes: enough to find it in the file
MESSAGE = 2000  # characters of an error message
LISTED = 20  # names that an error lists


def clean(text, limit=NAME):
    """`text` as one line of at most `limit` characters that a terminal shows and does not obey.

    Whatever is not printable (control characters, line ends, escape sequences, marks that change the
    direction of writing, lone surrogates) is written as Python writes it in a string: `\\x1b`, `\\n`,
    `\\ud800`. The middle of a longer text becomes "...".
    """
    shown = shortened(str(text), limit)  # at first, so that a text of any length costs nothing
    return shortened("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown),
                     limit)


def shortened(text, limit):
    """`text`, the middle of it "..." where it has more than `limit` characters."""
    return (text if len(text) <= limit
            else f"{text[:limit - 3 - limit // 3]}...{text[len(text) - limit // 3:]}")


def quote(value, limit=QUOTED):
    """A name, or whatever stands in its place, as an error quotes it: as Python writes it, shortened as in
    `clean`.
    """
    return repr(shortened(value, limit)) if isinstance(value, str) else clean(repr(value), limit)


def listing(names, most=LISTED):
    """Names as an error lists them: cleaned, the first `most` of them, and how many there are."""
    names = list(names)
    more = f", ... ({len(names):,} in all)" if len(names) > most else ""
    return ", ".join(map(clean, names[:most])) + more


def clean_lines(text, limit=MESSAGE):
    """`clean` for a text whose line ends are its own: a message or a table. Each line is cleaned by itself.
    """
    return "\n".join(clean(line, limit) for line in str(text).split("\n"))


def table(rows, align, *, header=True, footer=False):
    """Rows of cells as text in columns.

    align: "<" (left) or ">" (right) for each column. header, footer: whether the first and the last row are
    set apart by a line.
    """
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(align))]
    lines = ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths)).rstrip()
             for row in rows]
    line = "-" * max(map(len, lines))
    return "\n".join([*lines[:header], *[line] * header, *lines[header:len(lines) - footer],
                      *[line] * footer, *lines[len(lines) - footer:]])
