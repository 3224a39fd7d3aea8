"""How objects show themselves: a line at a prompt, and HTML in a notebook.

The HTML holds no script and no style sheet; its colours are the page's own, so that it reads in light and in
dark. Names come from files of strangers: they are cleaned and escaped here.
"""
import functools
import html
import re

from .text import NAME, QUOTED, clean

LINE = 200  # characters of an object's line
LEFT, RIGHT = "padding:.15em .7em;text-align:left", "padding:.15em .7em;text-align:right;white-space:nowrap"
EDGE = "1px solid rgba(128,128,128,.5)"


def line(kind, facts):
    """"<Ledger: 23 layers, ...>": what a prompt shows of an object, one line of at most LINE characters."""
    return f"<{clean(f'{kind}: {facts}', LINE - 2)}>"


def without_addresses(text):
    """What Python writes of values, without places in memory: they differ from run to run and tell nothing.
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def condition_name(condition):
    """A condition of a composite by name: a layer's class, a pattern in quotes, a function."""
    if isinstance(condition, str):
        return repr(condition)
    while isinstance(condition, functools.partial):
        condition = condition.func
    return getattr(condition, "__name__", None) or type(condition).__name__


def some(names, count):
    """The names of the first of `count` things, and how many more there are."""
    more = f", and {count - len(names):,} more" if count > len(names) else ""
    return ", ".join(map(clean, names)) + more


def amount(number):
    """A number as a sentence has it: two decimals, or two digits where that would say too little."""
    return f"{number + 0.0:.2f}" if not number or 0.1 <= abs(number) < 1e6 else f"{number:.2g}"


def escaped(text, limit=NAME):
    """Text for HTML: cleaned, and nothing of it is a tag or ends an attribute."""
    return html.escape(clean(text, limit), quote=True)


def paragraph(text):
    """A sentence as HTML, in full."""
    return f'<p style="margin:.4em 0">{html.escape(text, quote=True)}</p>'


def block(title, *parts):
    """An object as HTML: what it is, and the parts, which are HTML already."""
    return f'<div><p style="margin:.4em 0"><b>{escaped(title, LINE)}</b></p>{"".join(parts)}</div>'


def details(summary, part):
    """HTML that unfolds at a click."""
    return f'<details><summary>{escaped(summary, LINE)}</summary>{part}</details>'


def html_table(rows, align, *, header=True, footer=False):
    """The twin of `text.table`: rows of cells as an HTML table.

    A row that is a text, not a tuple of cells, spans all columns.
    """
    made = []
    for number, row in enumerate(rows):
        first, last = header and not number, footer and number == len(rows) - 1
        edge = f"border-bottom:{EDGE};" if first else f"border-top:{EDGE};" if last else ""
        if isinstance(row, str):
            cells = (f'<td colspan="{len(align)}" style="{LEFT};opacity:.75">'
                     f"{html.escape(row, quote=True)}</td>")
        else:
            tag = "th" if first else "td"
            cells = "".join(f'<{tag} style="{edge}{RIGHT if side == ">" else LEFT}">'
                            f"{escaped(cell, QUOTED)}</{tag}>" for cell, side in zip(row, align))
        made.append(f"<tr>{cells}</tr>")
    return (f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">{"".join(made)}'
            "</table>")


def bar(parts):
    """Numbers that add up, as one bar of coloured parts with a legend: HTML.

    parts: (name, number, colour) of each. What is negative is hatched.
    """
    def fill(number, colour):
        stripes = f"repeating-linear-gradient(45deg,{colour} 0 4px,transparent 4px 8px)"
        return f"background:{colour if number >= 0 else stripes}"
    largest = max((abs(number) for _, number, _ in parts), default=0) or 1.0
    pieces = "".join(f'<span title="{escaped(name)}: {number:.4g}" style="flex:{abs(number) / largest:.5f} 0 '
                     f'0;{fill(number, colour)}"></span>' for name, number, colour in parts)
    legend = "".join(f'<span style="margin-right:1.2em;white-space:nowrap"><span style="display:inline-block;'
                     f'width:.8em;height:.8em;margin-right:.3em;{fill(number, colour)}"></span>'
                     f"{escaped(name)} {number:.4g}</span>" for name, number, colour in parts)
    return (f'<div style="max-width:640px"><div style="display:flex;height:1em;border:{EDGE}">{pieces}</div>'
            f'<p style="margin:.3em 0">{legend}</p></div>')
