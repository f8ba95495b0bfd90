from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from common import calendar
from common.events import (
    RecordParked,
    TaskReply,
    TaskWithdrawn,
    VisitAccepted,
    VisitCheckedOut,
    VisitDeclined,
    VisitExcused,
    VisitFailed,
    VisitOffered,
)
from common.message import Record
from dispatch.verify import check
from dispatch.watch_tasks import watch_tasks
from shell import clock


@pytest.fixture
async def offered(driver, add_provider, tasks, story):
    """One monthly visit, offered to A."""
    await add_provider(story.A, story.TOWN)
    await driver.deliver(story.visiting(interval_days=31))
    [task] = await tasks(state="offered")
    await driver.clear_outbox()
    return task["task_id"]


def reply(provider, task_id, answer, *, key=None, at=None, **fields):
    """A record as the provider would have sent it."""
    body = msgspec.json.encode(TaskReply(task_id=task_id, answer=answer, at=at or clock.now(), **fields))
    headers = (("ce_id", (key or str(uuid4())).encode()),)
    return Record(f"dispatch.provider.{provider}.replies", 0, 0, task_id.encode(), body, headers)


@pytest.fixture
def post(client, auth):
    async def send(task_id, step, provider, body=None):
        url, headers = f"/v1/tasks/{task_id}/{step}", auth("provider", provider=provider)
        return await client.post(url, headers=headers, json=body)

    return send


async def test_a_visit_is_accepted_begun_and_ended_over_http(driver, database, offered, post, tasks, story):
    for step in ("accept", "accept", "check-in", "check-in", "check-out", "check-out"):
        answer = await post(offered, step, story.A, {"worker": "w-7"})
        assert answer.status_code == 200, answer.text
    [done] = await driver.emitted(VisitCheckedOut)
    assert (done.provider, done.worker, done.outcome) == (story.A, "w-7", "seen")
    assert done.entitlement_id is not None
    assert len(await driver.emitted(VisitAccepted)) == 1
    assert [t["state"] for t in await tasks() if t["task_id"] == offered] == ["completed"]
    assert await check(database, story.TODAY) == []


async def test_a_visit_is_accepted_begun_and_ended_over_kafka_in_one_batch_delivered_twice(
    driver, offered, tasks, story
):
    records = [reply(story.A, offered, a, worker="w-7") for a in ("accept", "check_in", "check_out")]
    await driver.deliver_records(records)
    await driver.deliver_records(records)
    assert len(await driver.emitted(VisitCheckedOut)) == 1
    assert [t["state"] for t in await tasks() if t["task_id"] == offered] == ["completed"]
    assert await driver.emitted(RecordParked) == []


async def test_all_answers_of_a_batch_are_recorded_at_once_in_their_order(driver, database, offered, story):
    await database.pool.execute(
        """CREATE TABLE written (rows bigint);
           CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN INSERT INTO dispatch.written SELECT count(*) FROM fresh; RETURN NULL; END$$;
           CREATE TRIGGER note_write AFTER INSERT ON answers REFERENCING NEW TABLE AS fresh
             FOR EACH STATEMENT EXECUTE FUNCTION note_write()"""
    )
    accept = reply(story.A, offered, "accept", key="1")
    later = [reply(story.A, offered, "check_in", at=clock.now() + timedelta(hours=2)), reply(story.B, offered, "fail")]
    await driver.deliver_records([accept, *later, reply(story.A, str(uuid4()), "accept")])
    assert [tuple(row) for row in await database.pool.fetch("SELECT rows FROM written")] == [(3,)]
    recorded = await database.pool.fetch("SELECT given_by, answer, refused FROM answers ORDER BY answer_id")
    assert [tuple(row) for row in recorded] == [
        (story.A, "accept", None),
        (story.A, "check_in", "in_the_future"),
        (story.B, "fail", "not_yours"),
    ]
    await driver.deliver_records([accept])
    assert await database.pool.fetchval("SELECT count(*) FROM answers") == 3


