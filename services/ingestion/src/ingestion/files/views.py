"""An import as it is shown, and who may see it."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from common.errors import NotFound
from pydantic import BaseModel, Field
from shell.access.auth import Caller
from shell.access.scopes import OwnSource, scope_of

from ingestion.domain.file_problems import FILES
from ingestion.settings import ImportSettings


class FileProblem(BaseModel):
    """Why a file could not be worked through. `more`: what helps to mend it, such as the columns that are missing."""

    code: str
    detail: str
    detail_zh: str
    more: dict[str, Any] = {}


class Import(BaseModel):
    """A file and how far it is worked through. `rows_read` = `accepted` + `duplicates` + `quarantined` + `rejected`.
    `formula_rows`: rows of which a value came out of a formula; `tables_skipped`: sheets without a header that was
    understood; `rejects`: where the refused rows are, until `rejects_kept_until`."""

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
    problems: list[FileProblem]
    rejects: str | None
    rejects_kept_until: datetime | None


def shown(row: Any) -> Import:
    told: list[dict[str, Any]] = msgspec.json.decode(row["problems"]) if row["problems"] else []
    kept = timedelta(days=ImportSettings().rejects_kept_days)
    has_rejects = row["rejected"] > 0
    return Import(
        **{name: row[name] for name in Import.model_fields if name in row and name not in ("problems", "rejects")},
        problems=[problem(**each) for each in told],
        rejects=f"/v1/imports/{row['import_id']}/rejects" if has_rejects else None,
        rejects_kept_until=row["settled_at"] + kept if has_rejects and row["settled_at"] else None,
    )


def problem(code: str, **more: Any) -> FileProblem:
    return FileProblem(code=code, detail=FILES[code][0], detail_zh=FILES[code][1], more=more)


def need_access(row: Any, caller: Caller) -> None:
    """Raises NotFound for what is not the caller's, as if it did not exist."""
    if row is not None:
        scope = scope_of(caller)
        seen = row["source"] == scope.source if isinstance(scope, OwnSource) else scope.sees(row["owner"])
        if seen:
            return
    raise NotFound("no such import")
