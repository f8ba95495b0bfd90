"""A source may sign its requests with its own key instead of holding a token."""

import base64
import hashlib
import json
from datetime import timedelta
from uuid import uuid4

import httpx
import msgspec
import pytest
from common import calendar
from ingestion.main import service
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from shell import clock
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"
OLD, NEW = ECKey.generate_key("P-256", private=True), OKPKey.generate_key("Ed25519", private=True)


@pytest.fixture
async def keys(database, admin):
    """Two keys are valid at once: the old one until the end of November."""
    await seed_register(database)
    listed = [
        {"kid": "old", "jwk": OLD.as_dict(private=False), "valid_from": "2026-01-01", "valid_to": "2026-12-01"},
        {"kid": "new", "jwk": NEW.as_dict(private=False), "valid_from": "2026-11-15"},
    ]
    version = 1

    async def _enter(signs="either"):
        nonlocal version
        entry = seed()[PSB].model_dump(mode="json") | {"keys": listed, "signs": signs}
        answer = await admin.put(f"/v1/sources/{PSB}", json={"entry": entry, "reason": "x", "replaces": version})
        assert answer.status_code == 200, answer.text
        version += 1

    await _enter()
    return _enter


def signature(method, place, body=b"", *, key=NEW, kid="new", alg="Ed25519", at=None, **changed):
    at = at or clock.real_now()
    claims = {
        "iss": PSB,
        "aud": "shouwang",
        "iat": int(at.timestamp()),
        "jti": uuid4().hex,
        "htm": method,
        "htu": place,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    # Not `jwt.encode`, which cannot write a lone surrogate as its escape.
    content = json.dumps(claims | changed).encode()
    return jws.serialize_compact({"typ": "JWT", "alg": alg, "kid": f"{PSB}#{kid}"}, content, key, algorithms=[alg])


@pytest.fixture
def send(keys, people):
    async def _send(token, body=None, method="POST", place="/v1/events"):
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Signature {token}", "content-type": people.SINGLE}
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            return await client.request(method, place, content=body)

    return _send


@pytest.fixture
def body(people):
    return msgspec.json.encode(people.residence(people.number(1)))


@pytest.mark.parametrize(("key", "kid", "alg"), [(NEW, "new", "Ed25519"), (OLD, "old", "ES256")])
async def test_either_of_two_keys_signs_and_sending_the_same_again_changes_nothing(send, body, key, kid, alg):
    token = signature("POST", "/v1/events", body, key=key, kid=kid, alg=alg)
    assert (await send(token, body)).json()["accepted"] == 1
    assert (await send(token, body)).json()["duplicates"] == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"htu": "/v1/imports"}, "signature_wrong"),
        ({"htm": "PUT"}, "signature_wrong"),
        ({"sha256": "0" * 64}, "signature_wrong"),
        ({"iss": PSB.replace("psb", "grid")}, "signature_wrong"),
        ({"aud": "another"}, "signature_wrong"),
        ({"jti": ""}, "signature_wrong"),
        ({"key": OKPKey.generate_key("Ed25519", private=True)}, "signature_wrong"),
        ({"key": OLD, "alg": "ES256"}, "signature_wrong"),
        ({"kid": "unknown"}, "signature_wrong"),
        ({"at": timedelta(seconds=-330)}, "signature_old"),
        ({"at": timedelta(seconds=330)}, "signature_wrong"),
        ({"iat": float("nan")}, "signature_wrong"),
        ({"iat": -(10**400)}, "signature_wrong"),
        ({"sha256": "摘要"}, "signature_wrong"),
        ({"sha256": "\ud800"}, "signature_wrong"),
        ({"jti": "\ud800"}, "signature_wrong"),
    ],
)
async def test_a_signature_of_anything_else_is_refused(send, body, changed, code):
    if "at" in changed:
        changed = {"at": clock.real_now() + changed["at"]}
    answer = await send(signature("POST", "/v1/events", body, **changed), body)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_a_text_that_is_no_token_is_refused(send, body):
    deep = base64.urlsafe_b64encode(b"[" * 2_500).decode().rstrip("=")
    for token in ("", "x", "a.b.c", "e30.e30.", "x" * 5_000, f"{deep}.e30.e30"):
        assert (await send(token, body)).status_code == 401


async def test_a_key_is_valid_on_its_days_only(send, body, database):
    clock.set_now(calendar.start_of_day(calendar.civil_date(clock.now()).replace(month=12, day=1)))
    old = signature("POST", "/v1/events", body, key=OLD, kid="old", alg="ES256")
    assert (await send(old, body)).status_code == 401
    assert (await send(signature("POST", "/v1/events", body), body)).status_code == 202


async def test_a_signed_report_is_accepted_once(send):
    place = f"/v1/sources/{PSB}/days"
    report = msgspec.json.encode({"day": "2026-11-20", "count": 0, "digest": "0" * 64})
    token = signature("POST", place, report)
    assert (await send(token, report, place=place)).status_code != 401
    answer = await send(token, report, place=place)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_used")


async def test_a_signature_covers_the_query_of_a_request(send):
    place = f"/v1/sources/{PSB}/completeness?day=2026-11-20"
    assert (await send(signature("GET", place), method="GET", place=place)).status_code == 200
    other = place.replace("20", "21")
    assert (await send(signature("GET", place), method="GET", place=other)).status_code == 401


async def test_a_file_is_refused_when_another_one_was_signed(send, imports):
    place, rows = "/v1/imports", b'{"x":1}\n'
    assert (await send(signature("POST", place, rows), rows, place=place)).status_code == 202
    assert (await send(signature("POST", place, b"other"), rows, place=place)).status_code == 401


async def test_the_register_says_whether_a_source_uses_a_token_or_signs(send, keys, body, client_for, people):
    await keys("signature")
    async with client_for(issue_token("source", source=PSB)) as psb:
        answer = await psb.post("/v1/events", content=body, headers={"content-type": people.SINGLE})
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_required")
    assert (await send(signature("POST", "/v1/events", body), body)).status_code == 202
    await keys("token")
    assert (await send(signature("POST", "/v1/events", body), body)).status_code == 401


async def test_a_source_that_signs_is_no_officer(send):
    answer = await send(signature("GET", "/v1/gaps"), method="GET", place="/v1/gaps")
    assert answer.status_code in (401, 403)
