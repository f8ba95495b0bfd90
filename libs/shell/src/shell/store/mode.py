"""A database belongs to a demonstration or to a real office, for good.

A demonstration pays example amounts and moves the clock. If its database went on without SHOUWANG_DEMO, people would
owe money that no document gives, and business time would go back. If a real database went on with it, examples would
be paid. So the first start writes the mode down, and a service of the other mode does not start.
"""

from typing import Final

from shell.store.database import Database

_MARK: Final = "mode"  # its row of `job_marks`, a table that every service has
DEMONSTRATION: Final = "demonstration"
REAL: Final = "real"


class WrongMode(RuntimeError):
    """The database was begun in the other mode."""


async def keep_mode(database: Database, *, demo: bool) -> None:
    """Write the mode down at the first start; later, raise WrongMode if it is another one. `demo`: Settings.demo."""
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
            f"the database of {database.schema} is a demonstration's: start with SHOUWANG_DEMO=1, or on a new database"
        )
    raise WrongMode(
        f"the database of {database.schema} is not a demonstration's: start without SHOUWANG_DEMO, or on a new database"
    )
