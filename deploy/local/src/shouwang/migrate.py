"""`python -m shouwang.migrate SERVICE…`: the tables of several services brought up to date in one process.

Loading the migration tools takes longer than migrating, so one process does what six would do six times.
"""

from __future__ import annotations

import logging
import sys

from common.migrate import migrate
from common.settings import settings


def main(services: list[str]) -> int:
    """Stops at the first service that fails; its traceback says which."""
    logging.basicConfig(level=logging.WARNING)
    for service in services:
        migrate(service, settings().database_url(service))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
