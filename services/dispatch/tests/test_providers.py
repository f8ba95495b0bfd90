import asyncio
import json
from datetime import timedelta

import pytest
from common.errors import Unavailable
from common.events import TaskOffered, TaskWithdrawn
from common.message import from_record
from dispatch import store
from dispatch.feed import publish_backlog
from dispatch.follow_feed import follow
from dispatch.open_topics import forget_old_messages, keep_topics, open_topics
from dispatch.place_tasks import place_again
from dispatch.plan_visits import on_entitlements_decided
from shell.access.scopes import OwnProvider
from shell.settings import Settings
from shell.testing import event_record


def body(story, **changes):
    return {
        "uscc": story.A,
        "name": "曲靖市麒麟区安康居家养老服务中心",
        "divisions": [story.COUNTY],
        "capacity_per_day": 20,
        "subscription": "poll",
    } | changes


async def test_registering_twice_is_registering_once(client, auth, story):
    officer = auth("officer", division="530300")
    assert (await client.post("/v1/providers", json=body(story), headers=officer)).status_code == 201
    again = await client.post("/v1/providers", json=body(story), headers=officer)
    assert (again.status_code, again.json()["topic_state"]) == (200, "none")
    listed = (await client.get("/v1/providers", headers=officer)).json()
    assert [(p["uscc"], p["divisions"]) for p in listed["providers"]] == [(story.A, [story.COUNTY])]


async def test_every_fault_of_a_registration_is_named(client, auth, story):
    wrong = body(story, uscc=story.A[:-1] + "I", divisions=["999999"], items=["visiting_care", "cooking"])
    refused = await client.post("/v1/providers", json=wrong, headers=auth("admin"))
    assert refused.status_code == 422
    assert [p["pointer"] for p in refused.json()["problems"]] == ["/body/uscc", "/body/divisions/0", "/body/items/1"]


async def test_an_officer_registers_and_sees_providers_of_the_own_area_only(client, auth, story):
    stranger = auth("officer", division=story.OTHER_COUNTY)
    assert (await client.post("/v1/providers", json=body(story), headers=stranger)).status_code == 403
    await client.post("/v1/providers", json=body(story), headers=auth("admin"))
    takeover = body(story, divisions=[story.OTHER_COUNTY])
    assert (await client.post("/v1/providers", json=takeover, headers=stranger)).status_code == 403
    seen = {}
    for division in (story.OTHER_COUNTY, story.TOWN, "530300"):
        listed = await client.get("/v1/providers", headers=auth("officer", division=division))
        seen[division] = len(listed.json()["providers"])
    assert seen == {story.OTHER_COUNTY: 0, story.TOWN: 1, "530300": 1}
    assert len((await client.get("/v1/providers", headers=auth("provider", provider=story.B))).json()["providers"]) == 0


async def test_a_task_without_a_provider_is_listed_and_offered_when_one_appears(
    driver, database, tasks, client, auth, story
):
    await driver.deliver(story.visiting("p1"), story.visiting("p2", division="530303001"))
    officer = auth("officer", division="530300")
    unplaced = (await client.get("/v1/unplaced", headers=officer)).json()["tasks"]
    assert {t["cause"] for t in unplaced} == {"no_provider"}
    assert {t["person_id"] for t in unplaced} == {story.ident("p1"), story.ident("p2")}
    assert await place_again(database) == 0
    await client.post("/v1/providers", json=body(story, subscription="kafka"), headers=officer)
    while await place_again(database):
        pass
    assert {t["provider"] for t in await tasks(person="p1")} == {story.A}
    assert {t["cause"] for t in await tasks(person="p2")} == {"no_provider"}


async def test_a_provider_that_changes_during_the_comparison_with_unplaced_tasks_is_compared_again(
    database, client, auth, story
):
    officer = auth("officer", division="530300")
    await client.post("/v1/providers", json=body(story), headers=officer)
    async with database.transaction() as tx:
        compared = await store.load_next_rematch(tx)
        wider = body(story, divisions=[story.COUNTY, story.OTHER_COUNTY])
        assert (await client.post("/v1/providers", json=wider, headers=officer)).status_code == 200
        await store.set_rematch(tx, story.A, compared.after, None)
    async with database.transaction() as tx:
        again = await store.load_next_rematch(tx)
    assert again is not None
    assert again.provider.divisions == (story.COUNTY, story.OTHER_COUNTY)


