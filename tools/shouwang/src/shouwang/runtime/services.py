"""Loads the list of the services of the platform from `deploy/local/processes.yaml`.

All code that needs the list uses this module. `tests/test_tidy.py` compares it with the folders of `services/`.
"""

from dataclasses import dataclass
from typing import Final

import yaml

from shouwang.runtime.paths import PROCESSES_FILE


@dataclass(frozen=True, slots=True)
class Process:
    """One service of `processes.yaml`. `database`: it has a database, a consumer, a relay and jobs."""

    name: str
    port: int
    database: bool
    nice: int = 0


def load_processes() -> list[Process]:
    """Load the services in the order in which they are started."""
    content = yaml.safe_load(PROCESSES_FILE.read_text(encoding="utf-8"))
    return [Process(**entry) for entry in content["processes"]]


SERVICES: Final = tuple(process.name for process in load_processes())
STORED: Final = tuple(process.name for process in load_processes() if process.database)
