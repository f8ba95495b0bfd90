"""Output on a terminal: aligned columns and a line of progress. A Chinese character takes two columns."""

import sys
import unicodedata
from collections.abc import Collection, Iterator, Sequence


def show_progress(text: str) -> None:
    """Replace the line of progress on standard error; the empty text clears it. Does nothing without a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}{' …' if text else ''}", end="", file=sys.stderr, flush=True)


def display_width(text: str) -> int:
    """Width in columns. A character of ambiguous width counts as narrow, as in UTF-8 terminals."""
    return sum(map(_width, text))


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def aligned(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> Iterator[str]:
    """One line per row, two spaces between columns. The columns with an index in `numbers` are aligned to the right."""
    if not rows:
        return
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blank = " " * (width - display_width(cell))
            cells.append(blank + cell if index in numbers else cell + blank)
        yield "  ".join(cells).rstrip()
