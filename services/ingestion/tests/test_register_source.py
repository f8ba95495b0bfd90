"""The register of sources: the file is its seed, the versions in the database are in force."""

from datetime import date

import pytest
from common import calendar
from ingestion.main import service
from ingestion.register import seed_register as seeding
from ingestion.register import sources
from ingestion.register.seed import counties_in, seed
from ingestion.register.seed_register import seed_register
from ingestion.register.shapes import Entry
from shell import clock
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"


@pytest.fixture
async def register(database):
    await seed_register(database)


@pytest.fixture
def change(register, admin):
    async def _change(urn=PSB, *, replaces=1, begins_on=None, expect=200, **changes):
        entry = (seed()[urn] if urn in seed() else seed()[PSB]).model_dump(mode="json") | changes
        body = {"entry": entry, "reason": "按通知调整", "replaces": replaces, "begins_on": begins_on}
        answer = await admin.put(f"/v1/sources/{urn}", json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return _change


async def test_the_file_is_entered_once_and_again_only_where_it_changed(database, register, monkeypatch):
    assert await database.pool.fetchval("SELECT count(*) FROM registry") == len(seed())
    await seed_register(database)
    assert await database.pool.fetchval("SELECT count(*) FROM registry") == len(seed())
    changed = seed() | {PSB: seed()[PSB].model_copy(update={"name": "市公安局"})}
    monkeypatch.setattr(seeding, "seed", lambda: changed)
    await seed_register(database)
    assert await database.pool.fetchval("SELECT max(version) FROM registry") == 2
    assert sources.registered()[PSB].name == "市公安局"


async def test_the_file_does_not_overwrite_an_administrators_entry(database, change, monkeypatch):
    await change(name="麒麟公安")
    changed = seed() | {PSB: seed()[PSB].model_copy(update={"name": "文件里的新名"})}
    monkeypatch.setattr(seeding, "seed", lambda: changed)
    await seed_register(database)
    assert sources.registered()[PSB].name == "麒麟公安"


async def test_a_kind_removed_from_an_entry_is_rejected_from_then_on(change, push, people):
    await push(people.residence(people.number(1)), expect="accepted")
    await change(kinds={"registration": 1, "death": 1}, cadence={})
    (receipt,) = await push(people.residence(people.number(2)), expect="rejected")
    assert [(p["pointer"], p["code"]) for p in receipt["problems"]] == [("/type", "kind_not_registered")]


async def test_a_changed_rank_applies_to_later_events_only(change, push, people, heads):
    await push(people.residence(people.number(1)), expect="accepted")
    await change(kinds=seed()[PSB].kinds | {"residence": 4})
    await push(people.residence(people.number(2)), expect="accepted")
    assert sorted(h.statements[0].rank for h in (await heads()).values()) == [1, 4]


async def test_events_of_a_suspended_source_are_rejected_and_its_waiting_events_stay_readable(change, push, people):
    first, second = people.residence(people.number(1), id="r1"), people.number(1)
    await push(people.residence(second, id="r2", action="corrected", previous="r1", time="2026-11-20T10:00:00+08:00"))
    await change(active=False)
    (receipt,) = await push(first, expect="rejected")
    assert receipt["problems"][0]["code"] == "source_suspended"
    await change(replaces=2)
    await push(first, expect="accepted")


async def test_a_waiting_event_whose_kind_is_removed_blocks_no_later_event_of_the_person(
    change, push, people, resident, abroad
):
    there = f"urn:cn:exchange:{abroad.AREA}:mca"
    low = abroad.sent(people.event("low_income", resident, {"category": "dibao"}, id="low"))
    await push(low, expect="quarantined")
    await change(there, kinds={"household": 1}, cadence={})
    await push(people.event("alive", resident, {"method": "visit"}, id="alive"), expect="accepted")


def registered_in(people, code, n, **more):
    event = people.registration(people.number(n), **more)
    event["data"]["value"]["hukou_division"] = code
    return event


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("known", ["registered", "resident"])
async def test_the_area_that_a_person_leaves_may_report_the_new_place(push, people, heads, together, first, known):
    """In any order of arrival."""
    here = registered_in(people, "530303001", 1, id="here")
    here["data"]["valid_from"] = "2020-01-01"
    if known == "resident":  # a person who lives here and is registered far away
        here = people.residence(people.number(1), id="here")
    gone = registered_in(people, "140702", 1, id="gone")
    told = [here, gone] if first == 0 else [gone, here]
    if together:
        await push(*told)
    else:
        for event in told:
            await push(event)
    ((head),) = (await heads()).values()
    assert len(head.statements) == 2


async def test_a_source_cannot_register_an_unknown_person_elsewhere(push, people, change, heads):
    (receipt,) = await push(registered_in(people, "140702", 3), expect="quarantined")
    assert receipt["problems"][0]["code"] == "registered_elsewhere"
    assert await heads() == {}
    await change(areas=["530300", "140700"])
    await push(registered_in(people, "140702", 4, id="theirs"), expect="accepted")


async def test_a_renumbered_place_is_no_fault_of_a_source(push, people):
    event = people.registration(people.number(1))
    event["source"] = "urn:cn:exchange:140700:psb"
    event["time"] = "1998-03-01T00:00:00+08:00"
    event["data"] |= {"valid_from": "1998-03-01"}
    event["data"]["value"]["hukou_division"] = "142401"  # 榆次市, before it became a district of 晋中
    await push(event, expect="accepted")


async def test_a_version_begins_on_its_day(change, database):
    await change(name="新名", begins_on="2026-12-01")
    assert sources.registered()[PSB].name == seed()[PSB].name
    clock.set_now(calendar.start_of_day(date(2026, 12, 1)))
    await sources.refresh(database, now=True)
    assert sources.registered()[PSB].name == "新名"


async def test_a_planned_version_that_was_replaced_does_not_begin(change, database):
    await change(name="计划中的新名", begins_on="2026-12-01")
    await change(name="替换计划的名称", replaces=2)
    clock.set_now(calendar.start_of_day(date(2026, 12, 1)))
    await sources.refresh(database, now=True)
    assert sources.registered()[PSB].name == "替换计划的名称"


async def test_two_administrators_do_not_overwrite_each_other(change):
    assert (await change(name="一"))["version"] == 2
    answer = await change(name="二", expect=409)
    assert answer["code"] == "changed_meanwhile"


@pytest.mark.parametrize(
    "wrong",
    [
        {"area": "999999"},
        {"kinds": {"gossip": 1}},
        {"kinds": {"death": 0}},
        {"cadence": {"disability": "daily"}},
        {"feeds": [{"kind": "low_income", "division": "530300", "since": "2026-01-01"}]},
        {"signs": "signature"},
        {"keys": [{"kid": "1", "jwk": {"kty": "oct", "k": "secret"}, "valid_from": "2026-01-01"}]},
        {"quota": {"per_minute": 0, "per_day": 1}},
        {"surprise": 1},
    ],
)
async def test_a_contradictory_entry_is_malformed(change, wrong):
    answer = await change(expect=422, **wrong)
    assert all(p["pointer"].startswith("/body/entry") for p in answer["problems"])


async def test_a_version_in_the_past_is_refused_and_only_administrators_change_the_register(change, client_for):
    await change(begins_on="2026-11-01", expect=422)
    async with client_for(issue_token("officer", division="530300")) as officer:
        assert (await officer.put(f"/v1/sources/{PSB}", json={})).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"areas": ["000000"]}, {"feeds": [{"kind": "residence", "division": "110105", "since": "2026-01-01"}]}],
)
async def test_an_administrator_of_a_county_enters_no_source_for_other_areas(register, client_for, admin, wrong):
    """Neither people of other areas nor the coverage of other divisions are in the scope of this administrator."""
    url = "/v1/sources/urn:cn:exchange:530302:hospital"
    entry = seed()[PSB].model_dump(mode="json") | {"area": "530302"}
    body = {"entry": entry | wrong, "reason": "按通知调整", "replaces": 0}
    async with client_for(issue_token("admin", division="530302")) as county:
        assert (await county.put(url, json=body)).status_code == 403
        assert (await admin.put(url, json=body)).status_code == 200
        answer = await county.put(url, json=body | {"entry": entry, "replaces": 1})
        assert answer.status_code == 403, "the earlier entry names another area, too"


