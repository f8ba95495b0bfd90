"""Every SQL statement of the audit log. Rows are only ever added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.codes import divisions
from common.errors import NotAllowed
from shell.access.auth import Caller
from shell.access.scopes import Areas, Everything, Scope
from shell.store.transaction import Tx


class Wanted(NamedTuple):
    """Of which audit rows a page is. `scope`: of the auditor; `after`: the last row of the page before."""

    scope: Scope
    person_id: str | None
    actor: str | None
    since: datetime | None
    until: datetime | None
    after: int | None


_COLUMNS: Final = "audit_id, at, actor, role, division, action, purpose, cause, fields, person_ids"


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
    """One row, with the persons it is about and the areas whose auditors see it: the caller's and those above it."""
    areas = (caller.division, *divisions.ancestors(caller.division)) if caller.division else ()
    await tx.sql.execute(
        """WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division)
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING at, audit_id),
                p AS (INSERT INTO audit_persons (person_id, at, audit_id, actor, areas)
                      SELECT DISTINCT p, at, audit_id, $2, $11::text[] FROM a, unnest($10::uuid[]) AS p)
           INSERT INTO audit_areas (area, actor, at, audit_id)
             SELECT DISTINCT s, $2, at, audit_id FROM a, unnest($11) AS s""",
        at,
        caller.subject,
        caller.role,
        action,
        purpose,
        cause,
        ",".join(fields),
        msgspec.json.encode(person_ids),
        caller.division,
        list(person_ids),
        list(areas),
    )


async def list_audits(connection: Any, wanted: Wanted, limit: int) -> list[Any]:
    """The newest rows first."""
    statement, values = page_of(wanted, limit)
    rows: list[Any] = await connection.fetch(statement, *values)
    return rows


def page_of(wanted: Wanted, limit: int) -> tuple[str, list[Any]]:
    """The statement of a page and its values. It first finds the ids of the page, by an index in the order of the page,
    and then reads these rows together."""
    table, conditions = _led_by(wanted, _area(wanted.scope))
    conditions += [
        ("at >= {}", wanted.since),
        ("at < {}", wanted.until),
        ("(at, audit_id) < (SELECT at, audit_id FROM audits WHERE audit_id = {})", wanted.after),
    ]
    used = [(text, value) for text, value in conditions if value is not None]
    where = " AND ".join(text.format(f"${at}") for at, (text, _) in enumerate(used, 1)) or "true"
    statement = f"""SELECT {_COLUMNS} FROM audits WHERE audit_id = ANY(ARRAY(
                      SELECT audit_id FROM {table} WHERE {where}
                      ORDER BY at DESC, audit_id DESC LIMIT ${len(used) + 1}))
                    ORDER BY at DESC, audit_id DESC"""  # noqa: S608 - constant parts
    return statement, [*(value for _, value in used), limit]


def _area(scope: Scope) -> str | None:
    """The area of an auditor; None only for `Everything`. Raises NotAllowed for a scope without an area."""
    match scope:
        case Everything():
            return None
        case Areas(division):
            return division
        case _:
            raise NotAllowed("no audit row is in your scope")


def _led_by(wanted: Wanted, area: str | None) -> tuple[str, list[tuple[str, Any]]]:
    """The table that finds the ids, and what its rows must fulfil: conditions with their values."""
    if wanted.person_id is not None:
        of_person = [("person_id = {}", wanted.person_id), ("actor = {}", wanted.actor)]
        return "audit_persons", [*of_person, ("{} = ANY(areas)", area)]
    if area is not None:
        return "audit_areas", [("area = {}", area), ("actor = {}", wanted.actor)]
    return "audits", [("actor = {}", wanted.actor)]
