"""Checks the audit log of each service against the heads that the service has published."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from common.events import AuditSealed
from shell import clock
from shell.audit.checking import Published, Topic, check

from shouwang.invariants.backlog import Databases
from shouwang.invariants.report import Line

SETTLED_AFTER: Final = timedelta(minutes=1)
_SUFFIX: Final = ".audit"
_decode = msgspec.json.Decoder(AuditSealed).decode


def is_audit_topic(name: str) -> bool:
    return name.endswith(_SUFFIX)


class AuditHeads:
    """Stores the published heads in a file, so memory use is constant. `check` gets the records in order."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "audit-heads.sqlite", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE heads (service TEXT, seal INTEGER, rows INTEGER, head BLOB, PRIMARY KEY (service, seal)) "
            "WITHOUT ROWID"
        )
        self._lines: dict[str, Line] = {}

    def line(self, service: str) -> Line:
        if service not in self._lines:
            self._lines[service] = Line(f"the audit log of {service} is complete and unchanged")
        return self._lines[service]

    def check(self, record: Any) -> None:
        if not is_audit_topic(record.topic):
            return
        service = record.topic.removesuffix(_SUFFIX)
        try:
            event = _decode(record.value)
            published = Published(event.rows, bytes.fromhex(event.head))
        except (ValueError, TypeError):  # MsgspecError is a ValueError
            self.line(service).fault(f"{record.topic}@{record.offset}: no head of an audit log")
            return
        before = self._find(service, event.seal)
        if event.service != service or (before is not None and before != published):
            self.line(service).fault(f"{record.topic}@{record.offset}: seal {event.seal} was published otherwise")
        elif before is None:
            self._db.execute("INSERT INTO heads VALUES (?, ?, ?, ?)", (service, event.seal, *published))

    def _find(self, service: str, seal: int) -> Published | None:
        row = self._db.execute(
            "SELECT rows, head FROM heads WHERE service = ? AND seal = ?", (service, seal)
        ).fetchone()
        return Published(*row) if row else None

    def of(self, service: str) -> Topic:
        """Return the heads that this service has published."""
        oldest, newest = self._db.execute(
            "SELECT coalesce(min(seal), 0), coalesce(max(seal), 0) FROM heads WHERE service = ?", (service,)
        ).fetchone()
        return Topic(lambda seal: self._find(service, seal), oldest, newest)

    def close(self) -> None:
        self._db.close()


async def check_audit_logs(heads: AuditHeads, databases: Databases) -> list[Line]:
    """Check the audit log of every service; returns one line per service. All heads must have been read before."""
    settled_at = clock.real_now() - SETTLED_AFTER
    lines = []
    for service, database in databases.items():
        line = heads.line(service)
        async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            found = await check(connection, heads.of(service), settled_at)
        line.count = found.sealed
        if found.waiting:
            line.note = f"{found.waiting:,} rows wait for their seal"
        lines.append(line.add(found.faults))
    return lines
