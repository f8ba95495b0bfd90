"""Decide the entitlements of one person over the whole life, from facts, ability results, choices and lists.

A slot is the index of one circumstance in the person's state (`rules.deciding.changes`).
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from hashlib import sha1
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from common.events.ability import Ability
from common.events.entitlement import Entitlement
from common.events.facts import Registration, Residence

from rules.deciding.changes import CHOICE, DIVISION, Change, born_of, changes_of
from rules.deciding.choices import Choice, Holder
from rules.deciding.lists import Lists
from rules.deciding.outcome import Outcome
from rules.deciding.segment import Segment, held
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import FAR_FUTURE, Fact
from rules.form.situation import AGE, HUKOU, PLACE, RESIDENCE, SEVERAL

ENTITLEMENTS: Final = UUID("6f0d3c1e-5a52-5f7e-9d0c-6f3a2a4b7c11")  # namespace of entitlement ids
_NAMESPACE: Final = ENTITLEMENTS.bytes
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_ONE_DAY: Final = timedelta(days=1)


class Decision(NamedTuple):
    """The result of `decide`. `entitlements` are sorted by item and period.

    `residence`, `hukou`: the division codes of the last known places.
    """

    entitlements: tuple[Entitlement, ...]
    birth_date: date | None
    residence: str | None
    hukou: str | None
    died_on: date | None
    death_suspected_on: date | None


class _Run:
    """An interval [`start`, `end`) with one outcome of one item. `_Timeline.grow` moves its `end`."""

    __slots__ = ("division", "end", "events", "item", "outcome", "start")

    def __init__(self, outcome: Outcome, start: date, division: str | None) -> None:
        self.item, self.outcome, self.start, self.division = outcome.item, outcome, start, division
        self.end = start
        self.events: dict[Any, None] = {}  # event ids; a tuple of ids where several facts hold


class _Timeline:
    """The intervals of a person, which grow from the first day on.

    `state`, `events`: by slot the person's value on the current days, and the event that gave it. `runs`: the newest
    interval of each item. `done`: all intervals, in the order of their beginnings.
    """

    __slots__ = ("done", "events", "runs", "state")

    def __init__(self) -> None:
        self.state, self.events = _blank(), _blank()
        self.runs: dict[str, _Run] = {}
        self.done: list[_Run] = []

    def grow(self, outcomes: Sequence[Outcome], first: date, last: date) -> None:
        """Extend the intervals over the days [`first`, `last`), or begin new ones. Nothing changes on these days."""
        runs, events, division = self.runs, self.events, self.state[DIVISION]
        for outcome in outcomes:
            run = runs.get(outcome.item)
            if (
                run is None
                or run.outcome is not outcome
                or run.end != first
                or (run.division != division and outcome.tier is not None)
            ):
                run = runs[outcome.item] = _Run(outcome, first, division)
                self.done.append(run)
            run.end = last
            run.division = division or run.division
            for slot in outcome.slots:
                if (event_id := events[slot]) is not None:
                    run.events[event_id] = None


def decide(
    person_id: str,
    facts: Sequence[Fact],
    abilities: Sequence[Ability],
    lists: Lists,
    *,
    choices: Sequence[Choice] = (),
) -> Decision:
    """Return the person's entitlements, past and future, from the first policy date on. A refused item has none.

    A confirmed death ends everything on the day after it. A suspected death suspends cash from its day on. Adjacent
    days with equal answers form one interval, even if different statements gave the answers. A visit interval also
    ends at a change of residence. `choices` decide between rivals (`rules.deciding.choices`).
    """
    death = death_of(facts)
    end = death.on + _ONE_DAY if isinstance(death, Deceased) else FAR_FUTURE
    changes = changes_of(facts, abilities, lists, death)
    runs = _sweep(changes, lists, end)
    if runs is None:
        runs = _sweep(_with_choices(changes, choices), lists, end, Holder(choices)) or []
    runs.sort(key=attrgetter("item", "start"))
    registered = born_of(facts)
    born = registered.value if registered and isinstance(registered.value, Registration) else None
    return Decision(
        entitlements=tuple([_entitlement(person_id, run) for run in runs]),
        birth_date=born.birth_date if born else None,
        residence=_last_residence(facts),
        hukou=born.hukou_division if born else None,
        died_on=death.on if isinstance(death, Deceased) else None,
        death_suspected_on=death.on if isinstance(death, Suspected) else None,
    )


def _last_residence(facts: Sequence[Fact]) -> str | None:
    return next((f.value.division for f in reversed(facts) if isinstance(f.value, Residence)), None)


def state_on(changes: Sequence[Change], on: date) -> tuple[list[Any], list[Any]]:
    """Return a person's state on a day as two lists by slot: the values, and the event ids that gave them.

    Several events are a tuple; None: unknown.
    """
    state, events = _blank(), _blank()
    _apply(changes, 0, on, state, events)
    return state, events


def _blank() -> list[Any]:
    """Return a None for every slot of a person's state."""
    return [None] * (CHOICE + 1)


