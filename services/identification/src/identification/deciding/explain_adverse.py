"""The reasons of every automatic no are written down soon after it, behind what is live, and kept as they were."""

from datetime import datetime
from typing import Final

import msgspec
from rules.deciding.lists import Lists
from rules.words.explain import Explanation, explain
from shell import clock
from shell.jobs import each_apart
from shell.store.database import Database

from identification.deciding.decisions import inputs_of
from identification.deciding.domain.adverse import Adverse
from identification.deciding.domain.decision import Inputs
from identification.deciding.store import adverse as store
from identification.deciding.store import people as people_store
from identification.lists.in_force import running_of
from identification.lists.store import lists as lists_store

TAKEN_MAX: Final = 100
TAKEN_MAX_WHEN_BUSY: Final = 2
BUSY_ROWS: Final = 50  # waiting in the outbox
_encode = msgspec.json.Encoder().encode
_decode_adverse = msgspec.json.Decoder(list[Adverse]).decode


async def explain_adverse(database: Database, taken_max: int = TAKEN_MAX) -> int:
    """One bounded step; returns how many decisions were explained. While there is other news to tell it takes a few
    and then its whole pause (0), so that it neither stands in the way nor starves. What cannot be explained is laid
    aside, so that the others are (`identification.verify` names it)."""
    async with database.transaction() as tx:
        busy = database.hurried or await lists_store.count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        taken = await store.take_unexplained(tx, min(taken_max, TAKEN_MAX_WHEN_BUSY) if busy else taken_max)
        people = await people_store.load_people(tx.sql, sorted({owed.person_id for owed in taken}))
        inputs = {person.person_id: inputs_of(person) for person in people}
        lists = {d: (await running_of(tx.sql, d)).lists for d in sorted({owed.policy_digest for owed in taken})}
        now = clock.now()
        told, failed = each_apart(
            taken,
            lambda owed: _reasons(owed, inputs[owed.person_id], lists[owed.policy_digest], now),
            lambda owed: f"the reasons of decision {owed.version} of {owed.person_id}",
        )
        await store.keep_reasons(tx, [reason for reasons in told for reason in reasons])
        await store.lay_aside(tx, [(owed.person_id, owed.version, owed.adverse, now) for owed in failed])
    return 0 if busy else len(taken)


def _reasons(owed: store.Owed, inputs: Inputs | None, lists: Lists, now: datetime) -> list[store.Reason]:
    """From the stored inputs, as they were known when it was decided."""
    assert inputs is not None
    facts, abilities, choices = inputs.known_at(owed.recorded_at)
    doubt = inputs.doubt_known_at(owed.recorded_at)
    found: list[store.Reason] = []
    for one in _decode_adverse(owed.adverse):
        explanation: Explanation = explain(facts, abilities, lists, one.item, one.on, choices=choices, doubt=doubt)
        found.append((owed.person_id, owed.version, one.item, one.on, one.outcome, now, _encode(explanation)))
    return found
