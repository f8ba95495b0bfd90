"""The Kafka door: topic `population.inbound`, CloudEvents in binary or structured mode."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from common import clock
from common.message import Record
from common.parking import park
from common.transaction import Tx

from ingestion import quotas, sources
from ingestion.answering import Refused
from ingestion.domain.pushed import Pushed
from ingestion.reading import Unreadable, need_json, read_event, structured
from ingestion.recording import record
from ingestion.refusing import record_refusals


async def on_pushed(records: Sequence[Record], tx: Tx) -> None:
    """Record a batch. What cannot be read, or comes from nobody registered, is parked; what is readable and wrong is
    counted as a rejection of its source. Nobody is refused for a quota here: what came too much is owed at the other
    doors, and the broker's own quotas slow down who sends too fast."""
    await sources.look_on(tx.sql)
    now = clock.now()
    events: list[Pushed] = []
    refused: list[Refused] = []
    for each in records:
        try:
            found = read_event(_structured(each), now, traceparent=each.header("traceparent"))
        except Unreadable as error:
            await park(tx, tx.service, each, error.code, None)
            continue
        if isinstance(found, Pushed):
            events.append(found)
        elif found.source is None:
            await park(tx, tx.service, each, found.faults[0].code, None)
        else:
            refused.append(found)
    await record(tx, events, now)
    await record_refusals(tx, refused, now)
    await quotas.owe_on(tx, Counter(event.source.urn for event in events))


def _structured(each: Record) -> bytes | msgspec.Raw:
    body = each.value or b""
    need_json(body)
    attributes = {
        name.removeprefix("ce_"): value.decode("utf-8", "replace") for name, value in each.headers if name[:3] == "ce_"
    }
    return structured(attributes, body) if "specversion" in attributes else body
