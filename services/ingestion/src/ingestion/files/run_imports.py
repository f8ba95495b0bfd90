"""The job that records the rows of spooled files.

Rows are recorded in batches, with the same code as events of every other channel. The checkpoint moves in the
transaction that records them. If the process is killed, another process goes on at the checkpoint. Each step is counted
before it begins. A file fails if the process has ended during three of its steps in a row.
"""

import asyncio
import logging
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from prometheus_client import Counter
from shell import clock
from shell.halving import apply_by_halves, repeat_while_unavailable
from shell.store.database import Database
from shell.store.transaction import Tx

from ingestion.domain.person import URGENT_KINDS
from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
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
_CANDIDATES_MAX: Final = 50
_SESSIONS_MAX: Final = 2  # each holds the open pages of its file
STATUSES: Final = ("accepted", "duplicate", "quarantined", "rejected")
rows_counted = Counter("shouwang_import_rows", "Rows of imported files", ["status"])
_encode = msgspec.json.Encoder().encode
_crashes: Final = CrashCounter(store.begin_step, store.end_step)
T = TypeVar("T")
Reject = tuple[str, int, bytes, bytes]  # a row of `import_rejects`


class Overtaken(Exception):
    """Another process moved the checkpoint."""


# Open files between two steps, so that a step need not read again the rows before its checkpoint.
_open: "WeakKeyDictionary[Database, dict[str, Session]]" = WeakKeyDictionary()


async def run_imports(database: Database) -> int:
    """Job: record rows of one open import for STEP_SECONDS. Returns the rows read, plus 1 if the import has ended.

    Urgent kinds come first, then the import that has waited longest."""
    await sources.refresh(database)
    async with database.reading() as holder:
        for import_id in await store.list_open(holder, URGENT_KINDS, _CANDIDATES_MAX):
            if not await store.try_lock(holder, import_id):
                continue  # another replica works on it
            try:
                row = await store.load_import(holder, import_id)
                if await _may_run(database, row):
                    return await _step(database, holder, row)
            finally:
                await store.unlock(holder, import_id)
    return 0


async def _may_run(database: Database, row: Any) -> bool:
    """Whether the import is still open, and its source has quota left."""
    is_open = row.state in ("waiting", "running")
    return is_open and not await quotas.must_wait(database, row.source, row.kind)


async def _step(database: Database, holder: Any, row: Any) -> int:
    if not await _crashes.begin(holder, row.import_id):
        log.error("an import fails: the process died %d times while it worked on it", CRASHES_MAX)
        await _settle(database, row, None, FileBroken("job_died", times=CRASHES_MAX))
        return 1
    try:
        return await _Step(database, row).run()
    finally:
        await _crashes.end(holder, row.import_id)


class _Step:
    """One step of one import. `row`: the import as it is stored; `rows`: how many rows the step has recorded."""

    def __init__(self, database: Database, row: Any) -> None:
        self.database = database
        self.row = row
        self.rows = 0
        self.session: Session | None = _open.setdefault(database, {}).pop(row.import_id, None)

    async def run(self) -> int:
        """Record rows until the time is over. Returns the rows read, plus 1 if the import has ended."""
        try:
            session = await self._resumed()
            has_ended = await self._record_batches(session)
        except SpoolFull:
            log.warning("an import waits: the disk of the spool is full")
            await self._put_off()
            return self.rows
        except FileBroken as broken:
            await _settle(self.database, self.row, self.session, broken)
            self._close()
            return self.rows + 1
        except BaseException:
            self._close()
            raise
        if not has_ended:
            _keep_open(self.database, session)
        return self.rows + has_ended

    async def _resumed(self) -> Session:
        """The session at the checkpoint of the row. Raises FileBroken."""
        former, row = self.session, self.row
        if former is not None and former.position == row.rows_read and former.spool == row.spool:
            return former
        self._close()
        rejects_bytes = await _rejects_bytes(self.database, row)
        self.session = await asyncio.to_thread(_opened, row, rejects_bytes)
        return self.session

    async def _record_batches(self, session: Session) -> bool:
        """Record batches until the time is over, the source must wait, or the file has ended. True: it has ended."""
        until = monotonic() + STEP_SECONDS
        source, kind = self.row.source, self.row.kind
        while not self.rows or monotonic() < until:
            batch = await asyncio.to_thread(_next_batch, session)
            if not batch:
                await _settle(self.database, self.row, session, None)
                session.close()
                return True
            await _record(self.database, session, batch)
            self.rows += len(batch)
            if source is not None:
                await quotas.owe(self.database, {source: len(batch)})
            if await quotas.must_wait(self.database, source, kind):
                break
            session.give_up_if_hopeless()
        return False

    async def _put_off(self) -> None:
        """Close the file, and let other files have their turn first."""
        self._close()
        async with self.database.transaction() as tx:
            await store.put_off(tx, self.row.import_id, clock.now())

    def _close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None


