"""The ledger: positions, and the entries whose sums they are.

A *position* is the present balance of one key (person, item, area, service month). An *entry* books an amount from a
credit account to a debit account. A decision never edits an entry: it appends entries for the difference and settles
pending ones. All amounts are whole fen.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, NamedTuple

from common.calendar import month_text
from common.events import DueLine, Event
from common.message import derived_id

# The accounts of the ledger. All debts to persons are one account; the person is its dimension.
EXPENSE: Final = "subsidy_expense"
PAYABLE: Final = "payable_to_persons"
BANK: Final = "bank"
LOSS: Final = "written_off_loss"

Outcome = Literal["collected", "withdrawn", "written_off"]
Kind = Literal["due", "pay", "back_pay", "recover", "return", "reissue", "write_off"]
Key = tuple[str, str, str, date]  # person, item, area, service month


@dataclass(slots=True)
class Position:
    """The balance of one key. `recovering_fen` + `written_off_fen` always equals the amount paid beyond `amount_fen`.

    `open_fen`: reserved in an open batch. `sequence`: number of the last entry under this key. `recover_sequence`:
    number of the pending entry that expects money back; 0: none. `reissue`: the bank returned the last payment, and no
    batch has reserved a new one.
    """

    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int = 0
    state: str = "due"
    fund: str = ""
    paid_fen: int = 0
    open_fen: int = 0
    recovering_fen: int = 0
    written_off_fen: int = 0
    reissue: bool = False
    sequence: int = 0
    recover_sequence: int = 0
    cause_event_id: str | None = None

    @property
    def key(self) -> Key:
        return self.person_id, self.item, self.jurisdiction, self.service_month

    @property
    def id_parts(self) -> tuple[str, str, str, str, str]:
        """The key as part of derived ids: of entries, and of the recovery case."""
        return "person", self.person_id, self.jurisdiction, self.item, self.service_month.isoformat()

    @property
    def owed_fen(self) -> int:
        """The owed amount, which the ledger books as expense. A barred amount is not owed."""
        return 0 if self.state == "barred" else self.amount_fen

    @property
    def payable_fen(self) -> int:
        """The amount that a batch may reserve, if none is reserved already."""
        return max(0, self.amount_fen - self.paid_fen) if self.state == "due" else 0

    @property
    def has_money(self) -> bool:
        """Whether any amount is booked in the position's fund."""
        return bool(self.owed_fen or self.paid_fen or self.open_fen)

    @property
    def is_zero(self) -> bool:
        """Whether nothing is owed, held or barred."""
        return not self.amount_fen and self.state == "due"

    def line(self) -> DueLine:
        return DueLine(
            item=self.item,
            jurisdiction=self.jurisdiction,
            service_month=month_text(self.service_month),
            amount_fen=self.amount_fen,
            state=self.state,  # type: ignore[arg-type]
            paid_fen=self.paid_fen,
        )


class Posting(NamedTuple):
    """A new ledger entry; the fields are columns of `entries`."""

    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    entry_id: str
    debit_account: str
    credit_account: str
    amount_fen: int
    state: str
    fund: str
    batch_id: str | None
    cause_event_id: str | None


class Line(NamedTuple):
    """One payment of a batch. `line_id`: the id of its entry."""

    line_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    amount_fen: int
    state: str

    @property
    def key(self) -> Key:
        return self.person_id, self.item, self.jurisdiction, self.service_month


class Settling(NamedTuple):
    """The end of a pending entry. `state`: posted, voided or held. The other fields identify the entry."""

    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    state: str


class Case(NamedTuple):
    """The new state of a recovery."""

    recovery_id: str
    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    amount_fen: int
    state: str
    reason: str
    cause_event_id: str | None


@dataclass(slots=True)
class Changes:
    """The rows that a decision writes and the events that it emits."""

    positions: dict[Key, Position] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    settlings: list[Settling] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def post(
        self,
        position: Position,
        kind: Kind,
        debit: str,
        credit: str,
        amount_fen: int,
        state: str = "posted",
        batch_id: str | None = None,
    ) -> Posting:
        """Append the next entry of a position. Its id is derived from the business key, so a duplicate is rejected."""
        position.sequence += 1
        entry = Posting(
            *position.key,
            kind,
            position.sequence,
            derived_id(*position.id_parts, kind, position.sequence),
            debit,
            credit,
            amount_fen,
            state,
            position.fund,
            batch_id,
            position.cause_event_id,
        )
        self.postings.append(entry)
        return entry

    def put(self, position: Position) -> None:
        """Add a changed position to the rows to write."""
        self.positions[position.key] = position

    def settle(self, line: Line, state: Literal["posted", "voided", "held"]) -> None:
        """Give the pending entry of a line its final state."""
        self.settlings.append(Settling(*line.key, line.kind, line.sequence, state))

    def take_events(self) -> list[Event]:
        """Remove and return the events since the last call. The caller emits each one with the cause of its person."""
        events, self.events = self.events, []
        return events
