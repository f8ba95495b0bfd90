"""A source is registered at run time and sends on its own topic, or signed on the shared topic."""

import hashlib
import json
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from shell import clock
from shell.kafka.topics import INBOUND, inbound_topic
from shouwang.stories import people
from shouwang.stories.people import CITY, Elder, Event
from shouwang.stories.platform import Answer, Platform

SECONDS_MAX = 20.0
KEY = ECKey.generate_key("P-256", private=True)
STRUCTURED = [("content-type", b"application/cloudevents+json")]


def entry(**more: Any) -> dict[str, Any]:
    kinds = {"registration": 1, "residence": 1}
    return {"name": "合成户籍机构", "area": CITY, "kinds": kinds, "kafka": True} | more


async def enter(platform: Platform, urn: str, **more: Any) -> None:
    body = {"entry": entry(**more), "reason": "联调"}
    await platform.call("PUT", "ingestion", f"/v1/sources/{urn}", role="admin", json=body)


async def known(platform: Platform, elder: Elder) -> str:
    async def find() -> str | None:
        try:
            return await platform.find(elder)
        except Answer:
            return None

    return await platform.until("the person is known", find, SECONDS_MAX)


def from_source(urn: str, *events: Event) -> list[Event]:
    return [event | {"source": urn} for event in events]


async def test_a_registered_source_gets_its_topic_and_is_read_within_seconds(platform: Platform) -> None:
    urn = f"urn:cn:exchange:{CITY}:new_{uuid4().hex[:8]}"
    await enter(platform, urn)

    async def is_open() -> bool:
        shown = await platform.get("ingestion", f"/v1/sources/{urn}")
        return bool(shown["topic"]["state"] == "open")

    await platform.until("the topic is open", is_open, SECONDS_MAX)
    elder = platform.cast.aged(85, platform.today())
    await platform.push_by_kafka(*from_source(urn, *people.register_entries(elder, platform.now())))
    await known(platform, elder)


async def test_only_the_signature_counts_on_the_shared_topic(platform: Platform) -> None:
    urn = f"urn:cn:exchange:{CITY}:signs_{uuid4().hex[:8]}"
    key = {"kid": "k", "jwk": KEY.as_dict(private=False), "valid_from": str(date(2026, 1, 1))}
    await enter(platform, urn, keys=[key], kafka=False)
    forged, signed = (platform.cast.aged(85, platform.today()) for _ in range(2))
    (unsigned,) = from_source(urn, people.registration(forged, platform.now()))
    (event,) = from_source(urn, people.registration(signed, platform.now()))
    value = json.dumps(event, ensure_ascii=False).encode()
    claims = {
        "iss": urn,
        "aud": "shouwang",
        "iat": int(clock.real_now().timestamp()),
        "jti": uuid4().hex,
        "htm": "KAFKA",
        "htu": INBOUND,
        "sha256": hashlib.sha256(value).hexdigest(),
    }
    token = jwt.encode({"alg": "ES256", "kid": f"{urn}#k"}, claims, KEY)
    headers = [*STRUCTURED, ("shouwang-signature", token.encode())]
    # one key, so that the forged one is read first
    await platform.produce(INBOUND, [(b"k", json.dumps(unsigned, ensure_ascii=False).encode(), STRUCTURED)])
    await platform.produce(INBOUND, [(b"k", value, headers)])
    await known(platform, signed)
    with pytest.raises(Answer) as unknown:
        await platform.find(forged)
    assert unknown.value.status == 404
    counts = (await platform.call("GET", "ingestion", "/v1/unverified", role="auditor", division="000000"))["counts"]
    mine = [(c["topic"], c["reason"], c["records"]) for c in counts if c["source"] == urn]
    assert mine == [(INBOUND, "signature_missing", 1)]


async def test_the_topic_of_a_source_accepts_only_events_of_that_source(platform: Platform) -> None:
    """An event of the village on the topic of the police."""
    psb, grid = (f"urn:cn:exchange:{CITY}:{office}" for office in ("psb", "grid"))
    before = await rejected(platform, psb), await rejected(platform, grid)
    elder, forged = (platform.cast.aged(85, platform.today()) for _ in range(2))
    named = people.death(forged, platform.now(), platform.today(), "reported")
    assert named["source"] == grid
    events = [named, *people.register_entries(elder, platform.now())]
    records = [(None, json.dumps(event, ensure_ascii=False).encode(), STRUCTURED) for event in events]
    await platform.produce(inbound_topic(psb), records)
    await known(platform, elder)
    assert (await rejected(platform, psb), await rejected(platform, grid)) == (before[0] + 1, before[1])


async def rejected(platform: Platform, urn: str) -> int:
    day = platform.today().isoformat()
    return int((await platform.get("ingestion", f"/v1/sources/{urn}/completeness", day=day))["rejected"])
