"""The answers of `POST /v1/events`: a bad body is never a 500, and a bad event does not affect the others."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from ingestion.channels import intake, push_events
from shell.access.auth import issue_token
from shell.privacy import vault


def codes(receipt):
    return {(p["pointer"], p["code"]) for p in receipt["problems"]}


async def test_a_pushed_change_becomes_a_statement_of_the_person(push, people, heads):
    (receipt,) = await push(people.residence(people.number(1)), expect="accepted")
    (head,) = (await heads()).values()
    assert head.version == 1
    assert [s.event_id for s in head.statements] == [receipt["event_id"]]
    assert head.statements[0].value.division == "530302001"
    assert head.causes == (receipt["event_id"],)
    assert head.recorded_at == head.statements[0].recorded_at


def _with(event, path, value):
    changed = json.loads(json.dumps(event))
    *way, last = path.split("/")
    place = changed
    for step in way:
        place = place[step]
    place[last] = value
    return changed


def _without(event, path):
    changed = json.loads(json.dumps(event))
    *way, last = path.split("/")
    place = changed
    for step in way:
        place = place[step]
    del place[last]
    return changed


def bad_residences(people):
    """(faulty residence event, pointer, code)"""
    good = people.residence(people.number(7), id="bad")
    soon = (people.NOW + timedelta(minutes=6)).isoformat()
    number = people.number(7)
    wrong_check = number[:17] + ("0" if number[17] != "0" else "1")
    return [
        (_with(good, "data/person/id_number", wrong_check), "/data/person/id_number", "id_checksum"),
        (_with(good, "data/person/id_number", "14070219400229001"), "/data/person/id_number", "id_length"),
        (_with(good, "data/person/id_number", "140702194102290014"), "/data/person/id_number", "id_birth_date"),
        (_with(good, "data/valid_from", "2026-02-30"), "/data/valid_from", "date"),
        (_with(good, "data/valid_from", "0001-01-01"), "/data/valid_from", "date_range"),
        (_with(good, "data/valid_to", "2026-10-01"), "/data/valid_to", "period"),
        (_with(good, "data/valid_to", "2026-11-01"), "/data/valid_to", "period"),
        (_with(good, "data/value/division", "999999"), "/data/value/division", "division_unknown"),
        (_with(good, "data/value/division", "140726"), "/data/value/division", "division_not_in_force"),
        (_with(good, "data/value/division", "5303"), "/data/value/division", "length"),
        (_with(good, "data/value/place", "hotel"), "/data/value/place", "not_in_list"),
        (_with(good, "data/value/plaice", "home"), "/data/value/plaice", "unknown_field"),
        (_with(good, "data/value", "home"), "/data/value", "wrong_type"),
        (_with(good, "data/value", None), "/data/value", "value_required"),
        (_without(good, "data/person"), "/data/person", "required"),
        (_without(good, "id"), "/id", "required"),
        (_without(good, "data"), "/data", "required"),
        (_without(good, "type"), "/type", "required"),
        (_with(good, "id", "a\u0000b"), "/id", "pattern"),
        (_with(good, "specversion", "0.3"), "/specversion", "not_in_list"),
        (_with(good, "type", "cn.eldercare.population.horoscope.v1"), "/type", "type_unknown"),
        (_with(good, "type", 7), "/type", "type_unknown"),
        (_with(good, "source", "urn:cn:exchange:530300:nobody"), "/source", "source_unknown"),
        (_with(good, "source", "urn:cn:exchange:530300:cdpf"), "/type", "kind_not_registered"),
        (_with(good, "time", soon), "/time", "time_in_future"),
        (_with(good, "time", "2026-11-20T09:30:00"), "/time", "instant"),
        (_with(good, "time", "9999-12-31T23:59:59-12:00"), "/time", "time_in_future"),
        (_with(good, "time", "0001-01-01T00:00:00+08:00"), "/time", "time_impossible"),
        (_with(good, "subject", people.number(7)), "/subject", "id_number_in_attribute"),
        (_with(good, "subject", f"person/{wrong_check}"), "/subject", "id_number_in_attribute"),
        (_with(good, "data/action", "corrected"), "/data/previous_event_id", "previous_required"),
        (_with(good, "data/previous_event_id", "x"), "/data/previous_event_id", "previous_not_allowed"),
        (_with(good, "data/value/longitude", 400), "/data/value/longitude", "range"),
        (_with(good, "data/person/name", ""), "/data/person/name", "length"),
        (7, "", "not_an_object"),
        (None, "", "not_an_object"),
        ([], "", "not_an_object"),
    ]


async def test_every_bad_event_gets_its_problem_and_the_other_events_are_accepted(push, people, heads):
    bad = bad_residences(people)
    events = []
    for n, (event, _, _) in enumerate(bad):
        events += [people.residence(people.number(100 + n)), event]
    receipts = await push(*events)
    for (event, pointer, code), receipt in zip(bad, receipts[1::2], strict=True):
        assert receipt["status"] == "rejected", event
        assert (pointer, code) in codes(receipt), (event, receipt)
    assert {r["status"] for r in receipts[::2]} == {"accepted"}
    assert len(await heads()) == len(bad)


def other_bad_events(people):
    number = people.number(8)
    day = {"valid_from": "2026-11-19"}
    tomorrow = {"valid_from": "2026-11-23"}
    evidence = {"evidence": "cremation"}
    certificate = {"certificate_no": number + "43", "class": 4, "level": 2}
    of_nobody = {"certificate_no": "530302194013400091" + "42", "class": 4, "level": 2}
    twice = {"household_no": "H1", "members": [number, number]}
    wrong = {"household_no": "H1", "members": [number, number[:16]]}
    register = people.registration(number, id="r")["data"]["value"]
    unborn = register | {"birth_date": "2030-01-01"}
    return [
        (people.event("death", number, evidence, id="a", **tomorrow), "/data/valid_from", "in_future"),
        (people.event("death", number, evidence, id="b", valid_from=None), "/data/valid_from", "valid_from_required"),
        (people.event("death", number, evidence, id="c", valid_to="2026-12-01", **day), "/data/valid_to", "one_day"),
        (people.event("death", number, {"evidence": "rumour"}, id="d", **day), "/data/value/evidence", "not_in_list"),
        (
            people.event("disability", number, certificate, id="e"),
            "/data/value/certificate_no",
            "certificate_class_mismatch",
        ),
        (
            people.event("disability", number, of_nobody, id="f"),
            "/data/value/certificate_no",
            "certificate_id_mismatch",
        ),
        (
            people.event("low_income", number, {"category": "dibao", "support": "scattered"}, id="g"),
            "/data/value/support",
            "support_without_tekun",
        ),
        (people.event("household", number, twice, id="h"), "/data/value/members/1", "duplicate_entry"),
        (people.event("household", number, wrong, id="i"), "/data/value/members/1", "id_length"),
        (
            people.event("living_situation", number, {"tags": ["alone", "alone"]}, id="j"),
            "/data/value/tags",
            "duplicate_entry",
        ),
        (people.event("registration", number, unborn, id="k"), "/data/value/birth_date", "in_future"),
        (
            people.event("residence", number, None, id="l", action="ended", previous="m"),
            "/data/valid_to",
            "valid_to_required",
        ),
        (
            people.event("residence", number, None, id="n", action="annulled", previous="n"),
            "/data/previous_event_id",
            "previous_is_itself",
        ),
    ]


async def test_rules_that_no_schema_expresses_are_checked_too(push, people):
    bad = other_bad_events(people)
    receipts = await push(*(event for event, _, _ in bad))
    for (event, pointer, code), receipt in zip(bad, receipts, strict=True):
        assert receipt["status"] == "rejected"
        assert (pointer, code) in codes(receipt), (event, receipt)


# Values that no schema allows. An exchange sends whatever stands in the row that it flags.
ROWS = [
    {"evidence": "register_cancelled"},
    {"evidence": "hearsay", "remark": "x" * 5_000},
    {"evidence": None},
    [],
    "a whole row as text",
    1e300,
    False,
]


def revocation(people, number, row, id="o"):
    """The annulment of a death, with the source's whole row as value."""
    return people.event("death", number, row, id=id, action="annulled", previous="d")