async def test_a_provider_registered_while_tasks_are_planned_receives_them(database, tasks, client, auth, story):
    async with database.transaction() as tx:
        await on_entitlements_decided([from_record(event_record(story.visiting()))], tx)
        registering = asyncio.create_task(
            client.post("/v1/providers", json=body(story), headers=auth("officer", division="530300"))
        )
        async with asyncio.timeout(20):
            while not (registering.done() or await waits_for_a_lock(database)):
                pass
        while await place_again(database):
            pass
    assert (await registering).status_code == 201
    while await place_again(database):
        pass
    assert {t["provider"] for t in await tasks()} == {story.A}


async def waits_for_a_lock(database):
    return await database.pool.fetchval(
        """SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database
           WHERE locktype = 'advisory' AND NOT granted AND datname = current_database())"""
    )


async def test_offers_wait_until_the_topic_exists_and_keep_their_ids_and_order(
    driver, database, add_provider, tasks, story
):
    await add_provider(story.A, story.COUNTY, topic_state="pending")
    await driver.deliver(story.visiting())
    await driver.deliver(story.visiting(version=2, died_on=story.TODAY))
    assert [e for e in await driver.emitted() if isinstance(e, TaskOffered | TaskWithdrawn)] == []
    kept = await database.pool.fetch("SELECT seq, event_id FROM feed ORDER BY seq")
    assert [row["seq"] for row in kept] == [1, 2, 3, 4]
    await driver.clear_outbox()
    async with database.transaction() as tx:
        assert await publish_backlog(tx, story.A, 3) == 3
    assert await database.pool.fetchval("SELECT topic_state FROM providers") == "pending"
    async with database.transaction() as tx:
        assert await publish_backlog(tx, story.A, 3) == 1
    assert await database.pool.fetchval("SELECT topic_state FROM providers") == "ready"
    sent = await driver.emitted_messages()
    assert [m.id for m in sent] == [row["event_id"] for row in kept]
    assert [type(m.data) for m in sent] == [TaskOffered, TaskOffered, TaskWithdrawn, TaskWithdrawn]
    assert {m.record.topic for m in sent} == {f"dispatch.provider.{story.A}"}


async def test_a_provider_that_leaves_kafka_keeps_no_messages_that_wait_for_a_topic(
    driver, database, add_provider, client, auth, story, today
):
    officer = auth("officer", division="530300")
    await add_provider(story.A, story.COUNTY, topic_state="pending")
    await driver.deliver(story.visiting())
    await client.post("/v1/providers", json=body(story, subscription="poll"), headers=officer)
    await driver.deliver(story.visiting(version=2, died_on=story.TODAY))
    await client.post("/v1/providers", json=body(story, subscription="kafka"), headers=officer)
    async with database.transaction() as tx:
        assert await publish_backlog(tx, story.A, 10) == 0  # an offer without its withdrawal would mislead
    today(story.TODAY + timedelta(days=40))
    assert await forget_old_messages(database) == 4


async def test_the_feed_has_the_messages_of_the_topic_with_the_same_ids(driver, add_provider, client, auth, story):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY)
    await driver.deliver(story.visiting("p1"), story.visiting("p2", division="530303001"))
    url, headers = f"/v1/providers/{story.A}/feed", auth("provider", provider=story.A)
    first = (await client.get(f"{url}?limit=1", headers=headers)).json()
    rest = (await client.get(f"{url}?after={first['next']}", headers=headers)).json()
    ids = [e["id"] for e in first["events"] + rest["events"]]
    on_topic = [m for m in await driver.emitted_messages() if m.record.topic.endswith(story.A)]
    assert ids == [m.id for m in on_topic]
    assert [e["data"]["task_id"] for e in first["events"]] == [on_topic[0].data.task_id]
    assert {e["data"]["provider"] for e in first["events"] + rest["events"]} == {story.A}
    nothing = (await client.get(f"{url}?after={rest['next']}", headers=headers)).json()
    assert nothing == {"events": [], "next": rest["next"]}
    assert story.ident("p1") not in json.dumps(first)  # a provider's messages do not name the person


