"""Find the remedies of a refusal: the fewest circumstances that would have to change for a person to get an item.

The search replaces some circumstances of the person by others. It keeps the changes after which the lists give the
item. So rules between items and amounts for certain persons count like every condition. The search never suggests a
move to another area.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import combinations, product
from typing import Any, Final

import msgspec
from common.calendar import birthday

from rules.deciding.choices import Holder
from rules.deciding.conditions import compiled, leaves_of_version
from rules.deciding.exclusions import related
from rules.deciding.lists import Lists
from rules.deciding.outcome import Applicable, Outcome
from rules.deciding.segment import Segment
from rules.deciding.wording import condition_text, value_text
from rules.form.circumstances import CIRCUMSTANCES, monthly_text
from rules.form.policy import Condition
from rules.form.situation import AGE, ELSEWHERE, HUKOU, NOTHING_KNOWN, RESIDENCE, REST, SEVERAL, TEST, with_value
from rules.proof.cells import cells

TOLD_MAX: Final = 5
_AT_ONCE_MAX: Final = 3  # circumstances that change together
_TRIED_MAX: Final = 20_000
# Parts of a fact about a place. Their fact cannot become unknown without the place.
_WITH_PLACE: Final = frozenset(
    slot
    for slot in REST
    if slot != AGE and CIRCUMSTANCES[slot].fact in (CIRCUMSTANCES[HUKOU].fact, CIRCUMSTANCES[RESIDENCE].fact)
)
_HELPED: Final = ("granted", "choice_required", "suspended")
Values = dict[int, Any]  # by slot


class Circumstance(msgspec.Struct, frozen=True, kw_only=True):
    """One circumstance that would have to change. `kind`: the kind of fact that would report it. `on`: the birthday
    on which it changes by itself; None: it is no birthday, or the day is past or unknown."""

    kind: str
    text: str
    on: date | None = None


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """Circumstances with which the person gets the item. All of them are necessary.

    `amount_fen_per_month`: at least this amount. `tier`: None also if it depends on which value the person gets.
    """

    text: str
    circumstances: tuple[Circumstance, ...]
    amount_fen_per_month: int | None = None
    tier: str | None = None


def remedies(
    lists: Lists, segment: Segment, key: tuple[Any, ...], found: Applicable, *, born_on: date | None, on: date
) -> tuple[Remedy, ...]:
    """Return at most `TOLD_MAX` remedies of a person who does not get `found`, those with the fewest changes first.

    `key`: as in `Lists.outcomes`. There is no remedy while the place that the item follows is unknown, because
    another list may count there.
    """
    if found.presumed:
        return ()
    return tuple(_Search(lists, segment, key, found).run(born_on, on))


class _Search:
    """A search for remedies.

    `_known`: by slot all values that a text may name. `_options`: by slot the values that may replace the present one.
    `_left`: the number of changes that may still be tried.
    """

    def __init__(self, lists: Lists, segment: Segment, key: tuple[Any, ...], found: Applicable) -> None:
        self._lists, self._segment, self._key, self._found = lists, segment, key, found
        self._left = _TRIED_MAX
        self._tests = list(dict.fromkeys(_tests_of_rest(found)))
        axes = self._axes()
        self._known: dict[int, tuple[Any, ...]] = {}
        self._options: dict[int, tuple[Any, ...]] = {}
        for slot in {TEST[test.test].slot for test in self._tests}:
            if slot in SEVERAL:
                self._known[slot] = self._sets(slot, axes[slot])
                self._options[slot] = self._other(slot, self._known[slot])
            else:
                self._known[slot] = CIRCUMSTANCES[slot].known
                self._options[slot] = self._other(slot, axes[slot])

    def _axes(self) -> dict[int, tuple[Any, ...]]:
        """Return by slot the values that the item, and the items that may exclude it, distinguish."""
        near = related({self._found.item.item}, [self._segment.relations])
        others = [test for a in self._segment.applicable if a.item.item in near for test in _tests_of_rest(a)]
        return dict(zip(REST, cells([*self._tests, *others]).axes, strict=True))

    def run(self, born_on: date | None, on: date) -> Iterator[Remedy]:
        """Yield at most `TOLD_MAX` remedies with different texts. `born_on`: birth date. `on`: day of the refusal."""
        shown: set[tuple[str, ...]] = set()
        for slots, granted in self._fewest():
            for values, outcome in granted:
                meant: set[Outcome] = {outcome}
                circumstances = tuple(self._circumstance(slot, values, meant, born_on, on) for slot in slots)
                texts = tuple(c.text for c in circumstances)
                if texts in shown:
                    continue
                shown.add(texts)
                yield _remedy(self._found.item.title, circumstances, meant)
                if len(shown) >= TOLD_MAX:
                    return

    def _fewest(self) -> Iterator[tuple[tuple[int, ...], list[tuple[Values, Outcome]]]]:
        """Yield the sets of slots whose change helps, the smallest first, each with its changes and their outcomes.

        A set that contains another one is left out.
        """
        enough: list[frozenset[int]] = []
        for n in range(1, _AT_ONCE_MAX + 1):
            for slots in combinations(sorted(self._options), n):
                if any(fewer <= set(slots) for fewer in enough):
                    continue
                granted = list(self._granted(slots))
                if granted:
                    enough.append(frozenset(slots))
                    yield slots, granted

    def _now(self, slot: int) -> Any:
        """Return the person's present value."""
        return self._key[slot - AGE]

    def _other(self, slot: int, axis: Iterable[Any]) -> tuple[Any, ...]:
        """Return the values that may replace the present one.

        An age may only rise. An unknown age, or an unknown part of a fact about a place, is not replaced. A known part
        never becomes unknown, because the place would be unknown with it.
        """
        now = self._now(slot)
        if slot == AGE:
            return tuple(v for v in axis if v is not None and now is not None and v > now)
        if slot in _WITH_PLACE and now is None:  # the place is unknown, so no list of that place counts yet
            return ()
        return tuple(v for v in axis if v != now and not (slot in _WITH_PLACE and v is None))

    def _sets(self, slot: int, axis: Iterable[Any]) -> tuple[Any, ...]:
        """Return the sets of values that a person may have, each with the present values that no test reads.

        A benefit elsewhere is never suggested.
        """
        now = self._now(slot) or frozenset()
        unread = frozenset(value for value in now if not self._passed(slot, frozenset({value})))
        named = () if slot == ELSEWHERE else tuple(some for some in axis if some is not None)
        return (*(unread | some for some in named), unread or None)

    def _granted(self, slots: Sequence[int]) -> Iterator[tuple[Values, Outcome]]:
        """Yield the changes of these slots that help, with their outcomes. Of several ages that help only the lowest is
        kept, because the person reaches it first."""
        old_enough: set[tuple[Any, ...]] = set()
        for chosen in product(*(self._options[slot] for slot in slots)):  # ages rise
            values = dict(zip(slots, chosen, strict=True))
            rest = tuple(values[slot] for slot in slots if slot != AGE)
            if rest not in old_enough and (outcome := self._given(values)) is not None:
                if AGE in values:
                    old_enough.add(rest)
                yield values, outcome

    def _given(self, values: Values) -> Outcome | None:
        """Return the outcome after a change if the person gets the item, may choose it, or gets it after a suspicion.
        Else return None."""
        outcome = self._outcome(values)
        return outcome if outcome is not None and outcome.state in _HELPED else None

    def _outcome(self, values: Values) -> Outcome | None:
        """Return the outcome of the item after a change; None: refused, or too many changes were tried."""
        self._left -= 1
        if self._left < 0:
            return None
        rest = [values.get(slot, self._now(slot)) for slot in REST]
        key = (*rest, *self._key[len(rest) :])
        settled: Sequence[Outcome] | None = self._lists.outcomes(self._segment, key)
        if settled is None:  # the person may choose, and has nothing yet
            settled, _ = Holder(()).carry(self._segment.contenders(key), self._segment.relations, self._segment.start)
        return next((o for o in settled if o.item == self._found.item.item), None)

    def _circumstance(
        self, slot: int, values: Values, meant: set[Outcome], born_on: date | None, on: date
    ) -> Circumstance:
        """Return the circumstance of a slot after a change, with its text.

        Add to `meant` the outcomes of the other values that the text also names.
        """
        kind = CIRCUMSTANCES[slot].fact.code
        if slot != AGE:
            return Circumstance(kind=kind, text=self._text(slot, values, meant))
        day = birthday(born_on, values[AGE]) if born_on else None
        text = f"年满{values[AGE]}周岁" + (f"（{day}）" if day else "")
        return Circumstance(kind=kind, text=text, on=day if day and day > on else None)

    def _text(self, slot: int, values: Values, meant: set[Outcome]) -> str:
        """Return a Chinese text of a change: the widest test that the new value passes and the present one fails.

        Every value that passes this test must help. Without such a test, the text is the new value, or the tests that
        the person must no longer pass. Add to `meant` the outcomes of the values that pass the test.
        """
        before, after = self._passed(slot, self._now(slot)), self._passed(slot, values[slot])
        gained = sorted((t for t in after if t not in before), key=lambda t: -len(self._passing(slot, t)))
        for test in gained:
            given = [self._given({**values, slot: value}) for value in self._passing(slot, test)]
            if None not in given:
                meant.update(outcome for outcome in given if outcome)
                return condition_text(test)
        if gained or (values[slot] is not None and slot not in SEVERAL):
            return value_text(slot, values[slot])
        return "，".join(dict.fromkeys(f"不再{condition_text(t)}" for t in before if t not in after))

    def _passed(self, slot: int, value: Any) -> list[Condition]:
        """Return the tests that a value passes."""
        situation = with_value(NOTHING_KNOWN, slot, value)
        return [t for t in self._tests if TEST[t.test].slot == slot and compiled(t)(situation)]

    def _passing(self, slot: int, test: Condition) -> list[Any]:
        """Return the values that pass a test."""
        answer = compiled(test)
        return [value for value in self._known[slot] if answer(with_value(NOTHING_KNOWN, slot, value))]


def _tests_of_rest(applicable: Applicable) -> Iterator[Condition]:
    """Return the tests of a version that read no area."""
    return (test for test in leaves_of_version(applicable.version) if TEST[test.test].slot in REST)


def _remedy(title: str, circumstances: tuple[Circumstance, ...], meant: Iterable[Outcome]) -> Remedy:
    """Return the remedy of some circumstances. `meant`: the outcomes that they can give."""
    outcomes = list(meant)
    text = f"若{'，且'.join(c.text for c in circumstances)}，即可享受{title}"
    amounts = sorted({o.amount_fen_per_month for o in outcomes if o.amount_fen_per_month is not None})
    if amounts:
        text += f"，{monthly_text(amounts[0])}{'起' if len(amounts) > 1 else ''}"
    tiers = {(o.tier, o.interval_days) for o in outcomes}
    tier, days = tiers.pop() if len(tiers) == 1 else (None, None)
    if tier is not None:
        text += f"，{tier}档，每{days}天至少一次"
    return Remedy(
        text=f"{text}。",
        circumstances=circumstances,
        amount_fen_per_month=amounts[0] if amounts else None,
        tier=tier,
    )
