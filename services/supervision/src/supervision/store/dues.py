"""Store due months: one row per person, item and paying area with at least one due month."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from shell.store.transaction import Tx

_MERGE: Final = """
MERGE INTO due_months t
USING (SELECT a::uuid AS person_id, b AS item, c AS jurisdiction, d::datemultirange AS stated, e::datemultirange AS due
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS u(a, b, c, d, e)) s
ON t.person_id = s.person_id AND t.item = s.item AND t.jurisdiction = s.jurisdiction
WHEN MATCHED AND isempty(t.months - s.stated + s.due) THEN DELETE
WHEN MATCHED THEN UPDATE SET months = t.months - s.stated + s.due
WHEN NOT MATCHED AND NOT isempty(s.due) THEN
  INSERT (person_id, item, jurisdiction, months) VALUES (s.person_id, s.item, s.jurisdiction, s.due)
"""


class DueMonths(NamedTuple):
    """Received months of one person, item and area, as multiranges of days. `due`: the months of `stated` with money
    due."""

    person_id: str
    item: str
    jurisdiction: str
    stated: str
    due: str


async def save_due_months(tx: Tx, rows: Sequence[DueMonths]) -> None:
    """Store which of the stated months are due. Months that are not stated stay unchanged.

    `rows`: unique by the first three fields and sorted by them.
    """
    if rows:
        await tx.sql.execute(_MERGE, *map(list, zip(*rows, strict=True)))