async def test_a_provider_reads_its_own_feed_and_tasks_only(driver, add_provider, tasks, client, auth, story):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.COUNTY)
    await driver.deliver(*[story.visiting(f"p{n}") for n in range(4)])
    headers = auth("provider", provider=story.B)
    for path in ("feed", "stream"):
        assert (await client.get(f"/v1/providers/{story.A}/{path}", headers=headers)).status_code == 403
    listed = (await client.get("/v1/tasks", headers=headers)).json()["tasks"]
    assert {t["provider"] for t in listed} == {story.B}
    assert (await client.get(f"/v1/tasks?provider={story.A}", headers=headers)).status_code == 403
    foreign = next(t for t in await tasks() if t["provider"] == story.A)
    assert (await client.get(f"/v1/tasks/{foreign['task_id']}", headers=headers)).status_code == 404


async def test_officers_page_through_the_tasks_of_their_area(driver, client, auth, story):
    await driver.deliver(*[story.visiting(f"p{n}") for n in range(3)], story.visiting("q", division="530303001"))
    officer = auth("officer", division=story.COUNTY)
    seen, after = [], ""
    while True:
        page = (await client.get(f"/v1/tasks?limit=4{after}", headers=officer)).json()
        seen += [(t["person_id"], t["window"]["from"]) for t in page["tasks"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == len(set(seen)) == 6
    assert story.ident("q") not in {person for person, _ in seen}
    by_person = await client.get(f"/v1/tasks?person_id={story.ident('p1')}&due_before=2026-11-29", headers=officer)
    [only] = by_person.json()["tasks"]
    assert only["window"] == {"from": "2026-11-22", "to": "2026-11-29"}
    assert (
        await client.get(f"/v1/tasks/{only['task_id']}", headers=auth("officer", division="141125"))
    ).status_code == 404


async def test_the_stream_and_the_feed_have_the_same_messages(driver, database, add_provider, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    lines = [line async for line in follow(database, OwnProvider(story.A), story.A, 1, seconds_max=0.2)]
    assert len(lines) == 1
    head, event, data, *_ = lines[0].decode().split("\n")
    assert (head, event) == ("id: 2", "event: TaskOffered")
    assert json.loads(data.removeprefix("data: "))["sequence"] == 2


async def test_while_kafka_is_away_a_provider_waits_and_can_be_used(
    driver, database, add_provider, tasks, monkeypatch, story, closed_port
):
    monkeypatch.setattr("dispatch.open_topics.settings", lambda: Settings(kafka=f"127.0.0.1:{closed_port}"))
    assert await open_topics(database) == 0
    assert await keep_topics(database) == 0
    await add_provider(story.A, story.COUNTY, topic_state="pending")
    await add_provider(story.B, story.OTHER_COUNTY)
    for job in (open_topics, keep_topics):
        with pytest.raises(Unavailable):
            await job(database)
    await driver.deliver(story.visiting())
    assert {t["provider"] for t in await tasks(state="offered")} == {story.A}
    assert await database.pool.fetchval("SELECT count(*) FROM feed WHERE NOT published") == 2


async def test_one_key_registers_once_and_never_undoes_a_later_change(client, auth, story, database):
    officer = auth("officer", division="530300")
    key = officer | {"Idempotency-Key": "registration-1"}
    made = await asyncio.gather(*(client.post("/v1/providers", json=body(story), headers=key) for _ in range(4)))
    assert sorted(answer.status_code for answer in made) == [200, 200, 200, 201]
    later = await client.post("/v1/providers", json=body(story, capacity_per_day=99), headers=officer)
    assert later.json()["capacity_per_day"] == 99
    again = await client.post("/v1/providers", json=body(story), headers=key)
    assert (again.status_code, again.json()["capacity_per_day"]) == (200, 99)
    other = await client.post("/v1/providers", json=body(story, capacity_per_day=7), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert await database.pool.fetchval("SELECT capacity_per_day FROM providers") == 99
