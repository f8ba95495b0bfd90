"""The services of the platform, from `deploy/local/processes.yaml`: the one list of services.

Whoever needs all services takes them from here. `tests/test_tidy.py` compares the list with the folders of `services/`.
"""

from dataclasses import dataclass
from typing import Final

import yaml

from shouwang.runtime.paths import PROCESSES_FILE


@dataclass(frozen=True, slots=True)
class Process:
    """One line of `processes.yaml`. `database`: the service has a database, a consumer, a relay and jobs."""

    name: str
    port: int
    database: bool
    nice: int = 0


def load_processes() -> list[Process]:
    """The services of this machine in starting order."""
    content = yaml.safe_load(PROCESSES_FILE.read_text(encoding="utf-8"))
    return [Process(**entry) for entry in content["processes"]]


SERVICES: Final = tuple(process.name for process in load_processes())
STORED: Final = tuple(process.name for process in load_processes() if process.database)
