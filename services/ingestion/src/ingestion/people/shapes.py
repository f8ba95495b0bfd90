"""The bodies and answers of the person and vault routes."""

from datetime import date
from typing import Any, Final, Literal, get_args

from common.codes.id_number import RAW_LENGTH_MAX
from pydantic import BaseModel, Field
from shell.http.params import ONE_LINE, Body, Id

PERSONS_MAX: Final = 5_000
VaultField = Literal["id_number", "name", "address", "phone", "contacts", "bank_account", "institution"]


# ── one person ──────────────────────────────────────────────────────────────────────────────────────────────


class LookupIn(Body):
    id_number: str = Field(min_length=1, max_length=RAW_LENGTH_MAX, pattern=ONE_LINE)


class FoundOut(BaseModel):
    person_id: str


class FactOut(BaseModel):
    """A fact that holds from `valid_from` until before `valid_to`. `event_id`: the event that stated it. `via`: the
    household through which the fact reached the person, if any."""

    kind: str
    value: dict[str, Any]
    valid_from: date | None
    valid_to: date | None
    event_id: str
    source: str
    rank: int
    via: str | None


class PersonOut(BaseModel):
    """Name, number and address are masked. No user sees them in clear text here."""

    person_id: str
    aliases: list[str] = Field(description="other person ids (numbers) of the same human")
    merged_into: str | None = Field(description="the person id that represents this one now; look there")
    version: int
    on: date
    id_number: str | None
    name: str | None
    address: str | None
    birth_date: date | None
    life: str = Field(description="alive, suspected_dead or dead, on the day `on`")
    facts: list[FactOut]


# ── the vault ───────────────────────────────────────────────────────────────────────────────────────────────


class RevealIn(Body):
    """`cause`: the id of the batch, task or notice that needs the data."""

    purpose: Literal["bank_file", "task", "notice", "route"]
    cause: str = Field(min_length=1, max_length=128, pattern=ONE_LINE)
    fields: list[VaultField] = Field(min_length=1, max_length=len(get_args(VaultField)))
    person_ids: list[Id] = Field(min_length=1, max_length=PERSONS_MAX)


class ContactOut(BaseModel):
    name: str
    relation: str
    phone: str


class AccountOut(BaseModel):
    account_no: str
    bank: str
    holder_name: str


class RevealedPersonOut(BaseModel):
    """Facts as of today. `institution`: the hospital of the person's present stay."""

    person_id: str
    id_number: str | None = None
    name: str | None = None
    address: str | None = None
    phone: str | None = None
    contacts: list[ContactOut] | None = None
    bank_account: AccountOut | None = None
    institution: str | None = None


class RevealedOut(BaseModel):
    """`refused`: ids that are unknown or outside your area; the answer does not distinguish the two."""

    persons: list[RevealedPersonOut]
    refused: list[str]
