"""Hints of stays and incidents end without an officer."""

from datetime import date, timedelta

from common.events import CorrectionAnswered
from ingestion import verify
from ingestion.corrections.answer_corrections import answer_corrections
from ingestion.review.end_hints import end_hints
from rules.facts.timeline import facts_known_at
from shell import clock

STAY = {"institution": "合成市人民医院"}


async def _stays(heads, abroad, number):
    head = (await heads())[abroad.person_id(number)]
    return [f for f in facts_known_at(head.statements) if f.kind == "hospital_stay"]


async def _hint(abroad, people, push, number, kind="hospital_stay", value=STAY, **options):
    event = abroad.sent(people.event(kind, number, value, id=options.pop("id", "hint"), **options))
    (receipt,) = await push(event, expect="accepted")
    assert [p["code"] for p in receipt["problems"]] == ["taken_as_hint"]
    return receipt["event_id"]


async def _rows(database):
    return await database.pool.fetchval("SELECT count(*) FROM hints")


async def test_a_stay_that_nobody_confirms_ends_after_fifteen_days(abroad, people, push, resident, database, heads):
    event_id = await _hint(abroad, people, push, resident, valid_from="2026-11-20")
    clock.advance(timedelta(days=14))
    assert await end_hints(database) == 0
    (stay,) = await _stays(heads, abroad, resident)
    assert (stay.standing, stay.valid_to) == ("hint", None)
    clock.advance(timedelta(days=1))
    assert await end_hints(database) == 1
    assert (await end_hints(database), await _rows(database)) == (0, 0)
    head = (await heads())[abroad.person_id(resident)]
    (stay,) = await _stays(heads, abroad, resident)
    assert (stay.standing, stay.valid_to) == ("hint", date(2026, 12, 7))
    ended = head.statements[-1]
    assert (ended.action, ended.chain, ended.source) == ("ended", event_id, "urn:cn:exchange:140700:nhsa")
    assert (ended.recorded_at, ended.valid_to) == (head.recorded_at, date(2026, 12, 7))
    assert await verify.check(database, clock.today()) == []


async def test_a_later_statement_of_the_source_decides_the_end_of_its_stay(
    abroad, people, push, resident, database, heads
):
    await _hint(abroad, people, push, resident, valid_from="2026-11-20")
    clock.advance(timedelta(days=15))
    await end_hints(database)
    back = people.event(
        "hospital_stay",
        resident,
        id="back",
        action="ended",
        previous="hint",
        time="2026-11-25T09:30:00+08:00",  # recorded before the platform's own end, and arrived after it
        valid_from=None,
        valid_to="2026-11-25",
    )
    await push(abroad.sent(back), expect="accepted")
    (stay,) = await _stays(heads, abroad, resident)
    assert stay.valid_to == date(2026, 11, 25)


async def test_the_end_by_the_platform_answers_no_request_to_the_source(
    abroad, people, push, resident, database, driver
):
    event_id = await _hint(abroad, people, push, resident, valid_from="2026-11-20")
    asked = await abroad.post("/v1/corrections", area=abroad.AREA, event_id=event_id)
    assert asked.status_code == 201, asked.text
    clock.advance(timedelta(days=15))
    assert await end_hints(database) == 1
    await answer_corrections(database)
    assert await driver.emitted(CorrectionAnswered) == []
    back = people.event("hospital_stay", resident, id="back", action="ended", previous="hint",
                        time="2026-11-25T09:30:00+08:00", valid_from=None, valid_to="2026-11-25")  # fmt: skip
    (receipt,) = await push(abroad.sent(back), expect="accepted")
    clock.advance(timedelta(minutes=1))
    await answer_corrections(database)
    (answer,) = await driver.emitted(CorrectionAnswered)
    assert answer.answered_by == receipt["event_id"]


async def test_an_incident_covers_one_day_and_needs_no_end(abroad, people, push, resident, database, heads):
    await _hint(abroad, people, push, resident, "risk_incident", {"incident": "fall"}, valid_from="2026-11-20")
    before = (await heads())[abroad.person_id(resident)].version
    assert await _rows(database) == 1
    clock.advance(timedelta(days=15))
    assert (await end_hints(database), await _rows(database)) == (1, 0)
    assert (await heads())[abroad.person_id(resident)].version == before


async def test_a_stay_that_counts_fully_by_then_continues(abroad, people, push, resident, database, heads):
    await _hint(abroad, people, push, resident, valid_from="2026-11-20")
    await abroad.move(people, resident)
    (case,) = (await abroad.get("/v1/places"))["places"]
    await abroad.post(f"/v1/places/{case['case_id']}/confirm")
    clock.advance(timedelta(days=15))
    assert (await end_hints(database), await _rows(database)) == (1, 0)
    (stay,) = await _stays(heads, abroad, resident)
    assert (stay.standing, stay.valid_to) == ("full", None)


async def test_the_end_of_a_stay_reaches_the_number_in_use(abroad, people, push, resident, database, heads):
    """The person was renumbered: the end is emitted under the survivor's number."""
    newer = people.number(2)
    await push(people.renumbered(resident, newer), expect="accepted")
    await _hint(abroad, people, push, newer, valid_from="2026-11-20")
    clock.advance(timedelta(days=15))
    await end_hints(database)
    (stay,) = await _stays(heads, abroad, resident)
    assert (stay.standing, stay.valid_to) == ("hint", date(2026, 12, 7))
    assert await verify.check(database, clock.today()) == []
