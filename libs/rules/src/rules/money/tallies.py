"""Sum the effects of a change of lists over persons: winners and losers, and money by payer.

Tallies of different persons can be added (`Tally.add`). So several processes can simulate a population in chunks, in
any order. All money is whole fen.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

import msgspec
from common.calendar import age_on
from common.codes import divisions
from common.events.entitlement import Entitlement

from rules.money.due import Due
from rules.money.effects import HAD, Effect, Figures, Window, days_in

AGE_BANDS: Final = (("100+", 100), ("90-99", 90), ("80-89", 80), ("70-79", 70), ("60-69", 60), ("0-59", 0))
EXAMPLES_MAX: Final = 5  # persons named of each kind
NOWHERE: Final = ""  # the county of a person without a known place
UNKNOWN_AGE: Final = "unknown"


def age_band_name(band: str) -> str:
    """Return the Chinese name of a band of AGE_BANDS, or of UNKNOWN_AGE."""
    if band == UNKNOWN_AGE:
        return "年龄不详"
    low, _, high = band.partition("-")
    if not high:
        return f"{band.removesuffix('+')}岁及以上"
    return f"{low}至{high}岁" if int(low) else f"不满{int(high) + 1}岁"


class Group(msgspec.Struct, gc=False):
    """Numbers of persons of one county and age band. `fen_before`, `fen_after`: their payable money in the window.

    `winners` only gain, `losers` only lose, `mixed` do both. `asked`: some item newly needs a fact or a choice.
    """

    people: int = 0
    changed: int = 0
    winners: int = 0
    losers: int = 0
    mixed: int = 0
    asked: int = 0
    fen_before: int = 0
    fen_after: int = 0


class ItemCount(msgspec.Struct, gc=False):
    """Numbers of persons: `have_…` those who have an item at any time in the window, the others those with this kind of
    change. `visits_before`, `visits_after`: the numbers of visits due in the window, which are the days of each
    entitlement divided by its `interval_days`."""

    have_before: int = 0
    have_after: int = 0
    gained: int = 0
    lost: int = 0
    more: int = 0
    less: int = 0
    asked: int = 0
    suppressed: int = 0
    visits_before: int = 0
    visits_after: int = 0


class Money(msgspec.Struct, gc=False):
    """The money of one `MoneyKey` before and after the change. `payees_before`, `payees_after`: numbers of persons."""

    fen_before: int = 0
    fen_after: int = 0
    payees_before: int = 0
    payees_after: int = 0


class EarlierMoney(msgspec.Struct, gc=False):
    """The money of months before the window: `more_fen` is back-pay, `less_fen` was owed only before the change."""

    more_fen: int = 0
    less_fen: int = 0


class GroupKey(NamedTuple):
    """The group of a person. `county`: of the residence, else of the hukou, else NOWHERE. `age_band`: of the age on the
    first day of the window."""

    county: str
    age_band: str


class MoneyKey(NamedTuple):
    """The payer and the purpose of money. `month`: its first day. `fund`: the fiscal level. `state`: as in `Due`."""

    month: date
    jurisdiction: str
    fund: str
    item: str
    state: str


class EarlierKey(NamedTuple):
    jurisdiction: str
    fund: str
    item: str


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A tally as rows in the order of their keys. This form is stored, sent between processes and shown."""

    figures: Figures
    groups: list[tuple[GroupKey, Group]]
    items: list[tuple[str, ItemCount]]
    money: list[tuple[MoneyKey, Money]]
    earlier: list[tuple[EarlierKey, EarlierMoney]]
    examples: dict[str, list[str]]