async def test_a_new_source_may_push_at_once_and_its_history_is_shown(change, push, people, admin, database):
    new = "urn:cn:exchange:530300:hospital"
    event = people.residence(people.number(1)) | {"source": new}
    (receipt,) = await push(event, expect="rejected")
    assert receipt["problems"][0]["code"] == "source_unknown"
    await change(new, replaces=0, name="市医院")
    await push(event, expect="accepted")
    shown = (await admin.get(f"/v1/sources/{new}")).json()
    assert (shown["name"], shown["version"]) == ("市医院", 1)
    assert [(v["version"], v["reason"]) for v in shown["history"]] == [(1, "按通知调整")]
    assert await database.pool.fetchval("SELECT cause FROM audits") == new


async def test_another_process_loads_the_change(change, database, monkeypatch):
    await change(name="新名")
    sources.forget()  # another process, which has only the file
    assert sources.registered()[PSB].name == seed()[PSB].name
    await sources.refresh(service.database)
    assert sources.registered()[PSB].name == "新名"


async def test_versions_are_only_ever_added(database, register):
    for statement in ("DELETE FROM registry", "UPDATE registry SET reason = 'x'", "TRUNCATE registry"):
        with pytest.raises(Exception, match="only ever added"):
            await database.pool.execute(statement)


def test_every_entry_of_the_seed_can_be_written_and_read_again():
    for entry in seed().values():
        assert Entry.model_validate_json(entry.model_dump_json()) == entry


async def test_a_source_sees_only_itself(register, client_for):
    other = PSB.replace("psb", "grid")
    async with client_for(issue_token("source", source=PSB)) as psb:
        assert (await psb.get(f"/v1/sources/{PSB}")).status_code == 200
        assert (await psb.get(f"/v1/sources/{other}")).status_code == 403


def test_a_county_that_is_an_area_of_the_seed_has_its_internal_sources():
    assert counties_in(["530302"]) == ["530302"]
    assert set(counties_in(["530302", "530300"])) == set(counties_in(["530300"])) >= {"530302"}
