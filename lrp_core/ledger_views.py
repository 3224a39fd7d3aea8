"""A ledger as people read it: where the score went, in a sentence, a table, a bar and a figure.

Of a batch's ledger each number is the mean over the samples. A column needs no words here: it then goes by
its name.
"""
import textwrap

import numpy as np

from .pictures import new_figure
from .show import amount, bar, block, details, html_table, paragraph
from .text import clean, table

KEPT = 0.005        # of the score: what is less is not worth a sentence
IDLE = 1e-6         # of the score: a layer that keeps less passes all on
LARGEST = 10        # times the score: beyond that a sentence gives numbers, not shares
ROWS = 24           # layers of a figure
INPUT_COLOUR, OTHER_COLOUR = "#2a78b5", "#7d5ba6"
COLOURS = {"bias": "#c9a227", "stabilizer": "#8a8a8a", "gated": "#b5651d"}
NAMES = {"bias": "biases", "by_rule": "rules", "softmax": "softmaxes", "state": "initial states"}
# How a sentence says that a column keeps a part, and how that it adds one.
SAID = {"bias": ("biases keep {}", "biases add {}"), "stabilizer": ("the stabilizer keeps {}",
                                                                    "the stabilizer adds {}"),
        "gated": ("{} finds no input to go to (gated)",) * 2,
        "by_rule": ("the rules keep {}", "the rules add {}"),
        "softmax": ("softmaxes keep {}", "softmaxes add {}"),
        "state": ("{} goes to initial states", "{} goes to initial states")}


def mean(numbers):
    """A number, or the mean over the samples."""
    return float(np.mean(numbers))


def where_from(ledger):
    """Where relevance ends, in words."""
    return "the input" if ledger.end == "input" else clean(ledger.end)


def sentence(ledger, where=None):
    """Where the score went: "60% of the score 4.57 reaches the input; biases keep 29% (most in conv3a: 21%);
    the stabilizer keeps 11%."

    where: what the relevance reaches, in words; the input by default. Parts below 1/2 % are left out. Where
    parts of both signs are more than ten times the score, they are told as numbers, not as shares.
    """
    where, total = where or where_from(ledger), ledger.total
    start, arrived = mean(total.received), mean(total.passed)
    if ledger.what == "gradient":
        return ("A gradient begins with 1 at the score and is not conserved: it adds up to "
                f"{amount(arrived)} at {where}.")
    parts = {column: mean(getattr(total, column)) for column in ledger.columns}
    largest = max(map(abs, (start, arrived, *parts.values())))
    if not largest:
        return f"The {ledger.what} is 0: there is nothing to share out."
    shares = largest <= LARGEST * abs(start)
    scale = start if shares else 1.0

    def told(number):
        return f"{round(number, 2) + 0.0:.0%}" if shares else amount(number)
    samples = np.size(ledger.start)
    head = (f"{told(arrived / scale)} of the {ledger.what} {amount(start)} reaches {where}" if shares
            else f"of the {ledger.what} {amount(start)}, {told(arrived)} reaches {where}")
    words = [f"mean of {samples:,} samples: {head}" if samples > 1 else head]
    for column, part in parts.items():
        if abs(part) >= KEPT * (abs(start) if shares else largest):
            words.append(said(column, part / scale, told)
                         + (most(ledger, column, scale, told) if column == "bias" else ""))
    return f"{words[0][0].upper()}{'; '.join(words)[1:]}."


def said(column, part, told):
    """"biases keep 29%", "biases add 5%"."""
    keeps, adds = SAID.get(column, (f"{NAMES.get(column, column)}: {{}}",) * 2)
    return keeps.format(told(part)) if part >= 0 or keeps == adds else adds.format(told(-part))


def most(ledger, column, scale, told):
    """Which layer has the most of a column: " (most in conv3a: 21%)", " (all in dense)"; "" where its part,
    as it is told, is nothing or the same as the whole.
    """
    parts = ledger.column(column).reshape(len(ledger.pages), -1).mean(axis=1).tolist()
    parts = [(part, page[0]) for part, page in zip(parts, ledger.pages) if part]
    whole = sum(part for part, _ in parts) / scale
    sign = 1 if whole >= 0 else -1
    part, name = max(parts, key=lambda one: sign * one[0] / scale)
    if len(parts) == 1:
        return f" (all in {clean(name)})"
    share = told(sign * part / scale)
    return "" if share in (told(0.0), told(sign * whole)) else f" (most in {clean(name)}: {share})"


def folded(ledger, every=False):
    """What a table shows, in order: an Entry for each layer that keeps something, and a list of names for
    each run of layers that pass all on. every: an Entry for each layer.
    """
    rows: list = []
    idle = np.all([np.abs(ledger.column(name)) <= IDLE * np.abs(ledger.start) for name in ledger.columns],
                  axis=0).reshape(len(ledger.pages), -1).all(axis=1)
    for entry, passes in zip(ledger, idle.tolist()):
        if every or not passes:
            rows.append(entry)
        elif rows and isinstance(rows[-1], list):
            rows[-1].append(entry.name)
        else:
            rows.append([entry.name])
    return rows


