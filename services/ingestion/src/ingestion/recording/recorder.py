"""Records valid events of all intake channels as statements of persons, and emits snapshots of these persons.

One call is one batch inside the caller's transaction. The number of SQL statements does not depend on the number of
events. All decisions are made behind the locks (`recording.locks`). So two writers at the same moment have the same
effect as two writers one after the other.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from common.calendar import civil_date
from common.errors import Unavailable
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.household import NotLocked
from ingestion.domain.person import instant_of_batch
from ingestion.domain.problems import Fault, fault, pointer_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, with_note
from ingestion.recording import storage
from ingestion.recording.batch import Request, Work
from ingestion.recording.decisions import decide
from ingestion.recording.locks import LOCK_ROUNDS_MAX, load, lock

log = logging.getLogger(__name__)
JUDGE_AGAIN_MAX: Final = 8  # a merge may let waiting events of another identity take effect, and so on
_NOTES: Final = {"claimed": ("/data/value", "place_claimed"), "hint": ("/source", "taken_as_hint")}


async def record(tx: Tx, pushed: Sequence[Pushed], now: datetime) -> list[Receipt]:
    """Record events; returns their receipts in the same order. Nothing is committed here."""
    if not pushed:
        return []
    first = _first_by_id(pushed)
    work = await _apply(tx, first, now, Request())
    return [with_note(_receipt(event, first, work), event) for event in pushed]


def _first_by_id(pushed: Sequence[Pushed]) -> dict[str, Pushed]:
    """The first event with each id."""
    first: dict[str, Pushed] = {}
    for event in pushed:
        first.setdefault(event.event_id, event)
    return first


async def decide_again(tx: Tx, request: Request, now: datetime) -> Work:
    """Judge persons again after a decision of officers or of a job. Nothing is committed here."""
    return await _apply(tx, {}, now, request)


async def _apply(tx: Tx, new: dict[str, Pushed], now: datetime, request: Request) -> Work:
    """Record the new events. While a round changes which waiting events of other persons may count, decide these again.

    Returns the work of the first round."""
    work = last = await _apply_once(tx, new, now, request)
    for _ in range(JUDGE_AGAIN_MAX):
        again = last.next_request()
        if again is None:
            break
        last = await _apply_once(tx, {}, now, again)
    else:
        log.warning("persons were not decided to the end: they are judged again with their next event")
    return work


async def _apply_once(tx: Tx, new: dict[str, Pushed], now: datetime, request: Request) -> Work:
    """Load, decide and save one round."""
    work = await load(tx, new, request)
    instant = await _decide_behind_locks(tx, work, now)
    await storage.save(tx, work, instant)
    return work


async def _decide_behind_locks(tx: Tx, work: Work, now: datetime) -> datetime:
    """Decide the batch. A household that proves to be touched is locked, and the batch is decided again.

    Returns the recording time. Raises Unavailable if households keep changing."""
    extra: set[str] = {part.household for part in work.parts}
    for _ in range(LOCK_ROUNDS_MAX):
        instant = instant_of_batch(now, work.persons.values())
        try:
            await decide(tx, work, instant, civil_date(now))
        except NotLocked as more:
            extra |= more.households
            await lock(tx, work, extra)
        else:
            return instant
    raise Unavailable("households kept changing")


# ── receipts ────────────────────────────────────────────────────────────────────────────────────────────────


def _receipt(event: Pushed, first: dict[str, Pushed], work: Work) -> Receipt:
    """The receipt of one event. `first`: the first event of this batch with each id."""
    stored, original = work.known.get(event.event_id), first[event.event_id]
    if event.digest != (stored or original).digest:
        return Receipt.of(event, "rejected", fault("/id", "id_reused"))
    if stored is not None or event is not original:
        return Receipt.of(event, "duplicate")
    return _receipt_of_new(event, work)


def _receipt_of_new(event: Pushed, work: Work) -> Receipt:
    reason = work.placing.waiting.get(event.event_id)
    if reason is None:
        return Receipt.of(event, "accepted", *_notes(event, work))
    return Receipt.of(event, "accepted" if reason == WITHDRAWN else "quarantined", fault(pointer_of(reason), reason))


def _notes(event: Pushed, work: Work) -> list[Fault]:
    """The note on an event that is accepted, but does not count fully."""
    note = _NOTES.get(work.standing(event) or "full")
    return [fault(*note)] if note else []
