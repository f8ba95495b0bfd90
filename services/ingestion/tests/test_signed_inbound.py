"""The shared topic: only the signature of a record determines its sender."""

import base64
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from common import calendar
from common.events import RecordParked
from common.message import Record
from ingestion.channels import unverified_records
from ingestion.main import service
from ingestion.register import quotas
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from prometheus_client import REGISTRY
from shell import clock
from shell.access.auth import issue_token
from shell.store.parked import take_parked

TOPIC = "population.inbound"
PSB, GRID = "urn:cn:exchange:530300:psb", "urn:cn:exchange:530300:grid"
OLD, NEW = ECKey.generate_key("P-256", private=True), OKPKey.generate_key("Ed25519", private=True)
GRIDS = ECKey.generate_key("P-256", private=True)
APPENDED = datetime.now(UTC)  # the broker and the source know real time only


@pytest.fixture(autouse=True)
async def keys(database, admin):
    """Two keys of one source, of which the old one ends with November, and one of another."""
    await seed_register(database)
    old = {"kid": "old", "jwk": OLD.as_dict(private=False), "valid_from": "2026-01-01", "valid_to": "2026-12-01"}
    new = {"kid": "new", "jwk": NEW.as_dict(private=False), "valid_from": "2026-11-15"}
    grids = {"kid": "g", "jwk": GRIDS.as_dict(private=False), "valid_from": "2026-01-01"}

    async def _enter(urn, replaces=1, **changes):
        entry = seed()[urn].model_dump(mode="json") | {"keys": [old, new] if urn == PSB else [grids]} | changes
        answer = await admin.put(f"/v1/sources/{urn}", json={"entry": entry, "reason": "x", "replaces": replaces})
        assert answer.status_code == 200, answer.text

    await _enter(PSB)
    await _enter(GRID)
    return _enter


