"""Verification finds nothing in a sound store and every damage in a damaged one."""

import pytest
from ingestion.verify import check
from shell import clock


@pytest.fixture
async def sound(push, people, database):
    a, b = people.number(1), people.number(2)
    await push(
        people.registration(a),
        people.residence(a, id="r1"),
        people.residence(a, id="r2", action="corrected", previous="r1", time="2026-11-21T00:00:00Z"),
        people.event("household", a, {"household_no": "1", "members": [a, b]}, id="h"),
        people.residence(b, id="waits", action="corrected", previous="never"),
    )
    return database


async def test_a_sound_store_has_no_faults(sound):
    assert await check(sound, clock.today()) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE persons SET recorded_at = recorded_at - interval '1 second'", "newest statement"),
        ("UPDATE persons SET version = 0", "no version"),
        ("UPDATE persons SET statements = ''", "no statement"),
        ("UPDATE persons SET statements = statements || ',' || statements", "is stored twice"),
        ("UPDATE persons SET waiting = waiting + 1", "counted as waiting"),
        ("UPDATE quarantine SET state = 'released', settled_at = now()", "quarantined, but released"),
        ("UPDATE received SET status = 'parked', chain = NULL WHERE kind = 'household'", "parked, but not"),
        ("DELETE FROM vault WHERE field = 'id_number'", "no sealed ID number"),
        ("UPDATE vault SET sealed = sealed || '\\x00' WHERE field = 'id_number'", "does not open"),
        ("DELETE FROM identities", "not found by"),
    ],
)
async def test_every_damage_is_found(sound, damage, words):
    await sound.pool.execute(damage)
    assert any(words in fault for fault in await check(sound, clock.today()))


async def test_a_chain_out_of_order_is_found(sound):
    row = await sound.pool.fetchrow("SELECT person_id, statements FROM persons WHERE statements LIKE '%corrected%'")
    turned = b",".join(reversed(row["statements"].replace(b"},{", b"}\n{").split(b"\n")))
    await sound.pool.execute("UPDATE persons SET statements = $2 WHERE person_id = $1", row["person_id"], turned)
    assert any("out of order" in fault for fault in await check(sound, clock.today()))
