"""`shouwang token`: for people on this machine, never for a service."""

from pathlib import Path

import pytest
from shell.access.auth import read_token
from shouwang.cli import main


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` sets the variable; it is restored afterwards."""
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))


def test_an_officer_gets_a_token_of_the_area(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--role", "officer", "--division", "530302"]) == 0
    caller = read_token(capsys.readouterr().out.strip())
    assert (caller.role, caller.division) == ("officer", "530302")


def test_no_person_gets_the_identity_of_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--role", "service"]) != 0
    output = capsys.readouterr()
    assert output.out == ""
    assert "no role `service`" in output.err
