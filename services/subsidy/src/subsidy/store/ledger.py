"""Lock positions, and write the changes of a decision: one statement per table."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Final

from shell.store import bulk
from shell.store.transaction import Tx

from subsidy.domain.ledger import Changes, Key, Position, Posting, Settling
from subsidy.tables import DueRow, EntryRow

_POSITION: Final = (
    "person_id",
    "item",
    "jurisdiction",
    "service_month",
    "amount_fen",
    "state",
    "fund",
    "paid_fen",
    "open_fen",
    "recovering_fen",
    "written_off_fen",
    "reissue",
    "sequence",
    "recover_sequence",
    "cause_event_id",
)
_KEY: Final = ("person_id", "item", "jurisdiction", "service_month")
_COLUMNS: Final = ", ".join(f"d.{column}" for column in _POSITION)
_IN_ORDER: Final = "ORDER BY d.person_id, d.item, d.jurisdiction, d.service_month"  # all writers lock in this order
_ENTRY: Final = (*Posting._fields, "payee_type", "recorded_at", "posted_at")
_position_row: Final = attrgetter(*_POSITION)


async def lock_positions(tx: Tx, person_ids: Sequence[str]) -> dict[str, dict[Key, Position]]:
    """Lock all positions of these people. Returns them by person and key."""
    rows = await tx.sql.fetch(
        f"SELECT {_COLUMNS} FROM dues d WHERE d.person_id = ANY($1::uuid[]) {_IN_ORDER} FOR UPDATE",  # noqa: S608
        person_ids,
    )
    found: dict[str, dict[Key, Position]] = {}
    for position in _positions(rows):
        found.setdefault(position.person_id, {})[position.key] = position
    return found


async def lock_keys(tx: Tx, keys: Sequence[Key]) -> dict[Key, Position]:
    """Lock the positions of these keys."""
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM dues d
            JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[])
                  AS k(person_id, item, jurisdiction, service_month)) k
              USING (person_id, item, jurisdiction, service_month)
            {_IN_ORDER} FOR UPDATE OF d""",  # noqa: S608
        *bulk.columns_of(keys, width=4),
    )
    return {position.key: position for position in _positions(rows)}


async def lock_payable(tx: Tx, jurisdiction: str, month: date, count_max: int) -> list[Position]:
    """Lock at most `count_max` positions of an area with a payable amount, for service months up to `month`.

    Of two concurrent callers the second waits for the first and does not get the positions reserved by it.
    """
    rows = await tx.sql.fetch(
        f"""SELECT {_COLUMNS} FROM dues d
            WHERE d.jurisdiction = $1 AND d.service_month <= $2
              AND d.state = 'due' AND d.open_fen = 0 AND d.amount_fen > d.paid_fen
            {_IN_ORDER} LIMIT $3 FOR UPDATE""",  # noqa: S608
        jurisdiction,
        month,
        count_max,
    )
    return _positions(rows)


def _positions(rows: Iterable[Iterable[Any]]) -> list[Position]:
    return [Position(*row) for row in rows]


async def save_changes(tx: Tx, changes: Changes, now: datetime, by: str | None = None) -> None:
    """Write positions, new entries, settled entries and recovery cases. `by`: the user who closed a recovery."""
    await bulk.upsert(tx, DueRow, _POSITION, list(map(_position_row, changes.positions.values())), key=_KEY)
    await bulk.insert(tx, EntryRow, _ENTRY, [_entry_row(posting, now) for posting in changes.postings])
    await _settle(tx, changes.settlings, now)
    await _save_cases(tx, changes, now, by)


def _entry_row(posting: Posting, now: datetime) -> tuple[Any, ...]:
    return (*posting, "person", now, now if posting.state == "posted" else None)


async def _settle(tx: Tx, settlings: Sequence[Settling], now: datetime) -> None:
    if not settlings:
        return
    done = await tx.sql.fetch(
        """UPDATE entries e SET state = u.state, posted_at = CASE u.state WHEN 'posted' THEN $8::timestamptz END
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::text[], $6::int[], $7::text[])
             AS u(person_id, item, jurisdiction, service_month, kind, sequence, state)
           WHERE (e.person_id, e.item, e.jurisdiction, e.service_month, e.kind, e.sequence)
               = (u.person_id, u.item, u.jurisdiction, u.service_month, u.kind, u.sequence)
             AND e.payee_type = 'person' AND e.state = 'pending'
           RETURNING 1""",
        *bulk.columns_of(settlings),
        now,
    )
    if len(done) != len(settlings):
        raise AssertionError("an entry to settle is not pending")


async def _save_cases(tx: Tx, changes: Changes, now: datetime, by: str | None) -> None:
    if not changes.cases:
        return
    cases = [changes.cases[id_] for id_ in sorted(changes.cases)]
    await tx.sql.execute(
        """INSERT INTO recoveries AS r (recovery_id, person_id, item, jurisdiction, service_month, amount_fen, state,
                                        reason, cause_event_id, opened_at, closed_at, closed_by)
           SELECT u.*, $10::timestamptz, CASE u.state WHEN 'open' THEN NULL ELSE $10::timestamptz END, $11
           FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::date[], $6::bigint[], $7::text[],
                       $8::text[], $9::uuid[])
             AS u(recovery_id, person_id, item, jurisdiction, service_month, amount_fen, state, reason, cause)
           ON CONFLICT (recovery_id) DO UPDATE SET
             amount_fen = excluded.amount_fen, state = excluded.state,
             cause_event_id = excluded.cause_event_id, closed_at = excluded.closed_at, closed_by = excluded.closed_by,
             reason = CASE excluded.state WHEN 'open' THEN excluded.reason ELSE r.reason END,
             opened_at = CASE excluded.state WHEN 'open' THEN excluded.opened_at ELSE r.opened_at END""",
        *bulk.columns_of(cases),
        now,
        by,
    )
