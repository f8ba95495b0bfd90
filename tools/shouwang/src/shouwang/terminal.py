"""Tables on a terminal, where a Chinese character takes two columns."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence


def display_width(text: str) -> int:
    """In columns. A character of ambiguous width counts as narrow, as terminals in UTF-8 show it."""
    return sum(map(_width, text))


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def aligned(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> Iterator[str]:
    """One line per row, two spaces between columns; the columns `numbers` stand to the right."""
    if not rows:
        return
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for n, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blank = " " * (width - display_width(cell))
            cells.append(blank + cell if n in numbers else cell + blank)
        yield "  ".join(cells).rstrip()
