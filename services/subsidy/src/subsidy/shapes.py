"""HTTP bodies (`…In`) and answers (`…Out`) of the service."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from common.calendar import month_text
from pydantic import BaseModel, Field
from rules.deciding.unpaid import WHY_UNPAID
from rules.money.due import Example
from shell.http.params import LINES, Body, Day, DivisionCode, Month, UuidText

from subsidy.domain.payment import Refusal
from subsidy.domain.unpaid import Unpaid
from subsidy.store.batches import Batch, LineDetail, Total
from subsidy.store.entries import AccountSum, Entry
from subsidy.store.recoveries import Recovery

RESULTS_MAX: Final = 5_000
MonthText = Month
AreaCode = DivisionCode
Uuid = UuidText
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=LINES)]
RecoveryState = Literal["open", "collected", "withdrawn", "written_off"]
_NOT_IN_BATCH: Final = ("taken_out", "rejected")


def _with_month_text(row: LineDetail | Recovery | Entry) -> dict[str, Any]:
    """The fields of a row, with the service month as text."""
    return row._asdict() | {"service_month": month_text(row.service_month)}


class BatchIn(Body):
    month: MonthText
    jurisdiction: AreaCode


class ReasonIn(Body):
    reason: Reason


class LineTotalOut(BaseModel):
    state: str = Field(description="reserved, ordered, settled, returned, taken_out or rejected")
    lines: int
    amount_fen: int


class BatchOut(BaseModel):
    """The payments of one area in one batch. `amount_fen` and `line_count` leave out lines taken out or rejected."""

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
    line_states: list[LineTotalOut]


def batch_out(batch: Batch, totals: list[Total]) -> BatchOut:
    included = [total for total in totals if total.state not in _NOT_IN_BATCH]
    return BatchOut(
        **batch._asdict() | {"month": month_text(batch.month)},
        line_count=sum(total.lines for total in included),
        amount_fen=sum(total.amount_fen for total in included),
        line_states=[LineTotalOut(**total._asdict()) for total in totals],
    )


class BatchPageOut(BaseModel):
    batches: list[BatchOut]
    next: str | None


class LineOut(BaseModel):
    line_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: MonthText
    kind: str = Field(description="pay, back_pay or reissue")
    amount_fen: int
    state: str = Field(description="reserved, ordered, settled, returned, taken_out or rejected")
    reason: str | None = Field(description="why it was taken out, or the bank's own words about its result")
    settled_on: str | None

    @classmethod
    def of(cls, line: LineDetail) -> Self:
        settled_on = line.settled_on.isoformat() if line.settled_on else None
        return cls(**_with_month_text(line) | {"settled_on": settled_on})


class BatchWithLinesOut(BatchOut):
    lines: list[LineOut]
    next: str | None


class BankResultIn(Body):
    """`reason`: the bank's own words about the result, such as a closed account or a wrong name."""

    line_id: Uuid
    outcome: Literal["settled", "returned"]
    settled_on: Day | None = Field(None, description="the bank's day; today if it is missing")
    reason: Reason | None = None


class BankReturnIn(Body):
    lines: list[BankResultIn] = Field(min_length=1, max_length=RESULTS_MAX)


class RefusedLineOut(BaseModel):
    line_id: str
    code: Literal["unknown_line"] | Refusal


class BankReturnOut(BaseModel):
    """Numbers of lines. `unchanged`: lines that had this outcome already, because a bank may send a file twice."""

    settled: int
    returned: int
    unchanged: int
    refused: list[RefusedLineOut]


class RecoveryOut(BaseModel):
    recovery_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: MonthText
    amount_fen: int
    state: str = Field(description="open, collected, withdrawn or written_off")
    reason: str = Field(description="died, paid_twice, not_entitled or amount_lowered")
    cause_event_id: str | None
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None

    @classmethod
    def of(cls, recovery: Recovery) -> Self:
        return cls(**_with_month_text(recovery))


class RecoveryPageOut(BaseModel):
    recoveries: list[RecoveryOut]
    next: str | None


class EntryOut(BaseModel):
    """One entry from `credit_account` to `debit_account`. If it reverses a due or a write-off, the accounts are
    exchanged, and `amount_fen` is also negative: book its absolute value."""

    entry_id: str
    person_id: str = Field(description="the identity under which it was posted")
    item: str
    jurisdiction: str
    service_month: MonthText
    kind: str = Field(description="due, pay, back_pay, recover, return, reissue or write_off")
    amount_fen: int
    state: str = Field(description="pending, posted, voided or held; a due is held while its payment waits")
    fund: str
    batch_id: str | None
    cause_event_id: str | None
    recorded_at: datetime
    posted_at: datetime | None
    sequence: int
    debit_account: str
    credit_account: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        fields = _with_month_text(entry)
        if entry.is_reversal:
            fields["amount_fen"] = -entry.amount_fen
        if entry.is_held_due:
            fields["state"] = "held"
        return cls(**fields)


class UnpaidOut(BaseModel):
    """Granted, but not paid: only an example gives the amount or the pay rule. Such money is no debt and no entry."""

    item: str
    jurisdiction: str
    from_month: MonthText
    through_month: MonthText
    months: int
    amount_fen_per_month: int
    amount_fen: int = Field(description="of all these months; not part of the balance")
    reason: Example
    text: str = Field(description="the reason in Chinese")
    policy: str = Field(description="the policy version with the amount: <area>/<item>@<first day>")

    @classmethod
    def of(cls, unpaid: Unpaid) -> Self:
        return cls(
            **unpaid._asdict(),
            from_month=month_text(unpaid.first_month),
            through_month=month_text(unpaid.last_month),
            amount_fen=unpaid.amount_fen_per_month * unpaid.months,
            text=WHY_UNPAID[unpaid.reason],
        )


class LedgerOut(BaseModel):
    """`balance_fen`: owed and unpaid in the areas of the caller; negative: overpaid."""

    person_id: str
    aliases: list[str] = Field(description="other identities of the same person; their entries are included")
    merged_into: str | None = Field(description="the identity whose ledger includes all entries")
    balance_fen: int
    entries: list[EntryOut]
    unpaid: list[UnpaidOut] = Field(description="granted and not paid, with the reason; empty in a demonstration")
    next: str | None = Field(description="give it as `after` for the next page")


class AccountOut(BaseModel):
    account: str
    balance_fen: int = Field(description="debits minus credits")

    @classmethod
    def of(cls, total: AccountSum) -> Self:
        return cls(account=total.account, balance_fen=total.debit_fen - total.credit_fen)


class TrialBalanceOut(BaseModel):
    debit_fen: int
    credit_fen: int
    accounts: list[AccountOut]
