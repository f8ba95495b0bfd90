"""Officers release or discard waiting events."""

from datetime import timedelta

import pytest
from ingestion.main import service
from ingestion.review.escalate_quarantine import escalate_overdue
from ingestion.review.store.owners import list_owners
from shell import clock
from shell.access.auth import issue_token


@pytest.fixture
async def officer(client_for):
    async with client_for(issue_token("officer", division="530300", subject="王科员")) as client:
        yield client


async def _waiting(push, people, *, id="r2", previous="r1", **options):
    event = people.residence(people.number(1), id=id, action="corrected", previous=previous, **options)
    (receipt,) = await push(event, expect="quarantined")
    return receipt["event_id"]


async def test_only_officers_of_the_area_see_its_waiting_events(officer, push, people, client_for):
    event_id = await _waiting(push, people)
    (row,) = (await officer.get("/v1/quarantine")).json()["quarantine"]
    assert (row["event_id"], row["reason"], row["owner"]) == (event_id, "predecessor_missing", "530300")
    assert row["reason_text"] == "所接续的前一事件尚未到达"
    async with client_for(issue_token("officer", division="140700")) as other:
        assert (await other.get("/v1/quarantine")).json()["quarantine"] == []
        answer = await other.post(f"/v1/quarantine/{event_id}/discard", json={"reason": "x"})
        assert answer.status_code == 403
    async with client_for(issue_token("provider")) as provider:
        assert (await provider.get("/v1/quarantine")).status_code == 403


async def test_pages_of_the_list_follow_one_another(officer, push, people):
    events = [people.residence(people.number(n), id=f"f{n}", action="corrected", previous=f"p{n}") for n in range(5)]
    receipts = await push(*events, expect="quarantined")
    seen, after = [], None
    for _ in range(3):
        query = {"limit": 2} | ({"after": after} if after else {})
        page = (await officer.get("/v1/quarantine", params=query)).json()
        seen += [row["event_id"] for row in page["quarantine"]]
        after = page["next"]
    assert seen == sorted(r["event_id"] for r in receipts)
    assert after is None


async def test_a_released_event_takes_effect_and_its_predecessor_still_finds_its_place(officer, push, people, heads):
    event_id = await _waiting(push, people)
    answer = await officer.post(f"/v1/quarantine/{event_id}/release", json={"reason": "纸质材料已核实"})
    assert answer.json() == {"event_id": event_id, "state": "released"}
    (head,) = (await heads()).values()
    assert [s.action for s in head.statements] == ["corrected"]
    await push(people.residence(people.number(1), id="r1", time="2026-11-19T09:30:00+08:00"), expect="accepted")
    (head,) = (await heads()).values()
    assert [s.action for s in head.statements] == ["created", "corrected"]
    assert {s.chain for s in head.statements} == {head.statements[0].event_id}
    again = await officer.post(f"/v1/quarantine/{event_id}/release", json={"reason": "x"})
    assert again.status_code == 409


async def test_a_follower_of_a_waiting_event_is_not_released_alone(officer, push, people, database):
    first = await _waiting(push, people)
    second = await _waiting(push, people, id="r3", previous="r2")
    answer = await officer.post(f"/v1/quarantine/{second}/release", json={"reason": "x"})
    assert answer.status_code == 409
    await officer.post(f"/v1/quarantine/{first}/release", json={"reason": "x"})
    rows = await database.pool.fetch("SELECT state FROM quarantine")
    assert [r[0] for r in rows] == ["released", "released"]


async def test_a_discarded_event_is_parked_and_never_applied(officer, push, people, heads, database):
    event_id = await _waiting(push, people)
    answer = await officer.post(f"/v1/quarantine/{event_id}/discard", json={"reason": "错发"})
    assert answer.json()["state"] == "discarded"
    await push(people.residence(people.number(1), id="r1"), expect="accepted")
    (head,) = (await heads()).values()
    assert len(head.statements) == 1
    counts = await database.pool.fetch("SELECT status, count(*) FROM received GROUP BY status")
    assert {r[0]: int(r[1]) for r in counts} == {"applied": 1, "parked": 1}
    assert await database.pool.fetchval("SELECT waiting FROM persons") == 0
    audit = await database.pool.fetchrow("SELECT actor, action, purpose, cause FROM audits")
    assert tuple(audit) == ("王科员", "quarantine_discard", "错发", event_id)


async def test_an_unknown_event_is_not_found_and_a_broken_id_is_malformed(officer):
    unknown = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    assert (await officer.post(f"/v1/quarantine/{unknown}/release", json={"reason": "x"})).status_code == 404
    assert (await officer.post("/v1/quarantine/x/release", json={"reason": "x"})).status_code == 422


async def test_an_overdue_event_goes_to_the_area_above_once(officer, push, people, database):
    await _waiting(push, people)
    assert await escalate_overdue(service.database) == 0
    clock.set_now(people.NOW + timedelta(days=3, minutes=5))
    assert (await officer.get("/v1/quarantine?overdue=true")).json()["quarantine"]
    assert await escalate_overdue(service.database) == 1
    assert await escalate_overdue(service.database) == 0
    assert await database.pool.fetchval("SELECT owner FROM quarantine") == "530000"
    assert (await officer.get("/v1/quarantine")).json()["quarantine"] == []


async def test_audit_rows_can_not_be_changed(officer, push, people, database):
    event_id = await _waiting(push, people)
    await officer.post(f"/v1/quarantine/{event_id}/discard", json={"reason": "x"})
    for statement in ("DELETE FROM audits", "UPDATE audits SET actor = 'x'", "TRUNCATE audits"):
        with pytest.raises(Exception, match="only ever added"):
            await database.pool.execute(statement)


async def test_the_owners_of_a_long_quarantine_are_found_by_an_index(database):
    await database.pool.execute(
        """INSERT INTO quarantine (event_id, person_id, source, kind, reason, owner, since, deadline)
           SELECT gen_random_uuid(), gen_random_uuid(), 's', 'death', 'r', (530000 + n % 50)::text, now(), now()
           FROM generate_series(1, 20000) AS n"""
    )
    await database.pool.execute("VACUUM ANALYZE quarantine")
    async with database.pool.acquire() as connection, connection.transaction():
        assert len(await list_owners(connection, "quarantine", "open")) == 50
        assert await _rows_scanned(connection) == 0


async def _rows_scanned(connection):
    """The rows that this transaction has read by scans of the whole quarantine."""
    return await connection.fetchval(
        "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'quarantine' AND schemaname = 'ingestion'"
    )
