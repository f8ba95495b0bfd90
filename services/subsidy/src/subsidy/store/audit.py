"""Statements for `verify`: contradictions between tables, and accounts with their stored dues."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import asyncpg

from subsidy.domain.accounts import Account

Amounts = dict[tuple[str, str, date], tuple[int, str]]  # by (item, area, service month): fen, state
_SUMS: Final = """WITH s AS (
  SELECT person_id, item, jurisdiction, service_month,
    coalesce(sum(signed) FILTER (WHERE kind = 'due' AND state = 'posted'), 0) AS owed,
    coalesce(sum(amount_fen) FILTER (WHERE kind IN ('pay', 'back_pay', 'reissue') AND state = 'posted'), 0)
      - coalesce(sum(amount_fen) FILTER (WHERE kind IN ('return', 'recover') AND state = 'posted'), 0) AS paid,
    coalesce(sum(amount_fen) FILTER (WHERE kind IN ('pay', 'back_pay', 'reissue') AND state = 'pending'), 0) AS open,
    coalesce(sum(amount_fen) FILTER (WHERE kind = 'recover' AND state = 'pending'), 0) AS recovering,
    coalesce(sum(signed) FILTER (WHERE kind = 'write_off' AND state = 'posted'), 0) AS written_off,
    coalesce(sum(CASE WHEN credit_account = 'payable_to_persons' THEN amount_fen ELSE -amount_fen END)
             FILTER (WHERE state = 'posted'), 0) AS balance,
    max(sequence) AS sequence
  FROM (SELECT *, CASE WHEN (kind = 'due' AND debit_account = 'payable_to_persons')
                         OR (kind = 'write_off' AND credit_account = 'written_off_loss')
                       THEN -amount_fen ELSE amount_fen END AS signed FROM entries) e
  GROUP BY 1, 2, 3, 4)
"""

# Debits equal credits because an entry is one row with both legs. The statements compare the sums with other tables.
# Each lists the keys that contradict its sentence. `owed`: a barred amount is no debt.
_CONTRADICTIONS: Final = {
    "a position is not the sum of its entries": """
      SELECT concat_ws(' ', coalesce(d.person_id, s.person_id), coalesce(d.item, s.item),
                       coalesce(d.jurisdiction, s.jurisdiction), coalesce(d.service_month, s.service_month))
      FROM dues d FULL JOIN s USING (person_id, item, jurisdiction, service_month)
      WHERE (CASE d.state WHEN 'barred' THEN 0 ELSE d.amount_fen END, d.paid_fen, d.open_fen, d.recovering_fen,
             d.written_off_fen)
        IS DISTINCT FROM (coalesce(s.owed, 0), coalesce(s.paid, 0), coalesce(s.open, 0), coalesce(s.recovering, 0),
             coalesce(s.written_off, 0))
        OR d.sequence < s.sequence""",
    "the balance of a key is not the amount owed and unpaid": """
      SELECT concat_ws(' ', d.person_id, d.item, d.jurisdiction, d.service_month)
      FROM dues d JOIN s USING (person_id, item, jurisdiction, service_month)
      WHERE s.balance <> (CASE d.state WHEN 'barred' THEN 0 ELSE d.amount_fen END) - d.paid_fen + d.written_off_fen""",
    "more was paid than is owed, without a recovery": """
      SELECT concat_ws(' ', person_id, item, jurisdiction, service_month) FROM dues
      WHERE paid_fen - recovering_fen - written_off_fen > amount_fen""",
    "a month is owed by two areas at once": """
      SELECT concat_ws(' ', person_id, item, service_month) FROM dues WHERE amount_fen > 0 AND state <> 'barred'
      GROUP BY person_id, item, service_month HAVING count(*) > 1""",
    "a recovery case and its position disagree": """
      SELECT concat_ws(' ', d.person_id, d.item, d.jurisdiction, d.service_month)
      FROM dues d FULL JOIN (SELECT * FROM recoveries WHERE state = 'open') r
        USING (person_id, item, jurisdiction, service_month)
      WHERE coalesce(d.recovering_fen, 0) <> coalesce(r.amount_fen, 0)""",
    "a reserved amount has no line in an open batch, or the other way round": """
      SELECT concat_ws(' ', d.person_id, d.item, d.jurisdiction, d.service_month)
      FROM dues d FULL JOIN (
        SELECT person_id, item, jurisdiction, service_month, sum(amount_fen) AS amount_fen FROM batch_lines
        WHERE state IN ('reserved', 'ordered') GROUP BY 1, 2, 3, 4) l
        USING (person_id, item, jurisdiction, service_month)
      WHERE coalesce(d.open_fen, 0) <> coalesce(l.amount_fen, 0)""",
    "a line and its entry disagree": """
      SELECT l.line_id::text FROM batch_lines l LEFT JOIN entries e
        USING (person_id, item, jurisdiction, service_month, kind, sequence)
      WHERE e.entry_id IS DISTINCT FROM l.line_id OR e.amount_fen <> l.amount_fen OR e.batch_id <> l.batch_id
        OR e.state NOT IN ('pending', 'posted') AND l.state IN ('reserved', 'ordered', 'settled', 'returned')
        OR e.state <> 'pending' AND l.state IN ('reserved', 'ordered')
        OR e.state <> 'posted' AND l.state IN ('settled', 'returned')
        OR e.state NOT IN ('voided', 'held') AND l.state IN ('taken_out', 'rejected')""",
    "a batch was decided by its maker, or by nobody": """
      SELECT batch_id::text FROM batches
      WHERE checker = maker OR (checker IS NULL) <> (state IN ('reserved', 'submitted'))""",
}


async def contradictions(connection: asyncpg.Connection) -> list[str]:
    """One sentence per kind of contradiction that was found, with at most three keys."""
    found: list[str] = []
    for sentence, statement in _CONTRADICTIONS.items():
        rows = await connection.fetch(f"{_SUMS} {statement} LIMIT 4")
        if rows:
            found.append(f"{sentence}: {_first_keys([row[0] for row in rows])}")
    return found


def _first_keys(keys: Sequence[str]) -> str:
    more = " and more" if len(keys) > 3 else ""
    return "; ".join(keys[:3]) + more


async def load_accounts(connection: asyncpg.Connection, after: str | None, count_max: int) -> list[Account]:
    """Return the next page of accounts in the order of ids. `after`: the last id of the page before."""
    rows = await connection.fetch(
        f"""SELECT {", ".join(Account._fields)} FROM accounts
            WHERE $1::uuid IS NULL OR person_id > $1 ORDER BY person_id LIMIT $2""",  # noqa: S608
        after,
        count_max,
    )
    return [Account(*row) for row in rows]


async def load_dues(connection: asyncpg.Connection, person_ids: Sequence[str]) -> dict[str, Amounts]:
    """The stored dues by person, added up over all identities of the person. Dues of zero fen in the state `due` are
    left out."""
    rows = await connection.fetch(
        """SELECT who, item, jurisdiction, service_month, sum(amount_fen)::bigint, min(state) FROM (
             SELECT person_id AS who, d.* FROM dues d WHERE person_id = ANY($1::uuid[])
             UNION ALL SELECT a.survivor, d.* FROM aliases a JOIN dues d ON d.person_id = a.alias
             WHERE a.survivor = ANY($1::uuid[])) d
           WHERE amount_fen > 0 OR state <> 'due' GROUP BY 1, 2, 3, 4""",
        person_ids,
    )
    found: dict[str, Amounts] = {}
    for person_id, item, jurisdiction, month, amount_fen, state in rows:
        found.setdefault(person_id, {})[item, jurisdiction, month] = amount_fen, state
    return found
