"""How the proof that a list gives at least what the lists above it give is shown."""

import datetime as dt
from typing import Any

from pydantic import Field
from rules.proof.inclusion import COVERED, NOT_COVERED

from identification.lists.shapes import FromStruct


class PersonView(FromStruct):
    """Somebody possible, nobody real: what matters of them on a day, places as division codes."""

    on: dt.date
    known: dict[str, Any]
    text: str


class DeviationView(FromStruct):
    item: str
    clause: str
    signer: str
    reason: str
    status: str
    valid_from: dt.date
    valid_to: dt.date | None = None


class NarrowerView(FromStruct):
    """Over [`from`, `to`) the list gives some people less of an item than the list of `parent`."""

    item: str
    code: str
    parent: str
    from_: dt.date = Field(alias="from")
    to: dt.date | None
    person: PersonView
    parent_gives: str
    child_gives: str
    sentence: str
    floor: bool = False
    deviation: DeviationView | None = None


class InclusionView(FromStruct):
    """`included`: nobody gets less, or only whom a deviation names (`deviating`)."""

    child: str
    above: list[str]
    included: bool
    compared: list[str]
    narrower: list[NarrowerView]
    deviating: list[NarrowerView]
    undecided: list[str]
    idle: list[DeviationView]
    covered: tuple[str, ...] = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED
