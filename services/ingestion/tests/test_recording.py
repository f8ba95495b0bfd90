"""Events become statements: duplicates, chains in any order, ties, concurrency, crashes."""

import asyncio
import itertools
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import asyncpg
import msgspec
import pytest
from common.events.facts import Registration, Residence, Statement
from ingestion.domain.person import Memory, Person, forget_place, remember_place
from ingestion.domain.pushed import Pushed
from ingestion.reading.events import read_event
from ingestion.recording.recorder import record
from shell import clock
from shell.store.database import Database


def chain(people, number):
    """A residence, its correction, the correction of that, and its end."""
    new = people.residence(number, id="r1", time="2026-11-01T09:00:00+08:00")
    first = people.residence(
        number, "530302002", id="r2", action="corrected", previous="r1", time="2026-11-02T09:00:00+08:00"
    )
    second = people.residence(
        number, "530302003", id="r3", action="corrected", previous="r1", time="2026-11-03T09:00:00+08:00"
    )
    end = people.event(
        "residence",
        number,
        id="r4",
        action="ended",
        previous="r3",
        valid_from=None,
        valid_to="2026-11-15",
        time="2026-11-04T09:00:00+08:00",
    )
    return [new, first, second, end]


async def test_the_same_event_in_one_batch_and_in_three_batches_counts_once(push, people, heads):
    event = people.residence(people.number(1))
    assert [r["status"] for r in await push(event, event, event)] == ["accepted", "duplicate", "duplicate"]
    await push(event, expect="duplicate")
    await push(event, event, expect="duplicate")
    (head,) = (await heads()).values()
    assert (head.version, len(head.statements)) == (1, 1)


async def test_the_same_instant_in_another_time_zone_is_the_same_content(push, people):
    await push(people.residence(people.number(1), time="2026-11-20T09:30:00+08:00"), expect="accepted")
    await push(people.residence(people.number(1), time="2026-11-20T01:30:00Z"), expect="duplicate")


async def test_an_id_used_again_for_other_content_is_rejected_in_and_across_batches(push, people, heads):
    one = people.residence(people.number(1), id="same")
    other = people.residence(people.number(1), "530302002", id="same")
    of_another = people.residence(people.number(2), id="same")
    receipts = await push(one, other, of_another)
    assert [r["status"] for r in receipts] == ["accepted", "rejected", "rejected"]
    for receipt in [*receipts[1:], *await push(other, of_another)]:
        assert (receipt["problems"][0]["pointer"], receipt["problems"][0]["code"]) == ("/id", "id_reused")
    assert len(await heads()) == 1


def renamed(events, prefix):
    """The same story under other ids."""
    for event in events:
        event["id"] = f"{prefix}-{event['id']}"
        if event["data"]["previous_event_id"]:
            event["data"]["previous_event_id"] = f"{prefix}-{event['data']['previous_event_id']}"
    return events


async def test_a_chain_has_one_result_in_every_order_of_arrival_and_every_split_into_batches(
    push, people, heads, database
):
    stories = []
    for n, order in enumerate(itertools.permutations(range(4))):
        events = renamed(chain(people, people.number(n)), n)
        stories.append([events[at] for at in order])
    for part in ([0, 1], [2], [3]):
        await push(*(story[at] for story in stories for at in part))
    for n, order in enumerate(itertools.permutations(range(4)), 100):
        events = renamed(chain(people, people.number(n)), n)
        await push(*(events[at] for at in order))
    found = list((await heads()).values())
    assert len(found) == 48
    for head in found:
        assert [s.action for s in head.statements] == ["created", "corrected", "corrected", "ended"]
        assert [s.value and s.value.division[-1] for s in head.statements] == ["1", "2", "3", None]
        assert {s.chain for s in head.statements} == {head.statements[0].event_id}
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'released'") > 0
    assert await database.pool.fetchval("SELECT sum(waiting) FROM persons") == 0
    assert await database.pool.fetch("SELECT DISTINCT status FROM received") == [("applied",)]


async def test_a_follower_of_a_missing_event_waits_in_quarantine_until_that_event_arrives(push, people, heads):
    new, first, _, _ = chain(people, people.number(1))
    (receipt,) = await push(first, expect="quarantined")
    assert receipt["problems"][0]["code"] == "predecessor_missing"
    assert await heads() == {}
    await push(first, expect="duplicate")
    await push(new, expect="accepted")
    (head,) = (await heads()).values()
    assert [s.action for s in head.statements] == ["created", "corrected"]
    assert receipt["event_id"] in head.causes


