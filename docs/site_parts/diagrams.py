"""Flow charts in Mermaid's notation as SVG, drawn here: Mermaid itself is a script from the network.

It knows what the pages use: `flowchart TD` or `LR`, boxes `name["label"]`, arrows `-->`, `-->|label|`,
lines `---`, several in one row.
"""
import html
import re

BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BOX = re.compile(r'\s*(\w+)(?:\["([^"]*)"\])?\s*')
ARROW = re.compile(r"(-->|---)(?:\|([^|]*)\|)?")
LABEL = ('font-style="italic" stroke="var(--color-background-primary, white)" stroke-width="4" '
         'paint-order="stroke"')
LETTER, LINE, GAP = 6.6, 15, 26  # the width of a letter, the height of a line, the space between boxes


def drawn(text):
    """A page's text with its charts as pictures."""
    return BLOCK.sub(lambda found: f'<div class="diagram">\n{svg(*chart(found[1]))}\n</div>', text)


def chart(text):
    """(down?, {box: its label}, [(from, to, label, arrow?)]) of a chart's text."""
    first, *rows = [row.strip() for row in text.strip().splitlines()]
    labels, edges = {}, []
    for row in rows:
        at, before, how = 0, None, None
        while box := BOX.match(row, at):
            labels[box[1]] = box[2] or labels.get(box[1], box[1])
            if before:
                edges.append((before, box[1], how[2] or "", how[1] == "-->"))
            before, how = box[1], ARROW.match(row, box.end())
            if not how:
                break
            at = how.end()
    return first.split()[1] == "TD", labels, edges


def levels(names, edges):
    """How many arrows lead to each box at most; a box that has lines alone stands beside its partners."""
    level = dict.fromkeys(names, 0)
    for _ in names:
        for a, b, _, arrow in edges:
            level[b] = max(level[b], level[a] + 1) if arrow else level[b]
    return level | {name: level[others[0]] for name in names if (others := partners(name, edges))}


def partners(name, edges):
    """The boxes at the other ends of a box's lines; none where it has arrows."""
    mine = [edge for edge in edges if name in edge[:2]]
    return [] if any(edge[3] for edge in mine) else [b if a == name else a for a, b, _, _ in mine]


def in_order(names, edges):
    """The boxes as they are named, those with lines alone between their partners."""
    place = {name: number for number, name in enumerate(names)}
    for name in names:
        if others := partners(name, edges):
            place[name] = sum(place[other] for other in others) / len(others)
    return sorted(names, key=place.get)


def wrapped(label, width=26):
    """A label's lines."""
    rows = [""]
    for word in label.split():
        if rows[-1] and len(rows[-1]) + len(word) >= width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


def places(down, labels, edges):
    """({box: (x, y, width, height)}, the picture's size); boxes of one level stand side by side."""
    sizes = {name: (LETTER * max(map(len, wrapped(label))) + 18, LINE * len(wrapped(label)) + 14)
             for name, label in labels.items()}
    level = levels(labels, edges)
    ranks = [[name for name in in_order(list(labels), edges) if level[name] == rank]
             for rank in range(max(level.values()) + 1)]
    along, across = (1, 0) if down else (0, 1)                       # which side of a box is which
    extents = [sum(sizes[name][across] + GAP for name in rank) - GAP for rank in ranks]
    found, start = {}, 4
    for number, (rank, extent) in enumerate(zip(ranks, extents)):
        side = 4 + (max(extents) - extent) / 2
        deep = max(sizes[name][along] for name in rank)
        for name in rank:
            spot = [0, 0]
            spot[along], spot[across] = start + (deep - sizes[name][along]) / 2, side
            found[name] = (*spot, *sizes[name])
            side += sizes[name][across] + GAP
        said = [words for a, b, words, _ in edges if level[b] == number + 1 > level[a]]
        start += deep + (2 * GAP if down else GAP + LETTER * max([0, *map(len, said)]) + 12)
    size = [0, 0]
    size[along], size[across] = start, max(extents) + 8
    return found, size


def svg(down, labels, edges):
    """The chart as SVG; its colours are those of the page's text."""
    found, (width, height) = places(down, labels, edges)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
             f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12" '
             'fill="currentColor" role="img"><defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" '
             'markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>']
    for a, b, label, arrow in edges:
        (ax, ay, aw, ah), (bx, by, bw, bh) = found[a], found[b]
        x1, y1, x2, y2 = ((ax + aw / 2, ay + ah, bx + bw / 2, by) if down
                          else (ax + aw, ay + ah / 2, bx, by + bh / 2))
        if not arrow:
            x1, y1, x2, y2 = ax + aw / 2, ay + ah / 2, bx + bw / 2, by + bh / 2
        parts.append(f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="currentColor"'
                     f'{" marker-end=" + chr(34) + "url(#tip)" + chr(34) if arrow else ""}/>')
        if label:
            parts.append(text([label], (x1 + x2) / 2 + (6 if down else 0), (y1 + y2) / 2 - (0 if down else 6),
                              "start" if down else "middle", LABEL))
    for name, (x, y, w, h) in found.items():
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{h:.0f}" rx="5" '
                     'fill="var(--color-background-primary, white)" '
                     'stroke="currentColor"/>')
        parts.append(text(wrapped(labels[name]), x + w / 2, y + h / 2, "middle"))
    return "".join(parts) + "</svg>"


def text(rows, x, y, anchor, more=""):
    """Lines of text around a point."""
    first = y - (len(rows) - 1) * LINE / 2 + 4
    lines = "".join(f'<tspan x="{x:.0f}" y="{first + LINE * number:.0f}">{html.escape(row)}</tspan>'
                    for number, row in enumerate(rows))
    return f'<text text-anchor="{anchor}" {more}>{lines}</text>'
