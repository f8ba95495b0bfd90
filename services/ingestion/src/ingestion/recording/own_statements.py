"""Statements of the platform itself: a death that waits is suspected, and an identity change that waits is a doubt."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import msgspec
from common.events.facts import Death, IdentityChange, Standing, Statement
from common.message import derived_id

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.person import Person, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing import Outcome
from ingestion.domain.standing_state import OwnStatement
from ingestion.domain.statements import restate, with_standing
from ingestion.recording.batch import Withheld, Work

RANK_OF_OTHERS: Final = 9  # of a suspicion by a source that has no rank for deaths any more


def update_own_statements(work: Work, quiet: Collection[str], instant: datetime) -> None:
    """Suspect each death that waits. While an identity change waits, put the newer number in doubt.

    `quiet`: events that raise no suspicion. A statement about an event that does not wait any more is withheld."""
    stuck = work.admission.stuck
    waiting = [e for e in work.events if e.previous is None and stuck.get(e.event_id) not in (None, WITHDRAWN)]
    for person_id, outcome in work.admission.outcomes.items():
        about = {e.event_id: e for e in waiting if work.subject(e) == person_id}
        _update_for(work, person_id, outcome, about, quiet, instant)


def _update_for(
    work: Work,
    person_id: str,
    outcome: Outcome,
    waiting: Mapping[str, Pushed],
    quiet: Collection[str],
    instant: datetime,
) -> None:
    """`waiting`: the waiting events about this person that begin a chain."""
    known = {o.about: o for o in outcome.standing.own if o.keeper == person_id}
    for withheld in work.withheld:
        if withheld.person_id == person_id and _is_death_again(withheld):
            _suspect_again(work, withheld, known, quiet, instant)
            known.pop(withheld.event_id, None)
    for event_id, event in waiting.items():
        if _needs_statement(work, event) and event_id not in known and event_id not in quiet:
            _add_statement_about(work, person_id, event, instant)
    for event_id, own in known.items():
        _set_counting(work.persons[own.person_id], own.chain, event_id in waiting and event_id not in quiet, instant)


def _is_death_again(withheld: Withheld) -> bool:
    root = withheld.event_id == withheld.chain and withheld.reason != WITHDRAWN
    return withheld.kind == "death" and root


def _needs_statement(work: Work, event: Pushed) -> bool:
    """A death is suspected when it arrives, or never: an older one without a suspicion was quiet when it arrived."""
    return event.kind == "identity_change" or (event.kind == "death" and event.event_id in work.new)


def _suspect_again(
    work: Work, withheld: Withheld, known: Mapping[str, OwnStatement], quiet: Collection[str], instant: datetime
) -> None:
    """A death that counted waits again: from now on it is suspected."""
    person = work.persons[withheld.person_id]
    if withheld.event_id in quiet:
        return
    if withheld.event_id in known:
        _set_counting(person, known[withheld.event_id].chain, True, instant)
        return
    death = next(s for s in statements_of(person.statements) if s.event_id == withheld.event_id)
    suspicion = _suspicion(death, instant)
    own = OwnStatement(suspicion.chain, withheld.event_id, person.person_id, person.person_id)
    _add_own(work, own, suspicion, (person.person_id,))


def _add_statement_about(work: Work, keeper: str, event: Pushed, instant: datetime) -> None:
    stated = Statement(
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
    if event.kind == "death":
        suspicion = _suspicion(stated, instant)
        _add_own(work, OwnStatement(suspicion.chain, event.event_id, keeper, keeper), suspicion, (keeper,))
    else:
        _add_doubt(work, keeper, event, stated, instant)


def _suspicion(death: Statement, instant: datetime) -> Statement:
    chain = derived_id("suspicion", death.event_id)
    return msgspec.structs.replace(
        death,
        event_id=chain,
        chain=chain,
        action="created",
        recorded_at=instant,
        value=Death(evidence="reported"),
        standing=(),
    )


def _add_doubt(work: Work, keeper: str, event: Pushed, stated: Statement, instant: datetime) -> None:
    """The doubt is in the timeline of the newer number; both persons keep a record of it."""
    other = work.person_of[event.members[0].index]
    renumbered = getattr(event.value, "new_id_number", None) is not None
    newer, older = (other, keeper) if renumbered else (keeper, other)
    chain = derived_id("doubt", event.event_id)
    value = IdentityChange(same_as=older, new_number=renumbered)
    doubt = msgspec.structs.replace(stated, event_id=chain, chain=chain, value=value)
    own = OwnStatement(chain, event.event_id, newer, keeper)
    _add_own(work, own, with_standing(doubt, instant, "waits"), (newer, older))


def _add_own(work: Work, own: OwnStatement, statement: Statement, holders: Collection[str]) -> None:
    """`holders`: the persons who keep a record of the statement."""
    work.persons[own.person_id].add(statement, {})
    for person_id in holders:
        person = work.persons[person_id]
        standing = person.memory.standing
        person.memory.standing = msgspec.structs.replace(standing, special=True, own=(*standing.own, own))
        person.touched = True


def _set_counting(person: Person, chain: str, counts: bool, instant: datetime) -> None:
    """Let an own statement count, or no longer. A doubt that counts has the standing `waits`."""

    def wanted(statement: Statement) -> Standing | None:
        if statement.chain != chain:
            return None
        if not counts:
            return "withheld"
        return "waits" if statement.kind == "identity_change" else "full"

    restate(person, instant, wanted)
