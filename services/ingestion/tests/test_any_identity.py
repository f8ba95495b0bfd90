"""Merges, corrections and annulments with facts, in any order and repeated, end in the same people. If all merges are
annulled, the people are as if they were never merged."""

import os
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from common.codes.id_number import make
from common.events import PersonFactsRecorded
from ingestion import verify
from ingestion.domain.pushed import Pushed
from ingestion.main import service
from ingestion.reading.events import read_event
from ingestion.recording.recorder import record
from rules.facts.identity import statements_known_at
from rules.facts.timeline import facts_known_at
from shell.store.database import Database
from shell.testing import Driver, migrated_database

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS, PEOPLE = 6, 4
RUNS = int(os.environ.get("SHOUWANG_CASES", "24")) // GROUPS
Event = dict[str, Any]


def story(people: Any, rng: random.Random, n: int) -> list[Event]:
    """Facts and identity changes of four numbers. A source may continue its chains under any of the numbers."""
    numbers = [make("530302", date(1940, 1, 1) + timedelta(days=n), i) for i in range(PEOPLE)]
    sent: list[Event] = []
    for _ in range(rng.randint(6, 14)):
        number, kind = rng.choice(numbers), rng.choice(["residence", "death", "identity_change", "identity_change"])
        other = rng.choice([x for x in numbers if x != number])
        value = {
            "residence": {"division": rng.choice(["530302001", "530303"])},
            "death": {"evidence": rng.choice(["reported", "cremation"])},
            "identity_change": {rng.choice(["new_id_number", "same_person_as"]): other},
        }[kind]
        office = rng.choice(["psb", "mca"])
        chain = [_event(people, kind, number, value, office, rng, len(sent), n)]
        sent += chain
        while rng.random() < 0.4:
            action = rng.choice(["corrected", "annulled"])
            again = value if action == "corrected" else None
            follower = _event(people, kind, number, again, office, rng, len(sent), n, action, chain[-1]["id"])
            chain.append(follower)
            sent.append(follower)
    return sent


def _event(
    people: Any, kind: str, number: str, value: Any, office: str, rng: random.Random, at: int, n: int,
    action: str = "created", previous: str | None = None,
) -> Event:  # fmt: skip
    since = f"2026-0{rng.randint(1, 9)}-01" if value else None
    return people.event(  # type: ignore[no-any-return]
        kind, number, value, id=f"{n}-{at}", action=action, office=office, previous=previous,
        time=(BEGAN + timedelta(minutes=at)).isoformat(), valid_from=since, name=None,
    )  # fmt: skip


async def deliver(database: Database, events: Sequence[Event], rng: random.Random | None) -> dict[str, Any]:
    """Deliver events in order one by one, or shuffled in batches with repetitions; return the heads by person."""
    batches = [[e] for e in events]
    if rng is not None:
        mixed = [e for e in events for _ in range(rng.choice([1, 1, 2]))]
        rng.shuffle(mixed)
        cuts = sorted(rng.sample(range(1, len(mixed)), 5))
        batches = [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    for n, batch in enumerate(batches):
        now = NOW + timedelta(seconds=n)
        read = [e for raw in batch if isinstance(e := read_event(msgspec.json.encode(raw), now), Pushed)]
        assert len(read) == len(batch)
        async with database.transaction() as tx:
            await record(tx, read, now)
    assert await verify.check(database) == []
    return {m.person_id: m for m in await Driver(database, service.handlers).emitted(PersonFactsRecorded)}


def shown(head: PersonFactsRecorded) -> Any:
    return head.aliases, head.merged_into, facts_known_at(statements_known_at(head))


@pytest.mark.parametrize("run", range(max(1, RUNS)))
async def test_in_any_order_the_same_numbers_are_the_same_humans_with_the_same_facts(
    people: Any, database: Database, run: int
) -> None:
    rng = random.Random(run)
    events = [e for n in range(GROUPS) for e in story(people, rng, n)]
    mixed = await deliver(database, events, rng)
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    async with migrated_database("ingestion") as fresh:
        straight = await deliver(fresh, events, None)
    assert {p: shown(h) for p, h in mixed.items()} == {p: shown(h) for p, h in straight.items()}
    begun = [e for e in events if e["type"].endswith("identity_change.v1") and not e["data"]["previous_event_id"]]
    back = [people.annulled(e, id=f"{e['id']}-gone", time="2026-11-01T00:00:00+00:00") for e in begun]
    apart = await deliver(database, back, rng)
    async with migrated_database("ingestion") as alone:
        facts = [e for e in events if not e["type"].endswith("identity_change.v1")]
        never = await deliver(alone, facts, None)
    for person_id, head in never.items():
        assert shown(apart[person_id]) == shown(head)
    assert {(h.aliases, h.merged_into) for h in apart.values()} == {((), None)}
