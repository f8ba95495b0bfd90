"""Read budgets: the number of persons that one user may read on a civil day (`contracts/access.yaml`).

The table `person_reads` of the service holds the count, so all replicas share it. It holds each person once: a second
read of a person costs nothing. One statement counts, in the transaction that writes the audit row:

    async with db.transaction() as tx:
        ...                                            # load
        spent = await read_budget.spend(tx, caller, [person_id])
        await append_audit(tx, ...)
    spent.need_allowed()                               # after the commit, which stores the refusal and its alert
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
from common import calendar
from common.errors import TooBusy
from common.events import ReadBudgetUsed

from shell import clock
from shell.access.auth import Caller, Role
from shell.privacy import vault
from shell.settings import paths
from shell.store.transaction import Tx

KEPT_DAYS: Final = 7  # a user's older rows are deleted at the next read of this user
NATION: Final = "000000"
# The table that a service creates to have budgets.
PERSON_READS: Final = """
CREATE TABLE person_reads (
  actor      text NOT NULL,
  day        date NOT NULL,
  persons    uuid[] NOT NULL,
  refused_at timestamptz,
  PRIMARY KEY (actor, day)
);
"""
# The row's lock makes concurrent reads of one user wait for one another: no two of them take the last person.
_SPEND: Final = f"""
WITH old AS (DELETE FROM person_reads WHERE actor = $1 AND day < $2::date - {KEPT_DAYS})
INSERT INTO person_reads AS r (actor, day, persons, refused_at)
SELECT $1, $2, CASE WHEN cardinality($3::uuid[]) <= $4 THEN $3 ELSE '{{}}' END,
       CASE WHEN cardinality($3) > $4 THEN $5::timestamptz END
ON CONFLICT (actor, day) DO UPDATE SET (persons, refused_at) = (
  SELECT CASE WHEN fits THEN r.persons || fresh ELSE r.persons END,
         CASE WHEN fits THEN r.refused_at ELSE coalesce(r.refused_at, $5) END
  FROM (SELECT fresh, cardinality(fresh) = 0 OR cardinality(r.persons) + cardinality(fresh) <= $4 AS fits
        FROM (SELECT ARRAY(SELECT p FROM unnest($3) AS p WHERE p <> ALL (r.persons)) AS fresh) AS f) AS g)
RETURNING persons @> $3 AS allowed, refused_at IS NOT DISTINCT FROM $5 AS first_refusal
"""  # noqa: S608 - a constant number of days


class _Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role
    persons_a_day: int
    status: Literal["documented", "example"]


class _Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    read_budgets: tuple[_Budget, ...]


class Spent(NamedTuple):
    """The result of `spend`. `case_id`: the officer case about this user and day; None if the read is allowed."""

    case_id: str | None
    retry_after_seconds: int

    @property
    def allowed(self) -> bool:
        return self.case_id is None

    def need_allowed(self) -> None:
        """Raise TooBusy (429) if the read is refused. Call it after the transaction, so that the refusal is stored."""
        if not self.allowed:
            raise TooBusy(
                "you have read as many persons today as your role may: the count begins anew tomorrow",
                code="read_budget_used",
                retry_after_seconds=self.retry_after_seconds,
            )


@lru_cache(maxsize=8)
def _persons_a_day(path: Path) -> dict[str, int]:
    access = msgspec.yaml.decode(path.read_bytes(), type=_Access)
    return {budget.role: budget.persons_a_day for budget in access.read_budgets}


def persons_a_day(role: Role) -> int:
    """Return the number of persons that a user with this role may read per day; 0 for a role without an entry. Raises
    OSError if the file cannot be read, and msgspec.MsgspecError if it does not have the right form."""
    return _persons_a_day(paths().read_budgets).get(role, 0)


def case_of(user: str, day: date) -> str:
    """Return the id of the case about one user's reads on one day. Every service derives the same id. It is a keyed
    hash, so that it does not reveal the user."""
    return vault().event_id("read_budget", f"{user}\0{day.isoformat()}")


async def spend(tx: Tx, caller: Caller, persons: Collection[str]) -> Spent:
    """Count the persons that the caller is about to see, and return whether the read is allowed.

    `persons`: person ids. All are counted or, for a refused read, none. The caller's first refusal of a day
    in this service emits `ReadBudgetUsed`.
    """
    now = clock.now()
    day = calendar.civil_date(now)
    limit = persons_a_day(caller.role)
    wanted = sorted(set(persons))
    row = await tx.sql.fetchrow(_SPEND, caller.user, day, wanted, limit, now)
    if row["allowed"]:
        return Spent(None, 0)
    case_id = case_of(caller.user, day)
    if row["first_refusal"]:
        _emit_used(tx, caller, case_id, day, limit, now)
    tomorrow = calendar.start_of_day(day + timedelta(days=1))
    return Spent(case_id, int((tomorrow - now).total_seconds()) + 1)


def _emit_used(tx: Tx, caller: Caller, case_id: str, day: date, limit: int, now: datetime) -> None:
    event = ReadBudgetUsed(
        case_id=case_id,
        service=tx.service,
        role=caller.role,
        division=caller.division or NATION,
        day=day,
        persons_max=limit,
        used_at=now,
    )
    tx.emit(event, topic=f"{tx.service}.access", division=event.division)