async def test_an_event_that_follows_one_of_another_person_or_kind_waits_for_an_officer(push, people, database):
    await push(people.residence(people.number(1), id="r1"))
    stranger = people.residence(people.number(2), id="r2", action="corrected", previous="r1")
    other_kind = people.registration(people.number(1), id="r3", action="corrected", previous="r1")
    receipts = await push(stranger, other_kind, expect="quarantined")
    assert {r["problems"][0]["code"] for r in receipts} == {"chain_mismatch"}
    # the other order: first the follower, then the event that it follows
    late = people.residence(people.number(3), id="l2", action="corrected", previous="l1")
    await push(late, expect="quarantined")
    await push(people.residence(people.number(4), id="l1"), people.residence(people.number(3), id="x"))
    reasons = await database.pool.fetch("SELECT reason FROM quarantine WHERE state = 'open'")
    assert [r[0] for r in reasons] == ["chain_mismatch"] * 3


async def test_corrections_of_one_instant_are_ordered_by_the_ids_their_source_gave(push, people, heads, database):
    stories = []
    for n, order in enumerate(itertools.permutations((1, 2, 3))):
        number = people.number(n)
        new = people.residence(number, id="r", time="2026-11-01T09:00:00+08:00")
        same = [
            people.residence(number, f"53030200{at}", id="-ab c"[at:], action="corrected", previous="r") for at in order
        ]
        stories.append(renamed([new, *same], n))
    for at in range(4):
        await push(*(story[at] for story in stories), expect="accepted")
    for head in (await heads()).values():
        # the ids are "ab c", "b c" and " c": by code point the last one comes first
        assert [s.value.division[-1] for s in head.statements] == ["1", "3", "1", "2"]
    divisions = await database.pool.fetch("SELECT DISTINCT division FROM persons")
    assert [row["division"] for row in divisions] == ["530302002"]


def test_the_area_that_may_see_a_person_does_not_depend_on_the_order_of_places_of_one_instant():
    at = datetime(2026, 11, 1, tzinfo=UTC)
    statements = [
        Statement(
            event_id=f"e{n}",
            chain=chain,
            action="created" if chain == f"e{n}" else "corrected",
            kind="residence",
            source="urn:cn:exchange:530300:psb",
            rank=1,
            time=at,
            recorded_at=at,
            value=Residence(division=f"53030200{n}"),
        )
        for n, chain in enumerate(("e0", "e1", "e0", "e3"))
    ]
    found = set()
    for order in itertools.permutations(statements):
        person = Person("p", 0, None, None, 0, b"", Memory())
        for statement in order:
            person.add(statement, {s.event_id: s.event_id for s in statements})
            remember_place(person, statement)
        found.add(person.division)
    assert found == {"530302003"}


def test_a_permit_holder_without_a_place_keeps_the_area_of_the_registration():
    at = datetime(2026, 11, 1, tzinfo=UTC)
    registration = Statement(
        event_id="e",
        chain="e",
        action="created",
        kind="registration",
        source="urn:cn:exchange:530300:psb",
        rank=1,
        time=at,
        recorded_at=at,
        value=Registration(sex="1", birth_date=date(1940, 2, 29)),
    )
    person = Person("p", 0, None, None, 0, b"", Memory())
    person.add(registration, {"e": "e"})
    remember_place(person, registration, "530302")
    forget_place(person)
    remember_place(person, registration)
    assert person.division == "530302"


async def test_recording_times_of_a_person_only_increase_even_if_the_clock_is_set_back(push, people, heads):
    await push(people.residence(people.number(1), id="r1"))
    clock.set_now(people.NOW - timedelta(minutes=30))
    await push(people.residence(people.number(1), id="r2"))
    (head,) = (await heads()).values()
    first, second = (s.recorded_at for s in head.statements)
    assert second > first
    assert head.recorded_at == second


async def test_a_batch_is_one_version_and_one_recording_time_and_deaths_are_urgent(push, people, heads, database):
    number = people.number(1)
    death = people.event("death", number, {"evidence": "register_cancelled"}, id="d", valid_from="2026-11-19")
    receipts = await push(
        people.registration(number), people.residence(number), death, people.residence(people.number(2))
    )
    found = {len(h.statements): h for h in (await heads()).values()}
    assert (found[3].version, set(found[3].causes)) == (1, {r["event_id"] for r in receipts[:3]})
    assert len({s.recorded_at for h in found.values() for s in h.statements}) == 1
    urgent = await database.pool.fetch("SELECT key, urgent FROM outbox")
    assert {r["key"]: r["urgent"] for r in urgent} == {found[3].person_id: True, found[1].person_id: False}


