"""Random stories of four ID numbers, with merges that wait, are refuted, corrected, taken back, released or discarded.

After each step the store has no contradiction, earlier knowledge stays as it was, and judging again changes nothing.
"""

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from common.codes.id_number import make
from common.message import derived_id
from ingestion import verify
from ingestion.domain.person import statements_of
from ingestion.recording.batch import Request
from ingestion.recording.recorder import decide_again
from ingestion.recording.store.statements import load_persons
from rules.facts.identity import identity_known_at, statements_known_at
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.privacy import vault

NUMBERS = [*(make("530302", date(1940, 2, 29), n) for n in (1, 3, 5)), make("110105", date(1941, 3, 1), 7)]
DIVISIONS = {"530300": ["530302001", "530303001"], "110000": ["110105", "530302001"], "140700": ["140702"]}
AREAS = ["530300", "530300", "110000", "140700"]
KINDS = ["residence", "low_income", "death", "identity_change", "identity_change", "identity_change"]
STEPS, SEEDS = 8, 12
Event = dict[str, Any]


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def any_event(people: Any, chance: random.Random, n: int, earlier: list[Event]) -> Event:
    """A new event, or a follower of an earlier one, perhaps under another number."""
    kind, area, number = chance.choice(KINDS), chance.choice(AREAS), chance.choice(NUMBERS)
    action, previous = "created", None
    if earlier and chance.random() < 0.4:
        before = chance.choice(earlier)
        kind, area, previous = before["type"].split(".")[-2], before["source"].split(":")[3], before["id"]
        action = chance.choice(["corrected", "annulled"])
        number = chance.choice([number, before["data"]["person"]["id_number"]])
    value = None if action == "annulled" else any_value(chance, kind, number, area)
    event: Event = people.event(
        kind,
        number,
        value,
        id=f"e{n}",
        action=action,
        previous=previous,
        time=f"2026-11-{n + 1:02}T09:30:00+08:00",
        valid_from=None if value is None else f"2026-0{chance.randint(1, 9)}-01",
        name=None,
    )
    return event | {"source": f"urn:cn:exchange:{area}:{people.offices[kind]}"}


def any_value(chance: random.Random, kind: str, number: str, area: str) -> Event:
    other = chance.choice([n for n in NUMBERS if n != number])
    values: dict[str, Event] = {
        "residence": {"division": chance.choice(DIVISIONS[area]), "place": "home"},
        "low_income": {"category": chance.choice(["dibao", "tekun"])},
        "death": {"evidence": "cremation"},
        "identity_change": {chance.choice(["new_id_number", "same_person_as"]): other},
    }
    return values[kind]


async def settle_any(database: Any, officer: Any, chance: random.Random) -> None:
    """Two officers release or discard one waiting event, as far as that is possible."""
    rows = await database.pool.fetch("SELECT event_id, owner FROM quarantine WHERE state = 'open' ORDER BY event_id")
    if not rows or chance.random() < 0.5:
        return
    row, act = chance.choice(rows), chance.choice(["release", "discard"])
    for name in ("王科员", "李科员"):
        async with officer(name, row["owner"]) as client:
            answer = await client.post(f"/v1/quarantine/{row['event_id']}/{act}", json={"reason": "已核实"})
            assert answer.status_code in (200, 409), answer.text


def shown(head: Any, known_at: datetime | None = None) -> Any:
    """A person as the head shows it at an instant."""
    identity = identity_known_at(head.identities, known_at)
    facts = facts_known_at(statements_known_at(head, known_at), known_at)
    return identity.aliases, identity.merged_into, facts


async def stored(database: Any) -> dict[str, Any]:
    """The present state of each person, without its history."""
    persons = await load_persons(database.pool, [person_of(number) for number in NUMBERS])
    return {p: (x.memory.standing, x.aliases, x.merged_into, x.waiting, standings(x)) for p, x in persons.items()}


def standings(person: Any) -> list[Any]:
    return [(s.event_id, s.standing_at()) for s in statements_of(person.statements)]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_merges_keep_earlier_knowledge_and_do_not_depend_on_the_next_event(
    push, people, heads, database, officer, seed
):
    chance, earlier, history = random.Random(seed), list[Event](), list[Any]()
    for n in range(STEPS):
        clock.set_now(people.NOW + timedelta(minutes=n))
        earlier.append(any_event(people, chance, n, earlier))
        await push(earlier[-1])
        await settle_any(database, officer, chance)
        assert await verify.check(database, clock.today()) == []
        now = await heads()
        for at, before in history:
            assert {p: shown(head) for p, head in before.items()} == {p: shown(now[p], at) for p in before}
        history.append((clock.now(), now))
        before = await stored(database)
        async with database.transaction() as tx:
            await decide_again(tx, Request(person_ids=sorted(before)), clock.now())
        assert await stored(database) == before, [e["id"] for e in earlier]
