"""The reasons of every automatic no are written down soon after it, behind what is live, and kept as they were."""

from typing import Any, Final

import msgspec
from common import clock
from common.database import Database
from common.events import AbilitiesDetermined, PersonFactsRecorded, decoder
from rules.choosing import Choice
from rules.explain import explain
from rules.timeline import abilities_known_at, facts_known_at

from identification.adverse import Adverse
from identification.running import running_of
from identification.store import adverse as store
from identification.store import lists as lists_store

TAKEN_MAX: Final = 100
TAKEN_MAX_WHEN_BUSY: Final = 10
BUSY_ROWS: Final = 50  # waiting in the outbox
_encode = msgspec.json.Encoder().encode
_decode_facts = decoder(PersonFactsRecorded).decode
_decode_abilities = decoder(AbilitiesDetermined).decode
_decode_choices = msgspec.json.Decoder(tuple[Choice, ...]).decode
_decode_adverse = msgspec.json.Decoder(list[Adverse]).decode


async def explain_adverse(database: Database, taken_max: int = TAKEN_MAX) -> int:
    """One bounded step; returns how many decisions were explained. While there is other news to tell it takes a few
    and then its whole pause (0), so that it neither stands in the way nor starves."""
    async with database.transaction() as tx:
        busy = await lists_store.count_waiting(tx, BUSY_ROWS) >= BUSY_ROWS
        taken_max = min(taken_max, TAKEN_MAX_WHEN_BUSY) if busy else taken_max
        now, told = clock.now(), []
        taken = await store.take_unexplained(tx, taken_max)
        for row in taken:
            lists = (await running_of(tx.sql, row["policy_digest"])).lists
            for one in _decode_adverse(row["adverse"]):
                explanation = _explain(row, lists, one)
                told.append(
                    (row["person_id"], row["version"], one.item, one.on, one.outcome, now, _encode(explanation))
                )
        await store.keep_reasons(tx, told)
    return 0 if busy else len(taken)


def _explain(row: Any, lists: Any, one: Adverse) -> Any:
    """From the stored inputs, as they were known when it was decided."""
    known_at = row["recorded_at"]
    facts = facts_known_at(_decode_facts(row["facts"]).statements, known_at)
    abilities = row["abilities"]
    choices = _decode_choices(row["choices"]) if row["choices"] is not None else ()
    return explain(
        facts,
        abilities_known_at(_decode_abilities(abilities).abilities, known_at) if abilities is not None else (),
        lists,
        one.item,
        one.on,
        choices=[choice for choice in choices if choice.recorded_at <= known_at],
    )
