"""Check and normalise the ID numbers of persons.

Accepted are citizen ID numbers (GB 11643-1999), residence permits with the same layout, legacy numbers of 15 digits,
and numbers of older permanent residence cards.

A card for foreign permanent residents issued before December 2023 has three letters of a country or region and twelve
digits (国家移民管理局《新版外国人永久居留身份证机读信息规则》, 2023, which describes the change to 18).
We know of no publication about the twelve digits. So the module reads neither a birth date nor a sex from them, and
checks nothing of them. The number of the newer card does not follow from that of the older one. A source must state
that both belong to one person (`identity_change`).

The area in a number is the place of first registration, often an abolished code. It is never a residence, and an
unknown area is a warning, never a rejection. The area is not compared with the birth year. Numbers were first issued in
the 1980s, so a person born in 1940 may have a code of 1997.
"""

import re
from datetime import date
from enum import StrEnum
from functools import lru_cache
from operator import mul
from typing import Literal, NamedTuple

from common.codes import divisions
from common.codes.countries import NATIONALITIES

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"
# No living person is older, and the limit finds a wrong digit in the year.
BIRTH_YEAR_MIN = 1860
RAW_LENGTH_MAX = 64

_SHAPE = re.compile(r"[1-9][0-9]{16}[0-9X]", re.ASCII)
_LEGACY = re.compile(r"[1-9][0-9]{14}", re.ASCII)
_OLD_CARD = re.compile(r"[A-Z]{3}[0-9]{12}", re.ASCII | re.IGNORECASE)
_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)} | {ord("x"): "X", ord("ｘ"): "X"}
_INVISIBLE = " \t\r\n\v\f\u00a0\u3000\ufeff\u200b\u200e\u200f\u2060"
_ASCII_ZERO_SUM = ord("0") * sum(WEIGHTS)
_PERMIT_AREAS = frozenset({"810000", "820000", "830000"})

IdKind = Literal["citizen", "hmt_permit", "foreign_permit"]
Sex = Literal["1", "2"]


class IdCode(StrEnum):
    """The reason why a text is no ID number. AREA_UNKNOWN is only a warning about a valid number."""

    LENGTH = "id_length"
    CHARACTERS = "id_characters"
    BIRTH_DATE = "id_birth_date"
    BIRTH_IN_FUTURE = "id_birth_in_future"
    CHECKSUM = "id_checksum"
    NATIONALITY = "id_nationality"
    AREA_UNKNOWN = "id_area_unknown"


class IdProblem(NamedTuple):
    """The reason why a text is no ID number. `detail` never contains the text."""

    code: IdCode
    detail: str


class IdNumber(NamedTuple):
    """A valid number. `number`: 18 characters, or the 15 of an older permanent residence card, which has no `area`,
    `birth_date` or `sex`. `raw`: the text as received. `sex`: GB/T 2261.1 (1 male, 2 female)."""

    number: str
    area: str | None
    birth_date: date | None
    sex: Sex | None
    kind: IdKind
    raw: str
    warnings: tuple[IdCode, ...] = ()

    def __repr__(self) -> str:  # an accidental print must not reveal the number
        return f"IdNumber({self.number[:4]}**********{self.number[-4:]})"


_DETAILS = {
    IdCode.LENGTH: "an ID number has 18 characters, a legacy one or an older card for foreigners 15",
    IdCode.CHARACTERS: "only digits and a final X are allowed, or three letters before twelve digits",
    IdCode.BIRTH_DATE: "characters 7 to 14 are not a possible birth date",
    IdCode.BIRTH_IN_FUTURE: "the birth date lies in the future",
    IdCode.CHECKSUM: "the check character does not fit the other 17",
    IdCode.NATIONALITY: "the three letters are no code of a country or region",
}
_PROBLEMS = {code: IdProblem(code, detail) for code, detail in _DETAILS.items()}
_UNKNOWN_AREA = (IdCode.AREA_UNKNOWN,)


def normalise(raw: str) -> str:
    """The text without surrounding blanks, in half-width characters, with a capital X."""
    if raw.isascii():
        return raw.strip(_INVISIBLE).replace("x", "X")
    return raw.strip(_INVISIBLE).translate(_HALF_WIDTH).strip(_INVISIBLE)


def check_character(first17: str) -> str:
    return CHECK_CHARACTERS[(sum(map(mul, WEIGHTS, first17.encode())) - _ASCII_ZERO_SUM) % 11]


@lru_cache(maxsize=65536)
def _birth_date(text: str) -> date | None:
    try:
        born = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
    return born if born.year >= BIRTH_YEAR_MIN else None


@lru_cache(maxsize=8192)
def _area(area: str) -> tuple[IdKind, tuple[IdCode, ...]]:
    if area in _PERMIT_AREAS:
        return "hmt_permit", ()
    if area[0] == "9":  # 9, the province of issue, the ISO 3166 number of the nationality
        return "foreign_permit", ()
    return "citizen", () if divisions.id_area_plausible(area) else _UNKNOWN_AREA


def check(raw: str, today: date | None) -> IdNumber | IdProblem:
    """Return the parsed ID number, or the reason why the text is none. `raw`: the text as received. `today`: no birth
    date may be later (None: not checked)."""
    if len(raw) > RAW_LENGTH_MAX:
        return _PROBLEMS[IdCode.LENGTH]
    number = normalise(raw)
    if not _SHAPE.fullmatch(number):
        if _OLD_CARD.fullmatch(number):
            return _old_card(number.upper(), raw)
        if not _LEGACY.fullmatch(number):
            return _PROBLEMS[IdCode.CHARACTERS if len(number) in (15, 18) else IdCode.LENGTH]
        first17 = f"{number[:6]}19{number[6:]}"
        number = first17 + check_character(first17)
    born = _birth_date(number[6:14])
    if born is None:
        return _PROBLEMS[IdCode.BIRTH_DATE]
    if today is not None and born > today:
        return _PROBLEMS[IdCode.BIRTH_IN_FUTURE]
    if check_character(number[:17]) != number[17]:
        return _PROBLEMS[IdCode.CHECKSUM]
    area = number[:6]
    kind, warnings = _area(area)
    return IdNumber(number, area, born, "1" if number[16] in "13579" else "2", kind, raw, warnings)


def _old_card(number: str, raw: str) -> IdNumber | IdProblem:
    if number[:3] not in NATIONALITIES:
        return _PROBLEMS[IdCode.NATIONALITY]
    return IdNumber(number, None, None, None, "foreign_permit", raw)


def has_hukou(number: str) -> bool:
    """Whether the person with this normalised number is in the household register. Holders of residence permits are
    not."""
    return number[:6] not in _PERMIT_AREAS and number[0] in "12345678"


def parse(raw: str) -> IdNumber:
    """Return the parts of an ID number that `check` has accepted before. Raises ValueError if the text is no ID number;
    the message has the IdCode and not the text."""
    found = check(raw, None)
    if isinstance(found, IdProblem):
        raise ValueError(f"{found.code}: {found.detail}")
    return found


def make(area: str, birth: date, sequence: int) -> str:
    """Return a synthetic ID number with its check character. `sequence`: 0–999, odd for a man, even for a woman."""
    first17 = f"{area}{birth:%Y%m%d}{sequence:03d}"
    return first17 + check_character(first17)
