"""Find rows of the audit log, in cheap pages, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from common.errors import NotAllowed

from shell.access.scopes import Areas, Everything, Scope


class Audit(NamedTuple):
    """A row of the log. `actor`: the human; `account`: the human's account, empty in old rows. `fields`: revealed
    fields of the vault, or `row` for rejected rows, joined by commas. `person_ids`: JSON list of ids."""

    audit_id: int
    at: datetime
    actor: str
    account: str
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

    @property
    def persons(self) -> list[str]:
        return msgspec.json.decode(self.person_ids, type=list[str]) if self.person_ids else []


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


COLUMNS: Final = ", ".join(Audit._fields)
_SEALS: Final = "SELECT audit_id, seal FROM audit_links WHERE audit_id = ANY($1::bigint[])"


async def list_audits(connection: Any, wanted: Wanted, limit: int) -> list[Audit]:
    """Return a page of the rows that match the filter. Raises NotAllowed for a scope without an area."""
    statement, values = page_of(wanted, limit)
    return [Audit(*row) for row in await connection.fetch(statement, *values)]


async def load_seals(connection: Any, audit_ids: Sequence[int]) -> dict[int, int]:
    """Return the seal of each of these rows that is sealed, by audit id."""
    return dict(await connection.fetch(_SEALS, list(audit_ids)))


def page_of(wanted: Wanted, limit: int) -> tuple[str, list[object]]:
    """Return the SQL of a page and its parameters.

    The SQL finds the ids of the page in an index that has the order of the page. Then it reads these rows together."""
    table, conditions = _search(wanted, _area(wanted.scope))
    used = [condition for condition in (*conditions, *_range(wanted)) if condition.value is not None]
    where = _where(used)
    statement = f"""SELECT {COLUMNS} FROM audits WHERE audit_id = ANY(ARRAY(
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
