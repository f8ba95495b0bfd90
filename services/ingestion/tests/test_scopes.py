"""The sources, files and coverage that a caller sees."""

import pytest
from ingestion.register import sources
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"
CITY, COUNTY, FOREIGN, NATION = "530300", "530302", "140700", "000000"


async def listed(client_for, token):
    async with client_for(token) as client:
        answer = await client.get("/v1/sources")
        assert answer.status_code == 200, answer.text
        return {one["source"] for one in answer.json()["sources"]}


@pytest.mark.parametrize("role", ["officer", "approver", "auditor"])
async def test_a_role_of_an_area_sees_the_sources_of_its_area_only(client_for, role):
    every = set(sources.versions())
    of_city = {urn for urn in every if f":{CITY}:" in urn}
    assert await listed(client_for, issue_token(role, division=CITY)) >= of_city
    assert not await listed(client_for, issue_token(role, division=FOREIGN)) & of_city
    assert not await listed(client_for, issue_token(role, division=COUNTY)) & of_city
    assert await listed(client_for, issue_token(role, division=NATION)) == every


@pytest.mark.parametrize("role", ["provider", "visitor", "assessor", "resident"])
async def test_the_register_is_closed_to_other_roles(client_for, role):
    async with client_for(issue_token(role, division=NATION, provider="52530302MJ00000017")) as client:
        assert (await client.get("/v1/sources")).status_code == 403
        assert (await client.get(f"/v1/sources/{PSB}")).status_code == 403


async def test_an_entry_of_the_register_is_shown_in_its_area_only(client_for):
    for division, status in ((CITY, 200), (FOREIGN, 403), (COUNTY, 403)):
        async with client_for(issue_token("officer", division=division)) as officer:
            assert (await officer.get(f"/v1/sources/{PSB}")).status_code == status, division


async def test_coverage_is_shown_for_places_in_the_own_area(client_for):
    for division, status in ((CITY, 200), (COUNTY, 200), (FOREIGN, 403)):
        async with client_for(issue_token("officer", division=division)) as officer:
            answer = await officer.get(f"/v1/coverage?division={COUNTY}001&on=2026-11-20")
            assert answer.status_code == status, division


async def test_an_administrator_of_an_area_enters_no_source_elsewhere_and_sends_for_none(client_for):
    entry = {"name": "x", "area": FOREIGN, "kinds": {"residence": 3}}
    body = {"entry": entry, "reason": "x", "replaces": 0}
    async with client_for(issue_token("admin", division=CITY)) as admin:
        answer = await admin.put(f"/v1/sources/urn:cn:exchange:{FOREIGN}:new", json=body)
        assert answer.status_code == 403, answer.text
        headers = {"content-type": "application/cloudevents-batch+json"}
        pushed = await admin.post("/v1/events", content=b"[]", headers=headers)
        assert (pushed.status_code, pushed.json()["code"]) == (403, "source_not_yours")


async def test_nobody_but_the_nation_sees_records_that_name_no_source(client_for, database):
    await database.pool.execute(
        """INSERT INTO unverified (day, topic, source, reason, records, parked)
           VALUES ('2026-11-20', 'population.inbound', 'unknown', 'signature_missing', 3, 0),
                  ('2026-11-20', 'population.inbound', $1, 'signature_wrong', 2, 0)""",
        PSB,
    )
    seen = {}
    for division in (NATION, CITY, FOREIGN):
        async with client_for(issue_token("officer", division=division)) as officer:
            answer = await officer.get("/v1/unverified?since=2026-11-20&until=2026-11-20")
            seen[division] = [one["source"] for one in answer.json()["counts"]]
    assert seen == {NATION: ["unknown", PSB], CITY: [PSB], FOREIGN: []}
