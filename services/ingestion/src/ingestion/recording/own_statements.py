"""Statements of the platform itself: a death that waits is suspected, and an identity change that waits is a doubt."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import msgspec
from common.events.facts import Death, IdentityChange, Statement
from common.message import derived_id

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.memory import Own
from ingestion.domain.person import Person, put_back, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.statements import standing_of
from ingestion.recording.batch import Withheld, Work

RANK_OF_OTHERS: Final = 9  # of a suspicion by a source that has no rank for deaths any more


def speak_for_what_waits(work: Work, quiet: Collection[str], instant: datetime) -> None:
    """A death that waits is suspected; while an identity change waits, the newer number is in doubt.

    `quiet`: events about which nothing is stated. A statement about an event that no longer waits is withheld."""
    waiting = {e.event_id: e for e in work.events if work.admission.stuck.get(e.event_id) not in (None, WITHDRAWN)}
    for person_id, outcome in work.admission.outcomes.items():
        wanted = {e.event_id: e for e in waiting.values() if work.whose(e) == person_id and e.previous is None}
        known = {o.about: o for o in outcome.stands.own if o.keeper == person_id}
        for withheld in work.withheld:
            root = withheld.event_id == withheld.chain and withheld.reason != WITHDRAWN
            if withheld.person_id == person_id and withheld.kind == "death" and root:
                _suspect_again(work, withheld, known, quiet, instant)
                known.pop(withheld.event_id, None)
        for event_id, event in wanted.items():
            # A death is suspected when it arrives or not at all: an older one without a suspicion was quiet then.
            arrives = event.kind == "identity_change" or (event.kind == "death" and event_id in work.new)
            if arrives and event_id not in known and event_id not in quiet:
                _speak(work, person_id, event, instant)
        for about, own in known.items():
            _toggle(work.persons[own.person_id], own.chain, about in wanted and about not in quiet, instant)


def _suspect_again(
    work: Work, withheld: Withheld, known: Mapping[str, Own], quiet: Collection[str], instant: datetime
) -> None:
    """A death that counted waits again: from now on it is suspected."""
    person = work.persons[withheld.person_id]
    if withheld.event_id in quiet:
        return
    if withheld.event_id in known:
        _toggle(person, known[withheld.event_id].chain, True, instant)
        return
    said = next(s for s in statements_of(person.statements) if s.event_id == withheld.event_id)
    suspicion = _suspicion(said, withheld.event_id, instant)
    own = Own(suspicion.chain, withheld.event_id, person.person_id, person.person_id)
    _add_own(work, own, suspicion, (person.person_id,))


def _speak(work: Work, keeper: str, event: Pushed, instant: datetime) -> None:
    rank = event.source.ranks.get(event.kind, RANK_OF_OTHERS)
    said = Statement(
        event_id=event.event_id,
        chain=event.event_id,
        action="created",
        kind=event.kind,
        source=event.source.urn,
        rank=rank,
        time=event.time,
        recorded_at=instant,
        valid_from=event.valid_from,
    )
    if event.kind == "death":
        suspicion = _suspicion(said, event.event_id, instant)
        _add_own(work, Own(suspicion.chain, event.event_id, keeper, keeper), suspicion, (keeper,))
        return
    other = work.person_of[event.members[0].index]
    renumbered = getattr(event.value, "new_id_number", None) is not None
    newer, older = (other, keeper) if renumbered else (keeper, other)
    chain = derived_id("doubt", event.event_id)
    doubt = msgspec.structs.replace(
        said, event_id=chain, chain=chain, value=IdentityChange(same_as=older, new_number=renumbered)
    )
    own = Own(chain, event.event_id, newer, keeper)
    _add_own(work, own, standing_of(doubt, instant, "waits"), (newer, older))


def _suspicion(said: Statement, about: str, instant: datetime) -> Statement:
    chain = derived_id("suspicion", about)
    return msgspec.structs.replace(
        said,
        event_id=chain,
        chain=chain,
        action="created",
        recorded_at=instant,
        value=Death(evidence="reported"),
        standing=(),
    )


def _add_own(work: Work, own: Own, statement: Statement, holders: Collection[str]) -> None:
    """`holders`: the persons who have to know of it."""
    person = work.persons[own.person_id]
    person.add(statement, {})
    for holder in holders:
        memory = work.persons[holder].memory
        memory.stands = msgspec.structs.replace(memory.stands, special=True, own=(*memory.stands.own, own))
        work.persons[holder].touched = True


def _toggle(person: Person, chain: str, counts: bool, instant: datetime) -> None:
    """Let an own statement count again, or no longer."""
    statements = list(statements_of(person.statements))
    for at, said in enumerate(statements):
        if said.chain != chain:
            continue
        wanted = "withheld" if not counts else "waits" if said.kind == "identity_change" else "full"
        if said.standing_at() != wanted:
            statements[at] = standing_of(said, instant, wanted)  # type: ignore[arg-type]
            person.statements = put_back(statements)
            person.causes[said.event_id] = None
            person.urgent = person.urgent or said.kind == "death"
