"""Counts and digests of a source's days: the same in any order, and nothing counts twice."""

import asyncio
import hashlib
import random
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion.completeness.count_days import count_days
from ingestion.completeness.store import alarms, days
from ingestion.domain.completeness import RecordedDay, ReportedDay, Tally, add_up, compare, count_events, whole_day
from ingestion.verify import check
from shell import clock

PSB = "urn:cn:exchange:530300:psb"
DAY = date(2026, 11, 20)
KEYS = [(PSB, day, kind) for day in (DAY, date(2026, 11, 21)) for kind in ("residence", "death")]


def digest(*ids):
    """The digest as a source computes it."""
    total = 0
    for id_ in ids:
        total ^= int(hashlib.sha256(id_.encode()).hexdigest(), 16)
    return f"{total:064x}"


@settings(max_examples=100, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=20)), max_size=40, unique=True),
    cuts=st.lists(st.integers(0, 40), max_size=6),
    seed=st.integers(),
)
def test_counts_and_digest_are_the_same_in_any_order_and_any_parts(events, cuts, seed):
    order = list(events)
    random.Random(seed).shuffle(order)
    edges = [0, *sorted(min(c, len(order)) for c in cuts), len(order)]
    parts = [order[a:b] for a, b in pairwise(edges)]
    found = add_up(tally for part in parts for tally in count_events(part))
    for day in {key[1] for key in KEYS}:
        ids = [id_ for key, id_ in events if key[1] == day]
        ours = whole_day(t for t in found.values() if t.day == day)
        assert ours == RecordedDay(len(ids), digest(*ids))
        assert compare(ReportedDay(len(ids), digest(*ids)), ours) == "complete"


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (None, "not_reported"),
        (ReportedDay(2, digest("a", "b")), "complete"),
        (ReportedDay(3, digest("a", "b", "c")), "short"),
        (ReportedDay(1, digest("a")), "over"),
        (ReportedDay(2, digest("a", "c")), "differs"),
    ],
)
def test_a_day_is_complete_short_over_different_or_not_reported(told, state):
    assert compare(told, RecordedDay(2, digest("a", "b"))) == state


def test_a_day_without_a_stored_digest_is_compared_by_its_count():
    old = Tally(PSB, DAY, "death", 2, None)
    (new,) = count_events([((PSB, DAY, "death"), "c")])
    ours = whole_day(add_up([old, new]).values())
    assert ours == RecordedDay(3, None)
    assert compare(ReportedDay(3, digest("x")), ours) == "complete"
    assert compare(ReportedDay(4, digest("x")), ours) == "short"


async def test_every_new_event_counts_once_in_any_order_and_after_any_kill(push, people, database):
    """Sent in any order, some again, with the job between the pushes and killed within its transaction."""
    rng = random.Random(7)
    events = [people.residence(people.number(n), id=f"号{n}") for n in range(30)]
    events += [people.residence(people.number(n), id=f"c{n}", action="corrected", previous=f"p{n}") for n in range(5)]
    sent = [*events, *rng.sample(events, 20)]
    rng.shuffle(sent)
    while sent:
        batch, sent = sent[:7], sent[7:]
        await push(*batch)
        match rng.randrange(3):
            case 0:
                await count_days(database)
            case 1:
                with pytest.raises(Killed):
                    await _count_and_die(database)
    while await count_days(database):
        pass
    async with database.reading() as connection:
        ours = whole_day(await days.load_day(connection, PSB, DAY))
    assert ours == RecordedDay(35, digest(*(e["id"] for e in events)))
    assert await database.pool.fetchval("SELECT count(*) FROM tallies") == 0
    assert await check(database, clock.today()) == []


async def _until_blocked(database, task):
    """Wait until a statement waits for a lock, or the task has ended."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20):
        while not task.done() and not await database.pool.fetchval(query):
            await asyncio.sleep(0.01)


async def test_an_event_that_is_counted_during_a_comparison_is_compared_afterwards(push, people, database):
    async with database.transaction() as tx:
        await days.upsert_report(tx, PSB, DAY, ReportedDay(1, digest("a")), clock.now())
    await push(people.residence(people.number(1), id="a"))
    async with database.transaction() as tx:
        (day,) = await alarms.lock_days_to_compare(tx, DAY, 10)
        assert await alarms.load_counts(tx, [day.key]) == {(PSB, DAY): []}
        counting = asyncio.create_task(count_days(database))
        await _until_blocked(database, counting)
        await alarms.save_compared(tx, [alarms.Compared(PSB, DAY, clock.now(), "short")], clock.now())
    await counting
    async with database.transaction() as tx:
        assert [d.key for d in await alarms.lock_days_to_compare(tx, DAY, 10)] == [(PSB, DAY)]


class Killed(Exception):
    pass


async def _count_and_die(database):
    async with database.transaction() as tx:
        for batch in await days.take_tallies(tx, 50):
            await days.add_counts(tx, batch.tallies)
        raise Killed


async def test_a_batch_that_was_not_committed_is_not_counted(push, people, database):
    """An id used again with other content is refused: the event is not stored, and not counted."""
    await push(people.residence(people.number(1), id="a"))
    (receipt,) = await push(people.residence(people.number(2), id="a"))
    assert receipt["problems"][0]["code"] == "id_reused"
    async with database.reading() as connection:
        assert whole_day(await days.load_day(connection, PSB, DAY)) == RecordedDay(1, digest("a"))
        assert await days.count_rejected(connection, PSB, DAY) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE day_counts SET events = events + 1",
        "DELETE FROM day_counts",
        "UPDATE received SET day = day - 1",
        "INSERT INTO day_counts VALUES ('urn:x', '2026-11-20', 'death', 1, NULL)",
    ],
)
async def test_verification_finds_a_count_that_differs_from_the_events(push, people, database, damage):
    await push(people.residence(people.number(1), id="a"))
    await count_days(database)
    assert await check(database, clock.today()) == []
    await database.pool.execute(damage)
    assert any("counted" in fault for fault in await check(database, clock.today()))
