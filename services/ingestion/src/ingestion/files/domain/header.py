"""Reads the names in a header row."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ingestion.files.domain.table import COLUMNS_MAX

_REMARK: Final = re.compile(r"[(\[【].*?[)\]】]|[*:：·]")


class Name(NamedTuple):
    """The name of a column. `exact`: in half width and lower case without spaces; `bare`: also without remarks (text in
    brackets, asterisks and colons); `remarks`: the remarks."""

    exact: str
    bare: str
    remarks: str


def read_name(text: str) -> Name:
    """Read the name of a column."""
    exact = "".join(unicodedata.normalize("NFKC", text).split()).lower()
    return Name(exact, _REMARK.sub("", exact), "".join(_REMARK.findall(exact)))


class HeaderRow:
    """The columns of a row that may be a header, by their names."""

    def __init__(self, cells: Sequence[Any]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._bare: dict[str, list[tuple[int, str]]] = {}  # position and remarks
        for at, cell in enumerate(cells[:COLUMNS_MAX]):
            if isinstance(cell, str) and cell:
                name = read_name(cell)
                self._exact.setdefault(name.exact, []).append(at)
                self._bare.setdefault(name.bare, []).append((at, name.remarks))

    def exactly(self, name: str) -> list[int]:
        """Positions of the columns with exactly this name."""
        return self._exact.get(name, [])

    def called(self, name: str) -> list[tuple[int, str]]:
        """Positions and remarks of the columns that have this name without their remarks."""
        return self._bare.get(name, [])