async def test_another_provider_may_not_answer(driver, offered, post, tasks, add_provider, story):
    await add_provider(story.B, story.TOWN)
    for step in ("accept", "decline", "check-in", "check-out", "fail"):
        refused = await post(offered, step, story.B)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
    await driver.deliver_records([reply(story.B, offered, "accept"), reply(story.B, str(uuid4()), "accept")])
    assert [p.reason for p in await driver.emitted(RecordParked)] == ["reply_not_yours", "reply_unknown_task"]
    assert [t["state"] for t in await tasks(state="offered")] == ["offered"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "reply_undecodable"),
        (None, "reply_empty_or_too_large"),
        (b"\xff\xfe", "reply_undecodable"),
        (b"[" * 3000, "reply_undecodable"),
        (b"x" * 5000, "reply_empty_or_too_large"),
        (b'{"task_id":"no uuid","answer":"accept","at":"2026-11-22T10:00:00Z"}', "reply_undecodable"),
        (b'{"task_id":"%s","answer":"explode","at":"2026-11-22T10:00:00Z"}', "reply_undecodable"),
        (b'{"task_id":"%s","answer":"accept","at":"2026-11-22T10:00:00"}', "reply_undecodable"),
        (b'{"task_id":"%s","answer":"accept","at":"0001-01-01T00:00:00+14:00"}', "reply_undecodable"),
        (
            b'{"task_id":"%s","answer":"decline","at":"2026-11-22T01:00:00Z","reason":"Mrs Li"}',
            "reply_reason_not_a_code",
        ),
    ],
)
async def test_a_broken_reply_is_parked_and_its_neighbour_is_taken(driver, offered, tasks, story, value, reason):
    if value is not None and b"%s" in value:
        value = value % offered.encode()
    broken = Record(f"dispatch.provider.{story.A}.replies", 0, 0, None, value, ())
    await driver.deliver_records([broken, reply(story.A, offered, "accept")])
    assert [p.reason for p in await driver.emitted(RecordParked)] == [reason]
    assert [t["state"] for t in await tasks(state="accepted")] == ["accepted"]


async def test_an_answer_whose_id_has_no_value_is_taken(driver, offered, tasks, story):
    record = reply(story.A, offered, "accept")
    await driver.deliver_records([record._replace(headers=(("ce_id", None),))])
    assert await driver.emitted(RecordParked) == []
    assert [t["state"] for t in await tasks(state="accepted")] == ["accepted"]


async def test_a_topic_that_names_no_provider_is_parked(driver, offered):
    await driver.deliver_records([reply("1" * 18, offered, "accept")])
    assert [p.reason for p in await driver.emitted(RecordParked)] == ["reply_topic_not_a_provider"]


async def test_a_declined_offer_goes_to_the_next_provider_and_at_most_three_are_asked(
    driver, database, offered, post, tasks, add_provider, story
):
    await add_provider(story.B, story.COUNTY)
    assert (await post(offered, "decline", story.A, {"reason": "no_staff"})).json()["provider"] == story.B
    assert (await post(offered, "decline", story.A)).status_code == 200  # sent twice
    assert (await post(offered, "accept", story.A)).json()["code"] == "not_yours"
    left = (await post(offered, "decline", story.B)).json()
    assert (left["state"], left["provider"], left["cause"]) == ("planned", None, "all_declined")
    assert [d.provider for d in await driver.emitted(VisitDeclined)] == [story.A, story.B]
    assert [o.provider for o in await driver.emitted(VisitOffered)] == [story.B]
    assert await check(database, story.TODAY) == []


async def test_after_three_offers_an_officer_must_look(driver, offered, post, add_provider, client, auth, story):
    await add_provider(story.B, story.COUNTY)
    await add_provider(story.C, story.COUNTY)
    for provider in (story.A, story.B, story.C):
        left = (await post(offered, "decline", provider)).json()
    assert left["cause"] == "offers_exhausted"
    listed = (await client.get("/v1/unplaced", headers=auth("officer", division=story.COUNTY))).json()
    assert [t["task_id"] for t in listed["tasks"]] == [offered]
    url = f"/v1/tasks/{offered}/reassign"
    again = await client.post(url, json={"provider": story.B}, headers=auth("officer", division=story.COUNTY))
    assert (again.json()["state"], again.json()["provider"]) == ("offered", story.B)


async def test_an_offer_may_not_be_accepted_when_its_time_is_over(offered, post, today, story):
    today(story.TODAY + timedelta(days=1), hour=11)
    refused = await post(offered, "accept", story.A)
    assert (refused.status_code, refused.json()["code"]) == (409, "offer_expired")


async def test_a_failed_visit_is_followed_by_another(driver, database, offered, post, tasks, add_provider, story):
    await add_provider(story.B, story.COUNTY)
    for step in ("accept", "check-in"):
        await post(offered, step, story.A)
    await post(offered, "fail", story.A, {"reason": "nobody_opened"})
    [failed] = await driver.emitted(VisitFailed)
    assert failed.reason == "nobody_opened"
    [again] = [t for t in await tasks() if t["reason"] == "redispatch"]
    assert (again["origin_task_id"], again["window_from"], again["state"]) == (offered, story.TODAY, "offered")
    assert await check(database, story.TODAY) == []


