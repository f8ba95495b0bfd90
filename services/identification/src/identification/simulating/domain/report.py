"""How a simulation is shown: tables for machines, sentences for people, and no small numbers outside the area."""

import datetime as dt
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from common.calendar import month_text
from common.codes import divisions
from common.money import yuan
from pydantic import BaseModel, Field
from rules.deciding.wording import DUE_STATES, fund_name
from rules.form.items import ITEM_TITLES
from rules.form.names import area_name
from rules.money.tallies import (
    AGE_BANDS,
    UNKNOWN_AGE,
    EarlierKey,
    Group,
    ItemCount,
    Money,
    MoneyKey,
    Tally,
    age_band_name,
)

from identification.simulating.domain.protected_tally import SMALL_CELL, protected_tally

Count = int | None


class GroupView(BaseModel):
    """People of a county (or any area above, summed up) and an age band; `age_band` null: of every age. A count is
    null where it is too small to be shown, and so is money then."""

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


class ItemView(BaseModel):
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


class MoneyView(BaseModel):
    """`state`: due, held, or barred (only an example says the amount; not paid). `fund`: the fiscal level."""

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


class EarlierView(BaseModel):
    """For months before the window: paid back-dated, and owed until now and no longer."""

    jurisdiction: str
    name: str
    fund: str
    fund_name: str
    item: str
    title: str
    more_fen: Count
    less_fen: Count


class ResultView(BaseModel):
    """`raised_fen`, `cut_fen`: sums over people of what each gets more or less over the window; the three figures
    that a published list is held to. `suppressed`: small numbers are left out, the others rounded, and sums are those
    of the numbers shown."""

    people: Count
    people_changed: Count
    raised_fen: Count
    cut_fen: Count
    suppressed: bool
    summary: list[str]
    groups: list[GroupView]
    items: list[ItemView]
    money: list[MoneyView]
    earlier: list[EarlierView]
    examples: dict[str, list[str]] = Field(description="person ids by kind, for officers of the area only")


class SimulationView(BaseModel):
    """`basis`: names the lists it was held against; while they are in force it can be signed upon (not when
    `replayed`: asked of an earlier knowledge). `result` when complete."""

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
    result: ResultView | None = None


class _Teller(NamedTuple):
    """Shows numbers as they are, or protected ones, of which 0 stands for few people or none."""

    hides: bool

    def number(self, number: int) -> Count:
        return None if self.hides and not number else number


def view_simulation(
    row: Any, tally: Tally | None, *, full: bool, titles: Mapping[str, str] = MappingProxyType({})
) -> SimulationView:
    """`full`: the caller may see each of these people anyway. Without that, and until it is complete, the number of
    people is null. `titles`: of items that only a list can name."""
    plain = {**dict(row), "first_month": month_text(row["first_month"]), "people": row["people"] if full else None}
    view = SimulationView.model_validate(plain | {"result": None})
    if tally is not None and row["state"] == "complete":
        shown = tally if full else protected_tally(tally)
        view.result = _result(row, shown, _Teller(not full), {**titles, **ITEM_TITLES})
        view.people = view.result.people
    return view


def _result(row: Any, tally: Tally, teller: _Teller, titles: Mapping[str, str]) -> ResultView:
    people = sum(group.people for group in tally.groups.values()) if teller.hides else row["people"]
    return ResultView(
        people=teller.number(people),
        people_changed=teller.number(tally.figures.people_changed),
        raised_fen=teller.number(tally.figures.raised_fen),
        cut_fen=teller.number(tally.figures.cut_fen),
        suppressed=teller.hides,
        summary=list(_summary(row, tally, teller)),
        groups=[_group(division, band, group, teller) for (division, band), group in _rolled_up(tally)],
        items=[_item(item, titles.get(item, item), count, teller) for item, count in sorted(tally.items.items())],
        money=[
            MoneyView.model_validate(
                {**key._asdict(), "month": month_text(key.month), "state_name": DUE_STATES[key.state]}
                | _names(key, titles)
                | _money(sums, teller)
            )
            for key, sums in sorted(tally.money.items())
        ],
        earlier=[
            EarlierView(
                **key._asdict(),
                **_names(key, titles),
                more_fen=sums.more_fen,
                less_fen=sums.less_fen,
            )
            for key, sums in sorted(tally.earlier.items())
        ],
        examples=tally.examples,
    )


