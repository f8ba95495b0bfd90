"""Converts cells to dates and instants."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final

from common.calendar import SHANGHAI, civil_date

from ingestion.files.domain.cells import CellWrong, to_code

_DATE = re.compile(r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_CLOCK = re.compile(r"[T ]?([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?")
_SERIAL = re.compile(r"[1-9]\d{4}")
_LEAP_BUG_UNTIL: Final = 60  # spreadsheets count 1900-02-29, a day that does not exist
_EXAMPLE: Final = datetime(2003, 4, 5, 16, 7, 8, tzinfo=SHANGHAI)
ToText = Callable[[Any], str]


def date_reader(formats: Sequence[str], zero: date) -> ToText:
    """Return a function that converts a cell to a date YYYY-MM-DD. It reads the usual ways to write a date in Chinese
    files, and raises CellWrong for any other text or number. A time of day after the date is ignored. A datetime with
    an offset has its date in Asia/Shanghai; a text with an offset is rejected.

    `formats` (strptime) are tried first. `zero`: day 0 of serial day numbers."""
    given = tuple(formats)

    def to_date(value: Any) -> str:
        if isinstance(value, datetime):
            return _date_in_china(value).isoformat()
        if isinstance(value, date):
            return value.isoformat()
        found = _date(_digits_or_text(value), given, zero)
        if found is None:
            raise CellWrong("date")
        return found

    return to_date


def reads_dates(format: str) -> bool:
    """Whether a format of strptime is valid and reads a whole date."""
    try:
        return datetime.strptime(_EXAMPLE.strftime(format), format).date() == _EXAMPLE.date()  # noqa: DTZ007
    except (ValueError, re.error):  # a repeated directive is an invalid pattern
        return False


def _date_in_china(moment: datetime) -> date:
    """The date in Asia/Shanghai. Without an offset, the moment is a local time already. Raises CellWrong at an end of
    the calendar, where there is no such date."""
    if moment.tzinfo is None:
        return moment.date()
    try:
        return civil_date(moment)
    except OverflowError:
        raise CellWrong("date") from None


def _digits_or_text(value: Any) -> str:
    """The text of a cell. A number loses its fraction, which is a time of day. Raises CellWrong for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = to_code(value).partition(".")[0]
    if not isinstance(value, str):
        raise CellWrong("date")
    return plain_date(value)


def plain_date(text: str) -> str:
    """The text in half width. Inner spaces stay, because a time of day may follow the date."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).strip()


@lru_cache(maxsize=65536)
def _date(text: str, formats: tuple[str, ...], zero: date) -> str | None:
    """The date in a text as YYYY-MM-DD; None if the text is no date. The parameters are those of `date_reader`."""
    moment = _parsed(text, formats)
    if moment is not None:
        return moment.date().isoformat()
    found = _DATE.match(text) or _COMPACT_DATE.match(text)
    if found is not None:
        return _matched_date(text, found)
    day = day_of(int(text), zero) if _SERIAL.fullmatch(text) else None
    return day.isoformat() if day else None


def _parsed(text: str, formats: Sequence[str]) -> datetime | None:
    """The moment in a text by the first format that fits, without an offset. None if no format fits."""
    for each in formats:
        try:
            return datetime.strptime(text, each)  # noqa: DTZ007 - a civil date or a local time
        except ValueError:
            continue
    return None


def _matched_date(text: str, found: re.Match[str]) -> str | None:
    """The date that a pattern found, as YYYY-MM-DD. None if it does not exist, or if anything but a possible time of
    day follows."""
    rest = text[found.end() :].strip()
    if rest and not _CLOCK.fullmatch(rest):
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return None


def day_of(serial: float, zero: date) -> Any:
    """The date of a serial day number, or the datetime if it has a fraction. None if it is out of range."""
    if not 1 <= serial <= (date.max - zero).days:
        return None
    whole = int(serial)
    is_before_bug = zero.year == 1899 and whole < _LEAP_BUG_UNTIL
    day = zero + timedelta(days=whole + is_before_bug)
    if serial == whole:
        return day
    return datetime.combine(day, time()) + timedelta(seconds=round((serial - whole) * 86_400))


def inclusive(to_date: ToText) -> ToText:
    """Return a function that converts a last day to the day after it, because a period ends before its `valid_to`.

    `to_date`: the conversion of a cell to a date. A day in the year 9999 stays as it is."""

    def to_end(value: Any) -> str:
        day = date.fromisoformat(to_date(value))
        return (day + timedelta(days=1)).isoformat() if day.year < 9999 else day.isoformat()

    return to_end


def instant_reader(to_date: ToText, formats: Sequence[str]) -> ToText:
    """Return a function that converts a cell to an instant in ISO 8601. Without an offset it is in Asia/Shanghai, and
    without a time of day it is midnight. The fraction of a number is ignored. The function raises CellWrong.

    `formats` (strptime) are tried first, with their time of day. `to_date`: the conversion of a cell to a date."""

    def to_instant(value: Any) -> str:
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, str):
            text = plain_date(value)
            moment = _parsed(text, formats) or _moment(text, to_date)
        else:
            moment = datetime.combine(date.fromisoformat(to_date(value)), time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)).isoformat()

    return to_instant


def _moment(text: str, to_date: ToText) -> datetime:
    """The moment in a text that no format of the mapping fits. Raises CellWrong."""
    try:
        if "T" in text:
            return datetime.fromisoformat(text)
        clock = _CLOCK.search(text, 6)
        day = date.fromisoformat(to_date(text))
        at = time(int(clock[1]), int(clock[2]), int(clock[3] or 0)) if clock else time()
    except ValueError:
        raise CellWrong("instant") from None
    return datetime.combine(day, at)
