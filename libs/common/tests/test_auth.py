"""Who may call, and who sees which area."""

import json
from pathlib import Path
from typing import get_args

import pytest
from common import auth
from common.auth import GIVEN_ROLES, Caller, Role, issue_token, read_token
from common.errors import NotAllowed, Unauthenticated
from joserfc import jwt
from joserfc.jwk import ECKey


def test_a_token_says_who_calls_and_for_which_area() -> None:
    caller = read_token(issue_token("officer", division="530300", subject="li"))
    assert (caller.subject, caller.role, caller.division) == ("li", "officer", "530300")


@pytest.mark.parametrize(
    ("area", "seen"),
    [
        ("530302", True),
        ("530302001", True),
        ("530371", True),
        ("530300", True),
        ("530000", False),
        ("140702", False),
        (None, False),
    ],
)
def test_an_officer_sees_the_own_area_and_what_lies_in_it(area: str | None, seen: bool) -> None:
    assert Caller("li", "officer", division="530300").may_see(area) is seen


@pytest.mark.parametrize("role", ["officer", "approver", "provider", "source"])
def test_a_token_without_an_area_opens_no_area(role: Role) -> None:
    with pytest.raises(NotAllowed):
        Caller("li", role).need_area("530302")


def test_an_expired_a_foreign_and_an_unsigned_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = jwt.encode({"alg": "ES256"}, {"sub": "x", "role": "admin"}, ECKey.generate_key("P-256", private=True))
    expired = issue_token("officer", division="530300", hours=-1)
    header, payload, _ = issue_token("admin").split(".")
    for token in (foreign, expired, f"{header}.{payload}.", "nonsense", ""):
        with pytest.raises(Unauthenticated):
            read_token(token)


def test_a_token_for_another_audience_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "AUDIENCE", "somebody-else")
    token = issue_token("admin")
    monkeypatch.undo()
    with pytest.raises(Unauthenticated):
        read_token(token)


def test_an_issuer_for_people_gives_no_service_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where its keys are those that would sign a service's token here."""
    assert read_token(issue_token("service", subject="subsidy")).role == "service"
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [auth._signing_key().as_dict(private=False)]}))
    monkeypatch.setenv("SHOUWANG_JWKS", str(keys))
    auth._verifying_keys.cache_clear()
    try:
        with pytest.raises(Unauthenticated):
            read_token(issue_token("service", subject="dispatch"))
        assert read_token(issue_token("officer", subject="li")).role == "officer"
    finally:
        auth._verifying_keys.cache_clear()


def test_the_local_command_gives_every_role_but_that_of_a_service() -> None:
    assert set(get_args(Role)) - set(GIVEN_ROLES) == {"service"}
