"""Every SQL statement of the audit log. Rows are only added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.codes import divisions
from common.errors import NotAllowed
from shell.access.auth import Caller
from shell.access.scopes import Areas, Everything, Scope
from shell.store.transaction import Tx


class Audit(NamedTuple):
    """A row of the log. `fields`: revealed fields of the vault, or `row` for rejected rows, joined by commas.
    `person_ids`: JSON list of ids."""

    audit_id: int
    at: datetime
    actor: str
    role: str
    division: str | None
    action: str
    purpose: str
    cause: str
    fields: str
    person_ids: bytes

    @property
    def revealed(self) -> list[str]:
        return self.fields.split(",") if self.fields else []


class Wanted(NamedTuple):
    """The filter of a page. `scope`: the auditor's; `since` inclusive, `until` exclusive; `after`: the last audit id of
    the previous page."""

    scope: Scope
    person_id: str | None
    actor: str | None
    since: datetime | None
    until: datetime | None
    after: int | None


class _Condition(NamedTuple):
    """A condition of a query. `text`: SQL with `{}` for the parameter. It is left out if `value` is None."""

    text: str
    value: Any


_COLUMNS: Final = ", ".join(Audit._fields)


async def append_audit(
    tx: Tx,
    caller: Caller,
    at: datetime,
    *,
    action: str,
    purpose: str,
    cause: str,
    fields: Sequence[str] = (),
    person_ids: Sequence[str] = (),
) -> None:
    """Append a row with its persons and the areas whose auditors may see it: the caller's area and all areas above."""
    await tx.sql.execute(
        """WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING at, audit_id),
                p AS (INSERT INTO audit_persons (person_id, at, audit_id, actor, areas)
                      SELECT DISTINCT p, at, audit_id, $2, $11::text[] FROM a, unnest($10::uuid[]) AS p)
           INSERT INTO audit_areas (area, actor, at, audit_id)
             SELECT DISTINCT s, $2, at, audit_id FROM a, unnest($11) AS s""",
        at,
        caller.user,
        caller.role,
        action,
        purpose,
        cause,
        ",".join(fields),
        msgspec.json.encode(person_ids),
        caller.division,
        list(person_ids),
        _areas_of(caller),
    )


def _areas_of(caller: Caller) -> list[str]:
    """The caller's area and all areas above it; empty for a caller without an area."""
    return [caller.division, *divisions.ancestors(caller.division)] if caller.division else []


async def list_audits(connection: Any, wanted: Wanted, limit: int) -> list[Audit]:
    """Return a page of the rows that match the filter, newest first. Raises NotAllowed for a scope without an area."""
    statement, values = page_of(wanted, limit)
    return [Audit(*row) for row in await connection.fetch(statement, *values)]


def page_of(wanted: Wanted, limit: int) -> tuple[str, list[object]]:
    """Return the SQL of a page and its parameters.

    The SQL finds the ids of the page in an index that has the order of the page. Then it reads these rows together."""
    table, conditions = _search(wanted, _area(wanted.scope))
    used = [condition for condition in (*conditions, *_range(wanted)) if condition.value is not None]
    where = _where(used)
    statement = f"""SELECT {_COLUMNS} FROM audits WHERE audit_id = ANY(ARRAY(
                      SELECT audit_id FROM {table} WHERE {where}
                      ORDER BY at DESC, audit_id DESC LIMIT ${len(used) + 1}))
                    ORDER BY at DESC, audit_id DESC"""  # noqa: S608 - constant parts
    return statement, [*(condition.value for condition in used), limit]


def _range(wanted: Wanted) -> list[_Condition]:
    return [
        _Condition("at >= {}", wanted.since),
        _Condition("at < {}", wanted.until),
        _Condition("(at, audit_id) < (SELECT at, audit_id FROM audits WHERE audit_id = {})", wanted.after),
    ]


def _where(conditions: Sequence[_Condition]) -> str:
    """Join the conditions with AND and number their parameters $1, $2, …; `true` without a condition."""
    texts = [condition.text.format(f"${position}") for position, condition in enumerate(conditions, 1)]
    return " AND ".join(texts) or "true"


def _area(scope: Scope) -> str | None:
    """The area of an auditor; None only for `Everything`. Raises NotAllowed for a scope without an area."""
    match scope:
        case Everything():
            return None
        case Areas(division):
            return division
        case _:
            raise NotAllowed("no audit row is in your scope")


def _search(wanted: Wanted, area: str | None) -> tuple[str, list[_Condition]]:
    """The table with the best index for this filter, and the conditions on its rows."""
    actor = _Condition("actor = {}", wanted.actor)
    if wanted.person_id is not None:
        person = _Condition("person_id = {}", wanted.person_id)
        return "audit_persons", [person, actor, _Condition("{} = ANY(areas)", area)]
    if area is not None:
        return "audit_areas", [_Condition("area = {}", area), actor]
    return "audits", [actor]
