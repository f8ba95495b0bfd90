"""The home of a run of journeys is removed in every case."""

import os
from pathlib import Path
from typing import Any

import pytest


def _fail_in(fresh_home: Any, homes: list[Path]) -> None:
    with fresh_home("shouwang-broken-") as home:
        homes.append(home)
        raise RuntimeError("no store started")


def test_a_home_is_removed_also_after_an_error(pytestconfig: pytest.Config) -> None:
    conftest: Any = pytestconfig.pluginmanager.getplugin(str(Path(__file__).with_name("conftest.py")))
    before, homes = os.environ.get("SHOUWANG_HOME"), []
    with pytest.raises(RuntimeError, match="no store started"):
        _fail_in(conftest.fresh_home, homes)
    assert os.environ.get("SHOUWANG_HOME") == before
    assert not homes[0].exists()
