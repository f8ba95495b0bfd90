"""Issuers as data: each gives its own roles, names its own claims, and signs with its own keys."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from common.errors import NotAllowed, Unauthenticated
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from shell import clock
from shell.access import auth, issuers, local_issuer, token_keys
from shell.access.auth import Caller, issue_token, need_fresh, read_token
from shell.settings import settings

STAFF, PEOPLE, MACHINES = "https://id.example/staff", "https://id.example/people", "https://id.example/machines"
KEYS = {
    STAFF: ECKey.generate_key("P-256", {"kid": "staff"}, private=True),
    PEOPLE: RSAKey.generate_key(2048, {"kid": "people"}, private=True),
    MACHINES: ECKey.generate_key("P-256", {"kid": "machines"}, private=True),
}
ALGORITHMS = {STAFF: "ES256", PEOPLE: "RS256", MACHINES: "ES256"}
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Write the file of the issuers, with changes of the entry of the staff, and let this process use it. The process
    is neither a demonstration nor a test, unless a test says so."""
    monkeypatch.setenv("SHOUWANG_TIME_TRAVEL", "0")
    settings.cache_clear()

    def _write(**staff: Any) -> Path:
        for key in KEYS.values():
            (tmp_path / key.kid).write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
        entries = [
            {
                "url": STAFF,
                "kind": "people",
                "roles": ["officer", "approver", "admin"],
                "claims": {"role": ["realm_access", "roles"], "division": "area", "user": "employee_number"},
                **staff,
            },
            {"url": PEOPLE, "kind": "residents", "roles": ["resident"], "claims": {"person": "person_id"}},
            {"url": MACHINES, "kind": "machines", "roles": ["source", "service"], "claims": {"source": "source"}},
        ]
        for entry in entries:
            url = next(url for url in KEYS if url.rpartition("/")[2] in str(entry["url"]))
            entry.setdefault("audience", "shouwang")
            entry.setdefault("algorithms", [ALGORITHMS[url]])
            entry.setdefault("jwks", str(tmp_path / str(KEYS[url].kid)))
        file = tmp_path / "issuers.yaml"
        file.write_text(yaml.safe_dump({"issuers": entries}))
        monkeypatch.setenv("SHOUWANG_ISSUERS", str(file))
        local_issuer.forget()
        issuers.forget()
        auth.forget()
        return file

    yield _write
    monkeypatch.undo()
    settings.cache_clear()
    issuers.forget()


def token(url: str = STAFF, *, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
    now = int(clock.real_now().timestamp())
    whole = {"iss": url, "aud": "shouwang", "sub": "7", "iat": now, "exp": now + 300, **claims}
    told = {name: value for name, value in whole.items() if value is not None}
    used = key or KEYS[url]
    head = {"alg": ALGORITHMS[url], "kid": used.kid, **(header or {})}
    return jwt.encode(head, told, used, algorithms=[str(head["alg"])])


def staff(roles: Any = ("officer",), **claims: Any) -> str:
    given = {"realm_access": {"roles": list(roles)}, "area": "530302", "employee_number": "E7", **claims}
    return token(STAFF, **given)


def refusal(text: str) -> str:
    with pytest.raises((NotAllowed, Unauthenticated)) as refused:
        read_token(text)
    return str(refused.value.code)


def test_the_claims_of_an_issuer_are_mapped(write: Any) -> None:
    write()
    now = clock.real_now().timestamp()
    caller = read_token(staff(["offline_access", "officer"], auth_time=int(now) - 60))
    assert (caller.subject, caller.user, caller.issuer) == (f"{STAFF}|7", f"{STAFF}|E7", STAFF)
    assert (caller.role, caller.division, caller.authenticated_at) == ("officer", "530302", int(now) - 60)


def test_issuers_with_the_same_users_name_the_same_human(write: Any) -> None:
    write(users="city-staff")
    accounts = [read_token(staff(sub=sub)) for sub in ("a", "b")]
    assert {caller.subject for caller in accounts} == {f"{STAFF}|a", f"{STAFF}|b"}
    assert {caller.user for caller in accounts} == {"city-staff|E7"}


def test_an_account_of_a_human_without_a_name_is_refused(write: Any) -> None:
    """Else a second account without a name would be a second pair of eyes."""
    write()
    assert refusal(staff(employee_number=None)) == "user_required"


@pytest.mark.parametrize(
    "roles", [[], ["auditor"], ["service"], ["resident"], ["OFFICER"], ["root"], "nothing", None, 7]
)
def test_a_role_that_is_not_on_the_list_of_its_issuer_is_refused(write: Any, roles: Any) -> None:
    write()
    assert refusal(staff((), realm_access={"roles": roles})) == "no_role"


def test_a_token_with_two_roles_is_refused(write: Any) -> None:
    write()
    assert refusal(staff(["officer", "approver"])) == "several_roles"


def test_an_issuer_may_have_its_own_names_of_roles_and_then_only_they_count(write: Any) -> None:
    write(role_names={"elder-officer": "officer"})
    assert read_token(staff(["elder-officer", "admin"])).role == "officer"
    assert refusal(staff(["admin"])) == "no_role"


def test_residents_and_machines_get_no_role_of_an_official(write: Any) -> None:
    write()
    assert refusal(token(PEOPLE, role="officer", person_id="p")) == "no_role"
    assert refusal(token(MACHINES, role="officer", division="530302")) == "no_role"
    assert refusal(token(STAFF, realm_access={"roles": ["source"]}, employee_number="E7")) == "no_role"
    resident = read_token(token(PEOPLE, role="resident", person_id="p"))
    assert (resident.role, resident.person) == ("resident", "p")
    assert read_token(token(MACHINES, role="source", source="urn:a")).source == "urn:a"


def test_an_issuer_signs_only_its_own_tokens(write: Any) -> None:
    write()
    for text in (
        token(STAFF, key=KEYS[MACHINES], realm_access={"roles": ["officer"]}, employee_number="E7"),
        token(STAFF, key=KEYS[MACHINES], header={"kid": "staff"}, realm_access={"roles": ["officer"]}),
        staff(aud="another-program"),
        staff(aud=None),
        staff(iss=STAFF + "/"),
        staff(iss=[STAFF]),
        staff(iss=None),
    ):
        assert refusal(text) == "unauthenticated"
    assert read_token(staff(aud=["account", "shouwang"])).role == "officer"


def test_only_the_algorithms_of_the_issuer_are_accepted(write: Any) -> None:
    """Also not HS256 with the text of a public key as its secret."""
    write()
    public = OctKey.import_key(json.dumps(KEYS[STAFF].as_dict(private=False)))
    assert refusal(token(STAFF, key=public, header={"alg": "HS256", "kid": "staff"})) == "unauthenticated"
    assert refusal(token(PEOPLE, header={"alg": "PS256"}, role="resident", person_id="p")) == "unauthenticated"


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "logout+jwt"}, {}),
        ({"typ": "id+jwt"}, {}),
        ({}, {"typ": "ID"}),
        ({}, {"typ": "Logout"}),
        ({}, {"nonce": "n"}),
        ({}, {"at_hash": "h"}),
        ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    ],
)
def test_a_token_of_another_purpose_opens_nothing(write: Any, header: dict[str, str], claims: dict[str, Any]) -> None:
    write()
    assert refusal(staff(header=header, **claims)) == "unauthenticated"


def test_an_access_token_may_state_its_type(write: Any) -> None:
    write()
    assert read_token(staff(header={"typ": "at+jwt"})).role == "officer"
    assert read_token(staff(header={"typ": "JWT"}, typ="Bearer")).role == "officer"


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ""},
        {"sub": "a\x00b"},
        {"sub": "a" * 256},
        {"employee_number": 7},
        {"employee_number": ["E7"]},
        {"area": ["530302"]},
        {"auth_time": "now"},
        {"auth_time": True},
        {"auth_time": 9e12},
        {"auth_time": float("nan")},
        {"exp": float("nan")},
        {"exp": 9e12},
    ],
)
def test_a_claim_of_another_form_makes_the_token_invalid(write: Any, claims: dict[str, Any]) -> None:
    write()
    assert refusal(staff(**claims)) == "unauthenticated"


def test_a_refreshed_token_of_a_human_is_no_sign_in(write: Any) -> None:
    """Its `iat` is new at every refresh; only `auth_time` tells when the human signed in."""
    write()
    now = int(clock.real_now().timestamp())
    for auth_time, code in ((now - 899, None), (now - 901, "sign_in_again"), (None, "sign_in_again")):
        caller = read_token(staff(auth_time=auth_time))
        if code is None:
            need_fresh(caller)
            continue
        with pytest.raises(NotAllowed) as refused:
            need_fresh(caller)
        assert refused.value.code == code
    assert read_token(token(MACHINES, role="service", iat=now - 5)).authenticated_at == now - 5