def noted(receipt):
    return [(p["pointer"], p["code"]) for p in receipt["problems"]]


@pytest.mark.parametrize("row", ROWS)
async def test_a_revoked_death_counts_whatever_row_is_sent_with_it(push, people, facts_of, row):
    number = people.number(1)
    await push(people.event("death", number, {"evidence": "register_cancelled"}, id="d"), expect="accepted")
    (receipt,) = await push(revocation(people, number, row), expect="accepted")
    assert noted(receipt) == [("/data/value", "value_ignored")]
    assert list((await facts_of()).values()) == [()]


async def test_an_end_ignores_the_value_that_is_sent_with_it(push, people, facts_of):
    number = people.number(1)
    await push(people.residence(number, id="r"), expect="accepted")
    row = {"division": "no such place"}
    end = people.event("residence", number, row, id="s", action="ended", previous="r", valid_to="2026-11-20")
    (receipt,) = await push(end, expect="accepted")
    assert noted(receipt) == [("/data/value", "value_ignored")]
    ((fact,),) = (await facts_of()).values()
    assert (fact.value.division, fact.valid_to.isoformat()) == ("530302001", "2026-11-20")


async def test_every_receipt_but_a_rejection_says_that_a_value_was_ignored(push, people):
    number, row = people.number(1), {"evidence": "reported"}
    waits = revocation(people, number, row)
    (receipt,) = await push(waits, expect="quarantined")
    assert noted(receipt) == [("/data/previous_event_id", "predecessor_missing"), ("/data/value", "value_ignored")]
    (receipt,) = await push(waits, expect="duplicate")
    assert noted(receipt) == [("/data/value", "value_ignored")]
    (receipt,) = await push(waits | {"time": "2026-11-20T09:31:00+08:00"}, expect="rejected")
    assert noted(receipt) == [("/id", "id_reused")]


