"""A table, for the terminal and for Markdown."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text under headings. Columns whose heading begins with ">" are numbers and stand to the right.
    """
    title: str
    headings: tuple
    rows: list

    def text(self):
        """For the terminal."""
        lines = [[heading.lstrip(">") for heading in self.headings], *self.rows]
        widths = [max(len(str(line[column])) for line in lines) for column in range(len(self.headings))]
        aligned = ["  ".join(f"{cell!s:{'>' if heading.startswith('>') else '<'}{width}}"
                             for cell, heading, width in zip(line, self.headings, widths)).rstrip()
                             for line in lines]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([self.title, rule, aligned[0], rule, *aligned[1:], rule])

    def markdown(self):
        """For a page."""
        head = [heading.lstrip(">") for heading in self.headings]
        marks = ["---:" if heading.startswith(">") else "---" for heading in self.headings]
        lines = [head, marks, *[[str(cell).replace("|", "\\|") for cell in row] for row in self.rows]]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
