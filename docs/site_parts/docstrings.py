"""Docstrings of plain prose as reStructuredText: `name: text` lines become lists, indented lines code."""
import dataclasses
import inspect
import re

SPECIAL = re.compile(r"([\\*|_`])")


def process(app, what, name, obj, options, lines):
    """Sphinx's event: rewrite a docstring's lines in place."""
    lines[:] = restructured(lines, names_of(obj))


def names_of(obj):
    """The names a docstring may explain: parameters, and a class's fields and annotations."""
    names = set()
    if isinstance(obj, type):
        names |= {name for base in obj.__mro__ for name in vars(base).get("__annotations__", {})}
        if dataclasses.is_dataclass(obj):
            names |= {field.name for field in dataclasses.fields(obj)}
    try:
        names |= set(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        pass
    return names - {"self"}


def restructured(lines, names):
    """The lines of a docstring as lines of reStructuredText."""
    found = []
    for block in "\n".join(lines).expandtabs().strip("\n").split("\n\n"):
        rows = [row for row in block.split("\n") if row.strip()]
        indented = [row.startswith("    ") for row in rows]
        if rows and indented == [False, *[True] * (len(rows) - 1)] and not heading(names).match(rows[0]):
            found += prose(rows.pop(0), names)  # a sentence, and what it announces
            indented.pop(0)
        if rows and all(indented):
            found += ["::", "", *rows, ""]
        elif rows:
            found += prose(" ".join(row.strip() for row in rows), names)
    return found


def heading(names):
    """Matches the beginning of what a docstring says of some names: "a, b: "."""
    pattern = "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or r"(?!)"
    return re.compile(rf"(?:^|(?<=[.;] ))((?:{pattern})(?:, (?:{pattern}))*): ")


def prose(text, names):
    """A paragraph: sentences, then a list of the names it explains, "a, b: what they are"."""
    before, *parts = heading(names).split(text)
    found = [escaped(before.strip()), ""] if before.strip() else []
    for title, words in zip(parts[::2], parts[1::2]):
        found += [", ".join(f"**{escaped(name)}**" for name in title.split(", ")),
                  f"    {escaped(words.strip())}", ""]
    return found


def escaped(text):
    """Plain text in which nothing is markup but `code`."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return SPECIAL.sub(r"\\\1", text)
    shown = [SPECIAL.sub(r"\\\1", part) if number % 2 == 0 else f"``{part}``" if part else ""
             for number, part in enumerate(parts)]
    return "".join(joined(shown))


def joined(shown):
    """Text and code in turn, kept apart by escaped spaces where they touch letters."""
    for number, part in enumerate(shown):
        yield part
        after = shown[number + 1] if number + 1 < len(shown) else ""
        before_code = part[-1:].isalnum() and after.startswith("``")
        after_code = part.startswith("``") and (after[:1].isalnum() or after[:1] == "\\")
        if before_code or after_code:
            yield "\\ "