async def test_the_same_revocation_with_and_without_its_row_is_one_event(push, people, database):
    number = people.number(1)
    bare, full = revocation(people, number, None), revocation(people, number, {"evidence": "reported"})
    (receipt,) = await push(bare, expect="quarantined")
    assert ("/data/value", "value_ignored") not in noted(receipt)
    await push(full, revocation(people, number, {"evidence": 7}), expect="duplicate")
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 1


async def test_an_ignored_value_is_neither_stored_nor_sent(push, people, database, heads):
    number = people.number(1)
    await push(people.event("death", number, {"evidence": "reported"}, id="d"), expect="accepted")
    (receipt,) = await push(revocation(people, number, {"evidence": "合成原因"}), expect="accepted")
    (head,) = (await heads()).values()
    assert head.statements[-1].value is None
    sealed = await database.pool.fetchval("SELECT sealed FROM received WHERE event_id = $1", receipt["event_id"])
    kept = vault().open(sealed, receipt["event_id"].encode()).decode()
    assert "annulled" in kept
    assert "合成原因" not in kept


async def test_faults_of_a_revocation_are_reported_without_those_of_its_value(push, people):
    bad = revocation(people, people.number(1), {"evidence": 7})
    del bad["data"]["previous_event_id"]
    late = revocation(people, people.number(1), {"evidence": 7}, id="n")
    late["data"]["valid_from"] = "2026-02-30"
    one, other = await push(bad, late, expect="rejected")
    assert noted(one) == [("/data/previous_event_id", "previous_required")]
    assert noted(other) == [("/data/valid_from", "date")]


