"""Sum the effects of a change of lists over persons: winners and losers, and money by payer.

Tallies of different persons can be added (`Tally.add`). So several processes can simulate a population in chunks, in
any order. All money is whole fen.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

import msgspec
from common.events.entitlement import Entitlement

from rules.money.due import Due
from rules.money.effects import HAD, Effect, Figures, Window, days_in, payable_fen
from rules.money.groups import GroupKey
from rules.money.parts import Direction, Part, direction_of

EXAMPLES_MAX: Final = 5  # persons named of each kind


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
    """A tally as rows in the order of their keys. This form is stored, sent between processes and shown.

    Tallies that were stored before there were parts have none."""

    figures: Figures
    groups: list[tuple[GroupKey, Group]]
    items: list[tuple[str, ItemCount]]
    money: list[tuple[MoneyKey, Money]]
    earlier: list[tuple[EarlierKey, EarlierMoney]]
    examples: dict[str, list[str]]
    group_parts: list[tuple[tuple[GroupKey, Direction], Part]] = []
    item_parts: list[tuple[tuple[str, Direction], Part]] = []
    money_parts: list[tuple[tuple[MoneyKey, Direction], Part]] = []


class Tally:
    """Sums over persons. `examples`: by kind (`winner`, `loser`, `mixed`, `asked`) the first few person ids, sorted.

    `group_parts`, `item_parts`, `money_parts`: the persons who have payable money, visits of the item, or money of the
    key in the window, by the direction in which it changes."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.groups: dict[GroupKey, Group] = {}
        self.items: dict[str, ItemCount] = {}
        self.money: dict[MoneyKey, Money] = {}
        self.earlier: dict[EarlierKey, EarlierMoney] = {}
        self.examples: dict[str, list[str]] = {}
        self.group_parts: dict[tuple[GroupKey, Direction], Part] = {}
        self.item_parts: dict[tuple[str, Direction], Part] = {}
        self.money_parts: dict[tuple[MoneyKey, Direction], Part] = {}

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
        self._count_money(key, group, effect)
        self._count_items(_had(before, window), _had(after, window))
        if effect.changed:
            self._count_change(person_id, group, effect)

    def _count_items(self, had: dict[str, int], has: dict[str, int]) -> None:
        """Count the items of one person. `had`, `has`: numbers of visits by item."""
        for item, visits in had.items():
            one = self._item(item)
            one.have_before += 1
            one.visits_before += visits
        for item, visits in has.items():
            one = self._item(item)
            one.have_after += 1
            one.visits_after += visits
        _count_parts(self.item_parts, had, has)

    def _count_money(self, key: GroupKey, group: Group, effect: Effect) -> None:
        for line in effect.before:
            sums = self._money(line)
            sums.fen_before += line.amount_fen
            sums.payees_before += 1
        for line in effect.after:
            sums = self._money(line)
            sums.fen_after += line.amount_fen
            sums.payees_after += 1
        before, after = payable_fen(effect.before), payable_fen(effect.after)
        group.fen_before += before
        group.fen_after += after
        _count_parts(self.group_parts, {key: before}, {key: after})
        _count_parts(self.money_parts, _fen_by_key(effect.before), _fen_by_key(effect.after))

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
        _add(self.group_parts, other.group_parts, Part)
        _add(self.item_parts, other.item_parts, Part)
        _add(self.money_parts, other.money_parts, Part)
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
            group_parts=sorted(self.group_parts.items(), key=itemgetter(0)),
            item_parts=sorted(self.item_parts.items(), key=itemgetter(0)),
            money_parts=sorted(self.money_parts.items(), key=itemgetter(0)),
        )

    @classmethod
    def of(cls, stored: Stored) -> "Tally":
        tally = cls()
        tally.figures = stored.figures
        tally.groups, tally.items, tally.money = dict(stored.groups), dict(stored.items), dict(stored.money)
        tally.earlier, tally.examples = dict(stored.earlier), stored.examples
        tally.group_parts, tally.item_parts = dict(stored.group_parts), dict(stored.item_parts)
        tally.money_parts = dict(stored.money_parts)
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


def _count_parts(parts: dict[tuple[K, Direction], Part], before: Mapping[K, int], after: Mapping[K, int]) -> None:
    """Add the sums of one person to the parts, by key."""
    for key in {**before, **after}:
        was, now = before.get(key, 0), after.get(key, 0)
        if direction := direction_of(was, now):
            place = key, direction
            part = parts.get(place) or parts.setdefault(place, Part())
            part.count(was, now)


def _fen_by_key(lines: Iterable[Due]) -> dict[MoneyKey, int]:
    found: dict[MoneyKey, int] = {}
    for line in lines:
        key = MoneyKey(line.service_month, line.jurisdiction, line.fund, line.item, line.state)
        found[key] = found.get(key, 0) + line.amount_fen
    return found


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