async def test_a_pending_state_is_stored_once_and_sent_exactly_as_its_event_type_encodes_it(
    push, people, heads, database
):
    await push(*chain(people, people.number(1)), people.registration(people.number(1)))
    (head,) = (await heads()).values()
    assert await database.pool.fetch("SELECT 1 FROM outbox WHERE payload IS NOT NULL") == []
    row = await database.pool.fetchrow("SELECT person_id::text, version, recorded_at FROM persons")
    assert (head.person_id, head.version, head.recorded_at, len(head.statements)) == (*row, 5)
    payload = await database.pool.fetchval("SELECT payload FROM outgoing")
    assert payload == msgspec.json.encode(msgspec.structs.replace(head, causes=()))
    with pytest.raises(asyncpg.CheckViolationError):  # it would be stored nowhere
        await database.pool.execute("INSERT INTO outbox (topic, key, headers) VALUES ('ingestion.source', 'x', '')")


async def test_a_pending_state_with_statements_of_other_identities_is_stored_in_the_outbox(
    push, people, heads, database
):
    number, new = people.number(1), people.number(2)
    await push(people.registration(number), people.renumbered(number, new), people.residence(new))
    waiting = await database.pool.fetch("SELECT key, payload IS NULL AS kept FROM outbox WHERE state")
    with_others = {person_id for person_id, head in (await heads()).items() if head.identities}
    assert with_others
    assert {row["key"] for row in waiting if not row["kept"]} == with_others


# ── concurrent writers, crashes ────────────────────────────────────────────────────────────────────────────────


def _read(people, *events) -> list[Pushed]:
    found = [read_event(msgspec.json.encode(e), people.NOW) for e in events]
    assert all(isinstance(e, Pushed) for e in found)
    return found


async def _record(database: Database, people, *events):
    async with database.transaction() as tx:
        return await record(tx, _read(people, *events), people.NOW)


async def test_concurrent_writers_create_one_new_person_and_lose_nothing(people, database, heads):
    number = people.number(1)
    rounds = [[people.residence(number, id=f"{w}-{n}") for n in range(5)] for w in range(6)]
    await asyncio.gather(*(_record(database, people, *events) for events in rounds))
    (head,) = (await heads()).values()
    assert head.version == 6
    assert len({s.event_id for s in head.statements}) == 30
    assert await database.pool.fetchval("SELECT count(*) FROM identities") == 1
    assert await database.pool.fetchval("SELECT count(*) FROM vault WHERE field = 'id_number'") == 1


async def test_a_correction_and_its_predecessor_that_arrive_at_the_same_moment_both_count(people, database, heads):
    for n in range(8):
        new, first, second, end = renamed(chain(people, people.number(n)), n)
        await asyncio.gather(*(_record(database, people, e) for e in (end, second, first, new)))
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    assert {len(h.statements) for h in (await heads()).values()} == {4}


async def test_the_quarantine_may_change_before_a_writer_holds_its_locks(people, database, heads, push):
    """One event is released and another begins to wait while a third writer waits for the lock."""
    number = people.number(1)
    new, first, second, end = chain(people, number)
    await push(first, expect="quarantined")
    async with database.transaction() as tx:
        await record(tx, _read(people, new), people.NOW)
        await record(tx, _read(people, end), people.NOW)
        third = asyncio.create_task(_record(database, people, second))
        async with asyncio.timeout(20):
            while not await database.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.01)
    assert [r.status for r in await third] == ["accepted"]
    (head,) = (await heads()).values()
    assert [s.action for s in head.statements] == ["created", "corrected", "corrected", "ended"]
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0


async def test_the_same_batch_recorded_by_three_writers_at_once_counts_once(people, database):
    events = [people.residence(people.number(n)) for n in range(20)]
    results = await asyncio.gather(*(_record(database, people, *events) for _ in range(3)))
    statuses = sorted(r.status for receipts in results for r in receipts)
    assert statuses == ["accepted"] * 20 + ["duplicate"] * 40


CRASH = """
import asyncio, sys, datetime
from shell.store.database import Database
from ingestion.reading.events import read_event
from ingestion.recording.recorder import record
async def main():
    database = Database(sys.argv[1], "ingestion")
    await database.open()
    now = datetime.datetime(2026, 11, 22, 2, 0, tzinfo=datetime.UTC)
    async with database.transaction() as tx:
        await record(tx, [read_event(sys.stdin.buffer.read(), now)], now)
    await database.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
async def test_a_crash_before_the_commit_leaves_nothing_and_a_retry_completes_it(people, database, point, push):
    event = people.residence(people.number(1))
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CRASH, database.url],
        input=msgspec.json.encode(event),
        env=os.environ | {"CRASH_AT": point},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode != 0, process.stderr
    counts = [
        await database.pool.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("identities", "persons", "vault", "received", "outbox")
    ]
    assert counts == ([0] * 5 if point == "before_commit" else [1, 1, 1, 1, 1])
    await push(event, expect="accepted" if point == "before_commit" else "duplicate")
