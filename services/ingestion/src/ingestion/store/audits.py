"""Every SQL statement that reads the audit log."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from common.errors import NotAllowed
from common.scopes import Areas, Everything, Scope


class Wanted(NamedTuple):
    """Of which audit rows a page is. `scope`: of the auditor; `after`: the last row of the page before."""

    scope: Scope
    person_id: str | None
    actor: str | None
    since: datetime | None
    until: datetime | None
    after: int | None


_COLUMNS: Final = "audit_id, at, actor, role, division, action, purpose, cause, fields, person_ids"


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
