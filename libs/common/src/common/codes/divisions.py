"""Look up administrative divisions (GB/T 2260, the statistical division set, and custom areas) with their periods.

A code names a place in a period: codes are abolished, renumbered and even reused for another county. The data state
which area contains another; a code prefix does not. The only exception is the documented structure of the statistical
set. A 12-digit village code begins with its 9-digit town code, and a town code with its 6-digit county code.
"""

from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import yaml

NATION = "000000"
VILLAGE_DIGITS, TOWN_DIGITS, COUNTY_DIGITS = 12, 9, 6

Kind = Literal["gb2260", "nbs", "custom"]


class Division(NamedTuple):
    """One code in one period [`valid_from`, `valid_to`). None: before records began, or still in force.

    `parent`: the code of the next area above. `becomes`: the code that replaced a renumbered one."""

    code: str
    name: str
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    kind: Kind
    becomes: str | None = None

    def in_force(self, on: date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on < self.valid_to)


def _division(row: dict[str, Any], parent: str | None) -> Division:
    first, last = row.get("from"), row.get("to")
    return Division(
        code=row["code"],
        name=row["name"],
        parent=row.get("parent", parent),
        valid_from=date(first, 1, 1) if first else None,
        valid_to=date(last + 1, 1, 1) if last else None,
        kind=row.get("kind", "gb2260"),
        becomes=row.get("becomes"),
    )


def _load() -> dict[str, tuple[Division, ...]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, if libyaml is installed
    text = files("common").joinpath("data/divisions.yaml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=loader)
    rows = [_division(data["nation"], None)]
    rows += [_division(row, NATION) for row in data["provinces"]]
    for section in ("current", "towns", "areas", "abolished"):
        rows += [_division(row, NATION) for row in data[section]]
    by_code: dict[str, tuple[Division, ...]] = {}
    for row in sorted(rows, key=lambda d: d.valid_from or date.min):
        by_code[row.code] = (*by_code.get(row.code, ()), row)
    return by_code


_BY_CODE = _load()
_CHILDREN: dict[str, tuple[str, ...]] = {}
for _latest in [periods[-1] for periods in _BY_CODE.values()]:
    if _latest.parent and _latest.valid_to is None:
        _CHILDREN[_latest.parent] = (*_CHILDREN.get(_latest.parent, ()), _latest.code)
# Provinces by their first two digits and cities by their first four. They only serve to judge the area of an ID number,
# for which nothing but the structure of GB/T 2260 is known.
_PROVINCES = frozenset(code[:2] for code in _CHILDREN[NATION])
_COVERED = frozenset(code[:4] for code in _BY_CODE if len(code) == COUNTY_DIGITS and code[2:4] != "00")


def get(code: str, on: date | None = None) -> Division | None:
    """The division that `code` names on a day (without a day: its latest period). None if the code is unknown or names
    nothing on that day.

    An unlisted town or village gets the name and the period of the nearest listed area above: its town, else its
    county. If its first six digits are those of a city or a province, it lies directly in that area.
    """
    periods = _BY_CODE.get(code)
    if periods is None:
        return _by_structure(code, on)
    if on is None:
        return periods[-1]
    return next((d for d in periods if d.in_force(on)), None)


def _by_structure(code: str, on: date | None) -> Division | None:
    """The division of an unlisted town or village, with the name and the period of the nearest listed area above; None
    for any other code.

    The area above may also be a city or a province. Such a code is accepted: the person is then served by that area.
    """
    upper = _structural_parent(code)
    above = get(upper, on) if upper else None
    return above and above._replace(code=code, parent=upper, kind="nbs", becomes=None)


def _structural_parent(code: str) -> str | None:
    if not (code.isascii() and code.isdigit()):
        return None
    if len(code) == VILLAGE_DIGITS:
        return code[:TOWN_DIGITS]
    if len(code) == TOWN_DIGITS and code[:COUNTY_DIGITS] in _BY_CODE and not code.startswith(NATION):
        return code[:COUNTY_DIGITS]
    return None


def known(code: str, on: date | None = None) -> bool:
    """Whether the code names a division on that day (without a day: in any period)."""
    return get(code, on) is not None


def name(code: str) -> str | None:
    """The Chinese name of the code's latest period, None when unknown."""
    division = get(code)
    return division.name if division else None


def parent(code: str) -> str | None:
    """The next area above; None for the nation and for unknown codes."""
    division = get(code)
    return division.parent if division else None


@lru_cache(maxsize=65536)
def ancestors(code: str) -> tuple[str, ...]:
    """All areas above a code, nearest first, ending with the nation; empty for unknown codes.

    A renumbered county lies within its successor, so that the successor's area contains records with the old code.
    """
    found: list[str] = []
    division = get(code)
    while division and (above := division.becomes or division.parent):
        found.append(above)
        division = get(above)
    return tuple(found)


def within(code: str, ancestor: str) -> bool:
    """Whether `code` is `ancestor` or lies below it."""
    return code == ancestor or ancestor in ancestors(code)


def children(code: str) -> tuple[str, ...]:
    """The areas directly below a code that are listed and still in force. Unlisted towns and villages are not
    included."""
    return _CHILDREN.get(code, ())


def successor(code: str, on: date) -> str | None:
    """The code in force on a day for the place that `code` names. A code in force is its own successor.

    None if the code is unknown, not yet in force, or abolished without a successor. Towns of a renumbered county have
    none, because their new suffix is not known.
    """
    division = get(code, on) or get(code)
    while division and division.becomes and not division.in_force(on):
        division = get(division.becomes)
    return division.code if division and division.in_force(on) else None


def id_area_plausible(area: str) -> bool:
    """Whether the first six digits of an ID number can be a place. In completely listed cities it must be a code of
    GB/T 2260 that was ever in force; elsewhere the province is enough. A number with another area is valid, too."""
    if area in _BY_CODE:
        return any(division.kind == "gb2260" for division in _BY_CODE[area])
    return area[:2] in _PROVINCES and area[:4] not in _COVERED


def every() -> tuple[Division, ...]:
    """All listed divisions in code order, abolished ones and every period included."""
    return tuple(d for code in sorted(_BY_CODE) for d in _BY_CODE[code])


def codes() -> tuple[str, ...]:
    """All listed codes whose period has no end, in code order."""
    return tuple(d.code for d in every() if d.valid_to is None)
