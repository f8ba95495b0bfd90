"""A synthetic county sent late, twice and in any order ends in the truth that its generator knows."""

import random
from datetime import date

import msgspec
import synth
from common.events import facts as kinds
from ingestion.domain.pushed import Pushed
from ingestion.reading.events import read_event
from ingestion.recording.recorder import record
from ingestion.recording.store.statements import load_vault
from rules.facts.timeline import Deceased, Suspected, death_of, facts_known_at
from shell.privacy import vault

TODAY = date(2025, 12, 1)
ON = date(2026, 4, 1)


def seen(facts, day):
    """The same fields as `synth.Truth`, from facts."""
    now = {f.kind: f for f in facts if f.holds_on(day)}
    value = {kind: fact.value for kind, fact in now.items()}
    dead = death_of([f for f in facts if f.kind in ("death", "alive")])
    income, tags, care = value.get("low_income"), value.get("living_situation"), value.get("disability")
    return {
        "hukou_division": value["registration"].hukou_division,
        "residence_division": value["residence"].division if "residence" in value else None,
        "residence_place": value["residence"].place if "residence" in value else None,
        "died_on": dead.on if isinstance(dead, Deceased) and dead.on <= day else None,
        "suspected": isinstance(dead, Suspected) and dead.on <= day,
        "disability": (care.class_, care.level) if care else None,
        "low_income": income.category if isinstance(income, kinds.LowIncome) else None,
        "via_household": income is not None and now["low_income"].via is not None,
        "tags": frozenset(tags.tags) if tags else None,
        "special_family": value["special_family"].only_child if "special_family" in value else None,
    }


async def test_a_county_sent_in_any_order_ends_in_the_truth(database, heads, people):
    made = synth.county(seed=11, people=250, divisions=["530302", "530381"], today=TODAY)
    load = list(made.initial_load())
    events = load + [p.event for p in synth.stream(made, months=4, seed=11)]
    random.Random(5).shuffle(events)
    pushed = [read_event(msgspec.json.encode(e), people.NOW) for e in events]
    assert not [e for e in pushed if not isinstance(e, Pushed)]
    for at in range(0, len(pushed), 170):
        async with database.transaction() as tx:
            await record(tx, pushed[at : at + 170], people.NOW)
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    assert await database.pool.fetchval("SELECT count(*) FROM received WHERE status <> 'applied'") == 0
    assert await database.pool.fetchval("SELECT count(*) FROM received") == len(
        {(e["source"], e["id"]) for e in events}
    )
    persons = await _person_ids(database)
    newest = await heads()
    wrong = []
    for number, truth in made.truth(ON).items():
        found = seen(facts_known_at(newest[persons[number]].statements), ON)
        wrong += [(f, getattr(truth, f), v) for f, v in found.items() if getattr(truth, f) != v]
    assert not wrong
    assert len(newest) >= 250


async def _person_ids(database):
    ids = [r[0] for r in await database.pool.fetch("SELECT person_id FROM persons")]
    async with database.reading() as connection:
        sealed = await load_vault(connection, ids, ["id_number"])
    return {vault().open(blob, f"{p}/id_number".encode()).decode(): p for p, _, blob in sealed}
