"""From a cell to a value of an event. Codes are brought to their plain form (half width, no spaces), and text stays as
it was written. A cell that cannot be read gives a code and is never guessed.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final

from common.calendar import SHANGHAI
from common.codes import certificate, divisions
from common.codes.id_number import IdNumber, check

from ingestion.files.sheet import day_of
from ingestion.files.table import CUT, BadCell, Calculated, Cell

_SPACES = re.compile(r"\s+")
_SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?[eE]\+?\d+")
_DATE = re.compile(r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_CLOCK = re.compile(r"[T ]?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?")
_SERIAL = re.compile(r"[1-9]\d{4}")
_LIST = re.compile(r"[、,;；/|\s]+")
_GUARDED: Final = ("'=", "'+", "'-", "'@")
DIGITS_KEPT: Final = 15  # of a number in a spreadsheet


class CellWrong(Exception):
    """`code` is on the published list of problems."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Convert = Callable[[Any], Any]


def plain(text: str) -> str:
    """A code in half width without any spaces."""
    if text.isascii():
        return "".join(text.split()) if " " in text or "\t" in text else text
    return _SPACES.sub("", unicodedata.normalize("NFKC", text)).replace("\u200b", "").replace("\ufeff", "")


def prepared(cell: Cell) -> Any:
    """The cell's value; None for an empty one. Raises CellWrong for a cell that has none to go by."""
    if isinstance(cell, Calculated):
        cell = cell.value
    if isinstance(cell, BadCell):
        raise CellWrong(cell.code)
    if isinstance(cell, str):
        text = cell.strip()
        if text[:2] in _GUARDED:  # as our own file of rejects protects it
            text = text[1:]
        if text.endswith(CUT):  # our own file of rejects holds its beginning only
            raise CellWrong("cell_cut")
        return text or None
    return cell


def to_text(value: Any) -> str:
    if isinstance(value, str):
        return _SPACES.sub(" ", value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def to_code(value: Any) -> str:
    """Raises CellWrong where a spreadsheet kept only the first digits of a long number."""
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
    except (TypeError, ValueError):
        raise CellWrong("number") from None


def to_list(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [to_code(v) for v in value]
    return [plain(part) for part in _LIST.split(value if isinstance(value, str) else to_code(value)) if part]


# ── dates ───────────────────────────────────────────────────────────────────────────────────────────────────


def date_reader(formats: Sequence[str], zero: date) -> Callable[[Any], str]:
    """Dates as they stand in Chinese files; `formats` (strptime) come first. The result is YYYY-MM-DD."""
    given = tuple(formats)

    def to_date(value: Any) -> str:
        if isinstance(value, datetime):
            return value.date().isoformat()
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, bool):
            raise CellWrong("date")
        if isinstance(value, int | float):
            value = to_code(value).partition(".")[0]
        found = _date(plain_date(value), given, zero)
        if found is None:
            raise CellWrong("date")
        return found

    return to_date


def plain_date(text: str) -> str:
    """Half width; inner spaces stay, for a time of day may follow."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).strip()


@lru_cache(maxsize=65536)
def _date(text: str, formats: tuple[str, ...], zero: date) -> str | None:
    for each in formats:
        try:
            return datetime.strptime(text, each).date().isoformat()  # noqa: DTZ007 - a civil date
        except ValueError:
            continue
    found = _DATE.match(text) or _COMPACT_DATE.match(text)
    if found is not None:
        rest = text[found.end() :].strip()
        if rest and not _CLOCK.fullmatch(rest):
            return None
        try:
            return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
        except ValueError:
            return None
    if _SERIAL.fullmatch(text):
        day = day_of(int(text), zero)
        return day.isoformat() if day else None
    return None


def inclusive(to_date: Callable[[Any], str]) -> Callable[[Any], str]:
    """A last day becomes the day after it: our periods end before `valid_to`."""

    def to_end(value: Any) -> str:
        day = date.fromisoformat(to_date(value))
        return (day + timedelta(days=1)).isoformat() if day.year < 9999 else day.isoformat()

    return to_end


def instant_reader(to_date: Callable[[Any], str]) -> Callable[[Any], str]:
    """An instant with its offset; without one it is Asia/Shanghai, without a time of day midnight."""

    def to_instant(value: Any) -> str:
        if isinstance(value, str):
            text = plain_date(value)
            if "T" in text:
                try:
                    moment = datetime.fromisoformat(text)
                except ValueError:
                    raise CellWrong("instant") from None
            else:
                clock = _CLOCK.search(text, 6)
                day = date.fromisoformat(to_date(text))
                try:
                    at = time(int(clock[1]), int(clock[2]), int(clock[3] or 0)) if clock else time()
                except ValueError:
                    raise CellWrong("instant") from None
                moment = datetime.combine(day, at)
        elif isinstance(value, datetime):
            moment = value
        else:
            moment = datetime.combine(date.fromisoformat(to_date(value)), time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).isoformat()

    return to_instant


# ── codes and names of places ───────────────────────────────────────────────────────────────────────────────


def to_division(value: Any) -> str:
    """A code of 6, 9 or 12 digits, or a name that means one place only."""
    text = to_code(value)
    if text.isdigit():
        for length in (6, 9):  # 530302000000 is the county itself
            if len(text) > length and set(text[length:]) == {"0"}:
                return text[:length]
        return text
    found = _names().get(text)
    if found is None:
        raise CellWrong("division_name")
    return found


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str | None]:
    """Names of places in force → code, with or without what lies above; None where one name means several."""
    found: dict[str, str | None] = {}
    for code in divisions.codes():
        above = [divisions.name(a) or "" for a in divisions.ancestors(code) if a != divisions.NATION]
        names = {""}
        for name in above:
            names |= {name + shorter for shorter in names}
        for prefix in names:
            full = prefix + (divisions.name(code) or "")
            found[full] = code if found.get(full, code) == code else None
    return found


def translated(convert: Convert, table: Mapping[str, Any]) -> Convert:
    """Words of the file → codes; what is not in the table is taken as it stands."""

    def look_up(value: Any) -> Any:
        key = plain(value) if isinstance(value, str) else to_text(value)
        return table[key] if key in table else convert(value)

    return look_up


def translated_list(convert: Convert, table: Mapping[str, Any]) -> Convert:
    def look_up(value: Any) -> Any:
        if isinstance(value, str) and plain(value) in table:
            return table[plain(value)]
        return [table.get(each, each) for each in convert(value)]

    return look_up


def derived(name: str, person: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
    """What the numbers of a row tell by their digits where no column does; None when they tell nothing."""
    if name in ("class", "level"):
        said = certificate.read(str(value.get("certificate_no", "")))
        return said and (said.level if name == "level" else said.class_)
    number = check(str(person.get("id_number", "")), None)
    if not isinstance(number, IdNumber):
        return None
    if name == "birth_date":
        return number.birth_date.isoformat() if number.birth_date else None
    return number.sex
