"""The job that works through spooled files.

Rows go in batches through the same core as every other intake channel. The checkpoint moves in the transaction that
records them, so that another process goes on from there if this one is killed. Each step is counted before it begins:
a file during which the process ended three times in a row is given up.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from common.errors import Unavailable
from prometheus_client import Counter
from shell import clock
from shell.store.database import Database
from shell.store.failures import is_unavailable

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Rejected, Status
from ingestion.files import store
from ingestion.files.crashes import CRASHES_MAX, CrashCounter
from ingestion.files.domain.table import FileBroken
from ingestion.files.rejects import keep
from ingestion.files.row_events import Shaped, rejection
from ingestion.files.sessions import Session
from ingestion.files.spool import SpoolFull, forget
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections
from ingestion.register import quotas, sources

log = logging.getLogger(__name__)
STEP_SECONDS: Final = 5.0
TRIES_MAX: Final = 4
_LOOK_MAX: Final = 50
_SESSIONS_MAX: Final = 2  # each holds the open pages of its file
rows_counted = Counter("shouwang_import_rows", "Rows of imported files", ["status"])
_encode = msgspec.json.Encoder().encode
_crashes: Final = CrashCounter(store.begin_step, store.end_step)
T = TypeVar("T")


class Overtaken(Exception):
    """Another process moved the checkpoint."""


# Open files between two steps, so that a step need not read what it has read.
_open: "WeakKeyDictionary[Database, dict[str, Session]]" = WeakKeyDictionary()


async def run_imports(database: Database) -> int:
    """Work a few seconds on the file whose turn it is. Returns how many rows were read and files ended."""
    await sources.look(database)
    async with database.reading() as holder:
        for import_id in await store.list_open(holder, URGENT_KINDS, _LOOK_MAX):
            if not await store.try_lock(holder, import_id):
                continue  # another replica is at it
            try:
                row = await store.load_import(holder, import_id)
                assert row is not None
                if row.state in ("waiting", "running") and not await quotas.must_wait(database, row.source, row.kind):
                    return await _step(database, holder, row)
            finally:
                await store.unlock(holder, import_id)
    return 0


async def _step(database: Database, holder: Any, row: Any) -> int:
    if not await _crashes.begin(holder, row.import_id):
        log.error("an import is given up: the process died %d times while it worked on it", CRASHES_MAX)
        await _settle(database, row, None, FileBroken("job_died", times=CRASHES_MAX))
        return 1
    try:
        return await _work(database, row)
    finally:
        await _crashes.end(holder, row.import_id)


async def _work(database: Database, row: Any) -> int:
    done = 0
    kept = _open.setdefault(database, {})
    session = kept.pop(row.import_id, None)
    try:
        if session is None or session.position != row.rows_read or session.spool != row.spool:
            former, session = session, None
            session = await asyncio.to_thread(_opened, former, row, await _rejects_bytes(database, row))
        until = monotonic() + STEP_SECONDS
        while not done or monotonic() < until:
            batch = await asyncio.to_thread(_next_batch, session)
            if not batch:
                await _settle(database, row, session, None)
                session.close()
                return done + 1
            await _record(database, session, batch)
            done += len(batch)
            if row.source is not None:
                await quotas.owe(database, {row.source: len(batch)})
            if await quotas.must_wait(database, row.source, row.kind):
                break
            session.give_up_if_hopeless()
    except SpoolFull:
        log.warning("an import waits: the disk of the spool is full")
        await _put_off(database, row, session)
        return done
    except FileBroken as broken:
        await _settle(database, row, session, broken)
        if session is not None:
            session.close()
        return done + 1
    except BaseException:
        if session is not None:
            session.close()
        raise
    while len(kept) >= _SESSIONS_MAX:
        kept.pop(next(iter(kept))).close()
    kept[session.import_id] = session
    return done


async def _rejects_bytes(database: Database, row: Any) -> int:
    async with database.reading() as connection:
        return await store.count_reject_bytes(connection, row.import_id)


async def _put_off(database: Database, row: Any, session: Session | None) -> None:
    """Let other files have their turn first."""
    if session is not None:
        session.close()
    async with database.transaction() as tx:
        await store.put_off(tx, row.import_id, clock.now())


def _opened(former: Session | None, row: Any, rejects_bytes: int) -> Session:
    """A session at the checkpoint. Raises FileBroken."""
    if former is not None:
        former.close()
    if row.spool is None:
        raise FileBroken("spool_lost")
    return _guarded(lambda: Session(row, rejects_bytes))


def _next_batch(session: Session) -> list[Shaped]:
    return _guarded(session.batch)


def _guarded(read: Callable[[], T]) -> T:
    """A file that breaks its reader ends itself alone, never the files behind it."""
    try:
        return read()
    except (FileBroken, SpoolFull):
        raise
    except OSError as wrong:
        log.warning("a spooled file cannot be read: %s", type(wrong).__name__)
        raise FileBroken("spool_lost") from None
    except Exception as wrong:  # noqa: BLE001 - told to the sender, and logged without any content
        log.error("a file broke its reader: %s", type(wrong).__name__)
        raise FileBroken("internal") from None


async def _settle(database: Database, row: Any, session: Session | None, broken: FileBroken | None) -> None:
    problems = _encode([{"code": broken.code, **broken.extra}]) if broken else b""
    state = "failed" if broken else "done"
    position = session.position if session else row.rows_read
    skipped = session.stream.skipped if session else row.tables_skipped
    async with database.transaction() as tx:
        if not await store.settle(tx, row.import_id, position, state, problems, skipped, clock.now()):
            return
    if row.spool is not None:
        forget(row.spool)


# ── one batch ───────────────────────────────────────────────────────────────────────────────────────────────


async def _record(database: Database, session: Session, batch: Sequence[Shaped]) -> None:
    """One transaction; on a bug the batch is halved until the one row is found, and that one is refused."""
    for tries in range(1, TRIES_MAX + 1):
        try:
            return await _commit(database, session, batch)
        except Overtaken:
            raise
        except Exception as wrong:
            if not is_unavailable(wrong):
                log.warning("a batch of %d rows failed: %s", len(batch), type(wrong).__name__)
                break
            if tries == TRIES_MAX:
                raise Unavailable(type(wrong).__name__) from wrong
            await asyncio.sleep(0.02 * 2**tries)
    if len(batch) > 1:
        await _record(database, session, batch[: len(batch) // 2])
        await _record(database, session, batch[len(batch) // 2 :])
        return None
    (one,) = batch
    if isinstance(one.read, Rejected):
        raise FileBroken("internal")
    return await _record(
        database, session, [one._replace(read=rejection(one.row, session.sender, [fault("", "internal")]))]
    )


async def _commit(database: Database, session: Session, batch: Sequence[Shaped]) -> None:
    now = clock.now()
    counts = dict.fromkeys(("accepted", "duplicate", "quarantined", "rejected"), 0)
    rejects: list[tuple[str, int, bytes, bytes]] = []
    async with database.transaction() as tx:
        receipts = iter(await record(tx, [s.read for s in batch if isinstance(s.read, Pushed)], now))
        await record_rejections(tx, [s.read for s in batch if isinstance(s.read, Rejected)], now)
        status: Status
        for number, shaped in enumerate(batch, session.position + 1):
            if isinstance(shaped.read, Pushed):
                receipt = next(receipts)
                status, faults = receipt.status, receipt.problems
            else:
                status, faults = "rejected", list(shaped.read.faults)
            counts[status] += 1
            if status == "rejected":
                context = f"import/{session.import_id}/{number}"
                problems, sealed = keep(shaped, faults, context, with_cells=session.keeps_cells)
                rejects.append((session.import_id, number, problems, sealed))
        await _advance(tx, session, batch, counts, now)
        await store.insert_rejects(tx, rejects)
    session.position += len(batch)
    session.rejected += counts["rejected"]
    session.rejects_bytes += sum(len(sealed) for *_, sealed in rejects)
    for outcome, count in counts.items():
        rows_counted.labels(outcome).inc(count)


async def _advance(tx: Any, session: Session, batch: Sequence[Shaped], counts: dict[str, int], now: datetime) -> None:
    by = store.Advance(
        rows_before=session.position,
        accepted=counts["accepted"],
        duplicates=counts["duplicate"],
        quarantined=counts["quarantined"],
        rejected=counts["rejected"],
        formula_rows=sum(s.formula for s in batch),
        tables_skipped=session.stream.skipped,
        bytes_read=session.bytes_read,
        headers=session.headers,
    )
    if not await store.advance(tx, session.import_id, by, now):
        raise Overtaken(session.import_id)