def _names(key: MoneyKey | EarlierKey, titles: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": area_name(key.jurisdiction),
        "fund_name": fund_name(key.fund),
        "title": titles.get(key.item, key.item),
    }


def _money(sums: Money, teller: _Teller) -> dict[str, Count]:
    return {name: teller.number(getattr(sums, name)) for name in Money.__struct_fields__}


def _item(item: str, title: str, count: ItemCount, teller: _Teller) -> ItemView:
    counts = {name: teller.number(getattr(count, name)) for name in ItemCount.__struct_fields__}
    return ItemView(item=item, title=title, **counts)


def _group(division: str, band: str | None, group: Group, teller: _Teller) -> GroupView:
    return GroupView(
        division=division,
        name=area_name(division) if division else "不详",
        age_band=band,
        age_name=age_band_name(band) if band else "合计",
        **{name: teller.number(getattr(group, name)) for name in Group.__struct_fields__},
    )


_BANDS: Final = {name: n for n, (name, _) in enumerate(AGE_BANDS)} | {UNKNOWN_AGE: len(AGE_BANDS)}


def _rolled_up(tally: Tally) -> Iterable[tuple[tuple[str, str | None], Group]]:
    """Every county and every area above it, each by age band and in all; the largest areas first."""
    found: dict[tuple[str, str | None], Group] = {}
    for (county, band), group in tally.groups.items():
        for division in (county, *divisions.ancestors(county)):
            for key in ((division, band), (division, None)):
                into = found.setdefault(key, Group())
                for field in Group.__struct_fields__:
                    setattr(into, field, getattr(into, field) + getattr(group, field))
    return sorted(found.items(), key=lambda one: (_depth(one[0][0]), one[0][0], _BANDS.get(one[0][1] or "", -1)))


def _depth(division: str) -> int:
    return len(divisions.ancestors(division)) if division else -1


def _summary(row: Any, tally: Tally, teller: _Teller) -> Iterable[str]:
    """What a decision maker reads first."""

    def told(people: int) -> str:
        return f"{count}人" if (count := teller.number(people)) is not None else f"不足{SMALL_CELL}人"

    groups = tally.groups.values()
    total = {name: sum(getattr(g, name) for g in groups) for name in Group.__struct_fields__}
    yield (
        f"{area_name(row['jurisdiction'])}清单，自{month_text(row['first_month'])}起{row['months']}个月："
        f"涉及{told(total['people'])}，决定有变化的{told(total['changed'])}"
    )
    yield (
        f"只增不减的{told(total['winners'])}，只减不增的{told(total['losers'])}，有增有减的{told(total['mixed'])}，"
        f"需要补充信息或作出选择的{told(total['asked'])}"
    )
    if teller.hides and not total["changed"]:
        return
    before, after = total["fen_before"], total["fen_after"]
    yield f"应发资金由{yuan(before)}元变为{yuan(after)}元，相差{yuan(after - before)}元"
    yield from _by_fund(tally)
    more, less = (sum(getattr(sums, name) for sums in tally.earlier.values()) for name in ("more_fen", "less_fen"))
    if more or less:
        yield f"此前各月：补发{yuan(more)}元，不再应发{yuan(less)}元"


def _by_fund(tally: Tally) -> Iterable[str]:
    funds: dict[tuple[str, str], list[int]] = {}
    for key, sums in tally.money.items():
        if key.state != "barred":
            both = funds.setdefault((key.jurisdiction, key.fund), [0, 0])
            both[0] += sums.fen_before
            both[1] += sums.fen_after
    for (jurisdiction, fund), (before, after) in sorted(funds.items()):
        if before != after:
            yield f"{area_name(jurisdiction)}（{fund_name(fund)}）：{yuan(before)}元 → {yuan(after)}元"
