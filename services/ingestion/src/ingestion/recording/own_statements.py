"""Makes the platform's own statements: a suspicion for each death that waits, a doubt for each waiting identity change.

A *quiet* death raises no suspicion (`foreign_events`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from common.events.facts import Death, IdentityChange, Standing, Statement
from common.message import derived_id
from msgspec.structs import replace

from ingestion.domain.person import Person, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing_state import OwnStatement
from ingestion.domain.statements import restate, with_standing
from ingestion.recording.batch import Withheld, Work

OwnByEvent = dict[str, OwnStatement]  # by the waiting event behind it


def update_own_statements(work: Work, instant: datetime) -> None:
    """Suspect each death that waits, unless it is quiet. While an identity change waits, doubt the newer number.

    A statement about an event that does not wait any more is withheld."""
    deaths = _waiting_deaths(work)
    for person_id, outcome in work.admission.outcomes.items():
        own = [o for o in outcome.standing.own if o.keeper == person_id]
        suspicions = {o.about: o for o in own if _is_suspicion(o)}
        _suspect_withheld(work, person_id, suspicions, instant)
        _suspect_waiting(work, deaths.get(person_id, ()), suspicions, instant)
        _update_doubts(work, outcome.doubts, person_id, [o for o in own if not _is_suspicion(o)], instant)


def _waiting_deaths(work: Work) -> dict[str, list[Pushed]]:
    """The waiting deaths that begin a chain, by the person whom they name."""
    waiting: dict[str, list[Pushed]] = {}
    for event in work.events:
        if event.kind == "death" and event.previous is None and work.is_stuck(event.event_id):
            waiting.setdefault(work.subject(event), []).append(event)
    return waiting


# ── suspicions ──────────────────────────────────────────────────────────────────────────────────────────────


def _suspect_withheld(work: Work, person_id: str, known: OwnByEvent, instant: datetime) -> None:
    """Suspect the person's deaths that counted and wait again. Suspicions about them are removed from `known`."""
    for withheld in work.withheld:
        if withheld.is_death_of(person_id):
            _suspect_again(work, withheld, known.pop(withheld.event_id, None), instant)


def _suspect_waiting(work: Work, waiting: Sequence[Pushed], known: OwnByEvent, instant: datetime) -> None:
    """Suspect new waiting deaths that are not quiet. Keep each suspicion in `known` in force while its death waits.

    A death is suspected when it arrives, or never. An older death without a suspicion was quiet when it arrived."""
    loud = {event.event_id for event in waiting} - work.quiet
    for event in waiting:
        if event.event_id in loud and event.event_id in work.new:
            _add_suspicion(work, work.subject(event), _without_value(event, instant), instant)
    for event_id, own in known.items():
        _set_counting(work.persons[own.person_id], own.chain, event_id in loud, instant)


def _suspect_again(work: Work, withheld: Withheld, own: OwnStatement | None, instant: datetime) -> None:
    """Suspect a death that counted and waits again, unless it is quiet. `own`: an earlier suspicion of this death."""
    person = work.persons[withheld.person_id]
    if withheld.event_id in work.quiet:
        return
    if own is not None:
        _set_counting(person, own.chain, True, instant)
        return
    death = next(s for s in statements_of(person.statements) if s.event_id == withheld.event_id)
    _add_suspicion(work, person.person_id, death, instant)


def _add_suspicion(work: Work, person_id: str, death: Statement, instant: datetime) -> None:
    """Add a suspicion to the person's statements: the death `death` with the evidence `reported`."""
    chain, reported = _id_of_suspicion(death.event_id), Death(evidence="reported")
    suspicion = replace(
        death, event_id=chain, chain=chain, action="created", recorded_at=instant, value=reported, standing=()
    )
    own = OwnStatement(chain, death.event_id, person_id, person_id)
    _add_own(work, own, suspicion, (person_id,))


