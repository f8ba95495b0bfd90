"""The table of correction requests."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime
from sqlalchemy.dialects.postgresql import UUID
from sqlmodel import Field, SQLModel


def _uuid(**options: Any) -> Any:
    return Field(sa_type=UUID(as_uuid=False), **options)


def _instant(**options: Any) -> Any:
    return Field(sa_type=DateTime(timezone=True), **options)


class CorrectionRow(SQLModel, table=True):
    """A request to a source to correct an event. `code`, `pointer`: as in the published list. `rule`: the cause of the
    request (`recording.correction_requests.Rule`). `looked_at`: the last check for an answer."""

    __tablename__: ClassVar[str] = "corrections"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "ingestion"}
    correction_id: str = _uuid(primary_key=True)
    source: str
    area: str
    event_id: str = _uuid()
    kind: str | None = None
    target: str
    code: str
    pointer: str
    reason: str
    rule: str
    asked_by: str
    asked_at: datetime = _instant()
    deadline: datetime = _instant()
    looked_at: datetime = _instant()
    state: str = "open"
    answered_at: datetime | None = _instant(default=None)
    answered_by: str | None = _uuid(default=None)
