"""Keys and the clock are written for their owner only, whatever the umask."""

import os
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from shell import clock
from shell.access import local_issuer
from shell.privacy import Keys
from shell.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = os.umask(0)
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    local_issuer.forget()
    yield tmp_path / "home"
    os.umask(before)
    monkeypatch.undo()
    settings.cache_clear()
    local_issuer.forget()


def test_the_keys_and_the_clock_are_for_their_owner_only(home: Path) -> None:
    local_issuer.signing_key()
    Keys.load()
    clock.set_offset(timedelta(days=1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*") if path.is_file()}
    assert modes == {"token.json": 0o600, "token.jwks.json": 0o600, "vault.json": 0o600, "clock": 0o600}
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
