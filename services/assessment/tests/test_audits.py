"""Each form, each signature and each read of an assessment is a row of the audit log."""


async def rows(client, auth):
    found = (await client.get("/v1/audits", headers=auth("auditor"))).json()["audits"]
    return [(row["actor"], row["act"], row["purpose"], row["cause"], row["person_ids"]) for row in reversed(found)]


async def test_a_form_a_signature_and_reads_are_rows(driver, client, auth, people):
    await driver.deliver(people.entitled())
    form = people.form(46)
    person = form["person_id"]
    submitted = await client.post("/v1/assessments", json=form, headers=auth(subject="nurse-1"))
    key = submitted.json()["assessment_id"]
    for _ in range(2):  # a repeated signature is no second approval
        await client.post(f"/v1/assessments/{key}/sign", headers=auth(subject="worker-2"))
    await client.get(f"/v1/assessments/{key}", headers=auth("officer", subject="li"))
    await client.get(f"/v1/persons/{person}/assessments", headers=auth("officer", subject="li"))
    assert await rows(client, auth) == [
        ("nurse-1", "submit", "assessment", key, [person]),
        ("worker-2", "approve", "assessment", key, [person]),
        ("li", "read", "assessment", key, [person]),
        ("li", "read", "assessments", "", [person]),
    ]


async def test_a_read_outside_the_area_shows_nothing_and_is_no_row(driver, client, auth, people):
    await driver.deliver(people.entitled())
    person = people.form(46)["person_id"]
    answer = await client.get(f"/v1/persons/{person}/assessments", headers=auth("officer", division="110000"))
    assert answer.status_code == 404
    assert await rows(client, auth) == []