async def test_no_problem_repeats_the_value_or_a_number_used_as_a_name(push, people):
    number = people.number(11)
    event = people.residence(number, id="odd")
    event["data"]["value"] = {"division": "5303", number: 1, "address": "x" * 500}
    (receipt,) = await push(event)
    told = json.dumps(receipt["problems"])
    assert receipt["status"] == "rejected"
    assert number not in told
    assert "5303" not in told.replace("/data", "")


async def test_registers_that_write_9999_for_open_are_understood(push, people, heads):
    await push(people.residence(people.number(1), valid_to="9999-12-31"), expect="accepted")
    (head,) = (await heads()).values()
    assert head.statements[0].valid_to is None


async def test_a_number_may_be_written_with_a_small_x_full_width_or_with_fifteen_digits(push, people, heads):
    number = next(n for i in range(100) if (n := people.number(i)).endswith("X"))
    old = number[:6] + number[8:17]
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    forms = (number, number.lower(), wide, f" {number} ", old)
    receipts = await push(*(people.residence(form, id=f"form-{n}") for n, form in enumerate(forms)))
    assert [r["status"] for r in receipts] == ["accepted"] * 5
    assert len(await heads()) == 1


# ── the body ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[{]", "not_json"),
        (b"nonsense", "not_json"),
        (b'[{"id":"\xff\xfe"}]', "not_utf8"),
        (b"[" * 10_000 + b"]" * 10_000 + b"]", "not_json"),
        (b"[" * 600_000, "too_deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    ],
)
@pytest.mark.parametrize("kind", ["cloudevents-batch+json", "cloudevents+json", "json"])
async def test_an_unreadable_body_is_refused_whole_with_the_reason(admin, body, code, kind):
    headers = {"content-type": f"application/{kind}", "ce-specversion": "1.0", "ce-id": "1"}
    answer = await admin.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    if kind == "cloudevents-batch+json":
        assert problem["problems"][0]["code"] in (code, "not_json")
    assert problem["problems"][0]["pointer"] == ""


async def test_invalid_utf8_is_reported_with_its_offset(admin, people):
    body = b"[" + msgspec.json.encode(people.residence(people.number(1))).replace("张".encode(), b"\xd5\xc5") + b"]"
    answer = await admin.post("/v1/events", content=body, headers={"content-type": people.BATCH})
    assert answer.status_code == 400
    assert answer.json()["offset"] == body.index(b"\xd5\xc5")


async def test_an_event_of_depth_ten_thousand_is_rejected_and_the_other_events_are_accepted(admin, people):
    good = [msgspec.json.encode(people.residence(people.number(n))) for n in (1, 2)]
    trap = msgspec.json.encode({"text": 'a "quoted" ] and [ } {'})
    deep = b'{"type":"x","data":' + b'{"a":[' * 5_000 + b"1" + b"]}" * 5_000 + b"}"
    body = b" [" + b" , ".join([good[0], deep, trap, good[1]]) + b"] "
    answer = await admin.post("/v1/events", content=body, headers={"content-type": people.BATCH})
    assert answer.status_code == 202
    assert [r["status"] for r in answer.json()["results"]] == ["accepted", "rejected", "rejected", "accepted"]
    assert codes(answer.json()["results"][1]) == {("", "too_deep")}


@pytest.mark.parametrize("levels", [60, 100, 300, 900])
async def test_an_event_nested_less_deep_is_refused_with_a_reason(push, people, levels):
    event = people.residence(people.number(1))
    nested = 1
    for _ in range(levels):
        nested = {"a": nested}
    event["data"]["value"] = nested
    (receipt,) = await push(event)
    assert receipt["status"] == "rejected"
    assert receipt["problems"]


async def test_a_body_of_ten_megabytes_is_refused_while_it_is_read(admin, people):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 1024 * 1024
            yield b" " * (1024 * 1024)

    for content in (b"[" + b" " * (10 * 1024 * 1024) + b"]", endless()):
        answer = await admin.post("/v1/events", content=content, headers={"content-type": people.BATCH})
        assert answer.status_code == 413


