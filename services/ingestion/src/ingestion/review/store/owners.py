"""The SQL statements that find the areas that own cases."""

from typing import Any, Final, Literal

# The rows that index `quarantine_of_owner` holds. The planner compares constants, not parameters.
_OPEN_AND_SINGLE: Final = "state = 'open' AND group_id IS NULL"


async def list_owners(connection: Any, table: Literal["quarantine", "place_cases"], state: str) -> list[str]:
    """The areas that own a row in this state, sorted. Of the open rows of `quarantine`, those of groups are left out.

    The statement makes one step per area. Each step is one index lookup, but not for settled rows of `quarantine`."""
    if (table, state) == ("quarantine", "open"):
        return await _list_owners(connection, table, _OPEN_AND_SINGLE)
    return await _list_owners(connection, table, "state = $1", state)


async def list_owners_in_group(connection: Any, group_id: str) -> list[str]:
    """The areas that own rows of the quarantine in this group, sorted."""
    rows = await connection.fetch("SELECT DISTINCT owner FROM quarantine WHERE group_id = $1 ORDER BY owner", group_id)
    return [row[0] for row in rows]


async def _list_owners(connection: Any, table: str, condition: str, *values: str) -> list[str]:
    rows = await connection.fetch(
        f"""WITH RECURSIVE next AS (
             (SELECT owner FROM {table} WHERE {condition} ORDER BY owner LIMIT 1)
             UNION ALL
             SELECT (SELECT r.owner FROM {table} r WHERE {condition} AND r.owner > next.owner
                     ORDER BY r.owner LIMIT 1)
             FROM next WHERE next.owner IS NOT NULL)
           SELECT owner FROM next WHERE owner IS NOT NULL""",  # noqa: S608 - constant names and conditions
        *values,
    )
    return [row[0] for row in rows]
