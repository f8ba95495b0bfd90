"""The forms of HTTP bodies and answers about simulations. Only officers and approvers of the area get small numbers."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from common.calendar import month_text
from common.words_zh import ITEMS
from msgspec import Struct
from pydantic import BaseModel, Field, model_validator
from rules.deciding.wording import DUE_STATES, fund_name
from rules.form.names import area_name
from rules.money.groups import age_band_name
from rules.money.tallies import EarlierKey, EarlierMoney, ItemCount, Money, MoneyKey, Tally
from shell.http.params import Body, Instant, Json, Month

from identification.simulating.domain.first_year import MONTHS_NEEDED
from identification.simulating.domain.protected_tally import protected_tally
from identification.simulating.domain.report import GroupRow, Scope, group_rows, summary
from identification.simulating.store import Status

MONTHS_MAX: Final = 36
Count = int | None


class SimulationIn(Body):
    """Either a stored version or a whole list. By default: one year from this month, or from the later month of the
    first change, with all inputs known now. An earlier `known_at` uses the inputs known then; approvers cannot sign
    such a simulation."""

    version: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    list: Json | None = Field(default=None, description="jurisdiction, items by code, exclusions, floors, deviations")
    from_month: Month | None = None
    months: int = Field(default=MONTHS_NEEDED, ge=1, le=MONTHS_MAX)
    known_at: Instant | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "SimulationIn":
        if (self.version is None) == (self.list is None):
            raise ValueError("either version or list")
        return self


class GroupOut(BaseModel):
    """People of a county, or of a larger area in total, and of an age band. `age_band` null: all ages. A count and its
    money are null if the count is too small to be shown."""

    division: str
    name: str
    age_band: str | None
    age_name: str
    people: Count
    changed: Count
    winners: Count
    losers: Count
    mixed: Count
    asked: Count
    fen_before: Count
    fen_after: Count


class ItemOut(BaseModel):
    item: str
    title: str
    have_before: Count
    have_after: Count
    gained: Count
    lost: Count
    more: Count
    less: Count
    asked: Count
    suppressed: Count
    visits_before: Count
    visits_after: Count


class MoneyOut(BaseModel):
    """Money of one month, payer and item, by the lists before and after. `fund`: the fiscal level.

    `state`: due, held, or barred (an example gives the amount or the pay rule; not paid)."""

    month: str
    jurisdiction: str
    name: str
    fund: str
    fund_name: str
    item: str
    title: str
    state: Literal["due", "held", "barred"]
    state_name: str
    fen_before: Count
    fen_after: Count
    payees_before: Count
    payees_after: Count


class EarlierOut(BaseModel):
    """Money for months before the window: `more_fen` is back-pay, `less_fen` is owed only by the lists before."""

    jurisdiction: str
    name: str
    fund: str
    fund_name: str
    item: str
    title: str
    more_fen: Count
    less_fen: Count


class ResultOut(BaseModel):
    """The effect of the list on all people of the area.

    `people_changed`, `raised_fen`, `cut_fen`: the figures with which the effect of the published list is compared.
    `raised_fen` and `cut_fen` are sums over people of more or less money in the window. `suppressed`: small numbers are
    left out, others are rounded, and sums are those of the shown numbers."""

    people: Count
    people_changed: Count
    raised_fen: Count
    cut_fen: Count
    suppressed: bool
    summary: list[str]
    groups: list[GroupOut]
    items: list[ItemOut]
    money: list[MoneyOut]
    earlier: list[EarlierOut]
    examples: dict[str, list[str]] = Field(description="person ids by kind, for officers and approvers of the area")


class SimulationOut(BaseModel):
    """A simulation with its progress. `basis`: digest of the lists in force to compare with.

    Approvers can sign it while those lists are in force, if it covers the first year of the list and is not too old.
    They cannot sign if `replayed` (with an earlier `known_at`). `result`: set when complete."""

    simulation_id: str
    jurisdiction: str
    version: str
    state: Literal["waiting", "running", "complete", "failed"]
    fault: str | None
    first_month: str
    months: int
    known_at: dt.datetime
    replayed: bool
    basis: str
    requested_at: dt.datetime
    completed_at: dt.datetime | None
    chunks: int
    chunks_done: int
    people: Count
    result: ResultOut | None = None


class SimulationsOut(BaseModel):
    simulations: list[SimulationOut]


def show_simulation(
    status: Status, tally: Tally | None, *, full: bool, titles: Mapping[str, str] = MappingProxyType({})
) -> SimulationOut:
    """Return the answer about a simulation. `tally`: None: without the result.

    `full`: the caller may see each of these people. Other callers get protected numbers, and no number of people before
    completion. `titles`: by item code, for items that only one list names.
    """
    result = None
    if tally is not None and status.state == "complete":
        result = _result(status, tally, full=full, titles={**titles, **ITEMS})
    people = result.people if result else (status.people if full else None)
    plain = {**status._asdict(), "first_month": month_text(status.first_month), "people": people}
    return SimulationOut(**plain, result=result)


def _result(status: Status, tally: Tally, *, full: bool, titles: Mapping[str, str]) -> ResultOut:
    protected, people = not full, status.people
    if protected:
        tally = protected_tally(tally)
        people = sum(group.people for group in tally.groups.values())
    scope = Scope(status.jurisdiction, status.first_month, status.months)
    return ResultOut(
        people=_shown(people, protected),
        people_changed=_shown(tally.figures.people_changed, protected),
        raised_fen=_shown(tally.figures.raised_fen, protected),
        cut_fen=_shown(tally.figures.cut_fen, protected),
        suppressed=protected,
        summary=list(summary(scope, tally, protected=protected)),
        groups=[_group(row, protected) for row in group_rows(tally)],
        items=[_item(item, count, titles, protected) for item, count in sorted(tally.items.items())],
        money=[_money(key, sums, titles, protected) for key, sums in sorted(tally.money.items())],
        earlier=[_earlier(key, sums, titles) for key, sums in sorted(tally.earlier.items())],
        examples=tally.examples,
    )


def _shown(number: int, protected: bool) -> Count:
    """Return a number as shown: None for a protected 0, which means few people or none."""
    return None if protected and not number else number


def _counts(sums: Struct, protected: bool) -> dict[str, Count]:
    """Return the sums by field, as shown."""
    return {name: _shown(getattr(sums, name), protected) for name in sums.__struct_fields__}


def _group(row: GroupRow, protected: bool) -> GroupOut:
    return GroupOut(
        division=row.division,
        name=area_name(row.division) if row.division else "不详",
        age_band=row.band,
        age_name=age_band_name(row.band) if row.band else "合计",
        **_counts(row.group, protected),
    )


def _item(item: str, count: ItemCount, titles: Mapping[str, str], protected: bool) -> ItemOut:
    return ItemOut(item=item, title=titles.get(item, item), **_counts(count, protected))


def _money(key: MoneyKey, sums: Money, titles: Mapping[str, str], protected: bool) -> MoneyOut:
    names = {**key._asdict(), **_names(key, titles)}
    names |= {"month": month_text(key.month), "state_name": DUE_STATES[key.state]}
    return MoneyOut.model_validate({**names, **_counts(sums, protected)})


def _earlier(key: EarlierKey, sums: EarlierMoney, titles: Mapping[str, str]) -> EarlierOut:
    return EarlierOut(**key._asdict(), **_names(key, titles), more_fen=sums.more_fen, less_fen=sums.less_fen)


def _names(key: MoneyKey | EarlierKey, titles: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": area_name(key.jurisdiction),
        "fund_name": fund_name(key.fund),
        "title": titles.get(key.item, key.item),
    }
