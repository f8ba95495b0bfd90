"""A disability certificate contains the ID number that its holder had when it was issued."""

from itertools import permutations

import pytest
from common.message import derived_id
from ingestion import verify
from rules.facts.identity import statements_known_at
from shell.access.auth import issue_token
from shell.privacy import vault

REASON = "certificate_of_another"


def person_of(number):
    return derived_id("person", vault().blind_index(number).hex())


def certificate(people, number, made_out_for, **options):
    value = {"certificate_no": made_out_for + "42", "class": 4, "level": 2}
    options.setdefault("id", f"card-{number[-4:]}")
    return people.event("disability", number, value, **options)


async def disabled(heads, number):
    """The facts of this number that count now."""
    counting = statements_known_at((await heads())[person_of(number)])
    return [s.kind for s in counting if s.kind == "disability"]


@pytest.fixture
def open_reasons(database):
    async def load():
        rows = await database.pool.fetch("SELECT reason FROM quarantine WHERE state = 'open'")
        return [row[0] for row in rows]

    return load


async def test_a_certificate_of_an_unknown_number_waits_with_pointer_and_code(push, people, heads, database):
    old, new = people.number(1), people.number(3)
    (receipt,) = await push(certificate(people, new, old), expect="quarantined")
    assert [(p["pointer"], p["code"]) for p in receipt["problems"]] == [("/data/value/certificate_no", REASON)]
    assert await heads() == {}
    assert await database.pool.fetchval("SELECT count(*) FROM identities") == 1  # no person is created from it
    assert await verify.check(database) == []


async def test_in_every_order_and_twice_a_certificate_under_an_older_number_counts_in_the_end(
    push, people, heads, database, open_reasons
):
    for n, order in enumerate(permutations(range(3))):
        first, second, third = (people.number(10 * n + i) for i in (1, 3, 5))
        story = [
            people.renumbered(first, second, id=f"a{n}"),
            people.renumbered(second, third, id=f"b{n}"),
            certificate(people, third, first, id=f"c{n}"),
        ]
        for i in order:
            await push(story[i])
            await push(story[i], expect="duplicate")
        assert await open_reasons() == []
        assert await disabled(heads, third) == ["disability"]
        found = await heads()
        survivor = found[found[person_of(third)].merged_into or person_of(third)]
        assert [s.kind for s in survivor.statements].count("disability") == 1
    assert await verify.check(database) == []


async def test_with_the_change_of_number_in_the_same_batch_it_counts_at_once(push, people, heads):
    old, new = people.number(1), people.number(3)
    await push(certificate(people, new, old), people.same(new, old), expect="accepted")
    assert await disabled(heads, new) == ["disability"]


async def test_a_certificate_of_another_known_human_waits_too(push, people, open_reasons, heads):
    mine, another = people.number(1), people.number(3)
    await push(people.residence(another), expect="accepted")
    await push(certificate(people, mine, another), expect="quarantined")
    await push(people.residence(mine), expect="accepted")  # another event of the person does not release it
    assert await open_reasons() == [REASON]
    assert await disabled(heads, another) == []


async def test_a_correction_of_a_waiting_certificate_waits_and_both_are_released(push, people, heads):
    old, new = people.number(1), people.number(3)
    wrong = certificate(people, new, old, id="wrong")
    right = certificate(
        people, new, old, id="right", action="corrected", previous="wrong", time="2026-11-20T10:30:00+08:00"
    )
    await push(wrong, right, expect="quarantined")
    await push(people.renumbered(old, new), expect="accepted")
    assert await disabled(heads, new) == ["disability", "disability"]


async def test_a_correction_that_brings_another_number_waits_alone(push, people, heads, open_reasons):
    old, new = people.number(1), people.number(3)
    await push(certificate(people, new, new, id="right"), expect="accepted")
    other = certificate(people, new, old, id="other", action="corrected", previous="right",
                        time="2026-11-20T10:30:00+08:00")  # fmt: skip
    await push(other, expect="quarantined")
    assert (await disabled(heads, new), await open_reasons()) == (["disability"], [REASON])


async def test_an_officer_may_release_a_certificate_of_another_number(push, people, heads, client_for, database):
    old, new = people.number(1), people.number(3)
    (receipt,) = await push(certificate(people, new, old), expect="quarantined")
    async with client_for(issue_token("officer", division="530300")) as officer:
        (row,) = (await officer.get("/v1/quarantine")).json()["quarantine"]
        assert row["reason"] == REASON
        url = f"/v1/quarantine/{receipt['event_id']}/release"
        answer = await officer.post(url, json={"reason": "已核对旧证"})
    assert answer.status_code == 200, answer.text
    assert await disabled(heads, new) == ["disability"]
    assert await verify.check(database) == []


async def test_a_certificate_with_the_fifteen_digit_form_of_the_number_counts(push, people, heads):
    number = people.number(1)
    legacy = number[:6] + number[8:17]
    await push(certificate(people, number, legacy), expect="accepted")
    assert await disabled(heads, number) == ["disability"]


async def test_a_split_leaves_the_certificate_with_its_person(push, people, heads):
    old, new = people.number(1), people.number(3)
    merge = people.renumbered(old, new)
    await push(merge, certificate(people, new, old), expect="accepted")
    await push(people.annulled(merge), expect="accepted")
    assert (await disabled(heads, new), await disabled(heads, old)) == (["disability"], [])


async def test_a_file_reports_waiting_rows_and_loses_none(imports, open_reasons, people):
    old, new = people.number(1), people.number(3)
    job = await imports.run(f"身份证号,残疾人证号\n{new},{old}42\n{new},{new}43\n", "disability")
    assert (job["accepted"], job["quarantined"], job["rejected"]) == (1, 1, 0)
    assert await open_reasons() == [REASON]
