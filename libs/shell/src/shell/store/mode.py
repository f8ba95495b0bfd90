"""The mode of a database: it belongs to a demonstration or to a real office, for ever.

A demonstration pays example amounts and moves the clock. Without SHOUWANG_DEMO, its database would hold debts that no
document justifies, and business time would go back. A real database with SHOUWANG_DEMO would pay examples. So the first
start stores the mode, and a service in the other mode does not start.
"""

from typing import Final

from shell.store.database import Database

_MARK: Final = "mode"  # its row of `job_marks`, a table that every service has
DEMONSTRATION: Final = "demonstration"
REAL: Final = "real"


class WrongMode(RuntimeError):
    """The stored mode of the database differs from the mode of the process."""


async def keep_mode(database: Database, *, demo: bool) -> None:
    """Store the mode at the first start. Later, raise WrongMode if the stored one differs. `demo`: Settings.demo."""
    mode = DEMONSTRATION if demo else REAL
    async with database.transaction() as tx:
        found = await tx.sql.fetchval(
            """INSERT INTO job_marks (job, mark) VALUES ($1, $2)
               ON CONFLICT (job) DO UPDATE SET mark = job_marks.mark RETURNING mark""",
            _MARK,
            mode,
        )
    if found == mode:
        return
    if found == DEMONSTRATION:
        raise WrongMode(
            f"the database of {database.schema} is for a demonstration: start with SHOUWANG_DEMO=1 or a new database"
        )
    raise WrongMode(
        f"the database of {database.schema} is for no demonstration: start without SHOUWANG_DEMO, or on a new one"
    )