def _id_of_suspicion(event_id: str) -> str:
    return derived_id("suspicion", event_id)


def _is_suspicion(own: OwnStatement) -> bool:
    return own.chain == _id_of_suspicion(own.about)


def _without_value(event: Pushed, instant: datetime) -> Statement:
    """The statement of a waiting event that begins a chain, still without the platform's own value."""
    return Statement(
        event_id=event.event_id,
        chain=event.event_id,
        action="created",
        kind=event.kind,
        source=event.source.urn,
        rank=event.source.rank_of(event.kind),
        time=event.time,
        recorded_at=instant,
        valid_from=event.valid_from,
    )


# ── doubts ──────────────────────────────────────────────────────────────────────────────────────────────────


class _Doubt(NamedTuple):
    """A waiting identity change says that two numbers are one human. `about`: its first event."""

    about: str
    newer: str
    older: str


def _update_doubts(
    work: Work, doubts: Sequence[Statement], person_id: str, known: Sequence[OwnStatement], instant: datetime
) -> None:
    """Add the missing doubts about a person's identity changes. Keep each of `known` in force while its change waits.

    `doubts`: the last statement of each waiting change. If the source has corrected the other number, the doubt about
    the wrong number ends."""
    waiting = {_doubt(person_id, s): s for s in doubts}
    earlier = {_doubt_of(work, own): own for own in known}
    for doubt in waiting.keys() - earlier.keys():
        _add_doubt(work, doubt, waiting[doubt], person_id, instant)
    for doubt, own in earlier.items():
        counts = doubt in waiting or own.about in work.request.held
        _set_counting(work.persons[own.person_id], own.chain, counts, instant)


def _doubt(person_id: str, change: Statement) -> _Doubt:
    value = change.value
    assert isinstance(value, IdentityChange)
    newer, older = (value.same_as, person_id) if value.new_number else (person_id, value.same_as)
    return _Doubt(change.chain, newer, older)


def _doubt_of(work: Work, own: OwnStatement) -> _Doubt:
    """The doubt that an own statement has put in the timeline of the newer number."""
    stated = next(s for s in statements_of(work.persons[own.person_id].statements) if s.chain == own.chain)
    assert isinstance(stated.value, IdentityChange)
    return _Doubt(own.about, own.person_id, stated.value.same_as)


def _add_doubt(work: Work, doubt: _Doubt, change: Statement, keeper: str, instant: datetime) -> None:
    """Doubt an identity change. The doubt is in the timeline of the newer number; both persons keep a record of it."""
    chain = derived_id("doubt", *doubt)
    value = IdentityChange(same_as=doubt.older, new_number=doubt.newer != keeper)
    stated = replace(
        change,
        event_id=chain,
        chain=chain,
        action="created",
        recorded_at=instant,
        valid_to=None,
        value=value,
        standing=(),
    )
    own = OwnStatement(chain, doubt.about, doubt.newer, keeper)
    _add_own(work, own, with_standing(stated, instant, "waits"), (doubt.newer, doubt.older))


# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_own(work: Work, own: OwnStatement, statement: Statement, holders: Collection[str]) -> None:
    """Add an own statement to the timeline of its person. `holders`: the persons who keep a record of the statement."""
    work.persons[own.person_id].add(statement, {})
    for person_id in holders:
        person = work.persons[person_id]
        person.memory.standing = person.memory.standing.with_own(own)
        person.touched = True


def _set_counting(person: Person, chain: str, counts: bool, instant: datetime) -> None:
    """Put the own statement of a chain in force from `instant` on, or withhold it."""
    restate(person, instant, lambda s: _standing_of_own(s, counts) if s.chain == chain else None)


def _standing_of_own(statement: Statement, counts: bool) -> Standing:
    """The standing of an own statement: in force, a suspicion counts fully, and a doubt has the standing `waits`."""
    if not counts:
        return "withheld"
    return "waits" if statement.kind == "identity_change" else "full"