class Tally:
    """Sums over persons. `examples`: by kind (`winner`, `loser`, `mixed`, `asked`) the first few person ids, sorted."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.groups: dict[GroupKey, Group] = {}
        self.items: dict[str, ItemCount] = {}
        self.money: dict[MoneyKey, Money] = {}
        self.earlier: dict[EarlierKey, EarlierMoney] = {}
        self.examples: dict[str, list[str]] = {}

    def count(
        self,
        person_id: str,
        key: GroupKey,
        before: Sequence[Entitlement],
        after: Sequence[Entitlement],
        effect: Effect,
        window: Window,
    ) -> None:
        """Add one person."""
        group = self.groups.get(key) or self.groups.setdefault(key, Group())
        group.people += 1
        self._count_money(group, effect)
        for item, visits in _had(before, window).items():
            one = self._item(item)
            one.have_before += 1
            one.visits_before += visits
        for item, visits in _had(after, window).items():
            one = self._item(item)
            one.have_after += 1
            one.visits_after += visits
        if effect.changed:
            self._count_change(person_id, group, effect)

    def _count_money(self, group: Group, effect: Effect) -> None:
        for line in effect.before:
            sums = self._money(line)
            sums.fen_before += line.amount_fen
            sums.payees_before += 1
            group.fen_before += line.amount_fen if line.state != "barred" else 0
        for line in effect.after:
            sums = self._money(line)
            sums.fen_after += line.amount_fen
            sums.payees_after += 1
            group.fen_after += line.amount_fen if line.state != "barred" else 0

    def _count_change(self, person_id: str, group: Group, effect: Effect) -> None:
        self.figures = self.figures.plus(effect.figures)
        for item, change in effect.changes:
            one = self._item(item)
            setattr(one, change, getattr(one, change) + 1)
        for key, fen in effect.earlier.items():
            sums = self.earlier.setdefault(EarlierKey(*key), EarlierMoney())
            sums.more_fen += max(fen, 0)
            sums.less_fen += max(-fen, 0)
        asked = any(change == "asked" for _, change in effect.changes)
        kind = _kind_of_change(effect, asked)
        group.changed += 1
        group.asked += asked
        group.winners += kind == "winner"
        group.losers += kind == "loser"
        group.mixed += kind == "mixed"
        if kind:
            self._add_examples(kind, [person_id])

    def _add_examples(self, kind: str, person_ids: Iterable[str]) -> None:
        self.examples[kind] = sorted([*self.examples.get(kind, ()), *person_ids])[:EXAMPLES_MAX]

    def _money(self, line: Due) -> Money:
        key = (line.service_month, line.jurisdiction, line.fund, line.item, line.state)
        found = self.money.get(key)  # type: ignore[call-overload]
        return found or self.money.setdefault(MoneyKey(*key), Money())

    def _item(self, item: str) -> ItemCount:
        return self.items.get(item) or self.items.setdefault(item, ItemCount())

    def add(self, other: "Tally") -> None:
        """Add the persons of another tally. No person may be in both."""
        self.figures = self.figures.plus(other.figures)
        _add(self.groups, other.groups, Group)
        _add(self.items, other.items, ItemCount)
        _add(self.money, other.money, Money)
        _add(self.earlier, other.earlier, EarlierMoney)
        for kind, ids in other.examples.items():
            self._add_examples(kind, ids)

    def stored(self) -> Stored:
        return Stored(
            figures=self.figures,
            groups=sorted(self.groups.items(), key=itemgetter(0)),
            items=sorted(self.items.items(), key=itemgetter(0)),
            money=sorted(self.money.items(), key=itemgetter(0)),
            earlier=sorted(self.earlier.items(), key=itemgetter(0)),
            examples=self.examples,
        )

    @classmethod
    def of(cls, stored: Stored) -> "Tally":
        tally = cls()
        tally.figures = stored.figures
        tally.groups, tally.items, tally.money = dict(stored.groups), dict(stored.items), dict(stored.money)
        tally.earlier, tally.examples = dict(stored.earlier), stored.examples
        return tally


def _kind_of_change(effect: Effect, asked: bool) -> str | None:
    """Return `winner`, `loser`, `mixed` or `asked`; None: no such change."""
    if effect.gains and effect.loses:
        return "mixed"
    if effect.gains or effect.loses:
        return "winner" if effect.gains else "loser"
    return "asked" if asked else None


K = TypeVar("K")
S = TypeVar("S", bound=msgspec.Struct)


def _add(into: dict[K, S], more: dict[K, S], cls: type[S]) -> None:
    """Add the sums of `more` to those of `into`, by key and field. `cls`: the class of the sums."""
    for key, sums in more.items():
        found = into.setdefault(key, cls())
        for field in cls.__struct_fields__:
            setattr(found, field, getattr(found, field) + getattr(sums, field))


def _had(entitlements: Iterable[Entitlement], window: Window) -> dict[str, int]:
    """Return the items that a person has in the window, each with its number of visits."""
    found: dict[str, int] = {}
    for e in entitlements:
        if e.state in HAD and window.meets(e):
            visits = days_in(e, window) // e.interval_days if e.interval_days else 0
            found[e.item] = found.get(e.item, 0) + visits
    return found


def group_key(birth_date: date | None, residence: str | None, hukou: str | None, window: Window) -> GroupKey:
    """Return the group of a person with these last known places."""
    place = residence or hukou
    return GroupKey(county_of(place) if place else NOWHERE, _age_band(birth_date, window.first))


@lru_cache(maxsize=65536)
def county_of(division: str) -> str:
    """Return the county or custom area that contains a division; the division itself if it is larger or unknown."""
    if len(division) <= divisions.COUNTY_DIGITS:
        return division
    return next((a for a in divisions.ancestors(division) if len(a) == divisions.COUNTY_DIGITS), division)


def _age_band(birth_date: date | None, on: date) -> str:
    if birth_date is None:
        return UNKNOWN_AGE
    age = age_on(birth_date, on)
    return next((name for name, least in AGE_BANDS if age >= least), UNKNOWN_AGE)
