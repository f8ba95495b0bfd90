"""Tasks, providers and feeds in a caller's scope, and the providers that an officer may choose."""

import pytest

NATION, FOREIGN = "000000", "141125"
AREA_ROLES = ("officer", "auditor")


async def ids(client, path, headers, of="tasks", key="task_id"):
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return {one[key] for one in answer.json()[of]}


@pytest.mark.parametrize("role", ["officer", "approver", "auditor"])
async def test_a_token_without_an_area_sees_no_task_and_no_provider(driver, client, auth, add_provider, story, role):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    for path in ("/v1/tasks", "/v1/providers"):
        answer = await client.get(path, headers=auth(role))
        assert (answer.status_code, answer.json()["code"]) == (403, "area_required")


@pytest.mark.parametrize("role", AREA_ROLES)
async def test_an_area_sees_its_tasks_unplaced_tasks_and_providers(driver, client, auth, add_provider, story, role):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting("p1"), story.visiting("p2", division="530303001"))
    placed = await ids(client, "/v1/tasks", auth(role, division=story.COUNTY))
    unplaced = await ids(client, "/v1/unplaced", auth(role, division=story.OTHER_COUNTY))
    assert placed
    assert unplaced
    for division, tasks, waiting, providers in (
        (story.COUNTY, placed, set(), {story.A}),
        (story.OTHER_COUNTY, await ids(client, "/v1/tasks", auth(role, division="530303001")), unplaced, set()),
        (FOREIGN, set(), set(), set()),
    ):
        headers = auth(role, division=division)
        assert await ids(client, "/v1/tasks?limit=500", headers) == tasks
        assert await ids(client, "/v1/unplaced", headers) == waiting
        assert await ids(client, "/v1/providers", headers, "providers", "uscc") == providers
    nation = await ids(client, "/v1/tasks?limit=500", auth(role, division=NATION))
    assert nation == placed | await ids(client, "/v1/tasks", auth(role, division=story.OTHER_COUNTY))
    assert await ids(client, "/v1/unplaced", auth("admin")) == unplaced


async def test_an_auditor_reads_the_feed_of_a_provider_whose_areas_are_all_the_auditors(
    driver, client, auth, add_provider, story
):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.COUNTY, story.OTHER_COUNTY)
    await driver.deliver(story.visiting())
    for uscc, division, status in (
        (story.A, story.COUNTY, 200),
        (story.A, NATION, 200),
        (story.A, story.OTHER_COUNTY, 403),
        (story.A, FOREIGN, 403),
        (story.B, story.COUNTY, 403),
        (story.B, "530300", 200),
        ("52530302MJ0000099X", FOREIGN, 403),
        ("52530302MJ0000099X", NATION, 404),
    ):
        answer = await client.get(f"/v1/providers/{uscc}/feed", headers=auth("auditor", division=division))
        assert answer.status_code == status, (uscc, division)
        if status != 200:
            stream = await client.get(f"/v1/providers/{uscc}/stream", headers=auth("auditor", division=division))
            assert stream.status_code == status, (uscc, division)


@pytest.mark.parametrize("role", ["auditor", "visitor"])
async def test_a_feed_shows_no_message_from_an_area_that_the_provider_served_before(
    driver, client, auth, add_provider, database, story, role
):
    await add_provider(story.A, story.COUNTY, story.OTHER_COUNTY)
    await driver.deliver(story.visiting("p1", division="530303001"))
    await database.pool.execute("DELETE FROM provider_areas WHERE division = $1", story.OTHER_COUNTY)
    feed = f"/v1/providers/{story.A}/feed"
    own = auth(role, division=story.COUNTY, provider=story.A)
    assert (await client.get(feed, headers=own)).status_code == 403
    stream = await client.get(f"/v1/providers/{story.A}/stream", headers=own)
    assert (stream.status_code, stream.text) == (200, "")
    both = auth(role, division="530300", provider=story.A)
    seen = (await client.get(feed, headers=both)).json()
    assert seen["events"]
    assert (await client.get(f"{feed}?after={seen['next']}", headers=own)).status_code == 200


async def test_a_visitor_sees_and_answers_the_providers_tasks_in_the_own_area(
    driver, client, auth, add_provider, tasks, story
):
    await add_provider(story.A, "530300")
    await driver.deliver(story.visiting("p1"), story.visiting("p2", division="530303001"))
    own = next(t for t in await tasks(person="p1") if t["provider"] == story.A)
    other = next(t for t in await tasks(person="p2") if t["provider"] == story.A)
    visitor = auth("visitor", provider=story.A, division=story.COUNTY)
    assert await ids(client, "/v1/tasks", visitor) == {
        t["task_id"] for t in await tasks(person="p1") if t["provider"] == story.A
    }
    assert (await client.get(f"/v1/tasks/{own['task_id']}", headers=visitor)).status_code == 200
    assert (await client.get(f"/v1/tasks/{other['task_id']}", headers=visitor)).status_code == 404
    refused = await client.post(f"/v1/tasks/{other['task_id']}/accept", headers=visitor)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
    assert (await client.post(f"/v1/tasks/{own['task_id']}/accept", headers=visitor)).status_code == 200
    # the feed is of the whole provider, which serves more than this visitor's area
    assert (await client.get(f"/v1/providers/{story.A}/feed", headers=visitor)).status_code == 403
    whole = auth("visitor", provider=story.A, division="530300")
    assert (await client.get(f"/v1/providers/{story.A}/feed", headers=whole)).status_code == 200


@pytest.mark.parametrize("code", [None, "elsewhere"])
async def test_a_task_is_given_to_a_provider_only_where_that_provider_serves(
    driver, client, auth, add_provider, tasks, story, code
):
    await add_provider(story.A, story.COUNTY)
    await add_provider(story.B, story.OTHER_COUNTY if code else "530300")
    await driver.deliver(story.visiting())
    task = next(t for t in await tasks() if t["provider"] == story.A)
    officer = auth("officer", division=story.COUNTY)
    url = f"/v1/tasks/{task['task_id']}/reassign"
    answer = await client.post(url, json={"provider": story.B}, headers=officer)
    [after] = [t for t in await tasks() if t["task_id"] == task["task_id"]]
    if code:
        assert (answer.status_code, answer.json()["code"]) == (409, "provider_unsuitable")
        assert after["provider"] == story.A
    else:
        assert (answer.status_code, after["provider"]) == (200, story.B)


async def test_an_officer_of_another_area_changes_no_task(driver, client, auth, add_provider, tasks, story):
    await add_provider(story.A, story.COUNTY)
    await driver.deliver(story.visiting())
    [task, *_] = await tasks()
    for what, body in (("reassign", {}), ("excuse", {"reason": "in_hospital", "evidence": "doc-1"})):
        url = f"/v1/tasks/{task['task_id']}/{what}"
        assert (await client.post(url, json=body, headers=auth("officer", division=FOREIGN))).status_code == 403
