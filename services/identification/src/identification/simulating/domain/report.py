"""Make the report of a simulation: its groups added up by area and age, and Chinese sentences for decision makers."""

from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

from common.calendar import month_text
from common.codes import divisions
from common.money import yuan
from rules.deciding.wording import fund_name
from rules.form.names import area_name
from rules.money.groups import AGE_BANDS, UNKNOWN_AGE
from rules.money.tallies import Group, Tally

from identification.simulating.domain.protected_tally import SMALL_CELL

_BANDS: Final = {name: n for n, (name, _) in enumerate(AGE_BANDS)} | {UNKNOWN_AGE: len(AGE_BANDS)}


class GroupRow(NamedTuple):
    """The sums over the people of a division and an age band. `band` None: all ages."""

    division: str
    band: str | None
    group: Group


class Scope(NamedTuple):
    """The list and the months of a simulation."""

    jurisdiction: str
    first_month: date
    months: int


def group_rows(tally: Tally) -> list[GroupRow]:
    """Return the rows of every county and every area above it, by age band and in total; the largest areas first."""
    found: dict[tuple[str, str | None], Group] = {}
    for (county, band), group in tally.groups.items():
        for division in (county, *divisions.ancestors(county)):
            _add(found.setdefault((division, band), Group()), group)
            _add(found.setdefault((division, None), Group()), group)
    return sorted((GroupRow(division, band, group) for (division, band), group in found.items()), key=_place)


def _add(total: Group, group: Group) -> None:
    for field in Group.__struct_fields__:
        setattr(total, field, getattr(total, field) + getattr(group, field))


def _place(row: GroupRow) -> tuple[int, str, int]:
    """Return the sort key of a row: larger areas first, then by division and age band."""
    return _depth(row.division), row.division, _BANDS.get(row.band or "", -1)


def _depth(division: str) -> int:
    """Return the number of areas above a division; -1 for an unknown place."""
    return len(divisions.ancestors(division)) if division else -1


def summary(scope: Scope, tally: Tally, *, protected: bool) -> Iterator[str]:
    """Yield the Chinese sentences of the report.

    `protected`: the numbers of `tally` are protected, and 0 means few people or none.
    """
    total = Group()
    for group in tally.groups.values():
        _add(total, group)
    yield from _people_sentences(scope, total, protected)
    is_hidden = protected and not (total.changed and (total.fen_before or total.fen_after))
    if not is_hidden:
        yield from _money_sentences(tally, total)


def _people_sentences(scope: Scope, total: Group, protected: bool) -> Iterator[str]:
    def people(number: int) -> str:
        return f"不足{SMALL_CELL}人" if protected and not number else f"{number}人"

    yield (
        f"{area_name(scope.jurisdiction)}清单，自{month_text(scope.first_month)}起{scope.months}个月："
        f"涉及{people(total.people)}，决定有变化的{people(total.changed)}"
    )
    yield (
        f"只增不减的{people(total.winners)}，只减不增的{people(total.losers)}，有增有减的{people(total.mixed)}，"
        f"需要补充信息或作出选择的{people(total.asked)}"
    )


def _money_sentences(tally: Tally, total: Group) -> Iterator[str]:
    before, after = total.fen_before, total.fen_after
    yield f"应发资金由{yuan(before)}元变为{yuan(after)}元，相差{yuan(after - before)}元"
    yield from _fund_sentences(tally)
    more = sum(sums.more_fen for sums in tally.earlier.values())
    less = sum(sums.less_fen for sums in tally.earlier.values())
    if more or less:
        yield f"此前各月：补发{yuan(more)}元，不再应发{yuan(less)}元"


def _fund_sentences(tally: Tally) -> Iterator[str]:
    funds: dict[tuple[str, str], list[int]] = {}
    for key, sums in tally.money.items():
        if key.state != "barred":
            totals = funds.setdefault((key.jurisdiction, key.fund), [0, 0])
            totals[0] += sums.fen_before
            totals[1] += sums.fen_after
    for (jurisdiction, fund), (before, after) in sorted(funds.items()):
        if before != after:
            yield f"{area_name(jurisdiction)}（{fund_name(fund)}）：{yuan(before)}元 → {yuan(after)}元"
