"""`python -m shouwang.runtime.migrate SERVICE…`: migrate the tables of several services in one process.

Loading the migration tools takes longer than a migration, so one process loads them once for all services.
"""

from __future__ import annotations

import logging
import sys

from shell.settings import settings
from shell.store.migrate import migrate


def main(services: list[str]) -> int:
    """Migrate the tables of each service; returns 0. The first failure ends the process with a traceback."""
    logging.basicConfig(level=logging.WARNING)
    for service in services:
        migrate(service, settings().database_url(service))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