@pytest.mark.parametrize(
    ("step", "body", "code"),
    [
        ("check-in", {}, "task_is_offered"),
        ("check-out", {}, "task_is_offered"),
        ("fail", {}, "task_is_offered"),
        ("accept", {"at": "2026-12-24T10:00:00Z"}, "in_the_future"),
        ("accept", {"worker": "13900001111"}, "worker_not_a_code"),
        ("accept", {"worker": "53030219500101001X"}, "worker_not_a_code"),
        ("decline", {"reason": "Li is ill"}, "reason_not_a_code"),
    ],
)
async def test_an_answer_out_of_turn_or_with_free_text_is_refused(driver, offered, post, story, step, body, code):
    refused = await post(offered, step, story.A, body)
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert await driver.emitted() == []


async def test_a_visit_outside_its_window_or_that_ends_before_it_begins_is_refused(offered, post, story):
    await post(offered, "accept", story.A)
    early = await post(offered, "check-in", story.A, {"at": "2026-11-21T23:59:00+08:00"})
    assert early.json()["code"] == "outside_the_window"
    await post(offered, "check-in", story.A, {"at": "2026-11-22T09:30:00+08:00"})
    backwards = await post(offered, "check-out", story.A, {"at": "2026-11-22T09:29:00+08:00"})
    assert backwards.json()["code"] == "before_check_in"


async def test_an_excuse_needs_an_officer_of_the_area_a_listed_reason_and_evidence(
    driver, database, offered, client, auth, tasks, story
):
    url, body = f"/v1/tasks/{offered}/excuse", {"reason": "in_hospital", "evidence": "stay:2026/114"}
    assert (await client.post(url, json=body, headers=auth("provider", provider=story.A))).status_code == 403
    stranger = auth("officer", division=story.OTHER_COUNTY)
    assert (await client.post(url, json=body, headers=stranger)).status_code == 403
    officer = auth("officer", division=story.COUNTY)
    assert (await client.post(url, json=body | {"reason": "tired"}, headers=officer)).status_code == 422
    assert (await client.post(url, json=body | {"evidence": "王 told me"}, headers=officer)).status_code == 422
    for _ in range(2):
        assert (await client.post(url, json=body, headers=officer)).json()["state"] == "excused"
    assert [e.reason for e in await driver.emitted(VisitExcused)] == ["in_hospital"]
    assert [w.reason for w in await driver.emitted(TaskWithdrawn)] == ["excused"]
    row = await database.pool.fetchrow("SELECT answer, evidence FROM answers")
    assert tuple(row) == ("excuse_in_hospital", "stay:2026/114")


async def test_a_late_record_of_a_visit_within_the_window_counts_at_its_own_time(driver, offered, tasks, today, story):
    await driver.deliver_records([reply(story.A, offered, "accept")])
    began = datetime(2026, 11, 23, 9, 0, tzinfo=calendar.SHANGHAI)
    today(story.TODAY + timedelta(days=2))
    ended = began + timedelta(minutes=30)
    await driver.deliver_records(
        [reply(story.A, offered, "check_in", at=began), reply(story.A, offered, "check_out", at=ended)]
    )
    [task] = await tasks(state="completed")
    assert (task["checked_in_at"], task["checked_out_at"]) == (began, ended)


async def test_a_visit_that_is_reported_a_day_later_counts_also_if_its_answers_arrive_one_by_one(
    driver, database, offered, post, tasks, today, story
):
    await post(offered, "accept", story.A)
    today(story.TODAY + timedelta(days=2))
    began = datetime(2026, 11, 23, 9, 0, tzinfo=calendar.SHANGHAI)
    assert (await post(offered, "check-in", story.A, {"at": began.isoformat()})).status_code == 200
    await watch_tasks(database)
    ended = began + timedelta(minutes=30)
    answer = await post(offered, "check-out", story.A, {"at": ended.isoformat()})
    assert (answer.status_code, answer.json()["state"]) == (200, "completed")


async def test_a_visit_without_a_check_out_fails_half_a_day_after_its_report(
    driver, database, offered, post, today, story
):
    await post(offered, "accept", story.A)
    today(story.TODAY + timedelta(days=2))
    began = datetime(2026, 11, 23, 9, 0, tzinfo=calendar.SHANGHAI)
    await post(offered, "check-in", story.A, {"at": began.isoformat()})
    today(story.TODAY + timedelta(days=2), hour=23)
    await watch_tasks(database)
    assert [e.reason for e in await driver.emitted(VisitFailed)] == ["no_check_out"]