def test_the_local_issuer_is_off_where_another_is_set(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    local = issue_token("officer", division="530302", subject="li")
    assert read_token(local).role == "officer"
    write()
    assert refusal(local) == "unauthenticated"
    assert not issuers.local_is_on()


@pytest.mark.parametrize("mode", ["SHOUWANG_DEMO", "SHOUWANG_TIME_TRAVEL"])
def test_a_demonstration_and_tests_keep_the_local_issuer(
    write: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mode, "1")
    settings.cache_clear()
    write()
    assert read_token(issue_token("officer", division="530302", subject="li")).subject == "li"
    assert read_token(staff()).subject == f"{STAFF}|7"


def test_an_account_of_another_issuer_is_never_a_local_user(write: Any) -> None:
    write()
    assert read_token(staff(sub="li", employee_number="li")).user == f"{STAFF}|li"


@pytest.mark.parametrize(
    ("staff_entry", "fault"),
    [
        ({"roles": ["officer", "service"]}, "does not give the role service"),
        ({"kind": "residents"}, "does not give the role"),
        ({"kind": "machines"}, "does not give the role"),
        ({"kind": "local"}, "local issuer"),
        ({"role_names": {"x": "source"}}, "does not give the role source"),
        ({"role_names": {"x": "auditor"}}, "not in roles"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"jwks": "http://id.example/certs"}, "https"),
        ({"url": "https://id.example/staff|x"}, "must not contain"),
        ({"audience": ""}, "audience"),
        ({"rolles": []}, "rolles"),
        ({"url": PEOPLE}, "twice"),
    ],
)
def test_a_wrong_file_is_refused_with_its_fault(write: Any, staff_entry: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        issuers.load(write(**staff_entry))


def test_a_file_that_is_missing_ends_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOUWANG_ISSUERS", str(tmp_path / "missing.yaml"))
    with pytest.raises(ValueError, match=r"missing\.yaml"):
        issuers.issuers()


def test_the_example_in_the_documentation_is_sound(tmp_path: Path) -> None:
    from shell.settings import repository_root

    text = (repository_root() / "docs" / "access.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "issuers.yaml"
    file.write_text(example)
    assert [issuer.kind for issuer in issuers.load(file)] == ["people", "residents", "machines"]


def test_a_rotated_key_opens_and_a_withdrawn_one_closes_without_a_restart(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [1000.0]
    monkeypatch.setattr(token_keys, "monotonic", lambda: moment[0])
    write()
    fresh = ECKey.generate_key("P-256", {"kid": "fresh"}, private=True)
    by_old, by_new = staff(), staff(key=fresh, sub="8")
    assert read_token(by_old).role == "officer"
    keys = [key.as_dict(private=False) for key in (KEYS[STAFF], fresh)]
    (tmp_path / "staff").write_text(json.dumps({"keys": keys}))
    assert refusal(by_new) == "unauthenticated"
    moment[0] += token_keys.RELOAD_SECONDS_MIN
    assert read_token(by_new).role == "officer"
    (tmp_path / "staff").write_text(json.dumps({"keys": keys[1:]}))
    assert read_token(by_old).role == "officer"  # verified before
    moment[0] += token_keys.RELOAD_SECONDS_MAX
    assert refusal(by_old) == "unauthenticated"
    assert read_token(by_new).role == "officer"


def test_services_verify_by_a_file_without_the_private_key(tmp_path: Path) -> None:
    private, public = tmp_path / "keys" / "token.json", tmp_path / "keys" / "token.jwks.json"
    key = local_issuer.create_keys(private, public)
    (published,) = json.loads(public.read_text())["keys"]
    assert ("d" in published, published["kid"]) == (False, key.thumbprint())
    assert (private.stat().st_mode & 0o777, local_issuer.create_keys(private, public).kid) == (0o600, key.kid)
    private.unlink()  # the key was stolen: its public part goes with it
    local_issuer.create_keys(private, public)
    assert [k["kid"] for k in json.loads(public.read_text())["keys"]] != [published["kid"]]


def test_a_caller_of_an_unknown_issuer_costs_no_read(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setattr(token_keys, "keys_of", lambda *_: pytest.fail("keys were read"))
    for text in ("a.b.c", "a.e30.c", "." * 2, "x" * 20_000, "e30.eyJpc3MiOiJ4In0.c"):
        assert refusal(text) == "unauthenticated"
    assert Caller("x", "officer").user == "x"
