"""Job: store the reasons of every adverse decision soon after it is made. The reasons never change afterwards."""

from datetime import datetime
from typing import Final

import msgspec
from rules.deciding.lists import Lists
from rules.words.explain import explain
from shell import clock
from shell.jobs import each_apart
from shell.store.database import Database

from identification.deciding.domain.adverse import Adverse
from identification.deciding.domain.person import Inputs, inputs_of
from identification.deciding.store import adverse as store
from identification.deciding.store import people as people_store
from identification.deciding.store.outbox import count_waiting
from identification.lists.in_force import set_of_digest

TAKEN_MAX: Final = 100
TAKEN_MAX_WHEN_BUSY: Final = 2
BUSY_ROWS: Final = 50  # waiting in the outbox
_encode = msgspec.json.Encoder().encode
_decode_adverse = msgspec.json.Decoder(list[Adverse]).decode


async def explain_adverse(database: Database, taken_max: int = TAKEN_MAX) -> int:
    """Explain at most `taken_max` decisions; return the number of decisions handled.

    While live events wait, the job handles a few decisions and returns 0, so that it pauses. So live events come first,
    and the reasons still make progress. A decision that cannot be explained is stored with the time of the failure.
    `identification.verify` reports it.
    """
    async with database.transaction() as tx:
        busy = database.hurried or await count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        taken = await store.take_unexplained(tx, min(taken_max, TAKEN_MAX_WHEN_BUSY) if busy else taken_max)
        people = await people_store.load_people(tx.sql, sorted({owed.person_id for owed in taken}))
        inputs = {person.person_id: inputs_of(person) for person in people}
        digests = sorted({owed.policy_digest for owed in taken})
        lists = {digest: (await set_of_digest(tx.sql, digest)).lists for digest in digests}
        now = clock.now()
        explained, failed = each_apart(
            taken,
            lambda owed: _reasons(owed, inputs[owed.person_id], lists[owed.policy_digest], now),
            lambda owed: f"the reasons of decision {owed.version} of {owed.person_id}",
        )
        await store.append_reasons(tx, [reason for reasons in explained for reason in reasons])
        await store.set_apart(tx, [(owed.person_id, owed.version, owed.adverse, now) for owed in failed])
    return 0 if busy else len(taken)


def _reasons(owed: store.Owed, inputs: Inputs | None, lists: Lists, now: datetime) -> list[store.Reason]:
    """Return the reasons of a decision, from the inputs known when it was made. `now`: the time of the explanation."""
    assert inputs is not None
    facts, abilities, choices = inputs.known_at(owed.recorded_at)
    doubt = inputs.doubt_known_at(owed.recorded_at)
    found: list[store.Reason] = []
    for one in _decode_adverse(owed.adverse):
        explanation = explain(facts, abilities, lists, one.item, one.on, choices=choices, doubt=doubt)
        found.append(
            store.Reason(owed.person_id, owed.version, one.item, one.on, one.outcome, now, _encode(explanation))
        )
    return found