def _keep_open(database: Database, session: Session) -> None:
    kept = _open[database]
    while len(kept) >= _SESSIONS_MAX:
        kept.pop(next(iter(kept))).close()
    kept[session.import_id] = session


async def _rejects_bytes(database: Database, row: Any) -> int:
    async with database.reading() as connection:
        return await store.count_reject_bytes(connection, row.import_id)


def _opened(row: Any, rejects_bytes: int) -> Session:
    if row.spool is None:
        raise FileBroken("spool_lost")
    return _guarded(lambda: Session(row, rejects_bytes))


def _next_batch(session: Session) -> list[Shaped]:
    return _guarded(session.batch)


def _guarded(read: Callable[[], T]) -> T:
    """Return the result of `read`. Any error but SpoolFull becomes FileBroken, so that a bug fails this file only."""
    try:
        return read()
    except (FileBroken, SpoolFull):
        raise
    except OSError as error:
        log.warning("a spooled file cannot be read: %s", type(error).__name__)
        raise FileBroken("spool_lost") from None
    except Exception as error:  # noqa: BLE001 - reported to the sender, and logged without any content
        log.error("a file broke its reader: %s", type(error).__name__)
        raise FileBroken("internal") from None


async def _settle(database: Database, row: Any, session: Session | None, broken: FileBroken | None) -> None:
    """End the import as failed (`broken`) or done, and delete its stored file. Does nothing if the checkpoint moved."""
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
    """Record the rows in one transaction. After a bug, record halves, down to the one row that is rejected."""

    async def apply(part: Sequence[Shaped]) -> None:
        await repeat_while_unavailable(lambda: _commit(database, session, part))

    async def reject(part: Sequence[Shaped], error: Exception) -> None:
        log.warning("a row of an import could not be recorded: %s", type(error).__name__)
        (one,) = part
        if isinstance(one.read, Rejected):  # the bug is not in the row
            raise FileBroken("internal")
        rejected = rejection(one.row, session.sender, [fault("", "internal")])
        await _record(database, session, [one._replace(read=rejected)])

    await apply_by_halves(batch, apply, reject, passing=(Overtaken,))


class _Outcome(NamedTuple):
    """`counts`: the number of rows by status; `rejects`: the rejected rows as they are stored."""

    counts: Counts[str]
    rejects: list[Reject]


async def _commit(database: Database, session: Session, batch: Sequence[Shaped]) -> None:
    """Record the rows and move the checkpoint in one transaction. Raises Overtaken."""
    now = clock.now()
    async with database.transaction() as tx:
        receipts = await record(tx, [s.read for s in batch if isinstance(s.read, Pushed)], now)
        await record_rejections(tx, [s.read for s in batch if isinstance(s.read, Rejected)], now)
        counts, rejects = _outcome(session, batch, receipts)
        await _advance(tx, session, batch, counts, now)
        await store.insert_rejects(tx, rejects)
    session.position += len(batch)
    session.rejected += counts["rejected"]
    session.rejects_bytes += sum(len(sealed) for *_, sealed in rejects)
    for status in STATUSES:
        rows_counted.labels(status).inc(counts[status])


def _outcome(session: Session, batch: Sequence[Shaped], receipts: Sequence[Receipt]) -> _Outcome:
    """Count the rows by status, and seal the rejected ones. `receipts`: of the rows with an event, in order."""
    outcome = _Outcome(Counts(), [])
    of_pushed = iter(receipts)
    for number, shaped in enumerate(batch, session.position + 1):
        if isinstance(shaped.read, Pushed):
            receipt = next(of_pushed)
            status, faults = receipt.status, receipt.problems
        else:
            status, faults = "rejected", list(shaped.read.faults)
        outcome.counts[status] += 1
        if status == "rejected":
            context = f"import/{session.import_id}/{number}"
            problems, sealed = keep(shaped, faults, context, with_cells=session.keeps_cells)
            outcome.rejects.append((session.import_id, number, problems, sealed))
    return outcome


async def _advance(tx: Tx, session: Session, batch: Sequence[Shaped], counts: Counts[str], now: datetime) -> None:
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