def signature(value, *, source=PSB, key=NEW, kid="new", alg="Ed25519", at=APPENDED, **changed):
    claims = {
        "iss": source,
        "aud": "shouwang",
        "iat": int(at.timestamp()),
        "jti": uuid4().hex,
        "htm": "KAFKA",
        "htu": TOPIC,
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    # Not `jwt.encode`, which cannot write a lone surrogate as its escape.
    content = json.dumps(claims | changed).encode()
    return jws.serialize_compact({"typ": "JWT", "alg": alg, "kid": f"{source}#{kid}"}, content, key, algorithms=[alg])


def record(value, token=None, *, appended=APPENDED, headers=(), topic=TOPIC):
    signed = [("shouwang-signature", token.encode())] if token is not None else []
    timestamp_ms = int(appended.timestamp() * 1000)
    return Record(topic, 0, 0, None, value, [*headers, *signed], timestamp_ms)


@pytest.fixture
def body(people):
    return msgspec.json.encode(people.residence(people.number(1)))


@pytest.fixture
def counts(admin):
    """(claimed source, reason, records, parked) of the day."""

    async def _counts():
        found = (await admin.get("/v1/unverified")).json()["counts"]
        return [(c["source"], c["reason"], c["records"], c["parked"]) for c in found]

    return _counts


async def test_a_signed_record_is_recorded_once_however_often_it_is_sent_again(driver, body, heads, counts, push):
    token = signature(body)
    for _ in range(3):
        await driver.deliver_records([record(body, token), record(body, token)])
    await driver.deliver_records([record(body, signature(body, key=OLD, kid="old", alg="ES256"))])
    assert len(await heads()) == 1
    assert await counts() == []
    await push(msgspec.json.decode(body), expect="duplicate")


WRONG = {
    "the signature of another key": ({"key": OKPKey.generate_key("Ed25519", private=True)}, "signature_wrong"),
    "the right signature for another topic": ({"htu": "population.inbound.530300.psb"}, "signature_wrong"),
    "one for the HTTP channel": ({"htm": "POST", "htu": "/v1/events"}, "signature_wrong"),
    "another body": ({"sha256": "0" * 64}, "signature_wrong"),
    "another issuer": ({"iss": GRID}, "signature_wrong"),
    "another audience": ({"aud": "another"}, "signature_wrong"),
    "no nonce": ({"jti": ""}, "signature_wrong"),
    "an unknown key": ({"kid": "unknown"}, "signature_wrong"),
    "a key of another algorithm": ({"key": OLD, "alg": "ES256"}, "signature_wrong"),
    "signed six minutes before": ({"at": APPENDED - timedelta(minutes=6)}, "signature_old"),
    "signed six minutes after": ({"at": APPENDED + timedelta(minutes=6)}, "signature_wrong"),
    "a time that is no number": ({"iat": "now"}, "signature_wrong"),
    "a time that compares with nothing": ({"iat": float("nan")}, "signature_wrong"),
    "a time too large for a float": ({"iat": -(10**400)}, "signature_wrong"),
    "a digest that is not ASCII": ({"sha256": "摘要"}, "signature_wrong"),
    "a digest that is not Unicode": ({"sha256": "\ud800"}, "signature_wrong"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_record_with_a_wrong_signature_is_never_recorded(driver, body, heads, counts, case, database):
    changed, reason = WRONG[case]
    await driver.deliver_records([record(body, signature(body, **changed))])
    assert await heads() == {}
    assert await counts() == [(PSB, reason, 1, 1)]
    assert await database.pool.fetchval("SELECT count(*) FROM rejections") == 0


async def test_an_unsigned_record_is_never_recorded(driver, body, heads, counts):
    junk = [None, b"", b"\xff", b"{", b"[" * 100_000, b'{"source":1}', b'{"source":"urn:nobody"}']
    await driver.deliver_records([record(body), *(record(value) for value in junk)])
    assert await heads() == {}
    assert await counts() == [("unknown", "signature_missing", 7, 7), (PSB, "signature_missing", 1, 1)]


DEEP = base64.urlsafe_b64encode(b"[" * 2_500).decode().rstrip("=")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "x" * 5_000, f"{DEEP}.e30.e30"])
async def test_a_header_that_is_no_token_verifies_nothing(driver, body, heads, counts, token):
    await driver.deliver_records([record(body, token)])
    assert await heads() == {}
    assert await counts() == [(PSB, "signature_wrong", 1, 1)]


async def test_binary_mode_is_not_taken_even_with_a_signature_of_its_value(driver, people, heads, counts):
    """Its attributes are in headers, which no signature covers."""
    event = people.residence(people.number(1))
    value = msgspec.json.encode(event["data"])
    headers = [(f"ce_{k}", event[k].encode()) for k in ("specversion", "id", "source", "type", "time")]
    await driver.deliver_records([record(value, signature(value), headers=headers)])
    assert await heads() == {}
    assert await counts() == [(PSB, "structured_mode_needed", 1, 1)]


async def test_a_replay_under_another_id_cannot_verify(driver, body, heads, counts):
    token = signature(body)
    again = msgspec.json.decode(body) | {"id": "another"}
    await driver.deliver_records([record(body, token), record(msgspec.json.encode(again), token)])
    assert {h.version for h in (await heads()).values()} == {1}
    assert await counts() == [(PSB, "signature_wrong", 1, 1)]


async def test_a_replay_after_its_time_cannot_verify_and_one_before_is_a_duplicate(driver, body, counts, database):
    token = signature(body)
    later = APPENDED + timedelta(minutes=6)
    await driver.deliver_records([record(body, token), record(body, token, appended=later)])
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 1
    assert await counts() == [(PSB, "signature_old", 1, 1)]


async def test_a_replay_does_not_use_up_the_quota_of_its_source(driver, body, keys, database):
    quotas.forget()
    await keys(PSB, 2, quota={"per_minute": 1, "per_day": 1_000_000})
    await driver.deliver_records([record(body, signature(body)) for _ in range(100)])
    assert await database.pool.fetchval("SELECT minute_left FROM quotas WHERE source = $1", PSB) >= -1


async def test_the_time_of_the_append_counts_and_not_that_of_the_reading(driver, body, heads):
    """A record that the platform reads three days later is still valid."""
    appended = APPENDED - timedelta(days=3)
    await driver.deliver_records([record(body, signature(body, at=appended), appended=appended)])
    assert len(await heads()) == 1


@pytest.mark.parametrize(("appended_on", "recorded"), [(date(2026, 11, 30), 1), (date(2026, 12, 1), 0)])
async def test_a_key_counts_on_the_day_of_the_append(driver, body, heads, appended_on, recorded):
    clock.set_now(calendar.start_of_day(date(2026, 12, 2)))
    appended = clock.real_now() - (clock.now() - calendar.start_of_day(appended_on) - timedelta(hours=3))
    token = signature(body, key=OLD, kid="old", alg="ES256", at=appended)
    await driver.deliver_records([record(body, token, appended=appended)])
    assert len(await heads()) == recorded


@pytest.mark.parametrize("timestamp_ms", [None, -1, 2**62])
async def test_a_record_without_the_time_of_its_append_verifies_nothing(driver, body, heads, counts, timestamp_ms):
    await driver.deliver_records([record(body, signature(body))._replace(timestamp_ms=timestamp_ms)])
    assert await heads() == {}
    assert [reason for _, reason, _, _ in await counts()] == ["signature_wrong"]


async def test_a_signed_record_that_names_another_source_is_a_rejection_of_the_signer(driver, people, heads, database):
    value = msgspec.json.encode(people.residence(people.number(1)) | {"source": GRID})
    await driver.deliver_records([record(value, signature(value))])
    assert await heads() == {}
    rows = await database.pool.fetch("SELECT source, problems FROM rejections")
    assert [(r["source"], msgspec.json.decode(r["problems"])[0]["code"]) for r in rows] == [(PSB, "source_not_yours")]


async def test_a_signed_record_that_cannot_be_read_is_a_rejection_of_the_signer(driver, database, counts):
    await driver.deliver_records([record(value, signature(value)) for value in (b"\xff", b"{", b"")])
    assert await counts() == []
    rows = await database.pool.fetch("SELECT source FROM rejections")
    assert [r["source"] for r in rows] == [PSB] * 3


async def test_nobody_can_sign_for_a_source_that_does_not_sign(driver, body, keys, heads, counts):
    await keys(PSB, 2, signs="token")
    await driver.deliver_records([record(body, signature(body))])
    assert await heads() == {}
    assert await counts() == [(PSB, "signature_wrong", 1, 1)]


async def test_an_unverified_record_does_not_enter_the_days_of_the_source_it_names(driver, body, admin):
    await driver.deliver_records([record(body), record(b'{"source":"%s"}' % PSB.encode())])
    day = (await admin.get(f"/v1/sources/{PSB}/completeness", params={"day": "2026-11-20"})).json()
    assert (day["rejected"], day["quarantined"], day["kinds"]) == (0, 0, {})


async def test_above_the_limit_of_a_day_records_are_counted_and_no_longer_kept(driver, counts, monkeypatch):
    monkeypatch.setattr(unverified_records, "PARKED_PER_DAY_MAX", 3)
    junk = [record(b'{"n":%d}' % n) for n in range(5)]
    await driver.deliver_records(junk[:2])
    await driver.deliver_records(junk)
    assert await counts() == [("unknown", "signature_missing", 7, 3)]
    assert len(await driver.emitted(RecordParked)) == 3
    clock.set_now(clock.now() + timedelta(days=1))
    await driver.deliver_records(junk[:1])
    assert await counts() == [("unknown", "signature_missing", 1, 1)]


async def test_unverified_records_are_counted_in_a_metric_too(driver, body):
    def counted():
        labels = {"topic": TOPIC, "reason": "signature_missing"}
        return REGISTRY.get_sample_value("shouwang_inbound_unverified_total", labels) or 0

    before = counted()
    await driver.deliver_records([record(body)] * 3)
    assert counted() == before + 3


async def test_a_source_sees_the_count_of_its_own_name_only(driver, body, client_for):
    await driver.deliver_records([record(body), record(b"{}")])
    async with client_for(issue_token("source", source=PSB)) as psb:
        assert [c["source"] for c in (await psb.get("/v1/unverified")).json()["counts"]] == [PSB]
    async with client_for(issue_token("officer", division="110000")) as elsewhere:
        assert (await elsewhere.get("/v1/unverified")).json()["counts"] == []


async def test_a_parked_record_verifies_once_its_key_is_entered(driver, body, keys, heads, counts):
    late = ECKey.generate_key("P-256", private=True)
    await driver.deliver_records([record(body, signature(body, key=late, kid="late", alg="ES256"))])
    (parked,) = await driver.emitted(RecordParked)
    entered = {"kid": "late", "jwk": late.as_dict(private=False), "valid_from": "2026-11-01"}
    await keys(PSB, 2, keys=[entered])
    async with driver.transaction() as tx:
        found, _, _ = await take_parked(tx, parked.parked_id)
        await service.handlers.raw_for(found.topic)([found], tx)
    assert len(await heads()) == 1
    assert len(await counts()) == 1
