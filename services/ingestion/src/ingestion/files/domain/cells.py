"""Converts cells of files to values of events. Codes become half width and lose their spaces; other text keeps its
characters. A cell that cannot be read raises CellWrong with a code; its value is never guessed.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from common.codes import certificate, divisions
from common.codes.id_number import IdNumber, check

from ingestion.files.domain.table import CUT, BadCell, Calculated, Cell

_SPACES = re.compile(r"\s+")
_SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?[eE]\+?\d+")
_LIST = re.compile(r"[、,，;；/|\s]+")
_GUARDED: Final = ("'=", "'+", "'-", "'@", "'\t", "'\r")
DIGITS_KEPT: Final = 15  # of a number in a spreadsheet


class CellWrong(Exception):
    """A cell cannot be read. `code` is on the published list of problems."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Convert = Callable[[Any], Any]


def plain(text: str) -> str:
    """Return the text of a code in half width and without spaces."""
    if text.isascii():
        return "".join(text.split()) if " " in text or "\t" in text else text
    return _SPACES.sub("", unicodedata.normalize("NFKC", text)).replace("\u200b", "").replace("\ufeff", "")


def prepared(cell: Cell) -> Any:
    """The value of a cell; None if it is empty. Bytes become text. Raises CellWrong for a cell without a usable
    value."""
    if isinstance(cell, Calculated):
        cell = cell.value
    if isinstance(cell, BadCell):
        raise CellWrong(cell.code)
    if isinstance(cell, bytes):
        cell = _decoded(cell)
    if isinstance(cell, str):
        text = cell.strip()
        if text[:2] in _GUARDED:  # our file of rejects adds an apostrophe
            text = text[1:].strip()
        if text.endswith(CUT):  # our file of rejects has only the beginning of the cell
            raise CellWrong("cell_cut")
        return text or None
    return cell


def _decoded(value: bytes) -> str:
    """The text of a column whose type is bytes, as some writers of Parquet store text."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CellWrong("row_encoding") from None


def to_text(value: Any) -> str:
    """The value as text, with single spaces. A number without a fraction has no decimal point."""
    if isinstance(value, str):
        return _SPACES.sub(" ", value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def to_code(value: Any) -> str:
    """The value as a code (`plain`). Raises CellWrong if a spreadsheet kept only the first digits of a long number."""
    if isinstance(value, str):
        text = plain(value)
        if "+" in text and _SCIENTIFIC.fullmatch(text):
            raise CellWrong("digits_lost")
        return text
    if isinstance(value, float):
        if abs(value) >= 10**DIGITS_KEPT:
            raise CellWrong("digits_lost")
        return str(int(value)) if value.is_integer() else str(value)
    return str(value)


def to_whole(value: Any) -> int:
    text = to_code(value)
    try:
        return int(text)
    except ValueError:
        raise CellWrong("number") from None


def to_number(value: Any) -> float:
    try:
        return float(plain(value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise CellWrong("number") from None


def to_list(value: Any) -> list[str]:
    """The codes of a list. In text, commas (also 、), semicolons, slashes, bars or spaces separate them."""
    if isinstance(value, list | tuple):
        return [to_code(v) for v in value]
    text = value if isinstance(value, str) else to_code(value)
    return [plain(part) for part in _LIST.split(text) if part]


# ── codes and names of divisions ────────────────────────────────────────────────────────────────────────────


def to_division(value: Any) -> str:
    """The code of a division, from a code of 6, 9 or 12 digits or from a name that only one division has.

    Digits are not checked here. Raises CellWrong for any other name."""
    text = to_code(value)
    if text.isdigit():
        return _without_zeros(text)
    found = _codes_by_name().get(text)
    if found is None:
        raise CellWrong("division_name")
    return found


def _without_zeros(code: str) -> str:
    """The code without the zeros that stand for lower levels: 530302000000 is the county 530302."""
    for length in (6, 9):
        if len(code) > length and set(code[length:]) == {"0"}:
            return code[:length]
    return code


@lru_cache(maxsize=1)
def _codes_by_name() -> Mapping[str, str | None]:
    """Name → code of the division in force; None if several divisions have the name. A division also has names that
    begin with the names of divisions above it."""
    found: dict[str, str | None] = {}
    for code in divisions.codes():
        own = divisions.name(code) or ""
        for prefix in _prefixes(code):
            full = prefix + own
            found[full] = code if found.get(full, code) == code else None
    return found


def _prefixes(code: str) -> set[str]:
    """All texts that may come before the name of a division: any of the names of the divisions above, highest first.

    The empty text is included."""
    prefixes = {""}
    for ancestor in divisions.ancestors(code):
        if ancestor != divisions.NATION:
            name = divisions.name(ancestor) or ""
            prefixes |= {name + prefix for prefix in prefixes}
    return prefixes


# ── words of the file ───────────────────────────────────────────────────────────────────────────────────────


def translated(convert: Convert, table: Mapping[str, Any]) -> Convert:
    """Return a converter that first looks up the value in `table` (word in the file → code). It applies `convert` to a
    value that is not in the table."""

    def look_up(value: Any) -> Any:
        key = plain(value) if isinstance(value, str) else to_text(value)
        return table[key] if key in table else convert(value)

    return look_up


def translated_list(convert: Convert, table: Mapping[str, Any]) -> Convert:
    """Like `translated`, for lists: the converter looks up the whole text first, and then each entry of the list."""

    def look_up(value: Any) -> Any:
        if isinstance(value, str) and plain(value) in table:
            return table[plain(value)]
        return [table.get(each, each) for each in convert(value)]

    return look_up


def derived(name: str, person: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
    """A value from the digits of a number in the row; None if they do not give it.

    `name`: `class` and `level` come from the certificate number, `birth_date` and `sex` from the ID number.
    """
    if name in ("class", "level"):
        return _from_certificate(name, str(value.get("certificate_no", "")))
    return _from_id_number(name, str(person.get("id_number", "")))


def _from_certificate(name: str, text: str) -> int | None:
    read = certificate.read(text)
    if read is None:
        return None
    return read.level if name == "level" else read.class_


def _from_id_number(name: str, text: str) -> str | None:
    number = check(text, None)
    if not isinstance(number, IdNumber):
        return None
    if name == "birth_date":
        return number.birth_date.isoformat() if number.birth_date else None
    return number.sex
