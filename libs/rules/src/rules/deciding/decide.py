"""Who is entitled to what, over the whole of a life: facts and lists in, intervals with reasons out."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from hashlib import sha1
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from common.events.ability import Ability
from common.events.entitlement import Entitlement
from common.events.facts import Registration

from rules.deciding.changes import CHOICE, DIVISION, Change, born_of, changes_of
from rules.deciding.choices import Choice, Holder
from rules.deciding.conditions import AGE, HUKOU, PLACE, RESIDENCE, SETS
from rules.deciding.lists import Lists, Slab, held
from rules.deciding.outcome import Outcome
from rules.facts.timeline import FAR_FUTURE, Deceased, Fact, Suspected, death_of

ENTITLEMENTS = UUID("6f0d3c1e-5a52-5f7e-9d0c-6f3a2a4b7c11")  # namespace of entitlement ids
_NAMESPACE = ENTITLEMENTS.bytes
_ONE_DAY = timedelta(days=1)


class Decision(NamedTuple):
    """`residence` and `hukou` are the last known ones. `entitlements` are sorted by item and period."""

    entitlements: tuple[Entitlement, ...]
    birth_date: date | None
    residence: str | None
    hukou: str | None
    died_on: date | None
    death_suspected_on: date | None


class _Run:
    """An interval that is still growing."""

    __slots__ = ("division", "end", "events", "item", "outcome", "start")

    def __init__(self, outcome: Outcome, start: date, division: str | None) -> None:
        self.item, self.outcome, self.start, self.division = outcome.item, outcome, start, division
        self.end = start
        self.events: dict[Any, None] = {}  # ids; tuples of them where several facts stand in one place


def decide(
    person_id: str,
    facts: Sequence[Fact],
    abilities: Sequence[Ability],
    lists: Lists,
    *,
    choices: Sequence[Choice] = (),
) -> Decision:
    """All intervals in which the person is entitled to anything, past and future, from the first policy date on.

    A confirmed death ends everything on the day after it. From the day of a suspected one cash is suspended.
    Neighbours that differ in nothing but the statements read are one interval; a visit interval also ends where
    the person moves house. `choices` count where the lists allow one of several items (`rules.deciding.choices`).
    """
    death = death_of(facts)
    born = born_of(facts)
    lives = next((f for f in reversed(facts) if f.kind == "residence"), None)
    end = death.on + _ONE_DAY if isinstance(death, Deceased) else FAR_FUTURE
    changes = changes_of(facts, abilities, lists, death)
    runs = _sweep(changes, lists, end)
    if runs is None:
        runs = _sweep(_with_choices(changes, choices), lists, end, Holder(choices)) or []
    runs.sort(key=attrgetter("item", "start"))
    return Decision(
        tuple([_entitlement(person_id, run) for run in runs]),
        born.value.birth_date if born and isinstance(born.value, Registration) else None,
        lives.value.division if lives else None,  # type: ignore[union-attr]
        born.value.hukou_division if born else None,  # type: ignore[union-attr]
        death.on if isinstance(death, Deceased) else None,
        death.on if isinstance(death, Suspected) else None,
    )


def state_on(changes: Sequence[Change], on: date) -> tuple[list[Any], list[Any]]:
    """The world on a day, places first, and beside each part the statement (a tuple of several) it comes from."""
    state, events = _blank(), _blank()
    _apply(changes, 0, on, state, events)
    return state, events


def _blank() -> list[Any]:
    return [None] * (CHOICE + 1)


def _apply(changes: Sequence[Change], i: int, day: date, state: list[Any], events: list[Any]) -> int:
    """Bring the state up to a day, from change `i` on. Returns the first change after that day."""
    n = len(changes)
    while i < n and changes[i][0] <= day:
        _, slot, value, event_id = changes[i]
        if slot == RESIDENCE:
            state[RESIDENCE], state[PLACE], state[DIVISION] = value or (None, None, None)
            events[PLACE] = event_id
        else:
            state[slot] = value
        events[slot] = event_id
        i += 1
    return i


def _with_choices(changes: Sequence[Change], choices: Sequence[Choice]) -> list[Change]:
    """A choice says nothing of the world, but something may begin on its day."""
    days = [(choice.chosen_on, CHOICE, None, None) for choice in choices]
    return sorted([*changes, *days], key=itemgetter(0))


def _sweep(changes: Sequence[Change], lists: Lists, end: date, holder: Holder | None = None) -> list[_Run] | None:
    """Walk through the life from change to change and let the intervals grow. None: the person has items of which
    they may have one, so that somebody has to remember what they have (`holder`)."""
    state, events = _blank(), _blank()
    runs: dict[str, _Run] = {}
    done: list[_Run] = []
    start, i, n = lists.first_day, 0, len(changes)
    while start < end:
        i = _apply(changes, i, start, state, events)
        stop = changes[i][0] if i < n and changes[i][0] < end else end
        key = tuple(state[AGE:DIVISION])
        said: tuple[Outcome, ...] = ()  # since a day; slabs that say the same of this person are one stretch
        since = start
        for slab in lists.plan(state[HUKOU], state[RESIDENCE]):
            if slab.end <= start:
                continue
            if slab.start >= stop:
                break
            first = slab.start if slab.start > start else start
            if holder is not None:
                last = slab.end if slab.end < stop else stop
                outcomes, behind = _carried(holder, lists, slab, key, first)
                _grow(runs, done, outcomes, (first, last), state[DIVISION], events)
                for item, choice_id in behind.items():
                    runs[item].events[choice_id] = None
            elif (settled := lists.outcomes(slab, key)) is None:
                return None
            elif settled is not said:
                if said:
                    _grow(runs, done, said, (since, first), state[DIVISION], events)
                said, since = settled, first
        if said:
            _grow(runs, done, said, (since, stop), state[DIVISION], events)
        start = stop
    return done


def _carried(
    holder: Holder, lists: Lists, slab: Slab, key: tuple[Any, ...], first: date
) -> tuple[list[Outcome], dict[str, str]]:
    """What is given and what gives way from a day on, after all that was before, and the choices behind it."""
    settled, behind = holder.carry(slab.contenders(key), slab.relations, first)
    return [lists.same(held(outcome) if key[-1] else outcome) for outcome in settled], behind


def _grow(
    runs: dict[str, _Run],
    done: list[_Run],
    outcomes: Sequence[Outcome],
    stretch: tuple[date, date],
    division: str | None,
    events: Sequence[Any],
) -> None:
    """Carry every interval through a stretch of days in which nothing changes."""
    first, last = stretch
    for outcome in outcomes:
        run = runs.get(outcome.item)
        if (
            run is None
            or run.outcome is not outcome
            or run.end != first
            or (run.division != division and outcome.tier is not None)
        ):
            run = runs[outcome.item] = _Run(outcome, first, division)
            done.append(run)
        run.end = last
        run.division = division or run.division
        for slot in outcome.slots:
            if (event_id := events[slot]) is not None:
                run.events[event_id] = None


def _entitlement(person_id: str, run: _Run) -> Entitlement:
    o = run.outcome
    return Entitlement(
        entitlement_id=entitlement_id(person_id, o.item, o.jurisdiction, run.start),
        item=o.item,
        jurisdiction=o.jurisdiction,
        kind=o.kind,
        state=o.state,
        from_=run.start,
        to=None if run.end == FAR_FUTURE else run.end,
        division=run.division or o.jurisdiction,
        amount_fen_per_month=o.amount_fen_per_month,
        pay=o.pay,
        tier=o.tier,
        interval_days=o.interval_days,
        reverify_months=o.reverify_months,
        suppressed_by=o.suppressed_by,
        missing_facts=o.missing_facts,
        policy=o.policy,
        policy_status=o.policy_status,
        facts=tuple(run.events) if o.slots[-1] < SETS[0] else _ids(run.events),
    )


def _ids(events: Iterable[str | tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(i for event in events for i in (event if isinstance(event, tuple) else (event,))))


def entitlement_id(person_id: str, item: str, jurisdiction: str, start: date) -> str:
    """uuid5 of what the interval is, so that deciding again names it again (spelt out: `uuid5` costs three times
    as much and this runs for every interval of every change)."""
    name = f"{person_id}|{item}|{jurisdiction}|{start.isoformat()}"
    h = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
