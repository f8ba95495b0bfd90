"""No name, number, address or phone outside sealed columns: not in the database, the topics or the logs."""

import json
import logging

import msgspec
from common.message import Record


async def test_a_dump_of_everything_shows_no_person(push, people, database, driver, admin, vault_user, caplog):
    caplog.set_level(logging.DEBUG)
    a, b = people.number(1), people.number(2)
    name, address, no = "张三丰", "合成村五号", "户号-77-05"
    certificate = {"certificate_no": a + "42", "class": 4, "level": 2}
    home = people.residence(a)
    home["data"]["value"]["phone"] = "13800001234"  # an unknown field: refused, and kept sealed only
    lived = people.residence(a, id=a + "-home")
    await push(
        people.registration(a),
        lived,
        people.event("disability", a, certificate, id=a + "42"),
        people.event("household", a, {"household_no": no, "members": [a, b]}, id=no),
        people.event("low_income", a, {"category": "dibao", "household_no": no}, id=f"{no}-1"),
        people.residence(b, id="waits", action="corrected", previous=f"{b}-never"),
        home,
        people.residence(a, "530302002", id=a + "-home"),
        people.residence(a[:17] + "?", id="wrong"),
    )
    await driver.deliver_records([Record("population.inbound", 0, 0, a.encode()[:0], b"{" + a.encode(), ())])
    found = await admin.post("/v1/persons/lookup", json={"id_number": a})
    person_id = found.json()["person_id"]
    everything = {"person_ids": [person_id], "fields": ["id_number", "name", "address"]}
    revealed = await vault_user.post("/v1/vault/reveal", json=everything | {"purpose": "task", "cause": "t-1"})
    assert address in revealed.text  # the texts searched below do exist
    assert a in revealed.text
    dump = await _dump(database)
    assert person_id in dump
    forbidden = (a, b, a[:17], name, address, "麒麟区", no, "13800001234", "538000", "户号")
    for secret in forbidden:
        for form in (secret, secret.encode().hex(), json.dumps(secret)[1:-1]):
            assert form not in dump, secret
            assert form not in caplog.text, secret
    for message in await driver.emitted_messages():
        told = msgspec.json.encode(message.data).decode()
        assert not any(secret in told for secret in forbidden)


async def _dump(database) -> str:
    """Every column of every table as text, bytes also decoded."""
    tables = await database.pool.fetch(
        """SELECT table_name FROM information_schema.tables
           WHERE table_schema = 'ingestion' AND table_type = 'BASE TABLE'"""
    )
    lines = []
    for (table,) in tables:
        for row in await database.pool.fetch(f'SELECT * FROM "{table}"'):
            for value in row.values():
                lines.append(str(value))
                if isinstance(value, bytes):
                    lines += [value.hex(), value.decode("utf-8", "replace")]
    assert len(tables) >= 14
    return "\n".join(lines)


async def test_a_problem_with_the_database_does_not_print_a_row(push, people, database, caplog):
    await database.pool.execute("ALTER TABLE vault ADD CONSTRAINT broken CHECK (field <> 'name') NOT VALID")
    number = people.number(1)
    (receipt,) = await push(people.registration(number))
    assert (receipt["status"], receipt["problems"][0]["code"]) == ("rejected", "internal")
    assert number not in caplog.text
    assert "张三丰" not in caplog.text
    assert "CheckViolation" in caplog.text


async def test_an_event_that_cannot_be_recorded_does_not_affect_the_others(push, people, database):
    await database.pool.execute("ALTER TABLE received ADD CONSTRAINT broken CHECK (kind <> 'residence') NOT VALID")
    receipts = await push(
        people.registration(people.number(1)), people.residence(people.number(2)), people.registration(people.number(3))
    )
    assert [r["status"] for r in receipts] == ["accepted", "rejected", "accepted"]
