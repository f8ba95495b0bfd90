"""Each search and read of tasks by a human, and each decision about a task, is a row of the audit log."""

import pytest


@pytest.fixture
def rows(client, auth):
    async def found(*acts):
        audits = (await client.get("/v1/audits", headers=auth("auditor", division="000000"))).json()["audits"]
        return [
            (row["actor"], row["act"], row["purpose"], row["cause"], row["person_ids"])
            for row in reversed(audits)
            if not acts or row["act"] in acts
        ]

    return found


async def test_searches_reads_and_decisions_are_rows(driver, client, auth, add_provider, story, rows):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("p1"))
    person, headers = story.ident("p1"), auth("officer", division=story.COUNTY, subject="li")
    task = (await client.get("/v1/tasks", headers=headers)).json()["tasks"][0]["task_id"]
    await client.get(f"/v1/tasks/{task}", headers=headers)
    await client.get("/v1/unplaced", headers=headers)
    excuse = {"reason": "away", "evidence": "doc-1"}
    assert (await client.post(f"/v1/tasks/{task}/excuse", headers=headers, json=excuse)).status_code == 200
    assert await rows() == [
        ("li", "search", "tasks", "", [person]),
        ("li", "read", "task", task, [person]),
        ("li", "search", "unplaced", "", []),
        ("li", "decide", "excuse", task, [person]),
    ]


async def test_the_tasks_of_one_person_are_a_row_with_this_person_even_if_there_is_none(client, auth, story, rows):
    person = story.ident("nobody")
    await client.get("/v1/tasks", headers=auth("officer", division=story.COUNTY), params={"person_id": person})
    assert [row[4] for row in await rows()] == [[person]]


async def test_a_provider_that_reads_its_own_tasks_is_no_row_and_its_visitor_is_one(
    driver, client, auth, add_provider, story, rows
):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("p1"))
    machine, visitor = auth("provider", provider=story.A), auth("visitor", provider=story.A, division=story.COUNTY)
    task = (await client.get("/v1/tasks", headers=machine)).json()["tasks"][0]["task_id"]
    await client.get(f"/v1/tasks/{task}", headers=machine)
    assert await rows() == []
    await client.get(f"/v1/tasks/{task}", headers=visitor)
    assert [row[:2] for row in await rows("read")] == [("local-visitor", "read")]


async def test_an_entry_of_a_provider_is_a_row(client, auth, story, rows):
    body = {"uscc": story.A, "name": "x", "divisions": [story.COUNTY], "items": ["visiting_care"]}
    body |= {"capacity_per_day": 5, "subscription": "poll"}
    answer = await client.post("/v1/providers", headers=auth("officer", division=story.COUNTY), json=body)
    assert answer.status_code == 201, answer.text
    assert await rows() == [("local-officer", "register", "provider", story.A, [])]