def run_of(names):
    """A run of layers that pass all on, as a line."""
    return (f"... {clean(names[0])} passes all on" if len(names) == 1 else
            f"... {len(names):,} layers pass all on: {', '.join(map(clean, names))}")


def cells(ledger, rows):
    """The table's cells: a header, a tuple for each Entry, a line of text for each run, and the total."""
    found: list = [("layer", "rule", "R out", "R in", *(name.replace("_", " ") for name in ledger.columns),
                    "residual")]
    for entry in (*rows, ledger.total):
        if isinstance(entry, list):
            found.append(run_of(entry))
            continue
        numbers = [mean(getattr(entry, name)) for name in ("received", "passed", *ledger.columns)]
        found.append((entry.name, entry.rule, *(f"{round(n, 4) + 0.0:.4f}" for n in numbers),
                      f"{mean(entry.residual):.1e}"))
    return found


def wrapped(text, width):
    """A run of layers as lines, broken between names."""
    lines = textwrap.wrap(text.replace(" ", "\xa0").replace(",\xa0", ", "), width, subsequent_indent="    ",
                          break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def text_table(ledger, every=False):
    """The table as text."""
    found = cells(ledger, folded(ledger, every))
    align = "<<" + ">" * (len(found[0]) - 2)
    lines = table([row for row in found if not isinstance(row, str)], align, footer=True).split("\n")
    header, shown = lines[:2], iter(lines[2:])
    body = []
    for row in found[1:-1]:
        body += ([next(shown)] if not isinstance(row, str) else
                 wrapped(row, max(len(lines[1]), 60)))
    return "\n".join([*header, *body, *shown])


def parts_of(ledger, where=None):
    """(name, number, colour) of what the score became: where it arrived, and each column that kept some."""
    total = ledger.total
    parts = [(where or where_from(ledger), mean(total.passed), INPUT_COLOUR)]
    for column in ledger.columns:
        if number := mean(getattr(total, column)):
            parts.append((NAMES.get(column, column), number, COLOURS.get(column, OTHER_COLOUR)))
    return parts


def html_of(ledger):
    """The ledger for a notebook: the sentence, a bar, the table, and all of its rows to unfold."""
    return block("Ledger", html_summary(ledger), html_rows(ledger),
                 details(f"all {len(ledger.pages):,} layers", html_rows(ledger, every=True)))


def html_summary(ledger, where=None):
    """The sentence and the bar."""
    return paragraph(sentence(ledger, where)) + bar(parts_of(ledger, where))


def html_rows(ledger, every=False):
    """The table as HTML."""
    return html_table(cells(ledger, folded(ledger, every)), "<<" + ">" * (len(ledger.columns) + 3),
                      footer=True)


def chosen(ledger):
    """[(name, {column: number})] of the layers that keep something, in order; beyond ROWS the smallest are
    one row, the last.
    """
    rows = [(entry.name, {column: mean(getattr(entry, column)) for column in ledger.columns})
            for entry in folded(ledger) if not isinstance(entry, list)]
    if len(rows) <= ROWS:
        return rows
    order = sorted(range(len(rows)), key=lambda k: -sum(map(abs, rows[k][1].values())))
    kept, rest = sorted(order[:ROWS - 1]), order[ROWS - 1:]
    others = {column: sum(rows[k][1][column] for k in rest) for column in ledger.columns}
    return [*(rows[k] for k in kept), (f"{len(rest):,} other layers", others)]


def figure_of(ledger):
    """A figure of where the score went: from the score down to what arrives, layer by layer."""
    rows = chosen(ledger)
    figure = new_figure(7.5, 1.4 + 0.3 * (len(rows) + 2))
    axes, left, least = figure.subplots(), mean(ledger.start), IDLE * abs(mean(ledger.start))
    axes.barh(0, left, color="#555555")
    shown = set()
    for place, (_, parts) in enumerate(rows, 1):
        for column, number in parts.items():
            if abs(number) > least:
                label = None if column in shown else NAMES.get(column, column)
                axes.barh(place, -number, left=left, color=COLOURS.get(column, OTHER_COLOUR), label=label)
                shown.add(column)
                left -= number
    axes.barh(len(rows) + 1, mean(ledger.arrived), color=INPUT_COLOUR)
    axes.axvline(0, color="grey", linewidth=0.8)
    names = [ledger.what, *(clean(name) for name, _ in rows), where_from(ledger)]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("relevance")
    axes.set_title(textwrap.fill(sentence(ledger), 90), loc="left", fontsize=10, parse_math=False)
    if shown:
        axes.legend(fontsize=9)
    return figure
