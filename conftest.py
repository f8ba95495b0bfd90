"""Tests that run side by side each have a home, and with it a clock, of their own.

Tests move the clock (SHOUWANG_TIME_TRAVEL), but they are no demonstration: a test that wants example amounts paid or
example deviations to count asks for it with the fixture `demonstration`.
"""

import os
import tempfile
from collections.abc import Iterator

import pytest

os.environ["SHOUWANG_TIME_TRAVEL"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # else a process would take over the home of the one that started it
    os.environ["SHOUWANG_HOME"] = tempfile.mkdtemp(prefix="shouwang-tests-")


@pytest.fixture
def demonstration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SHOUWANG_DEMO=1 in this process, for one test."""
    from common.settings import settings

    monkeypatch.setenv("SHOUWANG_DEMO", "1")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()