async def test_more_than_five_thousand_events_are_refused(admin, people):
    body = b"[" + b",".join([b"{}"] * 5_001) + b"]"
    answer = await admin.post("/v1/events", content=body, headers={"content-type": people.BATCH})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_many_events"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "application/cloudevents-batch+json; charset=gb18030", "garbage;;"]
)
async def test_other_media_types_are_refused(admin, kind):
    answer = await admin.post("/v1/events", content=b"[]", headers={"content-type": kind})
    assert answer.status_code == 415


async def test_an_empty_batch_gets_an_empty_answer(admin, people):
    answer = await admin.post("/v1/events", content=b"[]", headers={"content-type": people.BATCH})
    assert answer.status_code == 202
    assert answer.json() == {
        "received": 0,
        "accepted": 0,
        "duplicates": 0,
        "quarantined": 0,
        "rejected": 0,
        "results": [],
    }


async def test_numbers_out_of_range_are_refused(admin, people):
    event = json.dumps(
        people.event("disability", people.number(1), {"certificate_no": "x", "class": 1, "level": 1}, id="1")
    )
    for huge in ("1" * 400, "1e400", "-1" + "0" * 5_000, "1.5"):
        body = "[" + event.replace('"level": 1', f'"level": {huge}') + "]"
        answer = await admin.post("/v1/events", content=body.encode(), headers={"content-type": people.BATCH})
        assert answer.status_code in (202, 400)
        if answer.status_code == 202:
            assert answer.json()["rejected"] == 1


# ── single and binary mode, who may push ────────────────────────────────────────────────────────────────────


async def test_single_and_binary_mode_give_the_same_result_as_a_batch(admin, people):
    event = people.residence(people.number(1), id="号-1")
    single = await admin.post(
        "/v1/events", content=msgspec.json.encode(event), headers={"content-type": f"{people.SINGLE}; charset=utf-8"}
    )
    headers = {f"ce-{k}": event[k] for k in ("specversion", "source", "type", "time")}
    headers |= {"content-type": "application/json", "ce-id": "%E5%8F%B7-1", "ce-traceparent": "x"}
    binary = await admin.post("/v1/events", content=msgspec.json.encode(event["data"]), headers=headers)
    assert single.json()["results"][0]["status"] == "accepted"
    assert binary.json()["results"][0]["status"] == "duplicate"
    assert binary.json()["results"][0]["event_id"] == single.json()["results"][0]["event_id"]


async def test_without_a_token_or_with_a_role_that_may_not_push_nothing_is_read(client_for, admin, people):
    async with client_for(issue_token("officer", division="530300")) as officer:
        assert (await officer.post("/v1/events", content=b"[]")).status_code == 403
    async with client_for("nonsense") as nobody:
        assert (await nobody.post("/v1/events", content=b"[]")).status_code == 401


async def test_a_source_may_push_for_itself_only(client_for, people):
    token = issue_token("source", source="urn:cn:exchange:530300:psb")
    mine = people.residence(people.number(1))
    other = people.event("living_situation", people.number(1), {"tags": ["alone"]}, id="grid-1")
    async with client_for(token) as psb:
        answer = await psb.post(
            "/v1/events", content=msgspec.json.encode([mine, other]), headers={"content-type": people.BATCH}
        )
    first, second = answer.json()["results"]
    assert first["status"] == "accepted"
    assert codes(second) == {("/source", "source_not_yours")}
    async with client_for(issue_token("source")) as nameless:
        answer = await nameless.post("/v1/events", content=b"[]", headers={"content-type": people.BATCH})
        assert answer.status_code == 403


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_that_come_together_are_committed_together(admin, people, database):
    answers = await asyncio.gather(
        *(
            admin.post(
                "/v1/events",
                content=msgspec.json.encode(people.residence(people.number(n))),
                headers={"content-type": people.SINGLE},
            )
            for n in range(60)
        )
    )
    assert {a.json()["accepted"] for a in answers} == {1}
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 60
    assert await database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM received") < 20


