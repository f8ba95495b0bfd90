"""`python -m shouwang.runtime.migrate SERVICE…`: the tables of several services brought up to date in one process.

Loading the migration tools takes longer than migrating, so one process does what six would do six times.
"""

from __future__ import annotations

import logging
import sys

from shell.settings import settings
from shell.store.migrate import migrate


def main(services: list[str]) -> int:
    """Stops at the first service that fails; its traceback says which."""
    logging.basicConfig(level=logging.WARNING)
    for service in services:
        migrate(service, settings().database_url(service))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
