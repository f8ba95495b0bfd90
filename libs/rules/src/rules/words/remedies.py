"""What would have to change for somebody to be given an item: the fewest circumstances, each in plain words.

The lists themselves are asked, not the sentence of the refusal: other circumstances are put in the place of those the
person is in, and only what the lists then grant is told. So rules between items and amounts for certain people count
like every condition. Nobody is told to move to another area.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import combinations, product
from typing import Any, Final

import msgspec
from common.calendar import birthday

from rules.deciding.choices import Holder
from rules.deciding.conditions import AGE, ELSEWHERE, PLACE, REST, SETS, TEST, World, compiled
from rules.deciding.exclusions import related
from rules.deciding.lists import Lists, Slab
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.wording import condition_text, value_text
from rules.form.policy import Condition
from rules.proof.cells import KNOWN, cells, leaves_of_version

TOLD_MAX: Final = 5
_AT_ONCE_MAX: Final = 3  # circumstances that change together; more than that helps nobody
_LOOKED_AT_MAX: Final = 20_000
_HELPED: Final = ("granted", "choice_required", "suspended")
Values = dict[int, Any]


class Circumstance(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that would be otherwise. `kind`: the fact that would say so. `on`: the day on which it comes by
    itself (a birthday)."""

    kind: str
    text: str
    on: date | None = None


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """Circumstances with all of which the item is given, and with none fewer of them, in one sentence and one by one.
    `amount_fen_per_month`: at least that much. `tier`: None also where it depends on which of them it is."""

    text: str
    circumstances: tuple[Circumstance, ...]
    amount_fen_per_month: int | None = None
    tier: str | None = None


def remedies(
    lists: Lists, slab: Slab, key: tuple[Any, ...], found: Applicable, *, born_on: date | None, on: date
) -> tuple[Remedy, ...]:
    """The remedies of somebody who is not given `found`, those with the fewest changes first; at most `TOLD_MAX`.

    `key`: the world behind its places, and last whether a death is suspected, as in `Lists.outcomes`. Nothing is said
    while the place that the item follows is unknown, since another list may count there.
    """
    if found.presumed:
        return ()
    return tuple(_Search(lists, slab, key, found).run(born_on, on))


