"""Tokens: the roles that may call a route, and the areas that a caller sees."""

import base64
from typing import Any, get_args

import pytest
from common.errors import NotAllowed, Unauthenticated
from joserfc import jwt
from joserfc.jwk import ECKey
from shell import clock
from shell.access import auth, local_issuer
from shell.access.auth import GIVEN_ROLES, Caller, Role, issue_token, read_token


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


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"ES256","crit":1}',
        b'{"alg":"ES256","crit":[1]}',
        b'{"alg":"ES256","kid":[]}',
        b'{"alg":["ES256"]}',
        b'["ES256"]',
        b"[" * 5_000,
    ],
)
def test_a_header_of_any_other_shape_makes_the_token_invalid(header: bytes) -> None:
    """Anybody can send such a header, so it must not end in an error of ours."""
    _, payload, signature = issue_token("admin").split(".")
    text = base64.urlsafe_b64encode(header).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        read_token(f"{text}.{payload}.{signature}")


def test_the_local_command_gives_every_role_but_that_of_a_service() -> None:
    assert set(get_args(Role)) - set(GIVEN_ROLES) == {"service"}


DAY_SECONDS = 24 * 3600
NOW = int(clock.real_now().timestamp())


def token(header: dict[str, Any] | None = None, key: ECKey | None = None, **claims: Any) -> str:
    """A token of the local issuer, or of `key`, with these claims. None leaves a claim out."""
    now = int(clock.real_now().timestamp())
    whole = {
        "iss": "shouwang",
        "aud": "shouwang",
        "sub": "li",
        "iat": now,
        "exp": now + 60,
        "role": "officer",
        **claims,
    }
    told = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode({"alg": "ES256", **(header or {})}, told, key or local_issuer.signing_key())


def test_a_token_of_a_day_is_valid_whoever_issued_it() -> None:
    assert read_token(token(exp=NOW + DAY_SECONDS, iat=NOW)).subject == "li"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iat": None}, id="no iat"),
        pytest.param({"exp": None}, id="no exp"),
        pytest.param({"iat": "now"}, id="iat is no number"),
        pytest.param({"iat": True}, id="iat is a boolean"),
        pytest.param({"iat": NOW, "exp": NOW + DAY_SECONDS + 1}, id="a day and a second"),
        pytest.param({"iat": NOW - 30 * DAY_SECONDS, "exp": NOW + 60}, id="a month, almost over"),
        pytest.param({"iat": NOW + 3600, "exp": NOW + 7200}, id="issued in the future"),
        pytest.param({"division": ["530302"]}, id="a list of areas"),
        pytest.param({"division": 530302}, id="an area as a number"),
        pytest.param({"sub": 7}, id="a subject as a number"),
        pytest.param({"aud": "another-program"}, id="another audience"),
    ],
)
def test_a_token_with_wrong_claims_or_for_more_than_a_day_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_token(token(**claims))


def test_clocks_may_differ_by_the_leeway() -> None:
    now = int(clock.real_now().timestamp())
    assert read_token(token(iat=now + auth.LEEWAY_SECONDS - 10, exp=now + 600)).role == "officer"


def test_a_caller_knows_when_the_token_ends() -> None:
    ends = int(clock.real_now().timestamp()) + 600
    assert read_token(token(exp=ends)).expires_at == ends


def test_a_caller_knows_who_signed_in_and_when() -> None:
    caller = read_token(token(iat=NOW, auth_time=NOW - 300))
    assert (caller.user, caller.issuer, caller.authenticated_at) == ("li", "shouwang", NOW - 300)
    assert read_token(token(iat=NOW - 7)).authenticated_at == NOW - 7


def test_the_user_is_the_account_unless_the_token_names_a_human() -> None:
    assert Caller("acc", "officer").user == "acc"
    assert Caller("acc", "officer", user="E7").user == "E7"
