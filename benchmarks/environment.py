"""The environment of the processes that a measurement or a rehearsal starts."""

import os

FOREIGN_PREFIXES = ("SHOUWANG_", "CRASH_", "PG", "VIRTUAL_ENV", "PYTHONPATH")


def own_environment() -> dict[str, str]:
    """The environment without settings that point to another installation of the platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_PREFIXES)}
