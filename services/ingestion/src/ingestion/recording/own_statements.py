"""Makes the platform's own statements: a suspicion for each death that waits, a doubt for each waiting identity change.

A *quiet* death raises no suspicion (`foreign_events`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from common.events.facts import Death, IdentityChange, Standing, Statement
from common.message import derived_id
from msgspec.structs import replace

from ingestion.domain.person import Person, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing_state import OwnStatement
from ingestion.domain.statements import restate, with_standing
from ingestion.recording.batch import Withheld, Work

OwnByEvent = dict[str, OwnStatement]  # by the waiting event behind it
RANK_OF_OTHERS: Final = 9  # of a suspicion by a source that has no rank for deaths any more


def update_own_statements(work: Work, instant: datetime) -> None:
    """Suspect each death that waits, unless it is quiet. While an identity change waits, doubt the newer number.

    A statement about an event that does not wait any more is withheld."""
    waiting = _waiting_by_person(work)
    for person_id, outcome in work.admission.outcomes.items():
        known = {o.about: o for o in outcome.standing.own if o.keeper == person_id}
        _suspect_withheld(work, person_id, known, instant)
        _update_for(work, waiting.get(person_id, ()), known, instant)


def _waiting_by_person(work: Work) -> dict[str, list[Pushed]]:
    """The waiting events that begin a chain, by the person whom they name."""
    waiting: dict[str, list[Pushed]] = {}
    for event in work.events:
        if event.previous is None and work.is_stuck(event.event_id):
            waiting.setdefault(work.subject(event), []).append(event)
    return waiting


def _suspect_withheld(work: Work, person_id: str, known: OwnByEvent, instant: datetime) -> None:
    """Suspect the person's deaths that counted and wait again. Their own statements are removed from `known`."""
    for withheld in work.withheld:
        if withheld.is_death_of(person_id):
            _suspect_again(work, withheld, known.pop(withheld.event_id, None), instant)


def _update_for(work: Work, waiting: Sequence[Pushed], known: OwnByEvent, instant: datetime) -> None:
    """Add the missing own statements about `waiting`, and let each of `known` count while its event waits.

    `waiting`: the waiting events about a person that begin a chain; `known`: the own statements about this person."""
    for event in waiting:
        if event.event_id not in known and _needs_statement(work, event):
            _add_statement_about(work, event, instant)
    loud = {event.event_id for event in waiting} - work.quiet
    for event_id, own in known.items():
        _set_counting(work.persons[own.person_id], own.chain, event_id in loud, instant)


def _needs_statement(work: Work, event: Pushed) -> bool:
    """Whether an event without an own statement needs one.

    A death is suspected when it arrives, or never. An older death without a suspicion was quiet when it arrived."""
    if event.event_id in work.quiet:
        return False
    return event.kind == "identity_change" or (event.kind == "death" and event.event_id in work.new)


# ── suspicions ──────────────────────────────────────────────────────────────────────────────────────────────


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
    chain, reported = derived_id("suspicion", death.event_id), Death(evidence="reported")
    suspicion = replace(
        death, event_id=chain, chain=chain, action="created", recorded_at=instant, value=reported, standing=()
    )
    own = OwnStatement(chain, death.event_id, person_id, person_id)
    _add_own(work, own, suspicion, (person_id,))


# ── doubts ──────────────────────────────────────────────────────────────────────────────────────────────────


def _add_doubt(work: Work, event: Pushed, instant: datetime) -> None:
    """Doubt an identity change. The doubt is in the timeline of the newer number; both persons keep a record of it."""
    newer, older = _newer_and_older(work, event)
    chain = derived_id("doubt", event.event_id)
    value = IdentityChange(same_as=older, new_number=_is_new_number(event))
    doubt = replace(_without_value(event, instant), event_id=chain, chain=chain, value=value)
    own = OwnStatement(chain, event.event_id, newer, work.subject(event))
    _add_own(work, own, with_standing(doubt, instant, "waits"), (newer, older))


def _newer_and_older(work: Work, event: Pushed) -> tuple[str, str]:
    """The persons of the newer and the older number of an identity change."""
    person_id, (other,) = work.subject(event), work.persons_named(event)
    return (other, person_id) if _is_new_number(event) else (person_id, other)


def _is_new_number(event: Pushed) -> bool:
    """Whether an identity change names a new number, and not another number of the same human."""
    return getattr(event.value, "new_id_number", None) is not None


# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_statement_about(work: Work, event: Pushed, instant: datetime) -> None:
    if event.kind == "death":
        _add_suspicion(work, work.subject(event), _without_value(event, instant), instant)
    else:
        _add_doubt(work, event, instant)


def _without_value(event: Pushed, instant: datetime) -> Statement:
    """The statement of a waiting event that begins a chain, still without the platform's own value."""
    return Statement(
        event_id=event.event_id,
        chain=event.event_id,
        action="created",
        kind=event.kind,
        source=event.source.urn,
        rank=event.source.ranks.get(event.kind, RANK_OF_OTHERS),
        time=event.time,
        recorded_at=instant,
        valid_from=event.valid_from,
    )


def _add_own(work: Work, own: OwnStatement, statement: Statement, holders: Collection[str]) -> None:
    """Add an own statement to the timeline of its person. `holders`: the persons who keep a record of the statement."""
    work.persons[own.person_id].add(statement, {})
    for person_id in holders:
        person = work.persons[person_id]
        person.memory.standing = person.memory.standing.with_own(own)
        person.touched = True


def _set_counting(person: Person, chain: str, counts: bool, instant: datetime) -> None:
    """Let the own statement of a chain count, or withhold it, from `instant` on."""
    restate(person, instant, lambda s: _standing_of_own(s, counts) if s.chain == chain else None)


def _standing_of_own(statement: Statement, counts: bool) -> Standing:
    """The standing of an own statement. A doubt that counts has the standing `waits`."""
    if not counts:
        return "withheld"
    return "waits" if statement.kind == "identity_change" else "full"
