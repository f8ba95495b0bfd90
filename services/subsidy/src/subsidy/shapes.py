"""The shapes of the HTTP answers, and the parts of every call: the month, the area."""

from datetime import date, datetime
from functools import lru_cache
from typing import Annotated

from common.calendar import month_text
from common.codes import divisions
from common.errors import NotAllowed
from pydantic import BaseModel, Field
from shell.access.auth import Caller
from shell.access.scopes import Areas, Everything, scope_of
from shell.http.params import LINES, DivisionCode, Month, UuidText

from subsidy.store.batches import Batch, Total

MonthText = Month
AreaCode = DivisionCode
Uuid = UuidText
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=LINES)]


class LineState(BaseModel):
    state: str = Field(description="reserved, ordered, settled, returned, taken_out or rejected")
    lines: int
    amount_fen: int


class BatchView(BaseModel):
    """What one area pays at once. `amount_fen` and `line_count` are of the lines still in it."""

    batch_id: str
    jurisdiction: str
    month: MonthText
    state: str = Field(description="reserved, submitted, approved or rejected")
    maker: str
    checker: str | None
    reason: str | None
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    line_count: int
    amount_fen: int
    line_states: list[LineState]


_OUT = ("taken_out", "rejected")


def batch_view(batch: Batch, totals: list[Total]) -> BatchView:
    inside = [total for total in totals if total.state not in _OUT]
    return BatchView(
        **{**batch._asdict(), "month": month_text(batch.month)},
        line_count=sum(total.lines for total in inside),
        amount_fen=sum(total.amount_fen for total in inside),
        line_states=[LineState(**total._asdict()) for total in totals],
    )


class RecoveryView(BaseModel):
    recovery_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: MonthText
    amount_fen: int
    state: str = Field(description="open, collected, withdrawn or written_off")
    reason: str = Field(description="died, not_entitled or amount_lowered")
    cause_event_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None


def areas_of(caller: Caller) -> list[str] | None:
    """The codes of all areas in the caller's scope, for a statement; None only for `Everything`. Raises NotAllowed for
    a scope without an area."""
    match scope_of(caller):
        case Everything():
            return None
        case Areas(division):
            return list(_within(division))
        case _:
            raise NotAllowed("no ledger is in your scope")


@lru_cache(maxsize=1024)
def _within(division: str) -> tuple[str, ...]:
    return tuple({division, *(d.code for d in divisions.every() if divisions.within(d.code, division))})


def month_or_none(text: str | None) -> date | None:
    return date.fromisoformat(f"{text}-01") if text else None
