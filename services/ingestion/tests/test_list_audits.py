"""The audit log: auditors find rows by person, actor, area and time, in cheap pages."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from shell import clock
from shell.access.auth import ROLES, Caller, issue_token
from shell.access.scopes import Areas, Everything
from shell.audit import audits, log
from shell.audit.sealing import seal_audits

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PERSON = "11111111-1111-8111-8111-111111111111"


@pytest.fixture
async def auditor(client_for):
    async with client_for(issue_token("auditor", subject="auditor", division="000000")) as client:
        yield client


@pytest.fixture
def note(database, monkeypatch):
    async def _note(actor, division, minute, action="read", person=PERSON):
        caller = Caller(actor, "officer", division)
        with monkeypatch.context() as now:
            now.setattr(clock, "real_now", lambda: NOON + timedelta(minutes=minute))
            async with database.transaction() as tx:
                await audits.append(tx, caller, act=action, purpose="x", cause="c", person_ids=[person])

    return _note


async def page(client, **query):
    answer = await client.get("/v1/audits", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def acts(found):
    return [row["act"] for row in found["audits"]]


@pytest.mark.parametrize("role", [role for role in ROLES if role != "auditor"])
async def test_nobody_but_an_auditor_reads_the_log_not_even_the_administrator(client_for, role, database):
    async with client_for(issue_token(role, division="000000")) as other:
        assert (await other.get("/v1/audits")).status_code == 403


async def test_a_look_up_is_a_row_with_actor_time_and_person(auditor, client_for, push, people):
    number = people.number(1)
    await push(people.residence(number))
    async with client_for(issue_token("officer", division="530302", subject="li")) as officer:
        person = (await officer.post("/v1/persons/lookup", json={"id_number": number})).json()["person_id"]
    (row,) = (await page(auditor, person_id=person))["audits"]
    assert (row["actor"], row["role"], row["division"], row["act"]) == ("li", "officer", "530302", "lookup")
    assert (row["purpose"], row["cause"], row["fields"], row["persons"]) == ("lookup", "", [], 1)
    assert row["person_ids"] == [person]
    assert number not in str(row)


async def test_a_row_names_its_seal_as_soon_as_it_has_one_and_the_head_covers_it(auditor, note, database):
    assert (await auditor.get("/v1/audits/head")).json() == {
        "service": "ingestion",
        "seal": 0,
        "rows": 0,
        "head": "",
        "sealed_at": None,
        "waiting": 0,
    }
    await note("li", "530302", 0)
    assert (await page(auditor))["audits"][0]["sealed_in"] is None
    await seal_audits(database)
    (row,) = (await page(auditor, actor="li"))["audits"]
    head = (await auditor.get("/v1/audits/head")).json()
    assert (row["account"], row["sealed_in"], head["seal"], head["rows"]) == ("li", "1", 1, 2)
    assert (len(head["head"]), head["waiting"]) == (64, 1)


async def test_each_request_for_the_log_is_one_row_of_the_log(auditor, note):
    await note("li", "530302", 0)
    assert acts(await page(auditor)) == ["read"]
    assert acts(await page(auditor)) == ["read_audits", "read"]
    (own,) = (await page(auditor, actor="auditor", limit=1))["audits"]
    assert (own["actor"], own["persons"]) == ("auditor", 0)
    await page(auditor, person_id=PERSON)
    assert [r["act"] for r in (await page(auditor, person_id=PERSON))["audits"]] == ["read_audits", "read"]


async def test_an_auditor_of_an_area_sees_what_its_officers_did_and_those_of_areas_within(client_for, note):
    for minute, division in enumerate(("530302", "530302001", "530300", "110000", None)):
        await note(f"of-{division}", division, minute)
    async with client_for(issue_token("auditor", division="530302")) as county:
        assert [r["actor"] for r in (await page(county))["audits"]] == ["of-530302001", "of-530302"]
        assert (await page(county, actor="of-530300"))["audits"] == []
        assert [r["actor"] for r in (await page(county, person_id=PERSON))["audits"]] == ["of-530302001", "of-530302"]
    async with client_for(issue_token("auditor", division="000000")) as nation:
        assert len((await page(nation, to=(NOON + timedelta(hours=1)).isoformat()))["audits"]) == 5


async def test_rows_are_found_by_person_actor_and_time(auditor, note):
    other = PERSON.replace("1", "2")
    await note("li", "530302", 0, "a")
    await note("wang", "530302", 1, "b")
    await note("li", "530302", 2, "c", person=other)
    assert acts(await page(auditor, actor="li")) == ["c", "a"]
    assert acts(await page(auditor, person_id=other)) == ["c"]
    assert acts(await page(auditor, actor="li", person_id=PERSON)) == ["a"]
    since, until = (NOON + timedelta(minutes=m) for m in (1, 2))
    assert acts(await page(auditor, **{"from": since.isoformat(), "to": until.isoformat()})) == ["b"]
    assert acts(await page(auditor, actor="li", **{"from": since.isoformat()})) == ["c"]
    assert (await auditor.get("/v1/audits?from=2026-11-20T00:00:00")).status_code == 422


async def test_pages_follow_one_another_without_loss_also_within_one_instant(auditor, note):
    for n in range(7):
        await note("li", "530302", n // 3, f"act-{n}")
    seen, after = [], None
    while True:
        found = await page(auditor, actor="li", limit=2, **({"after": after} if after else {}))
        seen += acts(found)
        after = found["next"]
        if after is None:
            break
    assert seen == [f"act-{n}" for n in reversed(range(7))]
    assert (await auditor.get("/v1/audits?limit=501")).status_code == 422


async def test_a_row_of_the_log_can_neither_be_changed_nor_removed(note, database):
    await note("li", "530302", 0)
    for table in ("audits", "audit_persons", "audit_areas"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = now()", f"TRUNCATE {table}"):
            with pytest.raises(Exception, match="only ever added"):
                await database.pool.execute(statement)


FILTERS = {
    "all": {},
    "area": {"scope": Areas("530302")},
    "person": {"person_id": PERSON},
    "person in the area": {"person_id": PERSON, "scope": Areas("530302")},
    "actor": {"actor": "actor-7"},
    "actor in the area": {"actor": "actor-7", "scope": Areas("530302")},
    "actor of another area": {"actor": "actor-7", "scope": Areas("110000")},
}
NOTHING = dict.fromkeys(log.Wanted._fields) | {"scope": Everything()}


async def test_a_full_page_of_a_long_log_reads_at_most_2000_buffers_with_every_filter(database):
    await _fill(database, rows=100_000)
    middle = await database.pool.fetchval("SELECT audit_id FROM audits ORDER BY at LIMIT 1 OFFSET 80000")
    read = {}
    for name, given in FILTERS.items():
        statement, values = log.page_of(log.Wanted(**NOTHING | given | {"after": middle}), 500)
        (explained,) = await database.pool.fetchrow(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
        plan = json.loads(explained)[0]["Plan"]
        assert plan["Actual Rows"] == (0 if name == "actor of another area" else 500), name
        read[name] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert all(0 < buffers <= 2_000 for buffers in read.values()), read


async def _fill(database, rows):
    """A log of one county with fifty officers, a quarter of it about one person."""
    await database.pool.execute(
        """INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids, division)
           SELECT $1::timestamptz + n * interval '1 second', 'actor-' || n % 50, 'officer', 'read', 'read', '', '',
                  '["11111111-1111-8111-8111-111111111111"]', '530302'
           FROM generate_series(1, $2::int) AS n""",
        NOON,
        rows,
    )
    await database.pool.execute(
        """INSERT INTO audit_areas SELECT s, actor, at, audit_id
           FROM audits, unnest('{530302,530300,530000,000000}'::text[]) AS s"""
    )
    await database.pool.execute(
        """INSERT INTO audit_persons SELECT $1, at, audit_id, actor, '{530302,530300}'
           FROM audits WHERE audit_id % 4 = 0""",
        PERSON,
    )
    for table in ("audits", "audit_areas", "audit_persons"):
        await database.pool.execute(f"VACUUM ANALYZE {table}")
