"""The HTTP answers about imports."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from pydantic import BaseModel, Field

from ingestion.domain.file_problems import FILES
from ingestion.files.store import StoredImport
from ingestion.settings import ImportSettings


class FileProblemOut(BaseModel):
    """Why a file cannot be imported. `more`: details that help to correct it, such as the missing columns."""

    code: str
    detail: str
    detail_zh: str
    more: dict[str, Any] = {}


class ImportOut(BaseModel):
    """A file and its progress. `rows_read` = `accepted` + `duplicates` + `quarantined` + `rejected`. `formula_rows`:
    rows with a value from a formula; `tables_skipped`: sheets without a known header; `rejects`: the address of the
    rejected rows, which are deleted after `rejects_kept_until`."""

    import_id: str
    source: str | None
    kind: str | None
    format: str
    state: str = Field(description="waiting, running, done or failed")
    received_at: datetime
    settled_at: datetime | None
    bytes: int
    bytes_read: int
    rows_read: int
    accepted: int
    duplicates: int
    quarantined: int
    rejected: int
    formula_rows: int
    tables_skipped: int
    problems: list[FileProblemOut]
    rejects: str | None
    rejects_kept_until: datetime | None


class ImportPageOut(BaseModel):
    imports: list[ImportOut]
    next: str | None


def import_out(stored: StoredImport) -> ImportOut:
    problems: list[dict[str, Any]] = msgspec.json.decode(stored.problems) if stored.problems else []
    fields = stored._asdict()
    fields["problems"] = [problem_out(**each) for each in problems]
    fields["rejects"] = f"/v1/imports/{stored.import_id}/rejects" if stored.rejected else None
    fields["rejects_kept_until"] = _rejects_kept_until(stored)
    return ImportOut(**{name: fields[name] for name in ImportOut.model_fields})


def _rejects_kept_until(stored: StoredImport) -> datetime | None:
    if not stored.rejected or stored.settled_at is None:
        return None
    return stored.settled_at + timedelta(days=ImportSettings().rejects_kept_days)


def problem_out(code: str, **more: Any) -> FileProblemOut:
    return FileProblemOut(code=code, detail=FILES[code][0], detail_zh=FILES[code][1], more=more)
