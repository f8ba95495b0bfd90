"""Fixtures of the tests that take too long for `make test`. `make rehearse` runs each file as one rehearsal.

The first line of a file's docstring names its purpose.
"""

import json
import os
from collections.abc import Callable

import pytest


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """A function that logs a number of the rehearsal: `figure("broker_kills", 30)`.

    The rehearsal runner rejects a text, because it may name a person."""

    def report(name: str, value: float) -> None:
        print(f"{name} = {value}")
        if path := os.environ.get("SHOUWANG_FIGURES"):
            with open(path, "a", encoding="utf-8") as lines:
                lines.write(json.dumps({"name": name, "value": value}) + "\n")

    return report