async def test_a_full_queue_says_when_to_come_back(admin, people, monkeypatch):
    monkeypatch.setattr(intake, "QUEUE_WEIGHT_MAX", 3)
    answers = await asyncio.gather(
        *(
            admin.post(
                "/v1/events",
                content=msgspec.json.encode([people.residence(people.number(10 * n + m)) for m in range(2)]),
                headers={"content-type": people.BATCH},
            )
            for n in range(8)
        )
    )
    refused = [a for a in answers if a.status_code == 429]
    assert refused
    assert all(a.headers["retry-after"] for a in refused)
    assert all(a.json()["accepted"] == 2 for a in answers if a.status_code != 429)


async def test_a_batch_larger_than_a_transaction_is_answered_in_its_order(push, people, monkeypatch):
    monkeypatch.setattr(intake, "BATCH_WEIGHT_MAX", 7)
    monkeypatch.setattr(push_events, "_YIELD_EVERY", 2)
    events = [people.residence(people.number(n), id=f"e{n}") for n in range(40)]
    receipts = await push(*events, events[0], expect=None)
    assert [r["id"] for r in receipts] == [*(f"e{n}" for n in range(40)), "e0"]
    assert [r["status"] for r in receipts] == ["accepted"] * 40 + ["duplicate"]


async def test_the_clock_of_a_source_may_be_five_minutes_ahead(push, people):
    soon = datetime(2026, 11, 22, 2, 4, 59, tzinfo=UTC).isoformat()
    await push(people.residence(people.number(1), time=soon), expect="accepted")


async def test_a_death_does_not_wait_behind_a_load(admin, people, monkeypatch):
    monkeypatch.setattr(intake, "BATCH_WEIGHT_MAX", 2)
    answered = []

    async def post(name, *events):
        answer = await admin.post(
            "/v1/events", content=msgspec.json.encode(events), headers={"content-type": people.BATCH}
        )
        assert answer.json()["accepted"] == len(events)
        answered.append(name)

    load = [post(f"load {n}", *(people.residence(people.number(10 * n + m)) for m in range(2))) for n in range(30)]
    death = people.event(
        "death", people.number(999), {"evidence": "register_cancelled"}, id="d", valid_from="2026-11-19"
    )
    await asyncio.gather(*load, post("death", death))
    assert answered.index("death") < 15


async def test_the_description_of_the_route_names_its_receipts_and_media_types(admin, people):
    described = (await admin.get("/openapi.json")).json()
    route = described["paths"]["/v1/events"]["post"]
    assert set(route["requestBody"]["content"]) == {people.SINGLE, people.BATCH, "application/json"}
    receipts = described["components"]["schemas"]["Receipts"]["properties"]
    assert set(receipts) == {"received", "accepted", "duplicates", "quarantined", "rejected", "results"}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation.get("summary"), path


async def test_a_faulty_event_that_names_another_source_does_not_count_for_that_source(client_for, people, database):
    """An event in another source's name is a rejection of the sender, even if it cannot be decoded."""
    sender, victim = "urn:cn:exchange:530300:psb", "urn:cn:exchange:530300:grid"
    named = [
        people.residence(people.number(1)) | {"source": victim},
        people.residence(people.number(1)[:17] + "?", id="2") | {"source": victim},
        {"specversion": "1.0", "id": "3", "source": victim},
    ]
    async with client_for(issue_token("source", source=sender)) as client:
        answer = await client.post(
            "/v1/events", content=msgspec.json.encode(named), headers={"content-type": people.BATCH}
        )
    assert answer.json()["rejected"] == 3
    assert [r["source"] for r in await database.pool.fetch("SELECT source FROM rejections")] == [sender] * 3
