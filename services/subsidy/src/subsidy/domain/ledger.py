"""The nouns of the ledger: what stands under a key, and the postings that put it there.

A *position* is what stands under one key (person, item, area, service month). Deciding never edits a posting: it
appends postings that make up the difference, and settles pending ones. Everything moves in whole fen.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, NamedTuple

from common.calendar import month_text
from common.events import DueLine, Event
from common.message import derived_id

# The accounts of the ledger. What is owed to persons is one account with the person as its dimension.
EXPENSE: Final = "subsidy_expense"
PAYABLE: Final = "payable_to_persons"
BANK: Final = "bank"
LOSS: Final = "written_off_loss"

Outcome = Literal["collected", "withdrawn", "written_off"]
Kind = Literal["due", "pay", "back_pay", "recover", "return", "reissue", "write_off"]
Key = tuple[str, str, str, date]  # person, item, area, service month


@dataclass(slots=True)
class Position:
    """`recovering_fen` + `written_off_fen` is always what was paid beyond `amount_fen`. `sequence`: of the last
    posting under this key, `recover_sequence`: of the pending one that expects money back. `reissue`: the last
    payment came back from the bank."""

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
    def owed_fen(self) -> int:
        """What the ledger has as expense: an example amount is nobody's debt."""
        return 0 if self.state == "barred" else self.amount_fen

    @property
    def payable_fen(self) -> int:
        """What could be paid now, not counting what is on its way."""
        return max(0, self.amount_fen - self.paid_fen) if self.state == "due" else 0

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
    """One entry of the ledger, in the order of its columns (`store.ledger.ENTRY_COLUMNS`)."""

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


class Settling(NamedTuple):
    """A pending entry becomes posted, voided or held."""

    person_id: str
    item: str
    jurisdiction: str
    service_month: date
    kind: Kind
    sequence: int
    state: str


class Case(NamedTuple):
    """A recovery as it stands from now on."""

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
    """What a decision writes and says."""

    positions: dict[Key, Position] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    settlings: list[Settling] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def take_events(self) -> list[Event]:
        """What is to be said since the last time; each is emitted once, with the cause of its person."""
        events, self.events = self.events, []
        return events


def posting(
    position: Position,
    kind: Kind,
    debit: str,
    credit: str,
    amount_fen: int,
    *,
    state: str = "posted",
    batch_id: str | None = None,
) -> Posting:
    """The next entry under this key. Its id follows from the business key: a second path to it collides."""
    position.sequence += 1
    p = position
    month = p.service_month.isoformat()
    return Posting(
        p.person_id,
        p.item,
        p.jurisdiction,
        p.service_month,
        kind,
        p.sequence,
        derived_id("person", p.person_id, p.jurisdiction, p.item, month, kind, p.sequence),
        debit,
        credit,
        amount_fen,
        state,
        p.fund,
        batch_id,
        p.cause_event_id,
    )