class _Search:
    def __init__(self, lists: Lists, slab: Slab, key: tuple[Any, ...], found: Applicable) -> None:
        self._lists, self._slab, self._key, self._found = lists, slab, key, found
        self._tests = [t for t in dict.fromkeys(leaves_of_version(found.version)) if TEST[t.test].slot >= AGE]
        self._left = _LOOKED_AT_MAX
        near = related({found.item.item}, [slab.relations])  # what else is given may stand in the way
        theirs = [t for a in slab.applicable if a.item.item in near for t in leaves_of_version(a.version)]
        axes = cells([*self._tests, *(t for t in theirs if TEST[t.test].slot >= AGE)]).axes
        slots = {TEST[test.test].slot for test in self._tests}
        self._known = {slot: self._sets(slot, axes[slot - AGE]) if slot in SETS else KNOWN[slot] for slot in slots}
        self._options = {
            slot: self._other(slot, self._known[slot] if slot in SETS else axes[slot - AGE]) for slot in slots
        }

    def run(self, born_on: date | None, on: date) -> Iterator[Remedy]:
        told: set[tuple[str, ...]] = set()
        enough: list[frozenset[int]] = []  # nobody needs to hear of a change beside those that do alone
        for n in range(1, _AT_ONCE_MAX + 1):
            for slots in combinations(sorted(self._options), n):
                if any(fewer <= set(slots) for fewer in enough):
                    continue
                granted = list(self._granted(slots))
                if granted:
                    enough.append(frozenset(slots))
                for values, outcome in granted:
                    meant: set[Outcome] = {outcome}
                    circumstances = tuple(self._circumstance(slot, values, meant, born_on, on) for slot in slots)
                    texts = tuple(c.text for c in circumstances)
                    if texts in told:
                        continue
                    told.add(texts)
                    yield _remedy(self._found.item.title, circumstances, meant)
                    if len(told) >= TOLD_MAX:
                        return

    def _other(self, slot: int, axis: Iterable[Any]) -> tuple[Any, ...]:
        """What else could be known there. Nobody grows younger; that nothing is known is no help where it is asked."""
        now = self._key[slot - AGE]
        if slot == AGE:
            return tuple(v for v in axis if v is not None and now is not None and v > now)
        if slot == PLACE and now is None:  # no residence is known, so no list of one counts yet
            return ()
        return tuple(v for v in axis if v != now)

    def _sets(self, slot: int, axis: Iterable[Any]) -> tuple[Any, ...]:
        """What nobody asks about stays beside it. Nobody is told to seek a benefit elsewhere."""
        now = self._key[slot - AGE] or frozenset()
        beside = frozenset(one for one in now if not self._passed(slot, frozenset({one})))
        named = () if slot == ELSEWHERE else tuple(some for some in axis if some is not None)
        return (*(beside | some for some in named), beside or None)

    def _granted(self, slots: Sequence[int]) -> Iterator[tuple[Values, Outcome]]:
        """Of several ages only the next: whoever waits for that one reaches the later ones as well."""
        old_enough: set[tuple[Any, ...]] = set()
        for chosen in product(*(self._options[slot] for slot in slots)):  # ages rise
            values = dict(zip(slots, chosen, strict=True))
            rest = tuple(values[slot] for slot in slots if slot != AGE)
            if rest not in old_enough and (outcome := self._given(values)) is not None:
                if AGE in values:
                    old_enough.add(rest)
                yield values, outcome

    def _given(self, values: Values) -> Outcome | None:
        """What is given in the changed world, or may be chosen there; held money is given when the suspicion goes."""
        outcome = self._outcome(values)
        return outcome if outcome is not None and outcome.state in _HELPED else None

    def _outcome(self, values: Values) -> Outcome | None:
        """What the lists say of the item in the changed world; None also when enough has been looked at."""
        self._left -= 1
        if self._left < 0:
            return None
        rest = [values.get(slot, self._key[slot - AGE]) for slot in REST]
        key = (*rest, *self._key[len(rest) :])
        settled: Sequence[Outcome] | None = self._lists.outcomes(self._slab, key)
        if settled is None:  # somebody who may choose, and has nothing yet
            settled, _ = Holder(()).carry(self._slab.contenders(key), self._slab.relations, self._slab.start)
        return next((o for o in settled if o.item == self._found.item.item), None)

    def _circumstance(
        self, slot: int, values: Values, meant: set[Outcome], born_on: date | None, on: date
    ) -> Circumstance:
        """Adds to `meant` what is given to the others whom its text names as well."""
        kind = next(TEST[t.test].kind for t in self._tests if TEST[t.test].slot == slot)
        if slot != AGE:
            return Circumstance(kind=kind, text=self._text(slot, values, meant))
        day = birthday(born_on, values[AGE]) if born_on else None
        text = f"年满{values[AGE]}周岁" + (f"（{day}）" if day else "")
        return Circumstance(kind=kind, text=text, on=day if day and day > on else None)

    def _text(self, slot: int, values: Values, meant: set[Outcome]) -> str:
        """The widest test that the new value passes and the old one does not, provided that whatever passes it helps
        as well; else the new value itself; where nothing would be known any more, what was true and would not be."""
        before, after = self._passed(slot, self._key[slot - AGE]), self._passed(slot, values[slot])
        gained = sorted((t for t in after if t not in before), key=lambda t: -len(self._passing(slot, t)))
        for test in gained:
            given = [self._given({**values, slot: value}) for value in self._passing(slot, test)]
            if None not in given:
                meant.update(outcome for outcome in given if outcome)
                return condition_text(test)
        if gained or (values[slot] is not None and slot not in SETS):
            return value_text(slot, values[slot])
        return "，".join(dict.fromkeys(f"不再{condition_text(t)}" for t in before if t not in after))

    def _passed(self, slot: int, value: Any) -> list[Condition]:
        world = World()._replace(**{World._fields[slot]: value})
        return [t for t in self._tests if TEST[t.test].slot == slot and compiled(t)(world)]

    def _passing(self, slot: int, test: Condition) -> list[Any]:
        """Every value of a slot that passes a test."""
        answer, name = compiled(test), World._fields[slot]
        return [value for value in self._known[slot] if answer(World()._replace(**{name: value}))]


def _remedy(title: str, circumstances: tuple[Circumstance, ...], meant: Iterable[Outcome]) -> Remedy:
    text = f"若{'，且'.join(c.text for c in circumstances)}，即可享受{title}"
    amounts = sorted({outcome.amount_fen_per_month for outcome in meant if outcome.amount_fen_per_month is not None})
    if amounts:
        yuan, fen = divmod(amounts[0], 100)
        text += f"，每月{yuan}.{fen:02d}元{'起' if len(amounts) > 1 else ''}"
    tiers = {(outcome.tier, outcome.interval_days) for outcome in meant}
    tier, days = tiers.pop() if len(tiers) == 1 else (None, None)
    if tier is not None:
        text += f"，{tier}档，每{days}天至少一次"
    return Remedy(
        text=f"{text}。",
        circumstances=circumstances,
        amount_fen_per_month=amounts[0] if amounts else None,
        tier=tier,
    )