def _apply(changes: Sequence[Change], i: int, day: date, state: list[Any], events: list[Any]) -> int:
    """Apply the changes from index `i` up to a day to `state` and `events`. Return the index of the next change."""
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
    """Return the changes and one more for the day of each choice. It changes no circumstance, but an interval may
    begin on its day."""
    days = [(choice.chosen_on, CHOICE, None, None) for choice in choices]
    return sorted([*changes, *days], key=itemgetter(0))


def _sweep(changes: Sequence[Change], lists: Lists, end: date, holder: Holder | None = None) -> list[_Run] | None:
    """Return all intervals of a person before `end`, computed from one change to the next.

    The result is None if the person may choose between items and no `holder` is given to remember the choices.
    """
    timeline = _Timeline()
    state = timeline.state
    start, i, n = lists.first_day, 0, len(changes)
    while start < end:
        i = _apply(changes, i, start, state, timeline.events)
        stop = changes[i][0] if i < n and changes[i][0] < end else end
        segments = lists.plan(state[HUKOU], state[RESIDENCE])
        if holder is not None:
            _carry(timeline, start, stop, segments, lists, holder)
        elif not _settle(timeline, start, stop, segments, lists):
            return None
        start = stop
    return timeline.done


def _settle(timeline: _Timeline, start: date, stop: date, segments: Sequence[Segment], lists: Lists) -> bool:
    """Extend the timeline over [`start`, `stop`). Return False, with the work incomplete, if the person may choose.

    Adjacent segments with equal answers are one step, because every step costs time.
    """
    key = tuple(timeline.state[AGE:DIVISION])
    current: tuple[Outcome, ...] = ()
    since = start
    for segment in segments:
        if segment.end <= start:
            continue
        if segment.start >= stop:
            break
        settled = lists.outcomes(segment, key)
        if settled is None:
            return False
        if settled is not current:
            first = segment.start if segment.start > start else start
            if current:
                timeline.grow(current, since, first)
            current, since = settled, first
    if current:
        timeline.grow(current, since, stop)
    return True


def _carry(
    timeline: _Timeline, start: date, stop: date, segments: Sequence[Segment], lists: Lists, holder: Holder
) -> None:
    """Extend the timeline over [`start`, `stop`) for a person who may choose. The answer depends on earlier days."""
    key = tuple(timeline.state[AGE:DIVISION])
    for segment in segments:
        first, last = max(segment.start, start), min(segment.end, stop)
        if first >= last:
            continue
        settled, behind = holder.carry(segment.contenders(key), segment.relations, first)
        timeline.grow([lists.same(held(o) if key[-1] else o) for o in settled], first, last)
        for item, choice_id in behind.items():
            timeline.runs[item].events[choice_id] = None


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
        facts=tuple(run.events) if o.slots[-1] < SEVERAL[0] else _ids(run.events),
    )


def _ids(events: Iterable[str | tuple[str, ...]]) -> tuple[str, ...]:
    """Return the event ids without tuples, each once."""
    return tuple(dict.fromkeys(i for event in events for i in (event if isinstance(event, tuple) else (event,))))


def entitlement_id(person_id: str, item: str, jurisdiction: str, start: date) -> str:
    """Return the id of an entitlement: the uuid5 of its key, so that a new decision gives the same id.

    The function does not call `uuid5`, which takes three times as long. It runs for every interval.
    """
    name = f"{person_id}|{item}|{jurisdiction}|{start.isoformat()}"
    h = sha1(_NAMESPACE + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"
